//! `porttask constraints`: uniqueness constraints and counters.

use std::sync::Arc;

use clap::Subcommand;
use porttask_runtime::constraints::{ConstraintChecker, Discrepancy};

use crate::{error::Error, node::Node, storage::StorageArgs};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Compare the stored constraints with the events. Appends continue meanwhile.
    ///
    /// Fails if anything differs; `porttask constraints rebuild` repairs it.
    Verify {
        /// Print one JSON object per line.
        #[arg(long)]
        json: bool,
    },
    /// Rebuild the constraints from the events, and print what differed.
    Rebuild {
        /// Print one JSON object per line.
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    pub(crate) async fn run(self, storage: &StorageArgs) -> Result<(), Error> {
        let node = Node::open(storage).await?;
        let mut constraints = ConstraintChecker::new(Arc::clone(&node.database), Arc::clone(&node.vault));
        match self {
            Self::Verify { json } => {
                let faults = constraints.verify().await?;
                say(&faults, json)?;
                if !faults.is_empty() {
                    return Err(format!(
                        "{} discrepancies: run `porttask constraints rebuild` to repair them",
                        faults.len()
                    )
                    .into());
                }
                if !json {
                    println!("OK");
                }
            }
            Self::Rebuild { json } => {
                let faults = constraints.rebuild().await?;
                say(&faults, json)?;
                if !json {
                    println!("{} repaired.", faults.len());
                }
            }
        }
        Ok(())
    }
}

fn say(faults: &[Discrepancy], json: bool) -> Result<(), Error> {
    for fault in faults {
        if json {
            let Discrepancy { organization, what, kept, expected } = fault;
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
