//! `porttask keys`: the keys that encrypt personal data.

use clap::Subcommand;

use crate::{error::Error, master_key, node::Node, progress::Progress, storage::StorageArgs};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Re-encrypt all data keys under the new master key, so that old master keys can be retired.
    ///
    /// Set both keys, the new one first: PORTTASK_MASTER_KEY="NEW OLD", and restart all nodes with both before running
    /// this command. Once it has completed, the new key is sufficient. It can be interrupted and run again.
    ///
    /// Of the embedded log, the file master.key in the data directory may contain both keys instead. It is rewritten with
    /// the new key only. A node that was started without the new key steps down.
    Rotate {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    pub(crate) async fn run(self, storage: &StorageArgs) -> Result<(), Error> {
        let Self::Rotate { json } = self;
        let node = Node::open(storage).await?;
        let rotated = {
            let progress = Progress::new();
            node.vault.rotate(&|looked_at| progress.tell("keys", looked_at, looked_at)).await?
        };
        let key = node.vault.master_id();
        let rewritten = master_key::keep_current_only(storage)?;
        if json {
            let line = serde_json::json!({
                "people": rotated.people, "purposes": rotated.purposes, "master_key": key, "file": rewritten,
            });
            println!("{}", serde_json::to_string(&line)?);
        } else {
            println!("Re-encrypted data keys: {} of people, {} of the service.", rotated.people, rotated.purposes);
            println!("Only master key {key} (its fingerprint) is needed from now on.");
            if let Some(file) = &rewritten {
                println!("Rewrote {} with this key only. Store a copy separately from the log.", file.display());
            }
        }
        eprintln!("Running nodes without this key step down within seconds: restart them with it.");
        Ok(())
    }
}
