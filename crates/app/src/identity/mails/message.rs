//! The contents of the mails of the module, independent of language.

use jiff::Timestamp;
use porttask_domain::identity::Role;

/// The content of a mail.
pub(super) enum Message<'a> {
    /// An invitation.
    Invitation {
        /// The name of the inviter, if it is to be disclosed.
        inviter: Option<&'a str>,
        /// The role of the invited person.
        role: Role,
        /// The link to accept it.
        link: Offer<'a>,
    },
    /// A password reset.
    PasswordReset {
        /// The name of the requester, if it is somebody else and to be disclosed.
        by: Option<&'a str>,
        /// The link to set a new password.
        link: Offer<'a>,
    },
    /// A notice that the password was changed.
    PasswordChanged {
        /// When it was changed.
        at: Timestamp,
        /// The IP address from which it was changed, if known.
        ip: Option<&'a str>,
        /// The names of the user's API keys, which still work.
        keys: &'a [String],
    },
    /// A notice that a former super admin is one again.
    SuperAdminReinstated {
        /// When the account was reactivated.
        at: Timestamp,
    },
    /// A request to confirm a new email address.
    AddressConfirmation {
        /// The link to confirm it.
        link: Offer<'a>,
    },
    /// A notice to the present address that a change of the email address was requested.
    AddressChangeNotice {
        /// The new address, which is not confirmed yet.
        email: &'a str,
        /// When it was requested.
        at: Timestamp,
        /// The IP address from which it was requested, if known.
        ip: Option<&'a str>,
        /// The link to cancel the change.
        link: Offer<'a>,
    },
    /// A list of accounts with this email address.
    Accounts {
        /// Names and domains of their organizations.
        organizations: &'a [(String, String)],
    },
    /// A notice to the old address that the email address was changed.
    AddressChanged {
        /// When it was changed.
        at: Timestamp,
    },
}

/// A link with its expiry.
pub(super) struct Offer<'a> {
    /// Its URL.
    pub(super) address: &'a str,
    /// When it expires.
    pub(super) expires_at: Timestamp,
}

impl<'a> Offer<'a> {
    /// The token in the URL.
    pub(super) fn token(&self) -> &'a str {
        self.address.split_once("#token=").map_or(self.address, |(_, token)| token)
    }
}
