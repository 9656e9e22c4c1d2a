//! Where the log is kept, as the command line and the environment say.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use porttask_infra::log::Storage;
use porttask_runtime::ledger::Database;

use crate::{cli::Error, secret};

#[derive(Args)]
pub(crate) struct StorageArgs {
    /// The folder of the embedded log, and of mails that no server takes.
    #[arg(long, env = "PORTTASK_DATA", default_value = "./data", global = true)]
    data: PathBuf,
    /// The PostgreSQL database to use instead: postgres://user:password@host/database?sslmode=verify-full
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true)]
    database_url: Option<String>,
    /// A file with the URL of the PostgreSQL database.
    #[arg(long, env = "DATABASE_URL_FILE", global = true)]
    database_url_file: Option<PathBuf>,
    /// The master key, under which the keys of personal data lie: 32 random bytes in base64, former ones after it.
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

    /// The master keys, if they were given.
    pub(crate) fn master_key(&self) -> Result<Option<String>, Error> {
        secret::given("PORTTASK_MASTER_KEY", self.master_key.as_deref(), self.master_key_file.as_deref())
    }

    /// Where mails are left if there is no server for them.
    pub(crate) fn mail_folder(&self) -> PathBuf {
        self.data.join("mail")
    }

    /// Where the log is, for the person at the terminal.
    pub(crate) fn place(&self) -> Result<String, Error> {
        Ok(match self.storage()? {
            Storage::Sqlite(directory) => format!("Everything is kept in {}", directory.display()),
            Storage::Postgres(_) => "Everything is kept in the PostgreSQL database that DATABASE_URL names".to_owned(),
        })
    }

    pub(crate) async fn open(&self) -> Result<Arc<dyn Database>, Error> {
        Ok(porttask_infra::log::open(&self.storage()?).await?)
    }
}
