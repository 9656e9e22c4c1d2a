//! The ledger: durable state that does not follow from events, kept in the log's database.
//!
//! What belongs to an append enters the ledger with it, in its transaction ([`Append`](crate::log::Append)); here it is
//! read, and changed where no event says so.

use async_trait::async_trait;
use porttask_domain::{OrganizationId, PersonId};

use crate::log::{EventLog, LogError, PersonKeyId};

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredKey {
    /// Wrapped by a master key.
    Wrapped(Vec<u8>),
    /// Destroyed for good: what it sealed is erased.
    Destroyed,
}

/// What an engine keeps: the log, and the ledger beside it in the same database.
pub trait Database: EventLog + Ledger {}

impl<T: EventLog + Ledger> Database for T {}

/// The ledger. Implemented by every engine of the log.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// These keys in the order asked, `None` for one that never was.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn person_keys(&self, ids: &[PersonKeyId]) -> Result<Vec<Option<StoredKey>>, LogError>;

    /// Destroys a person's keys for good and answers how many there were.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn destroy_person_keys(&self, organization: OrganizationId, person: PersonId) -> Result<u64, LogError>;

    /// The key of a purpose of the service itself: the one that is stored, or else `wrapped`, which is stored then.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn purpose_key(&self, purpose: &str, wrapped: &[u8]) -> Result<Vec<u8>, LogError>;
}
