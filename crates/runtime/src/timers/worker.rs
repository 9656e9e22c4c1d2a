//! Carries out the timers of one partition.

use std::{
    collections::{BTreeMap, HashMap},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use porttask_domain::{Actor, Capability, Meta, OrganizationId, TextEnum};
use porttask_projections::{
    ColumnType, ReadModel,
    platform::timer::{self, Timers},
};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at, sleep, timeout},
};
use uuid::Uuid;

use super::{Parts, Timer, TimerCounts, TimerFailure, TimerHandler, TimerOutcome};
use crate::{
    execute::{ExecuteError, Request, Tx},
    lease::{Holder, Lease},
    log::{LogError, PartitionId, Position},
    supervise::beat,
    tasks::ErrorText,
    views::{Condition, Query, ViewError},
};

/// Maximum timers per round.
const ROUND: usize = 1_000;
/// Maximum timers of lanes among them, and how long a lane is worked per round: the other timers wait meanwhile.
const LANE_ROUND: usize = 100;
const LANE_TURN: Duration = Duration::from_millis(500);
/// Maximum timers of a lane at a time.
const LANE_AT_ONCE: usize = 16;
/// Rows per page.
const PAGE: usize = 1_000;
/// Maximum rows of timers that stepped aside to be skipped per round.
const MAX_SKIPPED: usize = 100_000;
/// Pause after a failure of the database, or while this machine's clock is wrong.
const PAUSE: Duration = Duration::from_secs(1);
/// Pause while another worker works a lane: looking reads all timers that are due.
const LANE_PAUSE: Duration = Duration::from_millis(500);
/// Interval at which a node without the partition's lease asks for it.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// Maximum time without looking. A simulated clock may be advanced at any time.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const LOOK_EVERY_IF_SIMULATED: Duration = Duration::from_millis(500);
/// How long appends are collected before the read model is asked what has become due: most appends change no timer.
const COLLECT: Duration = Duration::from_millis(50);
/// How long to wait for the read model after an append.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a timer that was carried out is not looked at: by then, the read model has long folded what followed.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// Maximum failed timers of a partition to remember; of others, attempts are repeated without delay.
const MAX_FAILURES: usize = 100_000;

type Key = (OrganizationId, Uuid);

/// Why a timer is not looked at for now.
enum Aside {
    /// It was carried out; the read model has not folded that yet.
    Done { due_at: Timestamp, kind: String, forget_at: Instant },
    /// It waits for something else.
    Waiting(Timestamp),
    /// It failed.
    Failed(TimerFailure),
}

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    View(#[from] ViewError),
}

pub(super) struct Worker {
    inner: Arc<Inner>,
    held_since: Option<Instant>,
}

/// What a worker and its attempts share.
struct Inner {
    parts: Arc<Parts>,
    partition: PartitionId,
    lease: Lease,
    aside: Mutex<HashMap<Key, Aside>>,
}

/// Until when attempts may begin.
#[derive(Clone)]
struct Until {
    instant: Instant,
    stop: watch::Receiver<bool>,
}

impl Until {
    fn is_over(&self) -> bool {
        Instant::now() >= self.instant || *self.stop.borrow()
    }
}

