//! The file of the embedded log: opening, migrating and validating it.

use std::{
    error::Error as _,
    fs::{self, DirBuilder},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    time::Duration,
};

use jiff::Timestamp;
use porttask_runtime::log::{Incarnation, LogError, Offset, SESSION_HASHES_KEPT};
use refinery_core::{Migration, Runner, error::Kind};
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::{error, reader};
use crate::private;

/// "PTlg": identifies the file as a PortTask log (`PRAGMA application_id`).
const APPLICATION_ID: i32 = 0x5054_6c67;
/// Pages larger than SQLite's default of 4096 bytes need fewer writes per batch (docs/adr/0003).
const PAGE_BYTES: u32 = 8192;
/// The writer's page cache: 64 MiB.
const CACHE_KIBIBYTES: i32 = 65_536;
/// How long to wait for another process's write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether a log is stored in `directory`.
pub(super) fn exists(directory: &Path) -> bool {
    let is_filled = |name: &str| fs::metadata(directory.join(name)).is_ok_and(|file| file.len() > 0);
    is_filled("log.db") || is_filled("log.lock")
}

/// Opens the log in `directory` for writing; also returns the offset of its last event.
pub(super) fn open(directory: &Path) -> Result<(Connection, Offset), LogError> {
    let no_folder = |error: io::Error| no_folder(directory, &error);
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(no_folder)?;
    private::check_directory(directory)?;
    // Serializes processes that start concurrently; the lock is released with the file handle.
    let lock_path = directory.join("log.lock");
    let mut lock = private::create(&lock_path).map_err(no_folder)?;
    lock.lock().map_err(no_folder)?;

    let path = directory.join("log.db");
    let is_empty = fs::metadata(&path).map_or(true, |file| file.len() == 0);
    let was_kept = lock.metadata().is_ok_and(|file| file.len() > 0);
    if is_empty && was_kept {
        return Err(LogError::Damaged(format!(
            "{} is missing or empty, but a log was stored here: restore the latest backup and run `porttask events \
             restored`, or remove {} to start a new log",
            path.display(),
            lock_path.display()
        )));
    }
    let at_open = |error: rusqlite::Error| error::at_open(&path, &error);
    private::create(&path).map_err(|error| {
        LogError::Unusable(format!("{} cannot be opened for writing ({error}): check its owner", path.display()))
    })?;
    let mut connection = Connection::open(&path).map_err(at_open)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(at_open)?;
    claim_file(&connection, &path)?;
    private::check_databases(directory)?;
    configure_writer(&connection).map_err(at_open)?;
    check_length(&connection, &path)?;
    migrate(&mut connection, &path)?;
    match reader::incarnation(&connection) {
        Err(rusqlite::Error::QueryReturnedNoRows) => begin_incarnation(&mut connection).map(drop).map_err(at_open)?,
        found => _ = found.map_err(at_open)?,
    }
    let head = reader::head(&connection).map_err(at_open)?;
    if !was_kept {
        lock.write_all(b"A PortTask log is stored in this folder.\n").map_err(no_folder)?;
    }
    Ok((connection, head.position.offset))
}

/// Copies the log to a new file in one snapshot, and makes it durable.
pub(super) fn backup(directory: &Path, file: &Path) -> Result<u64, LogError> {
    let cannot = |error: &dyn std::fmt::Display| {
        LogError::Unusable(format!("the backup {} cannot be written: {error}", file.display()))
    };
    // Never overwrites: a failed backup must not destroy the previous one.
    let created = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let created = created.map_err(|error| cannot(&error))?;
    let copied = Connection::open(directory.join("log.db"))
        .and_then(|log| {
            log.busy_timeout(BUSY_TIMEOUT)?;
            // SQLite accepts an existing file if it is empty.
            log.execute("VACUUM INTO ?1", [file.to_string_lossy()])
        })
        .map_err(|error| error::from_sqlite(&error));
    if let Err(error) = copied {
        _ = fs::remove_file(file);
        return Err(error);
    }
    created.sync_all().map_err(|error| cannot(&error))?;
    Ok(created.metadata().map_err(|error| cannot(&error))?.len())
}

fn no_folder(directory: &Path, error: &io::Error) -> LogError {
    let folder = directory.display();
    LogError::Unusable(format!("the data folder {folder} cannot be used ({error}): choose a writable one"))
}

