//! Rate limits on sign-in attempts: exponential back-off after failures, and a daily ceiling per account. Above the
//! ceiling only known devices may sign in, so that an attacker cannot lock a user out by failing on purpose.
//!
//! Existing and unknown accounts are treated alike: the key is the address as entered, with the organization found, not
//! its spelling.
//!
//! All nodes count together, through the ledger: each reads the counters of an attempt before it admits it, and adds its
//! own failures to those in the ledger once a second. A counter with a single failure is not written, so that random
//! addresses fill no table.
//!
//! Wrong coupon codes are counted the same way, per organization.

mod codes;
mod shared;
#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use hmac::{Hmac, Mac};
use jiff::{SignedDuration, Timestamp};
use porttask_domain::identity::EmailAddress;
use porttask_runtime::{attempts::AttemptCount, id_made_by, ledger::Database};
use quick_cache::sync::Cache;
use sha2::Sha256;
use tokio::sync::RwLock;
use uuid::Uuid;

pub use self::codes::{CodeAttempt, WRONG_CODES};

/// Maximum counters in memory; the least recently used ones are evicted.
const REMEMBERED: usize = 300_000;
/// The maximum pause after a failure.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(15);
/// The window in which failures with one address are counted.
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// The window for a network, which many people may share.
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// The window for a session: as long as one can last.
const SESSION: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Wrong passwords in one session after which it ends.
pub const WRONG_IN_SESSION: u32 = 10;

/// Numbers of failures without a penalty. Zero means no limit.
#[derive(Debug, Clone, Copy)]
pub struct AttemptLimits {
    /// With one address, from one network.
    pub free: u32,
    /// From one network, with any address, per hour.
    pub free_of_network: u32,
    /// With one address, from anywhere, per day; above that, only known devices may try.
    pub ceiling: u32,
}

/// Counts failed attempts.
pub struct Attempts {
    limits: AttemptLimits,
    /// The key that derives the ids of counters.
    ids: Hmac<Sha256>,
    tries: Cache<Uuid, Tries>,
    /// The counters that differ from the ledger; held while counting.
    changed: Mutex<HashSet<Uuid>>,
    /// Held to read the ledger, and exclusively to add to it: what is read while it is written could lack what this node
    /// no longer counts as its own.
    ledger: RwLock<()>,
    /// `None` in tests of one node.
    database: Option<Arc<dyn Database>>,
}

/// The counter keys of an attempt.
#[derive(Debug, Clone, Copy)]
pub struct Trying {
    account: Uuid,
    network: Uuid,
    both: Uuid,
}

/// Whether an attempt is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// It is allowed.
    Yes,
    /// Only known devices are allowed.
    OnlyKnownDevices,
    /// Not before this pause.
    After(SignedDuration),
}

/// The counter of an address, a network, or both together.
#[derive(Debug, Clone, Copy)]
struct Tries {
    failures: u32,
    /// When the window started.
    since: Timestamp,
    last: Timestamp,
    /// The number of unlocks of the account when counting started.
    unlocks: u64,
    /// How long the window lasts.
    window: SignedDuration,
    /// How many of the failures are not in the ledger yet; negative if it has too many.
    added: i64,
    /// Whether the ledger has a counter that must be deleted.
    is_reset: bool,
    /// Whether the ledger has the counter.
    is_stored: bool,
    /// Differs whenever counting started anew.
    generation: u64,
}

static NEXT_GENERATION: AtomicU64 = AtomicU64::new(0);

impl Tries {
    fn none(unlocks: u64, window: SignedDuration, now: Timestamp) -> Self {
        let generation = NEXT_GENERATION.fetch_add(1, Ordering::Relaxed);
        let (failures, added, is_reset, is_stored) = (0, 0, false, false);
        Self { failures, since: now, last: now, unlocks, window, added, is_reset, is_stored, generation }
    }

    fn one_more(self, now: Timestamp) -> Self {
        Self { failures: self.failures.saturating_add(1), added: self.added.saturating_add(1), last: now, ..self }
    }

    fn one_less(self) -> Self {
        if self.failures == 0 {
            return self;
        }
        Self { failures: self.failures - 1, added: self.added.saturating_sub(1), ..self }
    }
}

impl Attempts {
    /// Counts together with the other nodes on a database.
    pub fn new(limits: AttemptLimits, ids: Hmac<Sha256>, database: Option<Arc<dyn Database>>) -> Self {
        Self {
            limits,
            ids,
            tries: Cache::new(REMEMBERED),
            changed: Mutex::default(),
            ledger: RwLock::default(),
            database,
        }
    }

