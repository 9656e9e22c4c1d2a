//! `porttask nodes`: the nodes of the service.

use clap::Subcommand;
use porttask_runtime::nodes::NodeRecord;

use crate::{error::Error, storage::StorageArgs};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the nodes that serve, with their versions.
    ///
    /// A node reports every 10 s. One that has been silent for 30 s has probably stopped; after a day it is not listed any
    /// more.
    List {
        /// Print one JSON object per line.
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    pub(crate) async fn run(self, storage: &StorageArgs) -> Result<(), Error> {
        let Self::List { json } = self;
        let nodes = storage.open().await?.nodes().await?;
        nodes.iter().try_for_each(|node| say(node, json))?;
        if nodes.is_empty() && !json {
            println!("No nodes.");
        }
        Ok(())
    }
}

fn say(node: &NodeRecord, json: bool) -> Result<(), Error> {
    use std::io::Write;
    let NodeRecord { holder, version, shares_documents: _, started_at, last_seen_at, is_silent } = node;
    let mut out = std::io::stdout().lock();
    if json {
        let line = serde_json::json!({
            "name": holder.node, "run": holder.run, "version": version, "started_at": started_at,
            "last_seen_at": last_seen_at, "is_silent": is_silent,
        });
        return Ok(writeln!(out, "{line}")?);
    }
    let state = if *is_silent { "silent" } else { "running" };
    Ok(writeln!(out, "{}  {version}  {state}  started {started_at:.0}  last seen {last_seen_at:.0}", holder.node)?)
}