impl Worker {
    pub(super) fn new(parts: Arc<Parts>, partition: PartitionId, holder: Holder) -> Self {
        let lease = Lease::new(holder, parts.policy.lease);
        Self { inner: Arc::new(Inner { parts, partition, lease, aside: Mutex::default() }), held_since: None }
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
                    PAUSE
                }
            };
            let is_held = self.held_since.is_some();
            let appended = async {
                match &mut head {
                    Some(head) if is_held => {
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
                () = sleep(pause) => {}
                () = appended => {}
                () = self.inner.parts.wake.notified() => self.held_since = None,
            }
        }
        if self.held_since.is_some()
            && let Err(error) =
                self.inner.parts.database.release(&self.inner.lease_name(), &self.inner.lease.holder).await
        {
            tracing::warn!(%error, partition = %self.inner.partition, "the lease of timers expires later");
        }
    }

    /// Carries out what is due; returns how long to pause.
    async fn round(&mut self, stop: &watch::Receiver<bool>) -> Result<Duration, RoundError> {
        let clock = Arc::clone(self.inner.parts.executor.clock());
        if !clock.is_trusted() {
            self.held_since = None;
            return Ok(PAUSE);
        }
        if !self.hold().await? {
            return Ok(ASK_EVERY.min(self.inner.lease.renewal_interval()));
        }
        let now = clock.now();
        let (due, next) = self.inner.due(now).await?;
        if due.is_empty() {
            let longest = if clock.is_simulated() { LOOK_EVERY_IF_SIMULATED } else { LOOK_EVERY };
            let until_next = next.map(|next| next.duration_since(now));
            let until_next = until_next.and_then(|it| Duration::try_from(it).ok()).unwrap_or(longest);
            return Ok(until_next.min(longest).min(self.inner.lease.renewal_interval()));
        }
        // Within the lease, which the next round renews.
        let until = Until { instant: Instant::now() + self.inner.lease.renewal_interval(), stop: stop.clone() };
        self.inner.carry_out(due, &until).await;
        Ok(Duration::ZERO)
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

    fn aside(&self) -> MutexGuard<'_, HashMap<Key, Aside>> {
        self.aside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The timers to carry out now, in order of due; if there are none, when the next one is due.
    async fn due(&self, now: Timestamp) -> Result<(Vec<Timer>, Option<Timestamp>), RoundError> {
        self.aside().retain(|_, it| match it {
            Aside::Done { forget_at, .. } => *forget_at > Instant::now(),
            Aside::Waiting(until) => *until > now,
            Aside::Failed(_) => true,
        });
        let (mut due, mut in_lanes, mut seen, mut after) = (Vec::new(), 0, 0, None);
        loop {
            let rows = self.rows(Condition::Below("due_at", just_after(now).to_value()), after, PAGE).await?;
            let is_last = rows.len() < PAGE;
            seen += rows.len();
            after =
                rows.last().map(|row| vec![row.due_at.to_value(), row.organization.to_value(), row.subject.to_value()]);
            for timer in rows.into_iter().map(timer).filter(|timer| self.is_open(timer, now)) {
                in_lanes += usize::from(self.lane(&timer).is_some());
                if self.lane(&timer).is_none() || in_lanes <= LANE_ROUND {
                    due.push(timer);
                }
            }
            if is_last || due.len() >= ROUND || seen >= MAX_SKIPPED {
                break;
            }
        }
        if !due.is_empty() {
            return Ok((due, None));
        }
        let first = self.rows(Condition::AtLeast("due_at", just_after(now).to_value()), None, 1).await?;
        let next = first.first().map(|row| row.due_at);
        let again = self.aside().values().filter_map(Aside::ends_at).min();
        Ok((due, next.into_iter().chain(again).min()))
    }

    async fn rows(
        &self,
        condition: Condition,
        after: Option<Vec<porttask_projections::Value>>,
        limit: usize,
    ) -> Result<Vec<timer::Timer>, ViewError> {
        let query = Query {
            partition: self.partition,
            conditions: vec![condition],
            sort: vec!["due_at", "organization", "subject"],
            after,
            limit,
            ..Query::default()
        };
        self.parts.views.rows::<Timers>(&query).await
    }

    /// Whether a due timer is to be carried out now.
    fn is_open(&self, timer: &Timer, now: Timestamp) -> bool {
        match self.aside().get(&(timer.organization, timer.subject)) {
            None => true,
            Some(Aside::Done { due_at, kind, .. }) => (*due_at, kind) != (timer.due_at, &timer.kind),
            Some(Aside::Waiting(until)) => *until <= now,
            Some(Aside::Failed(failure)) => failure.retry_at <= now,
        }
    }

    async fn carry_out(self: &Arc<Self>, due: Vec<Timer>, until: &Until) {
        let (mut organizations, mut lanes) = (BTreeMap::<_, Vec<Timer>>::new(), BTreeMap::<_, Vec<Timer>>::new());
        for timer in due {
            match self.lane(&timer) {
                Some(lane) => lanes.entry(lane).or_default().push(timer),
                None => organizations.entry(timer.organization).or_default().push(timer),
            }
        }
        let mut under_way = JoinSet::new();
        let until_turn = Until { instant: until.instant.min(Instant::now() + LANE_TURN), ..until.clone() };
        for (lane, timers) in lanes {
            #[expect(clippy::disallowed_methods, reason = "of one round, which waits for it")]
            under_way.spawn(Arc::clone(self).carry_out_lane(lane, timers, until_turn.clone()));
        }
        let slots = Arc::new(Semaphore::new(self.parts.policy.at_once));
        for timers in organizations.into_values() {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
            let (inner, until) = (Arc::clone(self), until.clone());
            #[expect(clippy::disallowed_methods, reason = "of one round, which waits for it")]
            under_way.spawn(async move {
                let _slot = slot;
                for timer in timers {
                    if until.is_over() {
                        return;
                    }
                    inner.attempt(&timer).await;
                }
            });
        }
        while under_way.join_next().await.is_some() {}
    }

    /// Carries out timers, while no other worker works the lane, on any node: one by one within an organization, several at
    /// a time between organizations. They meet only where they append.
    async fn carry_out_lane(self: Arc<Self>, lane: String, timers: Vec<Timer>, until: Until) {
        let Some(_own) = OwnLane::take(&self.parts, &lane) else { return sleep(LANE_PAUSE).await };
        let name = format!("lane {lane}");
        match self.parts.database.hold(&name, &self.lease).await {
            Ok(true) => {}
            Ok(false) => return sleep(LANE_PAUSE).await,
            Err(error) => {
                tracing::warn!(%error, lane, "the lease of a lane could not be taken: will retry");
                return sleep(PAUSE).await;
            }
        }
        let mut places = HashMap::new();
        let mut organizations: Vec<Vec<Timer>> = Vec::new();
        for timer in timers {
            let place = *places.entry(timer.organization).or_insert(organizations.len());
            match organizations.get_mut(place) {
                Some(known) => known.push(timer),
                None => organizations.push(vec![timer]),
            }
        }
        let apart = Duration::from_secs(1) / self.parts.policy.lane_rate.max(1);
        let mut starts = interval_at(Instant::now() + apart, apart);
        starts.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let starts = &tokio::sync::Mutex::new(starts);
        let work = async |timers: Vec<Timer>| {
            for timer in timers {
                starts.lock().await.tick().await;
                if until.is_over() {
                    return;
                }
                self.attempt(&timer).await;
            }
        };
        stream::iter(organizations).for_each_concurrent(LANE_AT_ONCE, work).await;
        if let Err(error) = self.parts.database.release(&name, &self.lease.holder).await {
            tracing::warn!(%error, lane, "the lease of a lane expires later");
        }
    }

    fn handler(&self, timer: &Timer) -> Option<Arc<dyn TimerHandler>> {
        let is_meant = |handler: &&Arc<dyn TimerHandler>| handler.kinds().contains(&timer.kind.as_str());
        self.parts.handlers.iter().find(is_meant).cloned()
    }

    fn lane(&self, timer: &Timer) -> Option<String> {
        self.handler(timer).and_then(|it| it.lane(timer))
    }

    /// Carries out one timer, and notes how it ended.
    async fn attempt(&self, timer: &Timer) {
        let key = (timer.organization, timer.subject);
        let (ended, had_failed) = (self.execute(timer).await, matches!(self.aside().get(&key), Some(Aside::Failed(_))));
        match ended {
            Ok(TimerOutcome::Done) => {
                TimerCounts::add(&self.parts.counts.done);
                let (due_at, kind, forget_at) = (timer.due_at, timer.kind.clone(), Instant::now() + FORGET_AFTER);
                self.aside().insert(key, Aside::Done { due_at, kind, forget_at });
                if had_failed {
                    self.forget_failure(key).await;
                }
            }
            Ok(TimerOutcome::Wait(until)) => {
                TimerCounts::add(&self.parts.counts.waited);
                self.aside().insert(key, Aside::Waiting(until));
                if had_failed {
                    self.forget_failure(key).await;
                }
            }
            Err(error) => {
                TimerCounts::add(&self.parts.counts.failed);
                let failure = self.failure(timer, &error);
                tracing::warn!(
                    organization = %timer.organization, subject = %timer.subject, kind = timer.kind,
                    error = failure.error, attempts = failure.attempts, retry_at = %failure.retry_at, "a timer failed"
                );
                if let Err(error) = self.parts.database.record_timer_failure(&failure).await {
                    tracing::warn!(%error, "the failure of a timer could not be recorded");
                }
                self.aside().insert(key, Aside::Failed(failure));
            }
        }
    }

    async fn forget_failure(&self, (organization, subject): Key) {
        if let Err(error) = self.parts.database.delete_timer_failure(organization, subject).await {
            tracing::warn!(%error, "the failure of a timer that succeeded could not be deleted");
        }
    }

    async fn execute(&self, timer: &Timer) -> Result<TimerOutcome, String> {
        let unknown = || format!("this version does not know the kind {:?}", timer.kind);
        let handler = &self.handler(timer).ok_or_else(unknown)?;
        // Timers of suspended organizations go on; handlers decide what applies.
        let meta = Meta { causation_id: Some(timer.set_by), ..Meta::by(Actor::System) };
        let request = Request::new(timer.organization, meta).needing(Capability::Settle).deriving_ids(id_of(timer));
        let work = move |tx: Tx| async move { handler.run(timer, &tx).await };
        let executed = AssertUnwindSafe(self.parts.executor.transact(&request, work)).catch_unwind();
        match timeout(self.parts.policy.attempt_timeout, executed).await {
            Ok(Ok(Ok(outcome))) => Ok(outcome.value.unwrap_or(TimerOutcome::Done)),
            Ok(Ok(Err(error))) => Err(ExecuteError::to_string(&error)),
            Ok(Err(_)) => Err("panicked".to_owned()),
            Err(_) => Err("timed out".to_owned()),
        }
    }

    fn failure(&self, timer: &Timer, error: &str) -> TimerFailure {
        let attempts = match self.aside().get(&(timer.organization, timer.subject)) {
            Some(Aside::Failed(known)) if (known.due_at, &known.kind) == (timer.due_at, &timer.kind) => known.attempts,
            _ => 0,
        };
        let policy = &self.parts.policy;
        let delay = policy.first_retry.saturating_mul(1 << attempts.min(20)).min(policy.longest_retry);
        let delay = SignedDuration::try_from(delay).unwrap_or(SignedDuration::MAX);
        let retry_at = self.parts.executor.clock().now().saturating_add(delay).unwrap_or(Timestamp::MAX);
        TimerFailure {
            partition: self.partition,
            organization: timer.organization,
            subject: timer.subject,
            kind: timer.kind.clone(),
            due_at: timer.due_at,
            attempts: attempts + 1,
            retry_at,
            error: ErrorText::new(error).as_str().to_owned(),
        }
    }
}

