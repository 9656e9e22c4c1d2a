//! Everything that a log holds, and what is wrong with it.

use porttask_runtime::log::{EventLog, LeafHash, Offset, PartitionId, RecordedEvent, StreamId, Version, encode_event};
use std::collections::{HashMap, HashSet};

use crate::page_to_end;

/// All events of a log, by partition.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The events of each partition in the order in which they were read; partition 0 first.
    pub partitions: Vec<Vec<RecordedEvent>>,
}

impl History {
    /// Reads everything.
    pub async fn of(log: &dyn EventLog) -> Self {
        let mut partitions = Vec::new();
        for head in log.heads().await.unwrap() {
            partitions.push(page_to_end(log, head.position.partition, Offset::START, 1_000).await);
        }
        Self { partitions }
    }

    /// Every event, partition by partition.
    pub fn events(&self) -> impl Iterator<Item = &RecordedEvent> {
        self.partitions.iter().flatten()
    }

    /// # Panics
    /// When anything is wrong with it that can be seen from the log alone.
    pub fn assert_sound(&self) {
        let mut wrong: Vec<String> = Vec::new();
        for (number, events) in self.partitions.iter().enumerate() {
            let number = u16::try_from(number).unwrap();
            wrong.extend(faults(PartitionId(number), events));
        }
        let mut ids = HashSet::new();
        let twice = self.events().filter(|event| !ids.insert(event.id));
        wrong.extend(twice.map(|event| format!("event {} stands in two partitions or twice in one", event.id)));
        let shown: Vec<&str> = wrong.iter().take(10).map(String::as_str).collect();
        assert!(wrong.is_empty(), "{} faults, first:\n{}", wrong.len(), shown.join("\n"));
    }

    /// The streams and their versions, as their events say.
    pub fn versions(&self) -> HashMap<StreamId, Version> {
        self.events().map(|event| (event.stream.clone(), event.version)).collect()
    }
}

/// What is wrong with the events of a whole partition, in the order read: gaps, repetitions and disorder in offsets and
/// versions, times that run back, content that does not match its hash.
pub fn faults(partition: PartitionId, events: &[RecordedEvent]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut versions: HashMap<&StreamId, Version> = HashMap::new();
    let mut ids = HashSet::new();
    let mut last_offset = 0;
    let mut last_time = None;
    for event in events {
        let place = event.position;
        if place.partition != partition {
            faults.push(format!("{place} was read from partition {partition}"));
        }
        if place.offset.0 != last_offset + 1 {
            faults.push(format!("offset {} follows offset {last_offset}", place.offset));
        }
        last_offset = place.offset.0;
        let version = versions.entry(&event.stream).or_default();
        if event.version.0 != version.0 + 1 {
            faults.push(format!("{place}: version {} of {} follows {version}", event.version, event.stream));
        }
        *version = event.version;
        if !ids.insert(event.id) {
            faults.push(format!("{place}: event {} is there a second time", event.id));
        }
        if Some(event.recorded_at) < last_time {
            faults.push(format!("{place} was recorded before the event before it"));
        }
        last_time = Some(event.recorded_at);
        if LeafHash::of(&encode_event(event)) != event.leaf_hash || !event.is_intact() {
            faults.push(format!("{place}: the leaf hash is not that of the content"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use porttask_runtime::log::{OrganizationId, Position};

    use super::*;
    use crate::{event, stream};

    const PARTITION: PartitionId = PartitionId(3);

    fn partition(length: u64) -> Vec<RecordedEvent> {
        let stream = stream(OrganizationId(uuid::Uuid::from_u128(7)), "a");
        let recorded = |offset| {
            let new = event(&stream, *b"{}");
            hashed(RecordedEvent {
                position: Position { partition: PARTITION, offset: Offset(offset) },
                id: new.id,
                stream: new.stream,
                version: Version(offset),
                event_type: new.event_type,
                recorded_at: Timestamp::UNIX_EPOCH + Duration::from_secs(offset),
                data: new.data,
                meta: new.meta,
                leaf_hash: LeafHash([0; 32]),
            })
        };
        (1..=length).map(recorded).collect()
    }

    fn hashed(mut event: RecordedEvent) -> RecordedEvent {
        event.leaf_hash = LeafHash::of(&encode_event(&event));
        event
    }

    #[test]
    fn a_sound_partition_has_no_faults() {
        assert_eq!(faults(PARTITION, &partition(5)), Vec::<String>::new());
        assert_eq!(faults(PARTITION, &[]), Vec::<String>::new());
    }

    #[test]
    fn planted_faults_are_found() {
        type Plant = fn(&mut Vec<RecordedEvent>);
        let plants: [(&str, Plant); 8] = [
            ("offset 3 follows offset 1", |events| drop(events.remove(1))),
            ("offset 2 follows offset 0", |events| drop(events.remove(0))),
            ("is there a second time", |events| events.push(events[4].clone())),
            ("offset 3 follows offset 1", |events| events.swap(1, 2)),
            ("version 4 of", |events| {
                events[2].version = Version(4);
                events[2] = hashed(events[2].clone());
            }),
            ("before the event before it", |events| {
                events[2].recorded_at = Timestamp::UNIX_EPOCH;
                events[2] = hashed(events[2].clone());
            }),
            ("not that of the content", |events| events[3].data = b"[]".as_slice().into()),
            ("was read from partition", |events| events[3].position.partition = PartitionId(4)),
        ];
        for (number, (expected, plant)) in plants.into_iter().enumerate() {
            let mut events = partition(5);
            plant(&mut events);
            let found = faults(PARTITION, &events);
            assert!(found.iter().any(|fault| fault.contains(expected)), "plant {number}: {expected}: {found:?}");
        }
    }

    #[test]
    #[should_panic(expected = "stands in two partitions")]
    fn an_event_in_two_partitions_is_found() {
        let mut moved = partition(1);
        moved[0].position.partition = PartitionId(0);
        let history = History { partitions: vec![moved, vec![], vec![], partition(1)] };
        let mut ids = history.partitions.clone();
        ids[3][0].id = ids[0][0].id;
        ids[3][0] = hashed(ids[3][0].clone());
        History { partitions: ids }.assert_sound();
    }
}
