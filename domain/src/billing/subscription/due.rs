//! What becomes due for a subscription: reminders, the end of a trial, renewals, scheduled changes.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::{
    AbandonReason, Cause, EndReason, Event, Existing, Period, ReadOnlyReason, Rejection, Reminder, Status,
    existing::zone_named, unbilled::BILL_AFTER, usage::usage_end,
};
use crate::billing::{
    period::{self, Interval},
    schedule::{self, What},
    terms::{Held, Terms},
};

/// What becomes due for a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// To remind of something.
    Reminder,
    /// The end of the trial.
    TrialEnd,
    /// The end of being read-only.
    ReadOnlyEnd,
    /// The end of a period.
    Renewal,
    /// The end of a usage month inside a period of a year.
    UsageMonthEnd,
    /// A scheduled change or cancellation inside a period.
    ScheduledChange,
    /// The end of the wait for a payment.
    ChangeExpiry,
    /// What is not billed yet.
    Billing,
}

/// What an event sets (with its time) or clears; `now` is the time of the event.
pub fn timers(event: &Event, now: Timestamp) -> Vec<(Due, Option<Timestamp>)> {
    use Due::{Billing, ChangeExpiry, ReadOnlyEnd, Reminder, Renewal, ScheduledChange, TrialEnd, UsageMonthEnd};
    match event {
        Event::TrialStarted { ends_at, remind_at, .. } | Event::TrialExtended { ends_at, remind_at, .. } => {
            vec![(TrialEnd, Some(*ends_at)), (Reminder, *remind_at)]
        }
        Event::Activated { period, remind_at, usage_ends_at, change, .. } => {
            let cleared = [TrialEnd, ReadOnlyEnd, ScheduledChange, ChangeExpiry].map(|due| (due, None));
            let bill_at = if change.is_some() { now } else { period.starts_at + BILL_AFTER };
            let set = [(Renewal, Some(period.ends_at)), (Reminder, *remind_at), (Billing, Some(bill_at))];
            cleared.into_iter().chain(set).chain([(UsageMonthEnd, *usage_ends_at)]).collect()
        }
        Event::Renewed { period, remind_at, usage_ends_at, .. } => {
            let bill_at = period.starts_at + BILL_AFTER;
            let set = [(Renewal, Some(period.ends_at)), (Reminder, *remind_at), (Billing, Some(bill_at))];
            set.into_iter().chain([(UsageMonthEnd, *usage_ends_at)]).collect()
        }
        Event::UsageMonthEnded { ended_at, usage_ends_at, .. } => {
            vec![(UsageMonthEnd, *usage_ends_at), (Billing, Some(*ended_at + BILL_AFTER))]
        }
        Event::TermsChanged { period, remind_at, usage_ends_at, change, lines, .. } => {
            let mut all = vec![(ScheduledChange, None), (UsageMonthEnd, *usage_ends_at)];
            all.extend((!lines.is_empty()).then_some((Billing, Some(now))));
            all.extend(change.map(|_| (ChangeExpiry, None)));
            if let Some(period) = period {
                all.extend([(Renewal, Some(period.ends_at)), (Reminder, *remind_at)]);
            }
            all
        }
        Event::ChangeRequested { expires_at, .. } => vec![(ChangeExpiry, Some(*expires_at))],
        Event::ChangeAbandoned { .. } => vec![(ChangeExpiry, None)],
        Event::ChangeScheduled { at, .. } | Event::CancellationScheduled { at, .. } => {
            vec![(ScheduledChange, Some(*at))]
        }
        Event::ChangeWithdrawn {} | Event::CancellationWithdrawn {} => vec![(ScheduledChange, None)],
        Event::Reminded { remind_at, .. } => vec![(Reminder, *remind_at)],
        Event::BecameReadOnly { why: ReadOnlyReason::TrialOver, ends_at } => {
            vec![(TrialEnd, None), (Reminder, None), (ReadOnlyEnd, Some(*ends_at))]
        }
        // What is not paid ends it; until then, nothing is renewed.
        Event::BecameReadOnly { why: ReadOnlyReason::Unpaid, .. } => {
            [Reminder, Renewal, ScheduledChange].map(|due| (due, None)).to_vec()
        }
        Event::Recovered { renew_at } => renew_at.iter().map(|at| (Renewal, Some(*at))).collect(),
        Event::Billed { next_at, .. } => vec![(Billing, *next_at)],
        Event::Ended { lines, has_usage, .. } => {
            let all = [Reminder, TrialEnd, ReadOnlyEnd, Renewal, UsageMonthEnd, ScheduledChange, ChangeExpiry];
            let all = all.map(|due| (due, None));
            let bill = (!lines.is_empty() || *has_usage).then_some((Billing, Some(now)));
            all.into_iter().chain(bill).collect()
        }
        Event::BecamePastDue { .. }
        | Event::PastDueInvoicePaid { .. }
        | Event::PlanChosen { .. }
        | Event::DiscountAdded { .. }
        | Event::DiscountRemoved { .. }
        | Event::ZoneChangeScheduled { .. } => Vec::new(),
    }
}

