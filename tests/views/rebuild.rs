//! Tables are disposable: what is rebuilt is what was there.

use porttask_projections::models;
use porttask_runtime::{
    log::PartitionId,
    views::{Loaded, Query},
};
use porttask_tests::{Engine, Node, Store, on_both_engines, users_table, work};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::work::{caught_up, rows};

on_both_engines! {
    a_rebuild_is_the_same_row_for_row,
    a_table_serves_while_it_is_rebuilt_and_the_log_goes_on,
    another_node_follows_a_rebuild,
    a_changed_row_is_found_and_a_rebuild_repairs_it,
    a_checkpoint_that_the_log_does_not_bear_out_is_found,
    a_checkpoint_in_a_log_without_events_is_found,
    a_restored_log_is_folded_anew,
    what_an_interrupted_rebuild_left_is_removed_by_the_next,
}

fn no_progress(_: Loaded) {}

async fn a_rebuild_is_the_same_row_for_row(store: Store) {
    let node = Node::on(&store).await;
    let views = node.views(models()).await;
    views.run();
    work(&node, 150).await;
    caught_up(&node, &views).await;
    for model in models() {
        let name = model.table().name;
        let incremental = rows(&node, &views, name).await;
        let told = AtomicBool::new(false);
        views.rebuild(name, &|loaded| told.store(loaded.folded <= loaded.of, Ordering::Relaxed)).await.unwrap();
        assert!(told.into_inner(), "progress is shown");
        assert!(!incremental.is_empty(), "{name}");
        assert_eq!(rows(&node, &views, name).await, incremental, "{name}");
    }
}

