//! The ledger: durable state that does not follow from events, kept in the log's database.
//!
//! What belongs to an append enters the ledger with it, in its transaction ([`Append`](crate::log::Append)); here it is
//! read, and changed where no event says so.

use async_trait::async_trait;
use porttask_domain::{OrganizationId, PersonId};

use crate::{
    constraints::{Repair, Snapshot},
    credential_activity::LastSeen,
    jobs::Jobs,
    log::{
        ClaimKey, EventLog, Head, LogError, PersonKeyId, SecretId,
        admission::{IdempotencyRecord, IdempotencyRecordKey},
    },
    tasks::Tasks,
};

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredKey {
    /// Wrapped by a master key.
    Wrapped(Vec<u8>),
    /// Destroyed for good: what it sealed is erased.
    Destroyed,
}

/// What an engine keeps: the log, and the ledger with its tasks, jobs and last uses beside it in the same database.
pub trait Database: EventLog + Ledger + Tasks + Jobs + LastSeen {}

impl<T: EventLog + Ledger + Tasks + Jobs + LastSeen> Database for T {}

/// The ledger. Implemented by every engine of the log.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// These keys in the order asked, `None` for one that never was.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn person_keys(&self, ids: &[PersonKeyId]) -> Result<Vec<Option<StoredKey>>, LogError>;

    /// What was recorded under the key of a `IdempotencyKey`, if it is still kept.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn idempotency_record(&self, key: &IdempotencyRecordKey) -> Result<Option<IdempotencyRecord>, LogError>;

    /// The hash of a secret, if there is one.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn secret(&self, id: &SecretId) -> Result<Option<Vec<u8>>, LogError>;

    /// Who holds a name.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn holder(&self, key: &ClaimKey) -> Result<Option<String>, LogError>;

    /// Destroys a person's keys for good and answers how many there were.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn destroy_person_keys(&self, organization: OrganizationId, person: PersonId) -> Result<u64, LogError>;

    /// All keys of people after `after`, in order, at most `limit`; those that are destroyed are left out.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn all_person_keys(
        &self,
        after: Option<PersonKeyId>,
        limit: usize,
    ) -> Result<Vec<(PersonKeyId, Vec<u8>)>, LogError>;

    /// Puts keys in the place of those that they were made from by wrapping them anew: each `(whose, old, new)`. Answers
    /// how many were replaced; one that has changed meanwhile stays.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn rewrap_person_keys(&self, keys: &[(PersonKeyId, Vec<u8>, Vec<u8>)]) -> Result<u64, LogError>;

    /// The keys of all purposes.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn purpose_keys(&self) -> Result<Vec<(String, Vec<u8>)>, LogError>;

    /// Puts the key of a purpose in the place of the one that it was made from by wrapping it anew.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn rewrap_purpose_key(&self, purpose: &str, old: &[u8], new: &[u8]) -> Result<(), LogError>;

    /// All names and counts that the log keeps, and the heads up to which they were kept so: one snapshot.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn constrained(&self) -> Result<Snapshot, LogError>;

    /// Changes what the log keeps of names and counts, under the locks of all partitions. `false`, and nothing is done, if
    /// the heads are not these any more.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn repair(&self, heads: &[Head], repair_of: &Repair) -> Result<bool, LogError>;

    /// The key of a purpose of the service itself: the one that is stored, or else `wrapped`, which is stored then.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn purpose_key(&self, purpose: &str, wrapped: &[u8]) -> Result<Vec<u8>, LogError>;
}
