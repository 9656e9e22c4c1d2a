//! Leases and failed timers, beside the embedded log.

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_runtime::{
    lease::{Holder, Lease},
    log::{LogError, OrganizationId, PartitionId},
    timers::{TimerFailure, TimerLedger},
};
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::{
    SqliteLog,
    reader::{Durable, timestamp, uuid},
};

const HOLD: &str = "INSERT INTO ledger_leases AS lease (name, node, run, leased_until) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (name) DO UPDATE SET node = excluded.node, run = excluded.run, leased_until = excluded.leased_until
    WHERE lease.node = excluded.node OR lease.leased_until <= ?5";

const FAILURES: &str = "SELECT organization, subject, kind, due_at, attempts, retry_at, error
    FROM ledger_timer_failures ORDER BY retry_at, organization, subject LIMIT ?1";

// Lost writes are harmless: a lease is taken again, a failed timer fails again.
#[async_trait]
impl TimerLedger for SqliteLog {
    async fn hold(&self, name: &str, lease: &Lease) -> Result<bool, LogError> {
        let (name, Holder { node, run }) = (name.to_owned(), lease.holder.clone());
        // The embedded log's clock is this machine's.
        let now = Timestamp::now().as_microsecond();
        let until = now.saturating_add(i64::try_from(lease.duration().as_micros()).unwrap_or(i64::MAX));
        let hold = move |connection: &mut Connection| {
            connection.execute(HOLD, params![name, node, run.as_bytes(), until, now]).map(|count| count == 1)
        };
        self.readers.run_writing(Durable::Soon, hold).await
    }

    async fn release(&self, name: &str, holder: &Holder) -> Result<(), LogError> {
        let (name, Holder { node, run }) = (name.to_owned(), holder.clone());
        let release = move |connection: &mut Connection| {
            let delete = "DELETE FROM ledger_leases WHERE name = ?1 AND node = ?2 AND run = ?3";
            connection.execute(delete, params![name, node, run.as_bytes()]).map(drop)
        };
        self.readers.run_writing(Durable::Soon, release).await
    }

    async fn timer_failures(&self, _: Option<PartitionId>, limit: usize) -> Result<Vec<TimerFailure>, LogError> {
        self.readers.quickly(|connection| {
            let mut select = connection.prepare_cached(FAILURES)?;
            select.query_map([limit as i64], failure)?.collect()
        })
    }

    async fn record_timer_failure(&self, failure: &TimerFailure) -> Result<(), LogError> {
        let failure = failure.clone();
        let record = move |connection: &mut Connection| {
            let TimerFailure { partition: _, organization, subject, kind, due_at, attempts, retry_at, error } = failure;
            let put = "INSERT OR REPLACE INTO ledger_timer_failures
                (organization, subject, kind, due_at, attempts, retry_at, error) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let (due_at, retry_at) = (due_at.as_microsecond(), retry_at.as_microsecond());
            let values =
                params![organization.0.as_bytes(), subject.as_bytes(), kind, due_at, attempts, retry_at, error];
            connection.execute(put, values).map(drop)
        };
        self.readers.run_writing(Durable::Soon, record).await
    }

    async fn delete_timer_failure(&self, organization: OrganizationId, subject: Uuid) -> Result<(), LogError> {
        let delete = move |connection: &mut Connection| {
            let delete = "DELETE FROM ledger_timer_failures WHERE organization = ?1 AND subject = ?2";
            connection.execute(delete, params![organization.0.as_bytes(), subject.as_bytes()]).map(drop)
        };
        self.readers.run_writing(Durable::Soon, delete).await
    }

    async fn retry_timer(&self, organization: OrganizationId, subject: Uuid, now: Timestamp) -> Result<bool, LogError> {
        let retry = move |connection: &mut Connection| {
            let update = "UPDATE ledger_timer_failures SET retry_at = ?3 WHERE organization = ?1 AND subject = ?2";
            let values = params![organization.0.as_bytes(), subject.as_bytes(), now.as_microsecond()];
            connection.execute(update, values).map(|count| count == 1)
        };
        self.readers.run_writing(Durable::Soon, retry).await
    }
}

fn failure(row: &Row<'_>) -> rusqlite::Result<TimerFailure> {
    Ok(TimerFailure {
        partition: PartitionId::PLATFORM,
        organization: OrganizationId(uuid(row, 0)?),
        subject: uuid(row, 1)?,
        kind: row.get(2)?,
        due_at: timestamp(row, 3)?,
        attempts: row.get(4)?,
        retry_at: timestamp(row, 5)?,
        error: row.get(6)?,
    })
}
