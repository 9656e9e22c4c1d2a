//! Rate limits: `RateLimit` headers (draft-ietf-httpapi-ratelimit-headers), 429 with `Retry-After`.
//!
//! Failed attempts to sign in or redeem a link, and requests without a token, spend from a budget of their network;
//! requests with a token, from a budget of the token. A token that was not accepted recently spends from the network's budget as
//! well, before it is checked.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, Once},
    time::Duration,
};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed, StateStore},
};
use quick_cache::sync::Cache;
use uuid::Uuid;

/// How many networks or tokens each limit tracks. Those not seen for long start over.
const REMEMBERED: usize = 100_000;

/// Requests per minute. Zero means no limit.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// Failed attempts to sign in or redeem a link, from one network.
    pub attempts: u32,
    /// Requests of one session or API key.
    pub sessions: u32,
    /// Requests without a valid token, from one network.
    pub strangers: u32,
}

/// The rate limits of a node.
pub(crate) struct Limits {
    pub(super) attempts: Option<Limit<IpAddr>>,
    pub(super) sessions: Option<Limit<u64>>,
    pub(super) strangers: Option<Limit<IpAddr>>,
    licences: Option<Limit<Uuid>>,
    hasher: RandomState,
    /// Tokens that were accepted recently.
    known: Cache<u64, ()>,
    unknown_proxy: Once,
}

impl Limits {
    pub(crate) fn new(rates: Rates) -> Self {
        Self {
            attempts: Limit::new("attempts", rates.attempts, rates.attempts),
            sessions: Limit::new("session", rates.sessions, rates.sessions / 4),
            strangers: Limit::new("strangers", rates.strangers, rates.strangers / 4),
            licences: Limit::new("licence", rates.sessions, rates.sessions),
            hasher: RandomState::new(),
            known: Cache::new(REMEMBERED),
            unknown_proxy: Once::new(),
        }
    }

    /// Registers a token that was just issued.
    pub(crate) fn know(&self, token: &str) {
        self.remember(self.key_of(token));
    }

    /// Spends an activation of a licence.
    ///
    /// # Errors
    /// The seconds until the next one, if the budget is exhausted.
    pub(crate) fn spend_of_licence(&self, licence: Uuid) -> Result<(), u32> {
        let spent = self.licences.as_ref().map(|limit| limit.spend(&licence));
        spent.transpose().map(drop).map_err(|left| left.wait_seconds.max(1))
    }

    /// The hash by which a token is tracked.
    pub(super) fn key_of(&self, token: &str) -> u64 {
        self.hasher.hash_one(token)
    }

    /// Whether a token was accepted recently.
    pub(super) fn is_known(&self, key: u64) -> bool {
        self.known.get(&key).is_some()
    }

    /// A token was accepted.
    pub(super) fn remember(&self, key: u64) {
        self.known.insert(key, ());
    }

    /// A token is no longer valid.
    pub(super) fn forget(&self, key: u64) {
        self.known.remove(&key);
    }

    /// Calls this once in the lifetime of the node.
    pub(super) fn warn_once(&self, warn: impl FnOnce()) {
        self.unknown_proxy.call_once(warn);
    }
}

/// A rate limit, with one budget per key.
pub(super) struct Limit<K: Hash + Eq + Clone> {
    name: &'static str,
    limiter: RateLimiter<K, Bounded<K>, DefaultClock, StateInformationMiddleware>,
    budgets: Bounded<K>,
    burst: u32,
    per_minute: u32,
}

/// The state of a budget after a request.
pub(super) struct Left {
    pub(super) name: &'static str,
    burst: u32,
    /// How long an empty budget takes to refill.
    window_seconds: u32,
    remaining: u32,
    /// Until the budget is full again; for a rejected request, until the next one is allowed.
    pub(super) wait_seconds: u32,
}

impl<K: Hash + Eq + Clone> Limit<K> {
    fn new(name: &'static str, per_minute: u32, burst: u32) -> Option<Self> {
        let burst = NonZeroU32::new(burst.max(1))?;
        let quota = Quota::per_minute(NonZeroU32::new(per_minute)?).allow_burst(burst);
        let budgets = Bounded::new();
        let limiter = RateLimiter::new(quota, budgets.clone(), DefaultClock::default());
        Some(Self { name, limiter, budgets, burst: burst.get(), per_minute })
    }

