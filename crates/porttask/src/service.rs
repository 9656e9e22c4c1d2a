//! `porttask serve` and `porttask init`: the service and its initialization.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use jiff::SignedDuration;
use porttask_api::{App, DocumentSettings, Settings};
use porttask_app::{
    billing::{
        self,
        invoices::{collecting::Collector, rendering::Rendering},
        licence_renewal::LicenceRenewal,
        usage_days::UsageDays,
        warnings::UsageWarnings,
    },
    identity::{
        self,
        accounts::Accounts,
        invitations::InvitationLimits,
        links::Links,
        passwords::{NewPassword, Passwords},
        setup::{self, FirstSuperAdmin},
    },
    mail::Mailer,
    operations::{self, sweeper::BlobSweeper},
    support::{self, escalations::RESPONSE_HOURS},
};
use porttask_domain::{
    PersonName,
    identity::{DomainName, EmailAddress, organization::OrganizationName},
};
use porttask_infra::{log::Storage, tax_registry::ChecksumRegistry};
use porttask_runtime::{
    clock,
    lease::Holder,
    nodes,
    ports::{mail::MailTransport, payments::PaymentProvider},
    reactors::{Reactor, Reactors, RetryPolicy},
    supervise::{Restart, once, supervise},
    vault::{Vault, VaultError},
};
use tokio::{net::TcpListener, signal::unix::SignalKind, sync::oneshot};

use crate::{
    address,
    blobs::{self, BlobArgs},
    bounds::BoundsArgs,
    console,
    error::Error,
    invoices::PdfRenderer,
    logging::{self, print, say},
    mail::{self, MailArgs},
    node::Node,
    payments::PaymentArgs,
    secret,
    storage::StorageArgs,
};

/// Maximum time for the last writes after all requests have ended.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How often a node looks whether its master keys are still those of the log.
const CONFIRM_KEYS_EVERY: Duration = Duration::from_secs(5);
/// The names of all reactors.
pub(crate) const REACTORS: [&str; 5] =
    [Mailer::NAME, UsageWarnings::NAME, Collector::NAME, LicenceRenewal::NAME, Rendering::NAME];
/// The domain of the platform's organization if the public URL has none.
const NO_DOMAIN: &str = "platform.internal";

/// Options of the service and its initialization.
#[derive(Args)]
pub(crate) struct ServiceArgs {
    /// The IP address and port to listen on, or localhost and a port. An address that other machines can reach, such as
    /// 0.0.0.0:8080, requires PORTTASK_MASTER_KEY.
    #[arg(long, env = "PORTTASK_LISTEN", default_value = "127.0.0.1:8080", value_parser = address::listen)]
    listen: SocketAddr,
    /// The public URL, such as https://admin.example.com: links in emails start with it. Default: the address that the
    /// service listens on.
    #[arg(long, env = "PORTTASK_PUBLIC_URL", value_parser = address::public_url)]
    public_url: Option<String>,
    /// Proxies whose X-Forwarded-For header is trusted: IP addresses or networks, separated by commas. Default: none.
    #[arg(long, env = "PORTTASK_TRUSTED_PROXIES", value_delimiter = ',')]
    trusted_proxies: Vec<String>,
    /// Invitations that an organization may send per day, without those of imports, unless it has a quota of its own.
    #[arg(long, env = "PORTTASK_INVITATIONS_PER_DAY", default_value_t = 1_000)]
    invitations_per_day: u32,
    /// Invitations that the imports of an organization may send per day, unless it has a quota of its own.
    #[arg(long, env = "PORTTASK_IMPORT_INVITATIONS_PER_DAY", default_value_t = 1_000)]
    import_invitations_per_day: u32,
    /// Days until an invitation expires.
    #[arg(long, env = "PORTTASK_INVITATION_DAYS", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=365))]
    invitation_days: u32,
    /// Business hours of the organization within which staff has to reply to an escalated ticket.
    #[arg(long, env = "PORTTASK_TICKET_RESPONSE_HOURS", default_value_t = RESPONSE_HOURS, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    ticket_response_hours: u32,
    /// The name of this node, which must stay the same when it is restarted and differ from that of every other node: a
    /// node that starts takes over the tasks and jobs that it left unfinished. Default: host name and listening port.
    #[arg(long, env = "PORTTASK_NODE_NAME")]
    node_name: Option<String>,
    #[command(flatten)]
    mail: MailArgs,
    #[command(flatten)]
    pub(crate) blobs: BlobArgs,
    #[command(flatten)]
    payments: PaymentArgs,
    #[command(flatten)]
    bounds: BoundsArgs,
    /// Log every request: method, route, status, milliseconds, request id and caller.
    #[arg(long, env = "PORTTASK_ACCESS_LOG", action = clap::ArgAction::Set, num_args = 0..=1, default_value_t = false, default_missing_value = "true")]
    access_log: bool,
    /// The bearer token for /metrics. Without one, only callers on this machine have access.
    #[arg(long, env = "PORTTASK_METRICS_TOKEN", hide_env_values = true)]
    metrics_token: Option<String>,
    /// A file with the bearer token for /metrics.
    #[arg(long, env = "PORTTASK_METRICS_TOKEN_FILE")]
    metrics_token_file: Option<PathBuf>,
    /// Maximum seconds for running requests and tasks to finish at shutdown.
    #[arg(long, env = "PORTTASK_GRACE_SECONDS", default_value_t = 20)]
    grace_seconds: u64,
    /// The email address of the first super admin, for unattended installations. Used once.
    #[arg(long, env = "PORTTASK_ADMIN_EMAIL")]
    admin_email: Option<String>,
    /// The password of the first super admin. Used once; preferably set by a file.
    #[arg(long, env = "PORTTASK_ADMIN_PASSWORD", hide_env_values = true)]
    admin_password: Option<String>,
    /// A file with the password of the first super admin.
    #[arg(long, env = "PORTTASK_ADMIN_PASSWORD_FILE")]
    admin_password_file: Option<PathBuf>,
}

