//! Read models in the schema `views` of the log's database. Their commits do not wait for the disk: what a crash loses
//! is folded again. Nodes share the folding: the node that holds the lock of a checkpoint folds.
//!
//! | file | what it owns |
//! |---|---|
//! | `tables.rs` | the catalog: creating, indexing and dropping tables |
//! | `fold.rs` | folding a batch in one transaction |
//! | `lookup.rs` | lookups of rows by key |
//! | `rows.rs` | conversion of values |

mod fold;
mod lookup;
mod rows;
mod tables;

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use deadpool_postgres::{Object, Pool};
use porttask_projections::{Table, Values};
use porttask_runtime::{
    log::PartitionId,
    views::{
        Batch, Condition, Count, FoldOutcome, FoldTarget, Progress, Query, Snapshot, View, ViewError, ViewStore, Words,
    },
};
use tokio::sync::Semaphore;
use tokio_postgres::{
    Error, IsolationLevel,
    error::SqlState,
    types::{ToSql, Type},
};

use self::{
    fold::fold,
    lookup::{Lookup, Lookups, lookups},
    rows::{Parameter, parameter, progress_of, values_of},
    tables::{
        DIALECT, PROGRESS, TABLES, VIEW, add, common_endings, has_words, idle, indexes, lock_catalog, remove, serve,
        served,
    },
};
use super::sql::Select;
use crate::log::postgres::{
    connect::{Connector, PLAN_SETTINGS},
    pool,
};

/// Each batch takes several round trips to the server, for each partition.
const PACE: Duration = Duration::from_millis(30);
/// Maximum number of connections for operations on whole tables; for folds, one per partition, and lookups; and for
/// listings.
const WHOLE_TABLES: usize = 6;
const FOLDING: usize = 10;
const LISTINGS: usize = 8;
/// After so many changed rows of a table, its statistics are renewed. Until there are any, the planner may look up a row by
/// any index that begins with the organization, which reads all rows of that organization. Later, autovacuum is in time.
const ANALYZED_AFTER: [u64; 3] = [500, 5_000, 50_000];
/// Maximum number of concurrent full-text searches.
const SEARCHES: usize = 4;

/// The read models' tables.
pub struct PostgresViews {
    /// For operations on whole tables.
    pool: Pool,
    /// For folds and lookups, which find all rows by key.
    folds: Pool,
    /// Batches lookups of single rows.
    lookups: Lookups,
    /// For listings, which have a statement timeout.
    listings: Pool,
    /// How many rows of each table were changed since the start.
    changed: Mutex<HashMap<String, u64>>,
    /// Limits slow searches, so that they do not use up the connections.
    searches: Semaphore,
}

impl PostgresViews {
    /// Opens the tables of the database with this URL.
    ///
    /// # Errors
    /// If the database cannot be reached, or its schema `views` cannot be created.
    pub async fn open(url: &str) -> Result<Arc<Self>, ViewError> {
        let connector = Connector::new(url)?;
        // What a crash loses is folded again.
        let folds = pool(&connector, FOLDING, &["SET synchronous_commit = off", PLAN_SETTINGS])?;
        let views = Self {
            pool: pool(&connector, WHOLE_TABLES, &["SET synchronous_commit = off"])?,
            lookups: lookups(folds.clone()),
            folds,
            listings: pool(&connector, LISTINGS, &["SET statement_timeout = '5s'"])?,
            changed: Mutex::default(),
            searches: Semaphore::new(SEARCHES),
        };
        let mut client = views.client().await?;
        let transaction = client.transaction().await.map_err(failed)?;
        transaction.batch_execute(TABLES).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        drop(client);
        Ok(Arc::new(views))
    }

    async fn client(&self) -> Result<Object, ViewError> {
        client_of(&self.pool).await
    }

    /// The numbers of changed rows that a table passes with these.
    fn grown(&self, view: &View, by: u64) -> Range<u64> {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        let count = changed.entry(view.to_string()).or_default();
        let before = *count;
        *count += by;
        before..*count
    }

    async fn analyze(&self, view: &View) -> Result<(), ViewError> {
        let client = self.client().await?;
        client.batch_execute(&format!("ANALYZE {}", DIALECT.name(view))).await.map_err(in_view(view))
    }
}

async fn client_of(pool: &Pool) -> Result<Object, ViewError> {
    pool.get().await.map_err(|error| ViewError::Database(error.to_string()))
}

/// A pool of connections initialized with these statements.
fn pool(connector: &Connector, most: usize, settings: &'static [&'static str]) -> Result<Pool, ViewError> {
    pool::pool(connector, most, settings).map_err(|error| ViewError::Database(error.to_string()))
}

fn failed(error: Error) -> ViewError {
    ViewError::Database(crate::log::postgres::error::with_cause(&error))
}

