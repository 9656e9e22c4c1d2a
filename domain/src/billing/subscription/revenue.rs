//! The recurring revenue of a subscription.

use jiff::Timestamp;
use rust_decimal::Decimal;

use super::{Event, Existing, Status, Subscription};
use crate::{
    Aggregate,
    billing::{
        amount,
        mrr::{History, Revenue},
        period::Interval,
        tax,
    },
};

impl Subscription {
    /// The recurring revenue of a month in minor units: what a full period costs after the discounts that hold in it; of a
    /// year, a twelfth. Zero in the trial and once it ended; what is past due counts until then, also while it is read-only.
    pub fn monthly_revenue(&self) -> i64 {
        let Some((existing, held)) = self.0.as_ref().and_then(|it| Some((it, it.held.as_ref()?))) else { return 0 };
        if !matches!(existing.status, Status::Active | Status::ReadOnly) {
            return 0;
        }
        let discounts = existing.discounts_of(held, &existing.period_discounts);
        let net = held.full().full_net(&discounts).unwrap_or_default();
        let net = match self.included_tax() {
            Some(rate) => tax::without(net, rate).unwrap_or_default(),
            None => net,
        };
        match held.interval {
            Interval::Month => net,
            Interval::Year => amount::ratio(net.into(), 12).unwrap_or_default(),
        }
    }

    /// The rate in percent of the tax that its prices include, as far as it is known.
    fn included_tax(&self) -> Option<Decimal> {
        let existing = self.0.as_ref()?;
        existing.included_tax.filter(|_| existing.held.as_ref().is_some_and(|it| it.terms.offer.prices_include_tax))
    }

    /// Evolves, and adds what is paid from then on to a history.
    pub fn evolve_with_revenue(&mut self, event: &Event, history: &mut History) {
        let from = self.0.as_ref().and_then(|existing| existing.revenue_changes_at(event));
        self.evolve(event);
        let Some((at, held)) = from.zip(self.0.as_ref().and_then(|it| it.held.as_ref())) else { return };
        let last = history.last_at().filter(|_| matches!(event, Event::Billed { .. }));
        let at = last.map_or(at, |last| last.max(at));
        history.add(Revenue { at, plan: held.terms.plan, currency: held.currency, mrr: self.monthly_revenue() });
    }
}

impl Existing {
    /// From when on an event changes the recurring revenue, if it may: when it takes effect.
    pub(super) fn revenue_changes_at(&self, event: &Event) -> Option<Timestamp> {
        match event {
            Event::Activated { period, .. }
            | Event::Renewed { period, .. }
            | Event::TermsChanged { period: Some(period), .. } => Some(period.starts_at),
            // What its prices include of tax is known once it is billed.
            Event::Billed { included_tax, .. } if included_tax.is_some() && *included_tax != self.included_tax => {
                self.period.map(|period| period.starts_at)
            }
            Event::TermsChanged { effective: on, .. } | Event::Ended { on, .. } => self.begins(*on).ok(),
            Event::Billed { .. }
            | Event::TrialStarted { .. }
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
            | Event::BecamePastDue { .. }
            | Event::PastDueInvoicePaid { .. }
            | Event::UsageMonthEnded { .. }
            | Event::Recovered { .. }
            | Event::BecameReadOnly { .. } => None,
        }
    }
}