impl ServiceArgs {
    /// Serves until SIGTERM or SIGINT.
    pub(crate) async fn serve(self, storage: &StorageArgs) -> Result<(), Error> {
        let is_production = !self.listen.ip().is_loopback() || matches!(storage.storage()?, Storage::Postgres(_));
        if is_production {
            crate::master_key::must_be_given(storage)?;
        }
        let settings = self.settings(self.blobs.settings(storage)?)?;
        let listener = TcpListener::bind(self.listen).await.map_err(|error| format!("{}: {error}", self.listen))?;
        let address = listener.local_addr()?;
        let holder = Holder::new(self.node_name(address));
        let provider = self.payments.provider()?;
        let node = Node::open_or_create(storage).await?;
        let mut settings = settings(provider(&node.database));
        settings.node.clone_from(&holder.node);
        settings.mail_folder = self.mail.folder(storage)?;
        self.blobs.create(storage)?;
        let shares_documents = self.blobs.are_shared(storage)?;
        blobs::report(&*node.database, &holder, shares_documents).await?;
        let (database, running) = (Arc::clone(&node.database), holder.clone());
        let reporting = supervise("node registry", Restart::Always, move || {
            nodes::run(Arc::clone(&database), running.clone(), env!("CARGO_PKG_VERSION"), shares_documents)
        });
        let transport = self.mail.open(storage, self.domain_of_mail())?;
        let views = node.views(storage).await?;
        let passwords = Arc::new(Passwords::new(Arc::clone(&node.database)));
        let links = Links::open(&node.vault, &self.public_url(address)).await?;
        let pages = console::settings(storage, &self.public_url(address), self.mail.folder(storage)?)?;
        self.begin(&node, &passwords, &links).await?;
        views.run();
        let (database, vault) = (Arc::clone(&node.database), Arc::clone(&node.vault));
        let app = App::open(database, vault, views, passwords, links, Arc::clone(&node.clock), settings).await?;
        let (database, clock) = (Arc::clone(&node.database), Arc::clone(&node.clock));
        let synchronizing =
            supervise("clock", Restart::Always, move || clock::run(Arc::clone(&database), Arc::clone(&clock)));
        let (executor, vault, views) = (Arc::clone(&app.executor), Arc::clone(&app.vault), Arc::clone(&app.views));
        let trials = once("missing trials", async move {
            if let Err(error) = billing::trials::start_missing(&executor, &vault, &views).await {
                tracing::error!(%error, "trials of earlier organizations were not started: restart the service");
            }
        });
        let reactors = reactors(&app, transport).await?;
        app.count(&reactors);
        reactors.run(&holder);
        app.timers.run(&holder).await?;
        say(storage.place()?);
        say(self.mail.way(storage)?);
        say(self.payments.way());
        say(format_args!("Listening on http://{address}; API documentation at http://{address}/docs"));
        let grace = Duration::from_secs(self.grace_seconds);
        app.jobs.run(&holder);
        let (retired, stepping_down) = oneshot::channel();
        let told = told_to_stop()?;
        let vault = Arc::clone(&node.vault);
        let told = async move {
            tokio::select! {
                () = told => {}
                error = master_key_retired(&vault) => drop(retired.send(error)),
            }
        };
        let (stop, tasks_ended) = stopping(told, &app, reactors, grace);
        let (denial_log, activity) = (Arc::clone(&app.denial_log), Arc::clone(&app.activity));
        let (denials, uses) = (Arc::clone(&denial_log), Arc::clone(&activity));
        let settling = supervise("denial log", Restart::Always, move || Arc::clone(&denials).run());
        let (attempts, tries) = (Arc::clone(&app.attempts), Arc::clone(&app.attempts));
        let counting = supervise("attempts", Restart::Always, move || Arc::clone(&tries).run());
        let folder = storage.mail_folder();
        let tidying = supervise("mail folder", Restart::Always, move || mail::tidy(folder.clone()));
        let sweeper = BlobSweeper::new(
            Arc::clone(&app.database),
            Arc::clone(&app.views),
            Arc::clone(&app.settings.documents.blobs),
        );
        let sweeping = supervise("document sweeper", Restart::Always, move || sweeper.clone().run());
        let noting = supervise("credential activity", Restart::Always, move || Arc::clone(&uses).run());
        let (metering, meter) = (Arc::clone(&app.metering), Arc::clone(&app.metering));
        let metered = supervise("metering", Restart::Always, move || Arc::clone(&meter).run());
        let days = UsageDays::new(Arc::clone(&app.executor), holder.clone());
        let recording = supervise("usage days", Restart::Always, move || Arc::clone(&days).run());
        if !porttask_api::serve(listener, app, console::pages(pages), stop, grace).await? {
            say(format_args!("Stopped after {} s; some requests were aborted.", self.grace_seconds));
        }
        if !tasks_ended.await.unwrap_or(true) {
            say("Some tasks or jobs were aborted: they will be executed again.");
        }
        drop((trials, synchronizing, reporting, settling, counting, tidying, sweeping, noting, metered, recording));
        if !matches!(tokio::time::timeout(LAST_WORDS, node.database.remove_node(&holder)).await, Ok(Ok(()))) {
            say("The node remains listed for a day, as silent.");
        }
        if !metering.shutdown(LAST_WORDS).await {
            say("Some requests with API keys were not counted.");
        }
        if !activity.shutdown(LAST_WORDS).await {
            say("The last use of some sessions and API keys was not saved.");
        }
        if !attempts.shutdown(LAST_WORDS).await {
            say("Some failed sign-in attempts were not counted for other nodes.");
        }
        if !denial_log.shutdown(LAST_WORDS).await {
            say("Some denied requests were not recorded in the audit log.");
        }
        stepping_down.await.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Whether requests are logged.
    pub(crate) fn logs_access(&self) -> bool {
        self.access_log
    }

    /// Creates the platform's organization, and its first super admin or a link to create one; in a log with a simulated
    /// clock if `is_simulated`.
    pub(crate) async fn init(self, storage: &StorageArgs, is_simulated: bool) -> Result<(), Error> {
        let node = Node::open_or_create(storage).await?;
        if is_simulated {
            node.database.simulate_clock().await?;
            say("The clock of this log is simulated: `porttask clock advance` advances it.");
        }
        let passwords = Passwords::new(Arc::clone(&node.database));
        let links = Links::open(&node.vault, &self.public_url(self.listen)).await?;
        if !self.begin(&node, &passwords, &links).await? {
            say("The platform already has a super admin: sign in.");
        }
        Ok(())
    }

    /// Initializes the platform; returns whether a super admin was created or a link printed.
    async fn begin(&self, node: &Node, passwords: &Passwords, links: &Links) -> Result<bool, Error> {
        let executor = node.executor();
        setup::make_platform(&executor, OrganizationName::new("PortTask")?, self.domain()?).await?;
        billing::plans::make_plans(&executor).await?;
        if let Some(admin) = self.first_super_admin()? {
            let email = admin.email.to_string();
            if setup::first_super_admin(&executor, passwords, admin, node.clock.now()).await? {
                say(format_args!("Created the first super admin {email}."));
                return Ok(true);
            }
        }
        let Some(link) = setup::link(&executor, node.clock.now()).await? else { return Ok(false) };
        say("Use this link within an hour to create the first super admin; `porttask init` prints a new one:");
        print(links.address(&link));
        Ok(true)
    }

    fn first_super_admin(&self) -> Result<Option<FirstSuperAdmin>, Error> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let file = self.admin_password_file.as_deref();
        let password = secret::given("PORTTASK_ADMIN_PASSWORD", self.admin_password.as_deref(), file)?;
        let (email, password) = match (given(&self.admin_email), password) {
            (None, None) => return Ok(None),
            (Some(email), Some(password)) => (email, password),
            _ => return Err("set PORTTASK_ADMIN_EMAIL and PORTTASK_ADMIN_PASSWORD (or …_FILE) together".into()),
        };
        let address = EmailAddress::new(&email).map_err(|error| format!("PORTTASK_ADMIN_EMAIL {error}"))?;
        let password =
            NewPassword::new(&password, &[&email]).map_err(|error| format!("PORTTASK_ADMIN_PASSWORD {error}"))?;
        let name = PersonName::new("Super Admin")?;
        Ok(Some(FirstSuperAdmin { name, email: address, password }))
    }

