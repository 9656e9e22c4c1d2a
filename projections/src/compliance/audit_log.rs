//! The index of the audit log: the columns for filtering and sorting. The entries themselves are the events.

use jiff::Timestamp;
use porttask_domain::{Actor, DomainEvent, OrganizationId};
use uuid::Uuid;

use super::description::{action, searched_text, target_of};
use crate::{Change, Index, Key, ReadModel, Recorded, Value, row};

row! {
    /// An entry.
    pub struct Entry {
        key {
            /// Its offset in the partition, by which its event is read.
            offset: u64,
        }
        row {
            /// The organization of the entry.
            organization: OrganizationId,
            /// When it happened: the time of the event.
            occurred_at: Timestamp,
            /// Who acted; the nil id for the operator, the platform itself and unauthenticated clients.
            actor: Uuid,
            /// The event type without its version: `user.role_changed`.
            action: String,
            /// The target of the event.
            target: Uuid,
            /// The session in which it was done.
            session: Option<Uuid>,
            /// The id of the request.
            request: Option<String>,
            /// The words for full-text search. Nothing personal: names are stored with the users.
            text: String,
        }
    }
}

/// Who did what, to what, when?
pub struct AuditLog;

impl ReadModel for AuditLog {
    const NAME: &'static str = "audit_log";
    const VERSION: u32 = 7;
    // Entries are sorted by offset. Their times need not rise with it, so a time range is a range of `by_time` only; the
    // others contain the time as well, to filter without reading the rows.
    const INDEXES: &'static [Index] = &[
        Index { name: "by_position", columns: &["organization", "offset", "occurred_at"] },
        Index { name: "by_time", columns: &["organization", "occurred_at", "offset"] },
        Index { name: "by_actor", columns: &["organization", "actor", "offset", "occurred_at"] },
        Index { name: "by_target", columns: &["organization", "target", "offset", "occurred_at"] },
        Index { name: "by_session", columns: &["organization", "session", "offset", "occurred_at"] },
        Index { name: "by_request", columns: &["organization", "request", "offset", "occurred_at"] },
        Index { name: "by_action", columns: &["organization", "action", "offset", "occurred_at"] },
    ];
    const FULL_TEXT_COLUMNS: &'static [&'static str] = &["text"];
    const APPEND_ONLY: bool = true;
    type Source = DomainEvent;
    type Row = Entry;

    fn keys(_: &DomainEvent, recorded: &Recorded) -> Vec<Key> {
        vec![vec![Value::Integer(recorded.offset as i64)]]
    }

    fn project(_: Option<Entry>, event: &DomainEvent, recorded: &Recorded) -> Change<Entry> {
        Change::Put(Entry {
            offset: recorded.offset,
            organization: recorded.organization,
            occurred_at: recorded.time(),
            actor: actor_of(&recorded.actor),
            action: action(&recorded.event_type).to_owned(),
            target: target_of(event, recorded.subject),
            session: recorded.session.map(|session| session.0),
            request: recorded.request_id.clone(),
            text: searched_text(&recorded.event_type, event, recorded.impersonator.is_some()),
        })
    }
}

/// Who acted, as a UUID; nil for the operator, the platform itself and unauthenticated clients.
pub(super) fn actor_of(actor: &Actor) -> Uuid {
    match actor {
        Actor::User { user, .. } => user.0,
        Actor::ApiKey { key, .. } => key.0,
        Actor::Operator | Actor::System | Actor::Anonymous => Uuid::nil(),
    }
}
