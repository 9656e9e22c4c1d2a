//! Port: the event log, its guarantees and the validation of appends.
//!
//! The log is an ordered set of *partitions*. A partition is a sequence of events at the offsets 1, 2, 3, … without
//! a gap, in the order in which their transactions committed. Every organization is assigned to one partition forever;
//! the platform organization is in partition 0.
//!
//! | file | what it owns |
//! |---|---|
//! | `event.rs` | an event, its identity and its position |
//! | `append.rs` | appends and their results |
//! | `form.rs` | static validation of appends, and the limits |
//! | `admission.rs` | validation of appends under the lock: the pure rules that every engine shares |
//! | `leaf.rs` | canonical encoding of an event and its hash |
//! | `integrity.rs` | what is wrong with stored events |
//! | `checked.rs` | reads that verify every event |
//! | `verify.rs` | verifying a whole partition |
//! | `follower.rs` | following a partition from a checkpoint |
//! | `error.rs` | errors |
//!
//! # Writing another engine
//!
//! An engine stores what [`admission::Admission`] hands it and nothing else. For a batch of appends it begins a
//! transaction, takes the locks of all partitions concerned in ascending order, *then* reads what
//! [`admission::Questions`] asks for, validates each append with [`admission::Admission::admit`], writes
//! [`admission::Admission::into_writes`], and acknowledges only when the commit is durable. `tests/log/contract.rs`
//! is the executable specification.

pub mod admission;
mod append;
mod checked;
mod error;
mod event;
mod follower;
mod form;
pub mod integrity;
mod leaf;
mod verify;

pub use append::{
    Admitted, After, Append, Appended, Claim, ClaimKey, Constraint, Counter, CounterKey, Expected, IdempotencyKey,
    NewPersonKey, NewSecret, PersonKeyId, Placed, SecretId, SecretKind,
};
pub use checked::CheckedLog;
pub use error::{AppendError, ConstraintViolation, LogError};
pub use event::{
    Checkpoint, EventId, EventType, Head, Incarnation, InvalidName, NewEvent, Offset, PartitionId, Position,
    RecordedEvent, StreamId, StreamName, Version,
};
pub(crate) use follower::read_after;
pub use follower::{FollowError, Follower};
pub use form::{MAX_APPEND_BYTES, MAX_CONDITIONS, MAX_DATA_BYTES, MAX_EVENTS, MAX_META_BYTES};
pub use leaf::{LeafHash, encode_event};
pub use verify::PartitionVerifier;

pub use porttask_domain::OrganizationId;

use async_trait::async_trait;
use jiff::SignedDuration;
use tokio::sync::watch;

/// Size of data and meta from which on a page of events is not added to, in bytes.
pub const PAGE_BYTES: usize = 16 << 20;

/// How long the hashes of sessions are stored. No session lasts longer than 30 days.
pub const SESSION_HASHES_KEPT: SignedDuration = SignedDuration::from_hours(24 * 31);

/// The event log. Shared as `Arc<dyn EventLog>`; all methods may be called concurrently.
///
/// Guarantees of every engine:
///
/// * **No gaps.** A reader that has seen offset `n` of a partition has seen every offset below it: events become
///   visible in order, and no offset is ever filled later.
/// * **Durability.** An append is acknowledged only when it is durable.
/// * **Atomicity.** The events, constraints and `IdempotencyKey` of one append are recorded together or not at all,
///   even across two partitions.
/// * **Isolation.** Appends are validated under the partition's lock, so that of two conflicting appends exactly one
///   succeeds. A rejected append has no effect, also not on others in the same batch.
/// * **Readers never wait for writers.**
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Records the events of `append`, or rejects it.
    ///
    /// Appends that wait for the same partition share one durable transaction. Dropping the returned future does not
    /// cancel the append: it may still be recorded.
    ///
    /// # Errors
    /// Nothing was written, except possibly after [`AppendError::OutcomeUnknown`].
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// The events of a stream with versions above `after`, in order: at most `limit`, fewer if they have
    /// [`PAGE_BYTES`]. Empty if there are none.
    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, LogError>;

    /// The committed version of each stream, in the requested order, [`Version::NONE`] if it does not exist: one query
    /// for all of them. Confirms a decision made on cached state.
    async fn versions(&self, streams: &[StreamId]) -> Result<Vec<Version>, LogError>;

    /// The events of a partition at offsets above `after`, in order: at most `limit`, fewer if they are large (a page
    /// holds about 16 MiB). Empty only at the end of the partition.
    async fn read_partition(
        &self,
        partition: PartitionId,
        after: Offset,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, LogError>;

    /// The events of a partition at these offsets, in ascending order. Offsets without an event are omitted; fewer are
    /// returned if the events are large (a page holds about 16 MiB).
    async fn read_at(&self, partition: PartitionId, offsets: &[Offset]) -> Result<Vec<RecordedEvent>, LogError>;

    /// The offset of a partition's head as known to this node, with a wake-up whenever it rises. The node learns of its
    /// own appends at once, and of those of other nodes by notification, or else by a slow poll. The value may lag
    /// behind the log, but never runs ahead of it. `None` if the partition does not exist.
    fn subscribe(&self, partition: PartitionId) -> Option<watch::Receiver<Offset>>;

    /// The heads of all partitions, in order of partition; [`Head::empty`] for those without events.
    async fn heads(&self) -> Result<Vec<Head>, LogError>;

    /// The partition of an organization, `None` if it does not exist. Results are cached: they never change.
    async fn partition_of(&self, organization: OrganizationId) -> Result<Option<PartitionId>, LogError>;

    /// The incarnation of the log. It changes when the log is restored from a backup: whatever was derived from the
    /// previous incarnation must be discarded.
    async fn incarnation(&self) -> Result<Incarnation, LogError>;

    /// Starts a new incarnation. To be called once after a restore from a backup, before anything reads the log.
    async fn begin_incarnation(&self) -> Result<Incarnation, LogError>;

    /// Deletes expired idempotency records, counts of attempts whose window has ended, and hashes of sessions after
    /// [`SESSION_HASHES_KEPT`]; returns the number of deleted idempotency records.
    async fn forget_expired(&self) -> Result<u64, LogError>;

    /// The number of damaged places that reads have met since this node was started. Only
    /// [`CheckedLog`] looks for damage.
    fn damaged_events(&self) -> u64 {
        0
    }
}
