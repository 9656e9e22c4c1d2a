//! Writes a copied log to an empty database.

use std::{error::Error as StdError, pin::pin};

use bytes::BytesMut;
use futures_util::TryStreamExt;
use porttask_runtime::log::{Incarnation, LeafHash, LogError};
use tokio::sync::mpsc;
use tokio_postgres::{
    Client, Error, Transaction,
    binary_copy::BinaryCopyInWriter,
    types::{IsNull, ToSql, Type, to_sql_checked},
};
use uuid::Uuid;

use super::{connect::Connector, error::from_postgres, schema};
use crate::log::copy::{EventDigest, Kind, Row, TABLES, Table, Value};

/// A copy takes as long as it takes, and is durable once it is committed.
const SETTINGS: &str = "
    SET statement_timeout = 0;
    SET idle_in_transaction_session_timeout = 0;
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local');
";

/// After the tables: numbers that the database generates continue after the copied ones, and what a process was
/// running when the source was stopped is due again.
const ADJUST: &str = "
    SELECT setval(pg_get_serial_sequence('ledger.tasks', 'rank'), max(rank)) FROM ledger.tasks;
    SELECT setval(pg_get_serial_sequence('log.incarnations', 'number'), max(number)) FROM log.incarnations;
    UPDATE ledger.tasks SET state = 'due', leased_until = NULL, holder = NULL, holder_run = NULL
        WHERE state = 'running';
    UPDATE ledger.jobs SET state = 'waiting', due_at = clock_timestamp(), leased_until = NULL, holder = NULL,
        holder_run = NULL WHERE state = 'running';
";

/// A database without a log, where no process creates one while this value exists.
pub(in crate::log) struct Target {
    client: Client,
}

impl Target {
    /// Connects to a database and checks that it has no log, or an empty one. Changes nothing.
    pub(in crate::log) async fn open(url: &str) -> Result<Self, LogError> {
        let client = Connector::new(url)?.plain().await?;
        client.batch_execute(SETTINGS).await.map_err(failed)?;
        // Until the connection ends: a service that starts meanwhile waits.
        client.execute("SELECT pg_advisory_lock($1)", &[&schema::MIGRATION_LOCK]).await.map_err(failed)?;
        for table in &TABLES {
            // Of an empty log, too.
            if table.target != "log.incarnations" && has_rows(&client, table.target).await? {
                return Err(LogError::Unusable(format!(
                    "the database already has a log ({} is not empty): copy to an empty database",
                    table.target
                )));
            }
        }
        Ok(Self { client })
    }

    /// Creates the tables.
    pub(in crate::log) async fn prepare(&mut self) -> Result<(), LogError> {
        schema::prepare(&mut self.client, 1).await.map(drop)
    }

    /// Begins the transaction of the copy.
    pub(in crate::log) async fn begin(&mut self) -> Result<Writing<'_>, LogError> {
        let transaction = self.client.transaction().await.map_err(failed)?;
        transaction.batch_execute("DELETE FROM log.incarnations").await.map_err(failed)?;
        Ok(Writing { transaction })
    }
}

async fn has_rows(client: &Client, table: &str) -> Result<bool, LogError> {
    let exists = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]).await.map_err(failed)?;
    if !exists.get::<_, bool>(0) {
        return Ok(false);
    }
    let found = client.query_one(&format!("SELECT EXISTS (SELECT FROM {table})"), &[]).await.map_err(failed)?;
    Ok(found.get(0))
}

/// The transaction of the copy; it is rolled back unless it is committed.
pub(in crate::log) struct Writing<'a> {
    transaction: Transaction<'a>,
}

