//! The options for the contents of documents.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use porttask_api::DocumentSettings;
use porttask_infra::{blobs::BlobFolder, log::Storage};
use porttask_runtime::{lease::Holder, ledger::Database};

use crate::{error::Error, storage::StorageArgs};

#[derive(Args)]
pub(crate) struct BlobArgs {
    /// The folder in which the contents of documents are kept. Default: the directory blobs in the data directory; with a
    /// PostgreSQL database, it must be set.
    #[arg(long, env = "PORTTASK_BLOBS")]
    blobs: Option<PathBuf>,
    /// The folder for documents is the same for all nodes: needed to run several nodes on one PostgreSQL database.
    #[arg(long, env = "PORTTASK_BLOBS_SHARED", action = clap::ArgAction::Set, num_args = 0..=1, default_value_t = false, default_missing_value = "true")]
    blobs_shared: bool,
    /// Maximum bytes of a document.
    #[arg(long, env = "PORTTASK_DOCUMENT_MAX_BYTES", default_value_t = 100 << 20, value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    document_max_bytes: u64,
}

impl BlobArgs {
    /// Where contents are kept, and how large they may be.
    pub(crate) fn settings(&self, storage: &StorageArgs) -> Result<DocumentSettings, Error> {
        let blobs = Arc::new(BlobFolder::new(self.path(storage)?));
        Ok(DocumentSettings { blobs, max_bytes: self.document_max_bytes })
    }

    /// Creates the folder if it is missing.
    pub(crate) fn create(&self, storage: &StorageArgs) -> Result<(), Error> {
        let path = self.path(storage)?;
        let created = BlobFolder::new(path.clone()).create();
        Ok(created.map_err(|error| format!("{}: {error} (PORTTASK_BLOBS)", path.display()))?)
    }

    fn path(&self, storage: &StorageArgs) -> Result<PathBuf, Error> {
        match (&self.blobs, storage.storage()?) {
            (Some(path), _) if !path.as_os_str().is_empty() => Ok(path.clone()),
            (_, Storage::Sqlite(directory)) => Ok(directory.join("blobs")),
            (_, Storage::Postgres(_)) => Err(
                "with a PostgreSQL database, set PORTTASK_BLOBS (--blobs) to the folder for the contents of documents"
                    .into(),
            ),
        }
    }

    /// Fails if another node serves that may have a folder of its own. All nodes of an embedded log are on one machine.
    pub(crate) async fn must_be_shared(
        &self,
        storage: &StorageArgs,
        database: &dyn Database,
        holder: &Holder,
    ) -> Result<(), Error> {
        let is_shared = self.blobs_shared || matches!(storage.storage()?, Storage::Sqlite(_));
        let nodes = if is_shared { Vec::new() } else { database.nodes().await? };
        let other = nodes.into_iter().find(|node| !node.is_silent && node.holder.node != holder.node);
        other.map_or(Ok(()), |other| {
            Err(format!(
                "another node ({}) serves on this database: mount the folder for documents (PORTTASK_BLOBS) on all \
                 nodes and set PORTTASK_BLOBS_SHARED (--blobs-shared) on each; a node that was killed counts for 30 s, \
                 unless it starts again under the same name (PORTTASK_NODE_NAME)",
                other.holder.node
            )
            .into())
        })
    }
}
