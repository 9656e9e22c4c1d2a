//! Events of a user.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Link;
use crate::{
    OrganizationId, Personal, SessionId, UserId,
    identity::{
        role::{Permissions, Role},
        settings::{Locale, ZoneName},
    },
};

/// Events of a user. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// A person was invited.
    #[serde(rename = "user.invited.v1")]
    Invited {
        /// The person's full name.
        name: Personal,
        /// The email address that the invitation is sent to.
        email: Personal,
        /// The version of the rules for comparing the address.
        address_rules: u8,
        /// Their role.
        role: Role,
        /// Their permissions.
        permissions: Permissions,
        /// When the invitation expires.
        expires_at: Timestamp,
    },
    /// An account was created without an invitation.
    #[serde(rename = "user.registered.v1")]
    Registered {
        /// The person's full name.
        name: Personal,
        /// The email address that an invitation will be sent to.
        email: Personal,
        /// The version of the rules for comparing the address.
        address_rules: u8,
        /// Their role.
        role: Role,
        /// Their permissions.
        permissions: Permissions,
    },
    /// An invitation was sent: earlier ones are void.
    #[serde(rename = "user.invitation_sent.v1")]
    InvitationSent {
        /// When the invitation expires.
        expires_at: Timestamp,
        /// Whether an import sent it: those have a limit of their own.
        #[serde(default, skip_serializing_if = "is_false")]
        by_import: bool,
    },
    /// The invitation was accepted.
    #[serde(rename = "user.invitation_accepted.v1")]
    InvitationAccepted {},
    /// Their role changed.
    #[serde(rename = "user.role_changed.v1")]
    RoleChanged {
        /// The old role.
        from: Role,
        /// The new role.
        to: Role,
    },
    /// Their permissions changed.
    #[serde(rename = "user.permissions_changed.v1")]
    PermissionsChanged {
        /// The old permissions.
        from: Permissions,
        /// The new permissions.
        to: Permissions,
    },
    /// They were deactivated.
    #[serde(rename = "user.deactivated.v1")]
    Deactivated {},
    /// They were reactivated.
    #[serde(rename = "user.reactivated.v1")]
    Reactivated {},
    /// A pending invitation was revoked.
    #[serde(rename = "user.invitation_revoked.v1")]
    InvitationRevoked {},
    /// Their name changed.
    #[serde(rename = "user.renamed.v1")]
    Renamed {
        /// The old name.
        from: Personal,
        /// The new name.
        to: Personal,
    },
    /// The language of their mails changed.
    #[serde(rename = "user.locale_changed.v1")]
    LocaleChanged {
        /// The old language; `None` is that of the organization.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        from: Option<Locale>,
        /// The new language; `None` is that of the organization.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        to: Option<Locale>,
    },
    /// The time zone in which times are shown to them changed.
    #[serde(rename = "user.time_zone_changed.v1")]
    TimeZoneChanged {
        /// The old time zone; `None` is that of their browser.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        from: Option<ZoneName>,
        /// The new time zone; `None` is that of their browser.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        to: Option<ZoneName>,
    },
    /// A change of the email address was requested; it takes effect once it is confirmed.
    #[serde(rename = "user.address_change_requested.v1")]
    AddressChangeRequested {
        /// The new address, not confirmed yet.
        email: Personal,
        /// The version of the rules for comparing the address.
        address_rules: u8,
        /// When the confirmation link expires.
        expires_at: Timestamp,
    },
    /// The new email address was confirmed.
    #[serde(rename = "user.address_changed.v1")]
    AddressChanged {
        /// The old address.
        from: Personal,
        /// The new address.
        to: Personal,
        /// The version of the rules for comparing the address.
        address_rules: u8,
    },
    /// A pending change of the email address was cancelled with the link that the present address received.
    #[serde(rename = "user.address_change_cancelled.v1")]
    AddressChangeCancelled {},
    /// The email address of a person who has not accepted an invitation was corrected: earlier invitations are void.
    #[serde(rename = "user.address_corrected.v1")]
    AddressCorrected {
        /// The old address.
        from: Personal,
        /// The new address.
        to: Personal,
        /// The version of the rules for comparing the address.
        address_rules: u8,
    },
    /// They were removed, before they had accepted an invitation.
    #[serde(rename = "user.removed.v1")]
    Removed {},
    /// A password reset link was requested.
    #[serde(rename = "user.password_reset_requested.v1")]
    PasswordResetRequested {
        /// When the link expires.
        expires_at: Timestamp,
    },
    /// The password was reset with the link. All sessions have ended.
    #[serde(rename = "user.password_reset.v1")]
    PasswordReset {},
    /// They changed their password, knowing the old one. All sessions have ended, except perhaps one.
    #[serde(rename = "user.password_changed.v1")]
    PasswordChanged {
        /// The session that was kept.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        keeping: Option<SessionId>,
    },
    /// The last link for a purpose expired without having been used.
    #[serde(rename = "user.link_expired.v1")]
    LinkExpired {
        /// What it was for.
        link: Link,
    },
    /// This account of the platform was given to the holder of an account of an organization.
    #[serde(rename = "user.promoted.v1")]
    Promoted {
        /// The organization of that account.
        organization: OrganizationId,
        /// That account.
        user: UserId,
    },
    /// The account of a member of the platform's staff was withdrawn. Its deactivation follows.
    #[serde(rename = "user.demoted.v1")]
    Demoted {},
    /// Too many attempts to sign in failed: only known devices may sign in, for a time.
    #[serde(rename = "user.locked.v1")]
    Locked {
        /// When the lock ends.
        until: Timestamp,
    },
    /// Failed sign-in attempts were reset.
    #[serde(rename = "user.unlocked.v1")]
    Unlocked {},
    /// All sessions have ended, except perhaps one.
    #[serde(rename = "user.sessions_ended.v1")]
    SessionsEnded {
        /// The session that was kept.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        keeping: Option<SessionId>,
    },
}

fn is_false(it: &bool) -> bool {
    !it
}
