//! Authentication: from a token to a caller with current permissions.
//!
//! | file | what it owns |
//! |---|---|
//! | `token.rs` | the format of a token |
//! | `seen.rs` | the state read to identify a caller |
//!
//! Authentication works like command execution: session or key, user and organization are cached, and one query
//! confirms their versions. So a revocation, change or suspension on any node takes effect on the next request; and
//! because the caller's commands expect these versions, it also rejects commands in flight.

mod seen;
mod token;

use std::{net::IpAddr, ops::Range, sync::Arc};

use jiff::Timestamp;
use porttask_domain::{
    ApiKeyId, Meta, OrganizationId, SessionId, UserId,
    identity::{
        Session, User,
        session::{self, SessionEpoch},
    },
};
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use self::seen::Seen;
pub use self::token::{InvalidToken, Token};
pub use super::caller::{Caller, Credential};
use crate::identity::credential_activity::{CredentialActivity, SessionLimits};
use porttask_runtime::{
    execute::{Commands, ExecuteError, Executor, Rejected, Request, stream_of},
    ledger::Database,
    log::{Expected, LogError, NewSecret, SecretId, SecretKind, StreamId, Version},
    new_id,
};

/// Maximum cached secret hashes. A hash never changes.
const KEPT_SECRETS: usize = 100_000;
/// Maximum attempts after version conflicts.
const ATTEMPTS: u32 = 5;

/// Authenticates callers.
pub struct Access {
    database: Arc<dyn Database>,
    executor: Arc<Executor>,
    activity: Arc<CredentialActivity>,
    secrets: Cache<SecretId, [u8; 32]>,
}

/// What is needed to start a session.
#[derive(Debug, Clone)]
pub struct Beginning {
    /// The token of the session.
    pub token: Token,
    /// The hash of its secret, to be stored together with its event.
    pub secret: NewSecret,
    /// The epoch in which it starts.
    pub session_epoch: SessionEpoch,
    /// The stream versions that its append must expect.
    pub seen: Vec<Expected>,
}

/// Why a caller is not authenticated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The token is not valid: it was never issued, has ended, or its user was deactivated. Callers learn no more.
    #[error("the token is not valid or has expired: sign in again")]
    Unknown,
    /// The caller is known, but their organization is suspended or deactivated.
    #[error("{0}")]
    Rejected(Rejected),
    /// The key is valid, but not from this IP address.
    #[error("this API key is not accepted from your IP address")]
    Elsewhere(Box<Caller>),
    /// The key is valid, but its owner is no longer active.
    #[error("the owner of this API key is not active: an admin can adopt the key")]
    OwnerInactive,
    /// Authentication itself failed.
    #[error(transparent)]
    Failed(#[from] ExecuteError),
}

impl From<LogError> for AccessError {
    fn from(error: LogError) -> Self {
        Self::Failed(error.into())
    }
}

impl Access {
    /// Authenticates against this database.
    pub fn new(database: Arc<dyn Database>, executor: Arc<Executor>, activity: Arc<CredentialActivity>) -> Self {
        Self { database, executor, activity, secrets: Cache::new(KEPT_SECRETS) }
    }

    /// The limits on the duration of a session.
    pub fn limits(&self) -> SessionLimits {
        self.activity.limits()
    }

