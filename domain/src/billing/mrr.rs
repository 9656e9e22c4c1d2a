//! Monthly recurring revenue: its movements between the borders of months.

use std::collections::BTreeMap;

use jiff::{ToSpan, civil::Date};

use super::{
    amount::{TooLarge, ratio},
    period::Interval,
};

/// A change of what an organization pays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// From when on.
    pub on: Date,
    /// The organization.
    pub organization: String,
    /// How often it pays.
    pub interval: Interval,
    /// What it pays each time for recurring lines, after discounts, without tax; 0 when it ends.
    pub recurring_net: i64,
}

/// The movements of a month, in minor units of one currency; shares are basis points.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the terms of the field")]
pub struct Movements {
    pub start: i64,
    pub new: i64,
    pub reactivation: i64,
    pub expansion: i64,
    pub contraction: i64,
    pub churn: i64,
    pub end: i64,
    pub customers_start: i64,
    pub customers_new: i64,
    pub customers_reactivated: i64,
    pub customers_churned: i64,
}

impl Movements {
    /// Annual recurring revenue at the end.
    pub fn arr_end(&self) -> i64 {
        self.end * 12
    }

    /// The share of the customers at the start that were lost; `None` if there were none.
    ///
    /// # Errors
    /// If an amount is too large.
    pub fn customer_churn(&self) -> Result<Option<i64>, TooLarge> {
        share(self.customers_churned, self.customers_start)
    }

    /// The share of the revenue at the start that was lost; `None` if there was none.
    ///
    /// # Errors
    /// If an amount is too large.
    pub fn gross_churn(&self) -> Result<Option<i64>, TooLarge> {
        share(self.contraction + self.churn, self.start)
    }

    /// The revenue at the end of those who were customers at the start, as a share of it; `None` if there was none.
    ///
    /// # Errors
    /// If an amount is too large.
    pub fn net_retention(&self) -> Result<Option<i64>, TooLarge> {
        share(self.start + self.expansion - self.contraction - self.churn, self.start)
    }
}

fn share(part: i64, whole: i64) -> Result<Option<i64>, TooLarge> {
    (whole != 0).then(|| ratio(i128::from(part) * 10_000, i128::from(whole))).transpose()
}

/// The movements of the month that begins on a date, from all changes in order of time.
///
/// # Errors
/// If an amount is too large, or a date out of range.
pub fn movements(month: Date, changes: &[Change]) -> Result<Movements, TooLarge> {
    let next = month.checked_add(1.month()).map_err(|_| TooLarge)?;
    let mut all = Movements::default();
    let mut organizations: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
    for change in changes {
        organizations.entry(&change.organization).or_default().push(change);
    }
    for changes in organizations.values() {
        let (before, after) = (at(month, changes)?, at(next, changes)?);
        let has_paid = changes.iter().any(|change| change.on < month && change.recurring_net > 0);
        all.start += before;
        all.end += after;
        all.customers_start += i64::from(before > 0);
        match (before, after) {
            (0, 0) => {}
            (0, after) if has_paid => {
                (all.reactivation, all.customers_reactivated) =
                    (all.reactivation + after, all.customers_reactivated + 1)
            }
            (0, after) => (all.new, all.customers_new) = (all.new + after, all.customers_new + 1),
            (before, 0) => (all.churn, all.customers_churned) = (all.churn + before, all.customers_churned + 1),
            (before, after) if after > before => all.expansion += after - before,
            (before, after) => all.contraction += before - after,
        }
    }
    Ok(all)
}

/// What an organization pays a month at the first instant of a date.
fn at(date: Date, changes: &[&Change]) -> Result<i64, TooLarge> {
    match changes.iter().rfind(|change| change.on < date) {
        None => Ok(0),
        Some(Change { interval: Interval::Month, recurring_net, .. }) => Ok(*recurring_net),
        Some(Change { interval: Interval::Year, recurring_net, .. }) => ratio(i128::from(*recurring_net), 12),
    }
}
