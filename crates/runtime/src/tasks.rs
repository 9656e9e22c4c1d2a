//! Port: tasks of reactors, and the cursors up to which events have been turned into tasks.
//!
//! A part of the ledger. A scheduler moves a cursor and records tasks in one transaction, so that every event yields
//! its tasks exactly once, on any number of nodes. A worker leases tasks: after the lease expires, another worker may
//! take them, and the late worker's outcome is discarded. Due times and leases are judged by the database's clock.
//!
//! Of the tasks of one reactor and target, at most one runs at a time, and of those that are due the oldest is next. One
//! that is due later, or waits for a retry, does not hold back the others.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::OrganizationId;
use uuid::Uuid;

use crate::{
    lease::{Holder, Lease},
    log::{Checkpoint, LogError},
};

/// The id of a task (UUIDv7). Displayed like those of aggregates: `tsk_01h455vb4pex5vsknk084sn02q`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(pub Uuid);

impl TaskId {
    /// A new id, ordered by time.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        porttask_domain::TaskId(self.0).fmt(f)
    }
}

/// A task to be recorded. No personal data and no secrets: the worker loads them when it runs the task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// Its id.
    pub id: TaskId,
    /// The organization of the event.
    pub organization: OrganizationId,
    /// The kind of task.
    pub kind: &'static str,
    /// The aggregate that the task is about.
    pub subject: Uuid,
    /// A number whose meaning depends on the kind; at most 63 bits.
    pub number: u64,
    /// The recipient: tasks of one target run one after the other.
    pub target: Uuid,
    /// The earliest start; `None`: at once. Not the time of recording of an event, which may be ahead of the clock.
    pub due_at: Option<Timestamp>,
}

/// A stored task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// The reactor that it belongs to.
    pub reactor: String,
    /// The organization of the event.
    pub organization: OrganizationId,
    /// The kind of task.
    pub kind: String,
    /// The aggregate that the task is about.
    pub subject: Uuid,
    /// A number whose meaning depends on the kind.
    pub number: u64,
    /// The recipient.
    pub target: Uuid,
    /// When it is or was due.
    pub due_at: Timestamp,
    /// While it runs: when the worker's lease ends unless it is renewed.
    pub leased_until: Option<Timestamp>,
    /// The number of attempts.
    pub attempts: u32,
    /// Fencing token: incremented whenever the task is leased or an attempt ends.
    pub epoch: u64,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// Whether it is dead-lettered: not attempted again until it is retried by an operator.
    pub is_dead_lettered: bool,
}

/// Why an attempt failed, in at most 500 characters on one line, without email addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorText(String);

impl ErrorText {
    /// Maximum length, in characters.
    pub const MAX_CHARACTERS: usize = 500;

    /// The text, truncated; words that contain `@` are replaced by `[…]`.
    pub fn new(text: &str) -> Self {
        let words = text.split_whitespace().map(|word| if word.contains('@') { "[…]" } else { word });
        let line = words.collect::<Vec<_>>().join(" ");
        let is_good = |character: &char| !character.is_control();
        Self(line.chars().filter(is_good).take(Self::MAX_CHARACTERS).collect())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done: the task is deleted.
    Done,
    /// Failed: the task is retried.
    Retry {
        /// The delay before the next attempt.
        delay: Duration,
        /// Why it failed.
        error: ErrorText,
    },
    /// Failed permanently: the task is dead-lettered.
    Dead {
        /// Why it failed.
        error: ErrorText,
    },
}

/// Selects the tasks to list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Only tasks in this state.
    pub state: Option<TaskState>,
    /// Only tasks of one organization.
    pub organization: Option<OrganizationId>,
}

/// The state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskState {
    /// It is or will become due.
    Waiting,
    /// It is being run.
    Running,
    /// It failed too often: not attempted again until it is retried by an operator.
    DeadLettered,
}

impl Task {
    /// Its state.
    pub fn state(&self) -> TaskState {
        match (self.is_dead_lettered, self.leased_until) {
            (true, _) => TaskState::DeadLettered,
            (false, Some(_)) => TaskState::Running,
            (false, None) => TaskState::Waiting,
        }
    }
}

/// A finished attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The task.
    pub id: TaskId,
    /// The task's epoch during the attempt.
    pub epoch: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// The numbers of a reactor's remaining tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskCounts {
    /// Waiting or running.
    pub waiting: u64,
    /// Dead-lettered.
    pub dead: u64,
}

/// Port: storage of tasks and cursors. Implemented by every engine of the log, in the log's database.
#[async_trait]
pub trait Tasks: Send + Sync {
    /// The cursors of a reactor, by partition; none if it never started.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn cursors(&self, reactor: &str) -> Result<Vec<Checkpoint>, LogError>;

    /// Sets the initial cursors in partitions where the reactor has none, atomically.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn begin(&self, reactor: &str, at: &[Checkpoint]) -> Result<(), LogError>;

    /// Sets a reactor's cursors unconditionally.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn put_cursors(&self, reactor: &str, at: &[Checkpoint]) -> Result<(), LogError>;

    /// Moves a cursor from `before` to `after` of the same partition and records the tasks of the events between them,
    /// in one transaction. `false`, without effect, if the cursor is not at `before`: another node was faster.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn schedule(
        &self,
        reactor: &str,
        before: &Checkpoint,
        after: &Checkpoint,
        tasks: &[NewTask],
    ) -> Result<bool, LogError>;

    /// Leases due tasks to the caller: at most one per target, none of a target of which a task is running, and of the
    /// due ones of a target the oldest. Targets take turns.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn claim(&self, reactor: &str, lease: &Lease, limit: usize) -> Result<Vec<Task>, LogError>;

    /// Renews the lease of a running task. `false`, without effect, if the lease was lost.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn renew(&self, id: TaskId, epoch: u64, lease: &Lease) -> Result<bool, LogError>;

    /// Makes due what former runs of the holder's node were running; returns the number of tasks.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn take_over_tasks(&self, reactor: &str, holder: &Holder) -> Result<u64, LogError>;

    /// Records the outcome of attempts. For each: `false`, without effect, if the task was leased again since.
    ///
    /// # Errors
    /// If the log's database fails; some may be recorded then.
    async fn finish(&self, attempts: &[Attempt]) -> Result<Vec<bool>, LogError>;

    /// Tasks after `after` in the order of their ids, at most `limit`.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn tasks(&self, filter: &TaskFilter, after: Option<TaskId>, limit: usize) -> Result<Vec<Task>, LogError>;

    /// A task that is not done yet.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn task(&self, id: TaskId) -> Result<Option<Task>, LogError>;

    /// The remaining tasks of these targets of an organization, the oldest first.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn tasks_of(&self, organization: OrganizationId, targets: &[Uuid]) -> Result<Vec<Task>, LogError>;

    /// Counts a reactor's remaining tasks.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn count_tasks(&self, reactor: &str) -> Result<TaskCounts, LogError>;

    /// Makes a task due that was dead-lettered in this epoch, with its attempts reset. `false`, without effect, if it is
    /// not dead-lettered, or in another epoch.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn retry(&self, id: TaskId, epoch: u64) -> Result<bool, LogError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_text_is_one_short_line_without_addresses() {
        let text = ErrorText::new("550 5.1.1\r\n<bob@acme.example>: no such\u{7}  user");
        assert_eq!(text.as_str(), "550 5.1.1 […] no such user");
        assert_eq!(ErrorText::new(&"é".repeat(501)).as_str(), "é".repeat(500));
    }
}
