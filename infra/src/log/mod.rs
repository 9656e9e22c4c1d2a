//! The engines of the event log.
//!
//! Both share the [queue](queue) in which appends wait, and the rules of `porttask_runtime::log::admission`; each owns only
//! how the batch is locked, read and written.

mod heads;
mod memory;
mod page;
pub mod postgres;
mod queue;
pub mod sqlite;

use porttask_runtime::{ledger::Database, log::LogError};
use std::{path::PathBuf, sync::Arc};

pub use queue::QueueLimits;

/// Where the log is kept.
#[derive(Clone, PartialEq, Eq)]
pub enum Storage {
    /// Embedded, in a folder.
    Sqlite(PathBuf),
    /// On a PostgreSQL server, by its URL.
    Postgres(String),
}

/// Opens the log and its ledger, creating or migrating them if need be.
///
/// # Errors
/// If the store cannot be reached or used; the message names the remedy.
pub async fn open(storage: &Storage) -> Result<Arc<dyn Database>, LogError> {
    Ok(match storage {
        Storage::Sqlite(directory) => sqlite::SqliteLog::open(sqlite::SqliteOptions::new(directory)).await?,
        Storage::Postgres(url) => postgres::PostgresLog::open(postgres::PostgresOptions::new(url)).await?,
    })
}
