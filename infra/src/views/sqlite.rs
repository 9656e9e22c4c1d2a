//! Read models in a file of their own, `views.db`, beside the embedded log: not as durable as the log, because whatever a
//! crash takes is folded again.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_app::{
    log::{Checkpoint, EventId, Incarnation, Offset, PartitionId, Position},
    views::{Batch, Changes, FoldOutcome, Frozen, Progress, Query, View, ViewError, ViewStore},
};
use porttask_projections::{Key, Kind, Model, Table, Value, Values};
use rusqlite::{
    Connection, OptionalExtension, Row, ToSql, Transaction, TransactionBehavior, params, params_from_iter,
    types::{ToSqlOutput, ValueRef},
};
use uuid::Uuid;

use super::sql::{self, Dialect};

const DIALECT: Dialect = Dialect {
    schema: "",
    table_options: " STRICT, WITHOUT ROWID",
    searched_table_options: " STRICT",
    has_words: |view, words, mut parameter| {
        let mut condition = String::new();
        let mut parameters = Vec::new();
        if !words.anywhere.is_empty() {
            condition =
                format!(" AND number IN (SELECT rowid FROM {view}_search WHERE {view}_search MATCH ${parameter})");
            let phrases: Vec<String> =
                words.anywhere.iter().map(|word| format!("\"{}\"", word.replace('"', "\"\""))).collect();
            parameters.push(phrases.join(" AND "));
            parameter += 1;
        }
        for word in &words.beginning {
            condition.push_str(&format!(" AND instr(' ' || {}, ${parameter}) > 0", sql::searched_text(view)));
            parameters.push(format!(" {word}"));
            parameter += 1;
        }
        (condition, parameters)
    },
    kind: |kind| match kind {
        Kind::Id => "BLOB",
        Kind::Integer | Kind::Boolean | Kind::Time => "INTEGER",
        Kind::Text => "TEXT",
    },
};

const TABLES: &str = "
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

/// The writer's page cache: 64 MiB. Rows are touched at random.
const WRITER_CACHE_KIBIBYTES: i32 = 65_536;
const READER_CACHE_KIBIBYTES: i32 = 16_384;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The read models' file.
pub struct SqliteViews {
    shared: Arc<Shared>,
}

struct Shared {
    file: std::path::PathBuf,
    writer: Mutex<Connection>,
    idle: Mutex<Vec<Connection>>,
}

impl SqliteViews {
    /// Opens the file in the folder of the embedded log.
    ///
    /// # Errors
    /// If it cannot be opened or is none of ours; it may simply be removed then.
    pub fn open(directory: &Path) -> Result<Arc<Self>, ViewError> {
        let file = directory.join("views.db");
        let open = || {
            let writer = Connection::open(&file)?;
            writer.busy_timeout(BUSY_TIMEOUT)?;
            if writer.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0))? == 0 {
                writer.pragma_update(None, "page_size", 8_192)?;
            }
            writer.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
            writer.pragma_update(None, "synchronous", "NORMAL")?;
            writer.pragma_update(None, "cache_size", -WRITER_CACHE_KIBIBYTES)?;
            writer.pragma_update(None, "wal_autocheckpoint", 4_096)?;
            writer.set_prepared_statement_cache_capacity(64);
            writer.execute_batch(TABLES)?;
            Ok(writer)
        };
        let writer = open().map_err(|error: rusqlite::Error| {
            ViewError::Database(format!("{}: {error}; it holds nothing but copies: remove it", file.display()))
        })?;
        let shared = Shared { file, writer: Mutex::new(writer), idle: Mutex::default() };
        Ok(Arc::new(Self { shared: Arc::new(shared) }))
    }

    /// Writes in one transaction, on a thread that may block.
    async fn write<T: Send + 'static>(
        &self,
        view: Option<View>,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, ViewError> {
        let shared = Arc::clone(&self.shared);
        let written = tokio::task::spawn_blocking(move || {
            let mut writer = shared.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let written = work(&transaction)?;
            transaction.commit()?;
            Ok(written)
        });
        let written = written.await.map_err(|error| ViewError::Database(error.to_string()))?;
        written.map_err(|failure: Failure| failure.in_view(view))
    }

    /// A look-up on the calling thread: rows of a page are found by an index in microseconds.
    fn read<T>(&self, view: &View, work: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, ViewError> {
        let connection = self.shared.reader().map_err(|error| Failure::from(error).in_view(Some(*view)))?;
        let result = work(&connection).map_err(|failure| failure.in_view(Some(*view)));
        self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        result
    }
}

