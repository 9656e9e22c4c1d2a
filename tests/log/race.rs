//! Many writers and readers at once, in one process, on two nodes, and in several processes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use porttask_runtime::log::{
    Append, AppendError, ConstraintViolation, EventId, EventLog, Follower, Head, Offset, OrganizationId, PartitionId,
    Placed, RecordedEvent, Version,
};
use porttask_tests::{
    Appender, Dice, Engine, History, Store, Work, by, claim, count, event, faults, found, holder_of, on_both_engines,
    platform_stream, run_on, simple, stream, value_of,
};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::blocked::Blocked;

on_both_engines! {
    racing_writers_lose_nothing_and_followers_miss_nothing,
    of_two_racers_for_a_name_one_gets_it,
    a_count_stays_within_its_bounds_under_race,
    a_name_and_a_count_hold_on_two_nodes,
    two_nodes_that_wait_for_one_lock_see_what_the_other_did,
    appends_across_partitions_race_without_deadlock,
}

const WRITERS: usize = 64;
const APPENDS_EACH: usize = 20;
const STREAMS: u32 = 12;

/// Writes to one to three of the streams at the versions read, until every append holds. Answers what was acknowledged.
async fn write(
    log: Arc<dyn EventLog>,
    organization: OrganizationId,
    conflicts: Arc<AtomicUsize>,
) -> Vec<(EventId, Placed)> {
    let mut dice = Dice::new();
    let mut acknowledged = Vec::new();
    for _ in 0..APPENDS_EACH {
        let names: HashSet<u32> = (0..=dice.below(3)).map(|_| dice.below(STREAMS)).collect();
        let streams: Vec<_> = names.into_iter().map(|name| stream(organization, format!("s-{name}"))).collect();
        loop {
            let read = log.versions(&streams).await.unwrap();
            let events: Vec<_> = streams.iter().map(|stream| event(stream, *b"{}")).collect();
            let ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
            let append =
                streams.iter().zip(&read).fold(Append::new(organization, events), |append, (stream, version)| {
                    append.expecting(stream.clone(), *version)
                });
            match log.append(append).await {
                Ok(appended) => {
                    let expected: Vec<Version> = read.iter().map(|version| Version(version.0 + 1)).collect();
                    let versions: Vec<Version> = appended.events.iter().map(|placed| placed.version).collect();
                    assert_eq!(versions, expected);
                    acknowledged.extend(ids.into_iter().zip(appended.events));
                    break;
                }
                Err(AppendError::Conflict { .. }) => _ = conflicts.fetch_add(1, Ordering::Relaxed),
                Err(error) => panic!("neither recorded nor in conflict: {error}"),
            }
        }
    }
    acknowledged
}

/// Where every partition ends, once all writers are done.
type Ends = watch::Receiver<Option<Vec<Head>>>;

/// Reads a partition as it grows, to its end, and from time to time forgets all but its checkpoint if it `reconnects`.
async fn follow(log: Arc<dyn EventLog>, partition: PartitionId, reconnects: bool, ends: Ends) -> Vec<RecordedEvent> {
    let mut dice = Dice::new();
    let mut follower = Follower::from_start(Arc::clone(&log), partition).await.unwrap();
    let mut read: Vec<RecordedEvent> = Vec::new();
    loop {
        let end = ends.borrow().as_ref().map(|heads| heads[usize::from(partition.0)].position.offset);
        if end.is_some_and(|end| read.len() as u64 >= end.0) {
            return read;
        }
        // After the last append there is one more wake-up to come, and it must come.
        let patience = Duration::from_millis(if end.is_some() { 10_000 } else { 50 });
        match timeout(patience, follower.next(dice.below(40) as usize + 1)).await {
            Ok(page) => read.extend(page.unwrap()),
            Err(_) if end.is_some() => {
                panic!("a follower of {partition} is stuck at {}", follower.checkpoint().position)
            }
            Err(_) => {}
        }
        if reconnects && dice.below(4) == 0 {
            follower = Follower::resume(Arc::clone(&log), follower.checkpoint()).await.unwrap();
        }
    }
}

