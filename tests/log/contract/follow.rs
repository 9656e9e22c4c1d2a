//! Reading on for ever: followers, wake-ups, incarnations.

use std::sync::Arc;
use std::time::Duration;

use porttask_runtime::log::{
    Checkpoint, EventId, EventLog, FollowError, Follower, Offset, OrganizationId, PartitionId, Position, RecordedEvent,
};
use porttask_tests::{Store, faults, found, on_both_engines, simple};
use tokio::time::timeout;

on_both_engines! {
    a_follower_reads_what_is_there_and_then_what_comes,
    a_follower_resumes_after_the_last_event_that_it_saw,
    a_page_never_overlaps_the_one_before_it,
    a_subscriber_is_woken_by_an_append_and_left_alone_otherwise,
    a_subscriber_never_hears_of_an_offset_that_is_not_there,
    a_new_node_knows_the_heads,
    a_checkpoint_of_an_event_that_is_not_there_is_refused,
    a_checkpoint_of_another_incarnation_is_refused,
    an_incarnation_is_one_until_another_begins,
    a_partition_that_does_not_exist_cannot_be_followed,
}

/// How soon a subscriber is woken.
const SOON: Duration = Duration::from_secs(2);
const PLATFORM: OrganizationId = OrganizationId::PLATFORM;

async fn append(log: &dyn EventLog, times: usize) {
    for _ in 0..times {
        log.append(simple(PLATFORM, "a")).await.unwrap();
    }
}

fn offsets(events: &[RecordedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.position.offset.0).collect()
}

async fn next(follower: &mut Follower, limit: usize) -> Vec<u64> {
    offsets(&timeout(SOON, follower.next(limit)).await.expect("the follower was not woken").unwrap())
}

async fn a_follower_reads_what_is_there_and_then_what_comes(store: Store) {
    let log = store.open().await;
    append(&*log, 5).await;
    let mut follower = Follower::from_start(Arc::clone(&log), PartitionId::PLATFORM).await.unwrap();
    assert_eq!(next(&mut follower, 3).await, [1, 2, 3]);
    assert_eq!(next(&mut follower, 3).await, [4, 5]);
    assert_eq!(follower.page(3).await.unwrap(), []);
    let (read, ()) = tokio::join!(next(&mut follower, 3), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        append(&*log, 1).await;
    });
    assert_eq!(read, [6]);
}

async fn a_follower_resumes_after_the_last_event_that_it_saw(store: Store) {
    let log = store.open().await;
    append(&*log, 5).await;
    let mut follower = Follower::from_start(Arc::clone(&log), PartitionId::PLATFORM).await.unwrap();
    let start = follower.checkpoint();
    follower.page(3).await.unwrap();
    let checkpoint = follower.checkpoint();
    assert_eq!(checkpoint.position, Position { partition: PartitionId::PLATFORM, offset: Offset(3) });
    drop((follower, log));

    let log = store.open().await;
    append(&*log, 1).await;
    let mut follower = Follower::resume(Arc::clone(&log), checkpoint).await.unwrap();
    assert_eq!(next(&mut follower, 10).await, [4, 5, 6]);
    let at_head = follower.checkpoint();
    let mut follower = Follower::resume(Arc::clone(&log), at_head).await.unwrap();
    append(&*log, 1).await;
    assert_eq!(next(&mut follower, 10).await, [7]);
    let mut follower = Follower::resume(log, start).await.unwrap();
    assert_eq!(next(&mut follower, 100).await, [1, 2, 3, 4, 5, 6, 7]);
}

async fn a_page_never_overlaps_the_one_before_it(store: Store) {
    let log = store.open().await;
    append(&*log, 23).await;
    for limit in [1, 2, 7, 22, 23, 24] {
        let mut follower = Follower::from_start(Arc::clone(&log), PartitionId::PLATFORM).await.unwrap();
        let mut read = Vec::new();
        loop {
            let page = follower.page(limit).await.unwrap();
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            read.extend(page);
        }
        assert_eq!(faults(PartitionId::PLATFORM, &read), Vec::<String>::new());
        assert_eq!(read.len(), 23);
    }
}

async fn a_subscriber_is_woken_by_an_append_and_left_alone_otherwise(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    let partition = log.partition_of(organization).await.unwrap().unwrap();
    let mut wakeups = log.subscribe(partition).unwrap();
    for _ in 0..3 {
        wakeups.mark_unchanged();
        let position = log.append(simple(organization, "a")).await.unwrap().position;
        timeout(SOON, wakeups.wait_for(|heard| *heard >= position.offset)).await.expect("not woken").unwrap();
    }
    // What the append itself may have set off comes first.
    tokio::time::sleep(Duration::from_millis(300)).await;
    wakeups.mark_unchanged();
    let woken = timeout(Duration::from_millis(1_500), wakeups.changed()).await;
    assert!(woken.is_err(), "woken without an append");
}

