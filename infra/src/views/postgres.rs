//! Read models in the schema `views` of the log's database. Their commits do not wait for the disk: whatever a crash takes
//! is folded again. Nodes share the folding: whoever holds the lock of a checkpoint folds.

use std::{collections::HashSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use porttask_app::{
    log::{Checkpoint, EventId, Incarnation, Offset, PartitionId, Position},
    views::{Batch, Changes, FoldOutcome, Frozen, Progress, Query, View, ViewError, ViewStore},
};
use porttask_projections::{Column, Key, Kind, Model, Table, Value, Values};
use tokio_postgres::{
    Error, Row, Transaction,
    error::SqlState,
    types::{ToSql, Type},
};

use super::sql::{self, Dialect};
use crate::{
    log::postgres::connect::Connector,
    multi_row::{Parameter, add_rows},
};

const DIALECT: Dialect = Dialect {
    schema: "views.",
    table_options: "",
    searched_table_options: "",
    has_words: |view, words, parameter| {
        let text = sql::searched_text(view);
        let anywhere = words.anywhere.iter().map(|word| (format!("({text})"), format!("%{}%", escaped(word))));
        let beginning =
            words.beginning.iter().map(|word| (format!("(' ' || {text})"), format!("% {}%", escaped(word))));
        let mut condition = String::new();
        let mut parameters = Vec::new();
        for (index, (text, pattern)) in anywhere.chain(beginning).enumerate() {
            condition.push_str(&format!(" AND {text} LIKE ${}", parameter + index));
            parameters.push(pattern);
        }
        (condition, parameters)
    },
    kind: |kind| match kind {
        Kind::Id => "uuid",
        Kind::Integer => "bigint",
        Kind::Boolean => "boolean",
        Kind::Time => "timestamptz",
        Kind::Text => "text COLLATE \"C\"",
    },
};

/// Nodes that start at once take turns.
const TABLES: &str = "
    SELECT pg_advisory_xact_lock(x'506f727456696577'::bigint);
    CREATE SCHEMA IF NOT EXISTS views;
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE TABLE IF NOT EXISTS views.catalog (
        name       text    COLLATE \"C\" NOT NULL,
        version    integer NOT NULL,
        generation bigint  NOT NULL,
        serves     boolean NOT NULL,
        PRIMARY KEY (name, version, generation)
    );
    CREATE UNIQUE INDEX IF NOT EXISTS one_serves ON views.catalog (name, version) WHERE serves;
    CREATE TABLE IF NOT EXISTS views.checkpoints (
        view        text   COLLATE \"C\" NOT NULL,
        partition   bigint NOT NULL,
        incarnation uuid   NOT NULL,
        \"offset\"    bigint NOT NULL,
        event_id    uuid   NOT NULL,
        count       bigint NOT NULL,
        digest      bytea  NOT NULL,
        PRIMARY KEY (partition, view)
    );";

const CONNECTIONS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(5);

/// The read models' tables.
pub struct PostgresViews {
    pool: Pool,
}

impl PostgresViews {
    /// Opens the tables of the database with this URL.
    ///
    /// # Errors
    /// If the database cannot be reached, or its schema `views` cannot be made.
    pub async fn open(url: &str) -> Result<Arc<Self>, ViewError> {
        let connector = Connector::new(url)?;
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(connector.config, connector.tls, config);
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(PATIENCE))
            .create_timeout(Some(PATIENCE))
            .build()
            .map_err(|error| ViewError::Database(error.to_string()))?;
        let views = Self { pool };
        let mut client = views.client().await?;
        let transaction = client.transaction().await.map_err(failed)?;
        transaction.batch_execute(TABLES).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        drop(client);
        Ok(Arc::new(views))
    }

    async fn client(&self) -> Result<Object, ViewError> {
        self.pool.get().await.map_err(|error| ViewError::Database(error.to_string()))
    }
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
        let idle = "SELECT generation FROM views.catalog WHERE name = $1 AND version = $2 AND NOT serves
                    AND to_regclass('views.' || name || '_v' || version || '_g' || generation) IS NOT NULL";
        for row in transaction.query(idle, &[&table.name, &version(table)]).await.map_err(failed)? {
            remove(&transaction, &View { table: *table, generation: row.get(0) }).await?;
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
        client.batch_execute(&format!("ANALYZE {}", DIALECT.name(view))).await.map_err(in_view(view))
    }

    async fn switch(&self, new: &View) -> Result<bool, ViewError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(failed)?;
        lock_catalog(&transaction).await?;
        if let Some(old) = served(&transaction, &new.table).await? {
            // Whoever folds into the old table waits, and finds it gone.
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
        let serve = "UPDATE views.catalog SET serves = true WHERE name = $1 AND version = $2 AND generation = $3";
        let key: [&(dyn ToSql + Sync); 3] = [&new.table.name, &version(&new.table), &new.generation];
        transaction.execute(serve, &key).await.map_err(failed)?;
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
        rows.iter().map(|row| progress_of(view, row)).collect()
    }

    async fn fold(&self, view: &View, model: &Arc<dyn Model>, batch: &Arc<Batch>) -> Result<FoldOutcome, ViewError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(failed)?;
        transaction.batch_execute("SET LOCAL synchronous_commit = off").await.map_err(failed)?;
        if !take_turn(&transaction, view, batch).await? {
            return Ok(FoldOutcome::Elsewhere);
        }
        let rows =
            if model.is_appended() { Vec::new() } else { load(&transaction, view, model.as_ref(), batch).await? };
        let folded = view.fold(model.as_ref(), rows, batch)?;
        store(&transaction, view, batch.before.checkpoint.position.partition, folded).await?;
        let Progress { checkpoint, count, digest } = batch.after;
        let update =
            "UPDATE views.checkpoints SET incarnation = $3, \"offset\" = $4, event_id = $5, count = $6, digest = $7
                      WHERE view = $1 AND partition = $2";
        let values: [&(dyn ToSql + Sync); 7] = [
            &view.to_string(),
            &i64::from(checkpoint.position.partition.0),
            &checkpoint.incarnation.0,
            &(checkpoint.position.offset.0 as i64),
            &checkpoint.event_id.0,
            &(count as i64),
            &&digest[..],
        ];
        transaction.execute(update, &values).await.map_err(failed)?;
        transaction.commit().await.map_err(in_view(view))?;
        Ok(FoldOutcome::Folded)
    }

    async fn freeze(&self, view: &View) -> Result<Frozen, ViewError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(failed)?;
        lock_catalog(&transaction).await?;
        let copy = add(&transaction, &view.table, false).await?;
        transaction.commit().await.map_err(failed)?;
        // One snapshot for the rows and the progress.
        let snapshot = client.build_transaction().isolation_level(tokio_postgres::IsolationLevel::RepeatableRead);
        let transaction = snapshot.start().await.map_err(failed)?;
        let (from, to) = (DIALECT.name(view), DIALECT.name(&copy));
        let fill = format!("INSERT INTO {to} SELECT * FROM {from}");
        transaction.batch_execute(&fill).await.map_err(in_view(view))?;
        let sql = format!("{PROGRESS} WHERE view = $1 ORDER BY partition");
        let rows = transaction.query(&sql, &[&view.to_string()]).await.map_err(failed)?;
        let progress = rows.iter().map(|row| progress_of(view, row)).collect::<Result<_, _>>()?;
        transaction.commit().await.map_err(failed)?;
        Ok(Frozen { view: copy, progress })
    }

    async fn differing_rows(&self, one: &View, other: &View) -> Result<Vec<(PartitionId, u64)>, ViewError> {
        let client = self.client().await?;
        let rows = client.query(&DIALECT.differing_rows(one, other), &[]).await.map_err(in_view(one))?;
        Ok(rows.iter().map(|row| (PartitionId(row.get::<_, i64>(0) as u16), row.get::<_, i64>(1) as u64)).collect())
    }

    async fn select(&self, view: &View, query: &Query) -> Result<Vec<Values>, ViewError> {
        let select = DIALECT.select(view, query)?;
        let client = self.client().await?;
        let statement = client.prepare_cached(&select.sql).await.map_err(in_view(view))?;
        let words: Vec<Value> = select.words.into_iter().map(Value::Text).collect();
        let equal = query.equal.iter().map(|(_, value)| value).chain(&words);
        let values: Vec<Box<dyn ToSql + Sync + Send>> =
            equal.chain(query.after.iter().flatten()).map(|value| parameter(value, None).0).collect();
        let partition = i64::from(query.partition.0);
        let parameters: Vec<&(dyn ToSql + Sync)> = std::iter::once(&partition as &(dyn ToSql + Sync))
            .chain(values.iter().map(|value| &**value as _))
            .collect();
        let rows = client.query(&statement, &parameters).await.map_err(in_view(view))?;
        rows.iter().map(|row| values_of(view, row)).collect()
    }
}

