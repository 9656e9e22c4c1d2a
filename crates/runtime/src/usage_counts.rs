//! Port: counts of requests with API keys that all nodes share. A part of the ledger.
//!
//! Each run of a node states how many it has counted so far, and the greatest counts, so a report that is repeated or
//! late changes nothing. What is to be recorded by an event is taken first: if that is interrupted, the same is taken
//! again. What arrives after its day was recorded is taken for a later one.

use async_trait::async_trait;
use jiff::civil::Date;
use porttask_domain::{ApiKeyId, OrganizationId};
use uuid::Uuid;

use crate::log::LogError;

/// How many requests with an API key a run of a node has counted on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageCount {
    /// The run of the node.
    pub run: Uuid,
    /// The organization of the key.
    pub organization: OrganizationId,
    /// The key.
    pub key: ApiKeyId,
    /// The local day of the organization.
    pub day: Date,
    /// How many so far.
    pub count: u64,
}

/// What is not known to be recorded by an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenUsage {
    /// The day for whose event it was taken; `None` if it was not taken.
    pub taken_for: Option<Date>,
    /// How many.
    pub count: u64,
}

/// A day of an organization with counts that are not known to be recorded by an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenDay {
    /// The day.
    pub day: Date,
    /// The organization.
    pub organization: OrganizationId,
    /// The day for whose event some of it was taken, if so.
    pub taken_for: Option<Date>,
}

/// The part of the ledger that stores counts of requests with API keys. Implemented by every engine of the log.
#[async_trait]
pub trait UsageCounts: Send + Sync {
    /// Stores counts; a smaller one than the stored one is ignored.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn report_usage(&self, counts: &[UsageCount]) -> Result<(), LogError>;

    /// What is open of the days from a date on, by the day for which it was taken.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn open_usage(&self, organization: OrganizationId, from: Date) -> Result<Vec<OpenUsage>, LogError>;

    /// The days until a date with open counts, in order of day and organization; at most `limit` after `after`.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn open_days(
        &self,
        until: Date,
        after: Option<(Date, OrganizationId)>,
        limit: usize,
    ) -> Result<Vec<OpenDay>, LogError>;

    /// Takes what is open of the days until a date for the event of that day, unless that was done before; returns what
    /// was taken for it, by key.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn take_usage(&self, organization: OrganizationId, day: Date) -> Result<Vec<(ApiKeyId, u64)>, LogError>;

    /// Ends what [`UsageCounts::take_usage`] began: what was taken is recorded, or open again.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn settle_usage(&self, organization: OrganizationId, day: Date, is_recorded: bool) -> Result<(), LogError>;

    /// Deletes recorded counts of days before a date; returns the number of deleted rows.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn delete_usage(&self, before: Date) -> Result<u64, LogError>;
}
