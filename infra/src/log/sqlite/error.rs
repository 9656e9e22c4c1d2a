//! Mapping of SQLite's errors to the log's errors.

use std::path::Path;

use porttask_runtime::log::LogError;
use rusqlite::{Error, ErrorCode};

/// The error of a read or write.
pub(super) fn from_sqlite(error: &Error) -> LogError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => LogError::Full(text),
        Some(ErrorCode::DatabaseCorrupt) => damaged(&text),
        Some(ErrorCode::NotADatabase) => LogError::Unusable(text),
        Some(_) => LogError::Unavailable(text),
        // A stored value of an unexpected type.
        None => damaged(&text),
    }
}

fn damaged(what: &str) -> LogError {
    LogError::Damaged(format!("{what}; restore the latest backup, then run `porttask events restored`"))
}

/// The error for a file that could not be opened as a log.
pub(super) fn at_open(path: &Path, error: &Error) -> LogError {
    let path = path.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => LogError::Unusable(format!(
            "{path} is not a PortTask log: choose another data folder, or move the file away"
        )),
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => LogError::Unusable(format!(
            "{path} cannot be opened for writing ({error}): check its owner and permissions"
        )),
        Some(ErrorCode::DatabaseCorrupt) => LogError::Damaged(format!(
            "{path}: {error}; restore the latest backup, then run `porttask events restored`"
        )),
        Some(ErrorCode::DatabaseBusy) => {
            LogError::Unavailable(format!("{path} is locked by another process: stop that process and retry"))
        }
        Some(ErrorCode::DiskFull) => LogError::Full(format!("{path}: {error}")),
        _ => LogError::Unavailable(format!("{path}: {error}")),
    }
}
