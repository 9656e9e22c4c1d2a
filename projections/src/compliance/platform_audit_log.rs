//! The index of the platform's audit trail. The entries themselves are the events.

use jiff::Timestamp;
use porttask_domain::{Actor, DomainEvent, OrganizationId};
use uuid::Uuid;

use super::{audit_log, description::action};
use crate::{Change, Index, Key, ReadModel, Recorded, Value, row};

row! {
    /// An entry.
    pub struct Entry {
        key {
            /// Its offset in the partition, by which its event is read.
            offset: u64,
        }
        row {
            /// The organization in which it happened.
            organization: OrganizationId,
            /// When it happened: the time of the event.
            occurred_at: Timestamp,
            /// The id of the event.
            event: Uuid,
            /// Who acted: the staff member rather than the user they impersonated; the nil id for the operator.
            actor: Uuid,
            /// The event type without its version: `user.role_changed`.
            action: String,
        }
    }
}

/// What did staff, keys of the platform and operators do in any organization, and what happened in the platform's own?
pub struct PlatformAuditLog;

impl ReadModel for PlatformAuditLog {
    const NAME: &'static str = "platform_audit_log";
    const VERSION: u32 = 1;
    const INDEXES: &'static [Index] = &[];
    const CROSS_PARTITION_INDEXES: &'static [Index] = &[
        Index { name: "by_time", columns: &["occurred_at", "event"] },
        Index { name: "by_actor", columns: &["actor", "occurred_at", "event"] },
        Index { name: "by_organization", columns: &["organization", "occurred_at", "event"] },
        Index { name: "by_action", columns: &["action", "occurred_at", "event"] },
    ];
    const APPEND_ONLY: bool = true;
    type Source = DomainEvent;
    type Row = Entry;

    fn keys(_: &DomainEvent, recorded: &Recorded) -> Vec<Key> {
        if is_of_the_platform(recorded) { vec![vec![Value::Integer(recorded.offset as i64)]] } else { Vec::new() }
    }

    fn project(_: Option<Entry>, _: &DomainEvent, recorded: &Recorded) -> Change<Entry> {
        Change::Put(Entry {
            offset: recorded.offset,
            organization: recorded.organization,
            occurred_at: recorded.time(),
            event: recorded.id,
            actor: recorded.impersonator.map_or_else(|| audit_log::actor_of(&recorded.actor), |staff| staff.user.0),
            action: action(&recorded.event_type).to_owned(),
        })
    }
}

fn is_of_the_platform(recorded: &Recorded) -> bool {
    let is_home = |organization| organization == OrganizationId::PLATFORM;
    let is_by_the_platform = match recorded.actor {
        Actor::User { organization, .. } | Actor::ApiKey { organization, .. } => is_home(organization),
        Actor::Operator => true,
        Actor::System | Actor::Anonymous => false,
    };
    is_home(recorded.organization) || is_by_the_platform || recorded.impersonator.is_some()
}
