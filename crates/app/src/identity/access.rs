//! Authentication: from a token to a caller with current permissions.
//!
//! | file | what it owns |
//! |---|---|
//! | `token.rs` | the format of a token |
//! | `identify.rs` | from the state of a session or key to a caller |
//!
//! Authentication is a unit of work: session or key, user and organization are cached, and one query confirms their
//! versions. So a revocation, change or suspension on any node takes effect on the next request. A command identifies
//! its caller once more in its own unit of work, whose append expects these versions: so it also stops commands in
//! flight.

mod identify;
mod token;

use std::{net::IpAddr, ops::Range, sync::Arc};

use jiff::Timestamp;
use porttask_domain::{
    ApiKeyId, Meta, OrganizationId, SessionId, UserId,
    identity::{
        Organization, Session, User,
        session::{self, SessionEpoch},
    },
};
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

pub use self::token::{InvalidToken, Token};
pub use super::caller::{Caller, Credential};
use crate::identity::credential_activity::{CredentialActivity, SessionLimits};
use porttask_runtime::{
    execute::{ExecuteError, Executor, Outcome, Rejected, Request, Tx},
    ledger::Database,
    log::{LogError, NewSecret, Position, SecretId, SecretKind},
    new_id,
};

/// Maximum cached secret hashes. A hash never changes.
const KEPT_SECRETS: usize = 100_000;

/// Authenticates callers.
pub struct Access {
    database: Arc<dyn Database>,
    executor: Arc<Executor>,
    activity: Arc<CredentialActivity>,
    secrets: Cache<SecretId, [u8; 32]>,
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

/// A session that has just started.
#[derive(Debug)]
pub struct Started {
    /// The session.
    pub session: SessionId,
    /// Its token, which is not stored.
    pub token: Token,
    /// The position of its start.
    pub position: Option<Position>,
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
    ) -> Result<Started, AccessError> {
        let session: SessionId = new_id();
        let (token, secret) = Self::session_secret(organization, session)?;
        let request = Request::new(organization, Meta { session: Some(session), ..meta });
        let (secret, Range { start: started_at, end: expires_at }) = (&secret, lasts);
        let start = move |tx: Tx| async move {
            let session_epoch = self.session_epoch(&tx, user).await?;
            tx.secret(secret.clone());
            let start = session::Command::Start { user, method, started_at, expires_at, session_epoch };
            Ok::<_, AccessError>(tx.decide_new::<Session>(session, &start).await?)
        };
        match self.executor.transact(&request, start).await {
            Ok(Outcome { position, .. }) => Ok(Started { session, token, position }),
            Err(AccessError::Failed(ExecuteError::Rejected(rejected))) => Err(AccessError::Rejected(rejected)),
            Err(error) => Err(error),
        }
    }

    /// The epoch in which a session of a user of the request's organization starts.
    ///
    /// # Errors
    /// [`AccessError::Unknown`] if this user cannot sign in; if the log fails.
    pub async fn session_epoch(&self, tx: &Tx, user: UserId) -> Result<SessionEpoch, AccessError> {
        let organization = tx.request().organization;
        let state: User = tx.read(user).await?;
        if state.rights().is_none() {
            return Err(AccessError::Unknown);
        }
        let of_organization = match organization == OrganizationId::PLATFORM {
            true => 0,
            false => tx.read::<Organization>(organization).await?.session_epoch(),
        };
        Ok(SessionEpoch { user: state.session_epoch(), organization: of_organization })
    }

    /// Generates the secret of a session, to be stored together with its event. The token is returned once; only its
    /// hash is stored.
    ///
    /// # Errors
    /// If the random number generator fails.
    pub fn session_secret(organization: OrganizationId, session: SessionId) -> Result<(Token, NewSecret), AccessError> {
        let token = Token::generate(organization, Credential::Session(session)).map_err(ExecuteError::from)?;
        let secret = kept(&token);
        Ok((token, secret))
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
        let token = &token;
        let identify = move |tx: Tx| async move { self.identify(&tx, token, ip, now).await };
        self.executor.snapshot(token.organization(), identify).await
    }

    /// The caller with a token that was accepted before, on the state that a unit of work reads.
    ///
    /// # Errors
    /// Why they are not authenticated.
    pub async fn identify_again(&self, tx: &Tx, token: &str, ip: Option<IpAddr>) -> Result<Caller, AccessError> {
        let token: Token = token.parse().map_err(|InvalidToken| AccessError::Unknown)?;
        self.identify(tx, &token, ip, tx.now()).await
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
