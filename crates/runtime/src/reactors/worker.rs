//! Runs tasks: leases due tasks, runs several concurrently, renews their leases, and records their outcomes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};
use uuid::Uuid;

use super::{Outage, RetryPolicy, Served, TaskError, TaskOutcome};
use crate::{
    lease::{Holder, Lease},
    ledger::Database,
    log::LogError,
    supervise::beat,
    tasks::{self, ErrorText, Outcome, Task},
};

/// Pause after a database failure.
const PAUSE: Duration = Duration::from_secs(2);
/// How long to let finished attempts accumulate before they are recorded.
const GATHER: Duration = Duration::from_millis(10);
/// Interval at which remaining tasks are counted.
const COUNT_EVERY: Duration = Duration::from_secs(15);

pub(super) struct Worker {
    database: Arc<dyn Database>,
    served: Arc<Served>,
    policy: RetryPolicy,
    lease: Lease,
    /// Whether tasks of former runs of this node were taken over.
    has_taken_over: bool,
    outage: Outage,
    counted: Option<Instant>,
}

/// The result of a round.
enum Round {
    /// More tasks may be due now.
    Full,
    /// Nothing more is due, or all slots are busy.
    Idle,
}

impl Worker {
    pub(super) fn new(database: Arc<dyn Database>, served: Arc<Served>, policy: RetryPolicy, holder: Holder) -> Self {
        let lease = Lease::new(holder, policy.lease);
        Self { database, served, policy, lease, has_taken_over: false, outage: Outage::default(), counted: None }
    }

    /// Runs until stopped, then waits for running tasks.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut under_way = JoinSet::new();
        let mut ended = Vec::new();
        while !*stop.borrow() {
            beat(self.policy.look_every);
            match self.round(&mut under_way, &mut ended).await {
                Ok(Round::Full) => {}
                Ok(Round::Idle) => {
                    tokio::select! {
                        _ = stop.wait_for(|stop| *stop) => {}
                        () = self.served.wake.notified() => {}
                        Some(end) = under_way.join_next() => ended.extend(end.ok().flatten()),
                        () = sleep(self.policy.look_every) => {}
                    }
                }
                Err(error) => {
                    self.outage.met(&error);
                    tokio::select! {
                        _ = stop.wait_for(|stop| *stop) => {}
                        () = sleep(PAUSE) => {}
                    }
                }
            }
        }
        while let Some(end) = under_way.join_next().await {
            ended.extend(end.ok().flatten());
        }
        while self.record(&mut ended).await.is_err() {
            sleep(PAUSE).await;
        }
    }

    /// Records finished attempts, and starts as many due tasks as there are free slots: in batches, to save statements.
    async fn round(
        &mut self,
        under_way: &mut JoinSet<Option<Ended>>,
        ended: &mut Vec<Ended>,
    ) -> Result<Round, LogError> {
        self.take_over().await?;
        if !ended.is_empty() {
            sleep(GATHER).await;
        }
        while let Some(end) = under_way.try_join_next() {
            ended.extend(end.ok().flatten());
        }
        self.record(ended).await?;
        self.count().await?;
        let room = self.policy.at_once - under_way.len();
        if room == 0 || self.served.is_held() {
            return Ok(Round::Idle);
        }
        let claimed_at = Instant::now();
        let tasks = self.database.claim(self.served.name(), &self.lease, room).await?;
        self.outage.is_over();
        let round = if tasks.len() < room { Round::Idle } else { Round::Full };
        for task in tasks {
            let attempt = Attempt {
                database: Arc::clone(&self.database),
                served: Arc::clone(&self.served),
                policy: self.policy,
                lease: self.lease.clone(),
                claimed_at,
            };
            #[expect(
                clippy::disallowed_methods,
                reason = "of the worker, which waits for it; a lost one is run again"
            )]
            under_way.spawn(attempt.make(task));
        }
        Ok(round)
    }

    /// Makes due what former runs of this node were running, once.
    async fn take_over(&mut self) -> Result<(), LogError> {
        if self.has_taken_over {
            return Ok(());
        }
        let reactor = self.served.name();
        let count = self.database.take_over_tasks(reactor, &self.lease.holder).await?;
        if count > 0 {
            tracing::info!(reactor, count, "tasks of this node's former run are run again");
        }
        self.has_taken_over = true;
        Ok(())
    }

    /// Records the outcome of attempts. On failure, they stay in `ended`.
    async fn record(&self, ended: &mut Vec<Ended>) -> Result<(), LogError> {
        if ended.is_empty() {
            return Ok(());
        }
        let attempts: Vec<_> = ended.iter().map(|end| end.attempt.clone()).collect();
        let recorded = self.database.finish(&attempts).await?;
        for (end, is_recorded) in ended.drain(..).zip(recorded) {
            if is_recorded {
                (end.counter)(&self.served).fetch_add(1, Ordering::Relaxed);
            } else {
                let (reactor, task) = (self.served.name(), end.attempt.id);
                tracing::warn!(reactor, %task, "the outcome of a task was discarded: another worker leased the task");
            }
        }
        Ok(())
    }

    async fn count(&mut self) -> Result<(), LogError> {
        if self.counted.is_some_and(|counted| counted.elapsed() < COUNT_EVERY) {
            return Ok(());
        }
        let left = self.database.count_tasks(self.served.name()).await?;
        self.served.waiting.store(left.waiting, Ordering::Relaxed);
        self.served.dead.store(left.dead, Ordering::Relaxed);
        self.counted = Some(Instant::now());
        Ok(())
    }
}