/// The error of a statement on a table that may have been dropped.
fn in_view(view: &View) -> impl Fn(Error) -> ViewError {
    let view = view.to_string();
    move |error| match error.code() {
        Some(code) if *code == SqlState::UNDEFINED_TABLE => ViewError::Gone(view.clone()),
        _ => failed(error),
    }
}

#[async_trait]
impl ViewStore for PostgresViews {
    fn pace(&self) -> Duration {
        PACE
    }

    async fn serving(&self, table: &Table) -> Result<View, ViewError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(failed)?;
        lock_catalog(&transaction).await?;
        if let Some(view) = served(&transaction, table).await? {
            return Ok(view);
        }
        let view = add(&transaction, table, true).await?;
        for index in indexes(&view) {
            transaction.batch_execute(&index).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(view)
    }

    async fn begin(&self, table: &Table) -> Result<View, ViewError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(failed)?;
        lock_catalog(&transaction).await?;
        for view in idle(&transaction, table).await? {
            remove(&transaction, &view).await?;
        }
        let view = add(&transaction, table, false).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(view)
    }

    async fn index(&self, view: &View) -> Result<(), ViewError> {
        let client = self.client().await?;
        for index in indexes(view) {
            client.batch_execute(&index).await.map_err(in_view(view))?;
        }
        drop(client);
        self.analyze(view).await
    }

    async fn switch(&self, new: &View) -> Result<bool, ViewError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(failed)?;
        lock_catalog(&transaction).await?;
        if let Some(old) = served(&transaction, &new.table).await? {
            // Nodes that fold into the old table wait, and find it dropped.
            let lock = "SELECT FROM views.checkpoints WHERE view = $1 FOR UPDATE";
            transaction.query(lock, &[&old.to_string()]).await.map_err(failed)?;
            let behind = "SELECT EXISTS (
                    SELECT FROM views.checkpoints AS old
                    LEFT JOIN views.checkpoints AS new ON new.view = $2 AND new.partition = old.partition
                    WHERE old.view = $1 AND coalesce(new.\"offset\", 0) < old.\"offset\"
                )";
            let row = transaction.query_one(behind, &[&old.to_string(), &new.to_string()]).await.map_err(failed)?;
            if row.get(0) {
                return Ok(false);
            }
            remove(&transaction, &old).await?;
        }
        serve(&transaction, new).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    async fn drop_table(&self, view: &View) -> Result<(), ViewError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(failed)?;
        remove(&transaction, view).await?;
        transaction.commit().await.map_err(failed)
    }

    async fn clear(&self, view: &View, partition: PartitionId) -> Result<(), ViewError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(failed)?;
        let partition = i64::from(partition.0);
        let rows = format!("DELETE FROM {} WHERE partition = $1", DIALECT.name(view));
        transaction.execute(&rows, &[&partition]).await.map_err(in_view(view))?;
        let checkpoint = "DELETE FROM views.checkpoints WHERE view = $1 AND partition = $2";
        transaction.execute(checkpoint, &[&view.to_string(), &partition]).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    async fn progress(&self, view: &View) -> Result<Vec<Progress>, ViewError> {
        let client = self.client().await?;
        let sql = format!("{PROGRESS} WHERE view = $1 ORDER BY partition");
        let rows = client.query(&sql, &[&view.to_string()]).await.map_err(failed)?;
        rows.iter().map(progress_of).collect()
    }

    async fn progress_in(&self, partition: PartitionId, views: &[View]) -> Result<Vec<Option<Progress>>, ViewError> {
        let client = client_of(&self.folds).await?;
        let names: Vec<String> = views.iter().map(View::to_string).collect();
        let sql = format!("{PROGRESS} WHERE view = ANY($1) AND partition = $2");
        let statement = client.prepare_cached(&sql).await.map_err(failed)?;
        let rows = client.query(&statement, &[&names, &i64::from(partition.0)]).await.map_err(failed)?;
        let of = |name: &String| rows.iter().find(|row| row.get::<_, &str>(VIEW) == name).map(progress_of).transpose();
        names.iter().map(of).collect()
    }

    async fn fold(&self, tables: &[FoldTarget], batch: &Arc<Batch>) -> Result<Vec<FoldOutcome>, ViewError> {
        let mut client = client_of(&self.folds).await?;
        let transaction = client.transaction().await.map_err(failed)?;
        let (outcomes, changed) = fold(&transaction, tables, batch).await?;
        transaction.commit().await.map_err(failed)?;
        drop(client);
        for ((_, view), changed) in tables.iter().zip(changed).filter(|(_, changed)| *changed > 0) {
            let grown = self.grown(view, changed as u64);
            if ANALYZED_AFTER.iter().any(|count| grown.contains(count)) {
                // The batch is folded already, and another node may have dropped the table.
                if let Err(error) = self.analyze(view).await {
                    tracing::warn!(%error, %view, "the statistics of a read model were not renewed");
                }
            }
        }
        Ok(outcomes)
    }

    async fn freeze(&self, view: &View) -> Result<Snapshot, ViewError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(failed)?;
        lock_catalog(&transaction).await?;
        let copy = add(&transaction, &view.table, false).await?;
        transaction.commit().await.map_err(failed)?;
        // One snapshot for the rows and the progress.
        let snapshot = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
        let transaction = snapshot.start().await.map_err(failed)?;
        let (from, to) = (DIALECT.name(view), DIALECT.name(&copy));
        let fill = format!("INSERT INTO {to} SELECT * FROM {from}");
        transaction.batch_execute(&fill).await.map_err(in_view(view))?;
        let sql = format!("{PROGRESS} WHERE view = $1 ORDER BY partition");
        let rows = transaction.query(&sql, &[&view.to_string()]).await.map_err(failed)?;
        let progress = rows.iter().map(progress_of).collect::<Result<_, _>>()?;
        transaction.commit().await.map_err(failed)?;
        Ok(Snapshot { view: copy, progress })
    }

    async fn differing_rows(&self, one: &View, other: &View) -> Result<Vec<(PartitionId, u64)>, ViewError> {
        let client = self.client().await?;
        let rows = client.query(&DIALECT.differing_rows(one, other), &[]).await.map_err(in_view(one))?;
        Ok(rows.iter().map(|row| (PartitionId(row.get::<_, i64>(0) as u16), row.get::<_, i64>(1) as u64)).collect())
    }

    async fn select(&self, view: &View, query: &Query) -> Result<Vec<Values>, ViewError> {
        if let Some(lookup) = Lookup::of(view, query) {
            let gone = || Err(ViewError::Database("a row could not be looked up".to_owned()));
            return self.lookups.ask(lookup).await.unwrap_or_else(gone).map(Vec::from_iter);
        }
        let _permit = match query.text {
            Some(_) => Some(self.searches.acquire().await.map_err(|error| ViewError::Database(error.to_string()))?),
            None => None,
        };
        let client = client_of(&self.listings).await?;
        let words = query.words();
        let common = common(&client, view, &words).await?;
        let Select { sql, parameters } =
            DIALECT.select(view, query, &|parameter| has_words(view, &words, &common, parameter))?;
        let parameters: Vec<Parameter> = parameters.iter().map(parameter).collect();
        let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
            parameters.iter().map(|(value, kind)| (&**value as _, kind.clone())).collect();
        let is_one_of = |condition: &Condition| matches!(condition, Condition::OneOf(..));
        let found = if query.text.is_some() || query.conditions.iter().any(is_one_of) {
            // Planned for these values, not cached: common and rare words need different plans, and there would be a
            // statement for each number of values.
            client.query_typed(&sql, &parameters).await
        } else {
            let statement = client.prepare_cached(&sql).await.map_err(in_view(view))?;
            let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|(value, _)| *value).collect();
            client.query(&statement, &parameters).await
        };
        let rows = found.map_err(in_view(view))?;
        rows.iter().map(|row| values_of(view, row)).collect()
    }

    async fn count(&self, view: &View, query: &Query, most: usize) -> Result<Count, ViewError> {
        let _permit = match query.text {
            Some(_) => Some(self.searches.acquire().await.map_err(|error| ViewError::Database(error.to_string()))?),
            None => None,
        };
        let client = client_of(&self.listings).await?;
        let words = query.words();
        let common = common(&client, view, &words).await?;
        let Select { sql, parameters } =
            DIALECT.count(view, query, most, &|parameter| has_words(view, &words, &common, parameter))?;
        let parameters: Vec<Parameter> = parameters.iter().map(parameter).collect();
        let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
            parameters.iter().map(|(value, kind)| (&**value as _, kind.clone())).collect();
        let rows = client.query_typed(&sql, &parameters).await.map_err(in_view(view))?;
        let (selected, examined) = match rows.first() {
            Some(row) => (row.get::<_, i64>(0), row.get::<_, i64>(1)),
            None => (0, 0),
        };
        Ok(Count::of(selected.unsigned_abs(), examined.unsigned_abs(), most))
    }
}

/// The endings of domains in a search that most rows have: the index is not asked for them.
async fn common(client: &tokio_postgres::Client, view: &View, words: &Words) -> Result<Vec<String>, ViewError> {
    match common_endings(view, words).filter(|_| !view.table.full_text_columns.is_empty()) {
        None => Ok(Vec::new()),
        Some((sql, endings)) => {
            let found = client.query_typed(&sql, &[(&endings, Type::TEXT_ARRAY)]).await.map_err(in_view(view))?;
            Ok(found.iter().map(|row| row.get(0)).collect())
        }
    }
}
