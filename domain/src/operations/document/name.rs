//! The names of files.

use unicode_normalization::UnicodeNormalization;

use crate::text::is_invisible;

/// The name of a file, without its folder. Whatever is sent becomes one: programs name files as they like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentName(String);

impl DocumentName {
    /// The maximum length, in characters.
    pub const MAX_CHARACTERS: usize = 200;
    /// What a file without a name is called.
    const DEFAULT: &'static str = "document";

    /// A name in Unicode's composed form (NFC): the last part of a path, without control and invisible characters and
    /// without characters that mean something to a shell or a file system. A long name is cut before its ending.
    pub fn new(text: &str) -> Self {
        // An absurdly long one is not composed.
        let start = text.char_indices().rev().nth(4_096).map_or(0, |(index, _)| index);
        let last = text[start..].rsplit(['/', '\\']).next().unwrap_or_default();
        let composed = last.nfc().filter(|character| !character.is_control() && !is_invisible(*character));
        let plain = composed.map(|character| if r#"<>:"|?*"#.contains(character) { '_' } else { character });
        let plain: String = plain.collect();
        let words = plain.split_whitespace().collect::<Vec<_>>().join(" ");
        let name = words.trim_matches(['.', ' ']);
        let name = if name.chars().any(char::is_alphanumeric) { name } else { Self::DEFAULT };
        Self(shortened(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A name of at most the maximum length, with its ending.
fn shortened(name: &str) -> String {
    let excess = name.chars().count().saturating_sub(DocumentName::MAX_CHARACTERS);
    if excess == 0 {
        return name.to_owned();
    }
    let (stem, ending) = match name.rsplit_once('.').filter(|(_, ending)| ending.chars().count() <= 10) {
        Some((stem, ending)) => (stem, format!(".{ending}")),
        None => (name, String::new()),
    };
    let kept = stem.chars().count().saturating_sub(excess);
    stem.chars().take(kept).collect::<String>().trim_end().to_owned() + &ending
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_sent_becomes_the_name_of_a_file() {
        for (sent, name) in [
            ("Bill of lading.pdf", "Bill of lading.pdf"),
            ("../../etc/passwd", "passwd"),
            (r"C:\Users\ana\crew.xlsx", "crew.xlsx"),
            ("a\u{0}b\r\nc\u{202e}fdp.exe", "abcfdp.exe"),
            ("  two   words .txt ", "two words .txt"),
            ("Jose\u{301}.pdf", "José.pdf"),
            (".htaccess", "htaccess"),
            ("what?<is>:this|\"*\".png", "what__is__this____.png"),
            ("", "document"),
            ("..", "document"),
            ("folder/", "document"),
        ] {
            assert_eq!(DocumentName::new(sent).as_str(), name, "{sent:?}");
        }
        let long = DocumentName::new(&format!("{}.pdf", "é".repeat(100_000)));
        assert_eq!(long.as_str().chars().count(), 200);
        assert!(long.as_str().ends_with("é.pdf"));
        assert_eq!(DocumentName::new(&"x".repeat(300)).as_str().len(), 200);
    }
}