    /// Starts a session of a user who has authenticated. The token is returned once; only its hash is stored.
    ///
    /// # Errors
    /// If the user cannot sign in, or the log fails.
    pub async fn start(
        &self,
        organization: OrganizationId,
        user: UserId,
        method: session::Method,
        lasts: Range<Timestamp>,
        meta: Meta,
    ) -> Result<(SessionId, Token), AccessError> {
        for attempt in 0..ATTEMPTS {
            let session: SessionId = new_id();
            let beginning = match self.begin(session, organization, user, attempt == 0).await {
                // The cached state may be stale.
                Err(AccessError::Unknown) if attempt == 0 => continue,
                beginning => beginning?,
            };
            let Beginning { token, secret, session_epoch, seen } = beginning;
            let mut request = Request::new(organization, Meta { session: Some(session), ..meta.clone() });
            request.expected = seen;
            request.secrets.push(secret);
            let Range { start: started_at, end: expires_at } = lasts;
            let start = session::Command::Start { user, method, started_at, expires_at, session_epoch };
            let commands = Commands::new().on_new::<Session>(session, start);
            match self.executor.execute_all(&commands, &request).await {
                Ok(_) => return Ok((session, token)),
                Err(ExecuteError::Rejected(rejected)) => return Err(AccessError::Rejected(rejected)),
                // User or organization changed concurrently, and may be deactivated now.
                Err(ExecuteError::Outdated(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ExecuteError::Contended.into())
    }

    /// Prepares a session of a user. Its token is returned once; only its hash is stored.
    ///
    /// # Errors
    /// [`AccessError::Unknown`] if this user cannot sign in; if the log or the random number generator fails.
    pub async fn beginning(
        &self,
        session: SessionId,
        organization: OrganizationId,
        user: UserId,
    ) -> Result<Beginning, AccessError> {
        self.begin(session, organization, user, false).await
    }

    /// Prepares a session. If `may_be_old`, from cached state, whose versions the append then verifies.
    async fn begin(
        &self,
        session: SessionId,
        organization: OrganizationId,
        user: UserId,
        may_be_old: bool,
    ) -> Result<Beginning, AccessError> {
        let token = Token::generate(organization, Credential::Session(session)).map_err(ExecuteError::from)?;
        let mut seen = Seen::new(self, may_be_old);
        let state: User = seen.look(stream_of::<User>(organization, user)?).await?;
        if state.rights().is_none() {
            return Err(AccessError::Unknown);
        }
        let session_epoch =
            SessionEpoch { user: state.session_epoch(), organization: seen.session_epoch_of(organization).await? };
        Ok(Beginning { secret: kept(&token), token, session_epoch, seen: seen.versions })
    }

    /// Generates a secret of a key, to be stored together with its event. The token is returned once; only its hash is
    /// stored.
    ///
    /// # Errors
    /// If the random number generator fails.
    pub fn key_secret(
        organization: OrganizationId,
        key: ApiKeyId,
        generation: u32,
    ) -> Result<(Token, NewSecret), AccessError> {
        let credential = Credential::Key { key, generation };
        let token = Token::generate(organization, credential).map_err(ExecuteError::from)?;
        let secret = kept(&token);
        Ok((token, secret))
    }

    /// The caller with this token.
    ///
    /// # Errors
    /// Why they are not authenticated.
    pub async fn authenticate(&self, token: &str, now: Timestamp) -> Result<Caller, AccessError> {
        self.authenticate_from(token, None, now).await
    }

    /// The caller with this token, if it is accepted from this IP address.
    ///
    /// # Errors
    /// Why they are not authenticated.
    pub async fn authenticate_from(
        &self,
        token: &str,
        ip: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Caller, AccessError> {
        let token: Token = token.parse().map_err(|InvalidToken| AccessError::Unknown)?;
        self.check_secret(&token).await?;
        for attempt in 0..ATTEMPTS {
            let mut seen = Seen::new(self, attempt == 0);
            let found = match token.credential() {
                Credential::Session(session) => seen.session(token.organization(), session, now).await?,
                Credential::Key { key, generation } => {
                    seen.key(token.organization(), (key, generation), (ip, now)).await?
                }
            };
            let streams: Vec<StreamId> = seen.versions.iter().map(|it| it.stream.clone()).collect();
            let confirmed: Vec<Version> = self.database.versions(&streams).await?;
            if seen.versions.iter().zip(&confirmed).all(|(seen, actual)| seen.version == *actual) {
                return found.map(|caller| Caller { seen: seen.versions, ..caller });
            }
        }
        Err(ExecuteError::Contended.into())
    }

    async fn check_secret(&self, token: &Token) -> Result<(), AccessError> {
        let id = secret_id(token);
        let kept = match self.secrets.get(&id) {
            Some(kept) => kept,
            None => {
                let stored = self.database.secret(&id).await?;
                let kept = stored.and_then(|hash| hash.try_into().ok()).ok_or(AccessError::Unknown)?;
                self.secrets.insert(id, kept);
                kept
            }
        };
        if bool::from(hash(token.secret()).ct_eq(&kept)) { Ok(()) } else { Err(AccessError::Unknown) }
    }
}

/// The id under which the hash of a token's secret is stored. Each generation of a key has its own.
fn secret_id(token: &Token) -> SecretId {
    let (owner, kind) = match token.credential() {
        Credential::Session(session) => (session.0, SecretKind::Session),
        Credential::Key { key, generation } => {
            let of_generation = Sha256::new().chain_update(key.0.as_bytes()).chain_update(generation.to_be_bytes());
            let mut owner = [0; 16];
            owner.copy_from_slice(&of_generation.finalize()[..16]);
            (Uuid::from_bytes(owner), SecretKind::ApiKey)
        }
    };
    SecretId { organization: token.organization(), owner, kind }
}

/// The hash of a token's secret, for storage.
fn kept(token: &Token) -> NewSecret {
    NewSecret { id: secret_id(token), hash: hash(token.secret()).to_vec() }
}

fn hash(secret: &[u8; 32]) -> [u8; 32] {
    Sha256::digest(secret).into()
}
