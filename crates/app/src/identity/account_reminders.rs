//! Mails that list the accounts with an email address, for people who sign in without naming the organization.

use std::sync::Arc;

use hmac::{Hmac, Mac};
use jiff::Timestamp;
use porttask_domain::{
    AccountReminderId, Meta, OrganizationId,
    identity::{AccountReminder, EmailAddress, account_reminder::Command},
};
use porttask_runtime::{
    execute::{ExecuteError, Executor, Request},
    id_made_by,
    vault::{Vault, VaultError},
};
use sha2::Sha256;

/// Requests account reminders.
#[derive(Clone)]
pub struct AccountReminders {
    executor: Arc<Executor>,
    /// The key that derives their ids, so that addresses cannot be guessed from a copy of the log.
    seal: Hmac<Sha256>,
}

impl AccountReminders {
    /// Opens the service.
    ///
    /// # Errors
    /// If a key is unavailable.
    pub async fn open(executor: Arc<Executor>, vault: &Vault) -> Result<Self, VaultError> {
        Ok(Self { executor, seal: vault.authenticator("account reminders").await? })
    }

    /// The id of the reminder for an address.
    pub fn id(&self, email: &EmailAddress) -> AccountReminderId {
        id_made_by(self.seal.clone().chain_update(email.comparable()))
    }

    /// Requests a mail that lists the accounts with an address; at most one is sent per day.
    ///
    /// # Errors
    /// If it cannot be recorded.
    pub async fn request(&self, email: EmailAddress, meta: Meta, now: Timestamp) -> Result<(), ExecuteError> {
        let reminder = self.id(&email);
        let command = Command::Request { reminder, email, now };
        let request = Request::new(OrganizationId::PLATFORM, meta);
        self.executor.execute::<AccountReminder>(reminder, command, &request).await.map(drop)
    }
}
