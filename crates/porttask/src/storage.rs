//! Where the log is kept, as the command line and the environment say.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use porttask_app::ledger::Database;
use porttask_infra::log::Storage;

use crate::cli::Error;

#[derive(Args)]
pub(crate) struct StorageArgs {
    /// The folder of the embedded log.
    #[arg(long, env = "PORTTASK_DATA", default_value = "./data", global = true)]
    data: PathBuf,
    /// The PostgreSQL database to use instead: postgres://user:password@host/database?sslmode=verify-full
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true)]
    database_url: Option<String>,
}

impl StorageArgs {
    pub(crate) fn storage(&self) -> Result<Storage, Error> {
        match &self.database_url {
            None => Ok(Storage::Sqlite(self.data.clone())),
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                Ok(Storage::Postgres(url.clone()))
            }
            Some(_) => Err("DATABASE_URL must begin with postgres://; unset it to use the embedded log".into()),
        }
    }

    pub(crate) async fn open(&self) -> Result<Arc<dyn Database>, Error> {
        Ok(porttask_infra::log::open(&self.storage()?).await?)
    }
}
