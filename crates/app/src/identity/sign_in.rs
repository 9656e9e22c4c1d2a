//! Sign-in: from an email address and a password to a session.
//!
//! Every attempt costs the same and, if it fails, gets the same response, whether the account exists or not.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use jiff::Timestamp;
use porttask_domain::{
    Actor, Meta, OrganizationId, PersonId, Personal, SessionId, UserId,
    identity::{
        EmailAddress, Organization, Session, User,
        session::{self, Method},
    },
};
use porttask_runtime::supervise::once;
use porttask_runtime::{
    execute::{ExecuteError, Executor, Rejected, Request},
    log::{LogError, Position},
    vault::{Vault, VaultError},
};
use uuid::Uuid;

use crate::{
    compliance::denial_log::{DenialLog, Denied, What},
    identity::{
        access::{Access, AccessError, Started, Token},
        account_reminders::AccountReminders,
        accounts::{Accounts, AccountsError, Named},
        attempts::{Attempts, Look, network},
        devices::Devices,
        locks::record_lock,
        passwords::{PasswordError, Passwords},
    },
};

/// Retry-After in seconds for unknown devices when an account is above its ceiling.
pub const ABOVE_CEILING: u32 = 3_600;
/// Maximum sessions of a user at the same time; a further one ends the oldest.
pub const MOST_SESSIONS: usize = 50;

/// A sign-in attempt.
#[derive(Clone)]
pub struct Attempt {
    /// The email address.
    pub email: String,
    /// The password.
    pub password: String,
    /// The id or domain of the organization. Required for users with several accounts under one address.
    pub organization: Option<String>,
    /// The device token of an earlier sign-in: not a credential, only a hint that the device is known.
    pub device_token: Option<String>,
    /// The IP address of the client.
    pub ip: Option<IpAddr>,
    /// The user agent, as sent by the client.
    pub user_agent: Option<String>,
    /// The id of the request.
    pub request_id: Option<String>,
}

/// A successful sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The token of the session.
    pub token: Token,
    /// The session.
    pub session: SessionId,
    /// The user.
    pub user: UserId,
    /// The position of its start.
    pub position: Option<Position>,
    /// When it expires.
    pub expires_at: Timestamp,
    /// The token that identifies the device in later attempts.
    pub device_token: String,
}

/// Why a sign-in failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// Address, password and organization do not match. Which of them is wrong is not disclosed.
    #[error("wrong email address or password; if you have accounts in several organizations, specify the organization")]
    Wrong,
    /// The password is right, but the organization is suspended or deactivated.
    #[error("{0}")]
    Rejected(Rejected),
    /// There were too many attempts; retry after this many seconds.
    #[error("too many sign-in attempts: retry after {0} s, or reset your password by mail")]
    TooOften(u32),
    /// Too many attempts are waiting.
    #[error("too many concurrent sign-ins: retry after a pause")]
    Overloaded,
    /// Sign-in itself failed.
    #[error("{0}")]
    Failed(ExecuteError),
    /// A password could not be compared, or a read model could not be read.
    #[error("{0}")]
    Unavailable(String),
}

