//! Signing in: from an address and a password to a session.
//!
//! Every attempt costs the same and, if it fails, is answered alike, whether there is such an account or not.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use porttask_domain::{
    Actor, Meta, OrganizationId, PersonId, Personal, SessionId, UserId,
    identity::{EmailAddress, User, session::Method},
};
use porttask_runtime::{
    execute::{ExecuteError, Executor, Rejected},
    log::LogError,
    vault::{Vault, VaultError},
};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::{
    compliance::denial_log::{DenialLog, Denied, What},
    identity::{
        access::{Access, AccessError, Token},
        account_reminders::AccountReminders,
        accounts::{Accounts, AccountsError},
        attempts::{Attempts, Look},
        passwords::{PasswordError, Passwords},
    },
};

/// What the token of a device begins with.
const DEVICE: &str = "ptd_";
/// After how many seconds an unknown device may look again whether an account is below its ceiling.
const ABOVE_CEILING: u32 = 3_600;
/// What somebody says who they are.
#[derive(Clone)]
pub struct Attempt {
    /// Their address.
    pub email: String,
    /// Their password.
    pub password: String,
    /// Where their account is: the id or the domain of an organization. Needed by whoever has several accounts with one
    /// address.
    pub organization: Option<String>,
    /// What their device was given when they signed in before: no credential, only a sign that they may have been here.
    pub device_token: Option<String>,
    /// The address from which they come.
    pub ip: Option<IpAddr>,
    /// What their device says that it is.
    pub user_agent: Option<String>,
    /// The request.
    pub request_id: Option<String>,
}

/// Somebody who is signed in now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// What proves it from now on.
    pub token: Token,
    /// The session.
    pub session: SessionId,
    /// Whose session it is.
    pub user: UserId,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// What makes their device known.
    pub device_token: String,
}

/// Why somebody is not signed in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// Address, password and organization do not belong together. Nobody learns which of them is wrong.
    #[error(
        "the address or the password is wrong; if you have accounts in several organizations, say which one you mean"
    )]
    Wrong,
    /// The password is right, and the organization is locked out.
    #[error("{0}")]
    Rejected(Rejected),
    /// There were too many attempts; the next one is looked at after so many seconds.
    #[error("too many attempts to sign in: go on in {0} s, or set a new password by mail")]
    TooOften(u32),
    /// More attempts wait than can be looked at.
    #[error("too many sign-ins at once: retry after a pause")]
    Overloaded,
    /// It could not be found out.
    #[error("{0}")]
    Failed(ExecuteError),
    /// It could not be found out: a password could not be compared, or a read model not be read.
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

/// How attempts to sign in have ended since the beginning.
#[derive(Debug, Default)]
pub struct Outcomes {
    /// Somebody was let in.
    pub succeeded: AtomicU64,
    /// It was refused, whether there is such an account or not.
    pub rejected: AtomicU64,
    /// It was refused because there is no such account, or there are several.
    pub unknown: AtomicU64,
    /// It was not looked at, because there were too many.
    pub too_often: AtomicU64,
}

/// Signs people in.
pub struct SignIn {
    accounts: Accounts,
    access: Arc<Access>,
    passwords: Arc<Passwords>,
    denial_log: Arc<DenialLog>,
    executor: Arc<Executor>,
    attempts: Arc<Attempts>,
    account_reminders: AccountReminders,
    outcomes: Arc<Outcomes>,
    /// What makes devices known.
    devices: Hmac<Sha256>,
}

impl SignIn {
    /// Of this node.
    ///
    /// # Errors
    /// If a key cannot be had.
    pub async fn open(
        accounts: Accounts,
        (executor, vault): (Arc<Executor>, &Vault),
        (access, passwords): (Arc<Access>, Arc<Passwords>),
        denial_log: Arc<DenialLog>,
        attempts: Arc<Attempts>,
    ) -> Result<Self, VaultError> {
        let devices = vault.authenticator("devices").await?;
        let account_reminders = AccountReminders::open(Arc::clone(&executor), vault).await?;
        let outcomes = Arc::default();
        Ok(Self { accounts, access, passwords, denial_log, executor, attempts, account_reminders, outcomes, devices })
    }

