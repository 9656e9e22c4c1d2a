//! The counts of an organization in memory, and what is known of its limit.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use porttask_domain::{
    ApiKeyId, OrganizationId,
    billing::{period, terms::Meter},
};
use porttask_runtime::usage_counts::UsageCount;
use uuid::Uuid;

use super::{LimitReached, TICK, share_reached};

/// From which share of its limit on an organization is near it, in percent.
const NEAR: u128 = 95;
/// The largest share of a limit that a node keeps to itself until the next flush of everything, in percent.
const KEPT: u128 = 1;
/// How old what is known may be.
const LONGEST: Duration = Duration::from_secs(60);

/// A request that was admitted.
#[derive(Debug)]
pub struct Metered {
    counter: Arc<Counter>,
    key: ApiKeyId,
}

/// The counts of an organization.
#[derive(Debug)]
pub(super) struct Counter {
    pub(super) organization: OrganizationId,
    /// Held while counts are written or what is known is read.
    pub(super) refreshing: tokio::sync::Mutex<()>,
    state: RwLock<State>,
    /// What was counted and is not in the ledger.
    unwritten: AtomicU64,
    /// Whether there was a request since the last flush.
    is_asked: AtomicBool,
    /// Flushes without requests before them.
    idle_flushes: AtomicU32,
}

#[derive(Debug)]
struct State {
    zone: TimeZone,
    /// When the current day begins and ends.
    bounds: (Timestamp, Timestamp),
    /// The days with counts that are not in the ledger, and the current one: the last.
    days: Vec<Day>,
    /// When this was read; `None` if not yet.
    read: Option<Instant>,
    /// `None` without a subscription.
    known: Option<Known>,
    /// The usage month and share of the last warning.
    warned: Option<(Date, u64)>,
}

/// What is known of a usage month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// Requests that are recorded or in the ledger.
    pub(super) used: u64,
    pub(super) limit: Option<u64>,
    /// The name of the plan.
    pub(super) plan: String,
    pub(super) from: Date,
    pub(super) ends_at: Timestamp,
}

/// The counts of a day.
#[derive(Debug)]
struct Day {
    date: Date,
    /// Under which the counts are in the ledger. Each day in memory has its own, so that one that was removed and begins
    /// again adds to what is there.
    run: Uuid,
    keys: RwLock<HashMap<ApiKeyId, Count>>,
}

#[derive(Debug, Default)]
struct Count {
    all: AtomicU64,
    written: AtomicU64,
}

/// A count to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unwritten {
    pub(super) row: UsageCount,
    /// How many of it are new.
    new: u64,
}

/// Whether a request is admitted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgment {
    Admitted,
    Reached(Box<LimitReached>),
    /// What is known must be read first.
    Unknown,
}

impl Metered {
    pub(super) fn new(counter: Arc<Counter>, key: ApiKeyId) -> Self {
        Self { counter, key }
    }

    /// Counts the request, because it was answered.
    pub fn count(&self, now: Timestamp) {
        self.counter.count(self.key, now);
    }
}

impl Counter {
    pub(super) fn new(organization: OrganizationId) -> Self {
        let bounds = (Timestamp::MIN, Timestamp::MIN);
        let state = State { zone: TimeZone::UTC, bounds, days: Vec::new(), read: None, known: None, warned: None };
        Self {
            organization,
            refreshing: tokio::sync::Mutex::default(),
            state: RwLock::new(state),
            unwritten: AtomicU64::default(),
            is_asked: AtomicBool::default(),
            idle_flushes: AtomicU32::default(),
        }
    }

    /// Notes that there is a request.
    pub(super) fn ask(&self) {
        // Written once between two flushes: the others only read.
        if !self.is_asked.load(Ordering::Relaxed) {
            self.is_asked.store(true, Ordering::Relaxed);
        }
    }

    /// Whether there was a request since this was called last.
    pub(super) fn was_asked(&self) -> bool {
        self.is_asked.swap(false, Ordering::Relaxed)
    }

    /// Whether there was a request within this number of flushes. To be called once for each.
    pub(super) fn is_used_within(&self, flushes: u32) -> bool {
        if self.is_asked.load(Ordering::Relaxed) || self.unwritten.load(Ordering::Relaxed) > 0 {
            self.idle_flushes.store(0, Ordering::Relaxed);
        }
        self.idle_flushes.fetch_add(1, Ordering::Relaxed) < flushes
    }

