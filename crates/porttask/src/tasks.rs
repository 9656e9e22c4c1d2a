//! `porttask tasks`: what is left to be done because something happened.

use clap::Subcommand;
use jiff::Timestamp;
use porttask_app::mail::Mailer;
use porttask_runtime::{
    reactors,
    tasks::{Task, TaskFilter, TaskId},
};
use uuid::Uuid;

use crate::{cli::Error, storage::StorageArgs};

/// How many tasks are read at a time.
const PAGE: usize = 1_000;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List tasks: waiting, under way, or dead, and why the last attempt failed. Those that are done are gone.
    List {
        /// Only the dead ones, which nobody tries any more.
        #[arg(long)]
        dead: bool,
        /// One JSON object per line.
        #[arg(long)]
        json: bool,
    },
    /// Retry a dead-lettered task as if it had never been tried, once its cause is fixed.
    #[command(alias = "revive")]
    Retry {
        /// Its id, as `porttask tasks list --dead` shows it.
        id: Uuid,
    },
    /// Let a reactor go on that is held since the log was put back from a copy.
    ///
    /// After `porttask events restored`, a reactor does nothing by itself: what happened between the copy and the loss was
    /// reacted to already, and would be again. Once released, it reacts to what happens from now on, and carries out the tasks
    /// that the copy holds: look at them first with `porttask tasks list`, as some of them may have been done.
    Release {
        /// Its name: mail.
        #[arg(value_parser = [Mailer::NAME])]
        reactor: String,
    },
}

impl Command {
    pub(crate) async fn run(self, storage: &StorageArgs) -> Result<(), Error> {
        let database = storage.open().await?;
        match self {
            Self::List { dead, json } => {
                let filter = TaskFilter { only_dead: dead, organization: None };
                let (mut after, mut count) = (None, 0);
                loop {
                    let page = database.tasks(&filter, after, PAGE).await?;
                    let Some(last) = page.last() else { break };
                    after = Some(last.id);
                    count += page.len();
                    page.iter().try_for_each(|task| say(task, json))?;
                }
                if count == 0 && !json {
                    println!("{}", if dead { "No task is dead." } else { "Nothing is left to be done." });
                }
            }
            Self::Retry { id } => {
                if !database.retry(TaskId(id), Timestamp::now()).await? {
                    return Err(format!("there is no dead task {id}: `porttask tasks list --dead` lists them").into());
                }
                println!("{id} is tried again.");
            }
            Self::Release { reactor } => {
                reactors::release(&database, &reactor).await?;
                let waiting = database.count_tasks(&reactor).await?.waiting;
                println!("{reactor} reacts to what happens from now on; {waiting} tasks wait.");
            }
        }
        Ok(())
    }
}

fn say(task: &Task, json: bool) -> Result<(), Error> {
    use std::io::Write;
    let Task { id, reactor, organization, kind, subject, due_at, attempts, last_error, is_dead_lettered, .. } = task;
    let error = last_error.as_deref();
    let mut out = std::io::stdout().lock();
    if json {
        let line = serde_json::json!({
            "id": id.to_string(), "reactor": reactor, "kind": kind, "organization": organization.to_string(),
            "subject": subject, "dead": is_dead_lettered, "attempts": attempts, "due_at": due_at, "last_error": error,
        });
        return Ok(writeln!(out, "{line}")?);
    }
    let state = if *is_dead_lettered { "dead".to_owned() } else { format!("due {due_at:.0}") };
    let error = error.map(|error| format!("\n    {error}")).unwrap_or_default();
    Ok(writeln!(out, "{id}  {reactor} {kind}  {organization}  {state}  {attempts} attempts{error}")?)
}
