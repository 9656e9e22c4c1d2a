//! Metering: counts the requests with API keys of organizations, in memory and with those of all nodes in the ledger, and
//! refuses them when the limit of the usage month is reached.
//!
//! | file | what it owns |
//! |---|---|
//! | `counter.rs` | the counts of an organization in memory, and what is known of its limit |
//!
//! A request costs a few atomic operations: what other nodes have counted and what the plan allows is read with each
//! flush, and again before a request is refused. A killed node loses what it has counted since its last flush; a limit is
//! exceeded by what all nodes answer between two flushes. Near a limit, that is two seconds.

mod counter;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use jiff::{Timestamp, civil::Date};
use porttask_domain::{
    ApiKeyId, OrganizationId,
    billing::{
        Subscription, UsageMonth,
        subscription::UsageRange,
        terms::{Feature, Meter},
        usage,
        usage_month::UsageMonthId,
    },
};
use porttask_runtime::{
    clock::Clock,
    execute::{ExecuteError, Executor},
    log::LogError,
    supervise::beat,
    usage_counts::UsageCount,
};

pub use self::counter::Metered;
use self::counter::{Counter, Judgment, Known};
use super::warnings::warn_if_crossed;

/// The interval between two flushes of everything.
const FLUSH_EVERY: Duration = Duration::from_secs(30);
/// The interval between two flushes of organizations near their limit.
const TICK: Duration = Duration::from_secs(2);
/// Flushes after which an organization without requests is removed from memory: an hour.
const FORGET_AFTER: u32 = 120;
/// Rows per write.
const BATCH: usize = 1_000;
/// Attempts to read the recorded and the open counts of a month at the same moment.
const ATTEMPTS: usize = 5;

/// The limit of a meter is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitReached {
    /// The meter.
    pub meter: Meter,
    /// The limit.
    pub limit: u64,
    /// What is used.
    pub used: u64,
    /// The name of the plan.
    pub plan: String,
    /// When the usage month ends and counting starts again.
    pub resets_at: Timestamp,
}

/// Why a request is not admitted.
#[derive(Debug, thiserror::Error)]
pub enum NotAdmitted {
    /// The limit of the usage month is reached.
    #[error("the requests with API keys of this usage month are used up")]
    LimitReached(Box<LimitReached>),
    /// What is used or allowed could not be read.
    #[error(transparent)]
    Failed(#[from] ExecuteError),
}

/// Meters the requests with API keys that this node answers.
pub struct Metering {
    executor: Arc<Executor>,
    clock: Arc<Clock>,
    counters: RwLock<HashMap<OrganizationId, Arc<Counter>>>,
}

impl Metering {
    /// Meters with what this executor reads.
    pub fn new(executor: Arc<Executor>, clock: Arc<Clock>) -> Self {
        Self { executor, clock, counters: RwLock::default() }
    }

    /// Admits a request that a key of an organization has authenticated. It is counted by [`Metered::count`].
    ///
    /// # Errors
    /// If the limit is reached, or on failure.
    pub async fn admit(&self, organization: OrganizationId, key: ApiKeyId) -> Result<Metered, NotAdmitted> {
        let counter = self.counter(organization);
        counter.ask();
        if counter.judge(self.clock.now()) == Judgment::Unknown {
            self.refresh(&counter).await?;
        }
        match counter.judge(self.clock.now()) {
            // A month without an end is not limited.
            Judgment::Admitted | Judgment::Unknown => Ok(Metered::new(counter, key)),
            Judgment::Reached(reached) => Err(NotAdmitted::LimitReached(reached)),
        }
    }

    /// Flushes counts, in a loop: all of them, or only those of organizations near their limit.
    pub async fn run(self: Arc<Self>) {
        let mut flushed = Instant::now();
        loop {
            beat(TICK);
            tokio::time::sleep(TICK).await;
            let is_all = flushed.elapsed() >= FLUSH_EVERY;
            if is_all {
                flushed = Instant::now();
            }
            if let Err(error) = self.flush(is_all).await {
                tracing::warn!(%error, "requests with API keys could not be counted for other nodes: will retry");
            }
        }
    }

    /// Flushes everything within `patience`; returns whether it finished.
    pub async fn shutdown(&self, patience: Duration) -> bool {
        matches!(tokio::time::timeout(patience, self.write(&self.all())).await, Ok(Ok(())))
    }

