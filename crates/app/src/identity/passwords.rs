//! Password hashing and comparison, with bounded concurrency; every attempt costs the same work.

mod common;
mod guessable;

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

/// The maximum length of a password that is compared, in bytes: the limit used to be 200 characters.
const LONGEST: usize = 800;
/// Maximum waiting attempts per running one.
const WAITING_PER_PERMIT: usize = 32;

/// The hash to compare with for an unknown user, so that the work is the same. No feasible password has this hash.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A password that is strong enough to be set.
#[derive(Clone)]
pub struct NewPassword(String);

/// Why a new password is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// It is too short.
    #[error("must have at least {} characters", NewPassword::MIN_CHARACTERS)]
    Short,
    /// It is too long.
    #[error("must have at most {} characters", NewPassword::MAX_CHARACTERS)]
    Long,
    /// It has too few different characters.
    #[error("must have at least {} different characters", NewPassword::MIN_DIFFERENT)]
    Simple,
    /// It is a common password.
    #[error("is one of the most common passwords: choose a less common one")]
    Common,
    /// It is made of the name or email address of its user, or of the name of the organization or the service.
    #[error("must not be made of the name or email address of the user, the organization or PortTask")]
    OwnName,
    /// It is the current password.
    #[error("must differ from the current password")]
    Current,
}

impl NewPassword {
    /// The minimum length, in characters.
    pub const MIN_CHARACTERS: usize = 12;
    /// The maximum length, in characters.
    pub const MAX_CHARACTERS: usize = 128;
    /// The minimum number of different characters.
    pub const MIN_DIFFERENT: usize = 5;

    /// Validates a password for a user with these names and addresses. Requires length, not kinds of characters
    /// (NIST SP 800-63B).
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
        if guessable::is_made_of_own(&text, own) {
            return Err(WeakPassword::OwnName);
        }
        if guessable::is_made_of_common(&text) {
            return Err(WeakPassword::Common);
        }
        Ok(Self(text))
    }

    /// Whether it is this password.
    pub fn is(&self, other: &str) -> bool {
        self.0 == composed(other)
    }

    /// The password itself, to be compared with a stored hash.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Normalizes a password (NFC), because keyboards compose characters differently.
fn composed(text: &str) -> String {
    text.nfc().collect()
}

/// Why a password was not hashed or compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too many attempts are waiting.
    #[error("too many concurrent sign-ins: retry after a pause")]
    Overloaded,
    /// The operating system provides no random numbers or no thread.
    #[error("a password cannot be hashed: {0}")]
    Failed(String),
    /// The database failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Hashes and compares passwords with argon2id, one at a time per processor.
pub struct Passwords {
    database: Arc<dyn Database>,
    permits: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    memory: Arc<Memory>,
    parallel: usize,
    rejected: AtomicU64,
    done: AtomicU64,
}

/// The current load and the totals since start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Passwords being hashed.
    pub at_work: u64,
    /// Attempts waiting.
    pub waiting: u64,
    /// Attempts rejected since start because too many were waiting.
    pub rejected: u64,
    /// Passwords hashed since start.
    pub done: u64,
}

impl Passwords {
    /// Hashes and compares passwords of this database.
    pub fn new(database: Arc<dyn Database>) -> Self {
        let parallel = std::thread::available_parallelism().map_or(1, usize::from);
        let waiting = Arc::new(Semaphore::new(parallel * (1 + WAITING_PER_PERMIT)));
        let permits = Arc::new(Semaphore::new(parallel));
        let (rejected, done) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { database, permits, waiting, memory: Arc::default(), parallel, rejected, done }
    }

    /// The current load.
    pub fn load(&self) -> Load {
        let at_work = self.parallel.saturating_sub(self.permits.available_permits());
        let all = self.parallel * (1 + WAITING_PER_PERMIT);
        let waiting = all.saturating_sub(self.waiting.available_permits()).saturating_sub(at_work);
        let (rejected, done) = (self.rejected.load(Ordering::Relaxed), self.done.load(Ordering::Relaxed));
        Load { at_work: at_work as u64, waiting: waiting as u64, rejected, done }
    }

    /// Hashes a new password, for storage in the ledger.
    ///
    /// # Errors
    /// If too many attempts are waiting, or it cannot be hashed.
    pub async fn secret(
        &self,
        organization: OrganizationId,
        user: UserId,
        password: NewPassword,
    ) -> Result<NewSecret, PasswordError> {
        let hash = self.at_work(move || hash(password.0.as_bytes())).await??;
        Ok(NewSecret { id: secret_id(organization, user), hash: hash.into_bytes() })
    }

