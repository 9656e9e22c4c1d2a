//! Commands on users.

use jiff::Timestamp;

use super::Link;
use crate::{
    OrganizationId, PersonName, SessionId, UserId,
    identity::{
        address::EmailAddress,
        role::{Permissions, Role},
        settings::{Locale, ZoneName},
    },
};

/// Commands on a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Invite a person.
    Invite {
        /// The organization that they are invited to.
        organization: OrganizationId,
        /// The new account.
        user: UserId,
        /// The person's full name.
        name: PersonName,
        /// The email address that the invitation is sent to.
        email: EmailAddress,
        /// Their role.
        role: Role,
        /// Their permissions, within their role.
        permissions: Permissions,
        /// When the invitation expires.
        expires_at: Timestamp,
    },
    /// Create an account without sending an invitation yet.
    Register {
        /// The organization of the account.
        organization: OrganizationId,
        /// The new account.
        user: UserId,
        /// The person's full name.
        name: PersonName,
        /// The email address that an invitation will be sent to.
        email: EmailAddress,
        /// Their role.
        role: Role,
        /// Their permissions, within their role.
        permissions: Permissions,
    },
    /// Invite a registered person, or send a new invitation to one who has not accepted yet.
    SendInvitation {
        /// When the invitation expires.
        expires_at: Timestamp,
        /// Whether an import sends it: those have a limit of their own.
        by_import: bool,
    },
    /// Accept an invitation.
    Accept {
        /// The number of the invitation: 1, 2, …
        invitation: u64,
        /// When it is accepted.
        now: Timestamp,
    },
    /// Change their role.
    ChangeRole {
        /// Their role.
        role: Role,
        /// The new permissions; `None` gives all of the new role, and keeps the current ones of an unchanged role.
        permissions: Option<Permissions>,
    },
    /// Change their permissions within their role.
    ChangePermissions {
        /// The new permissions.
        permissions: Permissions,
    },
    /// Deactivate them; their history is retained.
    Deactivate,
    /// Reactivate them.
    Reactivate,
    /// Record that this account of the platform is given to the holder of an account of an organization.
    Promote {
        /// The organization of that account.
        organization: OrganizationId,
        /// That account.
        user: UserId,
    },
    /// Deactivate an account of the platform's staff.
    Demote,
    /// Revoke an invitation that was not accepted.
    RevokeInvitation,
    /// Change their name.
    Rename {
        /// The person's full name.
        name: PersonName,
    },
    /// Correct the name or email address of a person who has not accepted an invitation.
    Correct {
        /// The person's full name; `None` keeps it.
        name: Option<PersonName>,
        /// The email address; `None` keeps it. Another one voids the invitation.
        email: Option<EmailAddress>,
    },
    /// Remove a person who has not accepted an invitation.
    Remove,
    /// Change the language of their mails.
    ChangeLocale {
        /// The new language; `None` is that of the organization.
        locale: Option<Locale>,
    },
    /// Change the time zone in which times are shown to them.
    ChangeTimeZone {
        /// The new time zone; `None` is that of their browser.
        time_zone: Option<ZoneName>,
    },
    /// Request a change of the email address; it takes effect once it is confirmed.
    RequestAddressChange {
        /// The new email address.
        email: EmailAddress,
        /// When the confirmation link expires.
        expires_at: Timestamp,
    },
    /// Confirm the new email address.
    ConfirmAddress {
        /// The number of the request: 1, 2, …
        request: u64,
        /// When it is confirmed.
        now: Timestamp,
    },
    /// Cancel a pending change of the email address.
    CancelAddressChange {
        /// The number of the request: 1, 2, …
        request: u64,
        /// When it is cancelled.
        now: Timestamp,
    },
    /// Request a link to reset a password, which replaces the open one, however recent.
    ReplacePasswordReset {
        /// When it expires.
        expires_at: Timestamp,
    },
    /// Request a link to reset a forgotten password.
    RequestPasswordReset {
        /// When it is requested.
        now: Timestamp,
        /// When the link expires.
        expires_at: Timestamp,
    },
    /// Set a new password with such a link. The hash is stored in the ledger together with the event.
    ResetPassword {
        /// The number of the request: 1, 2, …
        request: u64,
        /// When the link is redeemed.
        now: Timestamp,
    },
    /// Set a new password. The hash is stored in the ledger together with the event.
    ChangePassword {
        /// The current session epoch, which this command ends together with its sessions.
        session_epoch: u64,
        /// The session to keep; all others end.
        keeping: Option<SessionId>,
    },
    /// Void the last link for a purpose, if its time is over.
    ExpireLink {
        /// What it is for.
        link: Link,
        /// The current time.
        now: Timestamp,
    },
    /// Lock an account with too many failed sign-in attempts: only known devices may sign in.
    Lock {
        /// The number of previous unlocks.
        unlocks: u64,
        /// When the lock ends.
        until: Timestamp,
    },
    /// Unlock an account with too many failed sign-in attempts.
    Unlock {
        /// The number of previous unlocks.
        unlocks: u64,
    },
    /// End all sessions, optionally except one.
    EndSessions {
        /// The current session epoch, which this command ends.
        session_epoch: u64,
        /// The session to keep.
        keeping: Option<SessionId>,
    },
}
