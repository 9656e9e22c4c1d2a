//! The application state that handlers share.

use std::{net::IpAddr, ops::Deref, sync::Arc, time::Duration};

use axum::http::StatusCode;
use hmac::Hmac;
use ipnet::IpNet;
use jiff::SignedDuration;
use porttask_app::identity::organizations::StatusAllows;
use porttask_app::{
    billing::{
        invoices::{billing::BillingTimers, collecting::DunningTimers},
        licences::LicenceTokens,
        metering::Metering,
        payments::Payments,
        timers::{PaymentTimers, SubscriptionTimers},
    },
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
        timers::LinkExpiry,
    },
    operations::timers::UploadExpiry,
    positions::Positions,
    support::timers::MissedResponses,
};
use porttask_domain::{OrganizationId, SessionId};
use porttask_runtime::{
    clock::Clock,
    execute::Executor,
    jobs::JobRunner,
    ledger::Database,
    log::{PartitionId, Position},
    ports::{blobs::BlobStore, payments::PaymentProvider, tax_registry::TaxRegistry},
    reactors::Reactors,
    timers::{TimerHandler, TimerPolicy, Timers},
    vault::{Vault, VaultError},
    views::Views,
};
use quick_cache::sync::Cache;
use sha2::Sha256;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};
use uuid::Uuid;

use super::{
    limits::{Limits, Rates},
    metrics::Metrics,
    problem::Problem,
    serve::Connections,
    shares::{Share, Shares},
};
use crate::platform::{position::STREAMS_PER_SESSION, readiness::DatabaseCheck};

/// For how many sessions and keys the position of the last change is kept.
const REMEMBERED: usize = 100_000;
/// Maximum number of large payloads in memory at a time: uploads and reports.
const LARGE_AT_ONCE: usize = 4;
/// Maximum number of uploads of an organization that are being received.
const UPLOADS_AT_ONCE: usize = 2;
/// How long a request waits for a permit for a large payload.
const PATIENCE: Duration = Duration::from_secs(2);

/// The state of a node, shared by all requests.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The components of an [`App`].
pub struct Parts {
    /// The log and the ledger.
    pub database: Arc<dyn Database>,
    /// The clock; must be run.
    pub clock: Arc<Clock>,
    /// Encryption keys.
    pub vault: Arc<Vault>,
    /// Executes commands.
    pub executor: Arc<Executor>,
    /// Authenticates callers.
    pub access: Arc<Access>,
    /// Records when credentials were last used; must be run, and shut down with the node.
    pub activity: Arc<CredentialActivity>,
    /// Meters requests with API keys; must be run, and shut down with the node.
    pub metering: Arc<Metering>,
    /// Charges what organizations owe.
    pub payments: Payments,
    /// Signs licences.
    pub licences: LicenceTokens,
    /// The read models.
    pub views: Arc<Views>,
    /// Records denied requests.
    pub denial_log: Arc<DenialLog>,
    /// Reads the audit log.
    pub audit_log: Arc<AuditLog>,
    /// Positions as callers see them.
    pub positions: Positions,
    /// The numbers by which organizations see the platform's staff.
    pub staff_numbers: StaffNumbers,
    /// Looks up accounts, with their sessions and API keys.
    pub accounts: Accounts,
    /// Limits failed sign-in attempts.
    pub attempts: Arc<Attempts>,
    /// Signs users in.
    pub sign_in: SignIn,
    /// Hashes passwords.
    pub passwords: Arc<Passwords>,
    /// Sends links to reset passwords.
    pub password_resets: Arc<PasswordResets>,
    /// Creates and verifies links.
    pub links: Links,
    /// Runs jobs; must be run, and shut down with the node.
    pub jobs: Arc<JobRunner>,
    /// Carries out timers; must be run, and shut down with the node.
    pub timers: Arc<Timers>,
    /// Imports of users.
    pub imports: Arc<ImportJobs>,
    /// The configuration.
    pub settings: Settings,
    /// Authenticates cursors, hashes requests and derives ids.
    pub(crate) seal: Hmac<Sha256>,
    /// The rate limits.
    pub(crate) limits: Limits,
    /// The metrics.
    pub(crate) metrics: Metrics,
    /// Checks the log's database for readiness.
    pub(crate) database_check: DatabaseCheck,
    /// The uploads that are being received, by organization.
    uploads: Arc<Shares<OrganizationId>>,
    /// Permits for large payloads.
    large: Arc<Semaphore>,
    /// The streams of each session.
    pub(crate) streams: Arc<Shares<SessionId>>,
    /// Permits for streams.
    stream_places: Arc<Semaphore>,
    /// Whether the node stops, which ends streams.
    stopping: watch::Sender<bool>,
    /// The position of each credential's last change, so that its next reads include it.
    pub(crate) last_changes: Cache<Uuid, Position>,
}

