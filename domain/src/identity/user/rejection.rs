//! Why a command on a user is rejected.

use crate::{Kind, identity::role::Role};

/// Why a command on a user is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It does not exist.
    #[error("there is no such user")]
    NotFound,
    /// A different user with this id exists.
    #[error("a user with this id already exists")]
    Exists,
    /// The invitation has expired.
    #[error("the invitation has expired: ask for a new one")]
    InvitationExpired,
    /// Nobody was invited, or a later invitation was sent.
    #[error("the invitation was replaced by a later one: use the latest")]
    InvitationReplaced,
    /// The invitation was revoked.
    #[error("the invitation was revoked: ask for a new one")]
    InvitationRevoked,
    /// The invitation was already accepted.
    #[error("the invitation has already been accepted")]
    Accepted,
    /// The user is deactivated.
    #[error("the user is deactivated: reactivate them first")]
    Deactivated,
    /// They have not accepted the invitation yet.
    #[error("the user has not accepted the invitation yet")]
    NotActive,
    /// The link is no longer pending: it was used, or a later one was requested.
    #[error("the link was already used, cancelled or replaced by a later one: use the latest, or request a new one")]
    LinkReplaced,
    /// The link to become the first super admin was used.
    #[error("the link was already used: sign in, or request a link to reset the password")]
    LinkUsed,
    /// The link has expired.
    #[error("the link has expired: request a new one")]
    LinkExpired,
    /// They have requested too many address changes today.
    #[error("too many address changes requested today: confirm one of them, or try again tomorrow")]
    TooManyAddresses,
    /// The permissions exceed the role.
    #[error("these permissions exceed the maximum of the role {0}")]
    BeyondRole(Role),
    /// A role of the platform's staff in another organization, or another role in the platform's organization.
    #[error("the role {0} is not available in this organization")]
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
            | Self::LinkUsed
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
            Self::LinkUsed => "link-used",
            Self::LinkExpired => "link-expired",
            Self::TooManyAddresses => "too-many-addresses",
            Self::BeyondRole(_) => "permissions-beyond-role",
            Self::RoleNotHere(_) => "role-not-here",
        }
    }
}
