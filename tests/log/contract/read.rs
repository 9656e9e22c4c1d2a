//! What readers see: streams, partitions, versions, heads.

use porttask_runtime::log::{
    Append, EventId, Head, Offset, OrganizationId, PartitionId, Position, RecordedEvent, StreamId, Version,
};
use porttask_tests::{History, Store, event, found, on_both_engines, page_to_end, platform_stream, simple, stream};
use std::time::Duration;

use crate::blocked::Blocked;

on_both_engines! {
    a_stream_is_read_from_any_version_with_any_limit,
    a_long_stream_is_read_from_the_middle,
    streams_between_others_are_read_whole,
    a_partition_is_read_from_any_offset_with_any_limit,
    events_are_read_at_their_offsets,
    versions_are_answered_in_the_order_asked,
    whoever_asks_for_versions_at_the_same_time_is_told_their_own,
    heads_are_the_last_events,
    an_event_reads_alike_in_its_stream_and_its_partition,
    readers_do_not_wait_for_writers,
}

/// One event at a time or a few, as callers do.
async fn fill(log: &dyn porttask_runtime::log::EventLog, organization: OrganizationId, name: &str, events: usize) {
    let stream = stream(organization, name);
    let mut written = 0;
    while written < events {
        let next = (written % 7 + 1).min(events - written);
        let events = (0..next).map(|index| event(&stream, (written + index + 1).to_string())).collect();
        log.append(Append::new(organization, events)).await.unwrap();
        written += next;
    }
}

fn numbers(events: &[RecordedEvent]) -> Vec<u64> {
    let of = |event: &RecordedEvent| {
        assert!(event.is_intact());
        let number = std::str::from_utf8(&event.data).unwrap().parse().unwrap();
        assert_eq!(event.version, Version(number), "the stream's events are not in order");
        number
    };
    events.iter().map(of).collect()
}

async fn a_stream_is_read_from_any_version_with_any_limit(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    fill(&*log, organization, "a", 10).await;
    let a = stream(organization, "a");
    for after in 0..12 {
        for limit in 0..12 {
            let read = log.read_stream(&a, Version(after), limit as usize).await.unwrap();
            let expected: Vec<u64> = (after + 1..=10).take(limit as usize).collect();
            assert_eq!(numbers(&read), expected, "after {after}, at most {limit}");
        }
    }
    for far in [Version(1 << 40), Version(i64::MAX as u64), Version(u64::MAX)] {
        assert_eq!(log.read_stream(&a, far, 10).await.unwrap(), []);
    }
    assert_eq!(log.read_stream(&a, Version::NONE, usize::MAX).await.unwrap().len(), 10);
    assert_eq!(log.read_stream(&stream(organization, "b"), Version::NONE, 10).await.unwrap(), []);
}

async fn a_long_stream_is_read_from_the_middle(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    // Two long streams through each other, and one that stands between them.
    for _ in 0..3 {
        simple_to(&*log, organization, "between").await;
    }
    tokio::join!(fill(&*log, organization, "long", 300), fill(&*log, organization, "other", 150));
    let long = stream(organization, "long");
    for after in [0, 1, 62, 63, 64, 65, 127, 128, 129, 150, 191, 192, 255, 256, 257, 298, 299, 300] {
        for limit in [1, 2, 5, 64, 1_000] {
            let read = log.read_stream(&long, Version(after), limit).await.unwrap();
            assert_eq!(numbers(&read), (after + 1..=300).take(limit).collect::<Vec<_>>(), "after {after}");
        }
    }
    let mut read = Vec::new();
    while read.len() < 300 {
        let page = log.read_stream(&long, Version(read.len() as u64), 7).await.unwrap();
        assert!(!page.is_empty());
        read.extend(page);
    }
    assert_eq!(numbers(&read), (1..=300).collect::<Vec<_>>());
}

async fn simple_to(log: &dyn porttask_runtime::log::EventLog, organization: OrganizationId, name: &str) {
    log.append(simple(organization, name)).await.unwrap();
}

