//! Reactors: side effects triggered by events, such as the email that an invitation sends.
//!
//! | file | what it owns |
//! |---|---|
//! | `scheduler.rs` | from events to tasks: exactly once, on any number of nodes |
//! | `worker.rs` | runs tasks: at least once, with retries |
//!
//! The log is the outbox: every appended event is reacted to, even if the process stops right after the append.
//! Replaying the log for read models or verification triggers nothing.

mod scheduler;
mod worker;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use porttask_domain::DomainEvent;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout_at},
};

use self::{scheduler::Scheduler, worker::Worker};
use crate::{
    execute::ExecuteError,
    lease::{Holder, Lease},
    ledger::Database,
    log::{Checkpoint, EventLog, FollowError, Follower, Head, Incarnation, LogError, PartitionId, RecordedEvent},
    supervise::{Restart, Supervised, supervise},
    tasks::{NewTask, Task, TaskCounts},
    vault::VaultError,
};

/// Derives tasks from events and runs them.
#[async_trait]
pub trait Reactor: Send + Sync + 'static {
    /// Its name, which must never change: cursors and tasks are stored under it.
    fn name(&self) -> &'static str;

    /// Whether a reactor new to a log also processes the events recorded before.
    fn begins_at_the_first_event(&self) -> bool {
        false
    }

    /// Whether it can react to events of this stream category.
    fn covers(&self, category: &str) -> bool;

    /// The tasks that follow from an event. Must depend on the event alone: nodes race to schedule them, and one wins.
    /// Personal values read as erased here; a task that needs them loads them when it runs.
    fn tasks(&self, event: &DomainEvent, recorded: &RecordedEvent) -> Vec<NewTask>;

    /// Runs a task. It may have run before: a worker may stop before it records the outcome.
    ///
    /// # Errors
    /// Why it failed, and whether to retry. Without personal data.
    async fn run(&self, task: &Task) -> Result<TaskOutcome, TaskError>;
}

/// How a task that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskOutcome {
    /// Done.
    Done,
    /// Skipped: the task no longer applies.
    Skipped,
}

/// Why a task failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// Transient failure: a retry may succeed.
    #[error("{0}")]
    Temporary(String),
    /// Permanent failure: a retry cannot succeed.
    #[error("{0}")]
    Permanent(String),
    /// No failure: the task waits for something. It counts as an attempt.
    #[error("waits for {what}")]
    NotYet {
        /// What it waits for.
        what: &'static str,
        /// The delay before the next attempt.
        delay: Duration,
    },
}

impl From<ExecuteError> for TaskError {
    fn from(error: ExecuteError) -> Self {
        Self::Temporary(error.to_string())
    }
}

impl From<LogError> for TaskError {
    fn from(error: LogError) -> Self {
        Self::Temporary(error.to_string())
    }
}

impl From<VaultError> for TaskError {
    fn from(error: VaultError) -> Self {
        Self::Temporary(error.to_string())
    }
}

/// Concurrency, timeouts and retries of reactors.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Maximum number of concurrent tasks per reactor and node.
    pub at_once: usize,
    /// How long a task may run.
    pub attempt_timeout: Duration,
    /// The lease of a task, renewed while the task runs; at most [`Lease::MAX_DURATION`].
    pub lease: Duration,
    /// Poll interval for tasks that became due or were scheduled by other nodes.
    pub look_every: Duration,
    /// Delay after the first failure; doubles with each further one.
    pub first_retry: Duration,
    /// Maximum delay.
    pub longest_retry: Duration,
    /// Attempts before a task is dead-lettered.
    pub attempts: u32,
}

/// Sixteen attempts within seven hours: long enough to repair a mail server.
impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            at_once: 8,
            attempt_timeout: Duration::from_secs(96),
            lease: Lease::MAX_DURATION,
            look_every: Duration::from_secs(5),
            first_retry: Duration::from_secs(10),
            longest_retry: Duration::from_secs(3_600),
            attempts: 16,
        }
    }
}

/// The reactors of a node.
pub struct Reactors {
    database: Arc<dyn Database>,
    reactors: Vec<Arc<Served>>,
    policy: RetryPolicy,
    partitions: Vec<PartitionId>,
    stop: watch::Sender<bool>,
    running: Mutex<Vec<Supervised>>,
}

