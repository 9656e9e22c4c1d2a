//! Signing in: from an address and a password to a session.
//!
//! Every attempt costs the same and, if it fails, is answered alike, whether there is such an account or not.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use porttask_domain::{Actor, Meta, OrganizationId, Personal, SessionId, UserId, identity::session::Method};

use crate::{
    access::{Access, AccessError, Token},
    accounts::{Accounts, AccountsError},
    execute::{ExecuteError, Refused},
    log::LogError,
    passwords::{PasswordError, Passwords},
    refusals::{Refusals, Refused as Refusal, What},
};

/// How long a session lasts at most.
pub const SESSION: SignedDuration = SignedDuration::from_hours(12);
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
    /// The address from which they come.
    pub ip: Option<String>,
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
    Refused(Refused),
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

/// Signs people in.
pub struct SignIn {
    accounts: Accounts,
    access: Arc<Access>,
    passwords: Arc<Passwords>,
    refusals: Arc<Refusals>,
}

impl SignIn {
    /// Of this node.
    pub fn new(accounts: Accounts, access: Arc<Access>, passwords: Arc<Passwords>, refusals: Arc<Refusals>) -> Self {
        Self { accounts, access, passwords, refusals }
    }

    /// Signs somebody in.
    ///
    /// # Errors
    /// Why not.
    pub async fn sign_in(&self, attempt: Attempt, now: Timestamp) -> Result<SignedIn, SignInError> {
        let account = self.account(&attempt).await?;
        let is_right = self.passwords.is_right(account, &attempt.password).await?;
        let Some((organization, user)) = account else { return Err(SignInError::Wrong) };
        let from = |actor: Actor| Meta {
            ip: attempt.ip.as_deref().map(|ip| Personal::trace(user, ip)),
            user_agent: attempt.user_agent.as_deref().map(|agent| Personal::trace(user, agent)),
            request_id: attempt.request_id.clone(),
            ..Meta::by(actor)
        };
        if !is_right {
            // In the background: whoever waits for the answer learns nothing from the time it takes.
            let (what, meta) = (What::SignIn, from(Actor::Anonymous));
            self.refusals.note(Refusal { organization, user, what, meta }, now);
            return Err(SignInError::Wrong);
        }
        let meta = from(Actor::User { organization, user });
        let expires_at = now + SESSION;
        match self.access.start(organization, user, Method::Password, now..expires_at, meta).await {
            Ok((session, token)) => Ok(SignedIn { token, session, user, expires_at }),
            Err(AccessError::Unknown | AccessError::NoMaker | AccessError::Elsewhere(_)) => Err(SignInError::Wrong),
            Err(AccessError::Refused(refused)) => Err(SignInError::Refused(refused)),
            Err(AccessError::Failed(error)) => Err(SignInError::Failed(error)),
        }
    }

    /// The one account that is meant, if there is exactly one.
    async fn account(&self, attempt: &Attempt) -> Result<Option<(OrganizationId, UserId)>, SignInError> {
        let accounts = self.accounts.meant(&attempt.email, attempt.organization.as_deref(), 2).await?;
        Ok(if let [account] = accounts[..] { Some(account) } else { None })
    }
}
