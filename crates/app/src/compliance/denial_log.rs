//! Denied requests of authenticated callers, counted by caller, operation, problem and hour; failed sign-ins, by
//! account and hour; and reads by the platform's staff while impersonating a user, by session, operation and hour. The
//! first of each is recorded immediately, the rest together after the hour: a thousand attempts yield two audit log
//! entries, not a thousand.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use porttask_domain::{
    Impersonator, Meta, OrganizationId, UserId,
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
use tokio::sync::Semaphore;
use uuid::Uuid;

/// Maximum counters in memory. Beyond that, new denials are dropped until counters of past hours are removed.
const MOST_LINES: usize = 20_000;
/// Maximum concurrent writes.
const WRITERS: usize = 4;
/// Interval at which the counters of past hours are recorded.
const SETTLE_EVERY: Duration = Duration::from_secs(60);
const HOUR: i64 = 3_600;

/// Records denials.
pub struct DenialLog {
    executor: Arc<Executor>,
    /// The key that derives the ids of counters, unique per node and start: each counts separately.
    seal: Hmac<Sha256>,
    lines: Mutex<HashMap<Line, Count>>,
    writers: Arc<Semaphore>,
}

/// A denied request.
#[derive(Debug, Clone)]
pub struct Denied {
    /// The organization of the caller's account.
    pub organization: OrganizationId,
    /// The caller; for a failed sign-in, the user of the account.
    pub user: UserId,
    /// What was denied.
    pub what: What,
    /// The metadata of the request.
    pub meta: Meta,
}

/// What was denied.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum What {
    /// An operation.
    Operation {
        /// Its name.
        operation: String,
        /// Why it was denied: the slug of a problem.
        problem: String,
    },
    /// A sign-in to an existing account.
    SignIn,
    /// Not a denial: the platform's staff read something while impersonating the caller.
    StaffAccess {
        /// The name of the operation.
        operation: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Line {
    organization: OrganizationId,
    user: UserId,
    impersonator: Option<Impersonator>,
    what: What,
    hour: i64,
}

#[derive(Clone)]
struct Count {
    total: u64,
    recorded: u64,
    /// The metadata of the last request.
    meta: Meta,
}

impl DenialLog {
    /// Opens the log of this node.
    ///
    /// # Errors
    /// If a key is unavailable.
    pub async fn open(executor: Arc<Executor>, vault: &Vault) -> Result<Self, VaultError> {
        let seal = vault.authenticator("denials").await?.chain_update(Uuid::now_v7().as_bytes());
        Ok(Self { executor, seal, lines: Mutex::default(), writers: Arc::new(Semaphore::new(WRITERS)) })
    }

    /// Counts a denial; the first of its counter is recorded immediately, in the background.
    pub fn record(self: &Arc<Self>, denied: Denied, now: Timestamp) {
        if let Some((line, Count { total: 1, .. })) = self.count(denied, now) {
            let denial_log = Arc::clone(self);
            once("denial log", async move { _ = denial_log.write(&line).await }).detach();
        }
    }

    /// Counts a denial; the first of its counter is recorded before this returns. Returns whether that succeeded.
    pub async fn record_first(&self, denied: Denied, now: Timestamp) -> bool {
        let Some((line, count)) = self.count(denied, now) else { return false };
        count.recorded > 0 || self.write(&line).await
    }

    /// Increments a counter; `None` if there are too many counters.
    fn count(&self, denied: Denied, now: Timestamp) -> Option<(Line, Count)> {
        let Denied { organization, user, what, meta } = denied;
        let (hour, impersonator) = (now.as_second().div_euclid(HOUR), meta.impersonator);
        let line = Line { organization, user, impersonator, what, hour };
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= MOST_LINES && !lines.contains_key(&line) {
            tracing::warn!("too many different denials in an hour: some are not recorded");
            return None;
        }
        let count = lines.entry(line.clone()).or_insert_with(|| Count { total: 0, recorded: 0, meta: meta.clone() });
        count.total += 1;
        count.meta = meta;
        let count = count.clone();
        Some((line, count))
    }

    /// Records the counters of past hours, in a loop.
    pub async fn run(self: Arc<Self>) {
        loop {
            beat(SETTLE_EVERY);
            tokio::time::sleep(SETTLE_EVERY).await;
            self.settle(Some(self.executor.clock().now())).await;
        }
    }

    /// Records all pending counters within `patience`; returns whether it finished.
    pub async fn shutdown(&self, patience: Duration) -> bool {
        tokio::time::timeout(patience, self.settle(None)).await.is_ok()
    }

    /// Records the counters of hours before that of `now`, or all, and removes the completed ones.
    async fn settle(&self, now: Option<Timestamp>) {
        let present = now.map_or(i64::MAX, |now| now.as_second().div_euclid(HOUR));
        let over: Vec<Line> = {
            let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            // Also first ones whose immediate write failed.
            let is_due = |(line, count): &(&Line, &Count)| line.hour < present || count.recorded == 0;
            lines.iter().filter(is_due).map(|(line, _)| line.clone()).collect()
        };
        stream::iter(over)
            .for_each_concurrent(WRITERS, |line| async move {
                _ = self.write(&line).await;
                let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
                if line.hour < present && lines.get(&line).is_some_and(|count| count.recorded == count.total) {
                    lines.remove(&line);
                }
            })
            .await;
    }

    /// Records the current value of a counter; returns whether it is recorded.
    async fn write(&self, line: &Line) -> bool {
        let Ok(_permit) = self.writers.acquire().await else { return false };
        let (total, meta) = {
            let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(count) = lines.get(line).filter(|count| count.recorded < count.total) else { return true };
            (count.total, count.meta.clone())
        };
        // Denials are recorded whatever the status of the organization.
        let request = Request::new(line.organization, meta).needing(Capability::Settle);
        let user = line.user;
        let done = match line.what.clone() {
            What::Operation { operation, problem } => {
                let record = denial::Command::Record { operation, problem, total };
                self.executor.execute::<Denials>(self.id(line), record, &request).await
            }
            What::SignIn => {
                let record = sign_in::Command::RecordFailures { user, total };
                self.executor.execute::<FailedSignIns>(self.id(line), record, &request).await
            }
            What::StaffAccess { operation } => {
                let record = staff_access::Command::Record { operation, total };
                self.executor.execute::<StaffAccess>(self.id(line), record, &request).await
            }
        };
        match done {
            Ok(_) => {
                let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(count) = lines.get_mut(line) {
                    count.recorded = count.recorded.max(total);
                }
            }
            Err(ref error) => tracing::error!(%error, "denials could not be recorded: will retry"),
        }
        done.is_ok()
    }

    fn id<T: From<Uuid>>(&self, line: &Line) -> T {
        let Line { organization, user, impersonator, what, hour } = line;
        // Operations and problems are never empty, so the three cases cannot collide.
        let (operation, problem) = match what {
            What::Operation { operation, problem } => (operation.as_str(), problem.as_str()),
            What::SignIn => ("", ""),
            What::StaffAccess { operation } => (operation.as_str(), ""),
        };
        let session = impersonator.map(|staff| staff.session.0.into_bytes()).unwrap_or_default();
        let mut seal = self.seal.clone();
        for part in [organization.0.as_bytes(), user.0.as_bytes(), &session, operation.as_bytes(), problem.as_bytes()] {
            seal.update(&(part.len() as u64).to_be_bytes());
            seal.update(part);
        }
        id_made_by(seal.chain_update(hour.to_be_bytes()))
    }
}
