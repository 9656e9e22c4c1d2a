//! Attempts to carry out timers.

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use porttask_domain::{Actor, Capability, Meta};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, timeout},
};

use super::{
    Timer, TimerCounts, TimerFailure, TimerHandler, TimerOutcome,
    due::Aside,
    worker::{Inner, Key, Until},
};
use crate::{
    execute::{ExecuteError, Request, Tx},
    tasks::ErrorText,
};

/// How long a timer that was carried out is not looked at: by then, the read model has long folded what followed.
const FORGET_AFTER: Duration = Duration::from_secs(60);

impl Inner {
    /// Carries out timers one by one within an organization, concurrently between organizations.
    pub(super) async fn carry_out(self: &Arc<Self>, due: Vec<Timer>, until: &Until) {
        let mut under_way = JoinSet::new();
        let slots = Arc::new(Semaphore::new(self.parts.policy.at_once));
        for timers in by_organization(due) {
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

    pub(super) fn handler(&self, timer: &Timer) -> Option<Arc<dyn TimerHandler>> {
        let is_meant = |handler: &&Arc<dyn TimerHandler>| handler.kinds().contains(&timer.kind.as_str());
        self.parts.handlers.iter().find(is_meant).cloned()
    }

    /// Carries out one timer, and notes how it ended.
    pub(super) async fn attempt(&self, timer: &Timer) {
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

/// Timers grouped by organization, in their order; first the organizations of which something was due first.
pub(super) fn by_organization(timers: Vec<Timer>) -> Vec<Vec<Timer>> {
    let (mut places, mut organizations) = (HashMap::new(), Vec::<Vec<Timer>>::new());
    for timer in timers {
        let place = *places.entry(timer.organization).or_insert(organizations.len());
        match organizations.get_mut(place) {
            Some(known) => known.push(timer),
            None => organizations.push(vec![timer]),
        }
    }
    organizations
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
