//! When things become due: reminders and charges at 09:00 local, changes of state at the first instant of a date.

use jiff::{SignedDuration, Span, Timestamp, ToSpan, civil::Date, tz::TimeZone};

use super::period::{Interval, OutOfRange, first_instant, local_date};

/// What becomes due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A charge; the first one is made on issue.
    Charge {
        /// 1, 2, …
        attempt: u32,
    },
    /// A reminder of an unpaid invoice, or of the end of a trial.
    Remind,
    /// A reminder of a renewal.
    RemindRenewal,
    /// The organization becomes read-only.
    BecomeReadOnly,
    /// The subscription ends unpaid.
    EndUnpaid,
    /// The trial ends.
    EndTrial,
    /// The subscription ends, because no plan was chosen.
    EndWithoutPlan,
    /// The next period is opened.
    Renew,
    /// The next period is billed.
    Bill,
}

/// Something that becomes due; at `None`, at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// What.
    pub what: What,
    /// When.
    pub at: Option<Timestamp>,
}

/// The days after the issue on which a charge is repeated.
const CHARGES: [i32; 4] = [1, 3, 7, 14];
/// The days before and after the due date of reminders.
const REMINDERS: [i32; 5] = [-3, 1, 8, 15, 22];
/// The days before the end of a trial of reminders.
const TRIAL_REMINDERS: [i32; 3] = [7, 3, 1];
/// The days before the renewal of a year of reminders.
const RENEWAL_REMINDERS: [i32; 2] = [30, 7];
/// How long a trial lasts.
pub const TRIAL: SignedDuration = SignedDuration::from_hours(14 * 24);
/// How long after the renewal the period is billed.
const BILL_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// Charges of an invoice that is collected automatically.
///
/// # Errors
/// If a date is out of range.
pub fn automatic_collection(issued: Date, zone: &TimeZone) -> Result<Vec<Due>, OutOfRange> {
    let mut all = vec![Due { what: What::Charge { attempt: 1 }, at: None }];
    for (attempt, days) in (2..).zip(CHARGES) {
        all.push(in_the_morning(What::Charge { attempt }, issued, days, zone)?);
    }
    all.push(at_the_beginning(What::BecomeReadOnly, issued, 15, zone)?);
    all.push(at_the_beginning(What::EndUnpaid, issued, 45, zone)?);
    Ok(all)
}

/// The due date and reminders of an invoice that is paid within some days.
///
/// # Errors
/// If a date is out of range.
pub fn invoice_billing(issued: Date, days: i32, zone: &TimeZone) -> Result<(Date, Vec<Due>), OutOfRange> {
    let due = issued.checked_add(span(days)?)?;
    let mut all = Vec::new();
    for days in REMINDERS {
        all.push(in_the_morning(What::Remind, due, days, zone)?);
    }
    all.push(at_the_beginning(What::BecomeReadOnly, due, 30, zone)?);
    all.push(at_the_beginning(What::EndUnpaid, due, 60, zone)?);
    Ok((due, all))
}

/// The end of a trial: its instant, the first local date that starts at or after it, and what is due.
///
/// # Errors
/// If a date is out of range.
pub fn trial(ends_at: Timestamp, zone: &TimeZone) -> Result<(Date, Vec<Due>), OutOfRange> {
    let date = local_date(ends_at, zone);
    let until = if first_instant(date, zone)? >= ends_at { date } else { date.tomorrow()? };
    let mut all = Vec::new();
    for days in TRIAL_REMINDERS {
        all.push(in_the_morning(What::Remind, until, -days, zone)?);
    }
    all.push(at_the_beginning(What::EndTrial, until, 0, zone)?);
    all.push(at_the_beginning(What::EndWithoutPlan, until, 30, zone)?);
    Ok((until, all))
}

/// The renewal at the end of a period.
///
/// # Errors
/// If a date is out of range.
pub fn renewal(period_end: Date, interval: Interval, zone: &TimeZone) -> Result<Vec<Due>, OutOfRange> {
    let mut all = Vec::new();
    if interval == Interval::Year {
        for days in RENEWAL_REMINDERS {
            all.push(in_the_morning(What::RemindRenewal, period_end, -days, zone)?);
        }
    }
    let renewed_at = first_instant(period_end, zone)?;
    all.push(Due { what: What::Renew, at: Some(renewed_at) });
    all.push(Due { what: What::Bill, at: Some(renewed_at.checked_add(BILL_AFTER)?) });
    Ok(all)
}

fn span(days: i32) -> Result<Span, OutOfRange> {
    Ok(Span::new().try_days(days)?)
}

fn in_the_morning(what: What, date: Date, days: i32, zone: &TimeZone) -> Result<Due, OutOfRange> {
    let morning = date.checked_add(span(days)?)?.at(9, 0, 0, 0).to_zoned(zone.clone())?;
    Ok(Due { what, at: Some(morning.timestamp()) })
}

fn at_the_beginning(what: What, date: Date, days: i32, zone: &TimeZone) -> Result<Due, OutOfRange> {
    Ok(Due { what, at: Some(first_instant(date.checked_add(days.days())?, zone)?) })
}
