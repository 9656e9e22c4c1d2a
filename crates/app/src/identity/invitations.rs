//! Limits on invitations: how many per day, and their lifetime.

use jiff::SignedDuration;

/// The limits on invitations of every organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvitationLimits {
    /// Maximum invitations of an organization per day.
    pub per_day: u32,
    /// How long an invitation is valid.
    pub lifetime: SignedDuration,
}

impl Default for InvitationLimits {
    /// A thousand per day, each valid for a week.
    fn default() -> Self {
        Self { per_day: 1_000, lifetime: SignedDuration::from_hours(7 * 24) }
    }
}
