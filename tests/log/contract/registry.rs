//! The registry of nodes.

use porttask_runtime::lease::Holder;
use porttask_tests::{Settings, Store, on_both_engines, run_sql};

on_both_engines! {
    nodes_are_listed_while_they_report,
    silent_nodes_are_removed,
}

async fn nodes_are_listed_while_they_report(store: Store) {
    let log = store.open_database(Settings::default()).await;
    assert_eq!(log.nodes().await.unwrap(), []);
    let [one, two] = ["one", "two"].map(Holder::new);
    log.report_node(&two, "1.0.0", false).await.unwrap();
    log.report_node(&one, "1.0.1", true).await.unwrap();
    log.report_node(&one, "1.0.1", true).await.unwrap();
    let listed = log.nodes().await.unwrap();
    let parts: Vec<_> = listed.iter().map(|it| (it.holder.clone(), it.version.as_str(), it.is_silent)).collect();
    assert_eq!(parts, [(one.clone(), "1.0.1", false), (two.clone(), "1.0.0", false)]);
    assert_eq!(listed.iter().map(|it| it.shares_documents).collect::<Vec<_>>(), [true, false]);
    assert!(listed[0].started_at < listed[0].last_seen_at, "{listed:?}");
    let again = Holder::new("one");
    log.report_node(&again, "1.0.2", true).await.unwrap();
    assert_eq!(log.nodes().await.unwrap().len(), 3, "two running nodes have the same name");
    for holder in [&one, &two, &two] {
        log.remove_node(holder).await.unwrap();
    }
    let left: Vec<_> = log.nodes().await.unwrap().into_iter().map(|it| it.holder).collect();
    assert_eq!(left, [again]);
}

async fn silent_nodes_are_removed(store: Store) {
    let log = store.open_database(Settings::default()).await;
    let [old, new, other] = ["one", "one", "two"].map(Holder::new);
    let age = async |seconds: u32| {
        let ago = match store.engine() {
            porttask_tests::Engine::Sqlite => format!("last_seen_at - {seconds} * 1000000"),
            porttask_tests::Engine::Postgres => format!("last_seen_at - interval '{seconds} seconds'"),
        };
        run_sql(&store, &format!("UPDATE ledger.nodes SET last_seen_at = {ago}")).await;
    };
    let listed = async || {
        let nodes = log.nodes().await.unwrap().into_iter();
        nodes.map(|it| (it.holder, it.is_silent)).collect::<Vec<_>>()
    };
    log.report_node(&old, "1.0.0", true).await.unwrap();
    log.report_node(&other, "1.0.0", true).await.unwrap();
    age(31).await;
    assert_eq!(listed().await, [(old, true), (other.clone(), true)]);
    log.report_node(&new, "1.0.0", true).await.unwrap();
    assert_eq!(listed().await, [(new.clone(), false), (other, true)], "a former run of a node is not listed any more");
    age(24 * 60 * 60).await;
    log.report_node(&new, "1.0.0", true).await.unwrap();
    assert_eq!(listed().await, [(new, false)]);
}
