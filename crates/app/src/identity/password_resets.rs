//! Forgotten passwords: a link by mail to set a new one.

use std::sync::Arc;

use jiff::Timestamp;
use porttask_domain::{
    Actor, Meta, OrganizationId, Personal, UserId,
    identity::{User, user::Command},
};
use porttask_runtime::execute::{ExecuteError, Executor, Request};
use porttask_runtime::supervise::once;
use tokio::sync::Semaphore;

use crate::identity::{
    accounts::Accounts,
    links::{Link, PASSWORD_RESET, Purpose},
};

/// Requests processed concurrently.
const AT_ONCE: usize = 8;
/// Maximum pending requests; further ones are dropped, and the user can request again.
const WAITING: usize = 1_000;
/// Maximum accounts of one person that links are sent to.
const MOST_ACCOUNTS: usize = 20;

/// Sends links to users who forgot their passwords.
pub struct PasswordResets {
    accounts: Accounts,
    executor: Arc<Executor>,
    waiting: Arc<Semaphore>,
    at_once: Semaphore,
}

/// A password reset request by an unauthenticated client.
pub struct Forgetful {
    /// The email address.
    pub email: String,
    /// The id or domain of an organization; `None` means all accounts with the address.
    pub organization: Option<String>,
    /// The IP address of the client.
    pub ip: Option<String>,
    /// The user agent, as sent by the client.
    pub user_agent: Option<String>,
    /// The id of the request.
    pub request_id: Option<String>,
}

/// Why an operator cannot reset a super admin's password.
#[derive(Debug, thiserror::Error)]
pub enum BreakGlassError {
    /// It cannot be recorded.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// The reset was answered meanwhile.
    #[error("the reset was answered meanwhile: try again")]
    Answered,
}

/// A link with which a super admin sets a new password, requested by the operator on the command line. `account` is the
/// account of the operating system; it is recorded where the user agent of a client is.
///
/// # Errors
/// If the super admin is not active, or it cannot be recorded.
pub async fn break_glass(
    executor: &Arc<Executor>,
    user: UserId,
    account: &str,
    now: Timestamp,
) -> Result<Link, BreakGlassError> {
    let organization = OrganizationId::PLATFORM;
    let agent = Personal::trace(user, format!("porttask admin reset, by {account}"));
    let meta = Meta { user_agent: Some(agent), ..Meta::by(Actor::Operator) };
    let command = Command::ReplacePasswordReset { expires_at: now + PASSWORD_RESET };
    executor.execute::<User>(user, command, &Request::new(organization, meta)).await?;
    let (reset, _) = executor.load::<User>(organization, user).await?;
    let (generation, expires_at) = reset.password_reset().ok_or(BreakGlassError::Answered)?;
    Ok(Link { purpose: Purpose::PasswordReset, organization, subject: user.0, generation, expires_at })
}

impl PasswordResets {
    /// Creates the service of this node.
    pub fn new(accounts: Accounts, executor: Arc<Executor>) -> Self {
        let (waiting, at_once) = (Arc::new(Semaphore::new(WAITING)), Semaphore::new(AT_ONCE));
        Self { accounts, executor, waiting, at_once }
    }

    /// Accepts a request; it is processed in the background, so that response times reveal nothing.
    pub fn take(self: &Arc<Self>, request: Forgetful, now: Timestamp) {
        let Ok(waiting) = Arc::clone(&self.waiting).try_acquire_owned() else {
            tracing::warn!("too many pending password reset requests: dropping one");
            return;
        };
        let resets = Arc::clone(self);
        once("password reset", async move {
            let _waiting = waiting;
            let Ok(_permit) = resets.at_once.acquire().await else { return };
            resets.look(&request, now).await;
        })
        .detach();
    }

    async fn look(&self, request: &Forgetful, now: Timestamp) {
        let found = self.accounts.meant(&request.email, request.organization.as_deref(), MOST_ACCOUNTS).await;
        let accounts = found.unwrap_or_else(|error| {
            tracing::error!(%error, "a password reset request failed");
            Vec::new()
        });
        for (organization, user) in accounts {
            match self.send(organization, user, request, now).await {
                // Users who cannot sign in anyway get no mail.
                Ok(()) | Err(ExecuteError::Rejected(_)) => {}
                Err(error) => tracing::error!(%error, "a password reset link could not be requested"),
            }
        }
    }

    async fn send(
        &self,
        organization: OrganizationId,
        user: UserId,
        request: &Forgetful,
        now: Timestamp,
    ) -> Result<(), ExecuteError> {
        let trace = |value: &Option<String>| value.as_deref().map(|value| Personal::trace(user, value));
        let meta = Meta {
            ip: trace(&request.ip),
            user_agent: trace(&request.user_agent),
            request_id: request.request_id.clone(),
            ..Meta::by(Actor::Anonymous)
        };
        let command = Command::RequestPasswordReset { now, expires_at: now + PASSWORD_RESET };
        self.executor.execute::<User>(user, command, &Request::new(organization, meta)).await.map(drop)
    }
}
