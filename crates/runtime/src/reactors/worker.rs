//! From tasks to deeds: takes tasks that are due for a time, carries several out at once, and records how each ended.

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

/// How long to leave a database that fails.
const PAUSE: Duration = Duration::from_secs(2);
/// How long more attempts may end after one that has.
const GATHER: Duration = Duration::from_millis(10);
/// How often to count what is left.
const COUNT_EVERY: Duration = Duration::from_secs(15);

pub(super) struct Worker {
    database: Arc<dyn Database>,
    served: Arc<Served>,
    policy: RetryPolicy,
    outage: Outage,
    counted: Option<Instant>,
}

/// How a round has ended.
enum Round {
    /// There may be more to do at once.
    Full,
    /// Nothing more is due, or there is no room.
    Idle,
}

impl Worker {
    pub(super) fn new(database: Arc<dyn Database>, served: Arc<Served>, policy: RetryPolicy) -> Self {
        Self { database, served, policy, outage: Outage::default(), counted: None }
    }

    /// Works until it is told to stop, and then ends what is under way.
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

    /// Records what has ended, and begins as many tasks as are due and have room: several at once where there are several,
    /// because each statement has its price.
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
        // A little longer than the work may take, so that its end can be recorded.
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

    /// Records how attempts ended, while the tasks are this worker's. Those of which it could not be recorded are kept.
    async fn record(&self, ended: &mut Vec<Ended>) -> Result<(), LogError> {
        let reactor = self.served.name();
        ended.retain(|end| {
            let is_ours = Instant::now() < end.ends_at;
            if !is_ours {
                tracing::warn!(reactor, task = %end.attempt.id, "it was not recorded how a task ended");
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
    /// When the task may become another worker's.
    ends_at: Instant,
}

/// What counts an attempt.
type Counter = fn(&Served) -> &AtomicU64;

/// An attempt that has ended, and what counts it.
struct Ended {
    attempt: tasks::Attempt,
    counter: Counter,
    ends_at: Instant,
}

impl Attempt {
    async fn make(self, task: Task) -> Ended {
        let result = match task.attempts > self.policy.attempts {
            // Whoever began it never came back to say how it ended.
            true => Err(TaskError::Permanent(format!("it was begun {} times and never ended", task.attempts - 1))),
            false => self.run(&task).await,
        };
        let (outcome, counter) = self.outcome(&task, result);
        Ended { attempt: tasks::Attempt { id: task.id, epoch: task.epoch, outcome }, counter, ends_at: self.ends_at }
    }

    /// Carries it out, within the time and whatever happens.
    async fn run(&self, task: &Task) -> Result<TaskOutcome, TaskError> {
        let (reactor, own) = (Arc::clone(&self.served.reactor), task.clone());
        // In a set of its own: what panics ends alone, and what is cut off is ended.
        let mut alone = JoinSet::new();
        alone.spawn(async move { reactor.run(&own).await });
        match timeout(self.policy.lease.mul_f32(0.8), alone.join_next()).await {
            Ok(Some(Ok(result))) => result,
            Ok(_) => Err(TaskError::Temporary("it broke off".to_owned())),
            Err(_) => Err(TaskError::Temporary("it took too long".to_owned())),
        }
    }

    fn outcome(&self, task: &Task, result: Result<TaskOutcome, TaskError>) -> (Outcome, Counter) {
        let (reactor, id) = (self.served.name(), task.id);
        match result {
            Ok(TaskOutcome::Done) => (Outcome::Done, |served| &served.done),
            Ok(TaskOutcome::Skipped) => {
                tracing::debug!(reactor, task = %id, "a task had become skipped");
                (Outcome::Done, |served| &served.skipped)
            }
            Err(TaskError::Temporary(error)) if task.attempts < self.policy.attempts => {
                let error = ErrorText::new(&error);
                let wait = self.wait(task.attempts);
                tracing::debug!(reactor, task = %id, error = error.as_str(), "a task failed and is tried again");
                let at = Timestamp::now().saturating_add(signed(wait)).unwrap_or(Timestamp::MAX);
                (Outcome::Retry { at, error }, |served| &served.retried)
            }
            Err(error) => {
                let error = ErrorText::new(&error.to_string());
                tracing::warn!(reactor, task = %id, error = error.as_str(), "a task is dead: `porttask tasks retry` tries it again");
                (Outcome::Dead { error }, |served| &served.died)
            }
        }
    }

    /// How long to wait after so many attempts: between three quarters and all of a time that doubles.
    fn wait(&self, attempts: u32) -> Duration {
        let doubled = self.policy.first_retry.saturating_mul(1 << attempts.saturating_sub(1).min(20));
        let share = f32::from(Uuid::now_v7().as_u64_pair().1 as u16) / f32::from(u16::MAX);
        doubled.min(self.policy.longest_retry).mul_f32(0.75 + share / 4.0)
    }
}
