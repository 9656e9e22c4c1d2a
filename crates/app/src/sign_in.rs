//! Signing in: from an address and a password to a session.
//!
//! Every attempt costs the same and, if it fails, is answered alike, whether there is such an account or not.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use porttask_domain::{
    Actor, Meta, OrganizationId, Personal, UserId,
    identity::{EmailAddress, session::Method, user::Status},
};
use porttask_projections::{ColumnType, ReadModel, Value, folded, identity::user::Users};

use crate::{
    access::{Access, AccessError, Token},
    execute::{ExecuteError, Refused},
    ledger::Database,
    log::{LogError, PartitionId},
    organizations,
    passwords::{PasswordError, Passwords},
    vault::Vault,
    views::{Condition, Direction, Query, ViewError, Views},
};

/// How long a session lasts at most.
pub const SESSION: SignedDuration = SignedDuration::from_hours(12);
/// How long the list of users may take to come to now. A wrong answer after that is put right by the next attempt.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many accounts are looked at in one go.
const PAGE: usize = 50;

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

impl From<ViewError> for SignInError {
    fn from(error: ViewError) -> Self {
        Self::Unavailable(error.to_string())
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
    database: Arc<dyn Database>,
    vault: Arc<Vault>,
    views: Arc<Views>,
    access: Arc<Access>,
    passwords: Arc<Passwords>,
}

impl SignIn {
    /// Of this node.
    pub fn new(
        database: Arc<dyn Database>,
        vault: Arc<Vault>,
        views: Arc<Views>,
        access: Arc<Access>,
        passwords: Arc<Passwords>,
    ) -> Self {
        Self { database, vault, views, access, passwords }
    }

    /// Signs somebody in.
    ///
    /// # Errors
    /// Why not.
    pub async fn sign_in(&self, attempt: Attempt, now: Timestamp) -> Result<SignedIn, SignInError> {
        let account = self.account(&attempt).await?;
        let is_right = self.passwords.is_right(account, &attempt.password).await?;
        let Some((organization, user)) = account.filter(|_| is_right) else { return Err(SignInError::Wrong) };
        let meta = Meta {
            ip: attempt.ip.map(|ip| Personal::trace(user, ip)),
            user_agent: attempt.user_agent.map(|agent| Personal::trace(user, agent)),
            request_id: attempt.request_id,
            ..Meta::by(Actor::User { organization, user })
        };
        let expires_at = now + SESSION;
        match self.access.start(organization, user, Method::Password, now..expires_at, meta).await {
            Ok(token) => Ok(SignedIn { token, user, expires_at }),
            Err(AccessError::Unknown) => Err(SignInError::Wrong),
            Err(AccessError::Refused(refused)) => Err(SignInError::Refused(refused)),
            Err(AccessError::Failed(error)) => Err(SignInError::Failed(error)),
        }
    }

    /// The one account that is meant, if there is exactly one.
    async fn account(&self, attempt: &Attempt) -> Result<Option<(OrganizationId, UserId)>, SignInError> {
        let Ok(email) = EmailAddress::new(&attempt.email) else { return Ok(None) };
        match &attempt.organization {
            Some(organization) => {
                let Some(organization) = organizations::named(&*self.database, &self.vault, organization).await? else {
                    return Ok(None);
                };
                let user = organizations::user_with(&*self.database, &self.vault, organization, &email).await?;
                Ok(user.map(|user| (organization, user)))
            }
            None => {
                let accounts = self.accounts_with(&email).await?;
                Ok(if let [account] = accounts[..] { Some(account) } else { None })
            }
        }
    }

    /// The active accounts with this address, in all organizations.
    async fn accounts_with(&self, email: &EmailAddress) -> Result<Vec<(OrganizationId, UserId)>, SignInError> {
        let mut accounts = Vec::new();
        let wanted = email.comparable();
        // Whoever has just accepted an invitation can sign in at once.
        self.views.catch_up(Users::NAME, PATIENCE).await?;
        for partition in 0..self.database.heads().await?.len() {
            let mut query = Query {
                partition: PartitionId(partition as u16),
                conditions: vec![
                    Condition::Equal("folded_email", Value::Text(folded(&email.to_string()))),
                    Condition::Equal("status", Status::Active.to_value()),
                ],
                text: None,
                sort: vec!["folded_email", "organization", "user"],
                direction: Direction::Ascending,
                after: None,
                limit: PAGE,
            };
            loop {
                let rows = self.views.rows::<Users>(&query).await?;
                query.after = rows.last().map(|last| {
                    vec![Value::Text(last.folded_email.clone()), last.organization.to_value(), last.user.to_value()]
                });
                let is_last = rows.len() < PAGE;
                for row in rows {
                    let address = row.email.and_then(|email| EmailAddress::new(&email).ok());
                    // Folding forgets accents; addresses with and without them are different ones.
                    if address.is_some_and(|it| it.comparable() == wanted) {
                        accounts.push((row.organization, row.user));
                    }
                }
                if is_last || accounts.len() > 1 {
                    break;
                }
            }
        }
        Ok(accounts)
    }
}