    /// Whether a request is admitted. It is refused only by what was read a moment ago.
    pub(super) fn judge(&self, now: Timestamp) -> Judgment {
        let state = self.state();
        let Some(age) = state.read.map(|read| read.elapsed()) else { return Judgment::Unknown };
        if age > LONGEST || state.known.as_ref().is_some_and(|known| known.ends_at <= now) {
            return Judgment::Unknown;
        }
        let Some((known, limit)) = state.known.as_ref().and_then(|known| Some((known, known.limit?))) else {
            return Judgment::Admitted;
        };
        let used = self.used(known);
        if used < limit {
            return Judgment::Admitted;
        }
        if age > TICK {
            return Judgment::Unknown;
        }
        let (meter, plan, resets_at) = (Meter::ApiCalls, known.plan.clone(), known.ends_at);
        Judgment::Reached(Box::new(LimitReached { meter, limit, used, plan, resets_at }))
    }

    /// Whether the limit is near, so that the counts of all nodes must be known soon.
    pub(super) fn is_near(&self) -> bool {
        let state = self.state();
        let Some((known, limit)) = state.known.as_ref().and_then(|known| Some((known, known.limit?))) else {
            return false;
        };
        let share = |count: u64, share: u128| u128::from(count) * 100 >= u128::from(limit) * share;
        let unwritten = self.unwritten.load(Ordering::Relaxed);
        share(self.used(known), NEAR) || (unwritten > 0 && share(unwritten, KEPT))
    }

    /// What is used, and the share of the limit that it reaches, if that was not warned of.
    pub(super) fn crossed(&self) -> Option<(u64, u64)> {
        let state = self.state();
        let (known, limit) = state.known.as_ref().and_then(|known| Some((known, known.limit?)))?;
        let used = self.used(known);
        let reached = share_reached(used, limit);
        let warned = state.warned.filter(|(from, _)| *from == known.from).map_or(0, |(_, share)| share);
        (reached > warned).then_some((used, reached))
    }

    /// Notes that was warned of a share.
    pub(super) fn warned(&self, share: u64) {
        let mut state = self.state_mut();
        state.warned = state.known.as_ref().map(|known| (known.from, share));
    }

    /// Takes over what was read.
    pub(super) fn knows(&self, known: Option<Known>, zone: TimeZone, now: Timestamp) {
        let mut state = self.state_mut();
        (state.known, state.read) = (known, Some(Instant::now()));
        if state.zone != zone {
            state.zone = zone;
            state.turn(now);
        }
    }

    /// What was counted and is not in the ledger.
    pub(super) fn unwritten(&self) -> Vec<Unwritten> {
        let state = self.state();
        let mut unwritten = Vec::new();
        for Day { date, run, keys } in &state.days {
            for (key, Count { all, written }) in &*keys.read().unwrap_or_else(PoisonError::into_inner) {
                let count = all.load(Ordering::Acquire);
                let new = count - written.load(Ordering::Relaxed);
                if new > 0 {
                    let row = UsageCount { run: *run, organization: self.organization, key: *key, day: *date, count };
                    unwritten.push(Unwritten { row, new });
                }
            }
        }
        unwritten
    }

    /// Notes that this is in the ledger.
    pub(super) fn written(&self, written: &[Unwritten]) {
        let mut state = self.state_mut();
        for Unwritten { row, new } in written {
            let day = state.days.iter().find(|day| day.run == row.run);
            let keys = day.map(|day| day.keys.read().unwrap_or_else(PoisonError::into_inner));
            if let Some(count) = keys.as_ref().and_then(|keys| keys.get(&row.key)) {
                count.written.store(row.count, Ordering::Relaxed);
                self.unwritten.fetch_sub(*new, Ordering::Relaxed);
            }
        }
        if let Some(known) = &mut state.known {
            known.used = written.iter().fold(known.used, |used, it| used.saturating_add(it.new));
        }
        let last = state.days.len().saturating_sub(1);
        let mut place = 0..;
        state.days.retain(|day| place.next() == Some(last) || day.has_unwritten());
    }

    fn count(&self, key: ApiKeyId, now: Timestamp) {
        // First, because it is what `written` takes off.
        self.unwritten.fetch_add(1, Ordering::Relaxed);
        {
            let state = self.state();
            if let Some(day) = state.days.last().filter(|_| state.bounds.0 <= now && now < state.bounds.1) {
                return day.add(key);
            }
        }
        let mut state = self.state_mut();
        state.turn(now);
        if let Some(day) = state.days.last() {
            day.add(key);
        }
    }