/// The status of a reactor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its name.
    pub name: &'static str,
    /// Tasks done by this node.
    pub done: u64,
    /// Tasks skipped by this node.
    pub skipped: u64,
    /// Attempts on this node that failed or had to wait, and will be retried.
    pub retried: u64,
    /// Tasks dead-lettered by this node.
    pub died: u64,
    /// Remaining tasks across all nodes, as last counted by this node.
    pub left: TaskCounts,
    /// Why the reactor is on hold until it is released, if it is.
    pub held: Option<String>,
}

/// A reactor and its status on this node.
struct Served {
    reactor: Arc<dyn Reactor>,
    /// Why it is on hold, by partition.
    held: Mutex<BTreeMap<PartitionId, String>>,
    /// Signals that tasks may be due.
    wake: Notify,
    done: AtomicU64,
    skipped: AtomicU64,
    retried: AtomicU64,
    died: AtomicU64,
    waiting: AtomicU64,
    dead: AtomicU64,
    /// Whether the last attempt of a task failed temporarily.
    is_failing: AtomicBool,
}

impl Reactors {
    /// Opens reactors on this log, which start with [`Reactors::run`]. Events appended from now on are processed.
    ///
    /// # Errors
    /// If the log's database fails.
    pub async fn open(
        database: Arc<dyn Database>,
        reactors: Vec<Arc<dyn Reactor>>,
        policy: RetryPolicy,
    ) -> Result<Arc<Self>, LogError> {
        let heads = database.heads().await?;
        let incarnation = database.incarnation().await?;
        let mut served = Vec::with_capacity(reactors.len());
        for reactor in reactors {
            let cursors = database.cursors(reactor.name()).await?;
            let one = Served::new(Arc::clone(&reactor));
            for cursor in &cursors {
                if let Some(why) = why_held(&database, *cursor).await? {
                    one.hold(cursor.position.partition, &why);
                }
            }
            if !one.is_held() {
                // A partition added after the reactor started is read from its first event.
                let from_the_first = reactor.begins_at_the_first_event() || !cursors.is_empty();
                let at: Vec<Checkpoint> =
                    heads.iter().map(|head| begin_at(head, incarnation, from_the_first)).collect();
                database.begin(reactor.name(), &at).await?;
            }
            served.push(Arc::new(one));
        }
        let partitions = heads.iter().map(|head| head.position.partition).collect();
        let (stop, running) = (watch::Sender::new(false), Mutex::default());
        Ok(Arc::new(Self { database, reactors: served, policy, partitions, stop, running }))
    }

    /// Starts the reactors, which first take over what former runs of this node were running.
    pub fn run(&self, holder: &Holder) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        for partition in &self.partitions {
            let (database, reactors, id) = (Arc::clone(&self.database), self.reactors.clone(), *partition);
            let stop = self.stop.subscribe();
            let name = format!("reactors of partition {partition}");
            running.push(supervise(name, Restart::Until(stop.clone()), move || {
                Scheduler::new(Arc::clone(&database), reactors.clone(), id).run(stop.clone())
            }));
        }
        for served in &self.reactors {
            let (database, served, holder) = (Arc::clone(&self.database), Arc::clone(served), holder.clone());
            let (policy, stop) = (self.policy, self.stop.subscribe());
            let name = format!("tasks of {}", served.name());
            running.push(supervise(name, Restart::Until(stop.clone()), move || {
                Worker::new(Arc::clone(&database), Arc::clone(&served), policy, holder.clone()).run(stop.clone())
            }));
        }
    }

    /// Stops the reactors and waits for running tasks, at most `grace`. Returns whether all of them ended.
    ///
    /// Aborted tasks are run again: by the next run of this node, or by another one once their lease has expired.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        self.stop.send_replace(true);
        let until = Instant::now() + grace;
        let running = std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        let mut all = true;
        for mut task in running {
            all &= timeout_at(until, task.ended()).await.is_ok();
        }
        all
    }

    /// The status of each reactor.
    pub fn status(&self) -> Vec<Status> {
        self.reactors.iter().map(|served| served.status()).collect()
    }
}

