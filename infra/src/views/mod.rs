//! The tables of the read models, for both engines.
//!
//! | file | what it owns |
//! |---|---|
//! | `sql.rs` | statements from a table's definition, for both dialects |
//! | `sqlite/` | a separate file beside the embedded log |
//! | `postgres/` | the schema `views` of the log's database |

pub mod postgres;
mod sql;
pub mod sqlite;

use porttask_runtime::views::{ViewError, ViewStore};
use std::sync::Arc;

use crate::log::Storage;

/// Opens the tables of the read models of an open log.
///
/// # Errors
/// If they cannot be reached or created.
pub async fn open(storage: &Storage) -> Result<Arc<dyn ViewStore>, ViewError> {
    Ok(match storage {
        Storage::Sqlite(directory) => sqlite::SqliteViews::open(directory)?,
        Storage::Postgres(url) => postgres::PostgresViews::open(url).await?,
    })
}
