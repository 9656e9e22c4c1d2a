//! The months in which usage is counted, and when what was used in them is billed: with the next period, inside a period of a
//! year when the month ends.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::{Event, Existing, Period, Rejection, UsageRange, UsageToBill};
use crate::billing::{
    period::{self, Interval, OutOfRange},
    terms::Held,
};

/// The first border of usage months that are counted from an anchor after a date.
fn border_after(anchor: Date, date: Date) -> Result<Date, OutOfRange> {
    let months = i64::from(date.year() - anchor.year()) * 12 + i64::from(date.month() - anchor.month());
    let border = period::start(anchor, Interval::Month, months)?;
    if border > date { Ok(border) } else { period::start(anchor, Interval::Month, months + 1) }
}

/// The usage months between two dates, counted from an anchor. None if nothing beyond what is included is billed.
fn usage_months(held: &Held, anchor: Date, from: Date, until: Date) -> Vec<UsageToBill> {
    let (mut months, mut from) = (Vec::new(), from);
    if held.terms.offer.overage.is_empty() {
        return months;
    }
    while from < until {
        let Ok(border) = border_after(anchor, from) else { return months };
        let end = border.min(until);
        months.push(UsageToBill { from, until: end, held: held.clone() });
        from = end;
    }
    months
}

/// When the first usage month after a date ends, if its use is billed then: inside a period of a year.
pub(super) fn usage_end(
    held: &Held,
    anchor: Date,
    (date, until): (Date, Date),
    zone: &TimeZone,
) -> Result<Option<Timestamp>, Rejection> {
    if held.interval == Interval::Month || held.terms.offer.overage.is_empty() {
        return Ok(None);
    }
    let border = border_after(anchor, date).map_err(|_| Rejection::TooLarge)?;
    let is_inside = border < until;
    is_inside.then(|| period::first_instant(border, zone).map_err(|_| Rejection::TooLarge)).transpose()
}

impl Existing {
    pub(super) fn usage_month(&self, at: Timestamp) -> Result<UsageRange, OutOfRange> {
        let (zone, today) = (self.time_zone(), period::local_date(at, &self.time_zone()));
        let (anchor, end) = match self.usage_anchors {
            (anchor, Some(former)) if today < anchor => (former, Some(anchor)),
            (anchor, _) => (anchor, None),
        };
        let months = i64::from(today.year() - anchor.year()) * 12 + i64::from(today.month() - anchor.month());
        let start = |number| period::start(anchor, Interval::Month, number);
        let number = if start(months)? <= today { months } else { months - 1 };
        let (from, until) = (start(number)?, start(number + 1)?);
        let until = end.map_or(until, |end| until.min(end));
        Ok(UsageRange {
            from,
            until,
            starts_at: period::first_instant(from, &zone)?,
            ends_at: period::first_instant(until, &zone)?,
        })
    }

    pub(super) fn count_usage_from(&mut self, anchor: Date) {
        if self.usage_anchors.0 != anchor {
            self.usage_anchors = (anchor, Some(self.usage_anchors.0));
        }
    }

    /// From when on use is not billed yet, and when the usage month ends.
    pub(super) fn begin_usage(&mut self, unbilled_from: Option<Date>, ends_at: Option<Timestamp>) {
        (self.unbilled_from, self.usage_ends_at) = (unbilled_from, ends_at);
    }

    /// When the current usage month ends, if its use is billed then, after a change of terms on a date.
    pub(super) fn usage_end_after_change(
        &self,
        to: &Held,
        on: Date,
        new_period: Option<&Period>,
    ) -> Result<Option<Timestamp>, Rejection> {
        match (new_period, &self.period) {
            (Some(new), _) => usage_end(to, new.from, (new.from, new.until), &self.time_zone()),
            (None, Some(period)) => {
                let end = usage_end(to, self.usage_anchors.0, (on, period.until), &self.time_zone())?;
                // One that is over already is billed first.
                Ok(end.map(|end| self.usage_ends_at.map_or(end, |known| known.min(end))))
            }
            (None, None) => Ok(None),
        }
    }

    /// From which date on use is not billed yet, after a change of terms inside a period: what was used before costs nothing
    /// if nothing beyond what was included was billed then.
    pub(super) fn unbilled_from_after(&self, on: Date) -> Option<Date> {
        let had_overage = self.held.as_ref().is_some_and(|held| !held.terms.offer.overage.is_empty());
        if had_overage {
            return self.unbilled_from;
        }
        let first = self.period.map_or(on, |period| period.from);
        let mut from = first;
        while let Ok(border) = border_after(self.usage_anchors.0, from) {
            if border > on {
                break;
            }
            from = border;
        }
        (from != first).then_some(from)
    }

    /// A usage month inside a period of a year is over, if it was by then.
    pub(super) fn usage_month_over(&self, due: Timestamp) -> Result<Option<Event>, Rejection> {
        let (Some(ended_at), Some(held), Some(period)) = (self.usage_ends_at, &self.held, &self.period) else {
            return Ok(None);
        };
        let later = [self.scheduled.as_ref().map(|it| it.at), self.cancellation.map(|(_, at)| at)];
        if ended_at > due || later.into_iter().flatten().any(|at| at < ended_at) {
            return Ok(None);
        }
        let from = self.unbilled_from.unwrap_or(period.from);
        let until = period::local_date(ended_at, &self.time_zone());
        let usage_ends_at = usage_end(held, self.usage_anchors.0, (until, period.until), &self.time_zone())?;
        Ok(Some(Event::UsageMonthEnded { from, until, ended_at, usage_ends_at }))
    }

    /// The usage months that an event ends, before it is applied.
    pub(super) fn usage_ended_by(&mut self, event: &Event) -> Vec<UsageToBill> {
        let Some(period) = self.period else { return Vec::new() };
        let (held, until) = match event {
            Event::Renewed { .. } => (self.former_held.take().or_else(|| self.held.clone()), period.until),
            Event::Ended { on, .. } => (self.former_held.take().or_else(|| self.held.clone()), *on),
            Event::UsageMonthEnded { until, .. } => (self.held.clone(), *until),
            Event::TermsChanged { from, effective, period: next, .. } => {
                self.former_held = (period.until == *effective).then(|| from.clone());
                // Another interval begins another usage month: the one that it cuts short is billed.
                (next.is_some().then(|| from.clone()), *effective)
            }
            Event::TrialStarted { .. }
            | Event::TrialExtended { .. }
            | Event::PlanChosen { .. }
            | Event::Activated { .. }
            | Event::ChangeRequested { .. }
            | Event::ChangeAbandoned { .. }
            | Event::ChangeScheduled { .. }
            | Event::ChangeWithdrawn {}
            | Event::CancellationScheduled { .. }
            | Event::CancellationWithdrawn {}
            | Event::DiscountAdded { .. }
            | Event::DiscountRemoved { .. }
            | Event::ZoneChangeScheduled { .. }
            | Event::Reminded { .. }
            | Event::Billed { .. }
            | Event::BecamePastDue { .. }
            | Event::PastDueInvoicePaid { .. }
            | Event::Recovered { .. }
            | Event::BecameReadOnly { .. } => (None, period.until),
        };
        let from = self.unbilled_from.unwrap_or(period.from);
        held.map(|held| usage_months(&held, self.usage_anchors.0, from, until)).unwrap_or_default()
    }
}
