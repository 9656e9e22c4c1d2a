//! Letting people in who have lost their passwords: a link by mail, by which they set another one.

use std::sync::Arc;

use jiff::Timestamp;
use porttask_domain::{
    Actor, Meta, OrganizationId, Personal, UserId,
    identity::{User, user::Command},
};
use porttask_runtime::execute::{ExecuteError, Executor, Request};
use tokio::sync::Semaphore;

use crate::identity::{accounts::Accounts, links::PASSWORD_RESET};

/// How many requests are looked at at a time.
const AT_ONCE: usize = 8;
/// How many may wait; those beyond are forgotten, and whoever gets no mail asks again.
const WAITING: usize = 1_000;
/// To how many accounts of one person links are sent.
const MOST_ACCOUNTS: usize = 20;

/// Sends links to people who have lost their passwords.
pub struct PasswordResets {
    accounts: Accounts,
    executor: Arc<Executor>,
    waiting: Arc<Semaphore>,
    at_once: Semaphore,
}

/// Somebody who has lost their password, as far as they say.
pub struct Forgetful {
    /// Their address.
    pub email: String,
    /// The id or domain of an organization; without one, all their accounts are meant.
    pub organization: Option<String>,
    /// The address from which they ask.
    pub ip: Option<String>,
    /// What their device says that it is.
    pub user_agent: Option<String>,
    /// The request.
    pub request_id: Option<String>,
}

impl PasswordResets {
    /// Of this node.
    pub fn new(accounts: Accounts, executor: Arc<Executor>) -> Self {
        let (waiting, at_once) = (Arc::new(Semaphore::new(WAITING)), Semaphore::new(AT_ONCE));
        Self { accounts, executor, waiting, at_once }
    }

    /// Takes a request; it is looked at in the background, so that whoever asks learns nothing from the time it takes.
    pub fn take(self: &Arc<Self>, request: Forgetful, now: Timestamp) {
        let Ok(waiting) = Arc::clone(&self.waiting).try_acquire_owned() else {
            tracing::warn!("too many requests for new passwords wait: some are forgotten");
            return;
        };
        let resets = Arc::clone(self);
        tokio::spawn(async move {
            let _waiting = waiting;
            let Ok(_permit) = resets.at_once.acquire().await else { return };
            resets.look(&request, now).await;
        });
    }

    async fn look(&self, request: &Forgetful, now: Timestamp) {
        let found = self.accounts.meant(&request.email, request.organization.as_deref(), MOST_ACCOUNTS).await;
        let accounts = found.unwrap_or_else(|error| {
            tracing::error!(%error, "a request for a new password was not looked at");
            Vec::new()
        });
        for (organization, user) in accounts {
            match self.send(organization, user, request, now).await {
                // Whoever cannot sign in anyway gets no mail.
                Ok(()) | Err(ExecuteError::Rejected(_)) => {}
                Err(error) => tracing::error!(%error, "a link for a new password was not sent"),
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
