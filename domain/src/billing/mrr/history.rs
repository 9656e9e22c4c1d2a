//! What an organization paid when.

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::{super::plan::PlanId, Change, Interval};
use crate::billing::Currency;

/// From an instant on, what an organization pays a month, with what and in which currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revenue {
    /// From when on.
    pub at: Timestamp,
    /// The plan.
    pub plan: PlanId,
    /// The currency.
    pub currency: Currency,
    /// In minor units; 0 when it ends.
    pub mrr: i64,
}

/// What an organization paid when: each entry differs from the one before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History(Vec<Revenue>);

impl History {
    /// Adds what is paid from an instant on. It replaces what was to be paid from that instant on or later.
    pub fn add(&mut self, revenue: Revenue) {
        while self.0.pop_if(|last| last.at >= revenue.at).is_some() {}
        let is_same = self.0.last().map_or(revenue.mrr == 0, |last| {
            let is_same_offer = (last.plan, last.currency) == (revenue.plan, revenue.currency);
            last.mrr == revenue.mrr && (is_same_offer || revenue.mrr == 0)
        });
        if !is_same {
            self.0.push(revenue);
        }
    }

    /// The changes in a currency, and of a plan if one is given: another plan or currency pays nothing of it.
    pub fn changes(&self, organization: &str, currency: Currency, plan: Option<PlanId>) -> Vec<Change> {
        let mut changes: Vec<Change> = Vec::new();
        for it in &self.0 {
            let counts = it.currency == currency && plan.is_none_or(|plan| it.plan == plan);
            let (recurring_net, interval) = (if counts { it.mrr } else { 0 }, Interval::Month);
            if changes.last().map_or(0, |last| last.recurring_net) != recurring_net {
                let (on, organization) = (it.at.to_zoned(TimeZone::UTC).date(), organization.to_owned());
                changes.push(Change { on, organization, interval, recurring_net });
            }
        }
        changes
    }

    /// When it changed last.
    pub(in crate::billing) fn last_at(&self) -> Option<Timestamp> {
        self.0.last().map(|last| last.at)
    }

    /// The currencies in which it was paid.
    pub fn currencies(&self) -> impl Iterator<Item = Currency> {
        self.0.iter().map(|it| it.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paid(at: &str, plan: u128, currency: &str, mrr: i64) -> Revenue {
        let plan = PlanId(uuid::Uuid::from_u128(plan));
        Revenue { at: at.parse().unwrap(), plan, currency: currency.parse().unwrap(), mrr }
    }

    fn history(all: impl IntoIterator<Item = Revenue>) -> History {
        let mut history = History::default();
        all.into_iter().for_each(|it| history.add(it));
        history
    }

    fn amounts(history: &History, currency: &str, plan: Option<u128>) -> Vec<(String, i64)> {
        let plan = plan.map(|plan| PlanId(uuid::Uuid::from_u128(plan)));
        let changes = history.changes("org", currency.parse().unwrap(), plan);
        changes.into_iter().map(|it| (it.on.to_string(), it.recurring_net)).collect()
    }

    #[test]
    fn renewals_at_the_same_price_are_no_changes() {
        let all = [
            paid("2026-01-25T00:00:00Z", 1, "EUR", 4_900),
            paid("2026-02-25T00:00:00Z", 1, "EUR", 4_900),
            paid("2026-03-25T00:00:00Z", 1, "EUR", 0),
            paid("2026-04-25T00:00:00Z", 2, "EUR", 0),
        ];
        let history = history(all);
        let expected = [("2026-01-25".to_owned(), 4_900), ("2026-03-25".to_owned(), 0)];
        assert_eq!(amounts(&history, "EUR", None), expected);
        assert!(amounts(&history, "USD", None).is_empty() && amounts(&history, "EUR", Some(2)).is_empty());
    }

    #[test]
    fn another_plan_or_currency_ends_what_was_paid_in_the_first() {
        let all = [
            paid("2026-01-25T00:00:00Z", 1, "EUR", 4_900),
            paid("2026-02-25T00:00:00Z", 2, "EUR", 4_900),
            paid("2026-03-25T00:00:00Z", 2, "USD", 5_900),
        ];
        let history = history(all);
        let of_january = ("2026-01-25".to_owned(), 4_900);
        assert_eq!(amounts(&history, "EUR", None), [of_january.clone(), ("2026-03-25".to_owned(), 0)]);
        assert_eq!(amounts(&history, "EUR", Some(1)), [of_january, ("2026-02-25".to_owned(), 0)]);
        assert_eq!(amounts(&history, "USD", Some(2)), [("2026-03-25".to_owned(), 5_900)]);
    }

    #[test]
    fn what_takes_effect_at_the_same_time_or_earlier_replaces_what_was_expected() {
        let first = paid("2026-01-25T00:00:00Z", 1, "EUR", 4_900);
        let all =
            [first.clone(), paid("2026-02-25T00:00:00Z", 1, "EUR", 9_900), paid("2026-02-10T00:00:00Z", 1, "EUR", 0)];
        let expected = [("2026-01-25".to_owned(), 4_900), ("2026-02-10".to_owned(), 0)];
        assert_eq!(amounts(&history(all), "EUR", None), expected);
        assert!(amounts(&history([first, paid("2026-01-25T00:00:00Z", 1, "EUR", 0)]), "EUR", None).is_empty());
    }
}
