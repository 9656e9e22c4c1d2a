//! Locks an embedded log and reads all of it, to be copied.

use std::{collections::HashSet, path::Path, time::Duration};

use jiff::Timestamp;
use porttask_runtime::log::{
    Head, Incarnation, LogError, Offset,
    integrity::{Damage, Defect},
};
use rusqlite::{Connection, ErrorCode, types::FromSql};
use uuid::Uuid;

use super::{error::from_sqlite, ledger, reader, store};
use crate::log::copy::{DERIVED, EventDigest, Kind, NOT_COPIED, Row, TABLES, Table, Value};

/// How long to wait for a process that is about to end. While this one waits, others cannot open the log.
const PATIENCE: Duration = Duration::from_secs(2);
/// Events per read.
const PAGE: usize = 1_000;

/// Opens a log that no other process has open, and keeps others from opening it until the connection is closed.
pub(in crate::log) fn lock(directory: &Path) -> Result<Connection, LogError> {
    let (connection, _) = store::open(directory)?;
    // In exclusive mode, a transaction needs the whole file: every connection of another process prevents it.
    let locked = connection
        .busy_timeout(PATIENCE)
        .and_then(|()| connection.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(())))
        .and_then(|()| connection.execute_batch("BEGIN IMMEDIATE; COMMIT"));
    locked.map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => LogError::Unusable(format!(
            "the log in {} is in use: stop the service and all other commands that use it, then retry",
            directory.display()
        )),
        _ => from_sqlite(&error),
    })?;
    must_be_known(&connection)?;
    Ok(connection)
}

/// Fails if there is a table or a column that would not be copied.
fn must_be_known(connection: &Connection) -> Result<(), LogError> {
    let known: HashSet<(&str, &str)> = TABLES
        .iter()
        .flat_map(|table| table.columns.iter().map(|(column, _)| (table.source, *column)))
        .chain(DERIVED)
        .collect();
    let sql = "SELECT stored.name, field.name FROM sqlite_schema AS stored JOIN pragma_table_info(stored.name) AS field
               WHERE stored.type = 'table' AND stored.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let found = connection.prepare(sql).and_then(|mut select| {
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<Result<Vec<(String, String)>, _>>()
    });
    let is_unknown = |(table, column): &&(String, String)| {
        !NOT_COPIED.contains(&table.as_str()) && !known.contains(&(table.as_str(), column.as_str()))
    };
    match found.map_err(|error| from_sqlite(&error))?.iter().find(is_unknown) {
        None => Ok(()),
        Some((table, column)) => {
            Err(LogError::Unusable(format!("this version does not know how to copy {table}.{column}")))
        }
    }
}

pub(in crate::log) fn purpose_keys(connection: &Connection) -> Result<Vec<(String, Vec<u8>)>, LogError> {
    ledger::purpose_keys(connection).map_err(|error| from_sqlite(&error))
}

pub(in crate::log) fn head(connection: &Connection) -> Result<Head, LogError> {
    reader::head(connection).map_err(|error| from_sqlite(&error))
}

pub(in crate::log) fn incarnation(connection: &Connection) -> Result<Incarnation, LogError> {
    reader::incarnation(connection).map_err(|error| from_sqlite(&error))
}

/// Whether the clock is simulated, and its offset in microseconds.
pub(in crate::log) fn clock(connection: &Connection) -> Result<(bool, i64), LogError> {
    let sql = "SELECT is_simulated, offset_microseconds FROM ledger_clock";
    let clock = connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
    clock.map_err(|error| from_sqlite(&error))
}

/// Verifies a page of events after an offset; returns the offset of the last one.
pub(in crate::log) fn verify(
    connection: &Connection,
    after: Offset,
    digest: &mut EventDigest,
) -> Result<Offset, LogError> {
    let mut reached = after;
    for event in reader::read_partition(connection, after, PAGE).map_err(|error| from_sqlite(&error))? {
        let expected = Offset(reached.0 + 1);
        let defect = match event.position.offset {
            offset if offset != expected => Some(Defect::Missing { from: expected }),
            _ => (!event.is_intact()).then_some(Defect::Altered),
        };
        if let Some(defect) = defect {
            let damage = Damage::of(&event, defect);
            return Err(LogError::Damaged(format!(
                "{damage}; nothing was copied: `porttask log verify` lists all damage"
            )));
        }
        digest.add(&event.leaf_hash.0);
        reached = event.position.offset;
    }
    Ok(reached)
}

/// The number of rows of a table.
pub(in crate::log) fn count(connection: &Connection, table: &Table) -> Result<u64, LogError> {
    let sql = format!("SELECT count(*) FROM {}", table.source);
    connection.query_row(&sql, [], |row| row.get(0)).map_err(|error| from_sqlite(&error))
}

/// Reads all rows of a table in batches, until one is not taken.
pub(in crate::log) fn read(
    connection: &Connection,
    table: &Table,
    batch: usize,
    take: impl Fn(Vec<Row>) -> bool,
) -> Result<(), LogError> {
    let columns: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
    let sql = format!("SELECT {} FROM {}", columns.join(", "), table.joined.unwrap_or(table.source));
    let read = || {
        let mut select = connection.prepare(&sql)?;
        let mut rows = select.query([])?;
        let mut batched = Vec::with_capacity(batch);
        while let Some(row) = rows.next()? {
            let columns = table.columns.iter().enumerate();
            batched.push(columns.map(|(index, (_, kind))| value(row, index, *kind)).collect::<Result<Row, _>>()?);
            if batched.len() == batch && !take(std::mem::replace(&mut batched, Vec::with_capacity(batch))) {
                return Ok(());
            }
        }
        if !batched.is_empty() {
            take(batched);
        }
        Ok(())
    };
    read().map_err(|error| from_sqlite(&error))
}

fn value(row: &rusqlite::Row<'_>, index: usize, kind: Kind) -> rusqlite::Result<Value> {
    fn read<T: FromSql>(
        row: &rusqlite::Row<'_>,
        index: usize,
        as_value: impl FnOnce(T) -> Value,
    ) -> rusqlite::Result<Value> {
        Ok(row.get::<_, Option<T>>(index)?.map_or(Value::Null, as_value))
    }
    match kind {
        Kind::Id => read(row, index, |bytes: [u8; 16]| Value::Id(Uuid::from_bytes(bytes))),
        Kind::Text => read(row, index, Value::Text),
        Kind::Bytes => read(row, index, Value::Bytes),
        Kind::Small => read(row, index, Value::Small),
        Kind::Number => read(row, index, Value::Number),
        Kind::Flag => read(row, index, Value::Flag),
        Kind::Time => {
            let Some(microseconds) = row.get::<_, Option<i64>>(index)? else { return Ok(Value::Null) };
            let time = Timestamp::from_microsecond(microseconds);
            time.map(Value::Time).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(index, microseconds))
        }
    }
}