fn out_of_range(_: period::OutOfRange) -> Rejection {
    Rejection::TooLarge
}

pub(super) fn start_trial(
    terms: &Terms,
    zone: &str,
    created_at: Timestamp,
    trial_ends_at: Timestamp,
) -> Result<Event, Rejection> {
    let time_zone = zone_named(zone);
    let (trial_until, due) = schedule::trial(trial_ends_at, &time_zone).map_err(out_of_range)?;
    Ok(Event::TrialStarted {
        terms: Box::new(terms.clone()),
        zone: zone.to_owned(),
        from: period::local_date(created_at, &time_zone),
        trial_ends_at,
        trial_until,
        ends_at: first_instant(trial_until, &time_zone)?,
        remind_at: first_after(&due, What::Remind, created_at),
    })
}

fn first_instant(date: Date, zone: &TimeZone) -> Result<Timestamp, Rejection> {
    period::first_instant(date, zone).map_err(out_of_range)
}

fn first_after(due: &[schedule::Due], what: What, now: Timestamp) -> Option<Timestamp> {
    due.iter().filter(|it| it.what == what).filter_map(|it| it.at).filter(|at| *at > now).min()
}

impl Existing {
    pub(super) fn extended_trial(&self, until: Date, reason: &str, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        if self.status != Status::Trialing {
            return Err(Rejection::NoTrial);
        }
        if until == self.trial.until {
            return Ok(vec![]);
        }
        let (zone, today) = (self.time_zone(), period::local_date(now, &self.time_zone()));
        if until <= today || until > today.saturating_add(jiff::Span::new().days(366)) {
            return Err(Rejection::Date("must be from tomorrow until a year from now"));
        }
        let ends_at = first_instant(until, &zone)?;
        let remind_at = self.next_trial_reminder(ends_at, now)?;
        Ok(vec![Event::TrialExtended {
            from: self.trial.until,
            to: until,
            ends_at,
            remind_at,
            reason: reason.to_owned(),
        }])
    }

    fn next_trial_reminder(&self, ends_at: Timestamp, now: Timestamp) -> Result<Option<Timestamp>, Rejection> {
        let (_, due) = schedule::trial(ends_at, &self.time_zone()).map_err(out_of_range)?;
        Ok(first_after(&due, What::Remind, now))
    }

