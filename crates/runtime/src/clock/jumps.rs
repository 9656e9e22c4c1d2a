//! Notices clocks that jump, and a log whose times are ahead of the clock.

use std::{sync::atomic::Ordering, time::Instant};

use jiff::{SignedDuration, Timestamp};

use super::{Clock, machine_micros, micros};

/// The smallest jump that is reported, and the smallest lead of the log. Corrections by a time service are smaller.
const SMALLEST: SignedDuration = SignedDuration::from_secs(5);

/// Compares clocks with the time that has passed.
pub(super) struct Watch {
    /// When the clock of the machine was looked at, by the monotonic clock and by itself.
    looked_at: (Instant, i64),
    /// The difference of the database's clock to the machine's.
    difference: SignedDuration,
    /// The jumps of the machine's clock since the difference was measured.
    jumped: SignedDuration,
    is_log_ahead: bool,
}

impl Watch {
    pub(super) fn new(clock: &Clock) -> Self {
        Self {
            looked_at: (Instant::now(), machine_micros()),
            difference: clock.difference(),
            jumped: SignedDuration::ZERO,
            is_log_ahead: false,
        }
    }

    /// Looks at the machine's clock.
    pub(super) fn look(&mut self, clock: &Clock) {
        self.look_at(clock, (Instant::now(), machine_micros()));
    }

    fn look_at(&mut self, clock: &Clock, now: (Instant, i64)) {
        let jump = jump(self.looked_at, now);
        self.looked_at = now;
        if jump.abs() >= SMALLEST {
            self.jumped += jump;
            count(clock, "this machine", jump);
        }
    }

    /// Compares the difference to the database's clock with the one before. A jump of the machine's own clock changes it,
    /// too, unless both clocks are the same.
    pub(super) fn measured(&mut self, clock: &Clock) {
        let changed = clock.difference() - self.difference;
        let jump = changed + std::mem::take(&mut self.jumped);
        self.difference = clock.difference();
        if changed.abs() >= SMALLEST && jump.abs() >= SMALLEST {
            count(clock, "the database", jump);
        }
    }

    /// Compares the last time of recording with the database's time.
    pub(super) fn recorded(&mut self, clock: &Clock, last: Option<Timestamp>) {
        let now = clock.now() - clock.offset();
        let ahead = last.map_or(SignedDuration::ZERO, |last| last.duration_since(now)).max(SignedDuration::ZERO);
        clock.log_ahead.store(micros(ahead), Ordering::Relaxed);
        let is_log_ahead = ahead >= SMALLEST;
        if is_log_ahead && !self.is_log_ahead {
            tracing::warn!(
                seconds = ahead.as_secs(),
                "the last recorded event is ahead of the clock: events are recorded with its time until the clock has \
                 caught up"
            );
        }
        self.is_log_ahead = is_log_ahead;
    }
}

/// How far a clock has moved beyond the time that has passed.
fn jump(before: (Instant, i64), after: (Instant, i64)) -> SignedDuration {
    let passed = after.0.saturating_duration_since(before.0);
    let passed = i64::try_from(passed.as_micros()).unwrap_or(i64::MAX);
    SignedDuration::from_micros(after.1.saturating_sub(before.1).saturating_sub(passed))
}

fn count(clock: &Clock, whose: &str, jump: SignedDuration) {
    clock.jumps.fetch_add(1, Ordering::Relaxed);
    tracing::warn!(
        seconds = jump.as_secs(),
        "the clock of {whose} has jumped: it was set, or the machine was suspended; use a time service that adjusts it \
         gradually"
    );
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn after(watch: &Watch, passed: u64, shown: i64) -> (Instant, i64) {
        let (instant, micros) = watch.looked_at;
        (instant + Duration::from_secs(passed), micros + shown * 1_000_000)
    }

    #[test]
    fn a_clock_that_jumps_is_counted_once_per_jump() {
        let clock = Clock::new();
        let mut watch = Watch::new(&clock);
        for (passed, shown, jumps) in [(10, 10, 0), (10, 14, 0), (1, 7_201, 1), (1, 1, 1), (1, -7_199, 2), (10, 6, 2)] {
            let now = after(&watch, passed, shown);
            watch.look_at(&clock, now);
            watch.measured(&clock);
            assert_eq!(clock.jumps(), jumps, "{passed} {shown}");
        }
    }

    #[test]
    fn jumps_of_the_database_are_told_from_those_of_the_machine() {
        let clock = Clock::new();
        let mut watch = Watch::new(&clock);
        clock.set_difference(SignedDuration::from_secs(60));
        watch.measured(&clock);
        watch.measured(&clock);
        assert_eq!(clock.jumps(), 1, "the database was set forward");
        let now = after(&watch, 1, 61);
        watch.look_at(&clock, now);
        clock.set_difference(SignedDuration::ZERO);
        watch.measured(&clock);
        assert_eq!(clock.jumps(), 2, "the machine followed");
        let now = after(&watch, 1, 61);
        watch.look_at(&clock, now);
        watch.measured(&clock);
        assert_eq!(clock.jumps(), 3, "both, as they are the same clock");
    }

    #[test]
    fn a_log_that_is_ahead_of_the_clock_is_measured() {
        let clock = Clock::new();
        let mut watch = Watch::new(&clock);
        clock.set_offset(SignedDuration::from_hours(24));
        watch.recorded(&clock, Some(Timestamp::now() + SignedDuration::from_hours(2)));
        assert!((7_190..=7_200).contains(&clock.log_ahead().as_secs()), "{:?}", clock.log_ahead());
        assert!(watch.is_log_ahead);
        watch.recorded(&clock, Some(Timestamp::now() - SignedDuration::from_secs(1)));
        assert!(!watch.is_log_ahead && clock.log_ahead().is_zero());
        watch.recorded(&clock, None);
        assert!(clock.log_ahead().is_zero());
    }
}