/// Marks an empty file as a PortTask log; rejects a file of another program.
fn claim_file(connection: &Connection, path: &Path) -> Result<(), LogError> {
    let at_open = |error: rusqlite::Error| error::at_open(path, &error);
    let application: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(at_open)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(at_open)?;
    match (application, tables) {
        (APPLICATION_ID, _) => Ok(()),
        (0, 0) => {
            connection.pragma_update(None, "page_size", PAGE_BYTES).map_err(at_open)?;
            connection.pragma_update(None, "application_id", APPLICATION_ID).map_err(at_open)
        }
        _ => Err(LogError::Unusable(format!(
            "{} is the database of another program: choose another data folder",
            path.display()
        ))),
    }
}

/// Makes every commit durable.
fn configure_writer(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIBIBYTES)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

/// Rejects a truncated file. SQLite itself would notice only on access to a missing page.
fn check_length(connection: &Connection, path: &Path) -> Result<(), LogError> {
    let at_open = |error: rusqlite::Error| error::at_open(path, &error);
    let busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).map_err(at_open)?;
    let said = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, u64>(0)).map_err(at_open);
    let (pages, page_bytes) = (said("PRAGMA page_count")?, said("PRAGMA page_size")?);
    let length = fs::metadata(path).map_err(|error| LogError::Unavailable(error.to_string()))?.len();
    // While another process reads, pages may exist only in the WAL; that process has checked the file.
    if !busy && length < pages * page_bytes {
        return Err(LogError::Damaged(format!(
            "{} has {length} bytes instead of {}: it was truncated; restore the latest backup, \
             then run `porttask events restored`",
            path.display(),
            pages * page_bytes
        )));
    }
    Ok(())
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), LogError> {
    let migrations = [
        Migration::unapplied("V1__log", include_str!("../../../migrations/sqlite/V1__log.sql")),
        Migration::unapplied("V2__ledger", include_str!("../../../migrations/sqlite/V2__ledger.sql")),
        Migration::unapplied("V3__clock", include_str!("../../../migrations/sqlite/V3__clock.sql")),
        Migration::unapplied("V4__attempts", include_str!("../../../migrations/sqlite/V4__attempts.sql")),
        Migration::unapplied("V5__nodes", include_str!("../../../migrations/sqlite/V5__nodes.sql")),
        Migration::unapplied("V6__usage_counts", include_str!("../../../migrations/sqlite/V6__usage_counts.sql")),
        Migration::unapplied(
            "V7__simulated_payments",
            include_str!("../../../migrations/sqlite/V7__simulated_payments.sql"),
        ),
        Migration::unapplied(
            "V8__shared_documents",
            include_str!("../../../migrations/sqlite/V8__shared_documents.sql"),
        ),
    ];
    let migrations: Result<Vec<_>, _> = migrations.into_iter().collect();
    // Grouped: a migration and its history row are one transaction, so that a process can be killed at any moment.
    let migrated = migrations.and_then(|migrations| Runner::new(&migrations).set_grouped(true).run(connection));
    migrated.map(drop).map_err(|error| match error.kind() {
        Kind::MissingVersion(_) | Kind::DivergentVersion(..) => LogError::Unusable(format!(
            "{} was written by a newer version of PortTask: run that version, or restore a backup of this one",
            path.display()
        )),
        _ => match error.source().and_then(|cause| cause.downcast_ref::<rusqlite::Error>()) {
            Some(cause) => error::at_open(path, cause),
            None => LogError::Unusable(format!("{} cannot be migrated: {error}", path.display())),
        },
    })
}

/// Starts a new incarnation of the log.
pub(super) fn begin_incarnation(connection: &mut Connection) -> rusqlite::Result<Incarnation> {
    let incarnation = Uuid::now_v7();
    connection.execute("INSERT INTO incarnations (id) VALUES (?1)", params![incarnation.as_bytes()])?;
    Ok(Incarnation(incarnation))
}

/// Deletes expired idempotency records and counts of attempts, and hashes of sessions that have ended.
pub(super) fn forget_expired(connection: &mut Connection) -> rusqlite::Result<u64> {
    let now = Timestamp::now();
    let oldest = (now - SESSION_HASHES_KEPT).as_microsecond();
    connection.execute("DELETE FROM ledger_secrets WHERE kind = 'session' AND recorded_at < ?1", params![oldest])?;
    let now = now.as_microsecond();
    connection.execute("DELETE FROM ledger_attempts WHERE expires_at <= ?1", params![now])?;
    let forgotten = connection.execute("DELETE FROM ledger_idempotency_keys WHERE expires_at <= ?1", params![now])?;
    Ok(forgotten as u64)
}
