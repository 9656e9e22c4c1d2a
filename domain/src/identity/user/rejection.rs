//! Why something may not happen to a user.

use crate::{Kind, identity::role::Role};

/// Why something may not happen to a user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is none.
    #[error("there is no such user")]
    NotFound,
    /// There is one by this id, and it is another.
    #[error("a user with this id exists already")]
    Exists,
    /// The invitation has ended.
    #[error("the invitation has expired: ask for a new one")]
    InvitationExpired,
    /// Nobody was invited, or another invitation was sent later.
    #[error("the invitation was replaced by a later one: use the latest")]
    InvitationReplaced,
    /// The invitation was taken back.
    #[error("the invitation was revoked: ask for a new one")]
    InvitationRevoked,
    /// The invitation was taken up already.
    #[error("the invitation has been accepted already")]
    Accepted,
    /// The user is locked out.
    #[error("the user is deactivated: reactivate them first")]
    Deactivated,
    /// They have not come yet.
    #[error("the user has not accepted the invitation yet")]
    NotActive,
    /// Nothing waits for this link any more: it was used, or a later one was asked for.
    #[error("the link was used or replaced by a later one: use the latest, or ask for a new one")]
    LinkReplaced,
    /// The time of the link is over.
    #[error("the link has expired: ask for a new one")]
    LinkExpired,
    /// They have asked for other addresses too often today.
    #[error("other addresses were asked for too often today: confirm one of them, or go on tomorrow")]
    TooManyAddresses,
    /// The permissions go beyond the role.
    #[error("these permissions go beyond what the role {0:?} may be permitted")]
    BeyondRole(Role),
    /// The role is one of the platform's staff and the organization is not the platform's, or the other way round.
    #[error("the role {0:?} does not exist in this organization")]
    RoleNotHere(Role),
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Exists
            | Self::InvitationExpired
            | Self::InvitationReplaced
            | Self::InvitationRevoked
            | Self::Accepted
            | Self::Deactivated
            | Self::NotActive
            | Self::LinkReplaced
            | Self::LinkExpired => Kind::Conflict,
            Self::TooManyAddresses => Kind::LimitReached,
            Self::BeyondRole(_) | Self::RoleNotHere(_) => Kind::Invalid,
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::NotFound => "user-not-found",
            Self::Exists => "user-exists",
            Self::InvitationExpired => "invitation-expired",
            Self::InvitationReplaced => "invitation-replaced",
            Self::InvitationRevoked => "invitation-revoked",
            Self::Accepted => "invitation-accepted",
            Self::Deactivated => "user-deactivated",
            Self::NotActive => "user-not-active",
            Self::LinkReplaced => "link-replaced",
            Self::LinkExpired => "link-expired",
            Self::TooManyAddresses => "too-many-addresses",
            Self::BeyondRole(_) => "permissions-beyond-role",
            Self::RoleNotHere(_) => "role-not-here",
        }
    }
}
