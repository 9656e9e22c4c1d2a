//! Periods: ranges of local dates, computed from their anchor.

use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};

crate::texts! {
    /// How often a subscription renews.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum Interval {
        /// Every month.
        Month = "month",
        /// Every year.
        Year = "year",
    }
}

/// A date or an instant is out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a date is out of range")]
pub struct OutOfRange;

impl From<jiff::Error> for OutOfRange {
    fn from(_: jiff::Error) -> Self {
        Self
    }
}

/// The local date on which a period starts: computed from the anchor, so that a day that one month lacks comes back in
/// the next.
///
/// # Errors
/// If it is out of range.
pub fn start(anchor: Date, interval: Interval, number: i64) -> Result<Date, OutOfRange> {
    let months = if interval == Interval::Month { number } else { number.checked_mul(12).ok_or(OutOfRange)? };
    Ok(anchor.checked_add(Span::new().try_months(months)?)?)
}

/// The first instant of a local date, also where midnight does not exist.
///
/// # Errors
/// If it is out of range.
pub fn first_instant(date: Date, zone: &TimeZone) -> Result<Timestamp, OutOfRange> {
    Ok(date.to_zoned(zone.clone())?.start_of_day()?.timestamp())
}

/// The local date of an instant.
pub fn local_date(at: Timestamp, zone: &TimeZone) -> Date {
    at.to_zoned(zone.clone()).date()
}

/// A period that is paid in advance: the local dates from `from` until `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first date.
    pub from: Date,
    /// The date after the last one.
    pub until: Date,
}

impl Period {
    /// The period with this number, from 0.
    ///
    /// # Errors
    /// If it is out of range.
    pub fn new(anchor: Date, interval: Interval, number: i64) -> Result<Self, OutOfRange> {
        Ok(Self { from: start(anchor, interval, number)?, until: start(anchor, interval, number + 1)? })
    }

    /// How many days it has.
    pub fn days(self) -> i64 {
        days_between(self.from, self.until)
    }

    /// How many days of it are before a date.
    pub fn offset(self, date: Date) -> i64 {
        days_between(self.from, date)
    }
}

fn days_between(from: Date, until: Date) -> i64 {
    from.duration_until(until).as_hours() / 24
}
