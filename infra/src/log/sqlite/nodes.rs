//! The registry of nodes, beside the embedded log.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_runtime::{
    lease::Holder,
    log::LogError,
    nodes::{NodeRecord, NodeRegistry, REMOVED_AFTER, SILENT_AFTER},
};
use rusqlite::{Connection, Row, params};

use super::{
    SqliteLog,
    reader::{Durable, timestamp, uuid},
};

const REPORT: &str = "INSERT INTO ledger_nodes (name, run, version, shares_documents, started_at, last_seen_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?5)
    ON CONFLICT (name, run) DO UPDATE SET last_seen_at = excluded.last_seen_at";
const TIDY: &str = "DELETE FROM ledger_nodes WHERE last_seen_at <= ?3 OR name = ?1 AND last_seen_at <= ?2";
const REMOVE: &str = "DELETE FROM ledger_nodes WHERE name = ?1 AND run = ?2";
const NODES: &str = "SELECT name, run, version, shares_documents, started_at, last_seen_at, last_seen_at <= ?1
    FROM ledger_nodes ORDER BY name, started_at, run";

// Lost writes are harmless: a node reports again.
#[async_trait]
impl NodeRegistry for SqliteLog {
    async fn report_node(&self, holder: &Holder, version: &str, shares_documents: bool) -> Result<(), LogError> {
        let (Holder { node, run }, version) = (holder.clone(), version.to_owned());
        let report = move |connection: &mut Connection| {
            // The embedded log's clock is this machine's.
            let now = Timestamp::now().as_microsecond();
            let transaction = connection.transaction()?;
            transaction.execute(REPORT, params![node, run.as_bytes(), version, shares_documents, now])?;
            transaction.execute(TIDY, params![node, before(now, SILENT_AFTER), before(now, REMOVED_AFTER)])?;
            transaction.commit()
        };
        self.readers.run_writing(Durable::Soon, report).await
    }

    async fn remove_node(&self, holder: &Holder) -> Result<(), LogError> {
        let Holder { node, run } = holder.clone();
        let remove =
            move |connection: &mut Connection| connection.execute(REMOVE, params![node, run.as_bytes()]).map(drop);
        self.readers.run_writing(Durable::Soon, remove).await
    }

    async fn nodes(&self) -> Result<Vec<NodeRecord>, LogError> {
        self.readers.quickly(|connection| {
            let silent = before(Timestamp::now().as_microsecond(), SILENT_AFTER);
            connection.prepare_cached(NODES)?.query_map([silent], node)?.collect()
        })
    }
}

fn before(now: i64, duration: Duration) -> i64 {
    now.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

fn node(row: &Row<'_>) -> rusqlite::Result<NodeRecord> {
    Ok(NodeRecord {
        holder: Holder { node: row.get(0)?, run: uuid(row, 1)? },
        version: row.get(2)?,
        shares_documents: row.get(3)?,
        started_at: timestamp(row, 4)?,
        last_seen_at: timestamp(row, 5)?,
        is_silent: row.get(6)?,
    })
}
