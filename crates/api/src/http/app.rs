//! What handlers work with.

use std::{net::IpAddr, ops::Deref, sync::Arc, time::Duration};

use axum::http::StatusCode;
use hmac::Hmac;
use ipnet::IpNet;
use porttask_app::identity::organizations::StatusAllows;
use porttask_app::{
    compliance::{audit_log::AuditLog, denial_log::DenialLog},
    identity::{
        access::Access,
        accounts::Accounts,
        attempts::{AttemptLimits, Attempts},
        credential_activity::{CredentialActivity, SessionLimits},
        import::{Import, ImportJobs},
        invitations::InvitationLimits,
        links::Links,
        password_resets::PasswordResets,
        passwords::Passwords,
        sign_in::SignIn,
        staff::StaffNumbers,
    },
};
use porttask_domain::OrganizationId;
use porttask_runtime::{
    execute::Executor,
    jobs::JobRunner,
    ledger::Database,
    log::{PartitionId, Position},
    reactors::Reactors,
    vault::{Vault, VaultError},
    views::Views,
};
use quick_cache::sync::Cache;
use sha2::Sha256;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use uuid::Uuid;

use super::{
    limits::{Limits, Rates},
    metrics::Metrics,
    problem::Problem,
    serve::Connections,
};

/// How many sessions' and keys' last positions are remembered.
const REMEMBERED: usize = 100_000;
/// How many large things are held in memory at a time: files that come, and reports that are told.
const LARGE_AT_ONCE: usize = 4;
/// How long a request waits until another large thing is gone.
const PATIENCE: Duration = Duration::from_secs(2);

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
    /// Records when they came last: to be run, and shut down with the node.
    pub activity: Arc<CredentialActivity>,
    /// Answers questions.
    pub views: Arc<Views>,
    /// Takes denial_log down.
    pub denial_log: Arc<DenialLog>,
    /// Tells what happened.
    pub audit_log: Arc<AuditLog>,
    /// By which numbers organizations see the platform's staff.
    pub staff_numbers: StaffNumbers,
    /// How often whom.
    pub attempts: Arc<Attempts>,
    /// Signs people in.
    pub sign_in: SignIn,
    /// Hashes passwords.
    pub passwords: Arc<Passwords>,
    /// Lets people in who have lost their passwords.
    pub password_resets: Arc<PasswordResets>,
    /// Makes and reads links.
    pub links: Links,
    /// Does long work: to be run, and shut down with the node.
    pub jobs: Arc<JobRunner>,
    /// Imports of users.
    pub imports: Arc<ImportJobs>,
    /// How it is run.
    pub settings: Settings,
    /// What authenticates cursors and tells requests apart.
    pub(crate) seal: Hmac<Sha256>,
    /// How many requests whom.
    pub(crate) limits: Limits,
    /// What is counted.
    pub(crate) metrics: Metrics,
    /// Permits for large things.
    large: Arc<Semaphore>,
    /// What each caller has changed last, so that they see it.
    pub(crate) last_changes: Cache<Uuid, Position>,
}

/// How the service is run.
#[derive(Clone)]
pub struct Settings {
    /// Whose word counts about where a request comes from.
    pub trusted_proxies: Vec<IpNet>,
    /// How people are invited.
    pub invitations: InvitationLimits,
    /// How many requests are answered.
    pub rates: Rates,
    /// How long sessions last.
    pub sessions: SessionLimits,
    /// How many failed attempts to sign in cost nothing.
    pub attempts: AttemptLimits,
    /// What a connection may cost.
    pub connections: Connections,
    /// What opens `/metrics`. Without it, only callers on this machine see them.
    pub metrics_token: Option<String>,
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
        let executor = Arc::new(Executor::new(Arc::clone(&database), Arc::clone(&vault), Arc::new(StatusAllows)));
        let activity = Arc::new(CredentialActivity::new(Arc::clone(&database), Arc::clone(&vault), settings.sessions));
        let access = Arc::new(Access::new(Arc::clone(&database), Arc::clone(&executor), Arc::clone(&activity)));
        let accounts = Accounts::new(Arc::clone(&database), Arc::clone(&vault), Arc::clone(&views));
        let denial_log = Arc::new(DenialLog::open(Arc::clone(&executor), &vault).await?);
        let attempts = Arc::new(Attempts::new(settings.attempts));
        let sign_in = SignIn::open(
            accounts.clone(),
            (Arc::clone(&executor), &vault),
            (Arc::clone(&access), Arc::clone(&passwords)),
            Arc::clone(&denial_log),
            Arc::clone(&attempts),
        )
        .await?;
        let password_resets = Arc::new(PasswordResets::new(accounts, Arc::clone(&executor)));
        let audit_log = AuditLog::open(Arc::clone(&database), Arc::clone(&vault), Arc::clone(&views)).await?;
        let staff_numbers = StaffNumbers::open(&vault).await?;
        let import = Import::open(Arc::clone(&database), Arc::clone(&vault), Arc::clone(&executor)).await?;
        let imports = Arc::new(ImportJobs::open(import, &vault, settings.invitations).await?);
        let jobs = JobRunner::new(Arc::clone(&database), vec![Arc::<ImportJobs>::clone(&imports)]);
        let seal = vault.authenticator("requests").await?;
        let last_changes = Cache::new(REMEMBERED);
        let limits = Limits::new(settings.rates);
        let metrics = Metrics::new(Arc::clone(&views), Arc::clone(&passwords), sign_in.outcomes());
        Ok(Self(Arc::new(Parts {
            database,
            vault,
            executor,
            access,
            activity,
            views,
            denial_log,
            audit_log: Arc::new(audit_log),
            staff_numbers,
            attempts,
            sign_in,
            passwords,
            password_resets,
            links,
            jobs,
            imports,
            settings,
            seal,
            limits,
            metrics,
            large: Arc::new(Semaphore::new(LARGE_AT_ONCE)),
            last_changes,
        })))
    }

    /// Counts what these reactors do, too. Of several, the first.
    pub fn count(&self, reactors: &Arc<Reactors>) {
        self.metrics.count(Arc::clone(reactors));
    }

    /// What lets a request hold something large. Work that goes on when the request is given up must keep it, too.
    ///
    /// # Errors
    /// If too many others hold something.
    pub(crate) async fn permit(&self) -> Result<Arc<OwnedSemaphorePermit>, Problem> {
        match timeout(PATIENCE, Arc::clone(&self.large).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Arc::new(permit)),
            Ok(Err(_)) | Err(_) => {
                let detail = "too many files and reports are under way: retry after a pause";
                Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail).after(5))
            }
        }
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
