//! Limits on invitations: how many per day, and their lifetime.

use jiff::SignedDuration;
use porttask_domain::identity::InvitationQuota;

/// The limits on invitations of every organization that has no quota of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvitationLimits {
    /// Maximum invitations of an organization per day, without those of imports.
    pub per_day: u32,
    /// Maximum invitations of an organization by imports per day.
    pub imports_per_day: u32,
    /// How long an invitation is valid.
    pub lifetime: SignedDuration,
}

impl Default for InvitationLimits {
    /// A thousand per day and as many by imports, each valid for a week.
    fn default() -> Self {
        Self { per_day: 1_000, imports_per_day: 1_000, lifetime: SignedDuration::from_hours(7 * 24) }
    }
}

impl InvitationLimits {
    /// The limits of an organization with this quota.
    #[must_use]
    pub fn of(self, quota: InvitationQuota) -> Self {
        let InvitationQuota { per_day, imports_per_day } = quota;
        let (per_day, imports_per_day) =
            (per_day.unwrap_or(self.per_day), imports_per_day.unwrap_or(self.imports_per_day));
        Self { per_day, imports_per_day, ..self }
    }
}
