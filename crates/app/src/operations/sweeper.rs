//! Deletes what no document refers to: contents of deleted documents, and what uploads left that were not finished.

use std::{io, sync::Arc, time::Duration};

use porttask_domain::OrganizationId;
use porttask_projections::{
    ColumnType, ReadModel, Value,
    billing::{credit_note::CreditNotes, invoice::Invoices, seller::SellerLogos},
    operations::document::Documents,
};
use porttask_runtime::{
    ledger::Database,
    log::{LogError, PartitionId},
    ports::blobs::BlobStore,
    supervise::beat,
    views::{Condition, Query, ViewError, Views},
};
use tokio::time::sleep;

/// How old something must be: uploads take an hour at most, so what is older belongs to none.
const AGE: Duration = Duration::from_secs(24 * 3_600);
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);
/// Pause after a sweep that could not be made.
const PAUSE: Duration = Duration::from_secs(60);
/// How long a sweep waits for the read model. What it does not show yet could be deleted by mistake.
const PATIENCE: Duration = Duration::from_secs(20);

/// Deletes what no document refers to.
#[derive(Clone)]
pub struct BlobSweeper {
    database: Arc<dyn Database>,
    views: Arc<Views>,
    blobs: Arc<dyn BlobStore>,
}

/// What a sweep has deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Contents.
    pub contents: u64,
    /// Parts of contents, of uploads that were not finished.
    pub unfinished: u64,
}

/// Why a sweep was not made.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The contents could not be listed or deleted.
    #[error(transparent)]
    Blobs(#[from] io::Error),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The read model failed.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The read model is behind the log.
    #[error("a read model of contents is behind the log")]
    Behind,
}

impl BlobSweeper {
    /// Sweeps these contents.
    pub fn new(database: Arc<dyn Database>, views: Arc<Views>, blobs: Arc<dyn BlobStore>) -> Self {
        Self { database, views, blobs }
    }

    /// Sweeps every hour, until it is aborted.
    pub async fn run(self) {
        loop {
            beat(SWEEP_EVERY + PATIENCE);
            let pause = match self.sweep().await {
                Ok(swept) => {
                    tracing::debug!(?swept, "contents without a document were deleted");
                    SWEEP_EVERY
                }
                Err(error) => {
                    tracing::warn!(%error, "contents without a document could not be deleted: will retry");
                    PAUSE
                }
            };
            sleep(pause).await;
        }
    }

    /// Sweeps once.
    ///
    /// # Errors
    /// If something cannot be read or deleted; the rest is left for the next sweep.
    pub async fn sweep(&self) -> Result<Swept, SweepError> {
        let unfinished = self.blobs.delete_unfinished(AGE).await?;
        for head in self.database.heads().await? {
            for view in [Documents::NAME, SellerLogos::NAME, Invoices::NAME, CreditNotes::NAME] {
                if !self.views.wait_for(view, head.position, PATIENCE).await? {
                    return Err(SweepError::Behind);
                }
            }
        }
        let mut contents = 0;
        for organization in self.blobs.organizations().await? {
            // Those of organizations that this log does not have belong to another one.
            let Some(partition) = self.database.partition_of(organization).await? else { continue };
            for sha256 in self.blobs.older_than(organization, AGE).await? {
                let is_used = self.is_used(partition, organization, &sha256).await?;
                if !is_used && self.blobs.delete(organization, &sha256, AGE).await? {
                    contents += 1;
                }
            }
        }
        Ok(Swept { contents, unfinished })
    }

    async fn is_used(
        &self,
        partition: PartitionId,
        organization: OrganizationId,
        sha256: &str,
    ) -> Result<bool, ViewError> {
        let conditions = vec![
            Condition::Equal("organization", organization.to_value()),
            Condition::Equal("sha256", Value::Text(sha256.to_owned())),
        ];
        let query = Query { partition, conditions, limit: 1, ..Query::default() };
        let is_document = !self.views.rows::<Documents>(&query).await?.is_empty();
        if is_document || !self.views.rows::<SellerLogos>(&query).await?.is_empty() {
            return Ok(true);
        }
        // The files of invoices and credit notes.
        for column in ["pdf", "xml"] {
            let conditions = vec![
                Condition::Equal("organization", organization.to_value()),
                Condition::Equal(column, Value::Text(sha256.to_owned())),
            ];
            let query = Query { partition, conditions, limit: 1, ..Query::default() };
            let is_invoice = !self.views.rows::<Invoices>(&query).await?.is_empty();
            if is_invoice || !self.views.rows::<CreditNotes>(&query).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
