//! Why a command on an API key is rejected.

use super::{LONGEST_OVERLAP, MOST_NETWORKS};
use crate::Kind;

/// Why a command on an API key is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It does not exist.
    #[error("there is no such API key")]
    NotFound,
    /// A different key with this id exists.
    #[error("an API key with this id already exists")]
    Exists,
    /// It was revoked permanently.
    #[error("the API key has been revoked permanently: create a new one")]
    Revoked,
    /// Keys of organizations have other scopes.
    #[error("an organization's API key takes permissions, and of the scopes only operations:read and operations:write")]
    NeedsPermissions,
    /// Keys of the platform have no permissions.
    #[error("a platform API key takes at least one scope, none of operations, and no permissions")]
    NeedsScopes,
    /// It would already be expired.
    #[error("the key would already be expired: expires_at must be in the future")]
    EndsInThePast,
    /// The previous secret would stay valid for too long.
    #[error("the previous secret can stay valid for at most {} days", LONGEST_OVERLAP.as_hours() / 24)]
    LongOverlap,
    /// There are too many networks.
    #[error("a key can be restricted to at most {MOST_NETWORKS} networks")]
    TooManyNetworks,
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Exists | Self::Revoked => Kind::Conflict,
            Self::NeedsPermissions
            | Self::NeedsScopes
            | Self::EndsInThePast
            | Self::LongOverlap
            | Self::TooManyNetworks => Kind::Invalid,
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::NotFound => "api-key-not-found",
            Self::Exists => "api-key-exists",
            Self::Revoked => "api-key-revoked",
            Self::NeedsPermissions => "api-key-needs-permissions",
            Self::NeedsScopes => "api-key-needs-scopes",
            Self::EndsInThePast => "api-key-ends-in-the-past",
            Self::LongOverlap => "api-key-overlap-too-long",
            Self::TooManyNetworks => "api-key-too-many-networks",
        }
    }
}
