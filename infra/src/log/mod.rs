//! The engines of the event log.
//!
//! Both share the [queue](queue) of appends and the rules of `porttask_runtime::log::admission`; each owns only how a
//! batch is locked, read and written.

pub mod copy;
mod heads;
mod memory;
mod page;
pub mod postgres;
mod queue;
pub mod sqlite;

use porttask_runtime::{ledger::Database, log::LogError};
use std::{path::PathBuf, sync::Arc};

pub use queue::QueueLimits;

/// Where the log is stored.
#[derive(Clone, PartialEq, Eq)]
pub enum Storage {
    /// Embedded, in a directory.
    Sqlite(PathBuf),
    /// On a PostgreSQL server, by its URL.
    Postgres(String),
}

/// Whether a log is stored there.
///
/// # Errors
/// If the store cannot be reached; the message says what to do.
pub async fn exists(storage: &Storage) -> Result<bool, LogError> {
    match storage {
        Storage::Sqlite(directory) => Ok(sqlite::SqliteLog::exists(directory)),
        Storage::Postgres(url) => postgres::PostgresLog::exists(url).await,
    }
}

/// Opens the log and its ledger, creating or migrating them as needed.
///
/// # Errors
/// If the store cannot be reached or used; the message says what to do.
pub async fn open(storage: &Storage) -> Result<Arc<dyn Database>, LogError> {
    Ok(match storage {
        Storage::Sqlite(directory) => sqlite::SqliteLog::open(sqlite::SqliteOptions::new(directory)).await?,
        Storage::Postgres(url) => postgres::PostgresLog::open(postgres::PostgresOptions::new(url)).await?,
    })
}
