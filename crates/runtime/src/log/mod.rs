//! The port of the event log: what an engine keeps, promises and refuses.
//!
//! The log is an ordered set of *partitions*. A partition is a sequence of events at the offsets 1, 2, 3, … without
//! a gap, in the order in which their transactions committed. Every organization lives in one partition for ever; the
//! platform organization lives in partition 0.
//!
//! | file | what it owns |
//! |---|---|
//! | `event.rs` | an event, its identity and its place |
//! | `append.rs` | what is asked of the log, and what it answers |
//! | `form.rs` | the form that an append must have, and the limits |
//! | `admission.rs` | whether an append may happen: the pure rules that every engine shares |
//! | `leaf.rs` | the bytes of an event and their hash |
//! | `follower.rs` | reading a partition to its end and beyond, from a checkpoint |
//! | `error.rs` | why the log refused or failed |
//!
//! # Writing another engine
//!
//! An engine stores what [`admission::Admission`] hands it and nothing else. For a batch of appends it begins a
//! transaction, takes the lock of every partition concerned in ascending order, *then* reads what
//! [`admission::Questions`] asks for, lets [`admission::Admission::admit`] judge each append, writes
//! [`admission::Admission::into_writes`], and acknowledges only when the commit is durable. `tests/log/contract.rs`
//! is the specification in executable form.

pub mod admission;
mod append;
mod error;
mod event;
mod follower;
mod form;
mod leaf;

pub use append::{
    Append, Appended, Claim, ClaimKey, Constraint, Counter, CounterKey, Expected, IdempotencyKey, NewPersonKey,
    NewSecret, PersonKeyId, Placed, SecretId, SecretKind,
};
pub use error::{AppendError, ConstraintViolation, LogError};
pub use event::{
    Checkpoint, EventId, EventType, Head, Incarnation, InvalidName, NewEvent, Offset, PartitionId, Position,
    RecordedEvent, StreamId, StreamName, Version,
};
pub use follower::{FollowError, Follower};
pub use form::{MAX_APPEND_BYTES, MAX_CONDITIONS, MAX_DATA_BYTES, MAX_EVENTS, MAX_META_BYTES};
pub use leaf::{LeafHash, encode_event};

pub use porttask_domain::OrganizationId;

use async_trait::async_trait;
use tokio::sync::watch;

/// The event log. Shared as `Arc<dyn EventLog>`; every method may be called from many tasks at once.
///
/// What holds for every engine:
///
/// * **Nothing is skipped.** A reader that has seen offset `n` of a partition has seen every offset below it: an event
///   becomes visible after all events before it, and no offset is ever filled later.
/// * **Nothing is lost.** An append is acknowledged only when it is durable.
/// * **All or nothing.** The events, constraints and `IdempotencyKey` of one append are recorded together or not at all, also across
///   two partitions.
/// * **DenialLog are decided under the partition's lock**, so that of two racing appends exactly one wins. A refused
///   append leaves no trace and does not disturb the others that were written with it.
/// * **Readers never wait for writers.**
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Records the events of `append`, or refuses it.
    ///
    /// Appends that wait for the same partition share one durable transaction. Dropping the returned future does not
    /// take the append back: it may still be recorded. A trial is judged under the same locks, and nothing of it is
    /// recorded.
    ///
    /// # Errors
    /// [`AppendError`] tells whether anything was written: nothing was, except after [`AppendError::OutcomeUnknown`].
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// The events of a stream with versions above `after`, in order: at most `limit`, and fewer when they are large
    /// (a page holds about 16 MiB). Empty when there are none.
    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, LogError>;

    /// The committed version of each stream, in the order asked, [`Version::NONE`] for one that does not exist: one
    /// query for all of them. This is how a cached decision is confirmed.
    async fn versions(&self, streams: &[StreamId]) -> Result<Vec<Version>, LogError>;

    /// The events of a partition at offsets above `after`, in order: at most `limit`, and fewer when they are large (a
    /// page holds about 16 MiB). Empty only at the end of the partition.
    async fn read_partition(
        &self,
        partition: PartitionId,
        after: Offset,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, LogError>;

    /// The events of a partition at these offsets, in the order of the offsets; none for those at which nothing stands,
    /// and fewer than asked for when they are large (a page holds about 16 MiB).
    async fn read_at(&self, partition: PartitionId, offsets: &[Offset]) -> Result<Vec<RecordedEvent>, LogError>;

    /// The offset of a partition's head as this node last heard of it, and a wake-up each time that it hears of a
    /// higher one. Heard of are all appends: those of this node at once, those of others by notification, and as a
    /// safety net by a slow poll. The value may lag behind the log, never run ahead of it. `None` for a partition that
    /// does not exist.
    fn subscribe(&self, partition: PartitionId) -> Option<watch::Receiver<Offset>>;

    /// The last event of every partition, by partition; [`Head::EMPTY`] offsets for those without events.
    async fn heads(&self) -> Result<Vec<Head>, LogError>;

    /// Where an organization lives, `None` if none was founded by that id. Answers are cached: they never change.
    async fn partition_of(&self, organization: OrganizationId) -> Result<Option<PartitionId>, LogError>;

    /// The incarnation of the log: another one means that the log was put back from a copy, so that nothing that was
    /// derived from it before may be trusted.
    async fn incarnation(&self) -> Result<Incarnation, LogError>;

    /// Begins a new incarnation. To be called once after the log was put back from a copy, before anything reads it.
    async fn begin_incarnation(&self) -> Result<Incarnation, LogError>;

    /// Forgets the `IdempotencyKey` records whose time is over; answers how many.
    async fn forget_expired(&self) -> Result<u64, LogError>;
}