    /// When to remind of the renewal of a period next.
    pub(super) fn next_renewal_reminder(
        &self,
        period: &Period,
        interval: Interval,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Rejection> {
        let due = schedule::renewal(period.until, interval, &self.time_zone()).map_err(out_of_range)?;
        Ok(first_after(&due, What::RemindRenewal, now))
    }

    /// The dates of the period from a date, computed from the anchor.
    pub(in crate::billing) fn dates_from(
        &self,
        anchor: Date,
        interval: Interval,
        from: Date,
    ) -> Result<Period, Rejection> {
        let months = i64::from(from.year() - anchor.year()) * 12 + i64::from(from.month() - anchor.month());
        let number = match interval {
            Interval::Month => months,
            Interval::Year => months / 12,
        };
        let dates = period::Period::new(anchor, interval, number).map_err(out_of_range)?;
        // A year that begins between two anniversaries, because months came before, has its own.
        let until =
            if dates.from == from { dates.until } else { period::start(from, interval, 1).map_err(out_of_range)? };
        let zone = self.next_zone.as_deref().map_or_else(|| self.time_zone(), zone_named);
        let starts_at = match &self.period {
            Some(period) if period.until == from => period.ends_at,
            _ => first_instant(from, &zone)?,
        };
        Ok(Period { from, until, starts_at, ends_at: first_instant(until, &zone)? })
    }

    /// A period that begins on a date, which is its anchor.
    pub(in crate::billing) fn new_period(&self, from: Date, interval: Interval) -> Result<Period, Rejection> {
        let (zone, until) = (self.time_zone(), period::start(from, interval, 1).map_err(out_of_range)?);
        Ok(Period { from, until, starts_at: first_instant(from, &zone)?, ends_at: first_instant(until, &zone)? })
    }

    /// What was due at a time, one after the other: the events of the earliest.
    pub(super) fn reach(&self, due: Timestamp, can_pay: bool, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= due);
        // The lines of a change are about the period in which it was asked for: what is paid later is paid back.
        let is_over = self.status == Status::Active && self.period.is_some_and(|period| period.ends_at <= due);
        if let Some(in_flight) = self.in_flight.as_ref().filter(|it| is_over || it.expires_at <= due) {
            return Ok(vec![Event::ChangeAbandoned { change: in_flight.change, why: AbandonReason::TooLate }]);
        }
        let subject_at = match (self.status, &self.period) {
            (Status::Active, Some(period)) => period.ends_at,
            _ => self.trial.ends_at,
        };
        if is_due(self.remind_at) && due < subject_at {
            return self.reminded(now).map(|event| vec![event]);
        }
        if let Some(event) = self.usage_month_over(due)? {
            return Ok(vec![event]);
        }
        match (self.status, &self.held, &self.period) {
            (Status::Trialing, ..) if self.trial.ends_at <= due => self.trial_over(can_pay, now),
            (Status::ReadOnly, ..) if is_due(self.read_only_ends_at) => {
                let on = period::local_date(due, &self.time_zone());
                Ok(vec![self.ended(EndReason::TrialOver, on, Vec::new())])
            }
            (Status::Active, Some(held), Some(period)) if period.ends_at <= due => self.renewed(held, period, now),
            (Status::Active, Some(held), Some(period)) => self.inside_period(held, period, due),
            _ => Ok(vec![]),
        }
    }

    fn reminded(&self, now: Timestamp) -> Result<Event, Rejection> {
        let plan =
            self.held.as_ref().or(self.chosen.as_ref()).map_or(&self.trial.terms, |held| &held.terms).name.clone();
        match (self.status, &self.held, &self.period) {
            (Status::Active, Some(held), Some(period)) => Ok(Event::Reminded {
                about: Reminder::Renewal,
                date: period.until,
                plan,
                remind_at: self.next_renewal_reminder(period, held.interval, now)?,
            }),
            _ => Ok(Event::Reminded {
                about: Reminder::TrialEnds,
                date: self.trial.until,
                plan,
                remind_at: self.next_trial_reminder(self.trial.ends_at, now)?,
            }),
        }
    }

    fn trial_over(&self, can_pay: bool, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        match &self.chosen {
            Some(held) if can_pay || held.is_free() => Ok(vec![self.activated(held, self.trial.until, None, now)?]),
            Some(_) | None => {
                let (_, due) = schedule::trial(self.trial.ends_at, &self.time_zone()).map_err(out_of_range)?;
                let ends_at = first_after(&due, What::EndWithoutPlan, Timestamp::MIN).ok_or(Rejection::TooLarge)?;
                Ok(vec![Event::BecameReadOnly { why: ReadOnlyReason::TrialOver, ends_at }])
            }
        }
    }

