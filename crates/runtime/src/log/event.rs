//! An event, its identity and its position.

use std::{borrow::Borrow, fmt, sync::Arc};

use bytes::Bytes;
use jiff::Timestamp;
use porttask_domain::OrganizationId;
use uuid::Uuid;

use super::leaf::{LeafHash, encode_event};

/// The id of an event (UUIDv7), assigned by the caller who appends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub Uuid);

impl EventId {
    /// A new id, ordered by time.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a partition, counted from 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionId(pub u16);

impl PartitionId {
    /// The partition of the platform organization and of the registry.
    pub const PLATFORM: Self = Self(0);
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The offset of an event within its partition, from 1, without gaps. 0 is before the first event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Offset(pub u64);

impl Offset {
    /// Before the first event.
    pub const START: Self = Self(0);
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of events in a stream up to and including one: the first event has version 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub u64);

impl Version {
    /// The version of a stream that does not exist.
    pub const NONE: Self = Self(0);
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The position of an event. Positions are totally ordered within a partition and not comparable across partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// The partition.
    pub partition: PartitionId,
    /// The offset within it.
    pub offset: Offset,
}

/// `partition:offset`.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.partition, self.offset)
    }
}

impl std::str::FromStr for Position {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let parsed = text.split_once(':').and_then(|(partition, offset)| {
            Some(Self { partition: PartitionId(partition.parse().ok()?), offset: Offset(offset.parse().ok()?) })
        });
        parsed.ok_or_else(|| InvalidName(format!("invalid position `{text}`: expected partition:offset, such as 0:17")))
    }
}

/// The end of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The position of its last event; offset 0 in an empty partition.
    pub position: Position,
    /// The last event's id; nil in an empty partition.
    pub event_id: EventId,
    /// When the last event was recorded; the Unix epoch in an empty partition.
    pub recorded_at: Timestamp,
}

impl Head {
    /// The head of a partition without events.
    pub fn empty(partition: PartitionId) -> Self {
        let position = Position { partition, offset: Offset::START };
        Self { position, event_id: EventId(Uuid::nil()), recorded_at: Timestamp::UNIX_EPOCH }
    }
}

/// Identifies an incarnation of the log. After a restore from a backup the log starts a new incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Incarnation(pub Uuid);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How far a reader of a partition has read, with what it takes to detect later that the log is a different one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// The incarnation that was read.
    pub incarnation: Incarnation,
    /// The position of the last event seen.
    pub position: Position,
    /// The id of the last event seen; nil at the start.
    pub event_id: EventId,
}

/// A malformed name or position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidName(pub(super) String);

/// The name of a stream within its organization, by convention `category-id`. Names are stored unencrypted forever:
/// they must not contain personal data.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamName(Arc<str>);

impl StreamName {
    /// Maximum length of a name, in bytes.
    pub const MAX_BYTES: usize = 200;

    /// # Errors
    /// Unless the name has 1 to 200 bytes, all of them visible ASCII characters.
    pub fn new(name: impl Into<Arc<str>>) -> Result<Self, InvalidName> {
        let name = name.into();
        if name.is_empty() || name.len() > Self::MAX_BYTES || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidName(format!("invalid stream name {name:?}: use 1 to 200 visible ASCII characters")));
        }
        Ok(Self(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The aggregate type: the part before the first `-`.
    pub fn category(&self) -> &str {
        self.0.split_once('-').map_or(self.as_str(), |(category, _)| category)
    }

    /// The id of the aggregate: the part after the first `-`; empty if there is none.
    pub fn id(&self) -> &str {
        self.0.split_once('-').map_or("", |(_, id)| id)
    }
}

/// Identifies a stream: the events of one aggregate, with contiguous versions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    /// The organization it belongs to.
    pub organization: OrganizationId,
    /// Its name within the organization.
    pub name: StreamName,
}

impl StreamId {
    /// # Errors
    /// As [`StreamName::new`].
    pub fn new(organization: OrganizationId, name: impl Into<Arc<str>>) -> Result<Self, InvalidName> {
        Ok(Self { organization, name: StreamName::new(name)? })
    }
}

