//! Texts from people, checked where they come in. Events keep plain strings: what was accepted once is never refused
//! again when it is read.

use unicode_normalization::UnicodeNormalization;

/// Why a text is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidText(pub(crate) String);

/// The full name of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonName(String);

impl PersonName {
    /// The longest name, in characters.
    pub const MAX_CHARACTERS: usize = 200;

    /// A name in Unicode's composed form (NFC), without blanks around it.
    ///
    /// # Errors
    /// If it is empty, too long, has control or invisible formatting characters, or looks like a link: names go into
    /// mails to strangers.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        name(text, Self::MAX_CHARACTERS).map(Self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why somebody does something that needs a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// The longest reason, in characters.
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

/// A name that goes into mails to strangers: one line that does not look like a link.
pub(crate) fn name(text: &str, longest: usize) -> Result<String, InvalidText> {
    let name = line(text, longest)?;
    if looks_like_a_link(&name) {
        return Err(InvalidText("a name must not contain a web address".to_owned()));
    }
    Ok(name)
}

/// One line of text that a person wrote, composed (NFC) and without blanks around it.
pub(crate) fn line(text: &str, longest: usize) -> Result<String, InvalidText> {
    // Composing shortens; a text that is absurdly long is not even looked at.
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

/// Characters that show nothing or turn the direction of what follows. The joiners stay: names in Persian and in
/// Indian scripts need them.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether mail programs may make a link of it.
fn looks_like_a_link(text: &str) -> bool {
    let text = text.to_lowercase();
    text.contains("://") || text.contains("www.") || text.split_whitespace().any(is_host)
}

/// `example.com`, also with a path. A title or an initial, as in `J.R.R. Tolkien` or `Dr.Müller`, is none: its last part
/// is not a name of two to five Latin letters, or the part before it is a single letter or a short title.
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
    fn names_of_people_are_accepted() {
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
    fn what_is_no_name_is_refused() {
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
