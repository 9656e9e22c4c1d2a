//! `porttask views`: the tables of the read models.

use clap::{Args, Subcommand};
use porttask_runtime::views::{Loaded, Status, Views};
use serde::Serialize;

use crate::{error::Error, node::Node, progress::Progress, storage::StorageArgs};

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
    Verify(Chosen),
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
            Self::Verify(chosen) => verify(&views, &chosen).await,
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

async fn verify(views: &Views, chosen: &Chosen) -> Result<(), Error> {
    let mut count = 0;
    for name in chosen.names(views) {
        let faults = {
            let progress = Progress::new();
            let tell = |loaded: Loaded| {
                progress.tell(&format!("{name}, partition {}", loaded.partition), loaded.folded, loaded.of);
            };
            views.verify(name, &tell).await?
        };
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        chosen.say(name, if faults.is_empty() { "OK" } else { "MISMATCH" }, &faults)?;
        count += faults.len();
    }
    if count > 0 {
        return Err(format!("{count} discrepancies: run `porttask views rebuild` to repair them").into());
    }
    Ok(())
}

impl Chosen {
    fn names(&self, views: &Views) -> Vec<&str> {
        self.name.as_deref().map_or_else(|| views.names(), |name| vec![name])
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
