//! Integrity of stored events: what is checked before a reader relies on them.
//!
//! The leaf hash covers everything that an event says, so changed content is found by itself; a deleted row is found by
//! the hole that it leaves in the offsets of its partition and in the versions of its stream.

use std::fmt;

use super::{EventId, Offset, Position, RecordedEvent, StreamId, Version};

/// Damage that was found in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The position of the event.
    pub position: Position,
    /// The id of the event, as stored; `None` if it cannot be read.
    pub event: Option<EventId>,
    /// What is wrong.
    pub defect: Defect,
}

/// What is wrong with an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Defect {
    /// Its content does not match its leaf hash: data, meta or another column was changed.
    Altered,
    /// Events before it are missing: rows were deleted.
    Missing {
        /// The first offset without an event.
        from: Offset,
    },
    /// Its version does not follow that of the event before it in its stream.
    Version {
        /// Its stream.
        stream: StreamId,
        /// The version that should follow.
        expected: Version,
        /// Its version.
        found: Version,
    },
    /// It is stored in another stream, or at another place, than asked for.
    Misplaced,
    /// It was recorded before the event at the preceding offset.
    Backdated,
    /// A stored value cannot be read.
    Unreadable(String),
}

impl Damage {
    /// Of an event that was read.
    pub fn of(event: &RecordedEvent, defect: Defect) -> Self {
        Self { position: event.position, event: Some(event.id), defect }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.event {
            Some(event) => write!(f, "event {event} at {}: ", self.position)?,
            None => write!(f, "the event at {}: ", self.position)?,
        }
        match &self.defect {
            Defect::Altered => f.write_str("its content does not match its hash"),
            Defect::Missing { from } if from.0 + 1 == self.position.offset.0 => {
                write!(f, "the event before it, at offset {from}, is missing")
            }
            Defect::Missing { from } => {
                write!(f, "the events before it, from offset {from} to {}, are missing", self.position.offset.0 - 1)
            }
            Defect::Version { stream, expected, found } => {
                write!(f, "it has version {found} in stream {stream} instead of {expected}")
            }
            Defect::Misplaced => f.write_str("it belongs to another stream or offset"),
            Defect::Backdated => f.write_str("it was recorded before its predecessor"),
            Defect::Unreadable(what) => write!(f, "it cannot be read: {what}"),
        }
    }
}

/// The first damage of events that were read from a partition after an offset.
pub fn check_partition(after: Offset, events: &[RecordedEvent]) -> Option<Damage> {
    let mut expected = after;
    let gap = |event: &RecordedEvent| {
        expected.0 += 1;
        let defect = Defect::Missing { from: expected };
        (event.position.offset != expected).then(|| Damage::of(event, defect))
    };
    first([events.iter().find_map(gap), check_times(events), check_contents(events)])
}

/// The first damage of events that were read from a stream after a version.
pub fn check_stream(stream: &StreamId, after: Version, events: &[RecordedEvent]) -> Option<Damage> {
    let mut expected = after;
    let misplaced = |event: &RecordedEvent| {
        expected.0 += 1;
        if event.stream != *stream {
            return Some(Damage::of(event, Defect::Misplaced));
        }
        let defect = Defect::Version { stream: stream.clone(), expected, found: event.version };
        (event.version != expected).then(|| Damage::of(event, defect))
    };
    first([events.iter().find_map(misplaced), check_times(events), check_contents(events)])
}

/// The first damage of events that were looked up by their offsets.
pub fn check_at(offsets: &[Offset], events: &[RecordedEvent]) -> Option<Damage> {
    let is_asked = |event: &RecordedEvent| offsets.contains(&event.position.offset);
    let misplaced = events.iter().find(|event| !is_asked(event)).map(|event| Damage::of(event, Defect::Misplaced));
    first([misplaced, check_times(events), check_contents(events)])
}

fn check_contents(events: &[RecordedEvent]) -> Option<Damage> {
    events.iter().find(|event| !event.is_intact()).map(|event| Damage::of(event, Defect::Altered))
}

fn check_times(events: &[RecordedEvent]) -> Option<Damage> {
    let backdated = |pair: &&[RecordedEvent]| pair[1].recorded_at < pair[0].recorded_at;
    events.windows(2).find(backdated).map(|pair| Damage::of(&pair[1], Defect::Backdated))
}

fn first(found: [Option<Damage>; 3]) -> Option<Damage> {
    found.into_iter().flatten().min_by_key(|damage| damage.position.offset)
}
