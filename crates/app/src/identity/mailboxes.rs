//! Telling people by mail which accounts they have, if they sign in without saying which one they mean.

use std::sync::Arc;

use hmac::{Hmac, Mac};
use jiff::Timestamp;
use porttask_domain::{
    MailboxId, Meta, OrganizationId,
    identity::{EmailAddress, Mailbox, mailbox::Command},
};
use porttask_runtime::{
    execute::{ExecuteError, Executor, Request},
    id_made_by,
    vault::{Vault, VaultError},
};
use sha2::Sha256;

/// Knows mailboxes by their addresses.
#[derive(Clone)]
pub struct Mailboxes {
    executor: Arc<Executor>,
    /// What ids of mailboxes are made by, so that nobody can try addresses on a copy of the log.
    seal: Hmac<Sha256>,
}

impl Mailboxes {
    /// Those of this log.
    ///
    /// # Errors
    /// If a key cannot be had.
    pub async fn open(executor: Arc<Executor>, vault: &Vault) -> Result<Self, VaultError> {
        Ok(Self { executor, seal: vault.authenticator("mailboxes").await? })
    }

    /// Which mailbox an address is.
    pub fn id(&self, email: &EmailAddress) -> MailboxId {
        id_made_by(self.seal.clone().chain_update(email.comparable()))
    }

    /// Has its accounts told to a mailbox, once a day at most.
    ///
    /// # Errors
    /// If it cannot be recorded.
    pub async fn tell_accounts(&self, email: EmailAddress, meta: Meta, now: Timestamp) -> Result<(), ExecuteError> {
        let mailbox = self.id(&email);
        let tell = Command::TellAccounts { mailbox, email, now };
        let request = Request::new(OrganizationId::PLATFORM, meta);
        self.executor.execute::<Mailbox>(mailbox, tell, &request).await.map(drop)
    }
}
