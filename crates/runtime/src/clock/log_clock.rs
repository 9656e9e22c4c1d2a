//! Port: the clock of the log's database, and the offset of a simulated clock, which is part of the ledger.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp, civil::date, tz::Offset};

use crate::log::LogError;

/// The clock of a log. Implemented by every engine.
///
/// A log is created with a real clock. It can be made simulated as long as it has no events; after that, neither kind
/// ever becomes the other.
#[async_trait]
pub trait LogClock: Send + Sync {
    /// The time of the database, in microseconds; of this machine, if the log is embedded.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn database_time(&self) -> Result<Timestamp, LogError>;

    /// The offset of the simulated time to the database's; `None` if the clock is real.
    ///
    /// # Errors
    /// If the log's database fails.
    async fn clock_offset(&self) -> Result<Option<SignedDuration>, LogError>;

    /// Makes the clock simulated, with an offset of zero. Has no effect if it already is.
    ///
    /// # Errors
    /// If the clock is real and the log has events, or the log's database fails.
    async fn simulate_clock(&self) -> Result<(), ClockError>;

    /// Advances the simulated clock; returns its new offset.
    ///
    /// # Errors
    /// If the clock is real, would go back or beyond the year 2999, or if the log's database fails.
    async fn advance_clock(&self, advance: Advance) -> Result<SignedDuration, ClockError>;
}

/// How far a simulated clock is advanced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advance {
    /// By a duration.
    By(SignedDuration),
    /// To an instant.
    To(Timestamp),
}

/// Why a clock was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClockError {
    /// The clock is real.
    #[error(
        "this log has a real clock, which cannot be advanced: create a log with a simulated clock by `porttask init \
         --simulated`"
    )]
    Real,
    /// The clock is real, and the log has events.
    #[error("this log has events that were recorded with a real clock, so its clock can no longer be simulated")]
    HasEvents,
    /// The clock would go back.
    #[error("the clock cannot go back: it shows {now}")]
    Backwards {
        /// The simulated time.
        now: Timestamp,
    },
    /// The clock would leave the supported range.
    #[error("the clock cannot be advanced beyond the year 2999")]
    TooFar,
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Advance {
    /// The new offset, for engines: to be computed and stored under a lock.
    ///
    /// # Errors
    /// If the clock would go back or beyond the year 2999.
    pub fn offset(self, database_time: Timestamp, offset: SignedDuration) -> Result<SignedDuration, ClockError> {
        let now = database_time.checked_add(offset).map_err(|_| ClockError::TooFar)?;
        let target = match self {
            Self::By(duration) => now.checked_add(duration).map_err(|_| ClockError::TooFar)?,
            Self::To(target) => target,
        };
        if target < now {
            return Err(ClockError::Backwards { now });
        }
        let end = Offset::UTC.to_timestamp(date(3000, 1, 1).at(0, 0, 0, 0)).map_err(|_| ClockError::TooFar)?;
        if target >= end {
            return Err(ClockError::TooFar);
        }
        let offset = target.duration_since(database_time);
        // Stored in microseconds.
        Ok(SignedDuration::from_micros(i64::try_from(offset.as_micros()).map_err(|_| ClockError::TooFar)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_clock_advances_by_a_duration_or_to_an_instant() {
        let database = time("2026-01-01T00:00:00Z");
        assert_eq!(Advance::By(HOUR).offset(database, HOUR), Ok(HOUR * 2));
        assert_eq!(Advance::By(SignedDuration::ZERO).offset(database, HOUR), Ok(HOUR));
        assert_eq!(Advance::To(time("2026-01-01T03:00:00Z")).offset(database, HOUR), Ok(HOUR * 3));
        assert_eq!(Advance::To(time("2026-01-01T01:00:00Z")).offset(database, HOUR), Ok(HOUR));
    }

    #[test]
    fn a_clock_goes_neither_back_nor_beyond_the_year_2999() {
        let database = time("2026-01-01T00:00:00Z");
        let backwards = Err(ClockError::Backwards { now: time("2026-01-01T01:00:00Z") });
        assert_eq!(Advance::By(-HOUR).offset(database, HOUR), backwards);
        assert_eq!(Advance::To(time("2026-01-01T00:59:59Z")).offset(database, HOUR), backwards);
        for advance in [Advance::By(SignedDuration::MAX), Advance::To(time("3000-01-01T00:00:00Z"))] {
            assert_eq!(advance.offset(database, HOUR), Err(ClockError::TooFar));
        }
        assert!(Advance::To(time("2999-12-31T23:59:59Z")).offset(database, HOUR).is_ok());
    }
}
