//! The clock: the only source of the current time for commands, timers and reactors.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime},
};

use jiff::{SignedDuration, Timestamp};

/// The time of the log's database, plus an offset that is zero except for simulated logs. Cheap to ask: a node measures
/// its difference to the database from time to time and adds it.
#[derive(Debug, Default)]
pub struct Clock {
    /// The database's time minus this machine's, in microseconds.
    difference: AtomicI64,
    /// The simulated time minus the database's, in microseconds.
    offset: AtomicI64,
}

impl Clock {
    /// A clock that shows this machine's time until it is told the database's.
    pub fn new() -> Self {
        Self::default()
    }

    /// The current time, in microseconds.
    pub fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
        let correction = self.difference.load(Ordering::Relaxed).saturating_add(self.offset.load(Ordering::Relaxed));
        Timestamp::from_microsecond(micros.saturating_add(correction)).unwrap_or(Timestamp::MAX)
    }

    /// Sets the difference of the database's time to this machine's.
    pub fn set_difference(&self, difference: SignedDuration) {
        self.difference.store(micros(difference), Ordering::Relaxed);
    }

    /// Sets the offset of the simulated time to the database's.
    pub fn set_offset(&self, offset: SignedDuration) {
        self.offset.store(micros(offset), Ordering::Relaxed);
    }

    /// The offset of the simulated time to the database's; zero unless the log is simulated.
    pub fn offset(&self) -> SignedDuration {
        SignedDuration::from_micros(self.offset.load(Ordering::Relaxed))
    }
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
