//! `porttask import`: importing users from a file.

use std::{
    collections::HashMap,
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::{Args, Subcommand};
use jiff::SignedDuration;
use porttask_app::identity::{
    import::{Fault, Import, ImportRequest, Line, LineReport, LineResult, UnknownColumns, read, role_named},
    organizations,
};
use porttask_domain::{Actor, Meta, OrganizationId, identity::Role};
use porttask_runtime::jobs::Course;
use serde::Serialize;
use uuid::Uuid;

use crate::{error::Error, node::Node, progress::Progress, storage::StorageArgs};

/// The maximum size of a file.
const MAX_BYTES: u64 = 100 * 1024 * 1024;
/// The interval between progress updates.
const EVERY: Duration = Duration::from_millis(100);

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Create accounts from a CSV file with a header line: one account per line.
    ///
    /// Columns: name, email, and optionally role, tickets, invoices, reports, administration. Existing accounts are
    /// left unchanged, so the import can be repeated at any time. The exit code is 0 if no line was rejected, and 2 if
    /// some were.
    Users(Users),
}

#[derive(Args)]
pub(crate) struct Users {
    /// The file: UTF-8, with fields separated by commas, semicolons or tabs.
    file: PathBuf,
    /// The id or domain of the organization.
    #[arg(long)]
    organization: String,
    /// The role of users without a role in the file: admin, agent, read_only or auditor.
    #[arg(long, default_value = "read_only", value_parser = role)]
    role: Role,
    /// Invite all users in the file who have not been invited yet.
    #[arg(long)]
    send_invitations: bool,
    /// Invitations that the imports of an organization may send per day, unless it has a quota of its own.
    #[arg(long, alias = "invitations-per-day", env = "PORTTASK_IMPORT_INVITATIONS_PER_DAY", default_value_t = 1_000)]
    import_invitations_per_day: u32,
    /// Days until an invitation expires.
    #[arg(long, env = "PORTTASK_INVITATION_DAYS", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=365))]
    invitation_days: u32,
    /// Skip columns that are unknown; without this, the file is rejected.
    #[arg(long)]
    skip_unknown_columns: bool,
    /// Validate every line, and record nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Some lines were rejected; the output lists them.
#[derive(Debug)]
pub(crate) struct SomeWereRefused;

impl std::fmt::Display for SomeWereRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("some lines were rejected")
    }
}

impl std::error::Error for SomeWereRefused {}

impl Command {
    pub(crate) async fn run(self, storage: &StorageArgs) -> Result<(), Error> {
        match self {
            Self::Users(users) => users.run(storage).await,
        }
    }
}

impl Users {
    async fn run(self, storage: &StorageArgs) -> Result<(), Error> {
        let lines = read(&content(&self.file)?, self.role, self.unknown()).map_err(|error| self.of_file(&error))?;
        let node = Node::open(storage).await?;
        let organization = organizations::named(&*node.database, &node.vault, &self.organization).await?;
        let organization = organization.ok_or_else(|| format!("there is no organization {}", self.organization))?;
        let emails = emails(&lines);
        let reports = self.import(&node, organization, lines).await?;
        self.tell(organization, &reports, &emails)?;
        let is_refused = |report: &LineReport| report.result == LineResult::Rejected;
        if reports.iter().any(is_refused) { Err(SomeWereRefused.into()) } else { Ok(()) }
    }

    fn unknown(&self) -> UnknownColumns {
        if self.skip_unknown_columns { UnknownColumns::Skip } else { UnknownColumns::Reject }
    }

    async fn import(
        &self,
        node: &Node,
        organization: OrganizationId,
        lines: Vec<Line>,
    ) -> Result<Vec<LineReport>, Error> {
        let (database, vault) = (Arc::clone(&node.database), Arc::clone(&node.vault));
        let import = Import::open(database, vault, node.executor()).await?;
        let request_id = Some(format!("imp_{}", Uuid::now_v7().simple()));
        let order = ImportRequest {
            organization,
            meta: Meta { request_id, ..Meta::by(Actor::Operator) },
            is_retry: false,
            send_invitations: self.send_invitations,
            invitations_expire_at: node.clock.now() + SignedDuration::from_hours(24 * i64::from(self.invitation_days)),
            invitations_per_day: self.import_invitations_per_day,
            dry_run: self.dry_run,
        };
        let (course, progress, of) = (Course::new(), Progress::new(), lines.len() as u64);
        let mut importing = std::pin::pin!(import.run(order, lines, &course));
        loop {
            tokio::select! {
                reports = &mut importing => {
                    progress.tell("Importing", course.done(), of);
                    return Ok(reports?);
                }
                () = tokio::time::sleep(EVERY) => progress.tell("Importing", course.done(), of),
            }
        }
    }

    fn tell(
        &self,
        organization: OrganizationId,
        reports: &[LineReport],
        emails: &HashMap<u64, String>,
    ) -> Result<(), Error> {
        let summary = Summary::of(reports);
        let mut out = std::io::stdout().lock();
        if self.json {
            let lines = reports.iter().map(|report| Told { email: emails.get(&report.line), report });
            let document = Document { organization, dry_run: self.dry_run, summary, lines: lines.collect() };
            serde_json::to_writer(&mut out, &document)?;
            return Ok(writeln!(out)?);
        }
        for report in reports {
            let email = emails.get(&report.line).map_or(String::new(), |email| format!(" {email}"));
            for Fault { field, reason } in &report.faults {
                let field = field.map_or(String::new(), |field| format!(" {field}"));
                writeln!(out, "line {}:{email} rejected:{field} {reason}", report.line)?;
            }
            if let Some(reason) = &report.not_invited {
                writeln!(out, "line {}:{email} {}, invitation not sent: {reason}", report.line, report.result.name())?;
            }
        }
        let Summary { registered, unchanged, rejected, invited } = summary;
        let would = if self.dry_run { " Dry run: nothing was recorded." } else { "" };
        Ok(writeln!(
            out,
            "{registered} registered, {unchanged} unchanged, {rejected} rejected; {invited} invited.{would}"
        )?)
    }

    fn of_file(&self, error: &dyn std::fmt::Display) -> Error {
        format!("{}: {error}", self.file.display()).into()
    }
}

/// The number of lines per result.
#[derive(Serialize, Clone, Copy, Default)]
struct Summary {
    registered: usize,
    unchanged: usize,
    rejected: usize,
    invited: usize,
}

impl Summary {
    fn of(reports: &[LineReport]) -> Self {
        let with = |result| reports.iter().filter(|report| report.result == result).count();
        Self {
            registered: with(LineResult::Registered),
            unchanged: with(LineResult::Unchanged),
            rejected: with(LineResult::Rejected),
            invited: reports.iter().filter(|report| report.invited).count(),
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    organization: OrganizationId,
    dry_run: bool,
    #[serde(flatten)]
    summary: Summary,
    lines: Vec<Told<'a>>,
}

/// The result of a line, with its email address.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    report: &'a LineReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a String>,
}

/// The email addresses, by line.
fn emails(lines: &[Line]) -> HashMap<u64, String> {
    let email = |line: &Line| Some((line.number, line.content.as_ref().ok()?.email.to_string()));
    lines.iter().filter_map(email).collect()
}

fn content(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!(
            "{}: is larger than 100 MiB: split it, and repeat the header in each part",
            path.display()
        )
        .into());
    }
    Ok(bytes)
}

fn role(word: &str) -> Result<Role, &'static str> {
    role_named(word).ok_or("must be admin, agent, read_only or auditor")
}
