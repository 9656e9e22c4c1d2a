//! Port: the registry of nodes, in which every node that serves reports that it runs.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::time::sleep;

use crate::{lease::Holder, ledger::Database, log::LogError, supervise::beat};

/// How often a node reports.
pub const REPORTING: Duration = Duration::from_secs(10);
/// A node that has not reported for so long has probably stopped: two reports may fail before.
pub const SILENT_AFTER: Duration = Duration::from_secs(30);
/// A node that has not reported for so long is removed.
pub const REMOVED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A node that has reported. Times are those of the database's clock, also where the log has a simulated one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRecord {
    /// Its name and its run.
    pub holder: Holder,
    /// The version of the program that it runs.
    pub version: String,
    /// Whether its folder for the contents of documents is the same for all nodes.
    pub shares_documents: bool,
    /// When the run first reported.
    pub started_at: Timestamp,
    /// When it last reported.
    pub last_seen_at: Timestamp,
    /// Whether it has not reported for [`SILENT_AFTER`].
    pub is_silent: bool,
}

/// The registry, a part of the ledger. Implemented by every engine of the log.
#[async_trait]
pub trait NodeRegistry: Send + Sync {
    /// Reports that a node runs, and whether its folder for the contents of documents is the same for all nodes. Removes former runs of it that are silent, and what is silent for [`REMOVED_AFTER`].
    ///
    /// # Errors
    /// If the log's database fails.
    async fn report_node(&self, holder: &Holder, version: &str, shares_documents: bool) -> Result<(), LogError>;

    /// Removes a run that ends.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn remove_node(&self, holder: &Holder) -> Result<(), LogError>;

    /// All nodes, by name and start.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn nodes(&self) -> Result<Vec<NodeRecord>, LogError>;
}

/// Reports that a node runs, until it is aborted.
pub async fn run(database: Arc<dyn Database>, holder: Holder, version: &'static str, shares_documents: bool) {
    loop {
        beat(REPORTING);
        if let Err(error) = database.report_node(&holder, version, shares_documents).await {
            tracing::warn!(%error, "the node could not report that it runs");
        }
        sleep(REPORTING).await;
    }
}
