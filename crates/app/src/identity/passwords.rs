//! Passwords: their hashes, and the one piece of work that an attempt costs.

mod common;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::{PasswordHasher, phc::PasswordHash},
};
use porttask_domain::{OrganizationId, UserId};
use porttask_runtime::{
    ledger::Database,
    log::{LogError, NewSecret, SecretId, SecretKind},
};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;

/// The longest password that is compared, in bytes: once they might have 200 characters.
const LONGEST: usize = 800;
/// How many attempts may wait for each one that is at work.
const WAITING_PER_PERMIT: usize = 32;

/// What a password is compared with if there is none: the same work for an unknown user. No password has this hash that
/// anybody could find.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A password that is good enough to be set.
#[derive(Clone)]
pub struct NewPassword(String);

/// Why a password is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// It is short.
    #[error("must have at least {} characters", NewPassword::MIN_CHARACTERS)]
    Short,
    /// It is absurdly long.
    #[error("must have at most {} characters", NewPassword::MAX_CHARACTERS)]
    Long,
    /// It is made of very few characters.
    #[error("must have at least {} different characters", NewPassword::MIN_DIFFERENT)]
    Simple,
    /// Many people have it.
    #[error("is one of the most common passwords: choose one that nobody else has")]
    Common,
    /// It is the address or the name of its user.
    #[error("must not be the user's own name or address")]
    OwnName,
}

impl NewPassword {
    /// The shortest password, in characters.
    pub const MIN_CHARACTERS: usize = 12;
    /// The longest password, in characters.
    pub const MAX_CHARACTERS: usize = 128;
    /// The fewest different characters.
    pub const MIN_DIFFERENT: usize = 5;

    /// A password for somebody with these names and addresses. Length counts, kinds of characters do not (NIST SP 800-63B).
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn new(text: &str, own: &[&str]) -> Result<Self, WeakPassword> {
        if text.len() > Self::MAX_CHARACTERS * 4 {
            return Err(WeakPassword::Long);
        }
        let text = composed(text);
        let count = text.chars().count();
        if count < Self::MIN_CHARACTERS {
            return Err(WeakPassword::Short);
        }
        if count > Self::MAX_CHARACTERS {
            return Err(WeakPassword::Long);
        }
        if text.chars().collect::<std::collections::BTreeSet<_>>().len() < Self::MIN_DIFFERENT {
            return Err(WeakPassword::Simple);
        }
        if common::is_common(&text) {
            return Err(WeakPassword::Common);
        }
        let lower = text.to_lowercase();
        if own.iter().any(|own| own.to_lowercase() == lower) {
            return Err(WeakPassword::OwnName);
        }
        Ok(Self(text))
    }
}

/// The same password, however the keyboard composes its letters.
fn composed(text: &str) -> String {
    text.nfc().collect()
}

/// Why no password was hashed or compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// More attempts wait than can be looked at.
    #[error("too many sign-ins at once: retry after a pause")]
    Overloaded,
    /// The operating system gives no random numbers or no thread.
    #[error("a password cannot be hashed: {0}")]
    Failed(String),
    /// The log's database failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Hashes and compares passwords: argon2id, as many at a time as there are processors.
pub struct Passwords {
    database: Arc<dyn Database>,
    permits: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    memory: Arc<Memory>,
    parallel: usize,
    rejected: AtomicU64,
    done: AtomicU64,
}

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// How many passwords are being hashed.
    pub at_work: u64,
    /// How many wait.
    pub waiting: u64,
    /// How many were refused since the beginning, because too many waited.
    pub rejected: u64,
    /// How many were hashed since the beginning.
    pub done: u64,
}

impl Passwords {
    /// Those of this ledger.
    pub fn new(database: Arc<dyn Database>) -> Self {
        let parallel = std::thread::available_parallelism().map_or(1, usize::from);
        let waiting = Arc::new(Semaphore::new(parallel * (1 + WAITING_PER_PERMIT)));
        let permits = Arc::new(Semaphore::new(parallel));
        let (rejected, done) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { database, permits, waiting, memory: Arc::default(), parallel, rejected, done }
    }

    /// What there is to do now.
    pub fn load(&self) -> Load {
        let at_work = self.parallel.saturating_sub(self.permits.available_permits());
        let all = self.parallel * (1 + WAITING_PER_PERMIT);
        let waiting = all.saturating_sub(self.waiting.available_permits()).saturating_sub(at_work);
        let (rejected, done) = (self.rejected.load(Ordering::Relaxed), self.done.load(Ordering::Relaxed));
        Load { at_work: at_work as u64, waiting: waiting as u64, rejected, done }
    }

    /// What enters the ledger when somebody sets their password.
    ///
    /// # Errors
    /// If too many wait, or it cannot be hashed.
    pub async fn secret(
        &self,
        organization: OrganizationId,
        user: UserId,
        password: NewPassword,
    ) -> Result<NewSecret, PasswordError> {
        let hash = self.at_work(move || hash(password.0.as_bytes())).await??;
        Ok(NewSecret { id: secret_id(organization, user), hash: hash.into_bytes() })
    }

