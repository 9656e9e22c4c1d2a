//! The clock of the embedded log: this machine's, plus the offset of a simulated one.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use porttask_runtime::{
    clock::{Advance, ClockError, LogClock},
    log::{LogError, Offset},
};
use rusqlite::{Connection, TransactionBehavior};

use super::{
    SqliteLog,
    reader::{self, Durable},
};

#[async_trait]
impl LogClock for SqliteLog {
    async fn database_time(&self) -> Result<Timestamp, LogError> {
        Ok(now())
    }

    async fn clock_offset(&self) -> Result<Option<SignedDuration>, LogError> {
        self.readers.quickly(offset)
    }

    async fn simulate_clock(&self) -> Result<(), ClockError> {
        self.readers.run_writing(Durable::AtOnce, simulate).await?
    }

    async fn advance_clock(&self, by: Advance) -> Result<SignedDuration, ClockError> {
        self.readers.run_writing(Durable::AtOnce, move |connection| advance(connection, by)).await?
    }
}

/// This machine's time, in microseconds.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// The offset of a simulated clock.
fn offset(connection: &Connection) -> rusqlite::Result<Option<SignedDuration>> {
    connection.query_row("SELECT is_simulated, offset_microseconds FROM ledger_clock", [], |row| {
        let offset = SignedDuration::from_micros(row.get(1)?);
        Ok(row.get::<_, bool>(0)?.then_some(offset))
    })
}

fn simulate(connection: &mut Connection) -> rusqlite::Result<Result<(), ClockError>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if offset(&transaction)?.is_some() {
        return Ok(Ok(()));
    }
    if reader::head(&transaction)?.position.offset > Offset::START {
        return Ok(Err(ClockError::HasEvents));
    }
    transaction.execute("UPDATE ledger_clock SET is_simulated = 1", [])?;
    transaction.commit().map(Ok)
}

fn advance(connection: &mut Connection, by: Advance) -> rusqlite::Result<Result<SignedDuration, ClockError>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let Some(offset) = offset(&transaction)? else { return Ok(Err(ClockError::Real)) };
    let advanced = match by.offset(now(), offset) {
        Ok(advanced) => advanced,
        Err(error) => return Ok(Err(error)),
    };
    transaction.execute("UPDATE ledger_clock SET offset_microseconds = ?1", [advanced.as_micros() as i64])?;
    transaction.commit().map(|()| Ok(advanced))
}