impl Shared {
    fn reader(&self) -> rusqlite::Result<Connection> {
        if let Some(connection) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(connection);
        }
        let connection = Connection::open(&self.file)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.pragma_update(None, "cache_size", -READER_CACHE_KIBIBYTES)?;
        Ok(connection)
    }
}

/// Why a transaction failed.
enum Failure {
    Sqlite(rusqlite::Error),
    View(ViewError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Failure {
    fn in_view(self, view: Option<View>) -> ViewError {
        match (self, view) {
            (Self::View(error), _) => error,
            // SQLite has no code of its own for it.
            (Self::Sqlite(error), Some(view)) if error.to_string().contains("no such table") => {
                ViewError::Gone(view.to_string())
            }
            (Self::Sqlite(error), _) => ViewError::Database(error.to_string()),
        }
    }
}

#[async_trait]
impl ViewStore for SqliteViews {
    async fn serving(&self, table: &Table) -> Result<View, ViewError> {
        let table = *table;
        let serving = move |transaction: &Transaction<'_>| {
            if let Some(view) = served(transaction, table)? {
                return Ok(view);
            }
            let view = add(transaction, table, true)?;
            build_indexes(transaction, &view)?;
            Ok(view)
        };
        self.write(None, serving).await
    }

    async fn begin(&self, table: &Table) -> Result<View, ViewError> {
        let table = *table;
        let begin = move |transaction: &Transaction<'_>| {
            for generation in idle(transaction, &table)? {
                remove(transaction, &View { table, generation })?;
            }
            add(transaction, table, false)
        };
        self.write(None, begin).await
    }

    async fn index(&self, view: &View) -> Result<(), ViewError> {
        let view = *view;
        self.write(Some(view), move |transaction| build_indexes(transaction, &view)).await
    }

