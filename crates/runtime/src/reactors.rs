//! Reactors: what is done beyond the log because something happened, as mail that is sent because somebody was invited.
//!
//! | file | what it owns |
//! |---|---|
//! | `scheduler.rs` | from events to tasks: each event once, whichever nodes look at it |
//! | `worker.rs` | from tasks to deeds: each at least once, tried again if it fails |
//!
//! The log is the outbox: whatever was appended is reacted to, also if the process ended right after. Reading the log anew,
//! for read models or checks, triggers nothing.

mod scheduler;
mod worker;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use jiff::SignedDuration;
use porttask_domain::DomainEvent;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use self::{scheduler::Scheduler, worker::Worker};
use crate::{
    execute::ExecuteError,
    ledger::Database,
    log::{Checkpoint, EventLog, FollowError, Follower, Head, Incarnation, LogError, PartitionId, RecordedEvent},
    tasks::{NewTask, Task, TaskCounts},
    vault::VaultError,
};

/// Makes tasks of events, and carries them out.
#[async_trait]
pub trait Reactor: Send + Sync + 'static {
    /// Its name, which never changes: cursor and tasks are kept under it.
    fn name(&self) -> &'static str;

    /// Whether a reactor that is new to a log also reacts to what happened before.
    fn begins_at_the_first_event(&self) -> bool {
        false
    }

    /// Whether it may react to events of this category at all.
    fn covers(&self, category: &str) -> bool;

    /// What is to be done because of an event. Decided from the event alone: nodes race for it, and one of them wins.
    /// Personal values read as erased here; who needs them looks them up when the task is run.
    fn tasks(&self, event: &DomainEvent, recorded: &RecordedEvent) -> Vec<NewTask>;

    /// Does it, perhaps again: who did it before may have ended before it was recorded.
    ///
    /// # Errors
    /// Why it was not done, and whether it is to be tried again. Without personal data.
    async fn run(&self, task: &Task) -> Result<TaskOutcome, TaskError>;
}

/// How a task was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskOutcome {
    /// It was done.
    Done,
    /// There was no reason to do it any more.
    Skipped,
}

/// Why a task was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// It may work later.
    #[error("{0}")]
    Temporary(String),
    /// It will never work as things are.
    #[error("{0}")]
    Permanent(String),
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

/// How fast reactors go.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// How many tasks of a reactor a node carries out at a time.
    pub at_once: usize,
    /// How long a task may take; until then it is no other worker's.
    pub lease: Duration,
    /// How often to look for tasks that became due, or were scheduled by another node.
    pub look_every: Duration,
    /// How long to wait after the first failure; twice as long after each further one.
    pub first_retry: Duration,
    /// The longest wait.
    pub longest_retry: Duration,
    /// How often a task is tried before it is dead.
    pub attempts: u32,
}

/// Sixteen attempts within seven hours: long enough for a mail server to be repaired.
impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            at_once: 8,
            lease: Duration::from_secs(120),
            look_every: Duration::from_secs(5),
            first_retry: Duration::from_secs(10),
            longest_retry: Duration::from_secs(3_600),
            attempts: 16,
        }
    }
}

/// Reactors at work on a node.
pub struct Reactors {
    database: Arc<dyn Database>,
    reactors: Vec<Arc<Served>>,
    policy: RetryPolicy,
    partitions: Vec<PartitionId>,
    stop: watch::Sender<bool>,
    running: Mutex<Vec<JoinHandle<()>>>,
}

/// How a reactor fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Which one.
    pub name: &'static str,
    /// Tasks that this node has done.
    pub done: u64,
    /// Tasks that had become skipped on this node.
    pub skipped: u64,
    /// Attempts on this node that failed and are to be repeated.
    pub retried: u64,
    /// Tasks that died on this node.
    pub died: u64,
    /// What is left, of all nodes, as this node saw it last.
    pub left: TaskCounts,
    /// Why it does nothing until it is released, if so.
    pub held: Option<String>,
}

/// A reactor, and how it fares on this node.
struct Served {
    reactor: Arc<dyn Reactor>,
    /// By partition: why it is held.
    held: Mutex<BTreeMap<PartitionId, String>>,
    /// There may be tasks to carry out.
    wake: Notify,
    done: AtomicU64,
    skipped: AtomicU64,
    retried: AtomicU64,
    died: AtomicU64,
    waiting: AtomicU64,
    dead: AtomicU64,
}

impl Reactors {
    /// Reactors of this log, not yet at work. What is appended from now on is reacted to.
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
                // A partition that came after the reactor did is read from its first event.
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

    /// Sets them to work.
    pub fn run(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        for partition in &self.partitions {
            let scheduler = Scheduler::new(Arc::clone(&self.database), self.reactors.clone(), *partition);
            running.push(tokio::spawn(scheduler.run(self.stop.subscribe())));
        }
        for served in &self.reactors {
            let worker = Worker::new(Arc::clone(&self.database), Arc::clone(served), self.policy);
            running.push(tokio::spawn(worker.run(self.stop.subscribe())));
        }
    }

    /// Begins nothing more, and waits until what is under way has ended; at most so long. Answers whether all has.
    ///
    /// What was cut off is carried out by whoever comes next, after its lease.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        self.stop.send_replace(true);
        let until = Instant::now() + grace;
        let running = std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        let mut all = true;
        for mut handle in running {
            if timeout_at(until, &mut handle).await.is_err() {
                handle.abort();
                all = false;
            }
        }
        all
    }

    /// How each of them fares.
    pub fn status(&self) -> Vec<Status> {
        self.reactors.iter().map(|served| served.status()).collect()
    }
}

/// Lets a reactor go on that is held since the log was put back from a copy: what happened until now is past.
///
/// Tasks that were recorded before are carried out. Where the reactor is not held, it goes on from where it is.
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

/// Why a reactor may not go on from a cursor, if so: the log is not the one that it was taken of.
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
        }
    }

    fn name(&self) -> &'static str {
        self.reactor.name()
    }

    /// Does nothing any more until it is released; says so once.
    fn hold(&self, partition: PartitionId, why: &str) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.insert(partition, why.to_owned()).is_none() {
            let reactor = self.name();
            tracing::warn!(reactor, %partition, why, "a reactor is held: `porttask tasks release` lets it go on");
        }
    }

    fn go_on(&self, partition: PartitionId) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.remove(&partition).is_some() {
            tracing::info!(reactor = self.name(), %partition, "a reactor goes on");
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

/// A failure that is told once, however often it is met until it is over.
#[derive(Default)]
struct Outage {
    is_told: bool,
}

impl Outage {
    fn met(&mut self, error: &dyn std::fmt::Display) {
        if !std::mem::replace(&mut self.is_told, true) {
            tracing::warn!(%error, "reactors wait for the log's database");
        }
    }

    fn is_over(&mut self) {
        if std::mem::take(&mut self.is_told) {
            tracing::warn!("reactors have the log's database again");
        }
    }
}

/// As long as a library that knows no standard durations has it.
fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
