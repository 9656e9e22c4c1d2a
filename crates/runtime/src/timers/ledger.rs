//! Port: leases of the workers of timers, and failed attempts. A part of the ledger.

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::OrganizationId;
use uuid::Uuid;

use crate::{
    lease::{Holder, Lease},
    log::{LogError, PartitionId},
};

/// A timer whose last attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimerFailure {
    /// The partition of the organization.
    pub partition: PartitionId,
    /// The organization.
    pub organization: OrganizationId,
    /// The UUID of the aggregate.
    pub subject: Uuid,
    /// What the timer does.
    pub kind: String,
    /// When it was due.
    pub due_at: Timestamp,
    /// The number of failed attempts.
    pub attempts: u32,
    /// When it is attempted again.
    pub retry_at: Timestamp,
    /// Why the last attempt failed.
    pub error: String,
}

/// Port: leases and failed attempts. Implemented by every engine of the log, in the log's database.
#[async_trait]
pub trait TimerLedger: Send + Sync {
    /// Takes or renews the lease of this name; `false` if another node holds it. A former run of the same node is
    /// replaced at once.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn hold(&self, name: &str, lease: &Lease) -> Result<bool, LogError>;

    /// Ends a lease, if this run holds it.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn release(&self, name: &str, holder: &Holder) -> Result<(), LogError>;

    /// The failed timers of a partition, or of all, in order of their next attempts; at most `limit`.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn timer_failures(&self, partition: Option<PartitionId>, limit: usize)
    -> Result<Vec<TimerFailure>, LogError>;

    /// Records a failed attempt; replaces an earlier one of the same aggregate.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn record_timer_failure(&self, failure: &TimerFailure) -> Result<(), LogError>;

    /// Deletes the failure of an aggregate's timer.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn delete_timer_failure(&self, organization: OrganizationId, subject: Uuid) -> Result<(), LogError>;

    /// Makes a failed timer due. `false` if there is none.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn retry_timer(&self, organization: OrganizationId, subject: Uuid, now: Timestamp) -> Result<bool, LogError>;
}
