//! What happens to a subscription while an invoice is not paid.

use jiff::Timestamp;

use super::{Event, Existing, ReadOnlyReason, Rejection, Status};
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
            Status::ReadOnly if period.ends_at <= now => {
                let today = period::local_date(now, &self.time_zone());
                let anchor = today.tomorrow().map_err(|_| Rejection::TooLarge)?;
                Ok(vec![Event::Recovered { renew_at: None }, self.activated(held, anchor, None, now)?])
            }
            Status::ReadOnly => Ok(vec![Event::Recovered { renew_at: Some(period.ends_at) }]),
            Status::Active => Ok(vec![Event::Recovered { renew_at: None }]),
            Status::Trialing | Status::PastDue | Status::Ended => Ok(vec![]),
        }
    }
}
