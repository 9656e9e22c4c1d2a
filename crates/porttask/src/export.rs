//! `porttask export`: exports, recorded before the first byte is written.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use porttask_app::{
    compliance::audit_log::{Asked, AuditLog, PlatformAsked},
    identity::organizations,
};
use porttask_domain::{
    Actor, Meta, OrganizationId,
    compliance::{
        Export,
        export::{self, Format},
    },
    identity::Capability,
};
use porttask_projections::{
    ReadModel,
    compliance::{audit_log as view, platform_audit_log::PlatformAuditLog},
    identity::user::Users,
};
use porttask_runtime::{execute::Request, log::Position, new_id, views::Views};

use crate::{error::Error, node::Node, progress::Progress, storage::StorageArgs};

/// Maximum time for the read models to catch up with the recorded export.
const PATIENCE: Duration = Duration::from_secs(3_600);

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Export the audit log of an organization, or the platform's audit trail, oldest entry first.
    ///
    /// The export itself is recorded as an entry, with the operator as its actor: the last entry of the file.
    Audit(Audit),
}

#[derive(Args)]
pub(crate) struct Audit {
    /// The id or domain of the organization.
    #[arg(long, required_unless_present = "platform")]
    organization: Option<String>,
    /// The platform's audit trail instead: what staff, keys of the platform and operators did in any organization. With
    /// `--organization`, only in that one.
    #[arg(long, conflicts_with_all = ["target", "session", "request", "ip", "text"])]
    platform: bool,
    /// The format: CSV with a header line, or one JSON object per line.
    #[arg(long, value_enum, default_value_t = Form::Csv)]
    format: Form,
    /// Only entries of this actor: the id or email address of a user, or `platform` for the operator and the system.
    #[arg(long)]
    actor: Option<String>,
    /// Only this action, such as user.role_changed, or all actions of a category, such as user.
    #[arg(long)]
    action: Option<String>,
    /// Only entries with this target: an id, or the email address of a user.
    #[arg(long)]
    target: Option<String>,
    /// Only entries that happened at or after this time, such as 2026-01-01T00:00:00Z.
    #[arg(long)]
    from: Option<Timestamp>,
    /// Only entries that happened before this time.
    #[arg(long)]
    until: Option<Timestamp>,
    /// Only entries of this session: its id.
    #[arg(long)]
    session: Option<String>,
    /// Only entries of the request with this id.
    #[arg(long)]
    request: Option<String>,
    /// Only entries from this IP address.
    #[arg(long)]
    ip: Option<String>,
    /// Only entries that contain all of these words. Names of people are not searched.
    #[arg(long)]
    text: Option<String>,
    /// Whether CSV starts with a byte order mark, by which spreadsheets recognize UTF-8.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    bom: bool,
    /// The file to create, readable by its owner only. Default: standard output.
    #[arg(long)]
    output: Option<PathBuf>,
}

/// The format of an export.
#[derive(Clone, Copy, ValueEnum)]
enum Form {
    Csv,
    Json,
}

impl Command {
    pub(crate) async fn run(self, storage: &StorageArgs) -> Result<(), Error> {
        match self {
            Self::Audit(audit) => audit.run(storage).await,
        }
    }
}

impl Audit {
    async fn run(self, storage: &StorageArgs) -> Result<(), Error> {
        let node = Node::open(storage).await?;
        let count = match self.platform {
            true => self.export_trail(&node, storage).await?,
            false => self.export_log(&node, storage).await?,
        };
        if let Some(file) = &self.output {
            eprintln!("Wrote {count} entries to {}", file.display());
        }
        Ok(())
    }

