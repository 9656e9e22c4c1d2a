//! What handlers work with.

use std::{net::IpAddr, ops::Deref, sync::Arc};

use hmac::Hmac;
use ipnet::IpNet;
use porttask_app::{
    access::Access,
    execute::Executor,
    ledger::Database,
    links::Links,
    log::{PartitionId, Position},
    passwords::Passwords,
    sign_in::SignIn,
    vault::{Vault, VaultError},
    views::Views,
};
use porttask_domain::{OrganizationId, SessionId};
use quick_cache::sync::Cache;
use sha2::Sha256;

use crate::problem::Problem;

/// How many sessions' last positions are remembered.
const REMEMBERED: usize = 100_000;

/// Everything that a node has, shared by all requests.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What an [`App`] is made of.
pub struct Parts {
    /// The log and the ledger.
    pub database: Arc<dyn Database>,
    /// Keys.
    pub vault: Arc<Vault>,
    /// Carries out commands.
    pub executor: Arc<Executor>,
    /// Lets callers in.
    pub access: Arc<Access>,
    /// Answers questions.
    pub views: Arc<Views>,
    /// Signs people in.
    pub sign_in: SignIn,
    /// Hashes passwords.
    pub passwords: Arc<Passwords>,
    /// Makes and reads links.
    pub links: Links,
    /// How it is run.
    pub settings: Settings,
    /// What authenticates cursors and tells requests apart.
    pub(crate) seal: Hmac<Sha256>,
    /// What each caller has changed last, so that they see it.
    pub(crate) last_changes: Cache<SessionId, Position>,
}

/// How the service is run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whose word counts about where a request comes from.
    pub trusted_proxies: Vec<IpNet>,
    /// How many invitations an organization may send in a day.
    pub invitations_per_day: u32,
}

impl Settings {
    /// Whether an address is one of a trusted proxy.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|net| net.contains(&address.to_canonical()))
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Of a node whose read models are folding.
    ///
    /// # Errors
    /// If a key cannot be had.
    pub async fn open(
        database: Arc<dyn Database>,
        vault: Arc<Vault>,
        views: Arc<Views>,
        passwords: Arc<Passwords>,
        links: Links,
        settings: Settings,
    ) -> Result<Self, VaultError> {
        let executor = Arc::new(Executor::new(Arc::clone(&database), Arc::clone(&vault)));
        let access = Arc::new(Access::new(Arc::clone(&database), Arc::clone(&executor)));
        let sign_in = SignIn::new(
            Arc::clone(&database),
            Arc::clone(&vault),
            Arc::clone(&views),
            Arc::clone(&access),
            Arc::clone(&passwords),
        );
        let seal = vault.authenticator("requests").await?;
        let last_changes = Cache::new(REMEMBERED);
        let parts =
            Parts { database, vault, executor, access, views, sign_in, passwords, links, settings, seal, last_changes };
        Ok(Self(Arc::new(parts)))
    }

    /// Where an organization lives.
    ///
    /// # Errors
    /// If there is none, or the log fails.
    pub(crate) async fn partition(&self, organization: OrganizationId) -> Result<PartitionId, Problem> {
        let found = self.database.partition_of(organization).await;
        let found = found.map_err(|error| Problem::unavailable(&error))?;
        found.ok_or_else(|| Problem::not_found("organization"))
    }

    /// All partitions.
    pub(crate) async fn partitions(&self) -> Result<Vec<PartitionId>, Problem> {
        let heads = self.database.heads().await.map_err(|error| Problem::unavailable(&error))?;
        Ok(heads.iter().map(|head| head.position.partition).collect())
    }
}