const PROGRESS: &str = "SELECT partition, incarnation, \"offset\", event_id, count, digest FROM views.checkpoints";

fn version(table: &Table) -> i32 {
    table.version as i32
}

/// What rows are found by; texts are found by their parts of three characters.
fn indexes(view: &View) -> Vec<String> {
    let mut all = DIALECT.indexes(view);
    if !view.table.searched.is_empty() {
        let (name, text) = (DIALECT.name(view), sql::searched_text(view));
        all.push(format!("CREATE INDEX IF NOT EXISTS {view}_search ON {name} USING gin (({text}) gin_trgm_ops)"));
    }
    all
}

/// A word as it stands, in a pattern.
fn escaped(word: &str) -> String {
    word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// Tables are made and dropped by one node at a time.
async fn lock_catalog(transaction: &Transaction<'_>) -> Result<(), ViewError> {
    transaction.batch_execute("LOCK TABLE views.catalog IN SHARE ROW EXCLUSIVE MODE").await.map_err(failed)
}

/// The table that serves.
async fn served(transaction: &Transaction<'_>, table: &Table) -> Result<Option<View>, ViewError> {
    let find = "SELECT generation FROM views.catalog WHERE name = $1 AND version = $2 AND serves";
    let found = transaction.query_opt(find, &[&table.name, &version(table)]).await.map_err(failed)?;
    Ok(found.map(|row| View { table: *table, generation: row.get(0) }))
}

/// Makes the next table of a model.
async fn add(transaction: &Transaction<'_>, table: &Table, serves: bool) -> Result<View, ViewError> {
    let next = "INSERT INTO views.catalog (name, version, generation, serves)
                SELECT $1, $2, coalesce(max(generation), 0) + 1, $3 FROM views.catalog WHERE name = $1 AND version = $2
                RETURNING generation";
    let row = transaction.query_one(next, &[&table.name, &version(table), &serves]).await.map_err(failed)?;
    let view = View { table: *table, generation: row.get(0) };
    transaction.batch_execute(&DIALECT.create(&view, None)).await.map_err(failed)?;
    Ok(view)
}

/// Drops a table. Its place in the catalogue stays, so that no later one has its name.
async fn remove(transaction: &Transaction<'_>, view: &View) -> Result<(), ViewError> {
    let drop = format!("DROP TABLE IF EXISTS {}", DIALECT.name(view));
    transaction.batch_execute(&drop).await.map_err(failed)?;
    let checkpoints = "DELETE FROM views.checkpoints WHERE view = $1";
    transaction.execute(checkpoints, &[&view.to_string()]).await.map_err(failed)?;
    let retire = "UPDATE views.catalog SET serves = false WHERE name = $1 AND version = $2 AND generation = $3";
    let key: [&(dyn ToSql + Sync); 3] = [&view.table.name, &version(&view.table), &view.generation];
    transaction.execute(retire, &key).await.map_err(failed)?;
    Ok(())
}

/// Locks the checkpoint of a table; `false` if another node has it, or has moved it.
async fn take_turn(transaction: &Transaction<'_>, view: &View, batch: &Batch) -> Result<bool, ViewError> {
    let (name, partition) = (view.to_string(), i64::from(batch.before.checkpoint.position.partition.0));
    let sql = format!("{PROGRESS} WHERE view = $1 AND partition = $2 FOR UPDATE SKIP LOCKED");
    if let Some(row) = transaction.query_opt(&sql, &[&name, &partition]).await.map_err(failed)? {
        return Ok(progress_of(view, &row)? == batch.before);
    }
    if batch.before.count > 0 {
        return Ok(false);
    }
    let first = "INSERT INTO views.checkpoints (view, partition, incarnation, \"offset\", event_id, count, digest)
                 VALUES ($1, $2, $3, 0, $4, 0, $5) ON CONFLICT DO NOTHING";
    let Checkpoint { incarnation, event_id, .. } = batch.before.checkpoint;
    let values: [&(dyn ToSql + Sync); 5] = [&name, &partition, &incarnation.0, &event_id.0, &&batch.before.digest[..]];
    Ok(transaction.execute(first, &values).await.map_err(failed)? == 1)
}

fn progress_of(view: &View, row: &Row) -> Result<Progress, ViewError> {
    let partition = PartitionId(row.get::<_, i64>(0) as u16);
    let position = Position { partition, offset: Offset(row.get::<_, i64>(2) as u64) };
    let checkpoint = Checkpoint { incarnation: Incarnation(row.get(1)), position, event_id: EventId(row.get(3)) };
    let foreign = |_| ViewError::Foreign { view: view.to_string() };
    let digest = row.get::<_, &[u8]>(5).try_into().map_err(foreign)?;
    Ok(Progress { checkpoint, count: row.get::<_, i64>(4) as u64, digest })
}

/// The rows that the events of a batch touch, as far as they exist: one query, a look-up by index for each.
async fn load(
    transaction: &Transaction<'_>,
    view: &View,
    model: &dyn Model,
    batch: &Batch,
) -> Result<Vec<Values>, ViewError> {
    let keys: HashSet<Key> = batch.events.iter().flat_map(|event| model.keys(event)).collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let columns = &view.table.columns[..view.table.key];
    let arrays: Vec<Box<dyn ToSql + Sync + Send>> =
        (0..columns.len()).map(|index| array(columns[index].kind, keys.iter().map(|key| &key[index]))).collect();
    let mut names = Vec::new();
    let mut unnested = Vec::new();
    let mut is_key = vec!["partition = $1".to_owned()];
    for (index, column) in columns.iter().enumerate() {
        let name = sql::quoted(column.name);
        // Arrays have no collation.
        let kind = (DIALECT.kind)(column.kind).split(' ').next().unwrap_or_default();
        unnested.push(format!("${}::{kind}[]", index + 2));
        is_key.push(format!("{name} = asked.{name}"));
        names.push(name);
    }
    let select = format!(
        "SELECT found.* FROM unnest({}) AS asked ({})
         CROSS JOIN LATERAL (SELECT {} FROM {} WHERE {} LIMIT 1) AS found",
        unnested.join(", "),
        names.join(", "),
        sql::list(&sql::all_columns(view)),
        DIALECT.name(view),
        is_key.join(" AND ")
    );
    let partition = i64::from(batch.before.checkpoint.position.partition.0);
    let parameters: Vec<&(dyn ToSql + Sync)> =
        std::iter::once(&partition as &(dyn ToSql + Sync)).chain(arrays.iter().map(|it| &**it as _)).collect();
    let rows = transaction.query(&select, &parameters).await.map_err(in_view(view))?;
    rows.iter().map(|row| values_of(view, row)).collect()
}

/// The values of one column of several keys.
fn array<'a>(kind: Kind, values: impl Iterator<Item = &'a Value>) -> Box<dyn ToSql + Sync + Send> {
    match kind {
        Kind::Id => {
            Box::new(values.filter_map(|it| if let Value::Id(id) = it { Some(*id) } else { None }).collect::<Vec<_>>())
        }
        Kind::Integer => Box::new(
            values
                .filter_map(|it| if let Value::Integer(number) = it { Some(*number) } else { None })
                .collect::<Vec<_>>(),
        ),
        Kind::Boolean => Box::new(
            values
                .filter_map(|it| if let Value::Boolean(truth) = it { Some(*truth) } else { None })
                .collect::<Vec<_>>(),
        ),
        Kind::Time => Box::new(
            values.filter_map(|it| if let Value::Time(time) = it { Some(*time) } else { None }).collect::<Vec<_>>(),
        ),
        Kind::Text => Box::new(
            values
                .filter_map(|it| if let Value::Text(text) = it { Some(text.clone()) } else { None })
                .collect::<Vec<_>>(),
        ),
    }
}

