//! What mails say, by language. Whoever translates adds a file beside `english.rs` and a line to [`LANGUAGES`].

mod english;

use jiff::{
    Timestamp, Zoned,
    tz::{TimeZone, TimeZoneDatabase},
};
use porttask_domain::identity::Role;

use self::english::ENGLISH;
use super::letter::Letter;

/// All languages; the first is used where no other fits.
const LANGUAGES: [Texts; 1] = [ENGLISH];

/// The texts of one language.
pub(super) struct Texts {
    /// Its BCP 47 tag: `en`, or `pt-BR` if others speak it otherwise.
    pub(super) tag: &'static str,
    /// The words of a mail to somebody.
    pub(super) letter: fn(&Message<'_>, &Reader<'_>) -> Letter,
}

/// Whom a mail is for.
pub(super) struct Reader<'a> {
    /// What they are called.
    pub(super) name: &'a str,
    /// What the organization of their account is called.
    pub(super) organization: &'a str,
    /// In which time zone that works.
    pub(super) time_zone: &'a str,
}

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

impl Reader<'_> {
    /// An instant as the clocks of the organization show it.
    fn at(&self, instant: Timestamp) -> Zoned {
        instant.to_zoned(TimeZoneDatabase::bundled().get(self.time_zone).unwrap_or(TimeZone::UTC))
    }
}

/// The texts in a language that somebody wants, or the nearest: `pt` for `pt-PT`.
pub(super) fn of(wanted: Option<&str>) -> &'static Texts {
    static ALL: [Texts; LANGUAGES.len()] = LANGUAGES;
    let wanted = wanted.unwrap_or_default();
    let shorter = std::iter::successors(Some(wanted), |tag| Some(tag.rsplit_once('-')?.0));
    let mut fitting = shorter.filter_map(|tag| ALL.iter().find(|texts| texts.tag.eq_ignore_ascii_case(tag)));
    fitting.next().unwrap_or(&ALL[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wants_a_language_that_nobody_has_written_gets_english() {
        for wanted in [None, Some(""), Some("en"), Some("en-GB"), Some("en-Latn-GB"), Some("pt-BR"), Some("-")] {
            assert_eq!(of(wanted).tag, "en", "{wanted:?}");
        }
    }
}
