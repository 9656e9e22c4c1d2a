//! Records the requests with API keys of local days that are over: one event for each day of an organization.
//!
//! What is recorded is first taken in the ledger, so that it is the same when it is attempted again. What arrives for a
//! day that is recorded is recorded with the next one.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp, ToSpan, civil::Date, tz::TimeZone};
use porttask_domain::{
    Actor, ApiKeyId, Meta, OrganizationId, Rejection as _,
    billing::{
        Subscription, UsageMonth, period,
        usage_month::{Command, Rejection, TOP_KEYS, UsageMonthId},
    },
    identity::Capability,
};
use porttask_runtime::{
    execute::{ExecuteError, Executor, Request},
    lease::{Holder, Lease},
    log::LogError,
    supervise::beat,
    usage_counts::OpenDay,
};

/// The name of the lease of the node that records.
const LEASE: &str = "usage days";
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long after the end of a day it is recorded: nodes flush within 30 seconds.
const GRACE: SignedDuration = SignedDuration::from_mins(10);
/// How far local time is ahead of UTC at most.
const AHEAD: SignedDuration = SignedDuration::from_hours(14);
/// For how many days after it a day stays in the ledger.
const KEPT_DAYS: i32 = 40;
/// Rows per query.
const PAGE: usize = 1_000;

/// Records days that are over.
pub struct UsageDays {
    executor: Arc<Executor>,
    lease: Lease,
}

/// What is known from the last pass.
#[derive(Default)]
struct Passed {
    /// When something is due for an organization whose days are not over.
    due: HashMap<OrganizationId, Timestamp>,
    /// The date before which days were deleted.
    deleted: Option<Date>,
}

impl UsageDays {
    /// Records on one node at a time.
    pub fn new(executor: Arc<Executor>, holder: Holder) -> Arc<Self> {
        Arc::new(Self { executor, lease: Lease::new(holder, Lease::MAX_DURATION) })
    }

