//! Carries out the timers of one partition.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use porttask_domain::OrganizationId;
use porttask_projections::{ReadModel, platform::timer::Timers};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};
use uuid::Uuid;

use super::{
    Parts,
    due::{Aside, Due},
};
use crate::{
    lease::{Holder, Lease},
    log::{LogError, PartitionId, Position},
    supervise::beat,
    views::ViewError,
};

/// Pause after a failure of the database, or while this machine's clock is wrong.
pub(super) const PAUSE: Duration = Duration::from_secs(1);
/// Pause while timers of lanes are due, which each look reads.
pub(super) const LANE_PAUSE: Duration = Duration::from_secs(1);
/// Interval at which a node without the partition's lease asks for it.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// Maximum time without looking. A simulated clock may be advanced at any time.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const LOOK_EVERY_IF_SIMULATED: Duration = Duration::from_millis(500);
/// How long appends are collected before the read model is asked what has become due: most appends change no timer.
const COLLECT: Duration = Duration::from_millis(50);
/// How long to wait for the read model after an append.
const PATIENCE: Duration = Duration::from_secs(1);
/// Maximum failed timers of a partition to remember; of others, attempts are repeated without delay.
const MAX_FAILURES: usize = 100_000;

pub(super) type Key = (OrganizationId, Uuid);

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum RoundError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    View(#[from] ViewError),
}

pub(super) struct Worker {
    inner: Arc<Inner>,
    held_since: Option<Instant>,
    /// The turns of lanes that this worker has begun.
    turns: JoinSet<()>,
}

/// How long a worker pauses.
struct Pause {
    length: Duration,
    /// Whether it looks again as soon as something is appended.
    ends_with_append: bool,
}

impl From<Duration> for Pause {
    fn from(length: Duration) -> Self {
        Self { length, ends_with_append: true }
    }
}

/// What a worker and its attempts share.
pub(super) struct Inner {
    pub(super) parts: Arc<Parts>,
    pub(super) partition: PartitionId,
    pub(super) lease: Lease,
    aside: Mutex<HashMap<Key, Aside>>,
}

/// Until when attempts may begin.
#[derive(Clone)]
pub(super) struct Until {
    instant: Instant,
    stop: watch::Receiver<bool>,
}

impl Until {
    /// The same, but not longer than this.
    pub(super) fn at_most(&self, length: Duration) -> Self {
        Self { instant: self.instant.min(Instant::now() + length), stop: self.stop.clone() }
    }

    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.instant || *self.stop.borrow()
    }
}

impl Worker {
    pub(super) fn new(parts: Arc<Parts>, partition: PartitionId, holder: Holder) -> Self {
        let lease = Lease::new(holder, parts.policy.lease);
        let inner = Arc::new(Inner { parts, partition, lease, aside: Mutex::default() });
        Self { inner, held_since: None, turns: JoinSet::new() }
    }

    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut head = self.inner.parts.database.subscribe(self.inner.partition);
        while !*stop.borrow() {
            // A round begins no attempt after the lease.
            beat(LOOK_EVERY + self.inner.parts.policy.lease + self.inner.parts.policy.attempt_timeout);
            if let Some(head) = &mut head {
                head.mark_unchanged();
            }
            let pause = match self.round(&stop).await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(%error, partition = %self.inner.partition, "timers are waiting for the database");
                    self.held_since = None;
                    PAUSE.into()
                }
            };
            let looks_at_appends = self.held_since.is_some() && pause.ends_with_append;
            let appended = async {
                match &mut head {
                    Some(head) if looks_at_appends => {
                        if head.changed().await.is_err() {
                            std::future::pending::<()>().await;
                        }
                        sleep(COLLECT).await;
                        let position = Position { partition: self.inner.partition, offset: *head.borrow() };
                        _ = self.inner.parts.views.wait_for(Timers::NAME, position, PATIENCE).await;
                    }
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => {}
                () = sleep(pause.length) => {}
                () = appended => {}
                Some(_) = self.turns.join_next() => {}
                () = self.inner.parts.wake.notified() => self.held_since = None,
            }
        }
        while self.turns.join_next().await.is_some() {}
        if self.held_since.is_some()
            && let Err(error) =
                self.inner.parts.database.release(&self.inner.lease_name(), &self.inner.lease.holder).await
        {
            tracing::warn!(%error, partition = %self.inner.partition, "the lease of timers expires later");
        }
    }

    /// Carries out what is due; returns how long to pause.
    async fn round(&mut self, stop: &watch::Receiver<bool>) -> Result<Pause, RoundError> {
        let clock = Arc::clone(self.inner.parts.executor.clock());
        if !clock.is_trusted() {
            self.held_since = None;
            return Ok(PAUSE.into());
        }
        let renewal = self.inner.lease.renewal_interval();
        if !self.hold().await? {
            return Ok(ASK_EVERY.min(renewal).into());
        }
        let now = clock.now();
        let Due { timers, in_lanes, next } = self.inner.due(now).await?;
        // Within the lease, which the next round renews.
        let until = Until { instant: Instant::now() + renewal, stop: stop.clone() };
        let (is_idle, are_in_lanes) = (timers.is_empty(), !in_lanes.is_empty());
        // Others need not wait for a turn of a lane.
        while self.turns.try_join_next().is_some() {}
        if self.turns.is_empty() {
            self.inner.take_turns(in_lanes, &until, &mut self.turns);
        }
        self.inner.carry_out(timers, &until).await;
        if !is_idle {
            return Ok(Duration::ZERO.into());
        }
        if are_in_lanes {
            return Ok(Pause { length: LANE_PAUSE, ends_with_append: false });
        }
        let longest = if clock.is_simulated() { LOOK_EVERY_IF_SIMULATED } else { LOOK_EVERY };
        let until_next = next.map(|next| next.duration_since(now));
        let until_next = until_next.and_then(|it| Duration::try_from(it).ok()).unwrap_or(longest);
        Ok(until_next.min(longest).min(renewal).into())
    }

    /// Takes or renews the lease of the partition.
    async fn hold(&mut self) -> Result<bool, RoundError> {
        if self.held_since.is_some_and(|since| since.elapsed() < self.inner.lease.renewal_interval()) {
            return Ok(true);
        }
        let was_held = self.held_since.is_some();
        let asked = Instant::now();
        if !self.inner.parts.database.hold(&self.inner.lease_name(), &self.inner.lease).await? {
            self.held_since = None;
            return Ok(false);
        }
        // An operator may have asked for a retry, on another node or by the command line.
        let has_failed = self.inner.aside().values().any(|it| matches!(it, Aside::Failed(_)));
        if !was_held || has_failed {
            let failures = self.inner.parts.database.timer_failures(Some(self.inner.partition), MAX_FAILURES).await?;
            let failed = failures.into_iter().map(|it| ((it.organization, it.subject), Aside::Failed(it)));
            let mut aside = self.inner.aside();
            aside.retain(|_, it| !matches!(it, Aside::Failed(_)));
            aside.extend(failed);
        }
        self.held_since = Some(asked);
        Ok(true)
    }
}

impl Inner {
    fn lease_name(&self) -> String {
        format!("partition {}", self.partition)
    }

    pub(super) fn aside(&self) -> MutexGuard<'_, HashMap<Key, Aside>> {
        self.aside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
