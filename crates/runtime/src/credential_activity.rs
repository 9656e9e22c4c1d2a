//! Port: when sessions and API keys were last used.

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::{OrganizationId, PersonId};
use uuid::Uuid;

use crate::log::{LogError, SecretKind};

/// The last use of a credential, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivityRecord {
    /// The organization it was used in.
    pub organization: OrganizationId,
    /// The session or API key.
    pub owner: Uuid,
    /// Whether it is a session or an API key.
    pub kind: SecretKind,
    /// When it was used.
    pub at: Timestamp,
    /// The organization of the user's account.
    pub home: OrganizationId,
    /// The user.
    pub person: PersonId,
    /// The client address, sealed under the user's key.
    pub trace: Option<Vec<u8>>,
}

/// The part of the ledger that stores last activity. Implemented by every engine of the log.
#[async_trait]
pub trait LastSeen: Send + Sync {
    /// The last activity of these credentials; never-used ones are omitted.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn last_seen(&self, organization: OrganizationId, owners: &[Uuid]) -> Result<Vec<ActivityRecord>, LogError>;

    /// Records activity; ignored if a later one is already stored.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn record_activity(&self, activity: &[ActivityRecord]) -> Result<(), LogError>;

    /// Deletes activity before an instant; returns the number of deleted records.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn delete_activity(&self, kind: SecretKind, before: Timestamp) -> Result<u64, LogError>;
}
