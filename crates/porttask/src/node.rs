//! What commands operate on: the log, its keys and its read models.

use porttask_app::identity::organizations::StatusAllows;
use porttask_projections::models;
use porttask_runtime::{
    clock::{self, Clock},
    execute::Executor,
    ledger::Database,
    vault::{Vault, VaultError},
    views::Views,
};
use std::sync::Arc;

use crate::{error::Error, master_key::Given, storage::StorageArgs};

/// An open log whose personal values can be decrypted.
pub(crate) struct Node {
    pub(crate) database: Arc<dyn Database>,
    /// Synchronized once; a node that serves must run it.
    pub(crate) clock: Arc<Clock>,
    pub(crate) vault: Arc<Vault>,
}

impl Node {
    /// On an existing log.
    pub(crate) async fn open(storage: &StorageArgs) -> Result<Self, Error> {
        Self::on(storage.open().await?, Given::existing(storage)?).await
    }

    /// On a log that is created, together with its master key, if there is none.
    pub(crate) async fn open_or_create(storage: &StorageArgs) -> Result<Self, Error> {
        Self::on(storage.open_or_create().await?, Given::find(storage)?).await
    }

    async fn on(database: Arc<dyn Database>, given: Given) -> Result<Self, Error> {
        match Vault::open(Arc::<dyn Database>::clone(&database), given.keys.clone()).await {
            Ok(vault) => {
                given.in_force()?;
                let clock = Arc::new(Clock::new());
                clock::synchronize(&*database, &clock).await?;
                Ok(Self { database, clock, vault: Arc::new(vault) })
            }
            Err(error) => {
                // After any other error, a key that was just generated may be in use.
                if matches!(error, VaultError::OtherMasterKey(_)) {
                    given.not_in_force();
                }
                Err(error.into())
            }
        }
    }

    /// Executes commands.
    pub(crate) fn executor(&self) -> Arc<Executor> {
        let (database, vault) = (Arc::clone(&self.database), Arc::clone(&self.vault));
        Executor::new(database, vault, Arc::new(StatusAllows), Arc::clone(&self.clock))
    }

    /// The read models, without background folding.
    pub(crate) async fn views(&self, storage: &StorageArgs) -> Result<Arc<Views>, Error> {
        let tables = porttask_infra::views::open(&storage.storage()?).await?;
        let log = Arc::<dyn Database>::clone(&self.database);
        Ok(Views::open(log, Arc::clone(&self.vault), tables, models()).await?)
    }
}
