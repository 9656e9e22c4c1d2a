//! `porttask guards`: names and counts.

use std::sync::Arc;

use clap::Subcommand;
use porttask_runtime::constraints::{Fault, Guards};

use crate::{cli::Error, node::Node, storage::StorageArgs};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Compare the names and counts that the log keeps with what its events say; appends go on meanwhile.
    ///
    /// Ends with an error if anything differs; `porttask guards rebuild` mends it.
    Verify {
        /// One JSON object per line.
        #[arg(long)]
        json: bool,
    },
    /// Bring names and counts to what the events say, and print what was otherwise.
    Rebuild {
        /// One JSON object per line.
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    pub(crate) async fn run(self, storage: &StorageArgs) -> Result<(), Error> {
        let node = Node::open(storage).await?;
        let mut guards = Guards::new(Arc::clone(&node.database), Arc::clone(&node.vault));
        match self {
            Self::Verify { json } => {
                let faults = guards.verify().await?;
                say(&faults, json)?;
                if !faults.is_empty() {
                    return Err(format!("{} faults: `porttask guards rebuild` mends them", faults.len()).into());
                }
                if !json {
                    println!("Names and counts are as the events say.");
                }
            }
            Self::Rebuild { json } => {
                let faults = guards.rebuild().await?;
                say(&faults, json)?;
                if !json {
                    println!("{} mended.", faults.len());
                }
            }
        }
        Ok(())
    }
}

fn say(faults: &[Fault], json: bool) -> Result<(), Error> {
    for fault in faults {
        if json {
            let Fault { organization, what, kept, expected } = fault;
            let line = serde_json::json!({
                "organization": organization.to_string(), "what": what, "kept": kept, "expected": expected
            });
            println!("{}", serde_json::to_string(&line)?);
        } else {
            println!("{fault}");
        }
    }
    Ok(())
}