    async fn export_log(&self, node: &Node, storage: &StorageArgs) -> Result<u64, Error> {
        let name = self.organization.as_deref().unwrap_or_default();
        let organization = organizations::named(&*node.database, &node.vault, name).await?;
        let organization = organization.ok_or_else(|| format!("there is no organization {name}"))?;
        let (actor, action, target, text) =
            (self.actor.clone(), self.action.clone(), self.target.clone(), self.text.clone());
        let (session, request, ip) = (self.session.clone(), self.request.clone(), self.ip.clone());
        let asked = Asked { actor, action, target, from: self.from, until: self.until, text, session, request, ip };
        let views = node.views(storage).await?;
        views.run();
        views.catch_up(Users::NAME, PATIENCE).await?;
        let filter = asked.filter(&*node.database, &node.vault, &views, organization).await?;
        if filter.is_for_nobody() {
            return Err(format!("no user in {name} has this email address").into());
        }

        let mut out = self.output()?;
        let format = Format::from(self.format);
        let command =
            export::Command::Take(export::Event::AuditLogTaken { format, selection: filter.recorded(organization) });
        let position = record(node, organization, command).await?;
        for view in [view::AuditLog::NAME, Users::NAME] {
            reach(&views, view, position).await?;
        }
        let log = Arc::new(AuditLog::open(Arc::clone(&node.database), Arc::clone(&node.vault), views).await?);
        let mut taking = log.take(organization, &filter, position, true);
        let (mut head, mut count, progress) = (porttask_api::Head::of(self.bom), 0, Progress::new());
        while let Some(entries) = taking.next().await? {
            count += entries.len() as u64;
            let up_to = entries.last().map_or(position, |entry| entry.position).offset.0;
            out.write_all(&porttask_api::render(entries, format, std::mem::take(&mut head))?)?;
            progress.tell("Exporting", up_to, position.offset.0);
        }
        out.flush()?;
        drop(progress);
        Ok(count)
    }

    async fn export_trail(&self, node: &Node, storage: &StorageArgs) -> Result<u64, Error> {
        let (organization, actor, action) = (self.organization.clone(), self.actor.clone(), self.action.clone());
        let asked = PlatformAsked { organization, actor, action, from: self.from, until: self.until };
        let filter = asked.filter(&*node.database, &node.vault).await?;
        let views = node.views(storage).await?;
        views.run();

        let mut out = self.output()?;
        let format = Format::from(self.format);
        let command =
            export::Command::Take(export::Event::PlatformAuditLogTaken { format, selection: filter.recorded() });
        let position = record(node, OrganizationId::PLATFORM, command).await?;
        for head in node.database.heads().await? {
            reach(&views, PlatformAuditLog::NAME, head.position).await?;
            reach(&views, Users::NAME, head.position).await?;
        }
        let log = Arc::new(AuditLog::open(Arc::clone(&node.database), Arc::clone(&node.vault), views).await?);
        let mut taking = log.take_of_the_platform(&filter, position).await?;
        let (mut head, mut count) = (porttask_api::Head::of(self.bom), 0);
        while let Some(entries) = taking.next().await? {
            count += entries.len() as u64;
            out.write_all(&porttask_api::render_of_the_platform(entries, format, std::mem::take(&mut head))?)?;
        }
        out.flush()?;
        Ok(count)
    }

    fn output(&self) -> Result<Box<dyn Write + Send>, Error> {
        use std::os::unix::fs::OpenOptionsExt;
        let Some(path) = &self.output else { return Ok(Box::new(std::io::stdout())) };
        let file = File::options().write(true).create_new(true).mode(0o600).open(path);
        Ok(Box::new(BufWriter::new(file.map_err(|error| format!("{}: {error}", path.display()))?)))
    }
}

/// Records an export by the operator.
async fn record(node: &Node, organization: OrganizationId, command: export::Command) -> Result<Position, Error> {
    let request = Request::new(organization, Meta::by(Actor::Operator)).needing(Capability::Settle);
    let done = node.executor().execute::<Export>(new_id(), command, &request).await?;
    Ok(done.position.ok_or("the export was not recorded, so nothing is written")?)
}

/// Waits until a read model has reached a position.
async fn reach(views: &Views, view: &str, position: Position) -> Result<(), Error> {
    let late = |_| "the read models did not catch up in time: see `porttask views list`";
    Ok(tokio::time::timeout(PATIENCE, views.reach(view, position)).await.map_err(late)??)
}

impl From<Form> for Format {
    fn from(form: Form) -> Self {
        match form {
            Form::Csv => Self::Csv,
            Form::Json => Self::Json,
        }
    }
}
