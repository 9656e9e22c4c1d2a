//! Read models in a separate file, `views.db`, beside the embedded log: less durable than the log, because what a crash
//! loses is folded again.
//!
//! | file | what it owns |
//! |---|---|
//! | `tables.rs` | the catalog: creating, indexing and dropping tables |
//! | `open.rs` | opening the file, and setting a damaged one aside |
//! | `fold.rs` | folding a batch in one transaction |
//! | `select.rs` | queries |
//! | `rows.rs` | conversion of values |

mod fold;
mod open;
mod rows;
mod select;
mod tables;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use porttask_projections::{Table, Values};
use porttask_runtime::{
    log::{PartitionId, Position},
    views::{Batch, Count, FoldOutcome, FoldTarget, Progress, Query, Snapshot, View, ViewError, ViewStore},
};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use tokio::sync::Semaphore;

use self::{
    fold::fold,
    select::{count, select},
    tables::{DIALECT, add, build_indexes, idle, is_searchable, progress, remove, served},
};
use super::sql;
use crate::write_back::WriteBack;

/// The WAL is checkpointed whenever it has grown by this many pages: 32 MiB.
const WRITTEN_BACK_PAGES: i32 = 4_096;
const READER_CACHE_KIBIBYTES: i32 = 16_384;
const PACE: Duration = Duration::from_millis(10);
/// Maximum number of concurrent full-text searches.
const SEARCHES: usize = 4;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The read models' file.
pub struct SqliteViews {
    shared: Arc<Shared>,
    /// Limits slow searches, each of which takes a thread and a connection.
    searches: Semaphore,
}

struct Shared {
    file: PathBuf,
    writer: Mutex<Writer>,
    idle: Mutex<Vec<Connection>>,
    /// Keeps other processes from setting the file aside.
    _in_use: File,
}

impl SqliteViews {
    /// Opens the file in the directory of the embedded log.
    ///
    /// A damaged file is set aside and replaced by an empty one: it contains only derived data.
    ///
    /// # Errors
    /// If it cannot be opened, or is damaged while another process uses it.
    pub fn open(directory: &Path) -> Result<Arc<Self>, ViewError> {
        let file = directory.join("views.db");
        let (in_use, (connection, beside)) = open::open(&file)?;
        let write_back = WriteBack::start(&connection, beside, WRITTEN_BACK_PAGES);
        let write_back =
            write_back.map_err(|error| ViewError::Database(format!("cannot start a views thread: {error}")))?;
        let writer = Writer { connection, write_back };
        let shared = Shared { file, writer: Mutex::new(writer), idle: Mutex::default(), _in_use: in_use };
        Ok(Arc::new(Self { shared: Arc::new(shared), searches: Semaphore::new(SEARCHES) }))
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
            let Writer { connection, write_back } = &mut *writer;
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let written = work(&transaction)?;
            transaction.commit()?;
            write_back.look(connection);
            Ok(written)
        });
        let written = written.await.map_err(|error| ViewError::Database(error.to_string()))?;
        written.map_err(|failure: Failure| {
            self.shared.note(&failure);
            failure.in_view(view)
        })
    }
}

impl Shared {
    /// Damage that is met while the file is in use: the next start sets it aside.
    fn note(&self, failure: &Failure) {
        if matches!(failure, Failure::Sqlite(error) if open::is_damage(error)) {
            open::mark(&self.file);
        }
    }

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

    /// Reads on the calling thread: an index finds the rows of a page in microseconds, except for full-text searches.
    fn read<T>(&self, view: &View, work: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, ViewError> {
        let connection = self.reader().map_err(|error| Failure::from(error).in_view(Some(*view)))?;
        let result = work(&connection).map_err(|failure| {
            self.note(&failure);
            failure.in_view(Some(*view))
        });
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        result
    }
}

struct Writer {
    connection: Connection,
    write_back: WriteBack,
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
            // SQLite has no specific error code for this.
            (Self::Sqlite(error), Some(view)) if error.to_string().contains("no such table") => {
                ViewError::Gone(view.to_string())
            }
            (Self::Sqlite(error), _) => ViewError::Database(error.to_string()),
        }
    }
}

#[async_trait]
impl ViewStore for SqliteViews {
    fn pace(&self) -> Duration {
        PACE
    }

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
        self.shared.read(view, |connection| Ok(progress(connection, view)?))
    }

    async fn progress_in(&self, partition: PartitionId, views: &[View]) -> Result<Vec<Option<Progress>>, ViewError> {
        let Some(first) = views.first() else { return Ok(Vec::new()) };
        self.shared.read(first, |connection| {
            let one_moment = connection.unchecked_transaction()?;
            let in_partition = |view| {
                let stored = progress(&one_moment, view)?;
                Ok(stored.into_iter().find(|it| it.checkpoint.position.partition == partition))
            };
            views.iter().map(in_partition).collect()
        })
    }

    async fn fold(&self, tables: &[FoldTarget], batch: &Arc<Batch>) -> Result<Vec<FoldOutcome>, ViewError> {
        let (tables, batch) = (tables.to_vec(), Arc::clone(batch));
        let each = move |transaction: &Transaction<'_>| {
            let each = tables.iter().map(|(model, view)| {
                let folded = fold(transaction, view, model.as_ref(), &batch);
                folded.map_err(|failure| Failure::View(failure.in_view(Some(*view))))
            });
            each.collect()
        };
        self.write(None, each).await
    }

    async fn freeze(&self, view: &View) -> Result<Snapshot, ViewError> {
        let view = *view;
        let freeze = move |transaction: &Transaction<'_>| {
            let copy = add(transaction, view.table, false)?;
            let (from, to) = (DIALECT.name(&view), DIALECT.name(&copy));
            let columns = sql::list(&sql::stored_columns(&view));
            transaction.execute_batch(&format!("INSERT INTO {to} ({columns}) SELECT {columns} FROM {from}"))?;
            Ok(Snapshot { view: copy, progress: progress(transaction, &view)? })
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
        let (shared, view, query) = (Arc::clone(&self.shared), *view, query.clone());
        if query.text.is_none() {
            return shared.read(&view, |connection| select(connection, &view, &query));
        }
        let _permit = self.searches.acquire().await.map_err(|error| ViewError::Database(error.to_string()))?;
        let found =
            tokio::task::spawn_blocking(move || shared.read(&view, |connection| select(connection, &view, &query)));
        found.await.map_err(|error| ViewError::Database(error.to_string()))?
    }

    async fn count(&self, view: &View, query: &Query, most: usize) -> Result<Count, ViewError> {
        let (shared, view, query) = (Arc::clone(&self.shared), *view, query.clone());
        let _permit = match query.text {
            Some(_) => Some(self.searches.acquire().await.map_err(|error| ViewError::Database(error.to_string()))?),
            None => None,
        };
        let counted = tokio::task::spawn_blocking(move || {
            shared.read(&view, |connection| count(connection, &view, &query, most))
        });
        counted.await.map_err(|error| ViewError::Database(error.to_string()))?
    }
}
