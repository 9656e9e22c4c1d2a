//! Who calls: from a token to a user with rights that hold now.
//!
//! | file | what it owns |
//! |---|---|
//! | `token.rs` | the form of a token |
//!
//! Authentication goes the same way as commands: session, user and organization come from memory, and one query confirms
//! their versions. So what was revoked, changed or suspended on any node holds on the next request; and as these versions
//! go into the caller's own commands, it also beats those that are under way.

mod token;

use std::{ops::Range, sync::Arc};

use jiff::Timestamp;
use porttask_domain::{
    Actor, Meta, OrganizationId, SessionId, UserId,
    identity::{
        Capability, Organization, Permissions, Role, Session, User,
        session::{self, Eras, Holder},
    },
};
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

pub use self::token::{InvalidToken, Token};
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

/// Somebody who is signed in, as they are at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Where their account is.
    pub organization: OrganizationId,
    /// Who they are.
    pub user: UserId,
    /// By which sign-in they are known.
    pub session: SessionId,
    /// What they are.
    pub role: Role,
    /// What they are permitted.
    pub permissions: Permissions,
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
        let actor = Actor::User { organization: self.organization, user: self.user };
        Meta { session: Some(self.session), ..Meta::by(actor) }
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
    ) -> Result<Token, AccessError> {
        for _ in 0..ATTEMPTS {
            let session: SessionId = new_id();
            let token = Token::generate(organization, session).map_err(ExecuteError::from)?;
            let mut seen = Seen { access: self, may_be_old: false, versions: Vec::new() };
            let state: User = seen.look(stream_of::<User>(organization, user)?).await?;
            if state.rights().is_none() {
                return Err(AccessError::Unknown);
            }
            let eras = Eras { user: state.era(), organization: seen.era_of(organization).await? };
            let mut request = Request::new(organization, Meta { session: Some(session), ..meta.clone() });
            request.expected = seen.versions;
            let hash = hash(token.secret()).to_vec();
            request.secrets.push(NewSecret { id: secret_id(organization, session), hash });
            let Range { start: started_at, end: expires_at } = lasts;
            let start = session::Command::Start { user, method, started_at, expires_at, eras };
            match self.executor.execute::<Session>(session, start, &request).await {
                Ok(_) => return Ok(token),
                Err(ExecuteError::Refused(refused)) => return Err(AccessError::Refused(refused)),
                // User or organization were changed at this very moment, perhaps locked out.
                Err(ExecuteError::Outdated(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ExecuteError::Contended.into())
    }

    /// Who has this token, as they are now.
    ///
    /// # Errors
    /// Why they are not let in.
    pub async fn authenticate(&self, token: &str, now: Timestamp) -> Result<Caller, AccessError> {
        let token: Token = token.parse().map_err(|InvalidToken| AccessError::Unknown)?;
        self.check_secret(&token).await?;
        let (organization, session) = (token.organization(), token.session());
        for attempt in 0..ATTEMPTS {
            let mut seen = Seen { access: self, may_be_old: attempt == 0, versions: Vec::new() };
            let found = seen.caller(organization, session, now).await?;
            let streams: Vec<StreamId> = seen.versions.iter().map(|it| it.stream.clone()).collect();
            let confirmed: Vec<Version> = self.database.versions(&streams).await?;
            if seen.versions.iter().zip(&confirmed).all(|(seen, actual)| seen.version == *actual) {
                return found.map(|caller| Caller { seen: seen.versions, ..caller });
            }
        }
        Err(ExecuteError::Contended.into())
    }

    async fn check_secret(&self, token: &Token) -> Result<(), AccessError> {
        let id = secret_id(token.organization(), token.session());
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
    /// The caller, or why they are none, as far as what was read still holds.
    async fn caller(
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
        if organization != OrganizationId::PLATFORM {
            let state: Organization = self.look(stream_of::<Organization>(organization, organization)?).await?;
            if let Err(refusal) = state.allow(Capability::Use) {
                return Ok(Err(AccessError::Refused(refusal.into())));
            }
            if state.era() != eras.organization {
                return Ok(Err(AccessError::Unknown));
            }
        }
        Ok(Ok(Caller { organization, user, session, role, permissions, seen: Vec::new() }))
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

fn secret_id(organization: OrganizationId, session: SessionId) -> SecretId {
    SecretId { organization, owner: session.0, kind: SecretKind::Session }
}

fn hash(secret: &[u8; 32]) -> [u8; 32] {
    Sha256::digest(secret).into()
}
