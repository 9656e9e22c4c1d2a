//! How an existing subscription handles commands and events.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::Date,
    tz::{TimeZone, TimeZoneDatabase},
};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{
    BilledMonth, Cause, ChangeId, ChangeTerms, Command, Event, Period, QuotedChange, ReadOnlyReason, Rejection, Status,
    Unbilled,
};
use crate::billing::{
    Currency,
    billing_document::InvoiceId,
    coupon::{CouponId, DiscountId, DiscountTerms, Off},
    period,
    quote::{self, Action, Change, Used},
    terms::{Held, Terms},
};

/// How long a change waits for its payment.
const PAYMENT_TIME: SignedDuration = SignedDuration::from_hours(1);
/// How many days before the migration to a dearer version notice is given.
const NOTICE_DAYS: i32 = 30;

/// The trial of a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::billing) struct Trial {
    pub(in crate::billing) terms: Terms,
    pub(in crate::billing) until: Date,
    pub(in crate::billing) ends_at: Timestamp,
}

/// A change that takes effect later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduled {
    /// The first date of the new terms.
    pub effective: Date,
    /// When that date begins.
    pub at: Timestamp,
    /// The new terms.
    pub to: Held,
    /// Why.
    pub cause: Cause,
}

/// A discount of a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldDiscount {
    /// What it takes off.
    pub terms: DiscountTerms,
    /// When it was redeemed.
    pub redeemed_at: Timestamp,
    /// The periods that are left after the current one; `None` means always.
    pub periods_left: Option<u32>,
}

impl HeldDiscount {
    /// Whether it applies to terms.
    pub fn applies_to(&self, held: &Held) -> bool {
        let is_in_currency = match &self.terms.off {
            Off::Percent(_) => true,
            Off::Amount { currency, .. } => *currency == held.currency,
        };
        is_in_currency && (self.terms.plans.is_empty() || self.terms.plans.contains(&held.terms.plan))
    }
}

/// A change that waits for its payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::billing) struct InFlight {
    pub(in crate::billing) change: ChangeId,
    pub(in crate::billing) to: Held,
    pub(in crate::billing) effective: Date,
    pub(in crate::billing) quote: QuotedChange,
    pub(in crate::billing) expires_at: Timestamp,
}

/// The state of a subscription that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::billing) struct Existing {
    pub(in crate::billing) status: Status,
    /// The first date of its trial.
    pub(in crate::billing) started_on: Date,
    pub(in crate::billing) zone: String,
    pub(in crate::billing) next_zone: Option<String>,
    pub(in crate::billing) trial: Trial,
    pub(in crate::billing) held: Option<Held>,
    pub(in crate::billing) chosen: Option<Held>,
    pub(in crate::billing) anchor: Option<Date>,
    pub(in crate::billing) period: Option<Period>,
    pub(in crate::billing) scheduled: Option<Scheduled>,
    pub(in crate::billing) cancellation: Option<(Date, Timestamp)>,
    pub(in crate::billing) discounts: BTreeMap<DiscountId, HeldDiscount>,
    pub(in crate::billing) period_discounts: Vec<DiscountId>,
    pub(in crate::billing) in_flight: Option<InFlight>,
    /// The coupons that were redeemed, also of discounts that are over.
    redeemed: BTreeSet<CouponId>,
    /// The last change that was paid for.
    finished: Option<ChangeId>,
    pub(in crate::billing) remind_at: Option<Timestamp>,
    pub(in crate::billing) read_only_ends_at: Option<Timestamp>,
    /// The date from which usage months are counted, and the one before it.
    pub(super) usage_anchors: (Date, Option<Date>),
    /// When the usage month ends whose use is billed then, inside a period of a year.
    pub(super) usage_ends_at: Option<Timestamp>,
    /// The first date of the current period whose use is not billed yet, if it is not the first one.
    pub(super) unbilled_from: Option<Date>,
    /// What was held in a period that a change of terms ends.
    pub(super) former_held: Option<Held>,
    /// How many events there were.
    pub(super) version: u64,
    /// What is not billed yet, the oldest first.
    pub(super) unbilled: Vec<Unbilled>,
    /// The usage months that were billed, the oldest first.
    #[serde(default)]
    pub(super) billed_months: Vec<BilledMonth>,
    /// The invoices of changes that were paid for, the oldest first.
    #[serde(default)]
    pub(super) paid_changes: Vec<(ChangeId, InvoiceId)>,
    /// The invoices of the current period, the oldest first.
    pub(super) period_invoices: Vec<InvoiceId>,
    /// The invoices that are past due, in the order in which they became so.
    pub(super) past_due: Vec<InvoiceId>,
    /// The rate in percent of the tax that its prices included last.
    pub(super) included_tax: Option<Decimal>,
}

