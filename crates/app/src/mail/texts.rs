//! What mails say, by language. Whoever translates adds a file beside `english.rs` and a line to [`LANGUAGES`].

mod english;

use jiff::{Timestamp, Zoned, tz::TimeZone, tz::TimeZoneDatabase};
use porttask_domain::identity::Role;

use self::english::ENGLISH;

/// All languages; the first is used where no other fits.
const LANGUAGES: [Texts; 1] = [ENGLISH];

/// The texts of one language.
pub(super) struct Texts {
    /// Its BCP 47 tag: `en`, or `pt-BR` if others speak it otherwise.
    tag: &'static str,
    /// Subject and text of an invitation, given until when it holds as the person's clock shows it.
    invitation: fn(&Invitation<'_>, &Zoned) -> (String, String),
}

/// What an invitation tells.
pub(super) struct Invitation<'a> {
    /// Who is invited.
    pub(super) name: &'a str,
    /// Who invites, if it is a person to be named.
    pub(super) inviter: Option<&'a str>,
    /// Where to.
    pub(super) organization: &'a str,
    /// What they will be.
    pub(super) role: Role,
    /// How to take it up.
    pub(super) link: &'a str,
    /// Until when that is possible.
    pub(super) expires_at: Timestamp,
    /// In which time zone the organization works.
    pub(super) time_zone: &'a str,
}

/// The texts in a language that somebody wants, or the nearest: `pt` for `pt-PT`.
pub(super) fn of(wanted: Option<&str>) -> &'static Texts {
    static ALL: [Texts; LANGUAGES.len()] = LANGUAGES;
    let wanted = wanted.unwrap_or_default();
    let shorter = std::iter::successors(Some(wanted), |tag| Some(tag.rsplit_once('-')?.0));
    let mut fitting = shorter.filter_map(|tag| ALL.iter().find(|texts| texts.tag.eq_ignore_ascii_case(tag)));
    fitting.next().unwrap_or(&ALL[0])
}

impl Texts {
    /// Subject and text of an invitation.
    pub(super) fn invitation(&self, invitation: &Invitation<'_>) -> (String, String) {
        let zone = TimeZoneDatabase::bundled().get(invitation.time_zone).unwrap_or(TimeZone::UTC);
        (self.invitation)(invitation, &invitation.expires_at.to_zoned(zone))
    }
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
