//! What can happen to a user.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Personal, SessionId,
    identity::{
        role::{Permissions, Role},
        settings::Locale,
    },
};

/// What can happen to a user. Stored for ever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// A person was invited.
    #[serde(rename = "user.invited.v1")]
    Invited {
        /// The person's full name.
        name: Personal,
        /// The address that the invitation goes to.
        email: Personal,
        /// By which rules the address is compared with others.
        address_rules: u8,
        /// What they will be.
        role: Role,
        /// What they will be permitted.
        permissions: Permissions,
        /// When the invitation ends.
        expires_at: Timestamp,
    },
    /// An account was made, and nobody invited yet.
    #[serde(rename = "user.registered.v1")]
    Registered {
        /// The person's full name.
        name: Personal,
        /// The address that an invitation will go to.
        email: Personal,
        /// By which rules the address is compared with others.
        address_rules: u8,
        /// What they will be.
        role: Role,
        /// What they will be permitted.
        permissions: Permissions,
    },
    /// The person was invited, or invited anew: former invitations are void.
    #[serde(rename = "user.invitation_sent.v1")]
    InvitationSent {
        /// When the invitation ends.
        expires_at: Timestamp,
    },
    /// The invitation was taken up.
    #[serde(rename = "user.invitation_accepted.v1")]
    InvitationAccepted {},
    /// They became something else.
    #[serde(rename = "user.role_changed.v1")]
    RoleChanged {
        /// What they were.
        from: Role,
        /// What they are.
        to: Role,
    },
    /// They are permitted other things.
    #[serde(rename = "user.permissions_changed.v1")]
    PermissionsChanged {
        /// What they were permitted.
        from: Permissions,
        /// What they are permitted.
        to: Permissions,
    },
    /// They were locked out.
    #[serde(rename = "user.deactivated.v1")]
    Deactivated {},
    /// They were let in again.
    #[serde(rename = "user.reactivated.v1")]
    Reactivated {},
    /// An invitation that was not taken up is void.
    #[serde(rename = "user.invitation_revoked.v1")]
    InvitationRevoked {},
    /// They are called otherwise.
    #[serde(rename = "user.renamed.v1")]
    Renamed {
        /// What they were called.
        from: Personal,
        /// What they are called.
        to: Personal,
    },
    /// They want mail in another language.
    #[serde(rename = "user.locale_changed.v1")]
    LocaleChanged {
        /// In which they wanted it; without it, that of the organization.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        from: Option<Locale>,
        /// In which they want it; without it, that of the organization.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        to: Option<Locale>,
    },
    /// They want mail to go elsewhere; it does once the new address is confirmed.
    #[serde(rename = "user.address_change_requested.v1")]
    AddressChangeRequested {
        /// The address that is to be confirmed.
        email: Personal,
        /// By which rules the address is compared with others.
        address_rules: u8,
        /// When it can be confirmed at the latest.
        expires_at: Timestamp,
    },
    /// The new address was confirmed.
    #[serde(rename = "user.address_changed.v1")]
    AddressChanged {
        /// Where mail went.
        from: Personal,
        /// Where mail goes.
        to: Personal,
        /// By which rules the address is compared with others.
        address_rules: u8,
    },
    /// A link to set another password was asked for: former ones are void.
    #[serde(rename = "user.password_reset_requested.v1")]
    PasswordResetRequested {
        /// When the link ends.
        expires_at: Timestamp,
    },
    /// The link was used: there is another password. All sessions have ended.
    #[serde(rename = "user.password_reset.v1")]
    PasswordReset {},
    /// They have set another password, knowing the old one. All sessions but one have ended.
    #[serde(rename = "user.password_changed.v1")]
    PasswordChanged {
        /// The session that goes on.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        keeping: Option<SessionId>,
    },
    /// Failed attempts to sign in were forgiven.
    #[serde(rename = "user.unlocked.v1")]
    Unlocked {},
    /// All their sessions have ended, perhaps but one.
    #[serde(rename = "user.sessions_ended.v1")]
    SessionsEnded {
        /// The session that goes on.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        keeping: Option<SessionId>,
    },
}