/// `organization/name`.
impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.organization, self.name.as_str())
    }
}

/// The versioned name of an event type, such as `user.role_changed.v1`. A name is never reused for another shape.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventType(Arc<str>);

impl EventType {
    /// # Errors
    /// Unless the name has at most 100 bytes and the form `noun.verb.vN`: at least two parts of `a–z`, `0–9` and `_`,
    /// joined by dots, then `.v` and a number from 1.
    pub fn new(name: impl Into<Arc<str>>) -> Result<Self, InvalidName> {
        let name = name.into();
        if name.len() > 100 || !has_the_form_of_a_type(&name) {
            return Err(InvalidName(format!("invalid event type {name:?}: expected noun.verb.v1, at most 100 bytes")));
        }
        Ok(Self(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Allows lookups by name in a set of types.
impl Borrow<str> for EventType {
    fn borrow(&self) -> &str {
        &self.0
    }
}

fn has_the_form_of_a_type(name: &str) -> bool {
    let Some((path, version)) = name.rsplit_once(".v") else { return false };
    let is_word = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let is_number = version.bytes().all(|byte| byte.is_ascii_digit()) && version.parse::<u32>().is_ok();
    path.contains('.') && path.split('.').all(is_word) && is_number && !version.starts_with('0')
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An event to be recorded. `data` and `meta` are opaque to the log and stored byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Its id; also tells whether it was recorded when a commit's outcome is in doubt.
    pub id: EventId,
    /// The stream that it is appended to.
    pub stream: StreamId,
    /// Its type.
    pub event_type: EventType,
    /// The encoded domain event.
    pub data: Bytes,
    /// The encoded metadata: actor, impersonator, client, cause.
    pub meta: Bytes,
}

/// A stored event. Immutable, except that data and meta of a purged organization are blanked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Its position.
    pub position: Position,
    /// Its id.
    pub id: EventId,
    /// Its stream.
    pub stream: StreamId,
    /// Its version within the stream.
    pub version: Version,
    /// Its type.
    pub event_type: EventType,
    /// When it was recorded: microseconds, never earlier than the event before it in the partition.
    pub recorded_at: Timestamp,
    /// The encoded domain event.
    pub data: Bytes,
    /// The encoded metadata: actor, impersonator, client, cause.
    pub meta: Bytes,
    /// The hash of all of the above except the position: see `docs/event-encoding.md`.
    pub leaf_hash: LeafHash,
}

impl RecordedEvent {
    /// Whether the stored leaf hash matches the stored content.
    pub fn is_intact(&self) -> bool {
        LeafHash::of(&encode_event(self)) == self.leaf_hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_types_are_versioned() {
        for good in ["user.invited.v1", "user.role_changed.v12", "billing.invoice.voided.v3"] {
            assert!(EventType::new(good).is_ok(), "{good}");
        }
        for bad in ["", "user", "user.v1", "user.invited", "user.invited.v0", "user.invited.v01", "User.invited.v1"] {
            assert!(EventType::new(bad).is_err(), "{bad}");
        }
        for bad in ["user..invited.v1", "user.invited.v", "user.invited.v+1", "user.in vited.v1", "us\0er.invited.v1"] {
            assert!(EventType::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn stream_names_are_short_and_visible() {
        assert!(StreamName::new("user-usr_01").is_ok());
        assert!(StreamName::new("x".repeat(200)).is_ok());
        for bad in ["".to_owned(), "x".repeat(201), "a b".to_owned(), "a\nb".to_owned(), "é".to_owned()] {
            assert!(StreamName::new(bad.as_str()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn positions_are_written_as_they_are_read() {
        let position = Position { partition: PartitionId(3), offset: Offset(42) };
        assert_eq!(position.to_string().parse(), Ok(position));
        for bad in ["", "3", "3:", ":42", "-1:4", "3:4:5", "70000:1"] {
            assert!(bad.parse::<Position>().is_err(), "{bad}");
        }
    }
}
