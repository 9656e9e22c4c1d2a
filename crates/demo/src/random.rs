//! Random choices that are the same for the same seed.

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use uuid::{Builder, Uuid};

/// A sequence of random choices.
pub(crate) struct Random(Rng);

impl Random {
    /// One of several independent sequences of a seed.
    pub(crate) fn new(seed: u64, sequence: u64) -> Self {
        Self(Rng::with_seed(seed.rotate_left(32) ^ sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// An id that sorts by its time, as those of the service.
    pub(crate) fn id<T: From<Uuid>>(&mut self, at: Timestamp) -> T {
        let bytes = std::array::from_fn(|_| self.0.u8(..));
        let millis = u64::try_from(at.as_millisecond()).unwrap_or_default();
        Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid().into()
    }

    /// A secret that is none.
    pub(crate) fn bytes(&mut self) -> [u8; 32] {
        std::array::from_fn(|_| self.0.u8(..))
    }

    /// A number below `end`; zero if `end` is zero.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { self.0.usize(..end) }
    }

    /// A number of a range.
    pub(crate) fn within(&mut self, range: std::ops::Range<i64>) -> i64 {
        self.0.i64(range)
    }

    /// One of several.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Whether something happens that happens in this share of all cases.
    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.0.f64() < share
    }

    /// A duration of some hours, to the second.
    pub(crate) fn hours(&mut self, range: std::ops::Range<i64>) -> SignedDuration {
        SignedDuration::from_secs(self.0.i64(range.start * 3_600..range.end * 3_600))
    }

    /// An instant of a range.
    pub(crate) fn instant(&mut self, from: Timestamp, until: Timestamp) -> Timestamp {
        let seconds = until.duration_since(from).as_secs().max(1);
        from + SignedDuration::from_secs(self.0.i64(0..seconds))
    }
}
