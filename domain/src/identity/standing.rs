//! What an organization may do: its standing × capabilities, in one table.

use serde::{Deserialize, Serialize};

/// How an organization stands with the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// In good standing.
    Active,
    /// Locked out for now; its data is kept.
    Suspended,
    /// Ended for good; its data is kept until its retention ends.
    Deactivated,
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
    /// Whoever is responsible for it is locked in or out: suspended, reactivated, deactivated.
    ChangeStanding,
}

impl Standing {
    /// The table.
    pub const fn allows(self, capability: Capability) -> bool {
        use Capability::{BeAdministered, ChangeStanding, Deliver, Settle, Use};
        match self {
            Self::Active => true,
            Self::Suspended => match capability {
                BeAdministered | Settle | ChangeStanding => true,
                Use | Deliver => false,
            },
            Self::Deactivated => match capability {
                Settle => true,
                Use | Deliver | BeAdministered | ChangeStanding => false,
            },
        }
    }
}
