//! CSV for spreadsheets: its start, and fields that are no formulas.

/// The media type of a file with a header line.
pub(crate) const CONTENT_TYPE: &str = "text/csv; charset=utf-8; header=present";

/// How a batch of an export starts in CSV.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Head {
    /// With its first entry.
    #[default]
    None,
    /// With a header line.
    Names,
    /// With a byte order mark and a header line.
    BomAndNames,
}

impl Head {
    /// That of the first batch.
    pub fn of(has_bom: bool) -> Self {
        if has_bom { Self::BomAndNames } else { Self::Names }
    }
}

/// Lines of fields as CSV (RFC 4180). Fields are untrusted input.
///
/// # Errors
/// None in practice: it writes to memory.
pub(crate) fn csv(
    lines: impl IntoIterator<Item = Vec<String>>,
    names: &[&str],
    head: Head,
) -> Result<Vec<u8>, std::io::Error> {
    let start = if head == Head::BomAndNames { "\u{feff}" } else { "" };
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(start.as_bytes().to_vec());
    if head != Head::None {
        writer.write_record(names)?;
    }
    for line in lines {
        writer.write_record(line.into_iter().map(harmless))?;
    }
    writer.into_inner().map_err(csv::IntoInnerError::into_error)
}

/// Adds an apostrophe before what a spreadsheet would take for a formula, as names are untrusted input. Some
/// spreadsheets also start a cell after a semicolon.
fn harmless(field: String) -> String {
    let mut harmless = String::with_capacity(field.len() + 1);
    let mut is_at_the_beginning = true;
    for character in field.chars() {
        if is_at_the_beginning && matches!(character, '=' | '+' | '-' | '@' | '\t' | '\r') {
            harmless.push('\'');
        }
        harmless.push(character);
        is_at_the_beginning = matches!(character, ';' | '\t') || is_at_the_beginning && character == ' ';
    }
    harmless
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_made_harmless() {
        for (field, written) in [
            ("=HYPERLINK(\"http://x\")", "'=HYPERLINK(\"http://x\")"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM", "'@SUM"),
            ("Ana;=cmd|'/c calc'!A0;", "Ana;'=cmd|'/c calc'!A0;"),
            ("Ana; -1", "Ana; '-1"),
            ("a-b", "a-b"),
            ("Ana", "Ana"),
            ("", ""),
        ] {
            assert_eq!(harmless(field.to_owned()), written);
        }
    }
}
