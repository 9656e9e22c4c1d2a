//! Appends to the partitions of an organization and of the platform at once.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use porttask_infra::log::QueueLimits;
use porttask_runtime::log::{Append, AppendError, EventLog, OrganizationId, Version};
use porttask_tests::{
    Acknowledged, Engine, History, Settings, Store, Work, by, event, found, on_both_engines, platform_stream, run_on,
    simple, stream,
};
use tokio::time::timeout;

use crate::blocked::Blocked;

on_both_engines! {
    concurrent_appends_of_one_and_of_two_partitions_are_all_recorded_once,
}

/// Shorter than a waiting writer takes to terminate the connection that blocks it.
const SOON: Duration = Duration::from_secs(1);

/// An event of the organization and one of the platform.
fn two_partitions(organization: OrganizationId, name: &str) -> Append {
    let events = [stream(organization, name), platform_stream(name)].map(|stream| event(&stream, *b"{}"));
    Append::new(organization, events.into())
}

async fn concurrent_appends_of_one_and_of_two_partitions_are_all_recorded_once(store: Store) {
    const CALLERS: usize = 64;
    const EACH: usize = 15;
    let nodes = [store.open().await, store.open().await];
    let work = Work::found(&*nodes[0]).await;
    let callers = (0..CALLERS).map(|caller| {
        let log = Arc::clone(&nodes[caller % 2]);
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for number in 0..EACH {
                // Half of the appends ask for nothing but the versions of few streams, the others have all shapes.
                let key = format!("{caller}-{number}");
                let name = format!("plain-{}", caller % 5);
                let append = match caller / 2 % 4 {
                    0 => simple(work.organization, &name),
                    1 => two_partitions(work.organization, &name),
                    _ => work.append(&key),
                };
                let appended = log.append(append.clone()).await.unwrap();
                acknowledged.push((caller / 2 % 4 > 1, Acknowledged::new(&key, &append, &appended)));
            }
            acknowledged
        })
    });
    let acknowledged: Vec<_> = join_all(callers).await.into_iter().flat_map(Result::unwrap).collect();
    let events: usize = acknowledged.iter().map(|(_, acknowledged)| acknowledged.events.len()).sum();
    let (worked, plain): (Vec<_>, Vec<_>) = acknowledged.into_iter().partition(|(is_work, _)| *is_work);
    let worked: Vec<_> = worked.into_iter().map(|(_, acknowledged)| acknowledged).collect();
    let history = work.assert_done(&*nodes[1], &worked, []).await;
    assert_eq!(history.events().count(), events + 1, "as many as acknowledged, and the organization's first event");
    for (placed, id) in plain.iter().flat_map(|(_, acknowledged)| &acknowledged.events) {
        let events = &history.partitions[usize::from(placed.position.partition.0)];
        let found = &events[placed.position.offset.0 as usize - 1];
        assert_eq!((found.id, found.version), (*id, placed.version));
    }
}

/// A node whose writers have appended before, with an organization.
async fn warm(store: &Store, settings: Settings) -> (Arc<dyn EventLog>, OrganizationId) {
    let log = store.open_with(settings).await;
    let organization = found(&*log).await;
    log.append(simple(organization, "warm")).await.unwrap();
    log.append(two_partitions(organization, "warm")).await.unwrap();
    (log, organization)
}

async fn waits_for_a_lock(store: &Store) {
    let waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    by(SOON, "a writer waits for a lock", async || !store.sql(waiting).await.is_empty()).await;
}

#[test]
fn an_ordinary_append_does_not_wait_while_a_two_partition_append_waits_for_the_platform() {
    run_on(Engine::Postgres, async |store: Store| {
        let (log, organization) = warm(&store, Settings::default()).await;
        let blocked = Blocked::platform(&store).await;
        let waiting_log = Arc::clone(&log);
        let waiting = tokio::spawn(async move { waiting_log.append(two_partitions(organization, "both")).await });
        waits_for_a_lock(&store).await;
        let ordinary = async {
            for _ in 0..10 {
                log.append(simple(organization, "ordinary")).await.unwrap();
            }
        };
        timeout(SOON, ordinary).await.expect("ordinary appends wait for the platform");
        assert!(!waiting.is_finished(), "the platform was not locked");
        blocked.end().await;
        waiting.await.unwrap().unwrap();
        let streams = ["ordinary", "both"].map(|name| stream(organization, name));
        assert_eq!(log.versions(&streams).await.unwrap(), [Version(10), Version(1)]);
        History::of(&*log).await.assert_sound();
    });
}

#[test]
fn waiting_two_partition_appends_leave_room_for_ordinary_ones() {
    run_on(Engine::Postgres, async |store: Store| {
        let queue = Some(QueueLimits { appends: 4, ..QueueLimits::default() });
        let (log, organization) = warm(&store, Settings { queue, ..Settings::default() }).await;
        let blocked = Blocked::platform(&store).await;
        let waiting: Vec<_> = (0..50)
            .map(|_| {
                let log = Arc::clone(&log);
                tokio::spawn(async move { log.append(two_partitions(organization, "both")).await })
            })
            .collect();
        waits_for_a_lock(&store).await;
        timeout(SOON, log.append(simple(organization, "ordinary"))).await.expect("waits").unwrap();
        blocked.end().await;
        let answers: Vec<_> = join_all(waiting).await.into_iter().map(Result::unwrap).collect();
        let refused = answers.iter().filter(|answer| **answer == Err(AppendError::Overloaded)).count();
        let written = answers.iter().filter(|answer| answer.is_ok()).count();
        assert!(refused > 0 && refused + written == 50, "{answers:?}");
        History::of(&*log).await.assert_sound();
    });
}

#[test]
fn append_sessions_are_few_and_closed_when_idle() {
    run_on(Engine::Postgres, async |store: Store| {
        let settings = Settings { partitions: Some(16), idle: Some(Duration::from_secs(2)), ..Settings::default() };
        let (log, _) = warm(&store, settings).await;
        let callers = (0..64).map(|_| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let organization = found(&*log).await;
                for _ in 0..5 {
                    log.append(simple(organization, "a")).await.unwrap();
                    log.append(two_partitions(organization, "a")).await.unwrap();
                }
            })
        });
        join_all(callers).await.into_iter().for_each(Result::unwrap);
        let last_committed = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query = 'COMMIT'";
        let sessions = store.sql(last_committed).await.len();
        assert!((2..=12).contains(&sessions), "{sessions} append sessions");
        by(Duration::from_secs(10), "they are closed", async || store.sql(last_committed).await.is_empty()).await;
        log.append(two_partitions(found(&*log).await, "a")).await.unwrap();
        History::of(&*log).await.assert_sound();
    });
}
