//! Counts of failed attempts, beside the embedded log.

use async_trait::async_trait;
use porttask_runtime::{
    attempts::{AttemptCount, AttemptCounts},
    log::LogError,
};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use uuid::Uuid;

use super::{
    SqliteLog,
    reader::{Durable, timestamp, uuid},
};

const FIND: &str = "SELECT counter, failures, since, last, unlocks, expires_at FROM ledger_attempts WHERE counter = ?1";

const ADD: &str = "INSERT INTO ledger_attempts AS old (counter, failures, since, last, unlocks, expires_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (counter) DO UPDATE SET
        failures = max(iif(old.expires_at <= excluded.last OR old.unlocks < excluded.unlocks, 0, old.failures)
            + excluded.failures, 0),
        since = iif(old.expires_at <= excluded.last OR old.unlocks < excluded.unlocks, excluded.since, old.since),
        last = max(old.last, excluded.last),
        unlocks = max(old.unlocks, excluded.unlocks),
        expires_at =
            iif(old.expires_at <= excluded.last OR old.unlocks < excluded.unlocks, excluded.expires_at, old.expires_at)";

// Lost writes are harmless: a few attempts more.
#[async_trait]
impl AttemptCounts for SqliteLog {
    async fn attempt_counts(&self, counters: &[Uuid]) -> Result<Vec<AttemptCount>, LogError> {
        self.readers.quickly(|connection| {
            let mut select = connection.prepare_cached(FIND)?;
            let found = counters.iter().map(|counter| select.query_row([counter.as_bytes()], stored).optional());
            found.filter_map(Result::transpose).collect()
        })
    }

    async fn add_attempts(&self, reset: &[Uuid], added: &[AttemptCount]) -> Result<(), LogError> {
        let (reset, added) = (reset.to_vec(), added.to_vec());
        let add = move |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for counter in reset {
                let mut delete = transaction.prepare_cached("DELETE FROM ledger_attempts WHERE counter = ?1")?;
                delete.execute([counter.as_bytes()])?;
            }
            for AttemptCount { counter, failures, since, last, unlocks, expires_at } in added {
                let (since, last, end) = (since.as_microsecond(), last.as_microsecond(), expires_at.as_microsecond());
                let values = params![counter.as_bytes(), failures, since, last, unlocks as i64, end];
                transaction.prepare_cached(ADD)?.execute(values)?;
            }
            transaction.commit()
        };
        self.readers.run_writing(Durable::Soon, add).await
    }
}

fn stored(row: &Row<'_>) -> rusqlite::Result<AttemptCount> {
    Ok(AttemptCount {
        counter: uuid(row, 0)?,
        failures: row.get(1)?,
        since: timestamp(row, 2)?,
        last: timestamp(row, 3)?,
        unlocks: row.get::<_, i64>(4)? as u64,
        expires_at: timestamp(row, 5)?,
    })
}
