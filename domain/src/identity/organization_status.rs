//! The capabilities of an organization by status, in one table.

crate::texts! {
    /// The status of an organization.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum OrganizationStatus {
        /// In use.
        Active = "active",
        /// Suspended: its users cannot sign in; its data is retained.
        Suspended = "suspended",
        /// Deactivated permanently; its data is retained until the retention period ends.
        Deactivated = "deactivated",
    }
}

/// What an organization can do, or what can be done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Capability {
    /// Its users can sign in and work, and its API keys are accepted.
    Use,
    /// Its webhooks are delivered.
    Deliver,
    /// The platform's staff changes its settings and users.
    BeAdministered,
    /// It is billed, pays, and exports its data.
    Settle,
    /// Super admins suspend, reactivate or deactivate it.
    ChangeStatus,
}

impl OrganizationStatus {
    /// Whether this status allows a capability.
    pub const fn allows(self, capability: Capability) -> bool {
        use Capability::{BeAdministered, ChangeStatus, Deliver, Settle, Use};
        match self {
            Self::Active => true,
            Self::Suspended => match capability {
                BeAdministered | Settle | ChangeStatus => true,
                Use | Deliver => false,
            },
            Self::Deactivated => match capability {
                Settle => true,
                Use | Deliver | BeAdministered | ChangeStatus => false,
            },
        }
    }
}