/// The configuration of the service.
#[derive(Clone)]
pub struct Settings {
    /// The proxies whose forwarding headers are trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Lifetime and limits of invitations.
    pub invitations: InvitationLimits,
    /// Where the contents of documents are kept, and how large they may be.
    pub documents: DocumentSettings,
    /// The payment provider.
    pub payments: Arc<dyn PaymentProvider>,
    /// Checks VAT ids.
    pub tax_registry: Arc<dyn TaxRegistry>,
    /// The business hours within which staff has to reply to an escalated ticket.
    pub ticket_response: SignedDuration,
    /// Rate limits.
    pub rates: Rates,
    /// How long sessions last.
    pub sessions: SessionLimits,
    /// How many failed sign-in attempts have no penalty.
    pub attempts: AttemptLimits,
    /// The longest delay with which failed sign-ins are recorded.
    pub sign_in_delay: Duration,
    /// The name of the node.
    pub node: String,
    /// Limits of connections.
    pub connections: Connections,
    /// The directory that emails are written to; `None` if they are sent by SMTP.
    pub mail_folder: Option<String>,
    /// Whether requests are logged.
    pub logs_access: bool,
    /// The number of log lines that could not be written.
    pub dropped_log_lines: fn() -> u64,
    /// The token for `/metrics`. Without it, only callers on this machine may read them.
    pub metrics_token: Option<String>,
}

/// The contents of documents.
#[derive(Clone)]
pub struct DocumentSettings {
    /// Where they are kept.
    pub blobs: Arc<dyn BlobStore>,
    /// Maximum size of a document.
    pub max_bytes: u64,
}

