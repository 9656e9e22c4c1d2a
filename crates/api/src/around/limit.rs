//! How many requests whom: `RateLimit` headers (draft-ietf-httpapi-ratelimit-headers), 429 with `Retry-After`.
//!
//! Every request spends of one budget: an attempt to prove who one is and a stranger's request of their network's, any
//! other of its session's. A token that has not let anybody in lately spends of the network's as well, before it is looked
//! at.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, Hash, RandomState},
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{Arc, Once},
    time::Duration,
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed, StateStore},
};
use porttask_app::attempts;
use quick_cache::sync::Cache;

use crate::{
    app::App,
    document,
    problem::Problem,
    refused::Asker,
    request::{address, bearer, is_forwarded, peer},
};

/// How many networks or sessions each limit remembers. Whoever was not seen for longest begins anew.
const REMEMBERED: usize = 100_000;
/// Machines ask for these; they are cheap, and a refusal would look like a failure.
const UNLIMITED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// How many requests are answered, in a minute. Zero is no limit.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// Attempts to sign in, and to take up links, from one network.
    pub attempts: u32,
    /// Requests of one session.
    pub sessions: u32,
    /// Requests without a valid token, from one network.
    pub strangers: u32,
}

/// The limits of a node.
pub(crate) struct Limits {
    attempts: Option<Limit<IpAddr>>,
    sessions: Option<Limit<u64>>,
    strangers: Option<Limit<IpAddr>>,
    /// Where attempts are made.
    doors: BTreeSet<String>,
    hasher: RandomState,
    /// Tokens that let somebody in lately.
    known: Cache<u64, ()>,
    unknown_proxy: Once,
}

impl Limits {
    pub(crate) fn new(rates: Rates) -> Self {
        Self {
            attempts: Limit::new("attempts", rates.attempts, rates.attempts),
            sessions: Limit::new("session", rates.sessions, rates.sessions / 4),
            strangers: Limit::new("strangers", rates.strangers, rates.strangers / 4),
            doors: document::doors(),
            hasher: RandomState::new(),
            known: Cache::new(REMEMBERED),
            unknown_proxy: Once::new(),
        }
    }

    /// This token lets somebody in: it was just given out.
    pub(crate) fn know(&self, token: &str) {
        self.known.insert(self.hasher.hash_one(token), ());
    }

    fn is_attempt(&self, method: &Method, route: &str) -> bool {
        method == Method::POST && self.doors.contains(route)
    }
}

/// One budget for each of many.
struct Limit<K: Hash + Eq + Clone> {
    name: &'static str,
    limiter: RateLimiter<K, Bounded<K>, DefaultClock, StateInformationMiddleware>,
    burst: u32,
    per_minute: u32,
}

/// How a budget stands after a request.
struct Left {
    name: &'static str,
    burst: u32,
    /// How long it takes to fill an empty one.
    window_seconds: u32,
    remaining: u32,
    /// When it is full again; for a request that was refused, when the next one is answered.
    wait_seconds: u32,
}

impl<K: Hash + Eq + Clone> Limit<K> {
    fn new(name: &'static str, per_minute: u32, burst: u32) -> Option<Self> {
        let burst = NonZeroU32::new(burst.max(1))?;
        let quota = Quota::per_minute(NonZeroU32::new(per_minute)?).allow_burst(burst);
        let limiter = RateLimiter::new(quota, Bounded::new(), DefaultClock::default());
        Some(Self { name, limiter, burst: burst.get(), per_minute })
    }

    /// Spends one request.
    ///
    /// # Errors
    /// If there is none left.
    fn spend(&self, key: &K) -> Result<Left, Left> {
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

    /// How long it takes until so many requests may be made again.
    fn seconds_for(&self, requests: u32) -> u32 {
        (u64::from(requests) * 60).div_ceil(u64::from(self.per_minute)) as u32
    }
}

impl Left {
    fn tell(&self, headers: &mut HeaderMap) {
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

    fn refuse(&self, app: &App) -> Response {
        app.metrics.limited(self.name);
        let seconds = self.wait_seconds.max(1);
        let detail = format!("too many requests: go on in {seconds} s, and more slowly");
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", detail).after(seconds);
        let mut response = problem.into_response();
        self.tell(response.headers_mut());
        response
    }
}

/// Lets a request through if its budget lasts, and says how it stands.
pub(super) async fn limit(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let limits = &app.limits;
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    if UNLIMITED.contains(&route) {
        return next.run(request).await;
    }
    let network = network(&app, &request);
    let is_attempt = limits.is_attempt(request.method(), route);
    let token = bearer(request.headers()).filter(|_| !is_attempt).map(|token| limits.hasher.hash_one(token));
    let as_stranger = || limits.strangers.as_ref().map(|limit| limit.spend(&network));
    let spent = match token {
        _ if is_attempt => limits.attempts.as_ref().map(|limit| limit.spend(&network)),
        Some(token) => {
            let is_known = limits.known.get(&token).is_some();
            if let Some(Err(left)) = (!is_known).then(as_stranger).flatten() {
                return left.refuse(&app);
            }
            limits.sessions.as_ref().map(|limit| limit.spend(&token))
        }
        None => as_stranger(),
    };
    let left = match spent.transpose() {
        Ok(left) => left,
        Err(left) => return left.refuse(&app),
    };
    let asker = Asker::of(&mut request);
    let mut response = next.run(request).await;
    match token {
        Some(token) if asker.is_known() => limits.known.insert(token, ()),
        // It lets nobody in any more.
        Some(token) if response.status() == StatusCode::UNAUTHORIZED => _ = limits.known.remove(&token),
        Some(_) | None => {}
    }
    if let Some(left) = left {
        left.tell(response.headers_mut());
    }
    response
}

/// Where a request comes from, as its budget is kept.
fn network(app: &App, request: &Request) -> IpAddr {
    let peer = peer(request.extensions());
    if is_forwarded(request.headers()) && !peer.is_some_and(|peer| app.settings.trusts(peer)) {
        app.limits.unknown_proxy.call_once(|| {
            tracing::warn!(
                "a request says that it was forwarded, by an address that is no trusted proxy: limits and the log see \
                 that address instead of the client's. If it is your proxy, name it in PORTTASK_TRUSTED_PROXIES"
            );
        });
    }
    let address = address(request.extensions(), request.headers(), &app.settings);
    attempts::network(address.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)))
}

/// The budgets of those who were seen last: however many come, memory does not grow.
struct Bounded<K: Hash + Eq + Clone>(Cache<K, Arc<InMemoryState>>);

impl<K: Hash + Eq + Clone> Bounded<K> {
    fn new() -> Self {
        Self(Cache::new(REMEMBERED))
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
        let refused = limit.spend(&1).err().unwrap();
        assert_eq!((refused.remaining, refused.wait_seconds, refused.window_seconds), (0, 1, 3));
        assert!(limit.spend(&2).is_ok(), "others have budgets of their own");
        assert!(Limit::<u64>::new("session", 0, 0).is_none());
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
