//! `porttask views`: the read models' tables.

use clap::{Args, Subcommand};
use porttask_runtime::views::{Loaded, Status, Views};
use serde::Serialize;

use crate::{cli::Error, node::Node, progress::Progress, storage::StorageArgs};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the read models: how far each has read in every partition, and how far it is behind.
    List {
        /// One JSON object per line.
        #[arg(long)]
        json: bool,
    },
    /// Build tables anew from the log, beside the ones that serve, then switch. Nothing stands still meanwhile.
    Rebuild(Chosen),
    /// Compare tables with the log: count and digest of the events that they hold, and every row with that of a rebuild.
    ///
    /// Ends with an error if anything differs; `porttask views rebuild` repairs it.
    Verify(Chosen),
}

#[derive(Args)]
pub(crate) struct Chosen {
    /// Its name, as `porttask views list` shows it; all of them by default.
    name: Option<String>,
    /// One JSON object per line.
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
            println!("{name:<16} v{version}  partition {partition}  at {offset}  {lag} behind");
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
        chosen.say(name, if faults.is_empty() { "as the log says" } else { "differs from the log" }, &faults)?;
        count += faults.len();
    }
    if count > 0 {
        return Err(format!("{count} faults: `porttask views rebuild` repairs them").into());
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