async fn a_table_serves_while_it_is_rebuilt_and_the_log_goes_on(store: Store) {
    let node = Node::on(&store).await;
    let views = node.views(models()).await;
    views.run();
    work(&node, 50).await;
    caught_up(&node, &views).await;
    let users = async || rows(&node, &views, "users").await.len();
    let before = users().await;
    let is_done = AtomicBool::new(false);
    let rebuilding = async {
        for _ in 0..5 {
            views.rebuild("users", &no_progress).await.unwrap();
        }
        is_done.store(true, Ordering::Relaxed);
    };
    let reading = async {
        while !is_done.load(Ordering::Relaxed) {
            assert!(users().await >= before, "people who were there are not");
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(rebuilding, reading, work(&node, 100));
    caught_up(&node, &views).await;
    assert_eq!(views.verify("users", &no_progress).await.unwrap(), []);
}

async fn another_node_follows_a_rebuild(store: Store) {
    let nodes = [Node::on(&store).await, Node::on(&store).await];
    let one = nodes[0].views(models()).await;
    let two = nodes[1].views(models()).await;
    one.run();
    two.run();
    work(&nodes[0], 30).await;
    one.rebuild("users", &no_progress).await.unwrap();
    work(&nodes[1], 30).await;
    caught_up(&nodes[0], &one).await;
    caught_up(&nodes[1], &two).await;
    assert_eq!(rows(&nodes[0], &one, "users").await, rows(&nodes[1], &two, "users").await);
    assert_eq!(two.verify("users", &no_progress).await.unwrap(), []);
}

/// Changes something in the tables behind the program's back.
async fn tamper(store: &Store, sql: &str) {
    match store.engine() {
        Engine::Sqlite => {
            let file = store.file().with_file_name("views.db");
            rusqlite::Connection::open(file).unwrap().execute_batch(&sql.replace("views.", "")).unwrap();
        }
        Engine::Postgres => drop(store.sql(sql).await),
    }
}

async fn a_changed_row_is_found_and_a_rebuild_repairs_it(store: Store) {
    let node = Node::on(&store).await;
    let views = node.views(models()).await;
    views.run();
    work(&node, 30).await;
    caught_up(&node, &views).await;
    assert_eq!(views.verify("users", &no_progress).await.unwrap(), []);
    tamper(&store, &format!("UPDATE views.{} SET role = 'super_admin' WHERE role = 'admin'", users_table(1))).await;
    let faults = views.verify("users", &no_progress).await.unwrap();
    assert!(!faults.is_empty() && faults[0].to_string().contains("rebuild"), "{faults:?}");
    views.rebuild("users", &no_progress).await.unwrap();
    assert_eq!(views.verify("users", &no_progress).await.unwrap(), []);
}

async fn a_checkpoint_that_the_log_does_not_bear_out_is_found(store: Store) {
    let node = Node::on(&store).await;
    work(&node, 10).await;
    // Nobody folds, so that nobody notices first.
    let views = node.views(models()).await;
    views.rebuild("users", &no_progress).await.unwrap();
    assert_eq!(views.verify("users", &no_progress).await.unwrap(), []);
    let home = node.log.heads().await.unwrap().into_iter().find(|head| head.position.offset.0 > 0).unwrap();
    let home = home.position.partition;
    for change in ["count = count + 1", "digest = $nothing", "\"offset\" = \"offset\" + 1000", "partition = 60000"] {
        let view =
            tables(&store).await.into_iter().find(|it| it.starts_with(&users_table("")) && !it.contains("_search"));
        let (view, home) = (view.unwrap(), home.0);
        let nothing = if store.engine() == Engine::Sqlite { "zeroblob(32)" } else { "sha256('')" };
        let change = change.replace("$nothing", nothing);
        tamper(&store, &format!("UPDATE views.checkpoints SET {change} WHERE view = '{view}' AND partition = {home}"))
            .await;
        let faults = views.verify("users", &no_progress).await.unwrap();
        assert!(!faults.is_empty(), "{change}");
        // A table that claims to be further than the log would never give way.
        tamper(&store, "DELETE FROM views.checkpoints").await;
        views.rebuild("users", &no_progress).await.unwrap();
    }
}

async fn a_checkpoint_in_a_log_without_events_is_found(store: Store) {
    let node = Node::on(&store).await;
    let views = node.views(models()).await;
    assert_eq!(views.verify("users", &no_progress).await.unwrap(), []);
    let (id, digest) = match store.engine() {
        Engine::Sqlite => ("zeroblob(16)", "zeroblob(32)"),
        Engine::Postgres => ("gen_random_uuid()", "sha256('')"),
    };
    let table = users_table(1);
    tamper(&store, &format!("INSERT INTO views.checkpoints VALUES ('{table}', 0, {id}, 5, {id}, 5, {digest})")).await;
    assert_eq!(views.verify("users", &no_progress).await.unwrap().len(), 1);
}

async fn a_restored_log_is_folded_anew(store: Store) {
    let node = Node::on(&store).await;
    let views = node.views(models()).await;
    work(&node, 30).await;
    views.run();
    caught_up(&node, &views).await;
    drop(views);
    node.log.begin_incarnation().await.unwrap();
    tamper(&store, &format!("UPDATE views.{} SET role = 'super_admin' WHERE role = 'admin'", users_table(1))).await;
    let views = node.views(models()).await;
    views.run();
    work(&node, 5).await;
    // The old tables are emptied, then filled again.
    porttask_tests::by(crate::work::PATIENCE, "the users are folded anew", async || {
        views.verify("users", &no_progress).await.unwrap().is_empty()
    })
    .await;
    let query = Query { partition: PartitionId(u16::MAX), limit: 1, ..Query::default() };
    assert_eq!(views.select("users", &query).await.unwrap(), Vec::<Vec<_>>::new());
}

async fn what_an_interrupted_rebuild_left_is_removed_by_the_next(store: Store) {
    let node = Node::on(&store).await;
    let views = node.views(models()).await;
    views.run();
    work(&node, 30).await;
    for _ in 0..3 {
        // Given up in the middle: at whatever it waits for after the first batch.
        let began = tokio::sync::Notify::new();
        let has_begun = |_| began.notify_one();
        tokio::select! {
            _ = views.rebuild("users", &has_begun) => {}
            () = began.notified() => {}
        }
    }
    views.rebuild("users", &no_progress).await.unwrap();
    caught_up(&node, &views).await;
    assert_eq!(
        tables(&store)
            .await
            .iter()
            .filter(|name| name.starts_with(&users_table("")) && !name.contains("_search"))
            .count(),
        1
    );
    assert_eq!(views.verify("users", &no_progress).await.unwrap(), []);
}

/// The names of all tables of read models.
async fn tables(store: &Store) -> Vec<String> {
    match store.engine() {
        Engine::Sqlite => {
            let connection = rusqlite::Connection::open(store.file().with_file_name("views.db")).unwrap();
            let mut names = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
            names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        }
        Engine::Postgres => store.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'views'").await,
    }
}