/// Releases a reactor that is on hold since the log was restored from a backup: it skips all events up to now.
///
/// Tasks recorded before are still run. In partitions where the reactor is not on hold, its cursor stays.
///
/// # Errors
/// If the log's database fails.
pub async fn release(database: &Arc<dyn Database>, reactor: &str) -> Result<(), LogError> {
    let incarnation = database.incarnation().await?;
    let heads = database.heads().await?;
    let cursors = database.cursors(reactor).await?;
    let mut at = Vec::new();
    for head in &heads {
        let cursor = cursors.iter().find(|cursor| cursor.position.partition == head.position.partition);
        let is_held = match cursor {
            Some(cursor) => why_held(database, *cursor).await?.is_some(),
            None => true,
        };
        if is_held {
            at.push(begin_at(head, incarnation, false));
        }
    }
    database.put_cursors(reactor, &at).await
}

/// Lets a reactor begin behind positions of the log: events up to them lead to no tasks.
///
/// # Errors
/// If the log's database fails.
pub async fn begin_behind(database: &Arc<dyn Database>, reactor: &str, heads: &[Head]) -> Result<(), LogError> {
    let incarnation = database.incarnation().await?;
    let at: Vec<Checkpoint> = heads.iter().map(|head| begin_at(head, incarnation, false)).collect();
    database.put_cursors(reactor, &at).await
}

/// Why a reactor cannot continue from a cursor, if so: the log was restored from a backup.
async fn why_held(database: &Arc<dyn Database>, cursor: Checkpoint) -> Result<Option<String>, LogError> {
    let log: Arc<dyn EventLog> = Arc::<dyn Database>::clone(database);
    match Follower::resume(log, cursor).await {
        Ok(_) | Err(FollowError::NoSuchPartition(_)) => Ok(None),
        Err(FollowError::Log(error)) => Err(error),
        Err(error) => Ok(Some(error.to_string())),
    }
}

fn begin_at(head: &Head, incarnation: Incarnation, at_the_first_event: bool) -> Checkpoint {
    let Head { position, event_id, .. } = if at_the_first_event { Head::empty(head.position.partition) } else { *head };
    Checkpoint { incarnation, position, event_id }
}

impl Served {
    fn new(reactor: Arc<dyn Reactor>) -> Self {
        Self {
            reactor,
            held: Mutex::default(),
            wake: Notify::new(),
            done: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            died: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            dead: AtomicU64::new(0),
            is_failing: AtomicBool::new(false),
        }
    }

    fn name(&self) -> &'static str {
        self.reactor.name()
    }

    /// Logs an outage of what the reactor depends on, once when it begins and once when it ends.
    fn is_failing(&self, error: Option<&str>) {
        let was_failing = self.is_failing.swap(error.is_some(), Ordering::Relaxed);
        let reactor = self.name();
        match error {
            Some(error) if !was_failing => tracing::warn!(reactor, error, "tasks fail and will be retried"),
            None if was_failing => tracing::warn!(reactor, "tasks succeed again"),
            _ => {}
        }
    }

    /// Puts the reactor on hold until it is released; logs this once.
    fn hold(&self, partition: PartitionId, why: &str) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.insert(partition, why.to_owned()).is_none() {
            let reactor = self.name();
            tracing::warn!(reactor, %partition, why, "a reactor is on hold; `porttask tasks release` resumes it");
        }
    }

    fn go_on(&self, partition: PartitionId) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.remove(&partition).is_some() {
            tracing::info!(reactor = self.name(), %partition, "a reactor was resumed");
        }
        self.wake.notify_one();
    }

    fn is_held(&self) -> bool {
        !self.held.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn status(&self) -> Status {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Status {
            name: self.name(),
            done: read(&self.done),
            skipped: read(&self.skipped),
            retried: read(&self.retried),
            died: read(&self.died),
            left: TaskCounts { waiting: read(&self.waiting), dead: read(&self.dead) },
            held: self.held.lock().unwrap_or_else(PoisonError::into_inner).values().next().cloned(),
        }
    }
}

/// An outage that is logged once when it begins and once when it ends.
#[derive(Default)]
struct Outage {
    is_told: bool,
}

impl Outage {
    fn met(&mut self, error: &dyn std::fmt::Display) {
        if !std::mem::replace(&mut self.is_told, true) {
            tracing::warn!(%error, "reactors are waiting for the log's database");
        }
    }

    fn is_over(&mut self) {
        if std::mem::take(&mut self.is_told) {
            tracing::warn!("the log's database is available to reactors again");
        }
    }
}