    /// Adds the counts of this node to those of the others, and reads what is used and allowed: of all organizations, or
    /// of those near their limit.
    ///
    /// # Errors
    /// If the log fails: the counts are kept for the next flush.
    pub async fn flush(&self, is_all: bool) -> Result<(), ExecuteError> {
        let counters: Vec<_> = self.all().into_iter().filter(|counter| is_all || counter.is_near()).collect();
        let active: Vec<_> = counters.iter().filter(|counter| counter.was_asked()).cloned().collect();
        self.write(&counters).await?;
        let mut failed = None;
        for counter in &active {
            // One that fails holds up no other.
            failed = self.refresh_and_warn(counter).await.err().or(failed);
        }
        if is_all {
            let mut counters = self.counters.write().unwrap_or_else(PoisonError::into_inner);
            // Requests in progress hold their counter.
            counters.retain(|_, counter| Arc::strong_count(counter) > 2 || counter.is_used_within(FORGET_AFTER));
        }
        failed.map_or(Ok(()), Err)
    }

    fn counter(&self, organization: OrganizationId) -> Arc<Counter> {
        if let Some(counter) = self.counters.read().unwrap_or_else(PoisonError::into_inner).get(&organization) {
            return Arc::clone(counter);
        }
        let mut counters = self.counters.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(counters.entry(organization).or_insert_with(|| Arc::new(Counter::new(organization))))
    }

    fn all(&self) -> Vec<Arc<Counter>> {
        self.counters.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Writes what these counters have counted.
    async fn write(&self, counters: &[Arc<Counter>]) -> Result<(), LogError> {
        for counter in counters {
            // What is read meanwhile must not include it twice.
            let _guard = counter.refreshing.lock().await;
            let taken = counter.unwritten();
            let rows: Vec<UsageCount> = taken.iter().map(|it| it.row).collect();
            for batch in rows.chunks(BATCH) {
                self.executor.database().report_usage(batch).await?;
            }
            counter.written(&taken);
        }
        Ok(())
    }

    /// Reads what is used and allowed, unless another request has just done so.
    async fn refresh(&self, counter: &Counter) -> Result<(), ExecuteError> {
        let _guard = counter.refreshing.lock().await;
        if counter.judge(self.clock.now()) == Judgment::Unknown {
            self.read(counter).await?;
        }
        Ok(())
    }

    async fn refresh_and_warn(&self, counter: &Counter) -> Result<(), ExecuteError> {
        let crossed = {
            let _guard = counter.refreshing.lock().await;
            self.read(counter).await?;
            counter.crossed()
        };
        if let Some((used, reached)) = crossed {
            warn_if_crossed(&self.executor, counter.organization, Meter::ApiCalls, used).await?;
            counter.warned(reached);
        }
        Ok(())
    }

    async fn read(&self, counter: &Counter) -> Result<(), ExecuteError> {
        let (organization, now) = (counter.organization, self.clock.now());
        let (subscription, _) = self.executor.load::<Subscription>(organization, organization.into()).await?;
        let known = match subscription.usage_month(now) {
            Ok(Some(UsageRange { from, ends_at, .. })) => Some(Known {
                used: self.used(organization, from).await?,
                // Keys that were made before, in the trial or with another plan, are of no use without the feature.
                limit: match subscription.has(Feature::ApiKeys) {
                    true => subscription.limit(Meter::ApiCalls),
                    false => Some(0),
                },
                plan: subscription.terms().map(|terms| terms.name.clone()).unwrap_or_default(),
                from,
                ends_at,
            }),
            // Nothing is limited before a subscription exists.
            Ok(None) | Err(_) => None,
        };
        counter.knows(known, subscription.time_zone(), now);
        Ok(())
    }

    /// The requests of a usage month that begins on a date: those that are recorded, and those in the ledger that are not.
    ///
    /// # Errors
    /// If the log fails.
    pub async fn used(&self, organization: OrganizationId, from: Date) -> Result<u64, ExecuteError> {
        let id = UsageMonthId::new(organization, from);
        let (mut month, mut version) = self.executor.load::<UsageMonth>(organization, id).await?;
        let mut used = 0;
        for _ in 0..ATTEMPTS {
            let open = self.executor.database().open_usage(organization, from).await?;
            // What was taken for the event of a day and is in it counts once.
            let is_recorded = |day: Option<Date>| day.is_some_and(|day| month.has(day));
            let open = open.iter().filter(|it| !is_recorded(it.taken_for)).map(|it| it.count);
            used = open.fold(month.api_calls(), u64::saturating_add);
            let before = version;
            (month, version) = self.executor.load::<UsageMonth>(organization, id).await?;
            if version == before {
                break;
            }
        }
        Ok(used)
    }
}

/// The greatest share of a limit that is reached, in percent; 0 for none.
fn share_reached(used: u64, limit: u64) -> u64 {
    usage::warnings(used, Some(limit), &[]).into_iter().max().unwrap_or_default()
}