/// A lane that no other worker of this node works.
struct OwnLane<'a> {
    parts: &'a Parts,
    lane: &'a str,
}

impl<'a> OwnLane<'a> {
    fn take(parts: &'a Parts, lane: &'a str) -> Option<Self> {
        let is_free = parts.lanes.lock().unwrap_or_else(PoisonError::into_inner).insert(lane.to_owned());
        // Made only if it is taken: dropping one frees the lane.
        if is_free { Some(Self { parts, lane }) } else { None }
    }
}

impl Drop for OwnLane<'_> {
    fn drop(&mut self) {
        self.parts.lanes.lock().unwrap_or_else(PoisonError::into_inner).remove(self.lane);
    }
}

impl Aside {
    fn ends_at(&self) -> Option<Timestamp> {
        match self {
            Self::Done { .. } => None,
            Self::Waiting(until) => Some(*until),
            Self::Failed(failure) => Some(failure.retry_at),
        }
    }
}

fn timer(row: timer::Timer) -> Timer {
    let timer::Timer { organization, subject, kind, due_at, set_by, lane, open: _ } = row;
    Timer { organization, subject, kind: kind.as_str().to_owned(), due_at, set_by, lane }
}

/// What ids derive from: the same for every attempt.
fn id_of(timer: &Timer) -> Vec<u8> {
    let mut seed = Vec::with_capacity(64);
    seed.extend_from_slice(timer.organization.0.as_bytes());
    seed.extend_from_slice(timer.subject.as_bytes());
    seed.extend_from_slice(&timer.due_at.as_microsecond().to_be_bytes());
    seed.extend_from_slice(timer.kind.as_bytes());
    seed
}

/// The first instant after `now`, as tables store it.
fn just_after(now: Timestamp) -> Timestamp {
    now.saturating_add(SignedDuration::from_micros(1)).unwrap_or(Timestamp::MAX)
}
