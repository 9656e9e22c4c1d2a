//! Texts entered by people, validated on input. Events store plain strings: what was accepted once is never rejected
//! when it is read.

use unicode_normalization::UnicodeNormalization;

/// Why a text is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidText(pub(crate) String);

/// Makes a validated text an input type: it is deserialized by its constructor.
macro_rules! entered {
    ($($text:ty),+ $(,)?) => {$(
        impl<'de> serde::Deserialize<'de> for $text {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }
    )+};
}
pub(crate) use entered;

entered!(PersonName, Reason);

/// The full name of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonName(String);

impl PersonName {
    /// The maximum length, in characters.
    pub const MAX_CHARACTERS: usize = 200;

    /// A name in Unicode's composed form (NFC), without surrounding whitespace.
    ///
    /// # Errors
    /// If it is empty, too long, has control or invisible formatting characters, or looks like a link: names appear in
    /// mails to strangers.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        name(text, Self::MAX_CHARACTERS).map(Self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The reason for an action that requires one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// The maximum length, in characters.
    pub const MAX_CHARACTERS: usize = 500;

    /// # Errors
    /// If it is empty, too long, or has control characters.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        line(text, Self::MAX_CHARACTERS).map(Self)
    }

    /// The reason.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A name that appears in mails to strangers: one visible line that does not look like a link.
pub(crate) fn name(text: &str, longest: usize) -> Result<String, InvalidText> {
    let name = visible(text, longest)?;
    if links(&name).next().is_some() {
        return Err(InvalidText("must not contain a web or email address: add a space after each dot".to_owned()));
    }
    Ok(name)
}

/// The name of a company, which may be a domain such as `Booking.com`, but no other kind of link. Mails show it so that
/// no client turns it into a link.
pub(crate) fn company_name(text: &str, longest: usize) -> Result<String, InvalidText> {
    let name = visible(text, longest)?;
    if links(&name).any(|link| link != Link::Domain) {
        return Err(InvalidText("must not contain a web or email address, except for a domain".to_owned()));
    }
    Ok(name)
}

/// One line that shows something.
fn visible(text: &str, longest: usize) -> Result<String, InvalidText> {
    let line = line(text, longest)?;
    if line.chars().any(is_blank) || !line.chars().any(|character| character.is_alphanumeric()) {
        return Err(InvalidText("must have visible letters or digits, and no invisible characters".to_owned()));
    }
    Ok(line)
}

/// Characters that are invisible although Unicode counts them as letters, symbols or marks.
fn is_blank(character: char) -> bool {
    matches!(character,
        '\u{034f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2800}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{1d159}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0100}'..='\u{e01ef}')
}

/// One line of text, composed (NFC) and without surrounding whitespace.
pub(crate) fn line(text: &str, longest: usize) -> Result<String, InvalidText> {
    // Composing shortens a text, but an absurdly long one is rejected without composing it.
    if text.len() > longest * 16 {
        return Err(InvalidText(format!("must have at most {longest} characters")));
    }
    let composed: String = text.trim().nfc().collect();
    if composed.is_empty() {
        return Err(InvalidText("must not be empty".to_owned()));
    }
    if composed.chars().count() > longest {
        return Err(InvalidText(format!("must have at most {longest} characters")));
    }
    if composed.chars().any(|character| character.is_control() || is_invisible(character)) {
        return Err(InvalidText("must not contain control or invisible characters".to_owned()));
    }
    Ok(composed)
}

/// Lines of text, composed (NFC), separated by `\n`, without whitespace around all of them.
pub(crate) fn lines(text: &str, longest: usize) -> Result<String, InvalidText> {
    if text.len() > longest * 16 {
        return Err(InvalidText(format!("must have at most {longest} characters")));
    }
    let composed: String = text.replace("\r\n", "\n").replace('\r', "\n").trim().nfc().collect();
    if composed.is_empty() {
        return Err(InvalidText("must not be empty".to_owned()));
    }
    if composed.chars().count() > longest {
        return Err(InvalidText(format!("must have at most {longest} characters")));
    }
    let is_allowed = |character: char| matches!(character, '\n' | '\t') || !character.is_control();
    if composed.chars().any(|character| !is_allowed(character) || is_invisible(character)) {
        return Err(InvalidText("must not contain control or invisible characters".to_owned()));
    }
    Ok(composed)
}

/// Characters that are invisible or change the text direction. The joiners are allowed: names in Persian and in Indian
/// scripts need them.
pub(crate) fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// What mail clients may turn into a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// `example.com`
    Domain,
    /// With a scheme, a path, a user or `www.`
    Address,
}

/// Top-level domains that are common enough to be recognised after a single letter, as in `x.com`.
const COMMON_TOPS: [&str; 24] = [
    "ai", "app", "biz", "cc", "cn", "co", "com", "dev", "eu", "gg", "gl", "info", "io", "link", "ly", "me", "net",
    "org", "ru", "sh", "site", "to", "tv", "xyz",
];
/// Titles that people write without a space after the dot.
const TITLES: [&str; 22] = [
    "capt", "col", "dipl", "dr", "dra", "eng", "fr", "gen", "hon", "ing", "jr", "lic", "lt", "mr", "mrs", "ms", "mx",
    "prof", "rev", "sr", "sra", "st",
];

