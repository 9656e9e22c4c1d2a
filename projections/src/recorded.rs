//! An event as read models see it.

use jiff::Timestamp;
use porttask_domain::{Actor, DomainEvent, OrganizationId};
use uuid::Uuid;

/// What happened, to what, by whom, and when. Personal values in the event are open or erased.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its place in the partition.
    pub offset: u64,
    /// Where it happened.
    pub organization: OrganizationId,
    /// The number of the aggregate that it happened to.
    pub subject: Uuid,
    /// The version of the aggregate after it.
    pub version: u64,
    /// The versioned name of what happened.
    pub event_type: String,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// What happened.
    pub event: DomainEvent,
    /// Who did it.
    pub actor: Actor,
    /// Whether staff of the platform did it on behalf of the actor.
    pub is_impersonated: bool,
}
