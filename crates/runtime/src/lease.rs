//! Leases: temporary, exclusive ownership of a task or a job by one run of a node.
//!
//! The log's database judges them by its own clock: callers pass durations, never instants. A lease that is not renewed
//! in time expires, and another node may take over. The epoch of the task or job then discards the late outcome.

use std::time::Duration;

use uuid::Uuid;

/// One run of a node, from its start to its end.
///
/// A node that starts takes over what former runs of the same name hold. If two running nodes have the same name, the
/// one that starts takes over from the other, which stops what it lost: that may be run twice, as after a crash, but
/// only one outcome is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The name of the node, which stays the same when it is restarted.
    pub node: String,
    /// The run, by a new id.
    pub run: Uuid,
}

impl Holder {
    /// A new run of a node.
    pub fn new(node: impl Into<String>) -> Self {
        Self { node: node.into(), run: Uuid::now_v7() }
    }
}

/// A requested lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it.
    pub holder: Holder,
    /// How long it lasts unless it is renewed.
    duration: Duration,
}

impl Lease {
    /// The maximum duration: how long what a crashed node was running may stay idle.
    pub const MAX_DURATION: Duration = Duration::from_secs(30);

    /// A lease of this duration, at most [`Lease::MAX_DURATION`].
    pub fn new(holder: Holder, duration: Duration) -> Self {
        Self { holder, duration: duration.min(Self::MAX_DURATION) }
    }

    /// How long it lasts unless it is renewed.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// The interval at which to renew it: two renewals may fail before it expires.
    pub fn renewal_interval(&self) -> Duration {
        self.duration / 3
    }
}
