//! The options for the storage of the log.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use porttask_infra::log::Storage;
use porttask_runtime::{ledger::Database, log::CheckedLog};

use crate::{error::Error, secret};

#[derive(Args)]
pub(crate) struct StorageArgs {
    /// The data directory: the embedded log, and emails that are written as files.
    #[arg(long, env = "PORTTASK_DATA", default_value = "./data", global = true)]
    data: PathBuf,
    /// The PostgreSQL database to use instead of the embedded log:
    /// postgres://user:password@host/database?sslmode=verify-full
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true)]
    database_url: Option<String>,
    /// A file with the URL of the PostgreSQL database.
    #[arg(long, env = "DATABASE_URL_FILE", global = true)]
    database_url_file: Option<PathBuf>,
    /// The master key, which encrypts the keys of personal data: 32 random bytes in base64, optionally followed by
    /// previous keys.
    #[arg(long, env = "PORTTASK_MASTER_KEY", hide_env_values = true, global = true)]
    master_key: Option<String>,
    /// A file with the master key.
    #[arg(long, env = "PORTTASK_MASTER_KEY_FILE", global = true)]
    master_key_file: Option<PathBuf>,
}

impl StorageArgs {
    pub(crate) fn storage(&self) -> Result<Storage, Error> {
        match secret::given("DATABASE_URL", self.database_url.as_deref(), self.database_url_file.as_deref())? {
            None => Ok(Storage::Sqlite(self.data.clone())),
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                Ok(Storage::Postgres(url))
            }
            Some(_) => Err("DATABASE_URL must begin with postgres://; unset it to use the embedded log".into()),
        }
    }

    /// The master keys, if configured.
    pub(crate) fn master_key(&self) -> Result<Option<String>, Error> {
        secret::given("PORTTASK_MASTER_KEY", self.master_key.as_deref(), self.master_key_file.as_deref())
    }

    /// The directory for emails if there is no SMTP server.
    pub(crate) fn mail_folder(&self) -> PathBuf {
        self.data.join("mail")
    }

    /// The location of the log, as printed to the user.
    pub(crate) fn place(&self) -> Result<String, Error> {
        Ok(match self.storage()? {
            Storage::Sqlite(directory) => format!("Data is stored in {}", directory.display()),
            Storage::Postgres(_) => "Data is stored in the PostgreSQL database in DATABASE_URL".to_owned(),
        })
    }

    /// The existing log and its ledger; every event that is read is verified.
    pub(crate) async fn open(&self) -> Result<Arc<dyn Database>, Error> {
        Ok(CheckedLog::new(self.open_unchecked().await?))
    }

    /// The existing log without verification of what is read: only to find or show damage.
    pub(crate) async fn open_unchecked(&self) -> Result<Arc<dyn Database>, Error> {
        self.must_exist().await?;
        Ok(porttask_infra::log::open(&self.storage()?).await?)
    }

    /// The log and its ledger, created if there is none.
    pub(crate) async fn open_or_create(&self) -> Result<Arc<dyn Database>, Error> {
        Ok(CheckedLog::new(porttask_infra::log::open(&self.storage()?).await?))
    }

    /// Fails, and creates nothing, if there is no log: its place may be misspelled.
    pub(crate) async fn must_exist(&self) -> Result<(), Error> {
        let storage = self.storage()?;
        if porttask_infra::log::exists(&storage).await? {
            return Ok(());
        }
        Err(match storage {
            Storage::Sqlite(directory) => {
                format!("there is no log in {}: check PORTTASK_DATA (--data)", directory.display())
            }
            Storage::Postgres(_) => "there is no log in this database: check DATABASE_URL".to_owned(),
        } + "; `porttask init` or `porttask serve` creates one")?
    }
}
