//! The clock of a log: real, or simulated from the start.

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use porttask_runtime::clock::{self, Advance, Clock, ClockError, synchronize};
use porttask_tests::{Settings, Store, by, found, on_both_engines};
use std::{sync::Arc, time::Duration};

on_both_engines! {
    the_clock_of_a_log_is_real_unless_it_was_created_otherwise,
    a_log_with_events_keeps_its_kind_of_clock,
    a_simulated_clock_advances_on_all_nodes_and_never_goes_back,
    of_advances_at_once_none_is_lost,
    a_node_shows_the_time_of_its_log,
    a_running_node_follows_a_simulated_clock,
}

const DAY: SignedDuration = SignedDuration::from_hours(24);

async fn the_clock_of_a_log_is_real_unless_it_was_created_otherwise(store: Store) {
    let log = store.open_database(Settings::default()).await;
    assert_eq!(log.clock_offset().await, Ok(None));
    for advance in [Advance::By(DAY), Advance::To(Timestamp::now() + DAY)] {
        assert_eq!(log.advance_clock(advance).await, Err(ClockError::Real));
    }
    let difference = log.database_time().await.unwrap().duration_since(Timestamp::now());
    assert!(difference.abs() < SignedDuration::from_mins(1), "{difference:?}");
}

async fn a_log_with_events_keeps_its_kind_of_clock(store: Store) {
    let log = store.open_database(Settings::default()).await;
    found(&*log).await;
    assert_eq!(log.simulate_clock().await, Err(ClockError::HasEvents));
    assert_eq!(log.clock_offset().await, Ok(None));

    let other = Store::fresh(store.engine());
    let simulated = other.open_database(Settings::default()).await;
    simulated.simulate_clock().await.unwrap();
    found(&*simulated).await;
    assert_eq!(simulated.simulate_clock().await, Ok(()), "it already is");
    assert_eq!(simulated.clock_offset().await, Ok(Some(SignedDuration::ZERO)));
}

async fn a_simulated_clock_advances_on_all_nodes_and_never_goes_back(store: Store) {
    let [one, other] = [store.open_database(Settings::default()).await, store.open_database(Settings::default()).await];
    one.simulate_clock().await.unwrap();
    let organization = found(&*one).await;
    assert_eq!(one.advance_clock(Advance::By(DAY)).await, Ok(DAY));
    assert_eq!(other.clock_offset().await, Ok(Some(DAY)));
    assert_eq!(one.simulate_clock().await, Ok(()));
    assert_eq!(other.clock_offset().await, Ok(Some(DAY)), "the offset stays");

    let target = other.database_time().await.unwrap() + DAY * 30;
    let offset = other.advance_clock(Advance::To(target)).await.unwrap();
    let shown = one.database_time().await.unwrap() + offset;
    assert!((target..target + SignedDuration::from_mins(1)).contains(&shown), "{shown} after {target}");
    for back in [Advance::By(-SignedDuration::from_micros(1)), Advance::To(target - DAY)] {
        let refused = one.advance_clock(back).await;
        assert!(matches!(refused, Err(ClockError::Backwards { now }) if now >= target), "{refused:?}");
    }
    assert_eq!(one.advance_clock(Advance::By(SignedDuration::MAX)).await, Err(ClockError::TooFar));
    assert_eq!(store.open_database(Settings::default()).await.clock_offset().await, Ok(Some(offset)));

    // Recording is not simulated.
    let head = one.heads().await.unwrap().into_iter().max_by_key(|head| head.recorded_at).unwrap();
    assert!(head.recorded_at < Timestamp::now() + SignedDuration::from_mins(1), "{organization}: {head:?}");
}

async fn of_advances_at_once_none_is_lost(store: Store) {
    let nodes = [store.open_database(Settings::default()).await, store.open_database(Settings::default()).await];
    nodes[0].simulate_clock().await.unwrap();
    let advances = (0..8).map(|number| nodes[number % 2].advance_clock(Advance::By(DAY)));
    assert!(join_all(advances).await.iter().all(Result::is_ok));
    assert_eq!(nodes[1].clock_offset().await, Ok(Some(DAY * 8)));
}

async fn a_node_shows_the_time_of_its_log(store: Store) {
    let log = store.open_database(Settings::default()).await;
    let clock = Clock::new();
    log.simulate_clock().await.unwrap();
    log.advance_clock(Advance::By(DAY)).await.unwrap();
    synchronize(&*log, &clock).await.unwrap();
    assert!(clock.is_trusted() && clock.is_simulated());
    assert!(clock.difference().abs() < SignedDuration::from_secs(1), "the server runs on this machine");
    let ahead = clock.now().duration_since(log.database_time().await.unwrap());
    assert!((ahead - DAY).abs() < SignedDuration::from_secs(5), "{ahead:?}");
}

async fn a_running_node_follows_a_simulated_clock(store: Store) {
    let [node, other] =
        [store.open_database(Settings::default()).await, store.open_database(Settings::default()).await];
    node.simulate_clock().await.unwrap();
    let clock = Arc::new(Clock::new());
    synchronize(&*node, &clock).await.unwrap();
    let running = tokio::spawn(clock::run(node, Arc::clone(&clock)));
    assert_eq!(clock.occurred_at(), None);
    other.advance_clock(Advance::By(DAY)).await.unwrap();
    by(Duration::from_secs(5), "the offset is followed", async || clock.offset() == DAY).await;
    assert!(clock.occurred_at().unwrap() > Timestamp::now() + SignedDuration::from_hours(23));
    running.abort();
}
