//! Long work that somebody ordered: it is kept in the ledger until it is done, and whichever node is free does it.
//!
//! | file | what it owns |
//! |---|---|
//! | `course.rs` | how far the work has come, and whether it is to stop |
//! | `runner.rs` | a node that takes jobs and does them |
//! | `stored.rs` | how some of a job is stored |
//!
//! A node has a job for a time, and says again and again that it is at it. If it is silent, another node begins the job
//! anew: so whatever a job does must be harmless if it is done twice.

mod course;
mod runner;
pub mod stored;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use porttask_domain::{Actor, JobId, OrganizationId};
use serde::{Deserialize, Serialize};

pub use self::{
    course::{Counts, Course},
    runner::{JobRunner, Work, WorkError},
};
use crate::log::LogError;

/// How many jobs an organization may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobLimits {
    /// That wait.
    pub waiting: u32,
    /// That were ordered within [`JobLimits::DAY`].
    pub per_day: u32,
}

impl JobLimits {
    /// Those that hold: every job leaves a report in the log's database for days.
    pub const USUAL: Self = Self { waiting: 5, per_day: 50 };
    /// How long an order counts.
    pub const DAY: SignedDuration = SignedDuration::from_hours(24);

    /// Which of them is reached by so many jobs.
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

/// Why an organization may order no job now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReachedLimit {
    /// As many wait as may.
    Waiting,
    /// As many were ordered within a day as may.
    PerDay,
}

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Nobody is at it.
    Waiting,
    /// A node is at it.
    Running,
    /// It was done.
    Done,
    /// It was given up.
    Failed,
}

impl JobState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Running, Self::Done, Self::Failed];

    /// As it is stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    /// The one by this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether nothing more happens to it.
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }
}

/// A job to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// Its identity.
    pub id: JobId,
    /// For whom it is done.
    pub organization: OrganizationId,
    /// What is to be done, in a word.
    pub kind: &'static str,
    /// Who ordered it.
    pub actor: Actor,
    /// Nothing is to be changed by it.
    pub is_dry_run: bool,
    /// How many parts it has.
    pub total: u64,
    /// When it was ordered.
    pub created_at: Timestamp,
    /// By what a repeated order is told from another one.
    pub request_hash: [u8; 32],
    /// What it is done with, sealed.
    pub input: Vec<u8>,
}

/// A job as it is kept. Nothing personal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its identity.
    pub id: JobId,
    /// For whom it is done.
    pub organization: OrganizationId,
    /// What is to be done, in a word.
    pub kind: String,
    /// Who ordered it.
    pub actor: Actor,
    /// Nothing is to be changed by it.
    pub is_dry_run: bool,
    /// Where it is in its life.
    pub state: JobState,
    /// How many parts are done.
    pub done: u64,
    /// How many parts it has.
    pub total: u64,
    /// How many parts ended how.
    pub counts: Counts,
    /// When it was ordered.
    pub created_at: Timestamp,
    /// When it was first begun.
    pub started_at: Option<Timestamp>,
    /// When it was done or given up.
    pub finished_at: Option<Timestamp>,
    /// Why it was given up.
    pub failure: Option<String>,
    /// How often it was begun, this time included.
    pub attempts: u32,
    /// Changes whenever the job is taken or given back.
    pub epoch: u64,
}

/// What came of recording a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// It waits now, or was recorded before by the same order.
    There(Box<Job>),
    /// There is one by this id, and it was ordered otherwise.
    Another,
    /// The organization has as many as it may.
    Full(ReachedLimit),
}

/// How an attempt at a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEnd {
    /// It is done.
    Done {
        /// What came of it, sealed.
        report: Vec<u8>,
    },
    /// It is given up.
    Failed {
        /// Why, for people. Nothing personal.
        reason: String,
    },
    /// It is to be begun again.
    Waiting {
        /// Not before.
        due_at: Timestamp,
        /// Whether the attempt counts.
        counts_as_attempt: bool,
    },
}

impl JobEnd {
    /// As it is recorded: the state, when it is due, by how many attempts fewer it counts, why it was given up.
    pub fn recorded(&self, now: Timestamp) -> (JobState, Timestamp, u32, Option<&str>) {
        match self {
            Self::Done { .. } => (JobState::Done, now, 0, None),
            Self::Failed { reason } => (JobState::Failed, now, 0, Some(reason)),
            Self::Waiting { due_at, counts_as_attempt } => {
                (JobState::Waiting, *due_at, u32::from(!counts_as_attempt), None)
            }
        }
    }
}

/// How far a job has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobProgress {
    /// How many parts are done.
    pub done: u64,
    /// How many of them ended how.
    pub counts: Counts,
}

/// Jobs. Implemented by every engine of the log, in the log's database.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Records a job, unless its organization has reached one of the limits, or there is one by its id.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn add_job(&self, job: NewJob, limits: JobLimits) -> Result<Added, LogError>;

    /// Which of the limits an organization has reached that would order a job now.
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

    /// What came of a job of an organization, sealed, once it is done.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn job_report(&self, organization: OrganizationId, id: JobId) -> Result<Option<Vec<u8>>, LogError>;

    /// The jobs of an organization, the latest first, those after `after` in that order.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn jobs(
        &self,
        organization: OrganizationId,
        after: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Job>, LogError>;

    /// Hands a job of one of these kinds, with its input, to the caller alone until `lease_until`: of each organization
    /// the oldest that is not finished, if it is due and no node is at it.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn take_job(
        &self,
        kinds: &[&str],
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Option<(Job, Vec<u8>)>, LogError>;

    /// Keeps a job until `lease_until`, and tells how far it has come. `false`, and nothing is done, if somebody else has
    /// it.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn keep_job(
        &self,
        id: JobId,
        epoch: u64,
        lease_until: Timestamp,
        progress: &JobProgress,
    ) -> Result<bool, LogError>;

    /// Records how an attempt ended; when the job is finished by that, its input is deleted. `false`, and nothing is done,
    /// if somebody else has it.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn end_job(
        &self,
        id: JobId,
        epoch: u64,
        now: Timestamp,
        progress: &JobProgress,
        end: &JobEnd,
    ) -> Result<bool, LogError>;

    /// Deletes the jobs that were finished before; answers how many.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn forget_jobs(&self, finished_before: Timestamp) -> Result<u64, LogError>;
}
