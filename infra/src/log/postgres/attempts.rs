//! Counts of failed attempts, beside the log.

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_runtime::{
    attempts::{AttemptCount, AttemptCounts},
    log::LogError,
};
use tokio_postgres::Row;
use uuid::Uuid;

use super::PostgresLog;

const FIND: &str =
    "SELECT counter, failures, since, last, unlocks, expires_at FROM ledger.attempts WHERE counter = ANY ($1)";

/// Rows in key order, so that concurrent nodes do not deadlock.
const RESET: &str = "DELETE FROM ledger.attempts WHERE counter IN
    (SELECT counter FROM ledger.attempts WHERE counter = ANY ($1) ORDER BY counter FOR UPDATE)";

const ADD: &str = "INSERT INTO ledger.attempts AS old (counter, failures, since, last, unlocks, expires_at)
    SELECT * FROM unnest($1::uuid[], $2::int8[], $3::timestamptz[], $4::timestamptz[], $5::int8[], $6::timestamptz[])
        AS new (counter) ORDER BY counter
    ON CONFLICT (counter) DO UPDATE SET (failures, since, last, unlocks, expires_at) = (
        SELECT CASE WHEN is_over THEN greatest(excluded.failures, 0)
                ELSE greatest(old.failures + excluded.failures, 0) END,
            CASE WHEN is_over THEN excluded.since ELSE old.since END,
            greatest(old.last, excluded.last),
            greatest(old.unlocks, excluded.unlocks),
            CASE WHEN is_over THEN excluded.expires_at ELSE old.expires_at END
        FROM (SELECT old.expires_at <= excluded.last OR old.unlocks < excluded.unlocks AS is_over) AS judged)";

#[async_trait]
impl AttemptCounts for PostgresLog {
    async fn attempt_counts(&self, counters: &[Uuid]) -> Result<Vec<AttemptCount>, LogError> {
        Ok(self.rows(FIND, &[&counters]).await?.iter().map(stored).collect())
    }

    async fn add_attempts(&self, reset: &[Uuid], added: &[AttemptCount]) -> Result<(), LogError> {
        if !reset.is_empty() {
            self.changed(RESET, &[&reset]).await?;
        }
        if added.is_empty() {
            return Ok(());
        }
        let times = |time: fn(&AttemptCount) -> Timestamp| added.iter().map(time).collect::<Vec<_>>();
        let counters: Vec<Uuid> = added.iter().map(|it| it.counter).collect();
        let failures: Vec<i64> = added.iter().map(|it| it.failures).collect();
        let unlocks: Vec<i64> = added.iter().map(|it| it.unlocks as i64).collect();
        let (since, last, end) = (times(|it| it.since), times(|it| it.last), times(|it| it.expires_at));
        self.changed(ADD, &[&counters, &failures, &since, &last, &unlocks, &end]).await.map(drop)
    }
}

fn stored(row: &Row) -> AttemptCount {
    AttemptCount {
        counter: row.get(0),
        failures: row.get(1),
        since: row.get(2),
        last: row.get(3),
        unlocks: row.get::<_, i64>(4) as u64,
        expires_at: row.get(5),
    }
}