async fn a_subscriber_never_hears_of_an_offset_that_is_not_there(store: Store) {
    let log = store.open().await;
    let mut wakeups = log.subscribe(PartitionId::PLATFORM).unwrap();
    let appender = Arc::clone(&log);
    let appending = tokio::spawn(async move { append(&*appender, 200).await });
    let mut heard = Offset::START;
    while heard < Offset(200) {
        timeout(SOON, wakeups.changed()).await.expect("not woken").unwrap();
        let now = *wakeups.borrow_and_update();
        assert!(now >= heard, "the head ran back from {heard} to {now}");
        heard = now;
        let before = Offset(heard.0 - 1);
        let read = log.read_partition(PartitionId::PLATFORM, before, 1).await.unwrap();
        assert_eq!(offsets(&read), [heard.0]);
    }
    appending.await.unwrap();
}

async fn a_new_node_knows_the_heads(store: Store) {
    let log = store.open().await;
    append(&*log, 3).await;
    drop(log);
    let log = store.open().await;
    let mut wakeups = log.subscribe(PartitionId::PLATFORM).unwrap();
    timeout(SOON, wakeups.wait_for(|heard| *heard == Offset(3))).await.expect("not known").unwrap();
}

async fn a_checkpoint_of_an_event_that_is_not_there_is_refused(store: Store) {
    let log = store.open().await;
    append(&*log, 3).await;
    let mut follower = Follower::from_start(Arc::clone(&log), PartitionId::PLATFORM).await.unwrap();
    follower.page(2).await.unwrap();
    let genuine = follower.checkpoint();
    let at = |offset| Position { offset: Offset(offset), ..genuine.position };
    let other = EventId::generate();
    for checkpoint in [
        Checkpoint { event_id: other, ..genuine },
        Checkpoint { position: at(1), ..genuine },
        Checkpoint { position: at(3), ..genuine },
        Checkpoint { position: at(4), ..genuine },
        Checkpoint { position: at(1 << 40), ..genuine },
    ] {
        let refused = Follower::resume(Arc::clone(&log), checkpoint).await.err();
        assert_eq!(refused, Some(FollowError::Rewound { checkpoint }));
    }
    let message = FollowError::Rewound { checkpoint: genuine }.to_string();
    assert!(message.contains("older backup") && message.contains("events restored"), "{message}");
    Follower::resume(log, genuine).await.map(drop).unwrap();
}

async fn a_checkpoint_of_another_incarnation_is_refused(store: Store) {
    let log = store.open().await;
    append(&*log, 3).await;
    let mut follower = Follower::from_start(Arc::clone(&log), PartitionId::PLATFORM).await.unwrap();
    follower.page(2).await.unwrap();
    let checkpoint = follower.checkpoint();
    let current = log.begin_incarnation().await.unwrap();
    let refused = Follower::resume(Arc::clone(&log), checkpoint).await.err();
    assert_eq!(refused, Some(FollowError::OtherIncarnation { checkpoint, current }));
    let mut follower = Follower::from_start(log, PartitionId::PLATFORM).await.unwrap();
    assert_eq!(next(&mut follower, 10).await, [1, 2, 3]);
    assert_eq!(follower.checkpoint().incarnation, current);
}

async fn an_incarnation_is_one_until_another_begins(store: Store) {
    let log = store.open().await;
    let first = log.incarnation().await.unwrap();
    append(&*log, 1).await;
    assert_eq!(log.incarnation().await.unwrap(), first);
    let other_node = store.open().await;
    assert_eq!(other_node.incarnation().await.unwrap(), first);
    let second = log.begin_incarnation().await.unwrap();
    assert_ne!(second, first);
    assert_eq!(log.incarnation().await.unwrap(), second);
    assert_eq!(other_node.incarnation().await.unwrap(), second, "another node that is running");
    drop((log, other_node));
    let reopened = store.open().await;
    assert_eq!(reopened.incarnation().await.unwrap(), second);
    assert_ne!(Store::fresh(store.engine()).open().await.incarnation().await.unwrap(), first);
}

async fn a_partition_that_does_not_exist_cannot_be_followed(store: Store) {
    let log = store.open().await;
    let partitions = u16::try_from(log.heads().await.unwrap().len()).unwrap();
    assert!((0..partitions).all(|number| log.subscribe(PartitionId(number)).is_some()));
    for none in [PartitionId(partitions), PartitionId(u16::MAX)] {
        assert!(log.subscribe(none).is_none());
        let refused = Follower::from_start(Arc::clone(&log), none).await.err();
        assert_eq!(refused, Some(FollowError::NoSuchPartition(none)));
    }
}