    fn counting(&self) -> MutexGuard<'_, HashSet<Uuid>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn id(&self, of: &str, parts: &[&[u8]]) -> Uuid {
        let mut ids = self.ids.clone().chain_update(of);
        for part in parts {
            ids.update(&(part.len() as u64).to_be_bytes());
            ids.update(part);
        }
        id_made_by(ids)
    }

    fn session(&self, session: Uuid) -> Uuid {
        self.id("session", &[session.as_bytes()])
    }

    /// The counter keys for an email address, optionally an organization by its normalized name, and an IP address. Accounts in several
    /// organizations are counted separately, so that unlocking one does not allow guessing another.
    pub fn by(&self, email: &str, organization: Option<&str>, ip: Option<IpAddr>) -> Trying {
        let typed = EmailAddress::new(email).map_or_else(|_| email.trim().to_lowercase(), |it| it.comparable());
        let network = ip.map(|ip| network(ip).to_string()).unwrap_or_default();
        let organization = organization.map(|name| format!("in {name}")).unwrap_or_default();
        Trying {
            account: self.id("account", &[typed.as_bytes(), organization.as_bytes()]),
            network: self.id("network", &[network.as_bytes()]),
            both: self.id("both", &[network.as_bytes(), typed.as_bytes(), organization.as_bytes()]),
        }
    }

    /// Whether an attempt is allowed. If so, it counts as failed until it has [succeeded](Self::succeeded), so that
    /// concurrent attempts do not bypass the limits. Attempts that are not allowed do not count. Known devices are not
    /// delayed by other failures from their network.
    pub async fn begin(&self, by: Trying, is_known_device: bool, unlocks: u64, now: Timestamp) -> Look {
        self.load(&[by.account, by.network, by.both], now).await;
        self.count(by, (!is_known_device, !is_known_device), unlocks, now)
    }

    /// The same for a password that is entered in a session: the ceiling holds, because the session may be stolen, but
    /// other failures from the network do not delay it.
    pub async fn begin_in_session(&self, by: Trying, unlocks: u64, now: Timestamp) -> Look {
        self.load(&[by.account, by.network, by.both], now).await;
        self.count(by, (false, true), unlocks, now)
    }

    /// Until when only known devices are allowed; `None` if they are not the only ones.
    pub fn locked_until(&self, by: Trying) -> Option<Timestamp> {
        let ceiling = self.limits.ceiling;
        let tries = self.tries.get(&by.account).filter(|it| ceiling > 0 && it.failures >= ceiling);
        tries.map(|it| it.since + DAY)
    }

    /// Counts a wrong password in a session; returns whether the session must end.
    pub async fn wrong_in_session(&self, session: Uuid, now: Timestamp) -> bool {
        let key = self.session(session);
        self.load(&[key], now).await;
        let mut changed = self.counting();
        let tries = self.tries.get(&key).unwrap_or_else(|| Tries::none(0, SESSION, now)).one_more(now);
        self.tries.insert(key, tries);
        changed.insert(key);
        tries.failures >= WRONG_IN_SESSION
    }

    /// The right password was entered in a session.
    pub fn right_in_session(&self, session: Uuid) {
        self.reset(self.session(session));
    }

    fn count(&self, by: Trying, (is_network_counted, has_ceiling): (bool, bool), unlocks: u64, now: Timestamp) -> Look {
        let mut changed = self.counting();
        let known = |key: Uuid, unlocks: u64, window: SignedDuration| {
            let tries = self.tries.get(&key);
            let tries = tries.filter(|it| now.duration_since(it.since) < window && it.unlocks >= unlocks);
            tries.unwrap_or_else(|| Tries::none(unlocks, window, now))
        };
        let [both, account] = [by.both, by.account].map(|key| known(key, unlocks, DAY));
        let network = known(by.network, 0, HOUR);
        let AttemptLimits { free, free_of_network, ceiling } = self.limits;
        // Concurrent attempts may be processed out of order, so `passed` could be negative.
        let left = |tries: Tries, free: u32| {
            let passed = now.duration_since(tries.last).max(SignedDuration::ZERO);
            (pause(tries.failures, free) - passed).max(SignedDuration::ZERO)
        };
        let of_network = if is_network_counted { left(network, free_of_network) } else { SignedDuration::ZERO };
        let wait = left(both, free).max(of_network);
        if wait.is_positive() {
            return Look::After(wait);
        }
        if ceiling > 0 && account.failures >= ceiling && has_ceiling {
            return Look::OnlyKnownDevices;
        }
        for (key, tries) in [(by.both, both), (by.account, account), (by.network, network)] {
            self.tries.insert(key, tries.one_more(now));
            changed.insert(key);
        }
        Look::Yes
    }

    /// The attempt succeeded.
    pub fn succeeded(&self, by: Trying) {
        self.withdraw(by);
        self.reset(by.both);
    }

    fn reset(&self, key: Uuid) {
        let mut changed = self.counting();
        let Some(tries) = self.tries.get(&key) else { return };
        // It may just be written.
        if tries.is_stored || tries.is_reset || tries.failures > 0 {
            let none = Tries::none(tries.unlocks, tries.window, tries.last);
            self.tries.insert(key, Tries { is_reset: true, ..none });
            changed.insert(key);
        } else {
            self.tries.remove(&key);
        }
    }

    /// The attempt could not be checked, so it does not count.
    pub fn withdraw(&self, by: Trying) {
        let mut changed = self.counting();
        for key in [by.both, by.account, by.network] {
            if let Some(tries) = self.tries.get(&key) {
                self.tries.insert(key, tries.one_less());
                changed.insert(key);
            }
        }
    }
}

/// The pause after this many failures: 1 s, 2 s, 4 s, …
fn pause(failures: u32, free: u32) -> SignedDuration {
    if free == 0 || failures < free {
        return SignedDuration::ZERO;
    }
    let seconds = 1_i64 << (failures - free).min(20);
    SignedDuration::from_secs(seconds).min(LONGEST_PAUSE)
}

/// The IPv4 address, or the /64 prefix of an IPv6 address: subscribers get at least a /64.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}
