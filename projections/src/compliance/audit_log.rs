//! The audit log: what entries are found and sorted by. The entries themselves are the events.

use jiff::Timestamp;
use porttask_domain::{Actor, DomainEvent, OrganizationId};
use uuid::Uuid;

use super::description::{action, searched_text, target_of};
use crate::{Change, Index, Key, ReadModel, Recorded, Value, row};

row! {
    /// An entry.
    pub struct Entry {
        key {
            /// Its place in the partition, by which its event is read.
            offset: u64,
        }
        row {
            /// Whose entry it is.
            organization: OrganizationId,
            /// When it was recorded.
            recorded_at: Timestamp,
            /// Who did it; the nil id for the operator and the platform itself.
            actor: Uuid,
            /// What happened, without the version of its shape: `user.role_changed`.
            action: String,
            /// What it happened to.
            target: Uuid,
            /// The words by which it is found. Nothing personal: names stand with the people.
            text: String,
        }
    }
}

/// Who did what, to what, when?
pub struct AuditLog;

impl ReadModel for AuditLog {
    const NAME: &'static str = "audit_log";
    const VERSION: u32 = 4;
    // The time before the place, though both have one order: a range of time is a range of each index.
    const INDEXES: &'static [Index] = &[
        Index { name: "by_time", columns: &["organization", "recorded_at", "offset"] },
        Index { name: "by_actor", columns: &["organization", "actor", "recorded_at", "offset"] },
        Index { name: "by_target", columns: &["organization", "target", "recorded_at", "offset"] },
        Index { name: "by_action", columns: &["organization", "action", "recorded_at", "offset"] },
    ];
    const FULL_TEXT_COLUMNS: &'static [&'static str] = &["text"];
    const APPEND_ONLY: bool = true;
    type Source = DomainEvent;
    type Row = Entry;

    fn keys(_: &DomainEvent, recorded: &Recorded) -> Vec<Key> {
        vec![vec![Value::Integer(recorded.offset as i64)]]
    }

    fn project(_: Option<Entry>, event: &DomainEvent, recorded: &Recorded) -> Change<Entry> {
        let actor = match recorded.actor {
            Actor::User { user, .. } => user.0,
            Actor::ApiKey { key, .. } => key.0,
            Actor::Operator | Actor::System | Actor::Anonymous => Uuid::nil(),
        };
        Change::Put(Entry {
            offset: recorded.offset,
            organization: recorded.organization,
            recorded_at: recorded.recorded_at,
            actor,
            action: action(&recorded.event_type).to_owned(),
            target: target_of(event, recorded.subject),
            text: searched_text(&recorded.event_type, event, recorded.is_impersonated),
        })
    }
}