    async fn switch(&self, new: &View) -> Result<bool, ViewError> {
        let new = *new;
        let switch = move |transaction: &Transaction<'_>| {
            let reached: Vec<Progress> = progress(transaction, &new)?;
            let old = served(transaction, new.table)?;
            for old in old.iter().map(|old| progress(transaction, old)).collect::<Result<Vec<_>, _>>()?.concat() {
                let Position { partition, offset } = old.checkpoint.position;
                let same = reached.iter().find(|new| new.checkpoint.position.partition == partition);
                if same.is_none_or(|new| new.checkpoint.position.offset < offset) {
                    return Ok(false);
                }
            }
            if let Some(old) = old {
                remove(transaction, &old)?;
            }
            let serve = "UPDATE catalog SET serves = 1 WHERE name = $1 AND version = $2 AND generation = $3";
            transaction.execute(serve, params![new.table.name, new.table.version, new.generation])?;
            Ok(true)
        };
        self.write(Some(new), switch).await
    }

    async fn drop_table(&self, view: &View) -> Result<(), ViewError> {
        let view = *view;
        self.write(Some(view), move |transaction| remove(transaction, &view)).await
    }

    async fn clear(&self, view: &View, partition: PartitionId) -> Result<(), ViewError> {
        let view = *view;
        let clear = move |transaction: &Transaction<'_>| {
            let name = DIALECT.name(&view);
            if is_searchable(transaction, &view)? {
                let found = format!("SELECT number FROM {name} WHERE partition = $1");
                transaction.execute(&format!("DELETE FROM {view}_search WHERE rowid IN ({found})"), [partition.0])?;
            }
            transaction.execute(&format!("DELETE FROM {name} WHERE partition = $1"), [partition.0])?;
            let checkpoint = "DELETE FROM checkpoints WHERE view = $1 AND partition = $2";
            transaction.execute(checkpoint, params![view.to_string(), partition.0])?;
            Ok(())
        };
        self.write(Some(view), clear).await
    }

    async fn progress(&self, view: &View) -> Result<Vec<Progress>, ViewError> {
        self.read(view, |connection| Ok(progress(connection, view)?))
    }

    async fn fold(&self, view: &View, model: &Arc<dyn Model>, batch: &Arc<Batch>) -> Result<FoldOutcome, ViewError> {
        let (view, model, batch) = (*view, Arc::clone(model), Arc::clone(batch));
        self.write(Some(view), move |transaction| fold(transaction, &view, model.as_ref(), &batch)).await
    }

    async fn freeze(&self, view: &View) -> Result<Frozen, ViewError> {
        let view = *view;
        let freeze = move |transaction: &Transaction<'_>| {
            let copy = add(transaction, view.table, false)?;
            let (from, to) = (DIALECT.name(&view), DIALECT.name(&copy));
            let columns = format!("partition, {}", sql::list(&sql::all_columns(&view)));
            transaction.execute_batch(&format!("INSERT INTO {to} ({columns}) SELECT {columns} FROM {from}"))?;
            Ok(Frozen { view: copy, progress: progress(transaction, &view)? })
        };
        self.write(Some(view), freeze).await
    }

    async fn differing_rows(&self, one: &View, other: &View) -> Result<Vec<(PartitionId, u64)>, ViewError> {
        let (shared, one, other) = (Arc::clone(&self.shared), *one, *other);
        let compared = tokio::task::spawn_blocking(move || {
            let connection = shared.reader()?;
            let mut statement = connection.prepare(&DIALECT.differing_rows(&one, &other))?;
            let rows = statement.query_map([], |row| Ok((PartitionId(row.get(0)?), row.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        });
        let compared = compared.await.map_err(|error| ViewError::Database(error.to_string()))?;
        compared.map_err(|failure: Failure| failure.in_view(Some(one)))
    }

    async fn select(&self, view: &View, query: &Query) -> Result<Vec<Values>, ViewError> {
        let select = DIALECT.select(view, query)?;
        let words: Vec<Value> = select.words.into_iter().map(Value::Text).collect();
        let equal = query.equal.iter().map(|(_, value)| value);
        let values: Vec<&Value> = equal.chain(&words).chain(query.after.iter().flatten()).collect();
        self.read(view, |connection| {
            let mut statement = connection.prepare_cached(&select.sql)?;
            let partition = Value::Integer(i64::from(query.partition.0));
            let parameters = std::iter::once(&partition).chain(values).map(Stored);
            let mut rows = statement.query(params_from_iter(parameters))?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(values_of(view, row)?);
            }
            Ok(found)
        })
    }
}

/// The table that serves.
fn served(transaction: &Transaction<'_>, table: Table) -> rusqlite::Result<Option<View>> {
    let find = "SELECT generation FROM catalog WHERE name = $1 AND version = $2 AND serves";
    let found = transaction.query_row(find, params![table.name, table.version], |row| row.get(0)).optional()?;
    Ok(found.map(|generation| View { table, generation }))
}

/// Makes the next table of a model.
fn add(transaction: &Transaction<'_>, table: Table, serves: bool) -> Result<View, Failure> {
    let generation = transaction.query_row(
        "INSERT INTO catalog (name, version, generation, serves)
         SELECT $1, $2, coalesce(max(generation), 0) + 1, $3 FROM catalog WHERE name = $1 AND version = $2
         RETURNING generation",
        params![table.name, table.version, serves],
        |row| row.get(0),
    )?;
    let view = View { table, generation };
    let number = (!table.searched.is_empty()).then_some("number INTEGER PRIMARY KEY");
    transaction.execute_batch(&DIALECT.create(&view, number))?;
    Ok(view)
}

/// Builds what rows are found by; texts are found by their parts of three characters.
fn build_indexes(transaction: &Transaction<'_>, view: &View) -> Result<(), Failure> {
    DIALECT.indexes(view).iter().try_for_each(|index| transaction.execute_batch(index))?;
    if !view.table.searched.is_empty() && !is_searchable(transaction, view)? {
        transaction.execute_batch(&format!(
            "CREATE VIRTUAL TABLE {view}_search
                 USING fts5(text, content = '', contentless_delete = 1, tokenize = 'trigram case_sensitive 1');
             INSERT INTO {view}_search (rowid, text) SELECT number, {} FROM {}",
            sql::searched_text(view),
            DIALECT.name(view)
        ))?;
    }
    Ok(())
}

/// Whether the index of texts is there, so that it must be kept.
fn is_searchable(connection: &Connection, view: &View) -> rusqlite::Result<bool> {
    let mut find = connection.prepare_cached("SELECT count(*) FROM sqlite_schema WHERE name = $1 || '_search'")?;
    find.query_row([view.to_string()], |row| row.get(0))
}

/// The tables of a model that serve nobody.
fn idle(transaction: &Transaction<'_>, table: &Table) -> rusqlite::Result<Vec<i64>> {
    let mut idle = transaction.prepare(
        "SELECT generation FROM catalog JOIN sqlite_schema AS made ON made.name = $1 || '_v' || $2 || '_g' || generation
         WHERE catalog.name = $1 AND version = $2 AND NOT serves",
    )?;
    let rows = idle.query_map(params![table.name, table.version], |row| row.get(0))?;
    rows.collect()
}

/// Drops a table. Its place in the catalogue stays, so that no later one has its name.
fn remove(transaction: &Transaction<'_>, view: &View) -> Result<(), Failure> {
    let name = DIALECT.name(view);
    transaction.execute_batch(&format!("DROP TABLE IF EXISTS {view}_search; DROP TABLE IF EXISTS {name}"))?;
    transaction.execute("DELETE FROM checkpoints WHERE view = $1", [view.to_string()])?;
    transaction.execute(
        "UPDATE catalog SET serves = 0 WHERE name = $1 AND version = $2 AND generation = $3",
        params![view.table.name, view.table.version, view.generation],
    )?;
    Ok(())
}

fn progress(connection: &Connection, view: &View) -> rusqlite::Result<Vec<Progress>> {
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

fn fold(transaction: &Transaction<'_>, view: &View, model: &dyn Model, batch: &Batch) -> Result<FoldOutcome, Failure> {
    let partition = batch.before.checkpoint.position.partition;
    let stored = progress(transaction, view)?.into_iter().find(|it| it.checkpoint.position.partition == partition);
    if stored.is_some_and(|stored| stored != batch.before) || (stored.is_none() && batch.before.count > 0) {
        return Ok(FoldOutcome::Elsewhere);
    }
    let rows = if model.is_appended() { Vec::new() } else { load(transaction, view, model, batch, partition)? };
    let texts: Option<HashMap<Key, String>> = if !view.table.searched.is_empty() && is_searchable(transaction, view)? {
        let keyed = rows.iter().map(|row| (row[..view.table.key].to_vec(), view.table.searched_text(row)));
        Some(keyed.collect())
    } else {
        None
    };
    let folded = view.fold(model, rows, batch).map_err(Failure::View)?;
    store(transaction, view, partition, folded, texts.as_ref())?;
    let Progress { checkpoint, count, digest } = batch.after;
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO checkpoints (view, partition, incarnation, offset, event_id, count, digest)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )?
        .execute(params![
            view.to_string(),
            partition.0,
            checkpoint.incarnation.0.as_bytes(),
            checkpoint.position.offset.0,
            checkpoint.event_id.0.as_bytes(),
            count,
            digest
        ])?;
    Ok(FoldOutcome::Folded)
}

/// The rows that the events of a batch touch, as far as they exist.
fn load(
    transaction: &Transaction<'_>,
    view: &View,
    model: &dyn Model,
    batch: &Batch,
    partition: PartitionId,
) -> Result<Vec<Values>, Failure> {
    let is_key: Vec<String> = sql::key_columns(view)
        .iter()
        .enumerate()
        .map(|(index, name)| format!("{} = ${}", sql::quoted(name), index + 1))
        .collect();
    let columns = sql::list(&sql::all_columns(view));
    let select = format!("SELECT {columns} FROM {} WHERE {}", DIALECT.name(view), is_key.join(" AND "));
    let mut statement = transaction.prepare_cached(&select)?;
    let keys: HashSet<Key> = batch.events.iter().flat_map(|event| model.keys(event)).collect();
    let mut rows = Vec::with_capacity(keys.len());
    let partition = Value::Integer(i64::from(partition.0));
    for key in keys {
        let parameters = std::iter::once(&partition).chain(&key).map(Stored);
        let mut found = statement.query(params_from_iter(parameters))?;
        if let Some(row) = found.next()? {
            rows.push(values_of(view, row)?);
        }
    }
    Ok(rows)
}

/// Writes what has changed, in the order of the key: neighbours share pages. `texts` are those that rows had, if texts are
/// searched: only another one is written to their index.
fn store(
    transaction: &Transaction<'_>,
    view: &View,
    partition: PartitionId,
    mut rows: Changes,
    texts: Option<&HashMap<Key, String>>,
) -> Result<(), Failure> {
    rows.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let (name, key) = (DIALECT.name(view), sql::key_columns(view));
    let columns: Vec<&str> = std::iter::once("partition").chain(sql::all_columns(view)).collect();
    let values: Vec<String> = (1..=columns.len()).map(|number| format!("${number}")).collect();
    let number = if texts.is_some() { " RETURNING number" } else { "" };
    let put = format!(
        "INSERT INTO {name} ({}) VALUES ({}) {}{number}",
        sql::list(&columns),
        values.join(", "),
        DIALECT.on_conflict(view)
    );
    let mut put = transaction.prepare_cached(&put)?;
    let is_key: Vec<String> =
        key.iter().enumerate().map(|(index, name)| format!("{} = ${}", sql::quoted(name), index + 1)).collect();
    let delete = format!("DELETE FROM {name} WHERE {}{number}", is_key.join(" AND "));
    let mut delete = transaction.prepare_cached(&delete)?;
    let partition = Value::Integer(i64::from(partition.0));
    for (key, row) in &rows {
        let values = row.as_ref().unwrap_or(key);
        let parameters = params_from_iter(std::iter::once(&partition).chain(values).map(Stored));
        let statement = if row.is_some() { &mut put } else { &mut delete };
        let Some(texts) = texts else {
            statement.execute(parameters)?;
            continue;
        };
        let number: Option<i64> = statement.query_row(parameters, |row| row.get(0)).optional()?;
        let text = row.as_ref().map(|row| view.table.searched_text(row));
        if let Some(number) = number
            && text.as_ref() != texts.get(key)
        {
            index_text(transaction, view, number, text.as_deref())?;
        }
    }
    Ok(())
}

/// Lets a row be found by this text, or not at all.
fn index_text(transaction: &Transaction<'_>, view: &View, number: i64, text: Option<&str>) -> Result<(), Failure> {
    match text {
        Some(text) => {
            let put = format!("INSERT OR REPLACE INTO {view}_search (rowid, text) VALUES ($1, $2)");
            transaction.prepare_cached(&put)?.execute(params![number, text])?
        }
        None => {
            let delete = format!("DELETE FROM {view}_search WHERE rowid = $1");
            transaction.prepare_cached(&delete)?.execute([number])?
        }
    };
    Ok(())
}

/// A value as SQLite stores it.
struct Stored<'a>(&'a Value);