async fn streams_between_others_are_read_whole(store: Store) {
    let log = store.open().await;
    let (one, other) = (found(&*log).await, found(&*log).await);
    let platform = OrganizationId::PLATFORM;
    for _ in 0..8 {
        for (organization, name) in [(one, "a"), (other, "a"), (one, "a-1"), (platform, "a"), (one, "A"), (one, "a")] {
            simple_to(&*log, organization, name).await;
        }
    }
    for (stream, events) in [
        (stream(one, "a"), 16),
        (stream(other, "a"), 8),
        (stream(one, "a-1"), 8),
        (platform_stream("a"), 8),
        (stream(one, "A"), 8),
    ] {
        let read = log.read_stream(&stream, Version::NONE, 100).await.unwrap();
        assert!(read.iter().all(|event| event.stream == stream && event.is_intact()));
        let versions: Vec<u64> = read.iter().map(|event| event.version.0).collect();
        assert_eq!(versions, (1..=events).collect::<Vec<_>>(), "{stream}");
    }
}

async fn a_partition_is_read_from_any_offset_with_any_limit(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    fill(&*log, organization, "a", 9).await;
    let partition = log.partition_of(organization).await.unwrap().unwrap();
    for after in 0..12 {
        for limit in 0..12 {
            let read = log.read_partition(partition, Offset(after), limit as usize).await.unwrap();
            let offsets: Vec<u64> = read.iter().map(|event| event.position.offset.0).collect();
            assert_eq!(offsets, (after + 1..=10).take(limit as usize).collect::<Vec<_>>());
        }
    }
    for far in [Offset(1 << 40), Offset(i64::MAX as u64), Offset(u64::MAX)] {
        assert_eq!(log.read_partition(partition, far, 10).await.unwrap(), []);
    }
    assert_eq!(log.read_partition(partition, Offset::START, usize::MAX).await.unwrap().len(), 10);
    assert_eq!(page_to_end(&*log, partition, Offset::START, 3).await.len(), 10);
}

async fn events_are_read_at_their_offsets(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    fill(&*log, organization, "a", 10).await;
    let home = log.partition_of(organization).await.unwrap().unwrap();
    let all = log.read_partition(home, Offset(0), 100).await.unwrap();
    let offset = |index: usize| all[index].position.offset;
    let nowhere = [Offset(0), Offset(u64::MAX), Offset(1 << 40)];
    for wanted in [vec![], vec![7, 2, 9], (0..all.len()).rev().collect(), vec![3, 3]] {
        let mut offsets: Vec<Offset> = wanted.iter().map(|index| offset(*index)).collect();
        offsets.extend(nowhere);
        let mut sorted = wanted;
        sorted.sort_unstable();
        sorted.dedup();
        let expected: Vec<RecordedEvent> = sorted.into_iter().map(|index| all[index].clone()).collect();
        assert_eq!(log.read_at(home, &offsets).await.unwrap(), expected, "{offsets:?}");
    }
    assert_eq!(log.read_at(PartitionId(60_000), &[offset(0)]).await.unwrap(), []);
}

async fn versions_are_answered_in_the_order_asked(store: Store) {
    let log = store.open().await;
    let (one, other) = (found(&*log).await, found(&*log).await);
    for number in 0..40 {
        let events = (0..=number % 5).map(|_| event(&stream(one, format!("s-{number}")), *b"{}")).collect();
        log.append(Append::new(one, events)).await.unwrap();
    }
    simple_to(&*log, other, "s-1").await;
    simple_to(&*log, OrganizationId::PLATFORM, "s-1").await;
    let mut asked: Vec<(StreamId, u64)> =
        (0..40).map(|number| (stream(one, format!("s-{number}")), number % 5 + 1)).collect();
    asked.reverse();
    asked.insert(3, (stream(one, "none"), 0));
    asked.insert(7, (stream(other, "s-1"), 1));
    asked.insert(9, (platform_stream("s-1"), 1));
    asked.insert(11, (stream(porttask_runtime::new_id::<OrganizationId>(), "s-1"), 0));
    asked.push(asked[20].clone());
    let (streams, expected): (Vec<_>, Vec<_>) =
        asked.into_iter().map(|(stream, version)| (stream, Version(version))).unzip();
    assert_eq!(log.versions(&streams).await.unwrap(), expected);
    assert_eq!(log.versions(&[]).await.unwrap(), []);
    let many: Vec<StreamId> = (0..2_000).map(|number| stream(one, format!("s-{number}"))).collect();
    let versions = log.versions(&many).await.unwrap();
    assert_eq!((versions.len(), versions[39], versions[40]), (2_000, Version(5), Version::NONE));
}

