//! What the mails of the module are about.

use jiff::Timestamp;
use porttask_domain::identity::Role;

use super::english;
use crate::mail::{
    language::{Language, Reader},
    letter::Letter,
};

/// What a mail is about.
pub(super) enum Message<'a> {
    /// They are invited.
    Invitation {
        /// Who invites, if it is a person to be named.
        inviter: Option<&'a str>,
        /// What they will be.
        role: Role,
        /// How to take it up.
        link: Offer<'a>,
    },
    /// Their password can be replaced.
    PasswordReset {
        /// Who has asked for it instead of them, if it is a person to be named.
        by: Option<&'a str>,
        /// How.
        link: Offer<'a>,
    },
    /// They have another password.
    PasswordChanged {
        /// Since when.
        at: Timestamp,
        /// From which address it was changed, if that is known.
        ip: Option<&'a str>,
    },
    /// Mail for them is to go here from now on.
    AddressConfirmation {
        /// How to confirm it.
        link: Offer<'a>,
    },
    /// They have several accounts with this address, and have not said which one they mean.
    Accounts {
        /// Where: names and domains of the organizations.
        organizations: &'a [(String, String)],
    },
    /// Mail for them does not go here any more.
    AddressChanged {
        /// Since when.
        at: Timestamp,
    },
}

/// A link, until it ends.
pub(super) struct Offer<'a> {
    /// Its address.
    pub(super) address: &'a str,
    /// When it ends.
    pub(super) expires_at: Timestamp,
}

/// A mail in a language.
pub(super) fn letter(language: Language, message: &Message<'_>, reader: &Reader<'_>) -> Letter {
    match language {
        Language::English => english::letter(message, reader),
    }
}