    /// Spends one request.
    ///
    /// # Errors
    /// If the budget is exhausted.
    pub(super) fn spend(&self, key: &K) -> Result<Left, Left> {
        let (name, burst) = (self.name, self.burst);
        let left = |remaining, wait_seconds| {
            let window_seconds = self.seconds_for(burst);
            Left { name, burst, window_seconds, remaining, wait_seconds }
        };
        match self.limiter.check_key(key) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity().min(burst);
                Ok(left(remaining, self.seconds_for(burst - remaining)))
            }
            Err(until) => {
                let wait = until.wait_time_from(self.limiter.clock().now());
                Err(left(0, u32::try_from(wait.saturating_add(Duration::from_millis(999)).as_secs()).unwrap_or(60)))
            }
        }
    }

    /// Gives back what a request has spent.
    pub(super) fn refund(&self, key: &K, left: Left) -> Left {
        // The state is the time at which the budget is full again.
        let interval = 60_000_000_000 / u64::from(self.per_minute);
        let earlier = |full_at: Option<Nanos>| {
            let full_at = full_at.map_or(0, |full_at| full_at.as_u64());
            Ok::<_, ()>(((), Nanos::new(full_at.saturating_sub(interval).max(1))))
        };
        _ = self.budgets.measure_and_replace(key, earlier);
        let remaining = (left.remaining + 1).min(self.burst);
        Left { remaining, wait_seconds: self.seconds_for(self.burst - remaining), ..left }
    }

    /// How long the budget takes to refill by so many requests.
    fn seconds_for(&self, requests: u32) -> u32 {
        (u64::from(requests) * 60).div_ceil(u64::from(self.per_minute)) as u32
    }
}

impl Left {
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        let Self { name, burst, window_seconds, remaining, wait_seconds } = self;
        for (header, value) in [
            ("ratelimit-policy", format!("\"{name}\";q={burst};w={}", window_seconds.max(&1))),
            ("ratelimit", format!("\"{name}\";r={remaining};t={wait_seconds}")),
        ] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(header), value);
            }
        }
    }
}

/// The most recently used budgets, so that memory is bounded.
#[derive(Clone)]
struct Bounded<K: Hash + Eq + Clone>(Arc<Cache<K, Arc<InMemoryState>>>);

impl<K: Hash + Eq + Clone> Bounded<K> {
    fn new() -> Self {
        Self(Arc::new(Cache::new(REMEMBERED)))
    }
}

impl<K: Hash + Eq + Clone> StateStore for Bounded<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let state = self.0.get_or_insert_with(key, || Ok::<_, E>(Arc::new(InMemoryState::default())))?;
        state.measure_and_replace(&NotKeyed::NonKey, decide)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_spent_told_and_refused() {
        let limit: Limit<u64> = Limit::new("session", 60, 3).unwrap();
        let left: Vec<_> = (0..3).map(|_| limit.spend(&1).map(|left| left.remaining).ok()).collect();
        assert_eq!(left, [Some(2), Some(1), Some(0)]);
        let rejected = limit.spend(&1).err().unwrap();
        assert_eq!((rejected.remaining, rejected.wait_seconds, rejected.window_seconds), (0, 1, 3));
        assert!(limit.spend(&2).is_ok(), "others have budgets of their own");
        assert!(Limit::<u64>::new("session", 0, 0).is_none());
    }

    #[test]
    fn a_refund_restores_a_budget_and_never_exceeds_it() {
        let limit: Limit<u64> = Limit::new("attempts", 60, 3).unwrap();
        for _ in 0..20 {
            let left = limit.spend(&1).ok().unwrap();
            let left = limit.refund(&1, left);
            assert_eq!((left.remaining, left.wait_seconds), (3, 0));
        }
        let left: Vec<_> = (0..4).map(|_| limit.spend(&1).map(|left| left.remaining).ok()).collect();
        assert_eq!(left, [Some(2), Some(1), Some(0), None]);
    }

    #[test]
    fn memory_is_bounded_whoever_comes() {
        let budgets: Bounded<u64> = Bounded::new();
        for key in 0..(3 * REMEMBERED as u64) {
            _ = budgets.measure_and_replace(&key, |_| Ok::<_, ()>(((), Nanos::new(1))));
        }
        assert!(budgets.0.len() <= REMEMBERED, "{}", budgets.0.len());
    }
}
