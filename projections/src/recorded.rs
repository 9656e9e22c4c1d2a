//! An event as passed to read models.

use jiff::Timestamp;
use porttask_domain::{Actor, DomainEvent, Impersonator, OrganizationId, SessionId};
use uuid::Uuid;

/// A recorded event with its metadata. Personal values in the event are decrypted or erased.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its offset in the partition.
    pub offset: u64,
    /// Its id.
    pub id: Uuid,
    /// The organization of the event.
    pub organization: OrganizationId,
    /// The UUID of its aggregate.
    pub subject: Uuid,
    /// The version of the aggregate after it.
    pub version: u64,
    /// The versioned event type.
    pub event_type: String,
    /// Its times: read models use [`Recorded::time`].
    pub times: Times,
    /// The event itself.
    pub event: DomainEvent,
    /// Who acted.
    pub actor: Actor,
    /// The member of the platform's staff who acted on behalf of the actor.
    pub impersonator: Option<Impersonator>,
    /// The session in which it was done.
    pub session: Option<SessionId>,
    /// The id of the request or job.
    pub request_id: Option<String>,
}

impl Recorded {
    /// The time of the event.
    pub fn time(&self) -> Timestamp {
        self.times.time()
    }
}

/// When an event was recorded, and when it happened. The fields are private so that nothing folds the time of recording
/// by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    recorded_at: Timestamp,
    occurred_at: Option<Timestamp>,
}

impl Times {
    /// The times of an event; `occurred_at` is `None` unless it differs by design from `recorded_at`.
    pub fn new(recorded_at: Timestamp, occurred_at: Option<Timestamp>) -> Self {
        Self { recorded_at, occurred_at }
    }

    /// The time of the event, in microseconds: when it happened, otherwise when it was recorded.
    pub fn time(self) -> Timestamp {
        let time = self.occurred_at.unwrap_or(self.recorded_at);
        // Tables store microseconds.
        Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_an_event_is_when_it_happened() {
        let at = |microsecond| Timestamp::from_microsecond(microsecond).unwrap();
        assert_eq!(Times::new(at(5), None).time(), at(5));
        assert_eq!(Times::new(at(5), Some(at(3))).time(), at(3));
        assert_eq!(Times::new(at(5), Some(Timestamp::from_nanosecond(7_999).unwrap())).time(), at(7));
    }
}
