//! Why commands on licences are rejected.

use crate::Kind;

/// Why a command on a licence is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It does not exist.
    #[error("there is no such licence")]
    NotFound,
    /// A different licence with this id exists.
    #[error("a licence with this id already exists")]
    Exists,
    /// What is issued is invalid.
    #[error("{0}")]
    Invalid(&'static str),
    /// There is no subscription that it could follow.
    #[error("the organization has no paid subscription: issue a licence of another kind, or let it choose a plan")]
    NoSubscription,
    /// It was revoked or replaced.
    #[error("the licence was revoked or replaced: use the current one")]
    Revoked,
    /// It has expired.
    #[error("the licence has expired: issue another one")]
    Expired,
    /// It is valid later only.
    #[error("the licence is not valid yet")]
    NotYetValid,
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Invalid(_) => Kind::Invalid,
            Self::Exists | Self::NoSubscription | Self::Revoked | Self::Expired | Self::NotYetValid => Kind::Conflict,
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::NotFound => "licence-not-found",
            Self::Exists => "licence-exists",
            Self::Invalid(_) => "invalid-licence",
            Self::NoSubscription => "no-paid-subscription",
            Self::Revoked => "licence-revoked",
            Self::Expired => "licence-expired",
            Self::NotYetValid => "licence-not-yet-valid",
        }
    }
}
