//! By when staff has to reply to an escalated ticket.

use jiff::{SignedDuration, Timestamp};
use porttask_domain::{OrganizationId, identity::Organization};
use porttask_runtime::execute::{ExecuteError, Tx};

/// The business hours within which staff has to reply, unless the operator sets others.
pub const RESPONSE_HOURS: u32 = 4;

/// When staff has to reply to a ticket that an organization escalates now: within this much of its business hours.
///
/// # Errors
/// If the organization cannot be read.
pub async fn response_due_at(
    tx: &Tx,
    organization: OrganizationId,
    period: SignedDuration,
) -> Result<Timestamp, ExecuteError> {
    let settings = tx.read::<Organization>(organization).await?.settings().cloned().unwrap_or_default();
    Ok(settings.business_hours.after(tx.now(), period))
}
