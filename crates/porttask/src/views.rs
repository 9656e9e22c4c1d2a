//! `porttask views`: the tables of the read models.

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use porttask_runtime::views::{Loaded, Status, Views};
use serde::Serialize;

use crate::{error::Error, node::Node, progress::Progress, storage::StorageArgs};

/// How long a running service may take to catch up.
const CATCH_UP: Duration = Duration::from_secs(5);

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the read models, with their offset and lag in each partition.
    List {
        /// Print one JSON object per line.
        #[arg(long)]
        json: bool,
    },
    /// Rebuild tables from the log next to the serving ones, then switch over, without downtime.
    Rebuild(Chosen),
    /// Compare tables with the log: the count and digest of their events, and every row with that of a rebuild.
    ///
    /// Fails if anything differs; `porttask views rebuild` repairs it.
    ///
    /// A table that is behind the log can still be OK: it is compared with the events that it has read.
    Verify {
        #[command(flatten)]
        chosen: Chosen,
        /// Fail, too, if a table is behind the log and does not catch up within five seconds.
        #[arg(long)]
        caught_up: bool,
    },
}

#[derive(Args)]
pub(crate) struct Chosen {
    /// The name of the read model, as shown by `porttask views list`. Default: all read models.
    name: Option<String>,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
}

impl Command {
    pub(crate) async fn run(self, storage: &StorageArgs) -> Result<(), Error> {
        let node = Node::open(storage).await?;
        let views = node.views(storage).await?;
        match self {
            Self::List { json } => list(&views, json),
            Self::Rebuild(chosen) => rebuild(&views, &chosen).await,
            Self::Verify { chosen, caught_up } => verify(&views, &chosen, caught_up).await,
        }
    }
}

#[derive(Serialize)]
struct Line {
    name: &'static str,
    version: u32,
    partition: u16,
    offset: u64,
    lag: u64,
}

fn list(views: &Views, json: bool) -> Result<(), Error> {
    for Status { name, version, partition, state, lag } in views.status() {
        let (partition, offset) = (partition.0, state.offset.0);
        let line = Line { name, version, partition, offset, lag };
        if json {
            println!("{}", serde_json::to_string(&line)?);
        } else if offset > 0 || lag > 0 {
            println!("{name:<16} v{version}  partition {partition}  offset {offset}  {lag} behind");
        }
    }
    Ok(())
}

async fn rebuild(views: &Views, chosen: &Chosen) -> Result<(), Error> {
    {
        let progress = Progress::new();
        let tell = |loaded: Loaded| {
            progress.tell(&format!("partition {}", loaded.partition), loaded.folded, loaded.of);
        };
        match &chosen.name {
            Some(name) => views.rebuild(name, &tell).await?,
            None => views.rebuild_all(&tell).await?,
        }
    }
    for name in chosen.names(views) {
        chosen.say(name, "rebuilt", &[])?;
    }
    Ok(())
}

async fn verify(views: &Views, chosen: &Chosen, caught_up: bool) -> Result<(), Error> {
    let (mut count, mut late) = (0, Vec::new());
    for name in chosen.names(views) {
        let faults = {
            let progress = Progress::new();
            let tell = |loaded: Loaded| {
                progress.tell(&format!("{name}, partition {}", loaded.partition), loaded.folded, loaded.of);
            };
            views.verify(name, &tell).await?
        };
        let behind = behind(views, name, caught_up).await?;
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        chosen.say_verified(name, &faults, behind)?;
        count += faults.len();
        if behind > 0 {
            late.push(name);
        }
    }
    if count > 0 {
        return Err(format!("{count} discrepancies: run `porttask views rebuild` to repair them").into());
    }
    if caught_up && !late.is_empty() {
        let late = late.join(", ");
        return Err(format!("behind the log: {late}; start the service, or run `porttask views rebuild`").into());
    }
    Ok(())
}

/// The number of events that a table lacks. A running service is given time to catch up.
async fn behind(views: &Views, name: &str, caught_up: bool) -> Result<u64, Error> {
    let until = Instant::now() + if caught_up { CATCH_UP } else { Duration::ZERO };
    loop {
        let behind = views.behind(name).await?;
        if behind == 0 || Instant::now() >= until {
            return Ok(behind);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

impl Chosen {
    fn names(&self, views: &Views) -> Vec<&str> {
        self.name.as_deref().map_or_else(|| views.names(), |name| vec![name])
    }

    fn say_verified(&self, name: &str, faults: &[String], behind: u64) -> Result<(), Error> {
        let result = if faults.is_empty() { "OK" } else { "MISMATCH" };
        if self.json {
            let line = serde_json::json!({"name": name, "result": result, "faults": faults, "behind": behind});
            println!("{}", serde_json::to_string(&line)?);
            return Ok(());
        }
        match behind {
            0 => self.say(name, result, faults),
            _ => self.say(name, &format!("{result}, but {behind} events behind the log"), faults),
        }
    }

    fn say(&self, name: &str, what: &str, faults: &[String]) -> Result<(), Error> {
        if self.json {
            println!(
                "{}",
                serde_json::to_string(&serde_json::json!({"name": name, "result": what, "faults": faults}))?
            );
            return Ok(());
        }
        println!("{name:<16} {what}");
        for fault in faults {
            println!("    {fault}");
        }
        Ok(())
    }
}
