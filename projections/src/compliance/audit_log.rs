//! The audit log: what entries are found and sorted by. The entries themselves are the events.

use jiff::Timestamp;
use porttask_domain::{Actor, OrganizationId};
use uuid::Uuid;

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
        }
    }
}

/// Who did what, to what, when?
pub struct AuditLog;

impl ReadModel for AuditLog {
    const NAME: &'static str = "audit_log";
    const VERSION: u32 = 1;
    const INDEXES: &'static [Index] = &[
        Index { name: "by_time", columns: &["organization", "offset"] },
        Index { name: "by_actor", columns: &["organization", "actor", "offset"] },
        Index { name: "by_target", columns: &["organization", "target", "offset"] },
    ];
    const IS_APPENDED: bool = true;
    type Row = Entry;

    fn keys(recorded: &Recorded) -> Vec<Key> {
        vec![vec![Value::Integer(recorded.offset as i64)]]
    }

    fn project(_: Option<Entry>, recorded: &Recorded) -> Change<Entry> {
        let actor = match recorded.actor {
            Actor::User { user, .. } => user.0,
            Actor::Operator | Actor::System => Uuid::nil(),
        };
        let action = recorded.event_type.rsplit_once(".v").map_or(recorded.event_type.as_str(), |(name, _)| name);
        Change::Put(Entry {
            offset: recorded.offset,
            organization: recorded.organization,
            recorded_at: recorded.recorded_at,
            actor,
            action: action.to_owned(),
            target: recorded.subject,
        })
    }
}
