//! The clock: the only source of the current time for commands, timers and reactors.

mod jumps;
mod log_clock;
mod synchronization;

use std::{
    sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use jiff::{SignedDuration, Timestamp};

pub use log_clock::{Advance, ClockError, LogClock};
pub use synchronization::{run, synchronize};

/// The largest difference to the database with which a node is ready and carries out timers.
pub const MAX_DIFFERENCE: SignedDuration = SignedDuration::from_secs(30);

/// The time of the log's database, plus an offset that is zero except for simulated logs. Cheap to ask: a node measures
/// its difference to the database from time to time and adds it.
#[derive(Debug, Default)]
pub struct Clock {
    /// The database's time minus this machine's, in microseconds.
    difference: AtomicI64,
    /// The simulated time minus the database's, in microseconds.
    offset: AtomicI64,
    is_simulated: AtomicBool,
    jumps: AtomicU64,
    /// How far the log's last time of recording is ahead of the database's time, in microseconds.
    log_ahead: AtomicI64,
}

impl Clock {
    /// A clock that shows this machine's time until the database's time is set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The current time, in microseconds.
    pub fn now(&self) -> Timestamp {
        let correction = self.difference.load(Ordering::Relaxed).saturating_add(self.offset.load(Ordering::Relaxed));
        Timestamp::from_microsecond(machine_micros().saturating_add(correction)).unwrap_or(Timestamp::MAX)
    }

    /// The time to record as that of an event (`Meta::occurred_at`): the current time while it is simulated, `None` while
    /// it is the time of recording anyway.
    pub fn occurred_at(&self) -> Option<Timestamp> {
        (self.offset.load(Ordering::Relaxed) != 0).then(|| self.now())
    }

    /// The database's time minus this machine's.
    pub fn difference(&self) -> SignedDuration {
        SignedDuration::from_micros(self.difference.load(Ordering::Relaxed))
    }

    /// Whether this machine's clock is close enough to the database's to carry out timers.
    pub fn is_trusted(&self) -> bool {
        self.difference().abs() <= MAX_DIFFERENCE
    }

    /// Whether the log was created with a simulated clock.
    pub fn is_simulated(&self) -> bool {
        self.is_simulated.load(Ordering::Relaxed)
    }

    /// Takes over the offset of a simulated clock, as in the ledger; `None` if the clock is real.
    pub fn simulate(&self, offset: Option<SignedDuration>) {
        self.is_simulated.store(offset.is_some(), Ordering::Relaxed);
        self.set_offset(offset.unwrap_or_default());
    }

    /// Sets the difference of the database's time to this machine's.
    pub fn set_difference(&self, difference: SignedDuration) {
        self.difference.store(micros(difference), Ordering::Relaxed);
    }

    /// Sets the offset of the simulated time to the database's.
    pub fn set_offset(&self, offset: SignedDuration) {
        self.offset.store(micros(offset), Ordering::Relaxed);
    }

    /// How often the clock of this machine or of the database has jumped since the start.
    pub fn jumps(&self) -> u64 {
        self.jumps.load(Ordering::Relaxed)
    }

    /// How far the last recorded event is ahead of the database's time, zero if it is not: times of recording never fall,
    /// so a clock that was ahead for a moment leaves them ahead until it catches up.
    pub fn log_ahead(&self) -> SignedDuration {
        SignedDuration::from_micros(self.log_ahead.load(Ordering::Relaxed))
    }

    /// The offset of the simulated time to the database's; zero unless the log is simulated.
    pub fn offset(&self) -> SignedDuration {
        SignedDuration::from_micros(self.offset.load(Ordering::Relaxed))
    }
}

/// This machine's time, in microseconds since 1970.
fn machine_micros() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn micros(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_corrections_are_added_to_the_time_of_the_machine() {
        let (machine, clock) = (Clock::new(), Clock::new());
        clock.set_difference(SignedDuration::from_secs(-5));
        clock.set_offset(SignedDuration::from_hours(24));
        let ahead = clock.now().duration_since(machine.now()).as_secs();
        assert!((86_394..=86_395).contains(&ahead), "{ahead}");
    }
}
