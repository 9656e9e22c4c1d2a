//! Monthly recurring revenue: its movements between the borders of months.

mod history;

use std::collections::BTreeMap;

use jiff::{ToSpan, civil::Date};

pub use self::history::{History, Revenue};
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

    /// How many customers there are at the end.
    pub fn customers_end(&self) -> i64 {
        self.customers_start + self.customers_new + self.customers_reactivated - self.customers_churned
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

crate::texts! {
    /// How the revenue of an organization differs between the borders of a month.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = MrrMovement))]
    pub enum Movement {
        /// It pays for the first time.
        New = "new",
        /// It pays again.
        Reactivation = "reactivation",
        /// It pays more.
        Expansion = "expansion",
        /// It pays less.
        Contraction = "contraction",
        /// It no longer pays.
        Churn = "churn",
    }
}

/// What an organization paid at the borders of a month, if that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The organization.
    pub organization: String,
    /// How it differs.
    pub movement: Movement,
    /// At the start of the month.
    pub before: i64,
    /// At its end.
    pub after: i64,
}

/// The movements of the month that begins on a date, from all changes in order of time.
///
/// # Errors
/// If an amount is too large, or a date out of range.
pub fn movements(month: Date, changes: &[Change]) -> Result<Movements, TooLarge> {
    let mut all = Movements::default();
    for changes in by_organization(changes).values() {
        count(&mut all, Borders::of(month, changes)?)?;
    }
    Ok(all)
}

/// The movements of several months, each by the date on which it begins, from all changes in order of time.
///
/// # Errors
/// If an amount is too large, or a date out of range.
pub fn report(months: &[Date], changes: &[Change]) -> Result<Vec<Movements>, TooLarge> {
    let mut all = vec![Movements::default(); months.len()];
    for changes in by_organization(changes).values() {
        for (month, sum) in months.iter().zip(&mut all) {
            count(sum, Borders::of(*month, changes)?)?;
        }
    }
    Ok(all)
}

/// The organizations whose revenue differs between the borders of the month that begins on a date, by id.
///
/// # Errors
/// If an amount is too large, or a date out of range.
pub fn moved(month: Date, changes: &[Change]) -> Result<Vec<Moved>, TooLarge> {
    let mut all = Vec::new();
    for (organization, changes) in by_organization(changes) {
        let Borders { before, after, movement } = Borders::of(month, &changes)?;
        let organization = organization.to_owned();
        all.extend(movement.map(|movement| Moved { organization, movement, before, after }));
    }
    Ok(all)
}

fn by_organization(changes: &[Change]) -> BTreeMap<&str, Vec<&Change>> {
    let mut organizations: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
    for change in changes {
        organizations.entry(&change.organization).or_default().push(change);
    }
    organizations
}

/// The revenue of an organization at the borders of a month.
struct Borders {
    before: i64,
    after: i64,
    movement: Option<Movement>,
}

impl Borders {
    fn of(month: Date, changes: &[&Change]) -> Result<Self, TooLarge> {
        let next = month.checked_add(1.month()).map_err(|_| TooLarge)?;
        let (before, after) = (at(month, changes)?, at(next, changes)?);
        let has_paid = || changes.iter().any(|change| change.on < month && change.recurring_net > 0);
        let movement = match (before, after) {
            (before, after) if before == after => None,
            (0, _) if has_paid() => Some(Movement::Reactivation),
            (0, _) => Some(Movement::New),
            (_, 0) => Some(Movement::Churn),
            (before, after) if after > before => Some(Movement::Expansion),
            (_, _) => Some(Movement::Contraction),
        };
        Ok(Self { before, after, movement })
    }
}

/// Adds an organization to the movements of a month.
fn count(all: &mut Movements, Borders { before, after, movement }: Borders) -> Result<(), TooLarge> {
    let add = |sum: &mut i64, amount: i64| {
        *sum = sum.checked_add(amount).ok_or(TooLarge)?;
        Ok(())
    };
    add(&mut all.start, before)?;
    add(&mut all.end, after)?;
    all.customers_start += i64::from(before > 0);
    match movement {
        None => Ok(()),
        Some(Movement::New) => {
            all.customers_new += 1;
            add(&mut all.new, after)
        }
        Some(Movement::Reactivation) => {
            all.customers_reactivated += 1;
            add(&mut all.reactivation, after)
        }
        Some(Movement::Churn) => {
            all.customers_churned += 1;
            add(&mut all.churn, before)
        }
        Some(Movement::Expansion) => add(&mut all.expansion, after - before),
        Some(Movement::Contraction) => add(&mut all.contraction, before - after),
    }
}

/// What an organization pays a month at the first instant of a date.
fn at(date: Date, changes: &[&Change]) -> Result<i64, TooLarge> {
    match changes.iter().rfind(|change| change.on < date) {
        None => Ok(0),
        Some(Change { interval: Interval::Month, recurring_net, .. }) => Ok(*recurring_net),
        Some(Change { interval: Interval::Year, recurring_net, .. }) => ratio(i128::from(*recurring_net), 12),
    }
}
