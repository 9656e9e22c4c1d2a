//! The catalog of tables: which exist, which serve, and the progress of each.

use porttask_projections::{Kind, Table};
use porttask_runtime::{
    log::{Checkpoint, EventId, Incarnation, Offset, PartitionId, Position},
    views::{Progress, View},
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use uuid::Uuid;

use super::Failure;
use crate::views::sql::{self, Dialect};

pub(super) const DIALECT: Dialect = Dialect {
    schema: "",
    table_options: " STRICT, WITHOUT ROWID",
    searched_table_options: " STRICT",
    found_by: "",
    sorts_numbers: false,
    merges: true,
    kind: |kind| match kind {
        Kind::Id => "BLOB",
        Kind::Integer | Kind::Boolean | Kind::Time => "INTEGER",
        Kind::Text => "TEXT",
    },
};

/// Finds rows only by their numbers, by no other index.
pub(super) const BY_NUMBERS: Dialect =
    Dialect { found_by: " NOT INDEXED", sorts_numbers: true, merges: false, ..DIALECT };

/// A text as stored in the full-text index: two blanks before each word.
pub(super) fn indexed(text: &str) -> String {
    format!("  {}", text.replace(' ', "  "))
}

pub(super) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS catalog (
        name       TEXT NOT NULL,
        version    INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        serves     INTEGER NOT NULL,
        PRIMARY KEY (name, version, generation)
    ) STRICT;
    CREATE UNIQUE INDEX IF NOT EXISTS one_serves ON catalog (name, version) WHERE serves;
    CREATE TABLE IF NOT EXISTS checkpoints (
        view        TEXT NOT NULL,
        partition   INTEGER NOT NULL,
        incarnation BLOB NOT NULL,
        offset      INTEGER NOT NULL,
        event_id    BLOB NOT NULL,
        count       INTEGER NOT NULL,
        digest      BLOB NOT NULL,
        PRIMARY KEY (view, partition)
    ) STRICT, WITHOUT ROWID;";

/// The serving table.
pub(super) fn served(transaction: &Transaction<'_>, table: Table) -> rusqlite::Result<Option<View>> {
    let find = "SELECT generation FROM catalog WHERE name = $1 AND version = $2 AND serves";
    let found = transaction.query_row(find, params![table.name, table.version], |row| row.get(0)).optional()?;
    Ok(found.map(|generation| View { table, generation }))
}

/// Creates the next table of a model.
pub(super) fn add(transaction: &Transaction<'_>, table: Table, serves: bool) -> Result<View, Failure> {
    let generation = transaction.query_row(
        "INSERT INTO catalog (name, version, generation, serves)
         SELECT $1, $2, coalesce(max(generation), 0) + 1, $3 FROM catalog WHERE name = $1 AND version = $2
         RETURNING generation",
        params![table.name, table.version, serves],
        |row| row.get(0),
    )?;
    let view = View { table, generation };
    let number = (!table.full_text_columns.is_empty()).then_some("number INTEGER PRIMARY KEY");
    transaction.execute_batch(&DIALECT.create(&view, number))?;
    Ok(view)
}

/// Builds the indexes of a table; full-text columns have a trigram index.
pub(super) fn build_indexes(transaction: &Transaction<'_>, view: &View) -> Result<(), Failure> {
    DIALECT.indexes(view).iter().try_for_each(|index| transaction.execute_batch(index))?;
    if !view.table.full_text_columns.is_empty() && !is_searchable(transaction, view)? {
        transaction.execute_batch(&format!(
            "CREATE VIRTUAL TABLE {view}_search
                 USING fts5(text, content = '', contentless_delete = 1, tokenize = 'trigram case_sensitive 1');
             INSERT INTO {view}_search ({view}_search, rank) VALUES ('automerge', 16);
             INSERT INTO {view}_search (rowid, text) SELECT number, '  ' || replace({}, ' ', '  ') FROM {}",
            sql::searched_text(view),
            DIALECT.name(view)
        ))?;
    }
    Ok(())
}

/// Whether the full-text index exists and must be maintained.
pub(super) fn is_searchable(connection: &Connection, view: &View) -> rusqlite::Result<bool> {
    let mut find = connection.prepare_cached("SELECT count(*) FROM sqlite_schema WHERE name = $1 || '_search'")?;
    find.query_row([view.to_string()], |row| row.get(0))
}

/// The tables of a model that do not serve.
pub(super) fn idle(transaction: &Transaction<'_>, table: &Table) -> rusqlite::Result<Vec<i64>> {
    let mut idle = transaction.prepare(
        "SELECT generation FROM catalog JOIN sqlite_schema AS made ON made.name = $1 || '_v' || $2 || '_g' || generation
         WHERE catalog.name = $1 AND version = $2 AND NOT serves",
    )?;
    let rows = idle.query_map(params![table.name, table.version], |row| row.get(0))?;
    rows.collect()
}

/// Drops a table. Its catalog entry stays, so that its name is never reused.
pub(super) fn remove(transaction: &Transaction<'_>, view: &View) -> Result<(), Failure> {
    let name = DIALECT.name(view);
    transaction.execute_batch(&format!("DROP TABLE IF EXISTS {view}_search; DROP TABLE IF EXISTS {name}"))?;
    transaction.execute("DELETE FROM checkpoints WHERE view = $1", [view.to_string()])?;
    transaction.execute(
        "UPDATE catalog SET serves = 0 WHERE name = $1 AND version = $2 AND generation = $3",
        params![view.table.name, view.table.version, view.generation],
    )?;
    Ok(())
}

pub(super) fn progress(connection: &Connection, view: &View) -> rusqlite::Result<Vec<Progress>> {
    let mut statement = connection.prepare_cached(
        "SELECT partition, incarnation, offset, event_id, count, digest FROM checkpoints WHERE view = $1
         ORDER BY partition",
    )?;
    let rows = statement.query_map([view.to_string()], |row| {
        let position = Position { partition: PartitionId(row.get(0)?), offset: Offset(row.get(2)?) };
        let incarnation = Incarnation(id(row, 1)?);
        let checkpoint = Checkpoint { incarnation, position, event_id: EventId(id(row, 3)?) };
        Ok(Progress { checkpoint, count: row.get(4)?, digest: row.get(5)? })
    })?;
    rows.collect()
}

fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    row.get::<_, [u8; 16]>(column).map(Uuid::from_bytes)
}
