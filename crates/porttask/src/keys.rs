//! `porttask keys`: the keys that encrypt personal data.

use clap::Subcommand;

use crate::{error::Error, node::Node, progress::Progress, storage::StorageArgs};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Re-encrypt all data keys under the new master key, so that old master keys can be retired.
    ///
    /// Set both keys, the new one first: PORTTASK_MASTER_KEY="NEW OLD", and restart all nodes with both before running
    /// this command. Once it has completed, the new key is sufficient. It can be interrupted and run again.
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
        if json {
            let line = serde_json::json!({"people": rotated.people, "purposes": rotated.purposes});
            println!("{}", serde_json::to_string(&line)?);
        } else {
            println!("Re-encrypted data keys: {} of people, {} of the service.", rotated.people, rotated.purposes);
        }
        Ok(())
    }
}
