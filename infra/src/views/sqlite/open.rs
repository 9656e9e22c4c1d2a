//! Opening the file of the read models. It contains only derived data, so a damaged one is set aside and rebuilt.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use porttask_runtime::views::ViewError;
use rusqlite::{Connection, Error, ErrorCode};

use super::{BUSY_TIMEOUT, tables::TABLES};
use crate::private;

/// The writer's page cache: 64 MiB. Rows are accessed at random.
const WRITER_CACHE_KIBIBYTES: i32 = 65_536;
/// Cached statements: a few for each model, and one for each set of columns that change together.
const STATEMENTS: usize = 256;

/// The writer's connection and another one.
type Connections = (Connection, Connection);

/// Opens the file, and locks it against being set aside until the lock is dropped.
pub(super) fn open(file: &Path) -> Result<(File, Connections), ViewError> {
    let failed = |error: &dyn std::fmt::Display| ViewError::Database(format!("{}: {error}", file.display()));
    let lock = private::create(&beside(file, "lock")).map_err(|error| failed(&error))?;
    let is_alone = lock.try_lock().is_ok();
    if !is_alone {
        lock.lock_shared().map_err(|error| failed(&error))?;
    }
    let marked = beside(file, "damaged");
    let opened = match connect(file) {
        Ok(opened) if !(is_alone && marked.exists()) => Ok(opened),
        Err(error) if !is_damage(&error) => Err(failed(&error)),
        Err(error) if !is_alone => Err(ViewError::Database(format!(
            "{}: {error}; it contains only derived data: stop all processes that use it, then start again to rebuild it",
            file.display()
        ))),
        _ => {
            let kept = set_aside(file).map_err(|error| failed(&error))?;
            _ = fs::remove_file(&marked);
            tracing::error!(
                "the read models in {} are damaged: the file was set aside as {}, and they are being rebuilt from the \
                 log",
                file.display(),
                kept.display()
            );
            connect(file).map_err(|error| failed(&error))
        }
    }?;
    lock.lock_shared().map_err(|error| failed(&error))?;
    Ok((lock, opened))
}

/// Whether the content of the file is damaged.
pub(super) fn is_damage(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Remembers that damage was met, for the next start.
pub(super) fn mark(file: &Path) {
    let marked = beside(file, "damaged");
    if !marked.exists() && private::create(&marked).is_ok() {
        tracing::error!("the read models in {} are damaged: restart to rebuild them", file.display());
    }
}

fn connect(file: &Path) -> rusqlite::Result<Connections> {
    // An error is reported by SQLite, in its words.
    _ = private::create(file);
    let writer = Connection::open(file)?;
    writer.busy_timeout(BUSY_TIMEOUT)?;
    if writer.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0))? == 0 {
        writer.pragma_update(None, "page_size", 8_192)?;
    }
    writer.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    writer.pragma_update(None, "synchronous", "NORMAL")?;
    writer.pragma_update(None, "cache_size", -WRITER_CACHE_KIBIBYTES)?;
    writer.set_prepared_statement_cache_capacity(STATEMENTS);
    writer.execute_batch(TABLES)?;
    probe(&writer)?;
    Ok((writer, Connection::open(file)?))
}

/// Reads the first and the last row of every table. A check of every page would take minutes.
fn probe(connection: &Connection) -> rusqlite::Result<()> {
    let mut tables = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0")?;
    let tables: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for table in tables {
        for order in ["ASC", "DESC"] {
            let mut key = connection.prepare("SELECT name FROM pragma_table_info(?1) ORDER BY pk = 0, pk LIMIT 1")?;
            let key: String = key.query_row([&table], |row| row.get(0))?;
            let sql = format!("SELECT * FROM \"{table}\" ORDER BY \"{key}\" {order} LIMIT 1");
            connection.prepare(&sql)?.query([])?.next()?;
        }
    }
    Ok(())
}

/// Renames the file and what belongs to it.
fn set_aside(file: &Path) -> io::Result<PathBuf> {
    let suffix = format!("damaged-{}", Timestamp::now().as_second());
    for part in ["-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(part);
        match fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let kept = beside(file, &suffix);
    fs::rename(file, &kept)?;
    Ok(kept)
}

/// A file named after the other one.
fn beside(file: &Path, extension: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}
