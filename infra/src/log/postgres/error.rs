//! Mapping of PostgreSQL's errors to the log's errors.

use porttask_runtime::log::LogError;
use tokio_postgres::{Error, error::SqlState};

/// The error of a read or write.
pub(super) fn from_postgres(error: &Error) -> LogError {
    let Some(rejection) = error.as_db_error() else {
        return LogError::Unavailable(with_cause(error));
    };
    let text = format!("{} ({})", rejection.message(), rejection.code().code());
    match rejection.code().code().get(..2) {
        _ if *rejection.code() == SqlState::DISK_FULL => LogError::Full(text),
        _ if *rejection.code() == SqlState::INVALID_CATALOG_NAME => {
            LogError::Unusable(format!("{text}: create it with `createdb`, or correct DATABASE_URL"))
        }
        Some("28") => LogError::Unusable(format!("{text}: check user and password in DATABASE_URL")),
        Some("42") => LogError::Unusable(format!("{text}: use a PortTask database that this user owns")),
        _ if [SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED].contains(rejection.code()) => {
            LogError::Damaged(format!("{text}; restore the latest backup, then run `porttask events restored`"))
        }
        _ if *rejection.code() == SqlState::READ_ONLY_SQL_TRANSACTION => LogError::Unavailable(format!(
            "{text}: if this is a standby, add all hosts and target_session_attrs=read-write to DATABASE_URL"
        )),
        _ => LogError::Unavailable(text),
    }
}

/// The error for a connection that could not be made to `server`.
pub(super) fn at_connect(server: &str, error: &Error) -> LogError {
    if error.as_db_error().is_some() {
        return from_postgres(error);
    }
    // The driver distinguishes these only by their text.
    let text = with_cause(error);
    if text.starts_with("error performing TLS handshake") {
        return LogError::Unusable(format!(
            "{server}: {text}; the server must offer TLS, with a certificate for this host name from an authority that \
             sslrootcert names, unless sslmode in DATABASE_URL asks for less"
        ));
    }
    if text.starts_with("invalid configuration") {
        return LogError::Unusable(format!("{server}: {text}; correct DATABASE_URL"));
    }
    LogError::Unavailable(format!("{server}: {text}; check that the server is running and DATABASE_URL is correct"))
}

/// Whether the error is transient: a retry on a new connection may succeed.
pub(super) fn is_passing(error: &LogError) -> bool {
    matches!(error, LogError::Unavailable(_))
}

/// The message with all its sources: drivers report "error connecting" and put the reason in a source.
pub(crate) fn with_cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let reason = error.to_string();
        if !text.contains(&reason) {
            text = format!("{text}: {reason}");
        }
        cause = error.source();
    }
    text
}
