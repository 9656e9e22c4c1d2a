//! Timers: what becomes due, carried out at its time.
//!
//! | file | what it owns |
//! |---|---|
//! | `worker.rs` | the worker of a partition |
//! | `due.rs` | what is due in it |
//! | `attempt.rs` | carries out a timer |
//! | `lane.rs` | the turns of lanes |
//! | `ledger.rs` | the port: leases, failed attempts |
//!
//! What is due is a read model, so that withdrawn schedules vanish, rebuilds and restores lose none, and people can see
//! what happens next; the ledger keeps only failed attempts. One node per partition carries them out: in order of due
//! within an organization, concurrently between organizations. Timers of a lane are carried out on one node at a time, at
//! a bounded rate. A timer is a unit of work that decides whether it still applies: carried out again, it records nothing.

mod attempt;
mod due;
mod lane;
mod ledger;
mod worker;

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::OrganizationId;
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};
use uuid::Uuid;

pub use self::ledger::{TimerFailure, TimerLedger};
use self::worker::Worker;
use crate::{
    execute::{ExecuteError, Executor, Tx},
    lease::{Holder, Lease},
    ledger::Database,
    log::{LogError, PartitionId},
    supervise::{Restart, Supervised, beat, supervise},
    views::Views,
};

/// Interval at which expired idempotency records are deleted.
const HOUSEKEEPING: Duration = Duration::from_secs(600);

/// Something that is due for an aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// The organization.
    pub organization: OrganizationId,
    /// The UUID of the aggregate.
    pub subject: Uuid,
    /// What it does.
    pub kind: String,
    /// When it is due.
    pub due_at: Timestamp,
    /// The event that set it, which is the cause of what follows.
    pub set_by: Uuid,
    /// The lane, if any.
    pub lane: Option<String>,
}

/// How a timer ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimerOutcome {
    /// Carried out, or it no longer applied.
    Done,
    /// It has to wait for something else until this time; others go first.
    Wait(Timestamp),
}

/// Carries out timers of some kinds.
#[async_trait]
pub trait TimerHandler: Send + Sync + 'static {
    /// The kinds.
    fn kinds(&self) -> Vec<&'static str>;

    /// The lane of a timer: such timers are carried out on one node at a time, at a bounded rate.
    fn lane(&self, timer: &Timer) -> Option<String> {
        timer.lane.clone()
    }

    /// Carries out a timer in a unit of work: decides whether it still applies, and what follows.
    ///
    /// # Errors
    /// If it failed; it is retried later.
    async fn run(&self, timer: &Timer, tx: &Tx) -> Result<TimerOutcome, ExecuteError>;
}

/// Concurrency and retries of timers.
#[derive(Debug, Clone, Copy)]
pub struct TimerPolicy {
    /// Maximum number of organizations whose timers are carried out concurrently, per partition.
    pub at_once: usize,
    /// How long a timer may take.
    pub attempt_timeout: Duration,
    /// The lease of a partition; at most [`Lease::MAX_DURATION`].
    pub lease: Duration,
    /// The maximum rate of a lane, per second.
    pub lane_rate: u32,
    /// Delay after the first failure; doubles with each further one.
    pub first_retry: Duration,
    /// Maximum delay.
    pub longest_retry: Duration,
}

impl Default for TimerPolicy {
    fn default() -> Self {
        Self {
            at_once: 64,
            attempt_timeout: Duration::from_secs(10),
            lease: Lease::MAX_DURATION,
            lane_rate: 100,
            first_retry: Duration::from_secs(10),
            longest_retry: Duration::from_secs(3_600),
        }
    }
}

/// What the workers of a node have done.
#[derive(Debug, Default)]
pub struct TimerCounts {
    /// Timers carried out.
    pub done: AtomicU64,
    /// Attempts that failed.
    pub failed: AtomicU64,
    /// Timers that stepped aside to wait.
    pub waited: AtomicU64,
}

