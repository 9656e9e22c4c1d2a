//! `porttask timers`: what is due next, and what failed.

use std::io::Write;

use clap::Subcommand;
use porttask_domain::{OrganizationId, TextEnum};
use porttask_projections::platform::timer::Timers;
use porttask_runtime::{timers::TimerFailure, views::Query};
use uuid::Uuid;

use crate::{error::Error, node::Node, storage::StorageArgs};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List what is due next, such as the expiry of invitations, in order of time.
    List {
        /// Only timers whose last attempt failed, with the error.
        #[arg(long)]
        failed: bool,
        /// The maximum number of timers.
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// Print one JSON object per line.
        #[arg(long)]
        json: bool,
    },
    /// Attempt a failed timer again now, once the cause of its failure is fixed.
    Retry {
        /// The organization, as shown by `porttask timers list --failed`.
        organization: OrganizationId,
        /// The aggregate, as shown there.
        subject: Uuid,
    },
}

impl Command {
    pub(crate) async fn run(self, storage: &StorageArgs) -> Result<(), Error> {
        let node = Node::open(storage).await?;
        let mut out = std::io::stdout().lock();
        match self {
            Self::List { failed: true, limit, json } => {
                let failures = node.database.timer_failures(None, limit).await?;
                if failures.is_empty() && !json {
                    writeln!(out, "No failed timers.")?;
                }
                for failure in failures {
                    writeln!(out, "{}", if json { json_of(&failure) } else { text_of(&failure) })?;
                }
            }
            Self::List { failed: false, limit, json } => {
                let views = node.views(storage).await?;
                let sort = vec!["due_at", "organization", "subject"];
                let query = Query { is_everywhere: true, sort, limit, ..Query::default() };
                let timers = views.rows::<Timers>(&query).await?;
                if timers.is_empty() && !json {
                    writeln!(out, "Nothing is due.")?;
                }
                for timer in timers {
                    let (kind, due_at) = (timer.kind.as_str(), timer.due_at);
                    let (organization, subject) = (timer.organization, timer.subject);
                    if json {
                        let timer = serde_json::json!({
                            "organization": organization, "subject": subject, "kind": kind, "due_at": due_at,
                            "lane": timer.lane,
                        });
                        writeln!(out, "{timer}")?;
                    } else {
                        writeln!(out, "{due_at:.0}  {kind}  {organization}  {subject}")?;
                    }
                }
            }
            Self::Retry { organization, subject } => {
                if !node.database.retry_timer(organization, subject, node.clock.now()).await? {
                    return Err(format!("no failed timer of {subject}: see `porttask timers list --failed`").into());
                }
                writeln!(out, "The timer of {subject} will be attempted again within a minute.")?;
            }
        }
        Ok(())
    }
}

fn json_of(failure: &TimerFailure) -> String {
    let TimerFailure { organization, subject, kind, due_at, attempts, retry_at, error, .. } = failure;
    serde_json::json!({
        "organization": organization, "subject": subject, "kind": kind, "due_at": due_at, "attempts": attempts,
        "retry_at": retry_at, "error": error,
    })
    .to_string()
}

fn text_of(failure: &TimerFailure) -> String {
    let TimerFailure { organization, subject, kind, due_at, attempts, retry_at, error, .. } = failure;
    format!("{due_at:.0}  {kind}  {organization}  {subject}  {attempts} attempts, next {retry_at:.0}\n    {error}")
}