/// A time zone by its name, of the bundled database.
pub(super) fn zone_named(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).unwrap_or(TimeZone::UTC)
}

impl Existing {
    pub(super) fn of(event: &Event) -> Option<Self> {
        let Event::TrialStarted { terms, zone, from, trial_until, ends_at, remind_at, .. } = event else { return None };
        Some(Self {
            status: Status::Trialing,
            started_on: *from,
            zone: zone.clone(),
            next_zone: None,
            trial: Trial { terms: (**terms).clone(), until: *trial_until, ends_at: *ends_at },
            held: None,
            chosen: None,
            anchor: None,
            period: None,
            scheduled: None,
            cancellation: None,
            discounts: BTreeMap::new(),
            period_discounts: Vec::new(),
            in_flight: None,
            redeemed: BTreeSet::new(),
            finished: None,
            remind_at: *remind_at,
            read_only_ends_at: None,
            usage_anchors: (*from, None),
            usage_ends_at: None,
            unbilled_from: None,
            former_held: None,
            version: 1,
            unbilled: Vec::new(),
            billed_months: Vec::new(),
            paid_changes: Vec::new(),
            period_invoices: Vec::new(),
            past_due: Vec::new(),
            included_tax: None,
        })
    }

    pub(in crate::billing) fn time_zone(&self) -> TimeZone {
        zone_named(&self.zone)
    }

    /// The currency, while something is paid in it.
    pub(in crate::billing) fn currency(&self) -> Option<Currency> {
        self.held.as_ref().filter(|_| self.status == Status::Active).map(|held| held.currency)
    }

    /// The discounts that apply to terms in the next period.
    pub(in crate::billing) fn discounts_left(&self, held: &Held) -> Vec<DiscountId> {
        self.discounts_after(held, 0)
    }

    /// The discounts that apply to terms after some more periods.
    pub(in crate::billing) fn discounts_after(&self, held: &Held, periods: u32) -> Vec<DiscountId> {
        let is_left = |it: &HeldDiscount| it.periods_left.is_none_or(|left| left > periods) && it.applies_to(held);
        self.discounts.iter().filter(|(_, it)| is_left(it)).map(|(id, _)| *id).collect()
    }

