//! Jobs: long-running work that a caller requested. A job is stored in the ledger and run by any free node.
//!
//! | file | what it owns |
//! |---|---|
//! | `course.rs` | progress and cancellation of a running job |
//! | `runner.rs` | takes jobs and runs them |
//! | `stored.rs` | stored representation of actor and counts |
//!
//! A node holds a job under a lease that it renews while the job runs. If the lease expires, another node starts the
//! job over: whatever a job does must be idempotent. Due times and leases are judged by the database's clock.

mod course;
mod runner;
pub mod stored;

use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use porttask_domain::{Actor, JobId, OrganizationId};
use serde::{Deserialize, Serialize};

pub use self::{
    course::{Counts, Course},
    runner::{JobRunner, Work, WorkError},
};
use crate::{
    lease::{Holder, Lease},
    log::LogError,
};

/// Limits on the jobs of an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobLimits {
    /// Maximum number of waiting jobs.
    pub waiting: u32,
    /// Maximum number of jobs requested within [`JobLimits::DAY`].
    pub per_day: u32,
}

impl JobLimits {
    /// The default limits: every job leaves a report in the log's database for days.
    pub const USUAL: Self = Self { waiting: 5, per_day: 50 };
    /// The window of [`JobLimits::per_day`].
    pub const DAY: SignedDuration = SignedDuration::from_hours(24);

    /// The limit that these numbers of jobs reach, if any.
    pub const fn reached(self, waiting: u64, within_a_day: u64) -> Option<ReachedLimit> {
        if within_a_day >= self.per_day as u64 {
            Some(ReachedLimit::PerDay)
        } else if waiting >= self.waiting as u64 {
            Some(ReachedLimit::Waiting)
        } else {
            None
        }
    }
}

/// The limit that prevents an organization from requesting another job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReachedLimit {
    /// Waiting jobs.
    Waiting,
    /// Jobs requested within a day.
    PerDay,
}

/// The life-cycle state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waiting for a node.
    Waiting,
    /// Leased by a node.
    Running,
    /// Completed.
    Done,
    /// Failed for good.
    Failed,
}

impl JobState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Running, Self::Done, Self::Failed];

    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    /// The state with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether the state is final.
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }
}

/// A job to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// The organization it is run for.
    pub organization: OrganizationId,
    /// The kind of work.
    pub kind: &'static str,
    /// Who requested it.
    pub actor: Actor,
    /// Dry run: the job changes nothing.
    pub is_dry_run: bool,
    /// The number of parts.
    pub total: u64,
    /// When it was requested.
    pub created_at: Timestamp,
    /// Distinguishes a repeated request from a different one with the same id.
    pub request_hash: [u8; 32],
    /// The input, sealed.
    pub input: Vec<u8>,
}

/// A stored job. No personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The organization it is run for.
    pub organization: OrganizationId,
    /// The kind of work.
    pub kind: String,
    /// Who requested it.
    pub actor: Actor,
    /// Dry run: the job changes nothing.
    pub is_dry_run: bool,
    /// Its life-cycle state.
    pub state: JobState,
    /// The number of parts done.
    pub done: u64,
    /// The number of parts.
    pub total: u64,
    /// The number of parts by outcome.
    pub counts: Counts,
    /// When it was requested.
    pub created_at: Timestamp,
    /// When it was first started.
    pub started_at: Option<Timestamp>,
    /// When it completed or failed.
    pub finished_at: Option<Timestamp>,
    /// Why it failed.
    pub failure: Option<String>,
    /// The number of attempts, including the current one.
    pub attempts: u32,
    /// Fencing token: incremented whenever the job is taken or an attempt ends.
    pub epoch: u64,
}

/// The result of [`Jobs::add_job`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// The job was recorded, now or before by the same request.
    There(Box<Job>),
    /// A different job with this id exists.
    Another,
    /// The organization has reached a limit.
    Full(ReachedLimit),
}

/// How an attempt at a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEnd {
    /// The job completed.
    Done {
        /// The report, sealed.
        report: Vec<u8>,
    },
    /// The job failed for good.
    Failed {
        /// Why, for people. No personal data.
        reason: String,
    },
    /// The job is to be started again.
    Waiting {
        /// The delay before the next attempt.
        delay: Duration,
        /// Whether the attempt counts towards the maximum.
        counts_as_attempt: bool,
    },
}

impl JobEnd {
    /// What is stored: the state, the delay until it is due, how many attempts to subtract, why it failed.
    pub fn recorded(&self) -> (JobState, Duration, u32, Option<&str>) {
        match self {
            Self::Done { .. } => (JobState::Done, Duration::ZERO, 0, None),
            Self::Failed { reason } => (JobState::Failed, Duration::ZERO, 0, Some(reason)),
            Self::Waiting { delay, counts_as_attempt } => {
                (JobState::Waiting, *delay, u32::from(!counts_as_attempt), None)
            }
        }
    }
}

/// The progress of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobProgress {
    /// The number of parts done.
    pub done: u64,
    /// The number of parts by outcome.
    pub counts: Counts,
}

/// Port: storage of jobs. Implemented by every engine of the log, in the log's database.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Records a job, unless its organization has reached a limit or its id is in use.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn add_job(&self, job: NewJob, limits: JobLimits) -> Result<Added, LogError>;

    /// The limit that would reject a job that the organization requested now, if any.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn reached_job_limit(
        &self,
        organization: OrganizationId,
        now: Timestamp,
        limits: JobLimits,
    ) -> Result<Option<ReachedLimit>, LogError>;

    /// A job of an organization.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn job(&self, organization: OrganizationId, id: JobId) -> Result<Option<Job>, LogError>;

    /// The report of a completed job of an organization, sealed.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn job_report(&self, organization: OrganizationId, id: JobId) -> Result<Option<Vec<u8>>, LogError>;

    /// The jobs of an organization, latest first, following `after` in that order.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn jobs(
        &self,
        organization: OrganizationId,
        after: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Job>, LogError>;

    /// Leases a job of one of these kinds, with its input, to the caller. Eligible is the oldest unfinished job of each
    /// organization, if it is due and not leased.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn take_job(&self, kinds: &[&str], lease: &Lease) -> Result<Option<(Job, Vec<u8>)>, LogError>;

    /// Renews the lease of a running job and stores its progress. `false`, without effect, if the lease was lost.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn keep_job(&self, id: JobId, epoch: u64, lease: &Lease, progress: &JobProgress) -> Result<bool, LogError>;

    /// Makes due what former runs of the holder's node were running; returns the number of jobs.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn take_over_jobs(&self, holder: &Holder) -> Result<u64, LogError>;

    /// Records how an attempt ended; deletes the input if the job is finished. `false`, without effect, if the lease is
    /// lost.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn end_job(&self, id: JobId, epoch: u64, progress: &JobProgress, end: &JobEnd) -> Result<bool, LogError>;

    /// Deletes the jobs that finished before an instant; returns the number of deleted jobs.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn forget_jobs(&self, finished_before: Timestamp) -> Result<u64, LogError>;
}