async fn whoever_asks_for_versions_at_the_same_time_is_told_their_own(store: Store) {
    let log = store.open().await;
    let organizations = [found(&*log).await, found(&*log).await, found(&*log).await];
    let mut all: Vec<(StreamId, Version)> = Vec::new();
    for number in 0..30 {
        let organization = organizations[number % 3];
        let events = (0..=number % 7).map(|_| event(&stream(organization, format!("s-{number}")), *b"{}")).collect();
        log.append(Append::new(organization, events)).await.unwrap();
        all.push((stream(organization, format!("s-{number}")), Version(number as u64 % 7 + 1)));
        all.push((stream(organization, format!("none-{number}")), Version::NONE));
    }
    // Each asks for others, and for another number of them.
    let asking = (0..200).map(|number| {
        let asked = all.iter().cycle().skip(number).take(number % 6).cloned();
        let (streams, expected): (Vec<_>, Vec<_>) = asked.unzip();
        let log = log.clone();
        tokio::spawn(async move { (log.versions(&streams).await.unwrap(), expected) })
    });
    for asked in asking.collect::<Vec<_>>() {
        let (versions, expected) = asked.await.unwrap();
        assert_eq!(versions, expected);
    }
}

async fn heads_are_the_last_events(store: Store) {
    let log = store.open().await;
    let empty = log.heads().await.unwrap();
    assert!(!empty.is_empty());
    for (number, head) in empty.iter().enumerate() {
        assert_eq!(*head, Head::empty(PartitionId(u16::try_from(number).unwrap())));
    }
    for _ in 0..5 {
        let organization = found(&*log).await;
        simple_to(&*log, organization, "a").await;
    }
    simple_to(&*log, OrganizationId::PLATFORM, "a").await;
    let history = History::of(&*log).await;
    for (head, events) in log.heads().await.unwrap().into_iter().zip(history.partitions) {
        let last = events.last().map_or(Head::empty(head.position.partition), |last| Head {
            position: last.position,
            event_id: last.id,
            recorded_at: last.recorded_at,
        });
        assert_eq!(head, last);
    }
}

async fn an_event_reads_alike_in_its_stream_and_its_partition(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    tokio::join!(fill(&*log, organization, "a", 70), fill(&*log, organization, "b", 20));
    let mut ids: Vec<EventId> = Vec::new();
    for name in ["a", "b"] {
        for event in log.read_stream(&stream(organization, name), Version::NONE, 1_000).await.unwrap() {
            let Position { partition, offset } = event.position;
            let there = log.read_partition(partition, Offset(offset.0 - 1), 1).await.unwrap();
            assert_eq!(there, std::slice::from_ref(&event));
            ids.push(event.id);
        }
    }
    assert_eq!(ids.len(), 90);
}

async fn readers_do_not_wait_for_writers(store: Store) {
    let log = store.open().await;
    let organization = found(&*log).await;
    fill(&*log, organization, "a", 9).await;
    let (a, partition) = (stream(organization, "a"), log.partition_of(organization).await.unwrap().unwrap());
    let other_node = store.open().await;
    let blocked = Blocked::on(&store).await;
    for log in [log, other_node] {
        let reading = async {
            assert_eq!(log.read_stream(&a, Version::NONE, 100).await.unwrap().len(), 9);
            assert_eq!(log.read_partition(partition, Offset::START, 100).await.unwrap().len(), 10);
            assert_eq!(log.versions(std::slice::from_ref(&a)).await.unwrap(), [Version(9)]);
            assert_eq!(log.partition_of(organization).await.unwrap(), Some(partition));
            assert!(!log.heads().await.unwrap().is_empty());
            log.incarnation().await.unwrap();
        };
        tokio::time::timeout(Duration::from_secs(2), reading).await.expect("a reader waits for a writer");
    }
    blocked.end().await;
}
