//! `porttask export`: what leaves the platform, recorded before its first byte.

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
    audit_log::{AuditLog, Filter, PLATFORM},
    execute::{Executor, Request},
    new_id, organizations,
};
use porttask_domain::{
    Actor, Meta, UserId,
    compliance::{
        Export,
        export::{self, Format},
    },
    identity::{Capability, EmailAddress},
    uuid_of,
};
use porttask_projections::models;
use uuid::Uuid;

use crate::{cli::Error, node::Node, progress::Progress, storage::StorageArgs};

/// How long the read models may take to come to what is recorded.
const PATIENCE: Duration = Duration::from_secs(3_600);

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Write the audit log of an organization, the oldest entry first.
    ///
    /// That it was taken out becomes an entry of its own, by the operator: the last that is written.
    Audit(Audit),
}

#[derive(Args)]
pub(crate) struct Audit {
    /// Whose: the id or the domain of an organization.
    #[arg(long)]
    organization: String,
    /// As CSV with a line of names, or as one JSON object per line.
    #[arg(long, value_enum, default_value_t = Form::Csv)]
    format: Form,
    /// Only by this user, by id or mail address; `platform` for the operator and the platform itself.
    #[arg(long)]
    actor: Option<String>,
    /// Only this action, as in user.role_changed, or all that happens to one kind of thing, as in user.
    #[arg(long)]
    action: Option<String>,
    /// Only what happened to this: an id, or the mail address of a user.
    #[arg(long)]
    target: Option<String>,
    /// Only from this instant on, as in 2026-01-01T00:00:00Z.
    #[arg(long)]
    from: Option<Timestamp>,
    /// Only before this instant.
    #[arg(long)]
    until: Option<Timestamp>,
    /// Only entries with all of these words; names of people are not among them.
    #[arg(long)]
    text: Option<String>,
    /// The file to write, which only its owner may read; otherwise standard output.
    #[arg(long)]
    output: Option<PathBuf>,
}

/// In which form something is taken out.
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
        let organization = organizations::named(&*node.database, &node.vault, &self.organization).await?;
        let organization = organization.ok_or_else(|| format!("there is no organization {}", self.organization))?;
        let subject = async |named: &str| -> Result<Uuid, Error> {
            if let Some(id) = uuid_of(named) {
                return Ok(id);
            }
            let email = EmailAddress::new(named).map_err(|_| format!("{named} is neither an id nor an address"))?;
            let key = node.vault.claim_key(organization, "email", &email.comparable());
            let holder = node.database.holder(&key).await?.and_then(|user| user.parse::<UserId>().ok());
            Ok(holder.ok_or_else(|| format!("nobody in {} has the address {named}", self.organization))?.0)
        };
        let actor = match self.actor.as_deref() {
            Some(PLATFORM) => Some(Uuid::nil()),
            Some(actor) => Some(subject(actor).await?),
            None => None,
        };
        let target = match self.target.as_deref() {
            Some(named) => {
                let id = subject(named).await?;
                Some((id, uuid_of(named).map_or_else(|| UserId(id).to_string(), |_| named.to_owned())))
            }
            None => None,
        };
        let (action, text) = (self.action.clone(), self.text.clone());
        let filter = Filter { actor, action, target, from: self.from, until: self.until, text };

        let mut out = self.output()?;
        let format = Format::from(self.format);
        let executor = Executor::new(Arc::clone(&node.database), Arc::clone(&node.vault));
        let command = export::Command::TakeAuditLog { format, selection: filter.recorded(organization) };
        let request = Request::new(organization, Meta::by(Actor::Operator)).needing(Capability::Settle);
        let done = executor.execute::<Export>(new_id(), command, &request).await?;
        let position = done.position.ok_or("nothing was recorded, so nothing is written")?;

        let views = node.views(storage).await?;
        views.run();
        for model in models() {
            if !views.wait_for(model.table().name, position, PATIENCE).await? {
                return Err("the read models did not come to what is recorded: see `porttask views list`".into());
            }
        }
        let log = Arc::new(AuditLog::new(Arc::clone(&node.database), Arc::clone(&node.vault), views));
        let mut taking = log.take(organization, &filter, position, true);
        let (mut is_first, mut count, progress) = (true, 0, Progress::new());
        while let Some(entries) = taking.next().await? {
            count += entries.len() as u64;
            let up_to = entries.last().map_or(position, |entry| entry.position).offset.0;
            out.write_all(&porttask_api::render(entries, format, std::mem::take(&mut is_first))?)?;
            progress.tell("Exporting", up_to, position.offset.0);
        }
        out.flush()?;
        drop(progress);
        if let Some(file) = &self.output {
            eprintln!("{count} entries in {}", file.display());
        }
        Ok(())
    }

    fn output(&self) -> Result<Box<dyn Write + Send>, Error> {
        use std::os::unix::fs::OpenOptionsExt;
        let Some(path) = &self.output else { return Ok(Box::new(std::io::stdout())) };
        let file = File::options().write(true).create_new(true).mode(0o600).open(path);
        Ok(Box::new(BufWriter::new(file.map_err(|error| format!("{}: {error}", path.display()))?)))
    }
}

impl From<Form> for Format {
    fn from(form: Form) -> Self {
        match form {
            Form::Csv => Self::Csv,
            Form::Json => Self::Json,
        }
    }
}
