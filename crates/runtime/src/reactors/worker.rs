//! Runs tasks: leases due tasks, runs several concurrently, and records their outcomes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

use super::{Outage, RetryPolicy, Served, TaskError, TaskOutcome, signed};
use crate::{
    ledger::Database,
    log::LogError,
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
    pub(super) fn new(database: Arc<dyn Database>, served: Arc<Served>, policy: RetryPolicy) -> Self {
        Self { database, served, policy, outage: Outage::default(), counted: None }
    }

    /// Runs until stopped, then waits for running tasks.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut under_way = JoinSet::new();
        let mut ended = Vec::new();
        while !*stop.borrow() {
            match self.round(&mut under_way, &mut ended).await {
                Ok(Round::Full) => {}
                Ok(Round::Idle) => {
                    tokio::select! {
                        _ = stop.wait_for(|stop| *stop) => {}
                        () = self.served.wake.notified() => {}
                        Some(end) = under_way.join_next() => ended.extend(end),
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
            ended.extend(end);
        }
        while self.record(&mut ended).await.is_err() {
            sleep(PAUSE).await;
        }
    }

    /// Records finished attempts, and starts as many due tasks as there are free slots: in batches, to save statements.
    async fn round(&mut self, under_way: &mut JoinSet<Ended>, ended: &mut Vec<Ended>) -> Result<Round, LogError> {
        if !ended.is_empty() {
            sleep(GATHER).await;
        }
        while let Some(end) = under_way.try_join_next() {
            ended.extend(end);
        }
        self.record(ended).await?;
        self.count().await?;
        let room = self.policy.at_once - under_way.len();
        if room == 0 || self.served.is_held() {
            return Ok(Round::Idle);
        }
        let now = Timestamp::now();
        // A little longer than the task may run, so that its outcome can be recorded.
        let lease_until = now.saturating_add(signed(self.policy.lease)).unwrap_or(Timestamp::MAX);
        let tasks = self.database.claim(self.served.name(), now, lease_until, room).await?;
        self.outage.is_over();
        let round = if tasks.len() < room { Round::Idle } else { Round::Full };
        for task in tasks {
            let attempt = Attempt {
                served: Arc::clone(&self.served),
                policy: self.policy,
                ends_at: Instant::now() + self.policy.lease,
            };
            under_way.spawn(attempt.make(task));
        }
        Ok(round)
    }

    /// Records the outcome of attempts whose lease is still valid. On failure, they stay in `ended`.
    async fn record(&self, ended: &mut Vec<Ended>) -> Result<(), LogError> {
        let reactor = self.served.name();
        ended.retain(|end| {
            let is_ours = Instant::now() < end.ends_at;
            if !is_ours {
                tracing::warn!(
                    reactor, task = %end.attempt.id, "the lease of a task expired before its outcome was recorded"
                );
            }
            is_ours
        });
        if ended.is_empty() {
            return Ok(());
        }
        let attempts: Vec<_> = ended.iter().map(|end| end.attempt.clone()).collect();
        let recorded = self.database.finish(&attempts).await?;
        for (end, is_recorded) in ended.drain(..).zip(recorded) {
            if is_recorded {
                (end.counter)(&self.served).fetch_add(1, Ordering::Relaxed);
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
    served: Arc<Served>,
    policy: RetryPolicy,
    /// When the lease ends.
    ends_at: Instant,
}

/// The counter that an attempt increments.
type Counter = fn(&Served) -> &AtomicU64;

/// A finished attempt and the counter that it increments.
struct Ended {
    attempt: tasks::Attempt,
    counter: Counter,
    ends_at: Instant,
}

impl Attempt {
    async fn make(self, task: Task) -> Ended {
        let result = match task.attempts > self.policy.attempts {
            // Every earlier worker stopped before it recorded an outcome.
            true => Err(TaskError::Permanent(format!("started {} times without an outcome", task.attempts - 1))),
            false => self.run(&task).await,
        };
        let (outcome, counter) = self.outcome(&task, result);
        Ended { attempt: tasks::Attempt { id: task.id, epoch: task.epoch, outcome }, counter, ends_at: self.ends_at }
    }

    /// Runs the task with a timeout; isolates panics.
    async fn run(&self, task: &Task) -> Result<TaskOutcome, TaskError> {
        let (reactor, own) = (Arc::clone(&self.served.reactor), task.clone());
        // A set of its own isolates panics, and aborts the task on timeout.
        let mut alone = JoinSet::new();
        alone.spawn(async move { reactor.run(&own).await });
        match timeout(self.policy.lease.mul_f32(0.8), alone.join_next()).await {
            Ok(Some(Ok(result))) => result,
            Ok(_) => Err(TaskError::Temporary("the task panicked or was aborted".to_owned())),
            Err(_) => Err(TaskError::Temporary("timed out".to_owned())),
        }
    }

    fn outcome(&self, task: &Task, result: Result<TaskOutcome, TaskError>) -> (Outcome, Counter) {
        let (reactor, id) = (self.served.name(), task.id);
        match result {
            Ok(TaskOutcome::Done) => (Outcome::Done, |served| &served.done),
            Ok(TaskOutcome::Skipped) => {
                tracing::debug!(reactor, task = %id, "a task was skipped");
                (Outcome::Done, |served| &served.skipped)
            }
            Err(TaskError::Temporary(error)) if task.attempts < self.policy.attempts => {
                let error = ErrorText::new(&error);
                let wait = self.wait(task.attempts);
                tracing::debug!(reactor, task = %id, error = error.as_str(), "a task failed and will be retried");
                let at = Timestamp::now().saturating_add(signed(wait)).unwrap_or(Timestamp::MAX);
                (Outcome::Retry { at, error }, |served| &served.retried)
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
    fn wait(&self, attempts: u32) -> Duration {
        let doubled = self.policy.first_retry.saturating_mul(1 << attempts.saturating_sub(1).min(20));
        let share = f32::from(Uuid::now_v7().as_u64_pair().1 as u16) / f32::from(u16::MAX);
        doubled.min(self.policy.longest_retry).mul_f32(0.75 + share / 4.0)
    }
}