    /// The first period of terms begins on a date.
    pub(super) fn activated(
        &self,
        held: &Held,
        anchor: Date,
        change: Option<super::ChangeId>,
        now: Timestamp,
    ) -> Result<Event, Rejection> {
        let zone = self.next_zone.clone().unwrap_or_else(|| self.zone.clone());
        let period = self.new_period(anchor, held.interval)?;
        let usage_ends_at = usage_end(held, anchor, (anchor, period.until), &zone_named(&zone))?;
        Ok(Event::Activated {
            held: held.clone(),
            anchor,
            zone,
            period,
            discounts: self.discounts_left(held),
            remind_at: self.next_renewal_reminder(&period, held.interval, now)?,
            usage_ends_at,
            change,
        })
    }

    /// A period is over: what is scheduled takes effect, and the next one begins.
    fn renewed(&self, held: &Held, period: &Period, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        if self.cancellation.is_some_and(|(effective, _)| effective <= period.until) {
            return Ok(vec![self.ended(EndReason::Canceled, period.until, Vec::new())]);
        }
        let (mut events, mut next) = (Vec::new(), held);
        if let Some(scheduled) = self.scheduled.as_ref().filter(|it| it.effective <= period.until) {
            next = &scheduled.to;
            events.push(terms_changed(period.until, (held, next), scheduled.cause, Vec::new(), None));
        }
        let renewal = self.period_of(next, period.until)?;
        let anchor = self.anchor.unwrap_or(period.from);
        let period = self.dates_from(anchor, next.interval, renewal.on)?;
        let zone = zone_named(self.next_zone.as_ref().unwrap_or(&self.zone));
        let usage_ends_at = usage_end(next, self.usage_anchors.0, (period.from, period.until), &zone)?;
        events.push(Event::Renewed {
            period,
            discounts: self.discounts_left(next),
            zone: self.next_zone.clone(),
            remind_at: self.next_renewal_reminder(&period, next.interval, now)?,
            usage_ends_at,
        });
        Ok(events)
    }

    /// What is scheduled inside a period.
    fn inside_period(&self, held: &Held, period: &Period, due: Timestamp) -> Result<Vec<Event>, Rejection> {
        use crate::billing::quote::{Change, Used, quote};
        let is_due = |effective: Date, at: Timestamp| at <= due && effective < period.until;
        if let Some((effective, at)) = self.cancellation.filter(|(effective, at)| is_due(*effective, *at)) {
            let day_before = at - jiff::SignedDuration::from_secs(1);
            let credit = quote(self, &Change::Cancel(Some(effective)), day_before, Used::default())?;
            return Ok(vec![self.ended(EndReason::Canceled, effective, credit.lines())]);
        }
        let Some(scheduled) = self.scheduled.as_ref().filter(|it| is_due(it.effective, it.at)) else {
            return Ok(vec![]);
        };
        let day_before = scheduled.at - jiff::SignedDuration::from_secs(1);
        let change = Change::To(scheduled.to.clone(), Some(scheduled.effective));
        let quote = quote(self, &change, day_before, Used::default())?;
        let usage_ends_at = self.usage_end_after_change(&scheduled.to, scheduled.effective, None)?;
        let (between, cause) = ((held, &scheduled.to), scheduled.cause);
        Ok(vec![terms_changed(scheduled.effective, between, cause, quote.lines(), usage_ends_at)])
    }

    pub(super) fn ended(&self, why: EndReason, on: Date, lines: Vec<crate::billing::quote::Line>) -> Event {
        let held = self.held.as_ref();
        // Of what was paid late, the use before is billed.
        let is_billed = self.period.is_some() && (self.status == Status::Active || why == EndReason::Canceled);
        let has_usage = is_billed && held.is_some_and(|held| !held.terms.offer.overage.is_empty());
        Event::Ended {
            why,
            on,
            lines,
            has_usage,
            currency: held.map(|it| it.currency),
            interval: held.map(|it| it.interval),
        }
    }
}

fn terms_changed(
    effective: Date,
    (from, to): (&Held, &Held),
    cause: Cause,
    lines: Vec<crate::billing::quote::Line>,
    usage_ends_at: Option<Timestamp>,
) -> Event {
    let (from, to) = (from.clone(), to.clone());
    let (period, remind_at, change) = (None, None, None);
    Event::TermsChanged { effective, from, to, cause, lines, period, remind_at, usage_ends_at, change }
}
