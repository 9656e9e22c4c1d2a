//! An event as passed to read models.

use jiff::Timestamp;
use porttask_domain::{Actor, DomainEvent, OrganizationId};
use uuid::Uuid;

/// A recorded event with its metadata. Personal values in the event are decrypted or erased.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its offset in the partition.
    pub offset: u64,
    /// The organization of the event.
    pub organization: OrganizationId,
    /// The UUID of its aggregate.
    pub subject: Uuid,
    /// The version of the aggregate after it.
    pub version: u64,
    /// The versioned event type.
    pub event_type: String,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The event itself.
    pub event: DomainEvent,
    /// Who acted.
    pub actor: Actor,
    /// Whether the platform's staff acted on behalf of the actor.
    pub is_impersonated: bool,
}
