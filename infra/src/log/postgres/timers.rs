//! Leases and failed timers, beside the log.

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_runtime::{
    lease::{Holder, Lease},
    log::{LogError, OrganizationId, PartitionId},
    timers::{TimerFailure, TimerLedger},
};
use tokio_postgres::Row;
use uuid::Uuid;

use super::PostgresLog;

/// A statement sees its own start as `now()`, so that the lease is not judged by the time of a transaction.
const HOLD: &str = "INSERT INTO ledger.leases AS lease (name, node, run, leased_until)
    VALUES ($1, $2, $3, clock_timestamp() + make_interval(secs => $4))
    ON CONFLICT (name) DO UPDATE SET node = excluded.node, run = excluded.run, leased_until = excluded.leased_until
    WHERE lease.node = excluded.node OR lease.leased_until <= clock_timestamp()";

const FAILURES: &str = "SELECT partition, organization, subject, kind, due_at, attempts, retry_at, error
    FROM ledger.timer_failures WHERE $1::int4 IS NULL OR partition = $1 ORDER BY retry_at, organization, subject LIMIT $2";

const RECORD: &str = "INSERT INTO ledger.timer_failures
        (partition, organization, subject, kind, due_at, attempts, retry_at, error)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (partition, organization, subject) DO UPDATE SET kind = excluded.kind, due_at = excluded.due_at,
        attempts = excluded.attempts, retry_at = excluded.retry_at, error = excluded.error";

#[async_trait]
impl TimerLedger for PostgresLog {
    async fn hold(&self, name: &str, lease: &Lease) -> Result<bool, LogError> {
        let Holder { node, run } = &lease.holder;
        Ok(self.changed(HOLD, &[&name, node, run, &lease.duration().as_secs_f64()]).await? == 1)
    }

    async fn release(&self, name: &str, holder: &Holder) -> Result<(), LogError> {
        let delete = "DELETE FROM ledger.leases WHERE name = $1 AND node = $2 AND run = $3";
        self.changed(delete, &[&name, &holder.node, &holder.run]).await.map(drop)
    }

    async fn timer_failures(
        &self,
        partition: Option<PartitionId>,
        limit: usize,
    ) -> Result<Vec<TimerFailure>, LogError> {
        let partition = partition.map(|partition| i32::from(partition.0));
        Ok(self.rows(FAILURES, &[&partition, &(limit as i64)]).await?.iter().map(failure).collect())
    }

    async fn record_timer_failure(&self, failure: &TimerFailure) -> Result<(), LogError> {
        let TimerFailure { partition, organization, subject, kind, due_at, attempts, retry_at, error } = failure;
        let (partition, attempts) = (i32::from(partition.0), *attempts as i32);
        self.changed(RECORD, &[&partition, &organization.0, subject, kind, due_at, &attempts, retry_at, error])
            .await
            .map(drop)
    }

    async fn delete_timer_failure(&self, organization: OrganizationId, subject: Uuid) -> Result<(), LogError> {
        let partition = i32::from(self.shelf_of(organization).await?.0);
        let delete = "DELETE FROM ledger.timer_failures WHERE partition = $1 AND organization = $2 AND subject = $3";
        self.changed(delete, &[&partition, &organization.0, &subject]).await.map(drop)
    }

    async fn retry_timer(&self, organization: OrganizationId, subject: Uuid, now: Timestamp) -> Result<bool, LogError> {
        let partition = i32::from(self.shelf_of(organization).await?.0);
        let update = "UPDATE ledger.timer_failures SET retry_at = $4
                      WHERE partition = $1 AND organization = $2 AND subject = $3";
        Ok(self.changed(update, &[&partition, &organization.0, &subject, &now]).await? == 1)
    }
}

fn failure(row: &Row) -> TimerFailure {
    TimerFailure {
        partition: PartitionId(row.get::<_, i32>(0) as u16),
        organization: OrganizationId(row.get(1)),
        subject: row.get(2),
        kind: row.get(3),
        due_at: row.get(4),
        attempts: row.get::<_, i32>(5) as u32,
        retry_at: row.get(6),
        error: row.get(7),
    }
}