async fn racing_writers_lose_nothing_and_followers_miss_nothing(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let partition = log.partition_of(organization).await.unwrap().unwrap();
    let (done, ends) = watch::channel(None);
    let conflicts = Arc::new(AtomicUsize::new(0));
    let other_node = store.open().await;
    let followers = [(&log, false), (&log, true), (&other_node, true)]
        .map(|(log, reconnects)| tokio::spawn(follow(Arc::clone(log), partition, reconnects, ends.clone())));
    let writers = (0..WRITERS).map(|_| tokio::spawn(write(Arc::clone(&log), organization, Arc::clone(&conflicts))));
    let acknowledged: Vec<(EventId, Placed)> =
        join_all(writers).await.into_iter().flat_map(|writer| writer.unwrap()).collect();
    done.send_replace(Some(log.heads().await.unwrap()));

    let history = History::of(&*log).await;
    history.assert_sound();
    let placed = |event: &RecordedEvent| Placed { position: event.position, version: event.version };
    let recorded: HashMap<EventId, Placed> = history.events().map(|event| (event.id, placed(event))).collect();
    assert_eq!(
        acknowledged.len() + 1,
        recorded.len(),
        "as many events as were acknowledged, and the creates_organization"
    );
    assert!(acknowledged.iter().all(|(id, placed)| recorded.get(id) == Some(placed)), "an acknowledged event is lost");
    for follower in followers {
        let read = follower.await.unwrap();
        assert_eq!(faults(partition, &read), Vec::<String>::new());
        assert_eq!(read, history.partitions[usize::from(partition.0)]);
    }
    let conflicts = conflicts.load(Ordering::Relaxed);
    assert!(conflicts > 0, "nothing was in conflict: this was no race");
}

async fn of_two_racers_for_a_name_one_gets_it(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    for round in 0..30 {
        let name = format!("name-{round}");
        let race = |owner: &'static str| {
            let append =
                simple(organization, format!("{owner}-{round}")).constrained(claim(organization, &name, owner));
            log.append(append)
        };
        let (one, other) = tokio::join!(race("usr_1"), race("usr_2"));
        assert!(one.is_ok() != other.is_ok(), "{one:?}, {other:?}");
        let (winner, rejection) = if one.is_ok() { ("usr_1", other) } else { ("usr_2", one) };
        let Err(AppendError::Constraint(ConstraintViolation::Taken { owner, .. })) = rejection else {
            panic!("{rejection:?}")
        };
        assert_eq!(owner, winner);
        assert_eq!(holder_of(&*log, organization, &name).await.as_deref(), Some(winner));
    }
}

