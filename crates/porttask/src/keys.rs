//! `porttask keys`: the keys by which personal data is sealed.

use clap::Subcommand;

use crate::{cli::Error, node::Node, progress::Progress, storage::StorageArgs};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Wrap all keys by the first of the given master keys, so that the former ones are not needed any more.
    ///
    /// Give both keys, the new one first: PORTTASK_MASTER_KEY="NEW OLD", and restart all nodes with both before; once
    /// this command has ended, the new one alone is enough. It may be interrupted and begun again.
    Rotate {
        /// As JSON.
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
            println!("{} keys of people and {} of the service were wrapped anew.", rotated.people, rotated.purposes);
        }
        Ok(())
    }
}