    /// The hash of a password as that of another account too. Only for demonstrations: hashing each takes long.
    pub fn shared(secret: &NewSecret, organization: OrganizationId, user: UserId) -> NewSecret {
        NewSecret { id: secret_id(organization, user), hash: secret.hash.clone() }
    }

    /// Whether it is the password of this user. For `None`, does the same work and returns `false`.
    ///
    /// # Errors
    /// If too many attempts are waiting, or the database fails.
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
        // An absurdly long password is always wrong, and must not cost more than others.
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

    /// Runs expensive work on a blocking thread, with bounded concurrency.
    async fn at_work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PasswordError> {
        let _waiting = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| {
            self.rejected.fetch_add(1, Ordering::Relaxed);
            PasswordError::Overloaded
        })?;
        let failed = |error: String| PasswordError::Failed(error);
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|error| failed(error.to_string()))?;
        let done = tokio::task::spawn_blocking(move || {
            // Held until the work is done, even if the caller has gone.
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

/// With the parameters that OWASP recommends (19 MiB, two passes, one lane), which are the crate's defaults.
fn hash(password: &[u8]) -> Result<String, PasswordError> {
    let hash: Result<PasswordHash, _> = Argon2::default().hash_password(password);
    hash.map(|hash| hash.to_string()).map_err(|error| PasswordError::Failed(error.to_string()))
}

/// Whether the password has this hash, using the hash's parameters; `memory` grows to what they need.
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

/// A pool of the 19 MiB buffers that comparisons need: allocating and clearing one costs a twentieth of the work.
#[derive(Default)]
struct Memory(Mutex<Vec<Vec<Block>>>);

impl Memory {
    fn take(&self) -> Vec<Block> {
        self.lock().pop().unwrap_or_default()
    }

    fn keep(&self, blocks: Vec<Block>) {
        self.lock().push(blocks);
    }

    /// Frees buffers beyond the number of running comparisons.
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
    fn a_hash_matches_only_its_password() {
        // The contents of a reused buffer do not matter.
        let memory = &mut Vec::new();
        let hashed = hash("correct horse battery".as_bytes()).unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && hashed.len() <= 200, "{hashed}");
        assert!(verify(&hashed, "correct horse battery".as_bytes(), memory));
        assert!(!verify(&hashed, "correct horse batterx".as_bytes(), memory));
        assert!(!verify("not a hash", b"x", memory));
    }

    #[test]
    fn unknown_users_cost_the_same_as_known_ones() {
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
    fn passwords_are_validated() {
        let new = |text: &str| NewPassword::new(text, &["ana.souza@acme.example", "Ana Souza Quillfeather"]).err();
        assert_eq!(new("correct horse"), None);
        assert_eq!(new("пароль на море"), None);
        assert_eq!(new("short"), Some(WeakPassword::Short));
        assert_eq!(new("aaaaaaaaaaaaaaaaab"), Some(WeakPassword::Simple));
        assert_eq!(new("Ana.Souza@acme.example"), Some(WeakPassword::OwnName));
        assert_eq!(new("ana souza quillfeather"), Some(WeakPassword::OwnName));
        for own in ["ana.souza@acme.example1", "AnaSouza2026!", "Quillfeather12", "porttask1234", "PortTask PortTask"] {
            assert_eq!(new(own), Some(WeakPassword::OwnName), "{own}");
        }
        let of_digits =
            |text: &str| NewPassword::new(text, &["weak@acme6b09c1d6.example", "acme6b09c1d6.example"]).err();
        for own in ["acme6b09c1d6.example1", "weak@acme6b09c1d6.example1", "Acme6b09c1d6-2026"] {
            assert_eq!(of_digits(own), Some(WeakPassword::OwnName), "{own}: the digits are those of the domain");
        }
        for common in ["letmein12345", "Welcome12345", "changeme1234", "admin-password-1"] {
            assert_eq!(new(common), Some(WeakPassword::Common), "{common}");
        }
        for good in ["ana likes sailing 7", "acme839201748392", "a password for ana quill", "brand new password 1"] {
            assert_eq!(new(good), None, "{good}");
        }
        assert!(NewPassword::new("correct horse", &[]).unwrap().is("correct horse"));
        assert_eq!(new(&"abcdefgh".repeat(16)), None);
        assert_eq!(new(&"abcdefgh".repeat(17)), Some(WeakPassword::Long));
        assert_eq!(new("Password1234"), Some(WeakPassword::Common));
        assert_eq!(new(&"a".repeat(1_000_000)), Some(WeakPassword::Long));
    }
}
