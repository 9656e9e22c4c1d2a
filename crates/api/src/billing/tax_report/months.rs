//! Months and ranges of months, as they are asked for.

use std::fmt;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use porttask_domain::billing::Seller;

use crate::{billing::months::month_of, http::problem::Problem};

/// The most months of a report.
const MOST: i32 = 24;

/// A calendar month: months since the year 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Month(i32);

impl Month {
    fn new(year: i16, month: i8) -> Self {
        Self(i32::from(year) * 12 + i32::from(month) - 1)
    }

    /// That of a date.
    pub(super) fn of_date(date: Date) -> Self {
        Self::new(date.year(), date.month())
    }

    /// Its year.
    pub(super) fn year(self) -> i16 {
        i16::try_from(self.0 / 12).unwrap_or_default()
    }

    /// The number of its quarter, 1 to 4.
    pub(super) fn quarter(self) -> i32 {
        self.0 % 12 / 3 + 1
    }

    /// Whether a quarter begins with it.
    pub(super) fn begins_quarter(self) -> bool {
        self.0 % 3 == 0
    }

    /// The first month of the next quarter.
    fn next_quarter(self) -> Self {
        Self(self.0 - self.0 % 3 + 3)
    }

    fn of(name: &str, text: &str) -> Result<Self, Problem> {
        month_of(name, text).map(Self::of_date)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0 / 12, self.0 % 12 + 1)
    }
}

/// Months from one on and before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    /// The first month.
    pub(super) from: Month,
    /// The month after the last one.
    pub(super) until: Month,
}

impl Range {
    /// The range that is asked for; by default this year until now, in the time zone of the seller.
    ///
    /// # Errors
    /// If a month is not valid, or the range is empty or too long.
    pub(super) fn of(
        from: Option<&str>,
        until: Option<&str>,
        (now, seller): (Timestamp, &Seller),
    ) -> Result<Self, Problem> {
        let today = now.to_zoned(seller.zone().unwrap_or(TimeZone::UTC)).date();
        let asked = |name, text: Option<&str>| text.map(|text| Month::of(name, text)).transpose();
        let (asked_from, asked_until) = (asked("from", from)?, asked("until", until)?);
        let next = Month(Month::of_date(today).0 + 1);
        let from = asked_from.unwrap_or_else(|| match asked_until {
            Some(until) => Month::new(Month(until.0 - 1).year(), 1),
            None => Month::new(today.year(), 1),
        });
        let until = asked_until.unwrap_or_else(|| next.max(Month(from.0 + 1)).min(Month(from.0 + MOST)));
        if until <= from {
            return Err(Problem::invalid("until", format!("must be after `from`, {from}")));
        }
        if until.0 - from.0 > MOST {
            return Err(Problem::invalid("until", format!("must be at most {MOST} months after `from`")));
        }
        Ok(Self { from, until })
    }

    /// The months of a year.
    pub(super) fn of_year(year: i16) -> Self {
        let from = Month::new(year, 1);
        Self { from, until: Month(from.0 + 12) }
    }

    /// The last month.
    pub(super) fn last(self) -> Month {
        Month(self.until.0 - 1)
    }

    /// The range in whole quarters: what was asked for has to be, and the rest is extended.
    ///
    /// # Errors
    /// If it begins or ends within a quarter.
    pub(super) fn in_quarters(self, is_until_asked: bool) -> Result<Self, Problem> {
        let until = match self.until.begins_quarter() || is_until_asked {
            true => self.until,
            false => self.until.next_quarter(),
        };
        for (name, month) in [("from", self.from), ("until", until)] {
            if !month.begins_quarter() {
                let detail = "must be the first month of a quarter: January, April, July or October";
                return Err(Problem::invalid(name, detail));
            }
        }
        Ok(Self { until, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: Option<&str>, until: Option<&str>) -> Result<String, String> {
        let now = "2026-11-28T09:00:00Z".parse().unwrap();
        let found = Range::of(from, until, (now, &Seller::default()));
        found.map(|range| format!("{} {}", range.from, range.until)).map_err(|problem| format!("{problem:?}"))
    }

    #[test]
    fn a_range_has_defaults_and_limits() {
        assert_eq!(range(None, None).unwrap(), "2026-01 2026-12");
        assert_eq!(range(Some("2026-12"), None).unwrap(), "2026-12 2027-01");
        assert_eq!(range(Some("2020-05"), None).unwrap(), "2020-05 2022-05");
        assert_eq!(range(None, Some("2025-01")).unwrap(), "2024-01 2025-01");
        assert_eq!(range(Some("2025-01"), Some("2027-01")).unwrap(), "2025-01 2027-01");
        for (from, until) in [("2025-01", "2027-02"), ("2026-02", "2026-02"), ("2026-13", "2027-01"), ("26-1", "x")] {
            assert!(range(Some(from), Some(until)).is_err(), "{from} {until}");
        }
    }

    #[test]
    fn quarters_are_whole() {
        let month = |text: &str| Month::of("month", text).unwrap();
        let range = Range { from: month("2026-01"), until: month("2026-12") };
        let in_quarters = range.in_quarters(false).map(|range| range.until);
        assert_eq!(in_quarters.ok(), Some(month("2027-01")));
        assert!(range.in_quarters(true).is_err());
        assert!(Range { from: month("2026-02"), ..range }.in_quarters(false).is_err());
        assert_eq!((month("2026-12").quarter(), month("2026-12").year()), (4, 2026));
    }
}