/// Counts up and down at random, between the bounds, on these nodes; answers the sum of what held.
async fn count_at_random(nodes: &[Arc<dyn EventLog>], organization: OrganizationId, minimum: i64, maximum: i64) -> i64 {
    let racers = (0..24).map(|number| {
        let log = Arc::clone(&nodes[number % nodes.len()]);
        tokio::spawn(async move {
            let mut dice = Dice::new();
            let mut sum = 0;
            for _ in 0..15 {
                let by = i64::from(dice.below(7)) - 3;
                let seats = count(organization, "seats", by, Some(minimum), Some(maximum));
                match log.append(simple(organization, format!("racer-{number}")).constrained(seats)).await {
                    Ok(_) => sum += by,
                    Err(AppendError::Constraint(ConstraintViolation::BelowMinimum { value, .. })) => {
                        assert!((minimum..=maximum).contains(&value) && value + by < minimum, "{value} {by}");
                    }
                    Err(AppendError::Constraint(ConstraintViolation::AboveMaximum { value, .. })) => {
                        assert!((minimum..=maximum).contains(&value) && value + by > maximum, "{value} {by}");
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            sum
        })
    });
    join_all(racers).await.into_iter().map(Result::unwrap).sum()
}

async fn a_count_stays_within_its_bounds_under_race(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let sum = count_at_random(&[Arc::clone(&log)], organization, 0, 5).await;
    let value = value_of(&*log, organization, "seats").await;
    assert_eq!(value, sum);
    assert!((0..=5).contains(&value));
}

async fn a_name_and_a_count_hold_on_two_nodes(store: Store) {
    let nodes = [store.open().await, store.open().await];
    let organization = found(&*nodes[0]).await;
    for owner in [organization, OrganizationId::PLATFORM] {
        for round in 0..20 {
            let name = format!("{owner}-{round}");
            let race = |node: usize| {
                let append = simple(organization, "a").constrained(claim(owner, &name, &format!("usr_{node}")));
                nodes[node].append(append)
            };
            let (one, other) = tokio::join!(race(0), race(1));
            assert!(one.is_ok() != other.is_ok(), "{one:?}, {other:?}");
            let winner = if one.is_ok() { "usr_0" } else { "usr_1" };
            assert_eq!(holder_of(&*nodes[0], owner, &name).await.as_deref(), Some(winner));
        }
    }
    let sum = count_at_random(&nodes, organization, -2, 2).await;
    let value = value_of(&*nodes[1], organization, "seats").await;
    assert_eq!(value, sum);
    History::of(&*nodes[0]).await.assert_sound();
}

async fn two_nodes_that_wait_for_one_lock_see_what_the_other_did(store: Store) {
    let nodes = [store.open().await, store.open().await];
    let organization = found(&*nodes[0]).await;
    for (round, owner) in [organization, OrganizationId::PLATFORM, organization].into_iter().enumerate() {
        // Both nodes know everything so far, so that nothing but what the other does can be new to them.
        for node in &nodes {
            node.append(simple(organization, "warm")).await.unwrap();
        }
        let blocked = Blocked::on(&store).await;
        let last = format!("last-{round}");
        let racers: Vec<_> = (0..2)
            .map(|number| {
                let node = Arc::clone(&nodes[number]);
                let append = simple(organization, format!("racer-{number}"))
                    .expecting(stream(organization, &last), Version::NONE)
                    .constrained(count(owner, &last, 1, None, Some(1)));
                tokio::spawn(async move { node.append(append).await })
            })
            .collect();
        if store.engine() == Engine::Postgres {
            let waiting = "SELECT pid FROM pg_stat_activity \
                WHERE datname = current_database() AND wait_event_type = 'Lock'";
            by(Duration::from_secs(3), "both nodes wait", async || store.sql(waiting).await.len() == 2).await;
        }
        blocked.end().await;
        let answers: Vec<_> = join_all(racers).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        let is_full = |answer: &Result<_, AppendError>| {
            matches!(answer, Err(AppendError::Constraint(ConstraintViolation::AboveMaximum { value: 1, .. })))
        };
        assert!(answers.iter().any(is_full), "{answers:?}");
        assert_eq!(value_of(&*nodes[0], owner, &last).await, 1);
    }
}

async fn appends_across_partitions_race_without_deadlock(store: Store) {
    let nodes = [store.open().await, store.open().await];
    let mut organizations = vec![OrganizationId::PLATFORM];
    for _ in 0..6 {
        organizations.push(found(&*nodes[0]).await);
    }
    let racers = (0..48).map(|racer| {
        let log = Arc::clone(&nodes[racer % 2]);
        let organization = organizations[racer % organizations.len()];
        tokio::spawn(async move {
            for number in 0..8 {
                // Platform first, or organization first, or the platform only read.
                let mut events = vec![
                    event(&platform_stream(format!("p-{}", number % 3)), *b"{}"),
                    event(&stream(organization, "a"), *b"{}"),
                ];
                match (racer + number) % 3 {
                    0 => events.reverse(),
                    1 => drop(events.remove(0)),
                    _ => {}
                }
                let terms = platform_stream("terms");
                log.append(Append::new(organization, events).expecting(terms, Version::NONE)).await.unwrap();
            }
        })
    });
    for racer in join_all(racers).await {
        racer.unwrap();
    }
    let history = History::of(&*nodes[1]).await;
    history.assert_sound();
    assert!(history.partitions[0].len() > 200, "{}", history.partitions[0].len());
}

/// Three processes on one store, while followers of every partition read here.
async fn processes_write_while_followers_read(store: Store) {
    let log = store.open().await;
    let work = Work::found(&*log).await;
    let (done, ends) = watch::channel(None);
    let heads = log.heads().await.unwrap();
    let followers: Vec<_> = heads
        .iter()
        .map(|head| tokio::spawn(follow(Arc::clone(&log), head.position.partition, true, ends.clone())))
        .collect();
    let program = env!("CARGO_BIN_EXE_appender");
    let children: Vec<_> =
        ["x", "y", "z"].map(|name| Appender::start(program, &store, work, name, 16, 20)).into_iter().collect();
    let mut acknowledged = Vec::new();
    for child in children {
        acknowledged.extend(tokio::task::spawn_blocking(move || child.wait()).await.unwrap().1);
    }
    done.send_replace(Some(log.heads().await.unwrap()));
    assert_eq!(acknowledged.len(), 3 * 16 * 20, "an append was not acknowledged");
    let history = work.assert_done(&*log, &acknowledged, []).await;
    for (follower, events) in followers.into_iter().zip(history.partitions) {
        assert_eq!(follower.await.unwrap(), events);
    }
    assert!(log.heads().await.unwrap().iter().any(|head| head.position.offset > Offset(900)));
}

#[test]
fn three_processes_write_to_postgres_while_followers_read() {
    run_on(Engine::Postgres, processes_write_while_followers_read);
}

#[test]
fn three_processes_write_to_one_file_while_followers_read() {
    run_on(Engine::Sqlite, processes_write_while_followers_read);
}