impl ToSql for Stored<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Id(id) => ToSqlOutput::Borrowed(ValueRef::Blob(id.as_bytes())),
            Value::Integer(number) => ToSqlOutput::Borrowed(ValueRef::Integer(*number)),
            Value::Boolean(is_true) => ToSqlOutput::Borrowed(ValueRef::Integer(i64::from(*is_true))),
            Value::Time(time) => ToSqlOutput::Borrowed(ValueRef::Integer(time.as_microsecond())),
            Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

/// All columns of a row, as its table defines them.
fn values_of(view: &View, row: &Row<'_>) -> Result<Values, Failure> {
    let foreign = || Failure::View(ViewError::Foreign { view: view.to_string() });
    let value = |(index, column): (usize, &porttask_projections::Column)| {
        Ok(match (row.get_ref(index)?, column.kind) {
            (ValueRef::Null, _) => Value::Null,
            (ValueRef::Blob(bytes), Kind::Id) => Value::Id(Uuid::from_slice(bytes).map_err(|_| foreign())?),
            (ValueRef::Integer(number), Kind::Integer) => Value::Integer(number),
            (ValueRef::Integer(number), Kind::Boolean) => Value::Boolean(number != 0),
            (ValueRef::Integer(number), Kind::Time) => {
                // Unlike `from_microsecond`, this reaches to the end of time.
                let nanoseconds = number.rem_euclid(1_000_000) as i32 * 1_000;
                let time = Timestamp::new(number.div_euclid(1_000_000), nanoseconds);
                Value::Time(time.map_err(|_| foreign())?)
            }
            (ValueRef::Text(text), Kind::Text) => {
                Value::Text(std::str::from_utf8(text).map_err(|_| foreign())?.to_owned())
            }
            _ => return Err(foreign()),
        })
    };
    view.table.columns.iter().enumerate().map(value).collect()
}
