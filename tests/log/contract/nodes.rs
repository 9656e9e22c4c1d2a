//! Several nodes on one log.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use porttask_runtime::log::{Follower, OrganizationId, PartitionId, Version};
use porttask_tests::{Engine, History, Settings, Store, found, on_both_engines, simple, stream};
use tokio::time::timeout;

on_both_engines! {
    what_one_node_records_the_others_read,
    nodes_that_open_a_new_store_at_once_agree,
    nodes_append_to_one_stream_in_turn,
    a_follower_on_one_node_is_woken_by_an_append_on_another,
    a_store_is_as_it_was_when_it_is_opened_again,
    nodes_open_and_close_at_once,
}

async fn what_one_node_records_the_others_read(store: Store) {
    let (one, other) = (store.open().await, store.open().await);
    let organization = found(&*one).await;
    let appended = one.append(simple(organization, "a")).await.unwrap();
    assert_eq!(other.partition_of(organization).await.unwrap(), Some(appended.position.partition));
    let a = stream(organization, "a");
    assert_eq!(other.versions(std::slice::from_ref(&a)).await.unwrap(), [Version(1)]);
    assert_eq!(other.read_stream(&a, Version::NONE, 10).await.unwrap().len(), 1);
    assert_eq!(other.heads().await.unwrap(), one.heads().await.unwrap());
    assert_eq!(History::of(&*other).await, History::of(&*one).await);
}

async fn nodes_that_open_a_new_store_at_once_agree(store: Store) {
    let nodes = join_all((0..4).map(|_| store.open())).await;
    let incarnation = nodes[0].incarnation().await.unwrap();
    for node in &nodes {
        assert_eq!(node.incarnation().await.unwrap(), incarnation);
        assert_eq!(node.heads().await.unwrap().len(), nodes[0].heads().await.unwrap().len());
        found(&**node).await;
    }
    History::of(&*nodes[0]).await.assert_sound();
}

async fn nodes_append_to_one_stream_in_turn(store: Store) {
    let nodes = [store.open().await, store.open().await];
    let organization = found(&*nodes[0]).await;
    let a = stream(organization, "a");
    for version in 0..40 {
        let node = &nodes[(version % 2) as usize];
        let append = simple(organization, "a").expecting(a.clone(), Version(version));
        node.append(append.clone()).await.unwrap();
        nodes[0].append(append.clone()).await.unwrap_err();
        nodes[1].append(append).await.unwrap_err();
    }
    History::of(&*nodes[1]).await.assert_sound();
}

async fn a_follower_on_one_node_is_woken_by_an_append_on_another(store: Store) {
    // On PostgreSQL by the notification alone; between SQLite processes there is nothing but the poll.
    let poll = (store.engine() == Engine::Postgres).then_some(Duration::from_secs(600));
    let settings = Settings { poll, ..Settings::default() };
    let (one, other) = (store.open_with(settings).await, store.open_with(settings).await);
    let organization = found(&*one).await;
    let home = one.partition_of(organization).await.unwrap().unwrap();
    for (partition, organization) in [(home, organization), (PartitionId::PLATFORM, OrganizationId::PLATFORM)] {
        let mut follower = Follower::from_start(Arc::clone(&other), partition).await.unwrap();
        while !follower.page(100).await.unwrap().is_empty() {}
        for _ in 0..3 {
            let (read, appended) = tokio::join!(
                timeout(Duration::from_secs(2), follower.next(100)),
                one.append(simple(organization, "a")),
            );
            let read = read.expect("not woken within 2 s").unwrap();
            assert_eq!(read.last().unwrap().position, appended.unwrap().position);
        }
    }
}

async fn a_store_is_as_it_was_when_it_is_opened_again(store: Store) {
    let log = store.open().await;
    for _ in 0..5 {
        let organization = found(&*log).await;
        log.append(simple(organization, "a")).await.unwrap();
    }
    let (heads, incarnation) = (log.heads().await.unwrap(), log.incarnation().await.unwrap());
    let history = History::of(&*log).await;
    drop(log);
    for _ in 0..3 {
        let log = store.open().await;
        assert_eq!(log.heads().await.unwrap(), heads);
        assert_eq!(log.incarnation().await.unwrap(), incarnation);
        assert_eq!(History::of(&*log).await, history);
    }
}

/// Closing the last connection to a file while another opens it must not stand still.
async fn nodes_open_and_close_at_once(store: Store) {
    const ROUNDS: u64 = 25;
    let organization = found(&*store.open().await).await;
    let node = || async {
        for _ in 0..ROUNDS {
            store.open().await.append(simple(organization, "a")).await.unwrap();
        }
    };
    timeout(Duration::from_secs(60), async { tokio::join!(node(), node(), node(), node()) })
        .await
        .expect("stands still");
    let log = store.open().await;
    assert_eq!(log.versions(&[stream(organization, "a")]).await.unwrap(), [Version(4 * ROUNDS)]);
    History::of(&*log).await.assert_sound();
}
