//! Counts of failed attempts: those of all nodes add up, within their window.

use futures_util::future::join_all;
use jiff::Timestamp;
use porttask_runtime::{attempts::AttemptCount, ledger::Database};
use porttask_tests::{Settings, Store, on_both_engines};
use uuid::Uuid;

on_both_engines! {
    the_failures_on_all_nodes_add_up,
    a_counter_starts_anew_after_its_window_and_after_an_unlock,
    a_counter_is_reset,
}

fn second(number: i64) -> Timestamp {
    Timestamp::from_second(number).unwrap()
}

/// Failures that are added at this second to a window of a hundred seconds.
fn failures(counter: u128, failures: i64, at: i64) -> AttemptCount {
    let (since, expires_at) = (second(at), second(at + 100));
    AttemptCount { counter: Uuid::from_u128(counter), failures, since, last: since, unlocks: 0, expires_at }
}

async fn counted(log: &dyn Database, counter: u128) -> Option<AttemptCount> {
    log.attempt_counts(&[Uuid::from_u128(counter)]).await.unwrap().pop()
}

async fn the_failures_on_all_nodes_add_up(store: Store) {
    let nodes = [store.open_database(Settings::default()).await, store.open_database(Settings::default()).await];
    let adding = (0..20).map(|number| {
        let node = &nodes[number % 2];
        // In different orders.
        let mut added = vec![failures(1, 2, 10), failures(2, 1, 10), failures(3, 1, 10)];
        added.rotate_left(number % 3);
        async move { node.add_attempts(&[], &added).await.unwrap() }
    });
    join_all(adding).await;
    let expected = AttemptCount { failures: 40, ..failures(1, 0, 10) };
    assert_eq!(counted(&*nodes[0], 1).await, Some(expected));
    let mut both = nodes[1].attempt_counts(&[2, 3, 4].map(Uuid::from_u128)).await.unwrap();
    both.sort_by_key(|it| it.counter);
    assert_eq!(
        both,
        [AttemptCount { failures: 20, ..failures(2, 0, 10) }, AttemptCount { failures: 20, ..failures(3, 0, 10) }]
    );
    // Attempts that succeeded are taken back, but never more than there are.
    nodes[0].add_attempts(&[], &[failures(1, -30, 20)]).await.unwrap();
    let expected = AttemptCount { failures: 10, last: second(20), ..failures(1, 0, 10) };
    assert_eq!(counted(&*nodes[1], 1).await, Some(expected), "the window is that of the first failure");
    nodes[0].add_attempts(&[], &[failures(1, -11, 20)]).await.unwrap();
    assert_eq!(counted(&*nodes[1], 1).await.map(|it| it.failures), Some(0));
}

async fn a_counter_starts_anew_after_its_window_and_after_an_unlock(store: Store) {
    let log = store.open_database(Settings::default()).await;
    log.add_attempts(&[], &[failures(1, 5, 10)]).await.unwrap();
    log.add_attempts(&[], &[failures(1, 1, 109)]).await.unwrap();
    assert_eq!(counted(&*log, 1).await, Some(AttemptCount { failures: 6, last: second(109), ..failures(1, 0, 10) }));
    log.add_attempts(&[], &[failures(1, 1, 110)]).await.unwrap();
    assert_eq!(counted(&*log, 1).await, Some(failures(1, 1, 110)));
    let unlocked = AttemptCount { unlocks: 1, ..failures(1, 1, 120) };
    log.add_attempts(&[], &[unlocked]).await.unwrap();
    assert_eq!(counted(&*log, 1).await, Some(unlocked));
    // All these windows have ended long ago.
    log.forget_expired().await.unwrap();
    assert_eq!(counted(&*log, 1).await, None);
}

async fn a_counter_is_reset(store: Store) {
    let log = store.open_database(Settings::default()).await;
    log.add_attempts(&[], &[failures(1, 5, 10), failures(2, 5, 10)]).await.unwrap();
    let both = [1, 3].map(Uuid::from_u128);
    log.add_attempts(&both, &[failures(1, 1, 20)]).await.unwrap();
    assert_eq!(counted(&*log, 1).await, Some(failures(1, 1, 20)));
    assert_eq!(counted(&*log, 2).await.map(|it| it.failures), Some(5));
    log.add_attempts(&both, &[]).await.unwrap();
    assert_eq!(counted(&*log, 1).await, None);
}
