//! What of a subscription is not billed yet. Periods are billed an hour after they began, changes at once; in the order in
//! which they happened.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, ToSpan, civil::Date};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{BilledUsage, ChangeId, Event, Existing, Rejection};
use crate::billing::{
    Currency,
    billing_document::InvoiceId,
    invoice::InvoiceKind,
    quote::{self, Line},
    terms::{Held, Meter},
};

/// How long after its beginning a period is billed.
pub(super) const BILL_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// A usage month whose use beyond what is included is billed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageToBill {
    /// The first date.
    pub from: Date,
    /// The date after the last one.
    pub until: Date,
    /// What was held.
    pub held: Held,
}

/// For how many months after it late use of a month is billed.
const LATE_MONTHS: i32 = 12;

/// A usage month that was billed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BilledMonth {
    /// The month, and what was held in it.
    pub month: UsageToBill,
    /// What was used as far as it is billed.
    pub counts: BTreeMap<Meter, u64>,
}

/// What an event of a subscription leads to and is not billed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unbilled {
    /// The version that the event gave the subscription.
    pub event: u64,
    /// When it is billed; `None` is at once.
    pub due: Option<Timestamp>,
    /// Why.
    pub kind: InvoiceKind,
    /// The currency.
    pub currency: Currency,
    /// Whether prices include the tax.
    pub prices_include_tax: bool,
    /// The lines.
    pub lines: Vec<Line>,
    /// The names of plans, by code.
    pub plans: BTreeMap<String, String>,
    /// The usage months that it ends.
    pub usage: Vec<UsageToBill>,
    /// The change that was paid for.
    pub change: Option<ChangeId>,
}

impl Existing {
    /// Notes what an event leads to; called after the state has changed.
    pub(super) fn note_unbilled(&mut self, event: &Event, usage: Vec<UsageToBill>) {
        let change_lines = |lines: &[Line], held: Option<&Held>, change| {
            let held = held.filter(|_| !lines.is_empty())?;
            Some((None, InvoiceKind::Change, held.clone(), lines.to_vec(), change))
        };
        let found = match event {
            Event::Activated { held, period, change, .. } => {
                let due = if change.is_some() { None } else { Some(period.starts_at + BILL_AFTER) };
                Some((due, InvoiceKind::Subscription, held.clone(), self.lines_of_period(), *change))
            }
            Event::Renewed { period, .. } => self.held.clone().map(|held| {
                let due = Some(period.starts_at + BILL_AFTER);
                (due, InvoiceKind::Subscription, held, self.lines_of_period(), None)
            }),
            Event::UsageMonthEnded { ended_at, .. } => self.held.clone().map(|held| {
                let due = Some(*ended_at + BILL_AFTER);
                (due, InvoiceKind::Usage, held, Vec::new(), None)
            }),
            Event::TermsChanged { to, lines, change, .. } => change_lines(lines, Some(to), *change),
            Event::Ended { lines, has_usage: true, .. } => {
                self.held.clone().map(|held| (None, InvoiceKind::Change, held, lines.clone(), None))
            }
            Event::Ended { lines, .. } => change_lines(lines, self.held.as_ref(), None),
            Event::TrialStarted { .. }
            | Event::TrialExtended { .. }
            | Event::PlanChosen { .. }
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
            | Event::BecameReadOnly { .. } => None,
        };
        let Some((due, kind, held, lines, change)) = found else { return };
        if usage.is_empty() && lines.iter().all(|line| line.gross == 0) {
            return;
        }
        let mut plans = BTreeMap::from([(held.terms.code.clone(), held.terms.name.clone())]);
        if let Event::TermsChanged { from, .. } = event {
            plans.insert(from.terms.code.clone(), from.terms.name.clone());
        }
        self.unbilled.push(Unbilled {
            event: self.version,
            due,
            kind,
            currency: held.currency,
            prices_include_tax: held.terms.offer.prices_include_tax,
            lines,
            plans,
            usage,
            change,
        });
    }

    /// The lines of the current period as it began.
    fn lines_of_period(&self) -> Vec<Line> {
        let Some((held, period)) = self.held.as_ref().zip(self.period.as_ref()) else { return Vec::new() };
        let discounts = self.discounts_of(held, &self.period_discounts);
        // The event was decided by the same arithmetic.
        quote::lines(held, &discounts, period, period.from, false).unwrap_or_default()
    }

    /// Records that the first of what is not billed was billed.
    pub(super) fn bill(
        &self,
        event: u64,
        (documents, invoice): (&[String], Option<InvoiceId>),
        (usage, included_tax): (&[BilledUsage], Option<Decimal>),
        now: Timestamp,
    ) -> Result<Vec<Event>, Rejection> {
        match self.unbilled.first() {
            Some(first) if first.event == event => {
                let next_at = self.unbilled.get(1).map(|next| next.due.unwrap_or(now).max(now));
                let (documents, usage) = (documents.to_vec(), usage.to_vec());
                Ok(vec![Event::Billed { event, documents, invoice, next_at, usage, included_tax }])
            }
            _ => Ok(vec![]),
        }
    }

    /// Remembers what was billed of usage months, so that what is used late is billed once.
    pub(super) fn remember_billed(&mut self, event: u64, usage: &[BilledUsage]) {
        let of_event = self.unbilled.iter().filter(|it| it.event == event).flat_map(|it| &it.usage);
        let new = of_event.map(|month| BilledMonth { month: month.clone(), counts: BTreeMap::new() });
        self.billed_months.extend(new);
        for billed in usage {
            if let Some(month) = self.billed_months.iter_mut().find(|it| it.month.from == billed.from) {
                month.counts.insert(billed.meter, billed.count);
            }
        }
        if let Some(last) = self.billed_months.iter().map(|it| it.month.until).max() {
            let first = last.saturating_sub(LATE_MONTHS.months());
            self.billed_months.retain(|it| it.month.until > first);
        }
    }
}

impl Unbilled {
    /// Whether late use is billed with it: with periods and with the end, not with a change, which costs what was quoted.
    pub fn takes_late_usage(&self) -> bool {
        self.change.is_none() && (self.due.is_some() || !self.usage.is_empty())
    }
}
