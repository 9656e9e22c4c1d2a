//! What is counted before it is recorded: denied requests of authenticated callers, failed sign-ins, and reads by the
//! platform's staff. The first of each is recorded immediately, the rest together after the hour or the day: a thousand
//! attempts yield two audit log entries, not a thousand.
//!
//! Failed sign-ins are recorded after a random delay, with their own time: an event that followed the attempt at once
//! would reveal that the account exists to everybody who notices how the log grows.

mod line;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use porttask_domain::{
    Meta, OrganizationId, UserId,
    compliance::{Denials, StaffAccess, denial, staff_access},
    identity::{Capability, FailedSignIns, sign_in},
};
use porttask_runtime::{
    execute::{Executor, Request},
    id_made_by,
    supervise::{beat, once},
    vault::{Vault, VaultError},
};
use sha2::Sha256;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};
use uuid::Uuid;

pub use self::line::What;
use self::line::{Count, HOUR, Line};

/// Maximum counters in memory, of denials and of reads by staff each. Beyond that, new denials are dropped and reads are
/// recorded one by one, until counters of past hours are removed.
const MOST_LINES: usize = 20_000;
/// Maximum targets of a caller, operation and problem that are counted apart in an hour.
const MOST_TARGETS: usize = 20;
/// Maximum concurrent writes.
const WRITERS: usize = 4;
/// Interval at which the counters of past hours are recorded.
const SETTLE_EVERY: Duration = Duration::from_secs(60);

/// The longest delay of a failed sign-in.
pub const MAX_SIGN_IN_DELAY: Duration = Duration::from_secs(30);

/// Records denials, failed sign-ins and reads by staff.
pub struct DenialLog {
    executor: Arc<Executor>,
    /// The key that derives the ids of counters, unique per node and start: each counts separately.
    seal: Hmac<Sha256>,
    /// Denials, which must not crowd out reads.
    denials: Mutex<HashMap<Line, Count>>,
    reads: Mutex<HashMap<Line, Count>>,
    writers: Arc<Semaphore>,
    /// The longest delay of a failed sign-in.
    sign_in_delay: Duration,
}

/// A denied request or a read.
#[derive(Debug, Clone)]
pub struct Denied {
    /// The organization in whose log it is recorded: for a denial, that of the caller's account.
    pub organization: OrganizationId,
    /// The caller; for a failed sign-in, the user of the account.
    pub user: UserId,
    /// What was denied or read.
    pub what: What,
    /// The public ids of what was read.
    pub ids: Vec<String>,
    /// The metadata of the request.
    pub meta: Meta,
}

impl DenialLog {
    /// Opens the log of this node.
    ///
    /// # Errors
    /// If a key is unavailable.
    pub async fn open(executor: Arc<Executor>, vault: &Vault, sign_in_delay: Duration) -> Result<Self, VaultError> {
        let seal = vault.authenticator("denials").await?.chain_update(Uuid::now_v7().as_bytes());
        let writers = Arc::new(Semaphore::new(WRITERS));
        Ok(Self { executor, seal, denials: Mutex::default(), reads: Mutex::default(), writers, sign_in_delay })
    }

    /// Counts a denial; in the background, the first of its counter is recorded immediately, as are the 10th, 100th, …
    /// failed sign-in.
    pub fn record(self: &Arc<Self>, denied: Denied, now: Timestamp) {
        if let Some((line, _)) = self.count(denied, now).filter(|(line, count)| line.is_due_at(count.total)) {
            let (denial_log, delay) = (Arc::clone(self), self.delay(&line));
            if let Some(count) = self.lines(&line).get_mut(&line) {
                count.not_before = Some(Instant::now() + delay);
            }
            let delayed = async move {
                sleep(delay).await;
                _ = denial_log.write(&line).await;
            };
            once("denial log", delayed).detach();
        }
    }

    /// How long the record of a counter is delayed.
    fn delay(&self, line: &Line) -> Duration {
        if !line.is_delayed() {
            return Duration::ZERO;
        }
        // Without random numbers, the longest delay is as safe.
        self.sign_in_delay.mul_f64(getrandom::u64().map_or(1.0, |random| random as f64 / u64::MAX as f64))
    }

    /// Counts a read; the first of its counter is recorded before this returns. Returns whether that succeeded.
    pub async fn record_first(&self, read: Denied, now: Timestamp) -> bool {
        match self.count(read.clone(), now) {
            Some((line, count)) => count.recorded > 0 || self.write(&line).await,
            None => {
                let (line, mut count) = (Line::of(&read, now), Count::new(read.meta));
                count.add(read.ids, now);
                // Not folded: with an id of its own.
                self.append(&line, Uuid::now_v7(), &count).await
            }
        }
    }