/// Writes what has changed, in the order of the key: neighbours share pages, and two nodes lock in one order.
async fn store(
    transaction: &Transaction<'_>,
    view: &View,
    partition: PartitionId,
    mut rows: Changes,
) -> Result<(), ViewError> {
    rows.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let partition = || parameter(&Value::Integer(i64::from(partition.0)), None);
    let columns: Vec<&str> = std::iter::once("partition").chain(sql::all_columns(view)).collect();
    let (name, kinds) = (DIALECT.name(view), view.table.columns);
    let put = rows.iter().filter_map(|(_, row)| row.as_ref()).map(|values| {
        let values = values.iter().zip(kinds).map(|(value, column)| parameter(value, Some(column)));
        std::iter::once(partition()).chain(values).collect()
    });
    let gone = rows.iter().filter(|(_, row)| row.is_none()).map(|(key, _)| {
        let values = key.iter().zip(kinds).map(|(value, column)| parameter(value, Some(column)));
        std::iter::once(partition()).chain(values).collect()
    });
    let mut statements = Vec::new();
    let insert = format!("INSERT INTO {name} ({}) VALUES", sql::list(&columns));
    add_rows(&mut statements, &insert, put, &DIALECT.on_conflict(view));
    let delete = format!("DELETE FROM {name} WHERE ({}) IN (VALUES", sql::list(&sql::key_columns(view)));
    add_rows(&mut statements, &delete, gone, ")");
    for statement in &statements {
        let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
            statement.parameters.iter().map(|(value, kind)| (&**value as _, kind.clone())).collect();
        transaction.execute_typed(&statement.sql, &parameters).await.map_err(in_view(view))?;
    }
    Ok(())
}