impl From<LogError> for SignInError {
    fn from(error: LogError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<AccountsError> for SignInError {
    fn from(error: AccountsError) -> Self {
        match error {
            AccountsError::Log(error) => error.into(),
            AccountsError::View(error) => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<PasswordError> for SignInError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Overloaded => Self::Overloaded,
            PasswordError::Log(error) => error.into(),
            PasswordError::Failed(error) => Self::Unavailable(error),
        }
    }
}

/// Counters of sign-in outcomes since start.
#[derive(Debug, Default)]
pub struct Outcomes {
    /// The sign-in succeeded.
    pub succeeded: AtomicU64,
    /// It was rejected, whether the account exists or not.
    pub rejected: AtomicU64,
    /// It was rejected because the account does not exist, or is ambiguous.
    pub unknown: AtomicU64,
    /// It was not checked, because there were too many attempts.
    pub too_often: AtomicU64,
}

/// Signs users in.
pub struct SignIn {
    accounts: Accounts,
    access: Arc<Access>,
    passwords: Arc<Passwords>,
    denial_log: Arc<DenialLog>,
    executor: Arc<Executor>,
    attempts: Arc<Attempts>,
    account_reminders: AccountReminders,
    outcomes: Arc<Outcomes>,
    devices: Devices,
}

impl SignIn {
    /// Opens the service of this node.
    ///
    /// # Errors
    /// If a key is unavailable.
    pub async fn open(
        accounts: Accounts,
        (executor, vault): (Arc<Executor>, &Vault),
        (access, passwords): (Arc<Access>, Arc<Passwords>),
        denial_log: Arc<DenialLog>,
        attempts: Arc<Attempts>,
    ) -> Result<Self, VaultError> {
        let devices = Devices::open(vault).await?;
        let account_reminders = AccountReminders::open(Arc::clone(&executor), vault).await?;
        let outcomes = Arc::default();
        Ok(Self { accounts, access, passwords, denial_log, executor, attempts, account_reminders, outcomes, devices })
    }

    /// The counters of outcomes.
    pub fn outcomes(&self) -> Arc<Outcomes> {
        Arc::clone(&self.outcomes)
    }

    /// Signs a user in.
    ///
    /// # Errors
    /// Why the sign-in failed.
    pub async fn sign_in(&self, attempt: Attempt, now: Timestamp) -> Result<SignedIn, SignInError> {
        let signed_in = self.look_at(attempt, now).await;
        let outcome = match &signed_in {
            Ok(_) => &self.outcomes.succeeded,
            Err(SignInError::TooOften(_)) => &self.outcomes.too_often,
            Err(SignInError::Wrong | SignInError::Rejected(_)) => &self.outcomes.rejected,
            Err(SignInError::Overloaded | SignInError::Failed(_) | SignInError::Unavailable(_)) => return signed_in,
        };
        outcome.fetch_add(1, Ordering::Relaxed);
        signed_in
    }

    async fn look_at(&self, attempt: Attempt, now: Timestamp) -> Result<SignedIn, SignInError> {
        let organization = match &attempt.organization {
            Some(name) => Some(self.accounts.organization(name).await?),
            None => None,
        };
        let meant = self.accounts.of(&attempt.email, organization.as_ref(), 2).await?;
        // The account, if it is unambiguous.
        let account = if let [account] = meant[..] { Some(account) } else { None };
        // Without an account, the same lookups are made for a nonexistent one.
        let (home, id) = account.unwrap_or((OrganizationId::PLATFORM, UserId(Uuid::max())));
        let (state, _) = self.executor.load::<User>(home, id).await.map_err(SignInError::Failed)?;
        let trying = self.attempts.by(&attempt.email, organization.as_ref().map(Named::name).as_deref(), attempt.ip);
        let shown = attempt.device_token.as_deref();
        let is_known_device = self.devices.is_known(shown, (home, id), state.session_epoch(), now);
        match self.attempts.begin(trying, is_known_device, state.unlocks(), now).await {
            Look::Yes => {}
            Look::OnlyKnownDevices => {
                if let Some(account) = account {
                    let until = self.attempts.locked_until(trying);
                    record_lock(&self.executor, account, &state, until, attempt.request_id);
                }
                return Err(SignInError::TooOften(ABOVE_CEILING));
            }
            Look::After(pause) => return Err(SignInError::TooOften(pause.as_secs() as u32 + 1)),
        }
        let looked_at = self.passwords.is_right(account, &attempt.password).await;
        let is_right = looked_at.inspect_err(|_| self.attempts.withdraw(trying))?;
        let Some((organization, user)) = account else {
            self.outcomes.unknown.fetch_add(1, Ordering::Relaxed);
            if meant.len() > 1 {
                self.request_reminder(&attempt, now);
            }
            return Err(SignInError::Wrong);
        };
        let from = |actor| from(&attempt, actor, user);
        if !is_right {
            // In the background, so that response times reveal nothing.
            let (what, meta) = (What::SignIn { network: attempt.ip.map(network) }, from(Actor::Anonymous));
            self.denial_log.record(Denied { organization, user, what, ids: Vec::new(), meta }, now);
            return Err(SignInError::Wrong);
        }
        self.attempts.succeeded(trying);
        let meta = from(Actor::User { organization, user });
        self.start((organization, user), &state, meta, now).await
    }

    /// Signs a user in who has just set their password with a link: access to their mailbox and the new password are
    /// what a sign-in requires.
    ///
    /// # Errors
    /// If the user cannot sign in, or it fails.
    pub async fn after_link(
        &self,
        (organization, user): (OrganizationId, UserId),
        meta: Meta,
        now: Timestamp,
    ) -> Result<SignedIn, SignInError> {
        let (state, _) = self.executor.load::<User>(organization, user).await.map_err(SignInError::Failed)?;
        let signed_in = self.start((organization, user), &state, meta, now).await?;
        self.outcomes.succeeded.fetch_add(1, Ordering::Relaxed);
        Ok(signed_in)
    }

    /// Starts the session of a user who has authenticated.
    async fn start(
        &self,
        (organization, user): (OrganizationId, UserId),
        state: &User,
        meta: Meta,
        now: Timestamp,
    ) -> Result<SignedIn, SignInError> {
        self.end_oldest_sessions((organization, user), state, now).await?;
        let device_token = self.devices.token((organization, user), state.session_epoch(), now);
        let expires_at = now + self.access.limits().longest;
        match self.access.start(organization, user, Method::Password, now..expires_at, meta).await {
            Ok(Started { session, token, position }) => {
                Ok(SignedIn { token, session, user, position, expires_at, device_token })
            }
            Err(AccessError::Unknown | AccessError::OwnerInactive | AccessError::Elsewhere(_)) => {
                Err(SignInError::Wrong)
            }
            Err(AccessError::Rejected(rejected)) => Err(SignInError::Rejected(rejected)),
            Err(AccessError::Failed(error)) => Err(SignInError::Failed(error)),
        }
    }

    /// Ends the oldest sessions of a user, so that there are at most [`MOST_SESSIONS`] with the one that starts.
    async fn end_oldest_sessions(
        &self,
        (organization, user): (OrganizationId, UserId),
        state: &User,
        now: Timestamp,
    ) -> Result<(), SignInError> {
        let of_organization = match organization == OrganizationId::PLATFORM {
            true => 0,
            false => {
                let loaded = self.executor.load::<Organization>(organization, organization).await;
                loaded.map_err(SignInError::Failed)?.0.session_epoch()
            }
        };
        let found = self.accounts.open_sessions((organization, user), state, of_organization, now).await;
        // A sign-in does not depend on a read model: the next one ends what is left.
        let open = found.unwrap_or_else(|error| {
            tracing::warn!(%error, "the sessions of a user could not be counted");
            Vec::new()
        });
        let request = Request::new(organization, Meta::by(Actor::System));
        for session in open.into_iter().skip(MOST_SESSIONS - 1).map(|row| row.session) {
            match self.executor.execute::<Session>(session, session::Command::EndAsOldest, &request).await {
                // A suspended organization: the sign-in itself is rejected.
                Ok(_) | Err(ExecuteError::Rejected(_)) => {}
                Err(error) => return Err(SignInError::Failed(error)),
            }
        }
        Ok(())
    }

    /// Requests a mail that lists the accounts; in the background, so that response times reveal nothing.
    fn request_reminder(&self, attempt: &Attempt, now: Timestamp) {
        let Ok(email) = EmailAddress::new(&attempt.email) else { return };
        let account_reminders = self.account_reminders.clone();
        let meta = from(attempt, Actor::Anonymous, account_reminders.id(&email));
        once("account reminder", async move {
            if let Err(error) = account_reminders.request(email, meta, now).await {
                tracing::warn!(%error, "an account reminder could not be requested");
            }
        })
        .detach();
    }
}

/// The metadata of an attempt; its personal values belong to `whom`.
fn from(attempt: &Attempt, actor: Actor, whom: impl Into<PersonId> + Copy) -> Meta {
    Meta {
        ip: attempt.ip.map(|ip| Personal::trace(whom, ip.to_string())),
        user_agent: attempt.user_agent.as_deref().map(|agent| Personal::trace(whom, agent)),
        request_id: attempt.request_id.clone(),
        ..Meta::by(actor)
    }
}
