//! The languages in which mails are written.

use jiff::{
    Timestamp, Zoned,
    tz::{TimeZone, TimeZoneDatabase},
};

/// A language in which mails are written. Every module's texts match it: a new language shows where texts are missing.
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

    /// The language that somebody wants, or the nearest: `pt` for `pt-PT`; English if there is none.
    pub fn nearest(wanted: Option<&str>) -> Self {
        let wanted = wanted.unwrap_or_default();
        let shorter = std::iter::successors(Some(wanted), |tag| Some(tag.rsplit_once('-')?.0));
        let fits = |tag: &str| Self::ALL.into_iter().find(|it| it.tag().eq_ignore_ascii_case(tag));
        shorter.into_iter().find_map(fits).unwrap_or(Self::English)
    }
}

/// Whom a mail is for.
pub struct Reader<'a> {
    /// The person's name.
    pub name: &'a str,
    /// The name of the organization that the mail is about.
    pub organization: &'a str,
    /// The time zone in which that works.
    pub time_zone: &'a str,
}

impl Reader<'_> {
    /// An instant as the clocks of the organization show it.
    pub fn at(&self, instant: Timestamp) -> Zoned {
        instant.to_zoned(TimeZoneDatabase::bundled().get(self.time_zone).unwrap_or(TimeZone::UTC))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_without_texts_falls_back_to_english() {
        for wanted in [None, Some(""), Some("en"), Some("en-GB"), Some("en-Latn-GB"), Some("pt-BR"), Some("-")] {
            assert_eq!(Language::nearest(wanted), Language::English, "{wanted:?}");
        }
    }
}
