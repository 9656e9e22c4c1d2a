//! Keeps a node's clock equal to that of the log.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::SignedDuration;
use tokio::time::sleep;

use super::{Clock, LogClock, jumps::Watch, machine_micros};
use crate::{ledger::Database, log::LogError, supervise::beat};

/// How often a node measures its difference to the database.
const MEASURING: Duration = Duration::from_secs(10);
/// How often this machine's clock is compared with the time that has passed, and the offset of a simulated clock is read.
const FOLLOWING: Duration = Duration::from_secs(1);
/// Maximum number of attempts to measure the difference within a short round trip.
const ATTEMPTS: usize = 3;
/// A round trip that is short enough to measure the difference once.
const SHORT: Duration = Duration::from_millis(10);

/// Keeps the clock equal to the log's, until it is aborted. [`synchronize`] must have succeeded once before.
pub async fn run(database: Arc<dyn Database>, clock: Arc<Clock>) {
    let mut due = Instant::now();
    let mut watch = Watch::new(&clock);
    loop {
        beat(MEASURING);
        sleep(FOLLOWING).await;
        watch.look(&clock);
        let followed = if Instant::now() >= due {
            due = Instant::now() + MEASURING;
            measure(&*database, &clock, &mut watch).await
        } else if clock.is_simulated() {
            follow(&*database, &clock).await
        } else {
            continue;
        };
        if let Err(error) = followed {
            tracing::warn!(%error, "the database's clock cannot be read");
        }
    }
}

/// Synchronizes the clock, and looks at jumps and the log's last time of recording.
async fn measure(database: &dyn Database, clock: &Clock, watch: &mut Watch) -> Result<(), LogError> {
    synchronize(database, clock).await?;
    watch.measured(clock);
    watch.recorded(clock, database.heads().await?.iter().map(|head| head.recorded_at).max());
    Ok(())
}

/// Measures the difference to the database and reads the offset of a simulated clock.
///
/// # Errors
/// If the log's database fails; the clock then continues as before.
pub async fn synchronize<D: LogClock + ?Sized>(database: &D, clock: &Clock) -> Result<(), LogError> {
    clock.set_difference(difference(database).await?);
    if !clock.is_trusted() {
        let seconds = clock.difference().as_secs();
        tracing::error!(
            "the clock of this machine is {} s {} the database's: synchronize both; until then, this node is not ready",
            seconds.abs(),
            if seconds > 0 { "behind" } else { "ahead of" },
        );
    }
    follow(database, clock).await
}

/// Reads the offset of a simulated clock.
async fn follow<D: LogClock + ?Sized>(database: &D, clock: &Clock) -> Result<(), LogError> {
    clock.simulate(database.clock_offset().await?);
    Ok(())
}

/// The database's time minus this machine's. Zero if it is smaller than the error of the measurement, half a round trip:
/// always, if both clocks are the same.
async fn difference<D: LogClock + ?Sized>(database: &D) -> Result<SignedDuration, LogError> {
    let mut best: Option<(Duration, i64)> = None;
    for _ in 0..ATTEMPTS {
        let (before, started) = (machine_micros(), Instant::now());
        let time = database.database_time().await?.as_microsecond();
        let round_trip = started.elapsed();
        let half = i64::try_from(round_trip.as_micros() / 2).unwrap_or(i64::MAX);
        let difference = time.saturating_sub(before.saturating_add(half));
        // One microsecond for rounding.
        let difference = if difference.abs() <= half.saturating_add(1) { 0 } else { difference };
        if best.is_none_or(|(shortest, _)| round_trip < shortest) {
            best = Some((round_trip, difference));
        }
        if round_trip <= SHORT {
            break;
        }
    }
    Ok(SignedDuration::from_micros(best.map_or(0, |(_, difference)| difference)))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use async_trait::async_trait;
    use jiff::Timestamp;

    use super::*;
    use crate::clock::{Advance, ClockError};

    /// A database whose clock differs from this machine's, and which answers slowly at first.
    struct Distant {
        ahead: SignedDuration,
        offset: Option<SignedDuration>,
        slow_answers: AtomicU64,
    }

    #[async_trait]
    impl LogClock for Distant {
        async fn database_time(&self) -> Result<Timestamp, LogError> {
            let is_slow = self.slow_answers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |it| it.checked_sub(1));
            let time = Timestamp::now() + self.ahead;
            if is_slow.is_ok() {
                sleep(Duration::from_millis(400)).await;
            }
            Ok(time)
        }

        async fn clock_offset(&self) -> Result<Option<SignedDuration>, LogError> {
            Ok(self.offset)
        }

        async fn simulate_clock(&self) -> Result<(), ClockError> {
            Err(ClockError::HasEvents)
        }

        async fn advance_clock(&self, _: Advance) -> Result<SignedDuration, ClockError> {
            Err(ClockError::Real)
        }
    }

    async fn synchronized(ahead: SignedDuration, offset: Option<SignedDuration>, slow_answers: u64) -> Clock {
        let clock = Clock::new();
        let database = Distant { ahead, offset, slow_answers: AtomicU64::new(slow_answers) };
        synchronize(&database, &clock).await.unwrap();
        clock
    }

    #[tokio::test]
    async fn the_difference_is_measured_by_the_shortest_round_trip() {
        let clock = synchronized(SignedDuration::from_secs(5), None, 2).await;
        let error = clock.difference() - SignedDuration::from_secs(5);
        assert!(error.abs() < SignedDuration::from_millis(100), "{error:?}");
        assert!(clock.is_trusted() && clock.occurred_at().is_none() && !clock.is_simulated());
    }

    #[tokio::test]
    async fn the_same_clock_has_no_difference() {
        assert_eq!(synchronized(SignedDuration::ZERO, None, 0).await.difference(), SignedDuration::ZERO);
    }

    #[tokio::test]
    async fn a_node_that_is_more_than_30_seconds_off_is_not_trusted() {
        for (seconds, is_trusted) in [(-31, false), (-29, true), (29, true), (31, false)] {
            let clock = synchronized(SignedDuration::from_secs(seconds), None, 0).await;
            assert_eq!(clock.is_trusted(), is_trusted, "{seconds}");
        }
    }

    #[tokio::test]
    async fn a_simulated_clock_shows_its_offset_and_events_occur_then() {
        let day = SignedDuration::from_hours(24);
        let clock = synchronized(SignedDuration::ZERO, Some(day), 0).await;
        let ahead = clock.occurred_at().unwrap().duration_since(Timestamp::now());
        assert!((ahead - day).abs() < SignedDuration::from_secs(1), "{ahead:?}");
        assert!(clock.is_trusted(), "the offset is no fault of the machine");
        let unchanged = synchronized(SignedDuration::ZERO, Some(SignedDuration::ZERO), 0).await;
        assert!(unchanged.is_simulated() && unchanged.occurred_at().is_none());
    }
}
