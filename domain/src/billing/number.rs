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

/// A number as it is printed, such as `PT-2026-000001`.
pub fn printed(prefix: &str, date: Date, number: u64) -> String {
    format!("{prefix}-{}-{number:06}", date.year())
}
