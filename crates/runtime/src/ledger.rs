//! Port: the ledger, durable state that is not derived from events, stored in the log's database.
//!
//! What belongs to an append is written to the ledger in its transaction ([`Append`](crate::log::Append)); this port
//! reads it, and makes the changes that no event records.

use std::collections::BTreeMap;

use async_trait::async_trait;
use porttask_domain::{OrganizationId, PersonId};

use crate::{
    attempts::AttemptCounts,
    clock::LogClock,
    credential_activity::LastSeen,
    jobs::Jobs,
    log::{
        ClaimKey, CounterKey, EventLog, Head, LogError, PersonKeyId, SecretId,
        admission::{IdempotencyRecord, IdempotencyRecordKey},
    },
    nodes::NodeRegistry,
    simulated_payments::SimulatedPayments,
    tasks::Tasks,
    timers::TimerLedger,
    usage_counts::UsageCounts,
};

/// A stored key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredKey {
    /// Wrapped by a master key.
    Wrapped(Vec<u8>),
    /// Destroyed: everything sealed under it is erased.
    Destroyed,
}

/// Claims and counts, either as stored or as derived from the events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConstraintState {
    /// The owner of each claimed name.
    pub claims: BTreeMap<ClaimKey, String>,
    /// The nonzero counts.
    pub counts: BTreeMap<CounterKey, i64>,
}

/// The stored state, and the heads it is consistent with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConstraintSnapshot {
    /// The last event of every partition at the time of the snapshot.
    pub heads: Vec<Head>,
    /// The state stored at that time.
    pub kept: ConstraintState,
}

/// The changes that make the stored state match the events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConstraintRepair {
    /// Names with their owner; `None` releases the name.
    pub claims: BTreeMap<ClaimKey, Option<String>>,
    /// Counts with their new value.
    pub counts: BTreeMap<CounterKey, i64>,
}

/// All ports of an engine: the log with its clock, and in the same database the ledger with tasks, jobs, last
/// activity, counts of attempts and of usage, the registry of nodes, and the books of the payment simulator.
pub trait Database:
    EventLog
    + LogClock
    + Ledger
    + Tasks
    + Jobs
    + LastSeen
    + AttemptCounts
    + TimerLedger
    + NodeRegistry
    + UsageCounts
    + SimulatedPayments
{
}

impl<T> Database for T where
    T: EventLog
        + LogClock
        + Ledger
        + Tasks
        + Jobs
        + LastSeen
        + AttemptCounts
        + TimerLedger
        + NodeRegistry
        + UsageCounts
        + SimulatedPayments
{
}

/// The ledger. Implemented by every engine of the log.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// These keys in the requested order; `None` for one that never existed.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn person_keys(&self, ids: &[PersonKeyId]) -> Result<Vec<Option<StoredKey>>, LogError>;

    /// The record of an [`IdempotencyKey`](crate::log::IdempotencyKey), unless it has expired.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn idempotency_record(&self, key: &IdempotencyRecordKey) -> Result<Option<IdempotencyRecord>, LogError>;

    /// The hash of a secret, if it exists.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn secret(&self, id: &SecretId) -> Result<Option<Vec<u8>>, LogError>;

    /// The owner of a claimed name.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn holder(&self, key: &ClaimKey) -> Result<Option<String>, LogError>;

    /// The value of a counter.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn count(&self, key: &CounterKey) -> Result<i64, LogError>;

    /// Destroys a person's keys irrevocably; returns the number of destroyed keys.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn destroy_person_keys(&self, organization: OrganizationId, person: PersonId) -> Result<u64, LogError>;

    /// At most `limit` keys of people, in order, after `after`; destroyed keys are omitted.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn all_person_keys(
        &self,
        after: Option<PersonKeyId>,
        limit: usize,
    ) -> Result<Vec<(PersonKeyId, Vec<u8>)>, LogError>;

    /// Replaces wrapped keys by rewrapped ones: each `(id, old, new)`. Returns the number of replaced keys; a key that
    /// is not `old` any more is left alone.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn rewrap_person_keys(&self, keys: &[(PersonKeyId, Vec<u8>, Vec<u8>)]) -> Result<u64, LogError>;

    /// The service's own keys, by purpose.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn purpose_keys(&self) -> Result<Vec<(String, Vec<u8>)>, LogError>;

    /// Replaces the wrapped key of a purpose by a rewrapped one, if it is still `old`.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn rewrap_purpose_key(&self, purpose: &str, old: &[u8], new: &[u8]) -> Result<(), LogError>;

    /// All stored claims and counts with the heads that they are consistent with, in one snapshot.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn constrained(&self) -> Result<ConstraintSnapshot, LogError>;

    /// Repairs the stored claims and counts under the locks of all partitions. `false`, without effect, if the heads
    /// moved.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn repair(&self, heads: &[Head], repair: &ConstraintRepair) -> Result<bool, LogError>;

    /// The service's own key for a purpose: the stored one, or else `wrapped`, which is then stored.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn purpose_key(&self, purpose: &str, wrapped: &[u8]) -> Result<Vec<u8>, LogError>;
}