/// One attempt at a task.
struct Attempt {
    database: Arc<dyn Database>,
    served: Arc<Served>,
    policy: RetryPolicy,
    lease: Lease,
    /// Just before the task was leased.
    claimed_at: Instant,
}

/// The counter that an attempt increments.
type Counter = fn(&Served) -> &AtomicU64;

/// A finished attempt and the counter that it increments.
struct Ended {
    attempt: tasks::Attempt,
    counter: Counter,
}

impl Attempt {
    /// Makes the attempt; `None` if the lease was lost, and with it the right to an outcome.
    async fn make(self, task: Task) -> Option<Ended> {
        let result = match task.attempts > self.policy.attempts {
            // Every earlier worker stopped before it recorded an outcome.
            true => Err(TaskError::Permanent(format!("started {} times without an outcome", task.attempts - 1))),
            false => tokio::select! {
                result = self.run(&task) => result,
                () = self.lose_lease(&task) => {
                    let (reactor, task) = (self.served.name(), task.id);
                    tracing::warn!(reactor, %task, "a task was aborted: its lease was lost");
                    return None;
                }
            },
        };
        let (outcome, counter) = self.outcome(&task, result);
        Some(Ended { attempt: tasks::Attempt { id: task.id, epoch: task.epoch, outcome }, counter })
    }

    /// Renews the lease until it is lost: because another worker leased the task, or because no renewal succeeded for
    /// as long as the lease lasts. The latter only measures durations: the database judges when the lease ends.
    async fn lose_lease(&self, task: &Task) {
        let mut renewed_at = self.claimed_at;
        let mut next = renewed_at + self.lease.renewal_interval();
        loop {
            let ends_at = renewed_at + self.lease.duration();
            sleep_until(next.min(ends_at)).await;
            let asked_at = Instant::now();
            let renewed = tokio::select! {
                renewed = self.database.renew(task.id, task.epoch, &self.lease) => renewed,
                () = sleep_until(ends_at) => return,
            };
            match renewed {
                Ok(true) => renewed_at = asked_at,
                Ok(false) => return,
                Err(error) => tracing::debug!(task = %task.id, %error, "the lease of a task could not be renewed"),
            }
            next = asked_at + self.lease.renewal_interval();
        }
    }

    /// Runs the task with a timeout; isolates panics.
    async fn run(&self, task: &Task) -> Result<TaskOutcome, TaskError> {
        let (reactor, own) = (Arc::clone(&self.served.reactor), task.clone());
        // A set of its own isolates panics, and aborts the task on timeout.
        let mut alone = JoinSet::new();
        #[expect(clippy::disallowed_methods, reason = "of one attempt, which waits for it")]
        alone.spawn(async move { reactor.run(&own).await });
        match timeout(self.policy.attempt_timeout, alone.join_next()).await {
            Ok(Some(Ok(result))) => result,
            Ok(_) => Err(TaskError::Temporary("the task panicked or was aborted".to_owned())),
            Err(_) => Err(TaskError::Temporary("timed out".to_owned())),
        }
    }

    fn outcome(&self, task: &Task, result: Result<TaskOutcome, TaskError>) -> (Outcome, Counter) {
        let (reactor, id) = (self.served.name(), task.id);
        match result {
            Ok(TaskOutcome::Done) => {
                self.served.is_failing(None);
                (Outcome::Done, |served| &served.done)
            }
            Ok(TaskOutcome::Skipped) => {
                tracing::debug!(reactor, task = %id, "a task was skipped");
                (Outcome::Done, |served| &served.skipped)
            }
            Err(TaskError::Temporary(error)) if task.attempts < self.policy.attempts => {
                let error = ErrorText::new(&error);
                let delay = self.delay(task.attempts);
                self.served.is_failing(Some(error.as_str()));
                tracing::debug!(reactor, task = %id, error = error.as_str(), "a task failed and will be retried");
                (Outcome::Retry { delay, error }, |served| &served.retried)
            }
            Err(error @ TaskError::NotYet { delay, .. }) if task.attempts < self.policy.attempts => {
                let error = ErrorText::new(&error.to_string());
                tracing::debug!(reactor, task = %id, error = error.as_str(), "a task waits");
                (Outcome::Retry { delay, error }, |served| &served.retried)
            }
            Err(error) => {
                let error = ErrorText::new(&error.to_string());
                tracing::warn!(
                    reactor, task = %id, error = error.as_str(),
                    "a task was dead-lettered; `porttask tasks retry` retries it"
                );
                (Outcome::Dead { error }, |served| &served.died)
            }
        }
    }

    /// Exponential back-off with jitter: between three quarters and all of a delay that doubles with each attempt.
    fn delay(&self, attempts: u32) -> Duration {
        let doubled = self.policy.first_retry.saturating_mul(1 << attempts.saturating_sub(1).min(20));
        let share = f32::from(Uuid::now_v7().as_u64_pair().1 as u16) / f32::from(u16::MAX);
        doubled.min(self.policy.longest_retry).mul_f32(0.75 + share / 4.0)
    }
}