    /// The settings, given the payment provider, which may need the database.
    fn settings(
        &self,
        documents: DocumentSettings,
    ) -> Result<impl FnOnce(Arc<dyn PaymentProvider>) -> Settings, Error> {
        let network = |text: &String| {
            let text = text.trim();
            let address = text.parse::<std::net::IpAddr>().map(Into::into);
            address.or_else(|_| text.parse()).map_err(|_| {
                format!("PORTTASK_TRUSTED_PROXIES: {text:?} is neither an IP address nor a network such as 10.0.0.0/8")
            })
        };
        let given = self.trusted_proxies.iter().filter(|text| !text.trim().is_empty());
        let trusted_proxies = given.map(network).collect::<Result<_, _>>()?;
        let file = self.metrics_token_file.as_deref();
        let (connections, sign_in_delay) = (self.bounds.connections()?, self.bounds.sign_in_delay());
        let (rates, sessions, attempts) = (self.bounds.rates(), self.bounds.sessions(), self.bounds.attempts());
        let metrics_token = secret::given("PORTTASK_METRICS_TOKEN", self.metrics_token.as_deref(), file)?;
        let invitations = InvitationLimits {
            per_day: self.invitations_per_day,
            imports_per_day: self.import_invitations_per_day,
            lifetime: SignedDuration::from_hours(24 * i64::from(self.invitation_days)),
        };
        let ticket_response = SignedDuration::from_hours(self.ticket_response_hours.into());
        let logs_access = self.access_log;
        Ok(move |payments| Settings {
            trusted_proxies,
            invitations,
            documents,
            payments,
            ticket_response,
            rates,
            sessions,
            attempts,
            sign_in_delay,
            connections,
            tax_registry: Arc::new(ChecksumRegistry),
            node: String::new(),
            mail_folder: None,
            logs_access,
            dropped_log_lines: logging::dropped,
            metrics_token,
        })
    }

