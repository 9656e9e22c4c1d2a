//! Why something may not happen to a key.

use super::{LONGEST_OVERLAP, MOST_NETWORKS};
use crate::Kind;

/// Why something may not happen to a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is none.
    #[error("there is no such API key")]
    NotFound,
    /// There is one by this id, and it is another.
    #[error("an API key with this id exists already")]
    Exists,
    /// It was ended for good.
    #[error("the API key is revoked for good: make another one")]
    Revoked,
    /// Keys of organizations have no scopes.
    #[error("a key of an organization has permissions, and no scopes")]
    NeedsPermissions,
    /// Keys of the platform have no permissions.
    #[error("a key of the platform has scopes, at least one, and no permissions")]
    NeedsScopes,
    /// It would end before it begins.
    #[error("the key would end before it begins: expires_at must be in the future")]
    EndsInThePast,
    /// The former secret would be accepted for too long.
    #[error("the former secret can be accepted for at most {} days", LONGEST_OVERLAP.as_hours() / 24)]
    LongOverlap,
    /// There are too many networks.
    #[error("a key can be bound to at most {MOST_NETWORKS} networks")]
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
