//! Tasks: what is left to be carried out because of events, and how far each reactor has made tasks of them.
//!
//! A part of the ledger. Whoever makes tasks of events moves a cursor and records the tasks in one transaction, so that
//! every event is made into tasks once, whichever nodes look at it. Whoever carries tasks out takes them for a time: who
//! comes back later than that finds that somebody else has them.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::OrganizationId;
use uuid::Uuid;

use crate::log::{Checkpoint, LogError};

/// The identity of a task (UUIDv7).
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
        self.0.fmt(f)
    }
}

/// A task to be recorded. Nothing personal and no secrets: whoever carries it out looks them up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// Its identity.
    pub id: TaskId,
    /// Where the event happened.
    pub organization: OrganizationId,
    /// What is to be done, in a word.
    pub kind: &'static str,
    /// With what.
    pub subject: Uuid,
    /// Which one of several, as the kind has it; at most 63 bits.
    pub number: u64,
    /// For whom: of one target, one task is carried out after the other.
    pub target: Uuid,
    /// When to begin.
    pub due_at: Timestamp,
}

/// A task as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its identity.
    pub id: TaskId,
    /// Whose task it is.
    pub reactor: String,
    /// Where the event happened.
    pub organization: OrganizationId,
    /// What is to be done, in a word.
    pub kind: String,
    /// With what.
    pub subject: Uuid,
    /// Which one of several, as the kind has it.
    pub number: u64,
    /// For whom.
    pub target: Uuid,
    /// When it is done next; while it is carried out, until when the worker may.
    pub due_at: Timestamp,
    /// How often it was handed out.
    pub attempts: u32,
    /// Changes whenever the task is handed out or given back.
    pub epoch: u64,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// Nobody tries it any more, until it is revived.
    pub is_dead_lettered: bool,
}

/// Why an attempt failed, in at most 500 characters on one line, without mail addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorText(String);

impl ErrorText {
    /// The longest text, in characters.
    pub const MAX_CHARACTERS: usize = 500;

    /// The text, cut to its length; every word that holds a mail address is left out.
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
    /// Nothing is left to do: the task is deleted.
    Done,
    /// It is to be tried again.
    Retry {
        /// When.
        at: Timestamp,
        /// Why.
        error: ErrorText,
    },
    /// It is not tried any more.
    Dead {
        /// Why.
        error: ErrorText,
    },
}

/// Which tasks are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Only those that nobody tries any more.
    pub only_dead: bool,
    /// Only those of one organization.
    pub organization: Option<OrganizationId>,
}

/// An attempt that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// At which task.
    pub id: TaskId,
    /// The task's epoch during the attempt.
    pub epoch: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// How many tasks a reactor has left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskCounts {
    /// To be carried out, or being carried out.
    pub waiting: u64,
    /// Not tried any more.
    pub dead: u64,
}

/// Tasks and cursors. Implemented by every engine of the log, in the log's database.
#[async_trait]
pub trait Tasks: Send + Sync {
    /// How far a reactor has come, by partition; nothing for one that never began.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn cursors(&self, reactor: &str) -> Result<Vec<Checkpoint>, LogError>;

    /// Begins at these places in the partitions in which the reactor has no cursor yet: all of them or none.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn begin(&self, reactor: &str, at: &[Checkpoint]) -> Result<(), LogError>;

    /// Puts a reactor's cursors to these places, wherever they were.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn put_cursors(&self, reactor: &str, at: &[Checkpoint]) -> Result<(), LogError>;

    /// Moves a cursor from `before` to `after` of the same partition and records the tasks of the events between them,
    /// in one transaction. `false`, and nothing is done, if the cursor is not at `before`: somebody else was faster.
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

    /// Hands out tasks that are due, each to one caller alone until `lease_until`. A task is not handed out while an
    /// older one of the same reactor and target is neither done nor dead.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn claim(
        &self,
        reactor: &str,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Task>, LogError>;

    /// Records how attempts ended. By attempt: `false`, and nothing is done, if the task was handed out again since, or
    /// given back.
    ///
    /// # Errors
    /// If the log's database fails; some may be recorded then.
    async fn finish(&self, attempts: &[Attempt]) -> Result<Vec<bool>, LogError>;

    /// Tasks after `after` in the order of their ids, at most `limit`.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn tasks(&self, filter: &TaskFilter, after: Option<TaskId>, limit: usize) -> Result<Vec<Task>, LogError>;

    /// How many tasks a reactor has left.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn count_tasks(&self, reactor: &str) -> Result<TaskCounts, LogError>;

    /// Makes a dead task due, as if it had never been tried. `false` if there is no such dead task.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn retry(&self, id: TaskId, now: Timestamp) -> Result<bool, LogError>;
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