    /// Records what is due, in a loop.
    pub async fn run(self: Arc<Self>) {
        let mut passed = Passed::default();
        loop {
            beat(LOOK_EVERY + Lease::MAX_DURATION);
            if let Err(error) = self.pass(&mut passed).await {
                tracing::warn!(%error, "requests with API keys could not be recorded: will retry");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Records what is due now, if no other node does.
    ///
    /// # Errors
    /// If the log fails: what is left is recorded by the next attempt.
    pub async fn record_due(&self) -> Result<(), ExecuteError> {
        self.pass(&mut Passed::default()).await
    }

    async fn pass(&self, passed: &mut Passed) -> Result<(), ExecuteError> {
        if !self.executor.clock().is_trusted() || !self.hold().await? {
            return Ok(());
        }
        let now = self.executor.clock().now();
        let (mut renewed, mut failed) = (Instant::now(), None);
        for (organization, days) in self.open(now).await? {
            if passed.due.get(&organization).is_some_and(|due| now < *due) {
                continue;
            }
            beat(LOOK_EVERY + Lease::MAX_DURATION);
            if renewed.elapsed() >= self.lease.renewal_interval() {
                if !self.hold().await? {
                    return Ok(());
                }
                renewed = Instant::now();
            }
            match self.record(organization, &days, now).await {
                Ok(Some(due)) => _ = passed.due.insert(organization, due),
                Ok(None) => _ = passed.due.remove(&organization),
                // One that fails holds up no other.
                Err(error) => failed = Some(error),
            }
        }
        let oldest = period::local_date(now, &TimeZone::UTC).saturating_sub(KEPT_DAYS.days());
        if passed.deleted != Some(oldest) {
            self.executor.database().delete_usage(oldest).await?;
            (passed.deleted, passed.due) = (Some(oldest), HashMap::new());
        }
        failed.map_or(Ok(()), Err)
    }

    async fn hold(&self) -> Result<bool, LogError> {
        self.executor.database().hold(LEASE, &self.lease).await
    }

    /// The organizations with days that may be over.
    async fn open(&self, now: Timestamp) -> Result<BTreeMap<OrganizationId, Vec<OpenDay>>, LogError> {
        let until = period::local_date(now - GRACE + AHEAD, &TimeZone::UTC).saturating_sub(1.day());
        let (mut open, mut after) = (BTreeMap::<_, Vec<_>>::new(), None);
        loop {
            let page = self.executor.database().open_days(until, after, PAGE).await?;
            after = page.last().map(|last| (last.day, last.organization));
            let is_last = page.len() < PAGE;
            for day in page {
                open.entry(day.organization).or_default().push(day);
            }
            if is_last {
                return Ok(open);
            }
        }
    }

    /// Records the days of an organization that are over, in their order; returns when the next one is due, if none was.
    async fn record(
        &self,
        organization: OrganizationId,
        days: &[OpenDay],
        now: Timestamp,
    ) -> Result<Option<Timestamp>, ExecuteError> {
        let (subscription, _) = self.executor.load::<Subscription>(organization, organization.into()).await?;
        let zone = subscription.time_zone();
        let today = period::local_date(now - GRACE, &zone);
        let over: Vec<&OpenDay> = days.iter().filter(|it| it.day < today).collect();
        if over.is_empty() {
            let tomorrow = period::first_instant(today.saturating_add(1.day()), &zone);
            return Ok(tomorrow.ok().map(|at| at + GRACE));
        }
        if subscription.status().is_none() {
            return self.drop_old(organization, &over, today).await.map(|()| None);
        }
        // What was interrupted.
        for taken_for in over.iter().filter_map(|it| it.taken_for) {
            self.record_day(organization, &subscription, taken_for).await?;
        }
        let last = today.saturating_sub(1.day());
        for day in over.iter().filter(|it| it.taken_for.is_none()).map(|it| it.day) {
            // What came late counts on the last day that is not recorded.
            for target in [day, last] {
                let Some(month) = month_of(organization, &subscription, target) else { continue };
                let (usage, _) = self.executor.load::<UsageMonth>(organization, month).await?;
                if !usage.has(target) {
                    self.record_day(organization, &subscription, target).await?;
                    break;
                }
            }
        }
        Ok(None)
    }

    /// Takes what is open until a day, and records it as that day's.
    async fn record_day(
        &self,
        organization: OrganizationId,
        subscription: &Subscription,
        day: Date,
    ) -> Result<(), ExecuteError> {
        let Some(month) = month_of(organization, subscription, day) else { return Ok(()) };
        let database = self.executor.database();
        let taken = database.take_usage(organization, day).await?;
        if taken.is_empty() {
            return Ok(());
        }
        let count = taken.iter().fold(0, |sum: u64, (_, count)| sum.saturating_add(*count));
        let command = Command::CountApiCalls { day, count, by_key: top(taken) };
        let request = Request::new(organization, Meta::by(Actor::System)).needing(Capability::Settle);
        let is_recorded = match self.executor.execute::<UsageMonth>(month, command, &request).await {
            Ok(_) => true,
            Err(ExecuteError::Rejected(rejected)) if rejected.slug == Rejection::Counted.slug() => false,
            Err(error) => return Err(error),
        };
        Ok(database.settle_usage(organization, day, is_recorded).await?)
    }

    /// Without a subscription there is no usage month: its counts are kept as long as others, for one that may begin.
    async fn drop_old(&self, organization: OrganizationId, over: &[&OpenDay], today: Date) -> Result<(), ExecuteError> {
        let oldest = today.saturating_sub(KEPT_DAYS.days());
        let database = self.executor.database();
        if let Some(day) = over.iter().map(|it| it.day).filter(|day| *day < oldest).max() {
            database.take_usage(organization, day).await?;
            database.settle_usage(organization, day, true).await?;
        }
        Ok(())
    }
}

/// The usage month of a day.
fn month_of(organization: OrganizationId, subscription: &Subscription, day: Date) -> Option<UsageMonthId> {
    let at = period::first_instant(day, &subscription.time_zone()).ok()?;
    let month = subscription.usage_month(at).ok()??;
    Some(UsageMonthId::new(organization, month.from))
}

/// The keys with the most requests.
fn top(mut keys: Vec<(ApiKeyId, u64)>) -> BTreeMap<ApiKeyId, u64> {
    keys.sort_by_key(|(key, count)| (std::cmp::Reverse(*count), *key));
    keys.truncate(TOP_KEYS);
    keys.into_iter().collect()
}
