//! When sessions and keys were last used: the port.

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::{OrganizationId, PersonId};
use uuid::Uuid;

use crate::log::{LogError, SecretKind};

/// A use, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredUse {
    /// Where.
    pub organization: OrganizationId,
    /// What was used: a session or a key.
    pub owner: Uuid,
    /// Which of the two.
    pub kind: SecretKind,
    /// When.
    pub at: Timestamp,
    /// By whom: where their account is.
    pub home: OrganizationId,
    /// And whose it is.
    pub person: PersonId,
    /// From where, sealed under their key.
    pub trace: Option<Vec<u8>>,
}

/// The part of the ledger in which last uses stand. Implemented by every engine of the log.
#[async_trait]
pub trait LastUses: Send + Sync {
    /// The last uses of these, of those that were used.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn last_uses(&self, organization: OrganizationId, owners: &[Uuid]) -> Result<Vec<StoredUse>, LogError>;

    /// Notes uses; an earlier one than what is noted changes nothing.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn note_uses(&self, uses: &[StoredUse]) -> Result<(), LogError>;

    /// Forgets uses before an instant; answers how many.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn forget_uses(&self, kind: SecretKind, before: Timestamp) -> Result<u64, LogError>;
}
