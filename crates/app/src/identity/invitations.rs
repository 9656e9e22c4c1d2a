//! How people are invited: how many in a day, and how long they have to come.

use jiff::SignedDuration;

/// What holds for the invitations of every organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvitationLimits {
    /// How many an organization may send in a day.
    pub per_day: u32,
    /// How long one is good.
    pub lifetime: SignedDuration,
}

impl Default for InvitationLimits {
    /// A thousand a day, each good for a week.
    fn default() -> Self {
        Self { per_day: 1_000, lifetime: SignedDuration::from_hours(7 * 24) }
    }
}
