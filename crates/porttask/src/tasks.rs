//! `porttask tasks`: background tasks that events have triggered.

use clap::Subcommand;
use porttask_domain::{
    Actor, Meta, OrganizationId,
    platform::{self, task},
};
use porttask_runtime::{
    execute::Request,
    reactors,
    tasks::{Task, TaskFilter, TaskId, TaskState},
};
use uuid::Uuid;

use crate::{error::Error, node::Node, service::REACTORS, storage::StorageArgs};

/// Tasks per read.
const PAGE: usize = 1_000;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List tasks: waiting, running or dead-lettered, with the error of the last attempt. Completed tasks are deleted.
    List {
        /// Only dead-lettered tasks, which are not retried automatically.
        #[arg(long)]
        dead: bool,
        /// Print one JSON object per line.
        #[arg(long)]
        json: bool,
    },
    /// Retry a dead-lettered task, with all attempts, once the cause of its failure is fixed.
    ///
    /// It is recorded in the platform's audit trail, with the operator as actor.
    #[command(alias = "revive")]
    Retry {
        /// The id of the task, as shown by `porttask tasks list --dead`.
        #[arg(value_parser = task_id)]
        id: TaskId,
    },
    /// Release a reactor that is held since the log was restored from a backup.
    ///
    /// After `porttask events restored`, reactors are held: tasks in the backup may have been executed already, and
    /// events lost since the backup have already triggered theirs. Once released, the reactor handles new events and
    /// executes the tasks in the backup: check them first with `porttask tasks list`.
    Release {
        /// The name of the reactor.
        #[arg(value_parser = REACTORS)]
        reactor: String,
    },
}

impl Command {
    pub(crate) async fn run(self, storage: &StorageArgs) -> Result<(), Error> {
        let database = storage.open().await?;
        match self {
            Self::List { dead, json } => {
                let filter = TaskFilter { state: dead.then_some(TaskState::DeadLettered), organization: None };
                let (mut after, mut count) = (None, 0);
                loop {
                    let page = database.tasks(&filter, after, PAGE).await?;
                    let Some(last) = page.last() else { break };
                    after = Some(last.id);
                    count += page.len();
                    page.iter().try_for_each(|task| say(task, json))?;
                }
                if count == 0 && !json {
                    println!("{}", if dead { "No dead-lettered tasks." } else { "No tasks." });
                }
            }
            Self::Retry { id } => retry(&Node::open(storage).await?, id).await?,
            Self::Release { reactor } => {
                reactors::release(&database, &reactor).await?;
                let waiting = database.count_tasks(&reactor).await?.waiting;
                println!("Released {reactor}: it handles new events from now on. Waiting tasks: {waiting}.");
            }
        }
        Ok(())
    }
}

/// The id of a task as it is shown, or its UUID.
fn task_id(text: &str) -> Result<TaskId, String> {
    let shown = text.parse::<porttask_domain::TaskId>().map(|id| id.0);
    let id = shown.or_else(|error| text.parse::<Uuid>().map_err(|_| error.to_string()))?;
    Ok(TaskId(id))
}

/// Records the retry by the operator, then makes the task due.
async fn retry(node: &Node, id: TaskId) -> Result<(), Error> {
    let found = node.database.task(id).await?.filter(|task| task.is_dead_lettered);
    let found = found.ok_or_else(|| format!("no dead-lettered task {id}: see `porttask tasks list --dead`"))?;
    let Task { reactor, kind, organization, epoch, .. } = found;
    let command = task::Command::Retry { reactor, kind, organization, epoch };
    let request = Request::new(OrganizationId::PLATFORM, Meta::by(Actor::Operator));
    node.executor().execute::<platform::Task>(porttask_domain::TaskId(id.0), command, &request).await?;
    // Somebody else may have retried it meanwhile.
    node.database.retry(id, epoch).await?;
    println!("Task {id} will be retried.");
    Ok(())
}

fn say(task: &Task, json: bool) -> Result<(), Error> {
    use std::io::Write;
    let Task { id, reactor, organization, kind, subject, due_at, leased_until, .. } = task;
    let Task { attempts, last_error, is_dead_lettered, .. } = task;
    let error = last_error.as_deref();
    let mut out = std::io::stdout().lock();
    if json {
        let line = serde_json::json!({
            "id": id.to_string(), "reactor": reactor, "kind": kind, "organization": organization.to_string(),
            "subject": subject, "dead": is_dead_lettered, "attempts": attempts, "due_at": due_at,
            "leased_until": leased_until, "last_error": error,
        });
        return Ok(writeln!(out, "{line}")?);
    }
    let state = match leased_until {
        _ if *is_dead_lettered => "dead-lettered".to_owned(),
        Some(until) => format!("running, leased until {until:.0}"),
        None => format!("due {due_at:.0}"),
    };
    let error = error.map(|error| format!("\n    {error}")).unwrap_or_default();
    Ok(writeln!(out, "{id}  {reactor} {kind}  {organization}  {state}  {attempts} attempts{error}")?)
}
