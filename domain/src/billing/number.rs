//! Numbers of billing documents: one series per seller and kind of document, counted anew each year, without gaps.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::period::local_date;

/// The numbers of a series, by year.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Series {
    counts: BTreeMap<i16, u64>,
    last_date: Option<Date>,
}

impl Series {
    /// The date and the number in its year of a document that is issued now. The date is never before that of the last one.
    pub fn next(&mut self, at: Timestamp, zone: &TimeZone) -> (Date, u64) {
        let today = local_date(at, zone);
        let date = self.last_date.map_or(today, |last| last.max(today));
        self.last_date = Some(date);
        let count = self.counts.entry(date.year()).or_default();
        *count += 1;
        (date, *count)
    }
}

/// The parts of a printed number: the prefix of its series, the year, and the number in it; `None` if it is none.
pub fn parse(text: &str) -> Option<(&str, i16, u64)> {
    let (rest, number) = text.rsplit_once('-')?;
    let (prefix, year) = rest.rsplit_once('-')?;
    let digits = |text: &str, least: usize| text.len() >= least && text.bytes().all(|it| it.is_ascii_digit());
    if prefix.is_empty() || year.len() != 4 || !digits(year, 4) || !digits(number, 6) {
        return None;
    }
    Some((prefix, year.parse().ok()?, number.parse().ok()?))
}

/// A number as it is printed, such as `PT-2026-000001`.
pub fn printed(prefix: &str, date: Date, number: u64) -> String {
    format!("{prefix}-{}-{number:06}", date.year())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn what_is_printed_is_parsed() {
        for (prefix, number) in [("PT", 1), ("PT-CN", 41), ("A1", 1_234_567)] {
            let text = printed(prefix, date(2026, 11, 28), number);
            assert_eq!(parse(&text), Some((prefix, 2026, number)), "{text}");
        }
        for text in
            ["", "PT", "PT-2026", "PT-2026-41", "PT-26-000041", "-2026-000041", "PT-2026-00004x", "PT-2026-+00041"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