    /// How attempts have ended.
    pub fn outcomes(&self) -> Arc<Outcomes> {
        Arc::clone(&self.outcomes)
    }

    /// Signs somebody in.
    ///
    /// # Errors
    /// Why not.
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
        let meant = self.accounts.meant(&attempt.email, attempt.organization.as_deref(), 2).await?;
        // The one account that is meant, if there is exactly one.
        let account = if let [account] = meant[..] { Some(account) } else { None };
        // For nobody, the same is looked up.
        let (home, id) = account.unwrap_or((OrganizationId::PLATFORM, UserId(Uuid::max())));
        let (state, _) = self.executor.load::<User>(home, id).await.map_err(SignInError::Failed)?;
        let trying = self.attempts.by(&attempt.email, attempt.organization.as_deref(), attempt.ip);
        let device_token = self.device_token(home, id, state.session_epoch());
        let is_known_device = is_equal(attempt.device_token.as_deref(), &device_token);
        match self.attempts.begin(trying, is_known_device, state.unlocks(), now) {
            Look::Yes => {}
            Look::OnlyKnownDevices => return Err(SignInError::TooOften(ABOVE_CEILING)),
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
            // In the background: whoever waits for the answer learns nothing from the time it takes.
            let (what, meta) = (What::SignIn, from(Actor::Anonymous));
            self.denial_log.record(Denied { organization, user, what, meta }, now);
            return Err(SignInError::Wrong);
        }
        self.attempts.succeeded(trying);
        let meta = from(Actor::User { organization, user });
        let expires_at = now + self.access.limits().longest;
        match self.access.start(organization, user, Method::Password, now..expires_at, meta).await {
            Ok((session, token)) => Ok(SignedIn { token, session, user, expires_at, device_token }),
            Err(AccessError::Unknown | AccessError::OwnerInactive | AccessError::Elsewhere(_)) => {
                Err(SignInError::Wrong)
            }
            Err(AccessError::Rejected(rejected)) => Err(SignInError::Rejected(rejected)),
            Err(AccessError::Failed(error)) => Err(SignInError::Failed(error)),
        }
    }

    /// What makes a device known to an account, until all its sessions end.
    fn device_token(&self, organization: OrganizationId, user: UserId, session_epoch: u64) -> String {
        let mac = self.devices.clone().chain_update(organization.0.as_bytes()).chain_update(user.0.as_bytes());
        let mac = mac.chain_update(session_epoch.to_be_bytes()).finalize().into_bytes();
        format!("{DEVICE}{}", URL_SAFE_NO_PAD.encode(mac))
    }

    /// Has the accounts with an address told to it: in the background, for whoever waits for the answer.
    fn request_reminder(&self, attempt: &Attempt, now: Timestamp) {
        let Ok(email) = EmailAddress::new(&attempt.email) else { return };
        let account_reminders = self.account_reminders.clone();
        let meta = from(attempt, Actor::Anonymous, account_reminders.id(&email));
        tokio::spawn(async move {
            if let Err(error) = account_reminders.request(email, meta, now).await {
                tracing::warn!(%error, "somebody is not told which accounts they have");
            }
        });
    }
}

/// From where an attempt comes; what is personal of it belongs to `whom`.
fn from(attempt: &Attempt, actor: Actor, whom: impl Into<PersonId> + Copy) -> Meta {
    Meta {
        ip: attempt.ip.map(|ip| Personal::trace(whom, ip.to_string())),
        user_agent: attempt.user_agent.as_deref().map(|agent| Personal::trace(whom, agent)),
        request_id: attempt.request_id.clone(),
        ..Meta::by(actor)
    }
}

fn is_equal(shown: Option<&str>, token: &str) -> bool {
    shown.is_some_and(|shown| bool::from(shown.as_bytes().ct_eq(token.as_bytes())))
}
