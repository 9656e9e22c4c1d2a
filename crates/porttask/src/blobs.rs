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

    /// Whether the folder is the same for all nodes. All nodes of an embedded log are on one machine.
    pub(crate) fn are_shared(&self, storage: &StorageArgs) -> Result<bool, Error> {
        Ok(self.blobs_shared || matches!(storage.storage()?, Storage::Sqlite(_)))
    }
}

/// Reports that a node runs. Fails if another one serves, and one of both may have a folder for documents of its own: of
/// nodes that start at the same time, the one that reported last sees the others.
pub(crate) async fn report(database: &dyn Database, holder: &Holder, shares_documents: bool) -> Result<(), Error> {
    database.report_node(holder, env!("CARGO_PKG_VERSION"), shares_documents).await?;
    let mut others =
        database.nodes().await?.into_iter().filter(|node| !node.is_silent && node.holder.node != holder.node);
    let Some(other) = others.find(|other| !shares_documents || !other.shares_documents) else { return Ok(()) };
    database.remove_node(holder).await?;
    let which = if shares_documents { "that one" } else { "this one" };
    Err(format!(
        "another node ({}) serves on this database, and {which} may have a folder for documents of its own: mount the \
         folder (PORTTASK_BLOBS) on all nodes and set PORTTASK_BLOBS_SHARED (--blobs-shared) on each; a node that was \
         killed counts for 30 s, unless it starts again under the same name (PORTTASK_NODE_NAME)",
        other.holder.node
    )
    .into())
}