    /// Increments a counter; `None` if there are too many counters.
    fn count(&self, denied: Denied, now: Timestamp) -> Option<(Line, Count)> {
        let mut line = Line::of(&denied, now);
        let mut lines = self.lines(&line);
        if lines.len() >= MOST_LINES && !lines.contains_key(&line) {
            tracing::warn!("too many different denials or reads in an hour: not all are recorded together");
            return None;
        }
        if let Some((others, target)) = line.without_target() {
            let known = &mut lines.entry(others.clone()).or_insert_with(|| Count::new(denied.meta.clone())).targets;
            if known.len() < MOST_TARGETS {
                known.insert(target);
            } else if !known.contains(&target) {
                line = others;
            }
        }
        let count = lines.entry(line.clone()).or_insert_with(|| Count::new(denied.meta.clone()));
        count.add(denied.ids, now);
        count.meta = denied.meta;
        let count = count.clone();
        drop(lines);
        Some((line, count))
    }

    fn lines(&self, of: &Line) -> MutexGuard<'_, HashMap<Line, Count>> {
        let lines = if of.what.is_read() { &self.reads } else { &self.denials };
        lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the counters of past hours, in a loop.
    pub async fn run(self: Arc<Self>) {
        loop {
            beat(SETTLE_EVERY);
            sleep(SETTLE_EVERY).await;
            self.settle(Some(self.executor.clock().now())).await;
        }
    }

    /// Records all pending counters within `patience`; returns whether it finished.
    pub async fn shutdown(&self, patience: Duration) -> bool {
        tokio::time::timeout(patience, self.settle(None)).await.is_ok()
    }

    /// Records the counters that end before `now`, or all, and removes the completed ones.
    async fn settle(&self, now: Option<Timestamp>) {
        let present = now.map_or(i64::MAX, |now| now.as_second().div_euclid(HOUR));
        let mut over: Vec<Line> = Vec::new();
        for lines in [&self.denials, &self.reads] {
            let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            // Also first ones whose immediate write failed.
            let is_due = |(line, count): &(&Line, &Count)| {
                (line.ends <= present || count.recorded == 0) && (now.is_none() || !count.is_delayed())
            };
            over.extend(lines.iter().filter(is_due).map(|(line, _)| line.clone()));
        }
        stream::iter(over)
            .for_each_concurrent(WRITERS, |line| async move {
                _ = self.write(&line).await;
                let mut lines = self.lines(&line);
                if line.ends <= present && lines.get(&line).is_some_and(|count| count.recorded == count.total) {
                    lines.remove(&line);
                }
            })
            .await;
    }

    /// Records the current value of a counter; returns whether it is recorded.
    async fn write(&self, line: &Line) -> bool {
        let Ok(_permit) = self.writers.acquire().await else { return false };
        let Some(count) = self.lines(line).get(line).filter(|count| count.recorded < count.total).cloned() else {
            return true;
        };
        let is_recorded = self.append(line, self.id(line), &count).await;
        if is_recorded && let Some(counted) = self.lines(line).get_mut(line) {
            counted.recorded = counted.recorded.max(count.total);
        }
        is_recorded
    }

    /// Appends the event of a counter; returns whether that succeeded.
    async fn append(&self, line: &Line, id: Uuid, count: &Count) -> bool {
        // Recorded whatever the status of the organization.
        let request = Request::new(line.organization, count.meta(line)).needing(Capability::Settle);
        let (user, total) = (line.user, count.total);
        let done = match line.what.clone() {
            What::Operation { operation, problem, target } => {
                let record = denial::Command::Record { operation, problem, target, total };
                self.executor.execute::<Denials>(id.into(), record, &request).await
            }
            What::SignIn { .. } => {
                let record = sign_in::Command::RecordFailures { user, total };
                self.executor.execute::<FailedSignIns>(id.into(), record, &request).await
            }
            What::StaffAccess { operation } => {
                let record = staff_access::Command::Record { operation, total };
                self.executor.execute::<StaffAccess>(id.into(), record, &request).await
            }
            What::StaffRead { area } => {
                let record = staff_access::Command::RecordReads { area, total, ids: count.ids.clone() };
                self.executor.execute::<StaffAccess>(id.into(), record, &request).await
            }
        };
        if let Err(error) = &done {
            tracing::error!(%error, "a denial or read could not be recorded: will retry");
        }
        done.is_ok()
    }

    fn id(&self, line: &Line) -> Uuid {
        // The debug text of a line is unique: it names all fields.
        id_made_by(self.seal.clone().chain_update(format!("{line:?}")))
    }
}
