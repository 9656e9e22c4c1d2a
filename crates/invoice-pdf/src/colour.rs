//! Colours of the seller, made readable on white.

/// The colour of headings if the seller has none.
const DEFAULT: [u8; 3] = [0x1d, 0x4e, 0x89];
/// The contrast that WCAG 2.2 asks for between text and its background (1.4.3).
const READABLE: f64 = 4.5;

/// The seller's colour, and one for text: the same, darkened until it is readable on white.
pub(crate) fn accents(colour: Option<&str>) -> (String, String) {
    let accent = colour.and_then(parsed).unwrap_or(DEFAULT);
    let mut text = accent;
    while contrast_with_white(text) < READABLE {
        text = text.map(|part| part - part.div_ceil(16));
    }
    (written(accent), written(text))
}

fn parsed(colour: &str) -> Option<[u8; 3]> {
    let digits = colour.strip_prefix('#').filter(|it| it.len() == 6 && it.is_ascii())?;
    let part = |index: usize| u8::from_str_radix(&digits[index..index + 2], 16).ok();
    Some([part(0)?, part(2)?, part(4)?])
}

fn written([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// By WCAG 2.2.
fn contrast_with_white(colour: [u8; 3]) -> f64 {
    let [red, green, blue] = colour.map(|part| {
        let part = f64::from(part) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_readable_in_every_colour() {
        for colour in ["#ffffff", "#ffe600", "#000000", "#7fd1ff", "#1d4e89", "red", "#12345", "#ääü"] {
            let (accent, text) = accents(Some(colour));
            assert!(contrast_with_white(parsed(&text).unwrap_or_default()) >= READABLE, "{colour}: {accent} {text}");
        }
        assert_eq!(accents(Some("#102030")), ("#102030".to_owned(), "#102030".to_owned()));
        assert_eq!(accents(Some("nonsense")).0, "#1d4e89");
    }
}