    pub(super) fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::StartTrial { .. } => Ok(vec![]),
            Command::ExtendTrial { until, reason, now } => self.extended_trial(*until, reason.as_str(), *now),
            Command::Change(change) => self.change(change),
            Command::FinishChange { change, now } => self.finish(*change, *now),
            Command::AbandonChange { change, why } => Ok(match &self.in_flight {
                Some(in_flight) if in_flight.change == *change => {
                    vec![Event::ChangeAbandoned { change: *change, why: *why }]
                }
                _ => vec![],
            }),
            Command::WithdrawChange if self.is_migrating() => Err(Rejection::MigrationScheduled),
            Command::WithdrawChange if self.scheduled.is_some() || self.chosen.is_some() => {
                Ok(vec![Event::ChangeWithdrawn {}])
            }
            Command::WithdrawChange => Ok(vec![]),
            Command::Cancel { on, reason, now } => {
                let quote = quote::quote(self, &Change::Cancel(*on), *now, Used::default())?;
                if self.cancellation.is_some_and(|(effective, _)| effective == quote.effective) {
                    return Ok(vec![]);
                }
                let at = self.begins(quote.effective)?;
                let reason = reason.as_ref().map(|reason| reason.as_str().to_owned());
                Ok(vec![Event::CancellationScheduled { effective: quote.effective, at, reason }])
            }
            Command::Resume if self.cancellation.is_some() => Ok(vec![Event::CancellationWithdrawn {}]),
            Command::Resume => Ok(vec![]),
            Command::AddDiscount { discount, .. } if self.discounts.contains_key(discount) => Ok(vec![]),
            Command::AddDiscount { .. } if self.status == Status::Ended => Err(Rejection::NotActive),
            Command::AddDiscount { coupon: Some(coupon), .. } if self.redeemed.contains(coupon) => {
                Err(Rejection::NotRedeemable)
            }
            Command::AddDiscount { discount, coupon, terms, now } => Ok(vec![Event::DiscountAdded {
                discount: *discount,
                coupon: *coupon,
                terms: terms.clone(),
                redeemed_at: *now,
            }]),
            Command::RemoveDiscount { discount } => match self.discounts.get(discount) {
                None => Err(Rejection::NoDiscount),
                Some(HeldDiscount { periods_left: Some(0), .. }) => Ok(vec![]),
                Some(_) => Ok(vec![Event::DiscountRemoved { discount: *discount }]),
            },
            Command::ChangeZone { zone } => {
                let (zone, current) = (zone.to_string(), self.next_zone.as_ref().unwrap_or(&self.zone));
                match zone == *current {
                    true => Ok(vec![]),
                    false => Ok(vec![Event::ZoneChangeScheduled { from: current.clone(), to: zone }]),
                }
            }
            Command::Migrate { terms, now } => self.migrate(terms, *now),
            Command::End { .. } if self.status == Status::Ended => Ok(vec![]),
            Command::End { why, now } => {
                let on = period::local_date(*now, &self.time_zone()).tomorrow().map_err(|_| Rejection::TooLarge)?;
                let credit = match &self.period {
                    Some(period) if self.status == Status::Active && on < period.until => {
                        quote::quote(self, &Change::Cancel(Some(on)), *now, Used::default())?.lines()
                    }
                    _ => Vec::new(),
                };
                Ok(vec![self.ended(*why, on, credit)])
            }
            Command::Reach { due, can_pay, now } => self.reach(*due, *can_pay, *now),
            Command::Bill { event, documents, invoice, usage, included_tax, now } => {
                self.bill(*event, (documents, *invoice), (usage, *included_tax), *now)
            }
            Command::BecomePastDue { invoice } => Ok(self.become_past_due(*invoice)),
            Command::Recover { invoice, now } => self.recover(*invoice, *now),
            Command::BecomeReadOnly { invoice, ends_at } => Ok(self.become_read_only(*invoice, *ends_at)),
        }
    }

    /// Whether the move to another version of the plan is scheduled, which only another change replaces.
    pub(in crate::billing) fn is_migrating(&self) -> bool {
        self.scheduled.as_ref().is_some_and(|it| it.cause == Cause::Migration)
    }

    /// When a date begins that is the first of something new.
    pub(super) fn begins(&self, date: Date) -> Result<Timestamp, Rejection> {
        match &self.period {
            Some(period) if period.until == date => Ok(period.ends_at),
            _ => period::first_instant(date, &self.time_zone()).map_err(|_| Rejection::TooLarge),
        }
    }

    fn change(&self, change: &ChangeTerms) -> Result<Vec<Event>, Rejection> {
        let ChangeTerms { to, effective, quote: seen, is_gated, balance, change, used, tax, now } = change;
        if let Some(in_flight) = &self.in_flight {
            return if in_flight.to == *to { Ok(vec![]) } else { Err(Rejection::ChangeInProgress) };
        }
        let quote = quote::quote(self, &Change::To(to.clone(), *effective), *now, *used)?;
        let quote = match tax {
            Some(decision) => quote.taxed(decision)?,
            None => quote,
        };
        if !self.past_due.is_empty() && matches!(quote.action, Action::Activate | Action::Upgrade) {
            return Err(Rejection::PastDue);
        }
        if seen.as_ref().is_some_and(|seen| *seen != quote.digest()) {
            return Err(Rejection::QuoteChanged);
        }
        if !quote.over_limit.is_empty() {
            return Err(Rejection::OverLimit(quote.over_limit));
        }
        let is_gated = *is_gated && quote.total() > *balance;
        match quote.action {
            Action::None | Action::Cancel => Ok(vec![]),
            Action::Withdraw => Ok(vec![Event::ChangeWithdrawn {}]),
            Action::Choose => Ok(vec![Event::PlanChosen { to: to.clone() }]),
            Action::Activate | Action::Upgrade if is_gated => Ok(vec![Event::ChangeRequested {
                change: *change,
                to: to.clone(),
                effective: quote.effective,
                quote: QuotedChange {
                    digest: quote.digest(),
                    lines: quote.lines(),
                    net: quote.net(),
                    total: quote.total(),
                },
                expires_at: *now + PAYMENT_TIME,
            }]),
            Action::Activate => Ok(vec![self.activated(to, quote.effective, None, *now)?]),
            Action::Upgrade => self.upgraded(to, quote.effective, quote.lines(), None, *now),
            Action::Downgrade => {
                let (to, at) = (to.clone(), self.begins(quote.effective)?);
                let scheduled = Scheduled { effective: quote.effective, at, to, cause: Cause::Downgrade };
                if self.scheduled.as_ref() == Some(&scheduled) {
                    return Ok(vec![]);
                }
                let Scheduled { effective, at, to, cause } = scheduled;
                Ok(vec![Event::ChangeScheduled { effective, at, to, cause }])
            }
        }
    }

    fn upgraded(
        &self,
        to: &Held,
        effective: Date,
        lines: Vec<quote::Line>,
        change: Option<ChangeId>,
        now: Timestamp,
    ) -> Result<Vec<Event>, Rejection> {
        let from = self.held.clone().ok_or(Rejection::NotActive)?;
        let period = match from.interval == to.interval {
            true => None,
            false => Some(self.new_period(effective, to.interval)?),
        };
        let remind_at = match &period {
            Some(period) => self.next_renewal_reminder(period, to.interval, now)?,
            None => None,
        };
        let (to, cause) = (to.clone(), Cause::Upgrade);
        let usage_ends_at = self.usage_end_after_change(&to, effective, period.as_ref())?;
        let still_scheduled = self.scheduled_after(&to, period.as_ref());
        let changed =
            Event::TermsChanged { effective, from, to, cause, lines, period, remind_at, usage_ends_at, change };
        Ok([changed].into_iter().chain(still_scheduled).collect())
    }

    /// What survives an upgrade: the move to another version of the plan, with what is held now; and a cancellation, at the
    /// end of the new period, if it was at the end of the former one, or else on its date, whose timer the change of terms
    /// has cleared.
    fn scheduled_after(&self, to: &Held, next: Option<&Period>) -> Option<Event> {
        if let Some(Scheduled { effective, at, to: later, cause: Cause::Migration }) = &self.scheduled {
            let is_same = later.terms.plan == to.terms.plan && next.is_none_or(|next| next.until <= *effective);
            let later =
                Held::new((*later.terms).clone(), to.seats, to.interval, to.currency).ok().filter(|_| is_same)?;
            return Some(Event::ChangeScheduled { effective: *effective, at: *at, to: later, cause: Cause::Migration });
        }
        let ((date, at), period) = self.cancellation.zip(self.period)?;
        let (effective, at) = match next {
            Some(next) if date >= period.until => (next.until, next.ends_at),
            None if date >= period.until => return None,
            Some(_) | None => (date, at),
        };
        Some(Event::CancellationScheduled { effective, at, reason: None })
    }

    /// A change was paid for: it happens with the date and the lines of its quote.
    fn finish(&self, change: ChangeId, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let Some(in_flight) = self.in_flight.as_ref().filter(|it| it.change == change) else {
            return if self.finished == Some(change) { Ok(vec![]) } else { Err(Rejection::NoChange) };
        };
        let InFlight { to, effective, quote, .. } = in_flight;
        match self.status {
            Status::Active | Status::PastDue => self.upgraded(to, *effective, quote.lines.clone(), Some(change), now),
            Status::Trialing | Status::ReadOnly | Status::Ended => {
                Ok(vec![self.activated(to, *effective, Some(change), now)?])
            }
        }
    }

    /// Another version of the same plan, at the first border of a period after a notice; a cheaper one at the next border.
    fn migrate(&self, terms: &Terms, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let (Status::Active, Some(held), Some(period)) = (self.status, &self.held, &self.period) else {
            return Ok(vec![]);
        };
        let is_other = held.terms.plan == terms.plan && held.terms.version < terms.version;
        if !is_other || self.cancellation.is_some() {
            return Ok(vec![]);
        }
        let Ok(to) = Held::new(terms.clone(), held.seats, held.interval, held.currency) else { return Ok(vec![]) };
        let net = |held: &Held| held.full().full_net(&[]).map_err(|_| Rejection::TooLarge);
        let today = period::local_date(now, &self.time_zone());
        let notice = if net(&to)? < net(held)? { today } else { today.saturating_add(NOTICE_DAYS.days()) };
        let mut effective = period.until;
        let anchor = self.anchor.unwrap_or(period.from);
        while effective < notice {
            effective = self.dates_from(anchor, held.interval, effective)?.until;
        }
        let is_planned = |it: &Scheduled| it.to == to || it.cause == Cause::Downgrade;
        if self.scheduled.as_ref().is_some_and(is_planned) {
            return Ok(vec![]);
        }
        Ok(vec![Event::ChangeScheduled { effective, at: self.begins(effective)?, to, cause: Cause::Migration }])
    }

    fn begin_period(&mut self, period: Period, discounts: &[DiscountId]) {
        self.period = Some(period);
        self.discounts.retain(|id, it| it.periods_left != Some(0) || discounts.contains(id));
        for id in discounts {
            if let Some(left) = self.discounts.get_mut(id).and_then(|it| it.periods_left.as_mut()) {
                *left = left.saturating_sub(1);
            }
        }
        self.period_discounts = discounts.to_vec();
    }

    pub(super) fn evolve(&mut self, event: &Event) {
        let usage = self.usage_ended_by(event);
        self.version += 1;
        self.apply(event);
        self.note_unbilled(event, usage);
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::TrialStarted { .. } => {}
            Event::TrialExtended { to, ends_at, remind_at, .. } => {
                (self.trial.until, self.trial.ends_at, self.remind_at) = (*to, *ends_at, *remind_at);
            }
            Event::PlanChosen { to } => self.chosen = Some(to.clone()),
            Event::Activated { held, anchor, zone, period, discounts, remind_at, usage_ends_at, change } => {
                (self.status, self.held, self.anchor) = (Status::Active, Some(held.clone()), Some(*anchor));
                (self.zone, self.next_zone) = (zone.clone(), None);
                (self.chosen, self.scheduled, self.cancellation, self.in_flight) = (None, None, None, None);
                (self.remind_at, self.read_only_ends_at) = (*remind_at, None);
                self.period_invoices = Vec::new();
                self.finished = change.or(self.finished);
                self.begin_period(*period, discounts);
                self.count_usage_from(*anchor);
                self.begin_usage(None, *usage_ends_at);
            }
            Event::ChangeRequested { change, to, effective, quote, expires_at } => {
                self.in_flight = Some(InFlight {
                    change: *change,
                    to: to.clone(),
                    effective: *effective,
                    quote: quote.clone(),
                    expires_at: *expires_at,
                });
            }
            Event::ChangeAbandoned { .. } => self.in_flight = None,
            Event::TermsChanged { to, effective, period, remind_at, usage_ends_at, change, .. } => {
                let unbilled_from = if period.is_some() { None } else { self.unbilled_from_after(*effective) };
                self.begin_usage(unbilled_from, *usage_ends_at);
                (self.held, self.scheduled) = (Some(to.clone()), None);
                if change.is_some() {
                    (self.in_flight, self.finished) = (None, *change);
                }
                if let Some(period) = period {
                    (self.anchor, self.remind_at, self.period) = (Some(period.from), *remind_at, Some(*period));
                    self.count_usage_from(period.from);
                }
            }
            Event::ChangeScheduled { effective, at, to, cause } => {
                let (effective, at, to, cause) = (*effective, *at, to.clone(), *cause);
                self.scheduled = Some(Scheduled { effective, at, to, cause });
            }
            Event::ChangeWithdrawn {} => (self.scheduled, self.chosen) = (None, None),
            Event::CancellationScheduled { effective, at, .. } => {
                (self.cancellation, self.scheduled) = (Some((*effective, *at)), None);
            }
            Event::CancellationWithdrawn {} => self.cancellation = None,
            Event::Renewed { period, discounts, zone, remind_at, usage_ends_at } => {
                if let Some(zone) = zone {
                    (self.zone, self.next_zone) = (zone.clone(), None);
                }
                self.remind_at = *remind_at;
                self.period_invoices = Vec::new();
                self.begin_period(*period, discounts);
                self.begin_usage(None, *usage_ends_at);
            }
            Event::UsageMonthEnded { until, usage_ends_at, .. } => self.begin_usage(Some(*until), *usage_ends_at),
            Event::DiscountAdded { discount, terms, redeemed_at, coupon } => {
                self.redeemed.extend(coupon);
                let periods_left = terms.duration.periods();
                let held = HeldDiscount { terms: terms.clone(), redeemed_at: *redeemed_at, periods_left };
                self.discounts.insert(*discount, held);
            }
            Event::DiscountRemoved { discount } => {
                if let Some(held) = self.discounts.get_mut(discount) {
                    held.periods_left = Some(0);
                }
            }
            Event::ZoneChangeScheduled { to, .. } => self.next_zone = Some(to.clone()),
            Event::Reminded { remind_at, .. } => self.remind_at = *remind_at,
            Event::Billed { event, invoice, usage, included_tax, .. } => {
                self.included_tax = included_tax.or(self.included_tax);
                self.remember_billed(*event, usage);
                let change = self.unbilled.iter().find(|it| it.event == *event).and_then(|it| it.change);
                self.paid_changes.extend(change.zip(*invoice));
                self.unbilled.retain(|it| it.event != *event);
                self.period_invoices.extend(invoice);
            }
            Event::BecamePastDue { invoice } => self.past_due.push(*invoice),
            Event::PastDueInvoicePaid { invoice } => self.past_due.retain(|it| it != invoice),
            Event::Recovered { .. } => {
                self.past_due.clear();
                if self.status == Status::ReadOnly {
                    self.status = Status::Active;
                }
            }
            Event::BecameReadOnly { why: ReadOnlyReason::Unpaid, .. } => {
                (self.status, self.remind_at) = (Status::ReadOnly, None);
            }
            Event::BecameReadOnly { why: ReadOnlyReason::TrialOver, ends_at } => {
                (self.status, self.read_only_ends_at, self.remind_at) = (Status::ReadOnly, Some(*ends_at), None);
                // What was chosen without a way to pay is chosen again.
                self.chosen = None;
            }
            Event::Ended { .. } => {
                (self.status, self.period, self.past_due) = (Status::Ended, None, Vec::new());
                self.begin_usage(None, None);
                (self.chosen, self.scheduled, self.cancellation, self.in_flight) = (None, None, None, None);
                (self.remind_at, self.read_only_ends_at) = (None, None);
                self.period_discounts = Vec::new();
            }
        }
    }
}
