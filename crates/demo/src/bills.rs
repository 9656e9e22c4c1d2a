//! How organizations pay their invoices, and what staff does with some of them.

use jiff::{SignedDuration, Timestamp};

use crate::plan::{By, DAY, Planner, What};

/// How an organization pays what it is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payer {
    /// By card, which pays until an instant and is declined from then on.
    Card { until: Timestamp },
    /// By card; the first two charges of some invoices are declined.
    Forgetful,
    /// By transfer so many days after the issue; invoices from an instant on are not paid.
    Transfer { after: SignedDuration, until: Timestamp },
    /// By two transfers, of which the second pays more than is due.
    InParts,
}

impl Payer {
    /// Of the organization with a number, which works until an instant.
    pub(crate) fn of(number: usize, is_never_paying_again: bool, (ended_at, now): (Timestamp, Timestamp)) -> Self {
        let forever = now + DAY * 365;
        match number {
            _ if is_never_paying_again => Self::Card { until: ended_at },
            0 => Self::Transfer { after: DAY * 12, until: forever },
            _ if number % 7 == 4 => Self::InParts,
            _ if number % 11 == 5 => Self::Transfer { after: DAY * 36, until: forever },
            // What was issued in the last two months is open, and some of it overdue; nothing was taken away yet.
            _ if number % 13 == 2 => Self::Transfer { after: DAY * 18, until: now - DAY * 58 },
            _ if number % 13 == 6 => Self::Card { until: now - DAY * 13 },
            _ if number % 7 == 1 => Self::Forgetful,
            _ => Self::Card { until: forever },
        }
    }

    /// Whether it gets invoices that are paid by transfer.
    pub(crate) fn is_by_transfer(self) -> bool {
        matches!(self, Self::Transfer { .. } | Self::InParts)
    }

    /// Whether a charge of its card is paid: of an invoice with a place among those of the organization.
    pub(crate) fn pays(self, at: Timestamp, attempt: u32, place: usize) -> bool {
        match self {
            Self::Card { until } => at < until,
            Self::Forgetful => attempt > 2 || !place.is_multiple_of(3),
            Self::Transfer { .. } | Self::InParts => true,
        }
    }
}

/// A part of an invoice that is paid by transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// What is due.
    Whole,
    /// Three fifths of it.
    First,
    /// The rest, and 50.00 more, which go to the balance.
    Rest,
}

/// What staff does with invoices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BillStep {
    /// Invoices by transfer from now on.
    ByTransfer,
    /// An invoice by hand.
    Workshop,
    /// An invoice by hand that is voided: it was issued twice.
    Duplicate,
    /// A part of the last invoice is credited, out of courtesy.
    Goodwill,
    /// The last invoice is issued again with another purchase order.
    Correct,
    /// The bank takes back the last payment by card.
    Chargeback,
    /// What is open after a chargeback is paid by transfer.
    PayDisputed,
}

/// The year of the invoices of an organization that chose a plan at an instant.
pub(crate) fn year(planner: &mut Planner, (chosen_at, ended_at): (Timestamp, Timestamp), payer: Payer, number: usize) {
    let mut add = |at: Timestamp, step: BillStep| {
        if at < ended_at - SignedDuration::from_hours(1) {
            planner.add(at, By::Staff, What::Bill(step));
        }
    };
    if payer.is_by_transfer() {
        add(chosen_at + SignedDuration::from_mins(5), BillStep::ByTransfer);
    }
    if number.is_multiple_of(3) {
        add(chosen_at + DAY * 47, BillStep::Workshop);
    }
    if number.is_multiple_of(5) {
        add(chosen_at + DAY * 55, BillStep::Duplicate);
    }
    if number.is_multiple_of(4) {
        add(chosen_at + DAY * 131, BillStep::Goodwill);
    }
    if number % 4 == 2 {
        add(chosen_at + DAY * 97, BillStep::Correct);
    }
    if number % 7 == 1 {
        add(ended_at - DAY * 20, BillStep::Chargeback);
        if number % 14 == 8 {
            add(ended_at - DAY * 12, BillStep::PayDisputed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_to_pay_are_there_and_a_declined_card_pays_later() {
        let now: Timestamp = "2026-11-27T12:00:00Z".parse().unwrap();
        let of = |number| Payer::of(number, false, (now, now));
        assert!(matches!(of(0), Payer::Transfer { .. }) && of(1) == Payer::Forgetful && of(4) == Payer::InParts);
        assert!(of(3).pays(now, 1, 0) && !of(6).pays(now, 1, 0));
        assert!(!Payer::of(3, true, (now, now)).pays(now, 5, 1));
        let declined = [1, 2, 3].map(|attempt| of(1).pays(now, attempt, 3));
        assert_eq!(declined, [false, false, true]);
    }
}
