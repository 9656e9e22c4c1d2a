//! The service as a separate process of the same executable.

use std::{
    net::SocketAddr,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use porttask_app::identity::links::{Link, Links, Purpose};
use porttask_domain::{OrganizationId, UserId};
use private_postgres::PrivatePostgres;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::{sleep, timeout},
};

use super::client::Client;
use crate::{Error, store::Store};

/// The master key of the stores, in base64.
const MASTER_KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const ADMIN: &str = "ana@platform.example";
const PASSWORD: &str = "correct horse battery";
/// The unit of CPU times in `/proc` on Linux.
const TICKS_PER_SECOND: f64 = 100.0;
const PATIENCE: Duration = Duration::from_secs(600);

/// A running service; it is killed when dropped.
pub(crate) struct Service {
    child: Child,
    pub(crate) address: SocketAddr,
    /// The time from its start to its first response.
    pub(crate) started_in: Duration,
}

/// An organization, with a session of its admin.
#[derive(Clone)]
pub(crate) struct Organization {
    pub(crate) id: OrganizationId,
    pub(crate) token: String,
    /// The email address of its admin.
    pub(crate) admin: String,
}

impl Service {
    pub(crate) async fn start(server: Option<&PrivatePostgres>, directory: &Path) -> Result<Self, Error> {
        Self::start_with(server, directory, &[]).await
    }

    /// Starts it with more settings.
    pub(crate) async fn start_with(
        server: Option<&PrivatePostgres>,
        directory: &Path,
        settings: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let mut command = Command::new(std::env::current_exe()?);
        command.env_clear().args(["serve", "--listen", "127.0.0.1:0"]);
        command.env("PORTTASK_MASTER_KEY", MASTER_KEY).env("PORTTASK_INVITATIONS_PER_DAY", "1000000000");
        command.env("PORTTASK_IMPORT_INVITATIONS_PER_DAY", "1000000000");
        command.env("PORTTASK_ADMIN_EMAIL", ADMIN).env("PORTTASK_ADMIN_PASSWORD", PASSWORD);
        for budget in ["ATTEMPTS", "SESSION", "STRANGERS"] {
            command.env(format!("PORTTASK_RATE_{budget}"), "0");
        }
        command.env("PORTTASK_DATA", directory).envs(settings.iter().copied());
        if let Some(server) = server {
            command.env("DATABASE_URL", server.url("views")).env("PORTTASK_BLOBS", directory.join("blobs"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let start = Instant::now();
        let mut child = command.spawn()?;
        let mut said = BufReader::new(child.stderr.take().ok_or("no standard error")?).lines();
        let mut heard = Vec::new();
        let address = loop {
            let line = said.next_line().await?.ok_or_else(|| format!("the service did not start: {heard:?}"))?;
            match line.strip_prefix("Listening on http://").and_then(|rest| rest.split(';').next()) {
                Some(address) => break address.parse()?,
                None => heard.push(line),
            }
        };
        Client::connect(address, None).await?.get("/healthz", None).await?.ok()?;
        let started_in = start.elapsed();
        tokio::spawn(async move {
            while let Ok(Some(line)) = said.next_line().await {
                // Lines of the access log are what is measured.
                if !line.contains(" method=") {
                    eprintln!("  service: {line}")
                }
            }
        });
        Ok(Self { child, address, started_in })
    }

    /// Waits until all read models have caught up with the log.
    pub(crate) async fn is_ready(&self) -> Result<(), Error> {
        let waiting = async {
            let mut client = Client::connect(self.address, None).await?;
            loop {
                let answer = client.get("/readyz", None).await?;
                let views = answer.json().ok().and_then(|body| body["views"].as_array().cloned()).unwrap_or_default();
                if !views.is_empty() && views.iter().all(|view| view["events_behind"] == 0) {
                    return Ok(());
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, waiting).await?
    }

    /// Resident memory in MiB.
    pub(crate) fn memory(&self) -> Result<f64, Error> {
        let pid = self.child.id().ok_or("the service has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no resident memory")?;
        let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes / 1_024.0)
    }

    /// CPU time in seconds.
    pub(crate) fn processor_time(&self) -> Result<f64, Error> {
        let pid = self.child.id().ok_or("the service has ended")?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name of the program, in parentheses, may contain anything.
        let fields: Vec<&str> = stat.rsplit_once(')').ok_or("no name")?.1.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
        let (user, system) = (ticks(11).ok_or("no user time")?, ticks(12).ok_or("no system time")?);
        Ok((user + system) / TICKS_PER_SECOND)
    }

    /// Stops it with SIGTERM.
    pub(crate) async fn stop(mut self) -> Result<(), Error> {
        let pid = self.child.id().ok_or("the service has ended")?;
        std::process::Command::new("kill").args(["-TERM", &pid.to_string()]).status()?;
        timeout(PATIENCE, self.child.wait()).await??;
        Ok(())
    }

    pub(crate) async fn sign_in(&self, email: &str) -> Result<String, Error> {
        let mut client = Client::connect(self.address, None).await?;
        let session = client.post("/v1/sessions", &json!({"email": email, "password": PASSWORD})).await?.json()?;
        Ok(session["token"].as_str().ok_or("no token")?.to_owned())
    }

    /// Signs in as the first super admin; the token.
    pub(crate) async fn sign_in_as_staff(&self) -> Result<String, Error> {
        self.sign_in(ADMIN).await
    }

    /// Creates organizations, each with an admin who has signed in.
    pub(crate) async fn found(&self, store: &Store, count: usize) -> Result<Vec<Organization>, Error> {
        let token = self.sign_in(ADMIN).await?;
        let links = Links::open(&store.vault, "http://localhost").await?;
        let mut client = Client::connect(self.address, Some(&token)).await?;
        let mut organizations = Vec::new();
        for number in 0..count {
            let (domain, email) = (format!("org{number}.example"), format!("bob@org{number}.example"));
            let admin = json!({"name": "Bob Fisher", "email": email});
            let body = json!({"name": format!("Acme {number}"), "domain": domain, "first_admin": admin});
            let made = client.post("/v1/organizations", &body).await?.json()?;
            let id: OrganizationId = made["id"].as_str().ok_or("no id")?.parse()?;
            let users =
                client.get(&format!("/v1/organizations/{id}/users"), made["position"].as_str()).await?.json()?;
            let user: UserId = users["items"][0]["id"].as_str().ok_or("no user")?.parse()?;
            let expires_at = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
            let link =
                Link { purpose: Purpose::Invitation, organization: id, subject: user.0, generation: 1, expires_at };
            let body = json!({"token": links.token(&link), "password": PASSWORD});
            client.post("/v1/invitations/accept", &body).await?.ok()?;
            organizations.push(Organization { id, token: self.sign_in(&email).await?, admin: email });
        }
        Ok(organizations)
    }
}
