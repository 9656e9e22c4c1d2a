//! When sessions and keys were last used: the port.

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::{OrganizationId, PersonId};
use uuid::Uuid;

use crate::log::{LogError, SecretKind};

/// A use, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivityRecord {
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

/// The part of the ledger in which last activity stand. Implemented by every engine of the log.
#[async_trait]
pub trait LastSeen: Send + Sync {
    /// The last activity of these, of those that were used.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn last_seen(&self, organization: OrganizationId, owners: &[Uuid]) -> Result<Vec<ActivityRecord>, LogError>;

    /// Notes activity; an earlier one than what is noted changes nothing.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn record_activity(&self, activity: &[ActivityRecord]) -> Result<(), LogError>;

    /// Forgets activity before an instant; answers how many.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn delete_activity(&self, kind: SecretKind, before: Timestamp) -> Result<u64, LogError>;
}