impl Writing<'_> {
    /// Writes the rows of a table; returns their number.
    pub(in crate::log) async fn copy(
        &self,
        table: &Table,
        batches: &mut mpsc::Receiver<Vec<Row>>,
        report: impl Fn(u64),
    ) -> Result<u64, LogError> {
        let (mut names, mut types) = (Vec::new(), Vec::new());
        if table.has_partition {
            names.push("partition".to_owned());
            types.push(Type::INT4);
        }
        for (name, kind) in table.columns {
            names.push(format!("\"{name}\""));
            types.push(type_of(*kind));
        }
        let sql = format!("COPY {} ({}) FROM STDIN BINARY", table.target, names.join(", "));
        let sink = self.transaction.copy_in(&sql).await.map_err(failed)?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
        let mut done = 0;
        while let Some(rows) = batches.recv().await {
            done += rows.len() as u64;
            for mut row in rows {
                if table.has_partition {
                    row.insert(0, Value::Small(0));
                }
                writer.as_mut().write_raw(row).await.map_err(failed)?;
            }
            report(done);
        }
        writer.finish().await.map_err(failed)
    }

    /// Sets whether the clock is simulated, and its offset in microseconds.
    pub(in crate::log) async fn put_clock(&self, (is_simulated, offset): (bool, i64)) -> Result<(), LogError> {
        let sql = "UPDATE ledger.clock SET is_simulated = $1, offset_microseconds = $2";
        self.transaction.execute(sql, &[&is_simulated, &offset]).await.map(drop).map_err(failed)
    }

    /// Begins the incarnation of the copy. Nothing is missing in a copy, so reactors that followed the source go on
    /// where they were; one that was held since a restore still is.
    pub(in crate::log) async fn adjust(&self, former: Incarnation) -> Result<Incarnation, LogError> {
        self.transaction.batch_execute(ADJUST).await.map_err(failed)?;
        let new = Uuid::now_v7();
        let begin = "INSERT INTO log.incarnations (id) VALUES ($1)";
        self.transaction.execute(begin, &[&new]).await.map_err(failed)?;
        let go_on = "UPDATE ledger.cursors SET incarnation = $1 WHERE incarnation = $2";
        self.transaction.execute(go_on, &[&new, &former.0]).await.map_err(failed)?;
        Ok(Incarnation(new))
    }

    /// The digest of the events as written.
    pub(in crate::log) async fn digest(
        &self,
        total: u64,
        report: &(dyn Fn(&str, u64, u64) + Sync),
    ) -> Result<(u64, LeafHash), LogError> {
        let sql = "SELECT leaf_hash FROM log.events ORDER BY partition, \"offset\"";
        let nothing: [&(dyn ToSql + Sync); 0] = [];
        let mut rows = pin!(self.transaction.query_raw(sql, nothing).await.map_err(failed)?);
        let mut digest = EventDigest::default();
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            digest.add(row.get(0));
            if digest.count.is_multiple_of(1_000) || digest.count == total {
                report("events read back", digest.count, total);
            }
        }
        Ok(digest.finish())
    }

    pub(in crate::log) async fn commit(self) -> Result<(), LogError> {
        self.transaction.commit().await.map_err(|error| {
            LogError::Unavailable(format!(
                "the outcome of the copy is unknown ({}): run it again; if the database then has a log, the copy is \
                 complete",
                from_postgres(&error)
            ))
        })
    }
}

fn failed(error: Error) -> LogError {
    from_postgres(&error)
}

fn type_of(kind: Kind) -> Type {
    match kind {
        Kind::Id => Type::UUID,
        Kind::Text => Type::TEXT,
        Kind::Bytes => Type::BYTEA,
        Kind::Small => Type::INT4,
        Kind::Number => Type::INT8,
        Kind::Flag => Type::BOOL,
        Kind::Time => Type::TIMESTAMPTZ,
    }
}

impl ToSql for Value {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Id(value) => value.to_sql(kind, out),
            Self::Text(value) => value.to_sql(kind, out),
            Self::Bytes(value) => value.to_sql(kind, out),
            Self::Small(value) => value.to_sql(kind, out),
            Self::Number(value) => value.to_sql(kind, out),
            Self::Flag(value) => value.to_sql(kind, out),
            Self::Time(value) => value.to_sql(kind, out),
        }
    }

    /// The types are those of [`type_of`].
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