/// The links in a text, whatever punctuation surrounds them. Characters of the same appearance count as their plain form.
fn links(text: &str) -> impl Iterator<Item = Link> {
    let plain: String = text.nfkc().collect::<String>().to_lowercase();
    let plain: String = plain
        .chars()
        .filter(|character| !matches!(character, '\u{200c}' | '\u{200d}'))
        .map(|character| if matches!(character, '\u{3002}' | '\u{2024}' | '\u{ff61}') { '.' } else { character })
        .collect();
    let has_scheme = plain.contains("://") || plain.contains("www.");
    let words = plain.split_whitespace().flat_map(word_links).collect::<Vec<_>>();
    has_scheme.then_some(Link::Address).into_iter().chain(words)
}

fn word_links(word: &str) -> Vec<Link> {
    let is_of_host = |character: char| character.is_alphanumeric() || character == '.' || character == '-';
    let is_address = word.contains(['/', '@', ':', '?', '#', '\\']);
    let hosts = word.split(|character| !is_of_host(character)).map(|host| host.trim_matches(['.', '-']));
    let hosts = hosts.filter(|host| is_host(host, is_address));
    hosts.map(|_| if is_address { Link::Address } else { Link::Domain }).collect()
}

/// `example.com`. An initial or a title, as in `J.R.R.Tolkien` or `Dr.Miller`, makes no host, unless it is part of an
/// address.
fn is_host(host: &str, is_address: bool) -> bool {
    let Some((before, last)) = host.rsplit_once('.') else { return false };
    let is_top = (2..=24).contains(&last.len()) && last.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_top = is_top || last.starts_with("xn--");
    let are_initials = before.split('.').all(|label| label.chars().count() == 1);
    is_top
        && (is_address
            || match are_initials {
                true => COMMON_TOPS.contains(&last),
                false => !TITLES.contains(&before),
            })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_accepted() {
        for name in [
            "Ana Souza",
            "José Ñandú",
            "Nguyễn Thị Minh Khai",
            "O'Brien-Smith",
            "J.R.R. Tolkien",
            "Dr. Müller",
            "李小龍",
            "محمد علی",
            "Łukasz Żółć",
            "Mr.Fox",
            "J.Lee",
            "J.R.R.Tolkien",
            "St.Petersburg",
            "И.И.Иванов",
            "Ana (e.g. Souza), M.D.",
            "X Æ A-12",
            "Jean-Luc (HQ)",
        ] {
            assert!(PersonName::new(name).is_ok(), "{name}");
        }
        assert_eq!(PersonName::new("  Jose\u{301}  ").unwrap().as_str(), "José");
    }

    #[test]
    fn invalid_names_are_rejected() {
        for name in [
            "",
            "   ",
            "Ana\nSouza",
            "Ana\u{0}",
            "Ana\u{202e}azuoS",
            "Ana\u{200b}",
            "https://evil.example/",
            "Win at www.evil.example",
            "click evil.com/prize",
            "evilcorp.com",
            "go to evil.com, now",
            "(evil.com)",
            "evil.com.",
            "evil.online",
            "evil.support/prize",
            "//evil.com",
            "evil\u{ff0e}com",
            "evil\u{3002}com",
            "evil.\u{200d}com",
            "mailto:x@evil.com",
            "x.com",
            "visit t.co/x",
            "bit.ly",
            "mr.fox/prize",
            "\u{3164}",
            "\u{2800}",
            "\u{115f}\u{1160}",
            "Ana\u{034f}",
            "Ana\u{fe0f}",
            "\u{200d}",
            "...",
            "Ana\r\nBcc: x",
        ] {
            assert!(PersonName::new(name).is_err(), "{name:?}");
        }
        assert!(PersonName::new(&"é".repeat(200)).is_ok());
        assert!(PersonName::new(&"é".repeat(201)).is_err());
        assert!(PersonName::new(&"a".repeat(1_000_000)).is_err());
    }

    #[test]
    fn a_text_may_have_several_lines() {
        assert_eq!(lines("  Two tugs\r\nfor berthing\r", 100).as_deref(), Ok("Two tugs\nfor berthing"));
        for bad in ["", " \n ", "a\u{0}", "a\u{202e}b", &"x".repeat(101), &"x".repeat(10_000)] {
            assert!(lines(bad, 100).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_company_may_be_named_after_a_domain() {
        for name in ["Booking.com", "Amazon.com Inc.", "Ports.io", "Acme (acme.example)", "Port 7"] {
            assert_eq!(company_name(name, 200).as_deref(), Ok(name));
        }
        for name in ["https://evil.com", "www.evil.com", "evil.com/prize", "ana@evil.com", "evil.com:80", "\u{3164}"] {
            assert!(company_name(name, 200).is_err(), "{name:?}");
        }
    }
}