    /// Whether it is the password of this user; for nobody the same work is done, and the answer is no.
    ///
    /// # Errors
    /// If too many wait, or the log's database fails.
    pub async fn is_right(
        &self,
        user: Option<(OrganizationId, UserId)>,
        password: &str,
    ) -> Result<bool, PasswordError> {
        let kept = match user {
            Some((organization, user)) => self.database.secret(&secret_id(organization, user)).await?,
            None => None,
        };
        let kept = kept.and_then(|hash| String::from_utf8(hash).ok());
        let is_known = kept.is_some();
        let against = kept.unwrap_or_else(|| NOBODY.to_owned());
        // What is absurdly long is no password of anybody's; it must not cost more than others.
        let is_sane = password.len() <= LONGEST;
        let password = if is_sane { composed(password) } else { String::new() };
        let memory = Arc::clone(&self.memory);
        let is_equal = self
            .at_work(move || {
                let mut blocks = memory.take();
                let is_equal = verify(&against, password.as_bytes(), &mut blocks);
                memory.keep(blocks);
                is_equal
            })
            .await?;
        self.memory.rest(self.parallel - self.permits.available_permits());
        Ok(is_equal && is_known && is_sane)
    }

    /// Does expensive work on a thread of its own, bounded.
    async fn at_work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PasswordError> {
        let _waiting = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| {
            self.rejected.fetch_add(1, Ordering::Relaxed);
            PasswordError::Overloaded
        })?;
        let failed = |error: String| PasswordError::Failed(error);
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|error| failed(error.to_string()))?;
        let done = tokio::task::spawn_blocking(move || {
            // Held until the work is done, also if nobody waits for it any more.
            let _permit = permit;
            work()
        });
        let done = done.await.map_err(|error| failed(error.to_string()))?;
        self.done.fetch_add(1, Ordering::Relaxed);
        Ok(done)
    }
}

fn secret_id(organization: OrganizationId, user: UserId) -> SecretId {
    SecretId { organization, owner: user.0, kind: SecretKind::Password }
}

/// With the parameters that OWASP recommends: 19 MiB, two passes, one lane, which are the crate's own.
fn hash(password: &[u8]) -> Result<String, PasswordError> {
    let hash: Result<PasswordHash, _> = Argon2::default().hash_password(password);
    hash.map(|hash| hash.to_string()).map_err(|error| PasswordError::Failed(error.to_string()))
}

/// Whether it is the password with this hash, with its parameters, in memory that grows to what they need.
fn verify(hash: &str, password: &[u8], memory: &mut Vec<Block>) -> bool {
    let again = || {
        let kept = PasswordHash::new(hash).ok()?;
        let algorithm = Algorithm::try_from(kept.algorithm.as_str()).ok()?;
        let version = Version::try_from(kept.version?).ok()?;
        let params = Params::try_from(&kept).ok()?;
        let (salt, expected) = (kept.salt?, kept.hash?);
        memory.resize(params.block_count(), Block::new());
        let mut hashed = vec![0; expected.len()];
        let argon2 = Argon2::new(algorithm, version, params);
        argon2.hash_password_into_with_memory(password, salt.as_ref(), &mut hashed, memory).ok()?;
        Some(bool::from(hashed.ct_eq(expected.as_ref())))
    };
    again().unwrap_or(false)
}

/// The 19 MiB that each comparison needs, kept from one to the next while there is a next: to get and to clear them costs
/// a twentieth of the work.
#[derive(Default)]
struct Memory(Mutex<Vec<Vec<Block>>>);

impl Memory {
    fn take(&self) -> Vec<Block> {
        self.lock().pop().unwrap_or_default()
    }

    fn keep(&self, blocks: Vec<Block>) {
        self.lock().push(blocks);
    }

    /// Gives back what nobody needs who is at work.
    fn rest(&self, at_work: usize) {
        let mut kept = self.lock();
        let needed = at_work.min(kept.len());
        kept.truncate(needed);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<Block>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_knows_its_password_and_no_other() {
        // What another password left there does not matter.
        let memory = &mut Vec::new();
        let hashed = hash("correct horse battery".as_bytes()).unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && hashed.len() <= 200, "{hashed}");
        assert!(verify(&hashed, "correct horse battery".as_bytes(), memory));
        assert!(!verify(&hashed, "correct horse batterx".as_bytes(), memory));
        assert!(!verify("no hash", b"x", memory));
    }

    #[test]
    fn nobody_costs_what_somebody_costs() {
        let (nobody, somebody) = (PasswordHash::new(NOBODY).unwrap(), hash(b"correct horse battery").unwrap());
        let somebody = PasswordHash::new(&somebody).unwrap();
        assert_eq!(
            (nobody.algorithm, nobody.version, &nobody.params),
            (somebody.algorithm, somebody.version, &somebody.params)
        );
        assert_eq!(nobody.salt.unwrap().len(), somebody.salt.unwrap().len());
        assert_eq!(nobody.hash.unwrap().len(), somebody.hash.unwrap().len());
        assert!(!verify(NOBODY, b"correct horse battery", &mut Vec::new()));
    }

    #[test]
    fn length_makes_a_password() {
        let new = |text: &str| NewPassword::new(text, &["ana.souza@acme.example", "Ana Souza Quillfeather"]).err();
        assert_eq!(new("correct horse"), None);
        assert_eq!(new("пароль на море"), None);
        assert_eq!(new("short"), Some(WeakPassword::Short));
        assert_eq!(new("aaaaaaaaaaaaaaaaab"), Some(WeakPassword::Simple));
        assert_eq!(new("Ana.Souza@acme.example"), Some(WeakPassword::OwnName));
        assert_eq!(new("ana souza quillfeather"), Some(WeakPassword::OwnName));
        assert_eq!(new(&"abcdefgh".repeat(16)), None);
        assert_eq!(new(&"abcdefgh".repeat(17)), Some(WeakPassword::Long));
        assert_eq!(new("Password1234"), Some(WeakPassword::Common));
        assert_eq!(new(&"a".repeat(1_000_000)), Some(WeakPassword::Long));
    }
}
