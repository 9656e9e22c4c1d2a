//! The clock of the log: the server's, plus the offset of a simulated one.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use porttask_runtime::{
    clock::{Advance, ClockError, LogClock},
    log::LogError,
};
use tokio_postgres::{Error, Row};

use super::{PostgresLog, error::from_postgres};

/// The offset of a simulated clock.
pub(super) const OFFSET: &str = "SELECT is_simulated, offset_microseconds FROM ledger.clock";

#[async_trait]
impl LogClock for PostgresLog {
    async fn database_time(&self) -> Result<Timestamp, LogError> {
        self.reader.time().await
    }

    async fn clock_offset(&self) -> Result<Option<SignedDuration>, LogError> {
        self.reader.clock_offset().await
    }

    async fn simulate_clock(&self) -> Result<(), ClockError> {
        let mut client = self.connector.plain().await?;
        let transaction = client.transaction().await.map_err(failed)?;
        // Block appends, so that there are still no events at the commit.
        let lock = "SELECT partition FROM log.heads ORDER BY partition FOR UPDATE";
        transaction.query(lock, &[]).await.map_err(failed)?;
        if offset(&transaction.query_one(OFFSET, &[]).await.map_err(failed)?).is_some() {
            return Ok(());
        }
        let has_events = transaction.query_one("SELECT EXISTS (SELECT FROM log.events)", &[]).await.map_err(failed)?;
        if has_events.get(0) {
            return Err(ClockError::HasEvents);
        }
        transaction.execute("UPDATE ledger.clock SET is_simulated = true", &[]).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    async fn advance_clock(&self, advance: Advance) -> Result<SignedDuration, ClockError> {
        let mut client = self.connector.plain().await?;
        let transaction = client.transaction().await.map_err(failed)?;
        let locked = transaction.query_one(&format!("{OFFSET} FOR UPDATE"), &[]).await.map_err(failed)?;
        let offset = offset(&locked).ok_or(ClockError::Real)?;
        // After the lock: a time from before could be earlier than that of the previous change.
        let now = transaction.query_one("SELECT clock_timestamp()", &[]).await.map_err(failed)?.get(0);
        let advanced = advance.offset(now, offset)?;
        let update = "UPDATE ledger.clock SET offset_microseconds = $1";
        transaction.execute(update, &[&(advanced.as_micros() as i64)]).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(advanced)
    }
}

/// The offset, from a row of [`OFFSET`].
pub(super) fn offset(row: &Row) -> Option<SignedDuration> {
    let offset = SignedDuration::from_micros(row.get(1));
    row.get::<_, bool>(0).then_some(offset)
}

fn failed(error: Error) -> ClockError {
    ClockError::Log(from_postgres(&error))
}
