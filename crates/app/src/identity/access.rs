//! Who calls: from a token to a user with rights that hold now.
//!
//! | file | what it owns |
//! |---|---|
//! | `token.rs` | the form of a token |
//! | `seen.rs` | what is read to know a caller |
//!
//! Authentication goes the same way as commands: session or key, user and organization come from memory, and one query confirms
//! their versions. So what was revoked, changed or suspended on any node holds on the next request; and as these versions
//! go into the caller's own commands, it also beats those that are under way.

mod seen;
mod token;

use std::{collections::BTreeSet, net::IpAddr, ops::Range, sync::Arc};

use jiff::Timestamp;
use porttask_domain::{
    Actor, ApiKeyId, Impersonator, Meta, OrganizationId, SessionId, UserId,
    identity::{
        Permissions, Role, Session, User,
        api_key::KeyScope,
        session::{self, SessionEpoch},
    },
};
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use self::seen::Seen;
pub use self::token::{Credential, InvalidToken, Token};
use crate::identity::credential_activity::{CredentialActivity, SessionLimits};
use porttask_runtime::{
    execute::{Commands, ExecuteError, Executor, Rejected, Request, stream_of},
    ledger::Database,
    log::{Expected, LogError, NewSecret, SecretId, SecretKind, StreamId, Version},
    new_id,
};

/// How many secrets' hashes are kept in memory. They never change while their session lasts.
const KEPT_SECRETS: usize = 100_000;
/// How often to look again because what was read has changed meanwhile.
const ATTEMPTS: u32 = 5;

/// Lets callers in.
pub struct Access {
    database: Arc<dyn Database>,
    executor: Arc<Executor>,
    activity: Arc<CredentialActivity>,
    secrets: Cache<SecretId, [u8; 32]>,
}

/// Somebody who is signed in, or a program by its key, as they are at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Where their account is.
    pub organization: OrganizationId,
    /// Who they are; of a key, in whose name it works.
    pub user: UserId,
    /// By what they are known.
    pub credential: Credential,
    /// What they are.
    pub role: Role,
    /// What they are permitted; a key never more than the person in whose name it works.
    pub permissions: Permissions,
    /// What a key of the platform may; `None` for all others.
    pub scopes: Option<BTreeSet<KeyScope>>,
    /// Staff of the platform who acts as this user.
    pub impersonator: Option<Impersonator>,
    /// The versions by which all this is known.
    seen: Vec<Expected>,
}

/// What a session needs to begin.
#[derive(Debug, Clone)]
pub struct Beginning {
    /// What proves it from then on.
    pub token: Token,
    /// What is kept of it, to be recorded with its event.
    pub secret: NewSecret,
    /// In which session_epoch it begins.
    pub session_epoch: SessionEpoch,
    /// What must still be so when it does.
    pub seen: Vec<Expected>,
}

/// Why a caller is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The token opens nothing: it was never given out, has ended, or its user was locked out. Strangers learn no more.
    #[error("sign in: the token is not valid, or not any more")]
    Unknown,
    /// The caller is known, and their organization is locked out.
    #[error("{0}")]
    Rejected(Rejected),
    /// The key is good, and not from where it is used.
    #[error("this API key is not accepted from your address")]
    Elsewhere(Box<Caller>),
    /// The key is good, and nobody is there any more in whose name it works.
    #[error("the person in whose name this API key works is not active: an admin can adopt it")]
    OwnerInactive,
    /// It could not be found out.
    #[error(transparent)]
    Failed(#[from] ExecuteError),
}

impl From<LogError> for AccessError {
    fn from(error: LogError) -> Self {
        Self::Failed(error.into())
    }
}

impl Caller {
    /// Something that the caller asks for. If they are not what they were any more when it is recorded, it is refused as
    /// outdated.
    pub fn request(&self, meta: Meta) -> Request {
        let mut request = Request::new(self.organization, meta);
        request.expected.clone_from(&self.seen);
        request
    }

    /// The caller as the actor of what they do.
    pub fn meta(&self) -> Meta {
        let (organization, user, impersonator) = (self.organization, self.user, self.impersonator);
        match self.credential {
            Credential::Session(session) => {
                Meta { impersonator, session: Some(session), ..Meta::by(Actor::User { organization, user }) }
            }
            Credential::Key { key, .. } => Meta::by(Actor::ApiKey { organization, key }),
        }
    }

    /// Who sits at the device from which the request comes.
    pub fn person(&self) -> UserId {
        self.impersonator.map_or(self.user, |staff| staff.user)
    }

    /// The session by which the caller is known, if it is one.
    pub fn session(&self) -> Option<SessionId> {
        match self.credential {
            Credential::Session(session) => Some(session),
            Credential::Key { .. } => None,
        }
    }

    /// Who does what the caller does, as an id: a user, or a key.
    pub fn doer(&self) -> String {
        match self.credential {
            Credential::Session(_) => self.user.to_string(),
            Credential::Key { key, .. } => key.to_string(),
        }
    }
}

impl Access {
    /// To this log.
    pub fn new(database: Arc<dyn Database>, executor: Arc<Executor>, activity: Arc<CredentialActivity>) -> Self {
        Self { database, executor, activity, secrets: Cache::new(KEPT_SECRETS) }
    }

    /// How long sessions last.
    pub fn limits(&self) -> SessionLimits {
        self.activity.limits()
    }

    /// Begins a session of a user who has proved who they are. The token is shown once; only its hash is kept.
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
                // What was kept may be old.
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
                // User or organization were changed at this very moment, perhaps locked out.
                Err(ExecuteError::Outdated(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ExecuteError::Contended.into())
    }

    /// What a session of a user needs to begin. Its token is shown once; only its hash is kept.
    ///
    /// # Errors
    /// [`AccessError::Unknown`] if nobody can sign in as this user; if the log fails, or there is no randomness.
    pub async fn beginning(
        &self,
        session: SessionId,
        organization: OrganizationId,
        user: UserId,
    ) -> Result<Beginning, AccessError> {
        self.begin(session, organization, user, false).await
    }

    /// What a session needs to begin, from memory if it may be older than the log, which is then asked with the event.
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

    /// A secret of a key, to be given out with the event that makes it. It is shown once; only its hash is kept.
    ///
    /// # Errors
    /// If there is no randomness.
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

    /// Who has this token, as they are now.
    ///
    /// # Errors
    /// Why they are not let in.
    pub async fn authenticate(&self, token: &str, now: Timestamp) -> Result<Caller, AccessError> {
        self.authenticate_from(token, None, now).await
    }

    /// Who has this token, as they are now, and may come from this address.
    ///
    /// # Errors
    /// Why they are not let in.
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

/// Where the hash of a token's secret is kept. Each secret of a key has its own place.
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

/// What is kept of a token.
fn kept(token: &Token) -> NewSecret {
    NewSecret { id: secret_id(token), hash: hash(token.secret()).to_vec() }
}

fn hash(secret: &[u8; 32]) -> [u8; 32] {
    Sha256::digest(secret).into()
}