impl Settings {
    /// Whether an address belongs to a trusted proxy.
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
    /// Opens the state of a node whose read models are running.
    ///
    /// # Errors
    /// If a key cannot be loaded.
    pub async fn open(
        database: Arc<dyn Database>,
        vault: Arc<Vault>,
        views: Arc<Views>,
        passwords: Arc<Passwords>,
        links: Links,
        clock: Arc<Clock>,
        settings: Settings,
    ) -> Result<Self, VaultError> {
        let (status_allows, now) = (Arc::new(StatusAllows), Arc::clone(&clock));
        let executor = Executor::new(Arc::clone(&database), Arc::clone(&vault), status_allows, now);
        let activity = Arc::new(CredentialActivity::new(
            (Arc::clone(&database), Arc::clone(&vault)),
            Arc::clone(&clock),
            settings.sessions,
        ));
        let access = Arc::new(Access::new(Arc::clone(&database), Arc::clone(&executor), Arc::clone(&activity)));
        let metering = Arc::new(Metering::new(Arc::clone(&executor), Arc::clone(&clock)));
        let (wired, keys, rows) = (Arc::clone(&executor), Arc::clone(&vault), Arc::clone(&views));
        let licences = LicenceTokens::new(wired, keys, rows, &links.page(""));
        let accounts = Accounts::new(Arc::clone(&database), Arc::clone(&vault), Arc::clone(&views));
        let denial_log = Arc::new(DenialLog::open(Arc::clone(&executor), &vault, settings.sign_in_delay).await?);
        let attempts =
            Attempts::new(settings.attempts, vault.authenticator("attempts").await?, Some(Arc::clone(&database)));
        let attempts = Arc::new(attempts);
        let sign_in = SignIn::open(
            accounts.clone(),
            (Arc::clone(&executor), &vault),
            (Arc::clone(&access), Arc::clone(&passwords)),
            Arc::clone(&denial_log),
            Arc::clone(&attempts),
        )
        .await?;
        let password_resets = Arc::new(PasswordResets::new(accounts.clone(), Arc::clone(&executor)));
        let audit_log = AuditLog::open(Arc::clone(&database), Arc::clone(&vault), Arc::clone(&views)).await?;
        let staff_numbers = StaffNumbers::open(&vault).await?;
        let positions = Positions::open(&vault, database.incarnation().await.map_err(VaultError::Log)?).await?;
        let import = Import::open(Arc::clone(&database), Arc::clone(&vault), Arc::clone(&executor)).await?;
        let imports = Arc::new(ImportJobs::open(import, &vault, settings.invitations).await?);
        let jobs = JobRunner::new(Arc::clone(&database), vec![Arc::<ImportJobs>::clone(&imports)]);
        let payments = Payments::new(Arc::clone(&executor), Arc::clone(&settings.payments));
        let handlers: Vec<Arc<dyn TimerHandler>> = vec![
            Arc::new(LinkExpiry),
            Arc::new(MissedResponses),
            Arc::new(UploadExpiry),
            Arc::new(SubscriptionTimers::new(payments.clone())),
            Arc::new(PaymentTimers::new(payments.clone())),
            Arc::new(
                BillingTimers::new(Arc::clone(&executor), Arc::clone(&settings.tax_registry))
                    .with_views(Arc::clone(&views)),
            ),
            Arc::new(DunningTimers),
        ];
        let timers = Timers::new(Arc::clone(&views), Arc::clone(&executor), handlers, TimerPolicy::default());
        let seal = vault.authenticator("requests").await?;
        let database_check = DatabaseCheck::new(&settings.node);
        let last_changes = Cache::new(REMEMBERED);
        let stream_places = Arc::new(Semaphore::new((settings.connections.most / 4).clamp(1, Semaphore::MAX_PERMITS)));
        let limits = Limits::new(settings.rates);
        let metrics = Metrics::new(
            (Arc::<dyn Database>::clone(&database), Arc::clone(&views), Arc::clone(&clock)),
            Arc::clone(&passwords),
            sign_in.outcomes(),
            settings.dropped_log_lines,
        );
        Ok(Self(Arc::new(Parts {
            database,
            clock,
            vault,
            executor,
            access,
            activity,
            metering,
            payments,
            licences,
            views,
            denial_log,
            audit_log: Arc::new(audit_log),
            staff_numbers,
            positions,
            accounts,
            attempts,
            sign_in,
            passwords,
            password_resets,
            links,
            jobs,
            timers,
            imports,
            settings,
            seal,
            limits,
            metrics,
            database_check,
            uploads: Arc::new(Shares::new(UPLOADS_AT_ONCE)),
            large: Arc::new(Semaphore::new(LARGE_AT_ONCE)),
            streams: Arc::new(Shares::new(STREAMS_PER_SESSION)),
            stream_places,
            stopping: watch::Sender::new(false),
            last_changes,
        })))
    }

    /// Includes these reactors in the metrics. Only the first call takes effect.
    pub fn count(&self, reactors: &Arc<Reactors>) {
        self.metrics.count(Arc::clone(reactors));
    }

    /// A permit to hold a large payload. Work that outlives the request must hold it, too.
    ///
    /// # Errors
    /// If none becomes free in time.
    pub(crate) async fn permit(&self) -> Result<Arc<OwnedSemaphorePermit>, Problem> {
        match timeout(PATIENCE, Arc::clone(&self.large).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Arc::new(permit)),
            Ok(Err(_)) | Err(_) => {
                let detail = "Too many uploads and reports are in progress. Retry after a pause.";
                Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail).after(5))
            }
        }
    }

    /// A permit for a stream, which takes up a connection for long: a quarter of them may be. `None` if none is free.
    pub(crate) fn stream_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.stream_places).try_acquire_owned().ok()
    }

    /// Ends all streams, because the node stops.
    pub fn end_streams(&self) {
        self.stopping.send_replace(true);
    }

    /// Whether the node stops.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// A share in the uploads being received, so that slow ones of an organization hold up no other.
    ///
    /// # Errors
    /// If the organization has no share left.
    pub(crate) fn upload(&self, organization: OrganizationId) -> Result<Share<OrganizationId>, Problem> {
        self.uploads.take(organization).ok_or_else(|| {
            let detail = "Other uploads of your organization are in progress. Retry when they are done.";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail).after(5)
        })
    }

    /// The partition of an organization.
    ///
    /// # Errors
    /// If there is no such organization, or the log fails.
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
