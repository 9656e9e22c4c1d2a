//! The languages of mails.

use jiff::{
    Timestamp, Zoned,
    tz::{TimeZone, TimeZoneDatabase},
};

/// A language of mails. Every module's texts match on it, so the compiler reports texts missing for a new language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
}

impl Language {
    const ALL: [Self; 1] = [Self::English];

    /// Its BCP 47 tag: `en`, or `pt-BR` where regions differ.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
        }
    }

    /// The requested language, or the nearest one: `pt` for `pt-PT`; English as the fallback.
    pub fn nearest(wanted: Option<&str>) -> Self {
        let wanted = wanted.unwrap_or_default();
        let shorter = std::iter::successors(Some(wanted), |tag| Some(tag.rsplit_once('-')?.0));
        let fits = |tag: &str| Self::ALL.into_iter().find(|it| it.tag().eq_ignore_ascii_case(tag));
        shorter.into_iter().find_map(fits).unwrap_or(Self::English)
    }
}

/// The recipient's context.
pub struct Reader<'a> {
    /// The person's name.
    pub name: &'a str,
    /// The name of the organization that the mail is about.
    pub organization: &'a str,
    /// The time zone of that organization.
    pub time_zone: &'a str,
}

/// A name with its dots between word joiners, so that mail clients do not turn `Booking.com` into a link.
pub fn unlinked(name: &str) -> String {
    name.replace('.', "\u{2060}.\u{2060}")
}

impl Reader<'_> {
    /// An instant in the time zone of the organization.
    pub fn at(&self, instant: Timestamp) -> Zoned {
        instant.to_zoned(TimeZoneDatabase::bundled().get(self.time_zone).unwrap_or(TimeZone::UTC))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_in_a_name_is_not_linked() {
        assert_eq!(unlinked("Booking.com"), "Booking\u{2060}.\u{2060}com");
        assert_eq!(unlinked("Acme Shipping"), "Acme Shipping");
    }

    #[test]
    fn a_language_without_texts_falls_back_to_english() {
        for wanted in [None, Some(""), Some("en"), Some("en-GB"), Some("en-Latn-GB"), Some("pt-BR"), Some("-")] {
            assert_eq!(Language::nearest(wanted), Language::English, "{wanted:?}");
        }
    }
}