    /// The name of this node, under which it holds leases. Two nodes of one host have different ports.
    fn node_name(&self, address: SocketAddr) -> String {
        let given = self.node_name.as_deref().map(str::trim).filter(|name| !name.is_empty());
        given.map_or_else(|| default_node_name(address), str::to_owned)
    }

    /// The URL that licences name, before the service listens.
    pub(crate) fn issuer(&self) -> String {
        self.public_url(self.listen).trim_end_matches('/').to_owned()
    }

    fn public_url(&self, address: SocketAddr) -> String {
        self.public_url.clone().filter(|url| !url.is_empty()).unwrap_or_else(|| format!("http://{address}"))
    }

    /// The default domain of the sender of emails.
    fn domain_of_mail(&self) -> String {
        self.host().map_or_else(|| "localhost".to_owned(), |domain| domain.to_string())
    }

    /// The host of the public URL, if it is a domain name.
    fn host(&self) -> Option<DomainName> {
        let url = self.public_url.as_deref().unwrap_or_default();
        let host = url.split_once("://").map_or(url, |(_, rest)| rest).split(['/', ':', '?']).next();
        host.and_then(|host| DomainName::new(host).ok())
    }

    /// The domain of the platform's organization.
    fn domain(&self) -> Result<DomainName, Error> {
        Ok(match self.host() {
            Some(domain) => domain,
            None => DomainName::new(NO_DOMAIN)?,
        })
    }
}