/// What all workers of a node share.
struct Parts {
    database: Arc<dyn Database>,
    views: Arc<Views>,
    executor: Arc<Executor>,
    handlers: Vec<Arc<dyn TimerHandler>>,
    policy: TimerPolicy,
    counts: Arc<TimerCounts>,
    /// The lanes that a worker of this node works: a lease only keeps other nodes away.
    lanes: Mutex<HashSet<String>>,
    /// Signals that failed timers may be due again.
    wake: Notify,
}

/// The timers of a node.
pub struct Timers {
    parts: Arc<Parts>,
    stop: watch::Sender<bool>,
    running: Mutex<Vec<Supervised>>,
}

impl Timers {
    /// Timers with these handlers, which start with [`Timers::run`].
    pub fn new(
        views: Arc<Views>,
        executor: Arc<Executor>,
        handlers: Vec<Arc<dyn TimerHandler>>,
        policy: TimerPolicy,
    ) -> Arc<Self> {
        let database = Arc::clone(executor.database());
        let (counts, lanes, wake) = (Arc::default(), Mutex::default(), Notify::new());
        let parts = Arc::new(Parts { database, views, executor, handlers, policy, counts, lanes, wake });
        Arc::new(Self { parts, stop: watch::Sender::new(false), running: Mutex::default() })
    }

    /// What this node has done.
    pub fn counts(&self) -> Arc<TimerCounts> {
        Arc::clone(&self.parts.counts)
    }

    /// Starts a worker for each partition.
    ///
    /// # Errors
    /// If the log fails.
    pub async fn run(&self, holder: &Holder) -> Result<(), LogError> {
        let partitions: Vec<PartitionId> =
            self.parts.database.heads().await?.iter().map(|head| head.position.partition).collect();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        for partition in partitions {
            let (parts, holder, stop) = (Arc::clone(&self.parts), holder.clone(), self.stop.subscribe());
            let name = format!("timers of partition {partition}");
            running.push(supervise(name, Restart::Until(stop.clone()), move || {
                Worker::new(Arc::clone(&parts), partition, holder.clone()).run(stop.clone())
            }));
        }
        let (parts, holder, stop) = (Arc::clone(&self.parts), holder.clone(), self.stop.subscribe());
        running.push(supervise("housekeeping", Restart::Until(stop.clone()), move || {
            housekeeping(Arc::clone(&parts), holder.clone(), stop.clone())
        }));
        Ok(())
    }

    /// Makes a failed timer due now. `false` if there is none.
    ///
    /// # Errors
    /// If the log's database fails.
    pub async fn retry(&self, organization: OrganizationId, subject: Uuid) -> Result<bool, LogError> {
        let now = self.parts.executor.clock().now();
        let is_known = self.parts.database.retry_timer(organization, subject, now).await?;
        self.parts.wake.notify_waiters();
        Ok(is_known)
    }

    /// Stops; returns whether what was being carried out ended within `patience`.
    pub async fn shutdown(&self, patience: Duration) -> bool {
        self.stop.send_replace(true);
        let mut running = std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        let ended = async {
            for task in &mut running {
                task.ended().await;
            }
        };
        timeout(patience, ended).await.is_ok()
    }
}

impl TimerCounts {
    fn add(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Deletes what has expired in the ledger, on one node at a time.
async fn housekeeping(parts: Arc<Parts>, holder: Holder, mut stop: watch::Receiver<bool>) {
    let lease = Lease::new(holder, parts.policy.lease);
    loop {
        beat(HOUSEKEEPING);
        match parts.database.hold("housekeeping", &lease).await {
            Ok(true) => {
                if let Err(error) = parts.database.forget_expired().await {
                    tracing::warn!(%error, "expired records could not be deleted: will retry");
                }
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the lease of the housekeeping could not be taken: will retry"),
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(HOUSEKEEPING) => {}
        }
    }
}
