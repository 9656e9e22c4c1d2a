//! Port: counts of failed attempts that all nodes share.

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use crate::log::LogError;

/// A stored count of failed attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptCount {
    /// The counter: a keyed hash of what it counts.
    pub counter: Uuid,
    /// The number of failures; of an addition, how many more there are, negative for fewer.
    pub failures: i64,
    /// When the window started.
    pub since: Timestamp,
    /// When the last failure was.
    pub last: Timestamp,
    /// The number of unlocks of the account when counting started.
    pub unlocks: u64,
    /// The end of the window: then it counts no more.
    pub expires_at: Timestamp,
}

/// The part of the ledger that stores counts of failed attempts. Implemented by every engine of the log.
#[async_trait]
pub trait AttemptCounts: Send + Sync {
    /// The counts of these counters; those that do not exist are omitted.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn attempt_counts(&self, counters: &[Uuid]) -> Result<Vec<AttemptCount>, LogError>;

    /// Deletes the counters in `reset`, then adds to counters, creating missing ones. A counter starts anew if its window
    /// had ended before the last failure that is added, or if the account was unlocked since.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn add_attempts(&self, reset: &[Uuid], added: &[AttemptCount]) -> Result<(), LogError>;
}