fn default_node_name(address: SocketAddr) -> String {
    format!("{}:{}", rustix::system::uname().nodename().to_string_lossy(), address.port())
}

/// The reactors of this node.
async fn reactors(app: &App, transport: Arc<dyn MailTransport>) -> Result<Arc<Reactors>, Error> {
    let (database, vault, executor) = (Arc::clone(&app.database), Arc::clone(&app.vault), Arc::clone(&app.executor));
    let accounts = Accounts::new(Arc::clone(&database), Arc::clone(&vault), Arc::clone(&app.views));
    let of_tickets = support::mails::mails(Arc::clone(&executor), app.links.clone(), accounts.clone());
    let ordered =
        operations::mails::mails(Arc::clone(&database), Arc::clone(&vault), Arc::clone(&executor), app.links.clone());
    let blobs = Arc::clone(&app.settings.documents.blobs);
    let (executing, opening, files) = (Arc::clone(&executor), Arc::clone(&vault), Arc::clone(&blobs));
    let of_billing = billing::mails::mails(executing, opening, app.links.clone(), accounts.clone(), files);
    let warnings = UsageWarnings::new(Arc::clone(&executor));
    let collector = Collector::new(Arc::clone(&executor), app.payments.clone(), Arc::clone(&app.views));
    let rendering = Rendering::new(Arc::clone(&executor), blobs, Arc::new(PdfRenderer));
    let renewal = LicenceRenewal::new(Arc::clone(&executor), Arc::clone(&app.views));
    let mut mails = identity::mails::mails(Arc::clone(&database), vault, executor, app.links.clone(), accounts);
    mails.extend(of_tickets);
    mails.extend(ordered);
    mails.extend(of_billing);
    let mailer = Mailer::new(mails, transport, Arc::clone(&app.clock));
    let all: Vec<Arc<dyn Reactor>> =
        vec![Arc::new(mailer), Arc::new(warnings), Arc::new(collector), Arc::new(renewal), Arc::new(rendering)];
    Ok(Reactors::open(database, all, RetryPolicy::default()).await?)
}

/// Wraps the stop signal so that it also stops tasks and jobs. The receiver yields whether all of them ended within
/// `grace`.
fn stopping(
    stop: impl Future<Output = ()> + Send + 'static,
    app: &App,
    reactors: Arc<Reactors>,
    grace: Duration,
) -> (impl Future<Output = ()> + Send + 'static, oneshot::Receiver<bool>) {
    let (ended, tasks_ended) = oneshot::channel();
    let (jobs, timers) = (Arc::clone(&app.jobs), Arc::clone(&app.timers));
    let stop = async move {
        stop.await;
        once("shutdown", async move {
            let (tasks, jobs, timers) =
                tokio::join!(reactors.shutdown(grace), jobs.shutdown(grace), timers.shutdown(grace));
            _ = ended.send(tasks && jobs && timers);
        })
        .detach();
    };
    (stop, tasks_ended)
}

/// Completes when the master keys of this node were retired by `porttask keys rotate`.
async fn master_key_retired(vault: &Vault) -> VaultError {
    loop {
        tokio::time::sleep(CONFIRM_KEYS_EVERY).await;
        if let Err(error @ VaultError::OtherMasterKey(_)) = vault.confirm().await {
            eprintln!("The master key of this node was retired by `porttask keys rotate`: shutting down.");
            return error;
        }
    }
}

/// Completes on SIGTERM or SIGINT.
fn told_to_stop() -> Result<impl Future<Output = ()> + Send + 'static, Error> {
    let mut terminate = tokio::signal::unix::signal(SignalKind::terminate())?;
    let mut interrupt = tokio::signal::unix::signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        say("Shutting down.");
    })
}
