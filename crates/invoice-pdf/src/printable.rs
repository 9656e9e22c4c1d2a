//! Text that the bundled fonts can show. PDF/A forbids glyphs that a font lacks, so that what cannot be shown is replaced by
//! a visible substitute.

use typst::text::{Font, FontInfo};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// In place of a character that no font has.
pub(crate) const SUBSTITUTE: char = '\u{25a1}';

/// How much of a text is shown. Fonts can lack a combination of characters although they have each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repertoire {
    /// Every character that a font has.
    All,
    /// None that combines with others.
    Uncombined,
    /// Only those of the main font.
    Main,
}

impl Repertoire {
    /// From the one that loses least.
    pub(crate) const ALL: [Self; 3] = [Self::All, Self::Uncombined, Self::Main];

    /// A text within it.
    pub(crate) fn printable(self, text: &str, fonts: &[Font]) -> String {
        text.nfc().filter(|it| !is_ignorable(*it)).filter_map(|it| self.character(it, fonts)).collect()
    }

    fn character(self, character: char, fonts: &[Font]) -> Option<char> {
        if character.is_whitespace() || character.is_control() {
            return Some(if matches!(character, '\u{a0}' | '\u{202f}') { character } else { ' ' });
        }
        let has = |info: &FontInfo| info.coverage.contains(character.into());
        if matches!(character, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..) {
            // For private use: fonts disagree about its shape.
            return Some(SUBSTITUTE);
        }
        let mut candidates = fonts.iter().map(Font::info);
        let is_shown = match self {
            Self::All => candidates.any(has),
            Self::Uncombined => !is_joiner(character) && !is_combining_mark(character) && candidates.any(has),
            Self::Main => !is_combining_mark(character) && candidates.next().is_some_and(has),
        };
        match is_shown {
            true => Some(character),
            false if is_joiner(character) || is_combining_mark(character) => None,
            false => Some(SUBSTITUTE),
        }
    }
}

/// Between letters of some scripts.
fn is_joiner(character: char) -> bool {
    matches!(character, '\u{200c}' | '\u{200d}')
}

/// Without a shape, or a direction that would reorder what is around it.
fn is_ignorable(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use typst::{
        layout::Abs,
        text::{FontVariant, FontVariations},
    };

    use super::*;
    use crate::typesetting::fonts;

    fn all(text: &str) -> String {
        Repertoire::All.printable(text, fonts())
    }

    #[test]
    fn text_of_covered_scripts_stays() {
        for text in [
            "Łódź Đặng Şişli",
            "Αιγαίου",
            "Бургас № 1",
            "شركة",
            "חיפה",
            "ท่าเรือ",
            "पत्तन",
            "Նավ",
            "ნავ",
            "上海",
            "港湾",
            "부산",
        ] {
            assert_eq!(all(text), text);
        }
        assert_eq!(all("1\u{a0}234\u{202f}567 − €"), "1\u{a0}234\u{202f}567 − €");
    }

    /// Some fonts claim characters for which they have only an empty glyph.
    #[test]
    fn whatever_is_kept_has_a_shape() {
        let mut claimed = std::collections::BTreeSet::new();
        for font in fonts() {
            let face = font.clone().instantiate(FontVariant::default(), Abs::pt(9.0), &FontVariations::default());
            for character in font.info().coverage.iter().filter_map(char::from_u32) {
                let is_kept = all(&character.to_string()).starts_with(character);
                if !is_kept || character.is_whitespace() || is_joiner(character) || is_combining_mark(character) {
                    continue;
                }
                let glyph = face.ttf().glyph_index(character);
                let has_shape = glyph.is_some_and(|glyph| face.ttf().glyph_bounding_box(glyph).is_some());
                assert!(has_shape, "{} has no shape for U+{:x}", font.info().family, u32::from(character));
                claimed.insert(character);
            }
        }
        assert!(claimed.len() > 40_000, "{}", claimed.len());
    }

    #[test]
    fn what_no_font_has_is_visibly_replaced() {
        assert_eq!(all("Port \u{1f6a2} \u{e000} தமிழ"), "Port □ □ □□□");
        assert_eq!(all("a\u{1}b\nc"), "a b c");
    }

    #[test]
    fn text_cannot_reorder_its_neighbours() {
        assert_eq!(all("\u{202e}abc\u{202c}\u{200b}\u{feff}d\u{fe0f}"), "abcd");
    }

    #[test]
    fn fewer_characters_are_kept_where_fonts_cannot_combine_them() {
        let text = "e\u{301}x\u{20dd} 上海";
        assert_eq!(Repertoire::Uncombined.printable(text, fonts()), "éx 上海");
        assert_eq!(Repertoire::Main.printable(text, fonts()), "éx □□");
    }
}
