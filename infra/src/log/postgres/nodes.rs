//! The registry of nodes, beside the log.

use async_trait::async_trait;
use porttask_runtime::{
    lease::Holder,
    log::LogError,
    nodes::{NodeRecord, NodeRegistry, REMOVED_AFTER, SILENT_AFTER},
};
use tokio_postgres::Row;

use super::PostgresLog;

const REPORT: &str = "INSERT INTO ledger.nodes (name, run, version, shares_documents, started_at, last_seen_at)
    VALUES ($1, $2, $3, $4, clock_timestamp(), clock_timestamp())
    ON CONFLICT (name, run) DO UPDATE SET last_seen_at = excluded.last_seen_at";
const TIDY: &str = "DELETE FROM ledger.nodes
    WHERE last_seen_at <= clock_timestamp() - make_interval(secs => $3)
        OR name = $1 AND last_seen_at <= clock_timestamp() - make_interval(secs => $2)";
const REMOVE: &str = "DELETE FROM ledger.nodes WHERE name = $1 AND run = $2";
const NODES: &str = "SELECT name, run, version, shares_documents, started_at, last_seen_at,
        last_seen_at <= clock_timestamp() - make_interval(secs => $1)
    FROM ledger.nodes ORDER BY name, started_at, run";

#[async_trait]
impl NodeRegistry for PostgresLog {
    async fn report_node(&self, holder: &Holder, version: &str, shares_documents: bool) -> Result<(), LogError> {
        self.changed(REPORT, &[&holder.node, &holder.run, &version, &shares_documents]).await?;
        let (silent, removed) = (SILENT_AFTER.as_secs_f64(), REMOVED_AFTER.as_secs_f64());
        self.changed(TIDY, &[&holder.node, &silent, &removed]).await.map(drop)
    }

    async fn remove_node(&self, holder: &Holder) -> Result<(), LogError> {
        self.changed(REMOVE, &[&holder.node, &holder.run]).await.map(drop)
    }

    async fn nodes(&self) -> Result<Vec<NodeRecord>, LogError> {
        Ok(self.rows(NODES, &[&SILENT_AFTER.as_secs_f64()]).await?.iter().map(node).collect())
    }
}

fn node(row: &Row) -> NodeRecord {
    NodeRecord {
        holder: Holder { node: row.get(0), run: row.get(1) },
        version: row.get(2),
        shares_documents: row.get(3),
        started_at: row.get(4),
        last_seen_at: row.get(5),
        is_silent: row.get(6),
    }
}
