//! Who calls: from a token to a user with rights that hold now.
//!
//! | file | what it owns |
//! |---|---|
//! | `token.rs` | the form of a token |
//!
//! Authentication goes the same way as commands: session or key, user and organization come from memory, and one query confirms
//! their versions. So what was revoked, changed or suspended on any node holds on the next request; and as these versions
//! go into the caller's own commands, it also beats those that are under way.

mod token;

use std::{collections::BTreeSet, net::IpAddr, ops::Range, sync::Arc};

use ipnet::IpNet;
use jiff::Timestamp;
use porttask_domain::{
    Actor, ApiKeyId, Meta, OrganizationId, SessionId, UserId,
    identity::{
        ApiKey, Capability, Organization, Permissions, Role, Session, User,
        api_key::{Grant, KeyScope},
        session::{self, Eras, Holder},
    },
};
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

pub use self::token::{Credential, InvalidToken, Token};
use crate::{
    execute::{ExecuteError, Executor, Refused, Request, stream_of},
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
    /// The versions by which all this is known.
    seen: Vec<Expected>,
}

/// Why a caller is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The token opens nothing: it was never given out, has ended, or its user was locked out. Strangers learn no more.
    #[error("sign in: the token is not valid, or not any more")]
    Unknown,
    /// The caller is known, and their organization is locked out.
    #[error("{0}")]
    Refused(Refused),
    /// The key is good, and not from where it is used.
    #[error("this API key is not accepted from your address")]
    Elsewhere(Box<Caller>),
    /// The key is good, and nobody is there any more in whose name it works.
    #[error("the person in whose name this API key works is not active: an admin can adopt it")]
    NoMaker,
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
        let organization = self.organization;
        match self.credential {
            Credential::Session(session) => {
                Meta { session: Some(session), ..Meta::by(Actor::User { organization, user: self.user }) }
            }
            Credential::Key { key, .. } => Meta::by(Actor::ApiKey { organization, key }),
        }
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
    pub fn new(database: Arc<dyn Database>, executor: Arc<Executor>) -> Self {
        Self { database, executor, secrets: Cache::new(KEPT_SECRETS) }
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
        for _ in 0..ATTEMPTS {
            let session: SessionId = new_id();
            let token = Token::generate(organization, Credential::Session(session)).map_err(ExecuteError::from)?;
            let mut seen = Seen { access: self, may_be_old: false, versions: Vec::new() };
            let state: User = seen.look(stream_of::<User>(organization, user)?).await?;
            if state.rights().is_none() {
                return Err(AccessError::Unknown);
            }
            let eras = Eras { user: state.era(), organization: seen.era_of(organization).await? };
            let mut request = Request::new(organization, Meta { session: Some(session), ..meta.clone() });
            request.expected = seen.versions;
            request.secrets.push(kept(&token));
            let Range { start: started_at, end: expires_at } = lasts;
            let start = session::Command::Start { user, method, started_at, expires_at, eras };
            match self.executor.execute::<Session>(session, start, &request).await {
                Ok(_) => return Ok((session, token)),
                Err(ExecuteError::Refused(refused)) => return Err(AccessError::Refused(refused)),
                // User or organization were changed at this very moment, perhaps locked out.
                Err(ExecuteError::Outdated(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ExecuteError::Contended.into())
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
            let mut seen = Seen { access: self, may_be_old: attempt == 0, versions: Vec::new() };
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

/// What is read to know a caller, and at which versions.
struct Seen<'a> {
    access: &'a Access,
    may_be_old: bool,
    versions: Vec<Expected>,
}

impl Seen<'_> {
    /// The caller of a session, or why they are none, as far as what was read still holds.
    async fn session(
        &mut self,
        organization: OrganizationId,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Result<Caller, AccessError>, ExecuteError> {
        let state: Session = self.look(stream_of::<Session>(organization, session)?).await?;
        let Some(Holder { user, eras, .. }) = state.holder_at(now) else { return Ok(Err(AccessError::Unknown)) };
        let state: User = self.look(stream_of::<User>(organization, user)?).await?;
        let Some((role, permissions)) = state.rights() else { return Ok(Err(AccessError::Unknown)) };
        if !state.keeps(session, eras.user) {
            return Ok(Err(AccessError::Unknown));
        }
        match self.era_in_use(organization).await? {
            Err(refused) => return Ok(Err(refused)),
            Ok(era) if era != eras.organization => return Ok(Err(AccessError::Unknown)),
            Ok(_) => {}
        }
        let credential = Credential::Session(session);
        let (scopes, seen) = (None, Vec::new());
        Ok(Ok(Caller { organization, user, credential, role, permissions, scopes, seen }))
    }

    /// The caller of a key, or why there is none.
    async fn key(
        &mut self,
        organization: OrganizationId,
        (key, generation): (ApiKeyId, u32),
        (ip, now): (Option<IpAddr>, Timestamp),
    ) -> Result<Result<Caller, AccessError>, ExecuteError> {
        let state: ApiKey = self.look(stream_of::<ApiKey>(organization, key)?).await?;
        let Some(found) = state.accepted(generation, now) else { return Ok(Err(AccessError::Unknown)) };
        let (credential, user, seen) = (Credential::Key { key, generation }, found.maker, Vec::new());
        // First: whoever has stolen it learns elsewhere nothing else about it.
        let is_near = |network: &IpNet| ip.is_some_and(|ip| network.contains(&ip.to_canonical()));
        if !found.networks.is_empty() && !found.networks.iter().any(is_near) {
            let (role, permissions, scopes) = (Role::ReadOnly, Permissions::NONE, None);
            let nobody = Caller { organization, user, credential, role, permissions, scopes, seen };
            return Ok(Err(AccessError::Elsewhere(Box::new(nobody))));
        }
        if let Err(refused) = self.era_in_use(organization).await? {
            return Ok(Err(refused));
        }
        let maker: User = self.look(stream_of::<User>(organization, found.maker)?).await?;
        let Some((role, held)) = maker.rights() else { return Ok(Err(AccessError::NoMaker)) };
        let (permissions, scopes) = match &found.grant {
            Grant::Permissions(permissions) => (permissions.narrowed_to(held), None),
            // The person has all rights of the platform, or none.
            Grant::Scopes(scopes) => (Permissions::NONE, Some(scopes.clone())),
        };
        Ok(Ok(Caller { organization, user, credential, role, permissions, scopes, seen }))
    }

    /// The era of an organization that is in use, or why it is not. The platform always is.
    async fn era_in_use(&mut self, organization: OrganizationId) -> Result<Result<u64, AccessError>, ExecuteError> {
        if organization == OrganizationId::PLATFORM {
            return Ok(Ok(0));
        }
        let state: Organization = self.look(stream_of::<Organization>(organization, organization)?).await?;
        let allowed = state.allow(Capability::Use);
        Ok(allowed.map(|()| state.era()).map_err(|refusal| AccessError::Refused(refusal.into())))
    }

    /// How often all sessions of an organization have ended. Those of the platform never do.
    async fn era_of(&mut self, organization: OrganizationId) -> Result<u64, ExecuteError> {
        if organization == OrganizationId::PLATFORM {
            return Ok(0);
        }
        let state: Organization = self.look(stream_of::<Organization>(organization, organization)?).await?;
        Ok(state.era())
    }

    async fn look<A: porttask_domain::Aggregate>(&mut self, stream: StreamId) -> Result<A, ExecuteError> {
        let (state, version) = self.access.executor.look::<A>(&stream, self.may_be_old).await?;
        self.versions.push(Expected { stream, version });
        Ok(state)
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
