//! What an organization may do: its status and the capabilities it has, in one table.

crate::texts! {
    /// The status of an organization.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum OrganizationStatus {
        /// In use.
        Active = "active",
        /// Suspended; its data is kept, its users cannot sign in.
        Suspended = "suspended",
        /// Deactivated for good; its data is kept until its retention ends.
        Deactivated = "deactivated",
    }
}

/// What an organization can do or have done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Capability {
    /// Its users sign in and work, its keys are accepted.
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
    /// The table.
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
