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

/// A name that appears in mails to strangers: one line that does not look like a link.
pub(crate) fn name(text: &str, longest: usize) -> Result<String, InvalidText> {
    let name = line(text, longest)?;
    if looks_like_a_link(&name) {
        return Err(InvalidText("a name must not contain a web address".to_owned()));
    }
    Ok(name)
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

/// Characters that are invisible or change the text direction. The joiners are allowed: names in Persian and in Indian
/// scripts need them.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether mail clients may turn it into a link.
fn looks_like_a_link(text: &str) -> bool {
    let text = text.to_lowercase();
    text.contains("://") || text.contains("www.") || text.split_whitespace().any(is_host)
}

/// `example.com`, also with a path. A title or an initial, as in `J.R.R. Tolkien` or `Dr.Müller`, is not a host: its
/// last part is not two to five lower-case Latin letters, or the part before it is as short as an initial or a title.
fn is_host(word: &str) -> bool {
    let host = word.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let Some((before, last)) = host.rsplit_once('.') else { return false };
    let has_path = host.len() < word.len();
    let is_top = (2..=5).contains(&last.len()) && last.bytes().all(|byte| byte.is_ascii_lowercase());
    is_top && (has_path || before.len() > 3)
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
            "Ana\r\nBcc: x",
        ] {
            assert!(PersonName::new(name).is_err(), "{name:?}");
        }
        assert!(PersonName::new(&"é".repeat(200)).is_ok());
        assert!(PersonName::new(&"é".repeat(201)).is_err());
        assert!(PersonName::new(&"a".repeat(1_000_000)).is_err());
    }
}