    fn used(&self, known: &Known) -> u64 {
        known.used.saturating_add(self.unwritten.load(Ordering::Relaxed))
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Makes the local day of an instant the current one.
    fn turn(&mut self, now: Timestamp) {
        let date = period::local_date(now, &self.zone);
        let begins = |date: Date| period::first_instant(date, &self.zone).unwrap_or(now);
        self.bounds = (begins(date), date.tomorrow().map_or(now, begins));
        let day = match self.days.iter().position(|day| day.date == date) {
            Some(place) => self.days.remove(place),
            None => Day { date, run: Uuid::now_v7(), keys: RwLock::default() },
        };
        self.days.push(day);
    }
}

impl Day {
    fn add(&self, key: ApiKeyId) {
        if let Some(count) = self.keys.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            count.all.fetch_add(1, Ordering::Release);
            return;
        }
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.entry(key).or_default().all.fetch_add(1, Ordering::Release);
    }

    fn has_unwritten(&self) -> bool {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.values().any(|it| it.all.load(Ordering::Relaxed) > it.written.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn counter(limit: Option<u64>) -> Counter {
        let counter = Counter::new(OrganizationId(Uuid::from_u128(1)));
        let from = jiff::civil::date(2026, 11, 1);
        let ends_at = at("2026-12-01T03:00:00Z");
        let known = Known { used: 0, limit, plan: "starter".to_owned(), from, ends_at };
        let zone = jiff::tz::TimeZoneDatabase::bundled().get("America/Sao_Paulo").unwrap();
        counter.knows(Some(known), zone, at("2026-11-27T12:00:00Z"));
        counter
    }

    fn rows(counter: &Counter) -> Vec<(String, u64)> {
        counter.unwritten().iter().map(|it| (it.row.day.to_string(), it.row.count)).collect()
    }

    const KEY: ApiKeyId = ApiKeyId(Uuid::from_u128(7));

    #[test]
    fn a_request_counts_on_the_local_day_on_which_it_was_answered() {
        let counter = counter(None);
        for (time, requests) in [("2026-11-28T02:59:59Z", 2), ("2026-11-28T03:00:00Z", 3), ("2026-11-28T02:59:59Z", 1)]
        {
            (0..requests).for_each(|_| counter.count(KEY, at(time)));
        }
        assert_eq!(rows(&counter), [("2026-11-28".to_owned(), 3), ("2026-11-27".to_owned(), 3)]);
        let written = counter.unwritten();
        counter.count(KEY, at("2026-11-28T12:00:00Z"));
        counter.written(&written);
        // A count is absolute.
        assert_eq!(rows(&counter), [("2026-11-28".to_owned(), 4)]);
    }

    #[test]
    fn a_day_that_begins_again_adds_to_what_is_in_the_ledger() {
        let counter = counter(None);
        let mut runs = Vec::new();
        for time in ["2026-11-27T12:00:00Z", "2026-11-28T12:00:00Z", "2026-11-27T12:00:00Z"] {
            counter.count(KEY, at(time));
            let written = counter.unwritten();
            runs.extend(written.iter().map(|it| it.row.run));
            counter.written(&written);
        }
        assert!(runs[0] != runs[2] && runs.len() == 3, "{runs:?}");
    }

    #[test]
    fn requests_are_refused_at_the_limit_until_the_month_ends() {
        let counter = counter(Some(200));
        let now = at("2026-11-27T12:00:00Z");
        assert!(!counter.is_near());
        (0..2).for_each(|_| counter.count(KEY, now));
        assert!(counter.is_near(), "a hundredth is not kept for long");
        counter.written(&counter.unwritten());
        assert!(!counter.is_near());
        (0..197).for_each(|_| counter.count(KEY, now));
        assert_eq!((counter.judge(now), counter.is_near()), (Judgment::Admitted, true));
        assert_eq!(counter.crossed(), Some((199, 80)));
        counter.count(KEY, now);
        let Judgment::Reached(reached) = counter.judge(now) else { panic!("{:?}", counter.judge(now)) };
        assert_eq!((reached.limit, reached.used, reached.plan.as_str()), (200, 200, "starter"));
        counter.written(&counter.unwritten());
        assert!(matches!(counter.judge(now), Judgment::Reached(_)));
        assert_eq!(counter.crossed(), Some((200, 100)));
        counter.warned(100);
        assert_eq!(counter.crossed(), None);
        assert_eq!(counter.judge(at("2026-12-01T03:00:00Z")), Judgment::Unknown);
    }

    #[test]
    fn nothing_is_limited_without_a_limit_and_nothing_admitted_before_it_is_known() {
        let now = at("2026-11-27T12:00:00Z");
        let unlimited = counter(None);
        (0..1_000).for_each(|_| unlimited.count(KEY, now));
        assert_eq!((unlimited.judge(now), unlimited.crossed()), (Judgment::Admitted, None));
        assert_eq!(Counter::new(OrganizationId::PLATFORM).judge(now), Judgment::Unknown);
        assert!(matches!(counter(Some(0)).judge(now), Judgment::Reached(_)));
        assert!(!counter(Some(1)).is_near());
    }
}
