//! What happens to a subscription while an invoice is not paid.

use jiff::Timestamp;

use super::{EndReason, Event, Existing, Period, ReadOnlyReason, Rejection, Scheduled, Status};
use crate::billing::{billing_document::InvoiceId, period};

impl Existing {
    pub(super) fn become_past_due(&self, invoice: InvoiceId) -> Vec<Event> {
        let is_held = self.held.is_some() && matches!(self.status, Status::Active | Status::ReadOnly);
        match is_held && !self.past_due.contains(&invoice) {
            true => vec![Event::BecamePastDue { invoice }],
            false => vec![],
        }
    }

    pub(super) fn become_read_only(&self, invoice: InvoiceId, ends_at: Timestamp) -> Vec<Event> {
        if self.status != Status::Active {
            return vec![];
        }
        let mut events = self.become_past_due(invoice);
        events.push(Event::BecameReadOnly { why: ReadOnlyReason::Unpaid, ends_at });
        events
    }

    /// What is scheduled inside a period, whose timer was cleared when the subscription became read-only.
    fn scheduled_again(&self, period: &Period) -> Option<Event> {
        if let Some((effective, at)) = self.cancellation {
            let again = Event::CancellationScheduled { effective, at, reason: None };
            return Some(again).filter(|_| effective < period.until);
        }
        let Scheduled { effective, at, to, cause } = self.scheduled.clone().filter(|it| it.effective < period.until)?;
        Some(Event::ChangeScheduled { effective, at, to, cause })
    }

    /// What was past due is paid: once nothing else is, all works again at once. If the period is over, a new one begins with
    /// the next date.
    pub(super) fn recover(&self, invoice: InvoiceId, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let (Some(held), Some(period)) = (&self.held, &self.period) else { return Ok(vec![]) };
        if !self.past_due.contains(&invoice) {
            return Ok(vec![]);
        }
        if self.past_due.len() > 1 {
            return Ok(vec![Event::PastDueInvoicePaid { invoice }]);
        }
        match self.status {
            // What was canceled meanwhile does not begin again.
            Status::ReadOnly if period.ends_at <= now && self.cancellation.is_some_and(|(_, at)| at <= now) => {
                let ended = self.ended(EndReason::Canceled, period.until, Vec::new());
                Ok(vec![Event::Recovered { renew_at: None }, ended])
            }
            Status::ReadOnly if period.ends_at <= now => {
                let today = period::local_date(now, &self.time_zone());
                let anchor = today.tomorrow().map_err(|_| Rejection::TooLarge)?;
                let scheduled = self.scheduled.as_ref().filter(|it| it.effective <= anchor);
                let next = scheduled.map_or(held, |scheduled| &scheduled.to);
                Ok(vec![Event::Recovered { renew_at: None }, self.activated(next, anchor, None, now)?])
            }
            Status::ReadOnly => {
                let recovered = Event::Recovered { renew_at: Some(period.ends_at) };
                Ok([recovered].into_iter().chain(self.scheduled_again(period)).collect())
            }
            Status::Active => Ok(vec![Event::Recovered { renew_at: None }]),
            Status::Trialing | Status::PastDue | Status::Ended => Ok(vec![]),
        }
    }
}