/// A value with its type; nothing is nothing of the column's type.
fn parameter(value: &Value, column: Option<&Column>) -> Parameter {
    match value {
        Value::Null => match column.map(|column| column.kind) {
            Some(Kind::Id) => (Box::new(None::<uuid::Uuid>), Type::UUID),
            Some(Kind::Integer) => (Box::new(None::<i64>), Type::INT8),
            Some(Kind::Boolean) => (Box::new(None::<bool>), Type::BOOL),
            Some(Kind::Time) => (Box::new(None::<jiff::Timestamp>), Type::TIMESTAMPTZ),
            Some(Kind::Text) | None => (Box::new(None::<String>), Type::TEXT),
        },
        Value::Id(id) => (Box::new(*id), Type::UUID),
        Value::Integer(number) => (Box::new(*number), Type::INT8),
        Value::Boolean(is_true) => (Box::new(*is_true), Type::BOOL),
        Value::Time(time) => (Box::new(*time), Type::TIMESTAMPTZ),
        Value::Text(text) => (Box::new(text.clone()), Type::TEXT),
    }
}

/// All columns of a row, as its table defines them.
fn values_of(view: &View, row: &Row) -> Result<Values, ViewError> {
    let value = |(index, column): (usize, &Column)| {
        let value = match column.kind {
            Kind::Id => row.try_get::<_, Option<_>>(index).map(|it| it.map(Value::Id)),
            Kind::Integer => row.try_get::<_, Option<_>>(index).map(|it| it.map(Value::Integer)),
            Kind::Boolean => row.try_get::<_, Option<_>>(index).map(|it| it.map(Value::Boolean)),
            Kind::Time => row.try_get::<_, Option<_>>(index).map(|it| it.map(Value::Time)),
            Kind::Text => row.try_get::<_, Option<_>>(index).map(|it| it.map(Value::Text)),
        };
        let foreign = |_| ViewError::Foreign { view: view.to_string() };
        Ok(value.map_err(foreign)?.unwrap_or(Value::Null))
    };
    view.table.columns.iter().enumerate().map(value).collect()
}
