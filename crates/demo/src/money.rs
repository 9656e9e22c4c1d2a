//! Subscriptions: which plan an organization chooses, and what it does with it in a year.

use jiff::{SignedDuration, Timestamp};
use porttask_domain::billing::{coupon::CouponId, period::Interval};

use crate::{
    bills::{self, Payer},
    keys,
    plan::{By, DAY, Planner, What},
    random::Random,
};

/// The places of the built-in plans.
pub(crate) const STARTER: usize = 0;
const PROFESSIONAL: usize = 1;
pub(crate) const ENTERPRISE: usize = 2;

/// What happens to a subscription.
pub(crate) enum Money {
    /// Choose or change the plan: its place among the built-in ones, the interval, extra seats.
    Change(usize, Interval, u32),
    /// Redeem the coupon of the platform.
    Redeem,
    /// A promotional discount by staff.
    Discount,
    Cancel,
    /// Requests with API keys of the day before.
    ApiCalls(u64),
}

/// The only coupon: 10 % for three periods.
pub(crate) fn coupon(seed: u64, at: Timestamp) -> CouponId {
    Random::new(seed, u64::MAX).id(at)
}

/// The year of a subscription, by the users and port calls of its organization.
pub(crate) fn year(
    planner: &mut Planner,
    (created_at, ended_at): (Timestamp, Timestamp),
    (users, calls_a_month): (usize, f64),
    payer: Payer,
    number: usize,
) {
    let plan = match (users, calls_a_month) {
        (61.., _) | (_, 150.0..) => ENTERPRISE,
        (21.., _) | (_, 20.0..) => PROFESSIONAL,
        _ => STARTER,
    };
    let included = [3, 10, 25][plan];
    let seats = u32::try_from(users.saturating_sub(included)).unwrap_or_default();
    let interval = if number % 4 == 1 { Interval::Year } else { Interval::Month };
    let chosen_at = created_at + DAY * 5 + planner.random.hours(1..100);
    // A private plan is given by staff.
    let by = if plan == ENTERPRISE { By::Staff } else { By::Person(0) };
    let mut add = |at: Timestamp, by: By, what: Money| {
        if at < ended_at - SignedDuration::from_hours(1) {
            planner.add(at, by, What::Money(what));
        }
    };
    add(chosen_at, by, Money::Change(plan, interval, seats));
    if number % 5 == 1 {
        add(chosen_at + SignedDuration::from_mins(20), By::Person(0), Money::Redeem);
    }
    if number % 9 == 2 {
        add(created_at + DAY * 100, By::Staff, Money::Discount);
    }
    if number % 6 == 3 {
        add(created_at + DAY * 120, by, Money::Change(plan, interval, seats + 5));
        add(created_at + DAY * 220, by, Money::Change(plan, interval, seats));
    }
    if number % 8 == 5 && plan == STARTER {
        let more = u32::try_from(users.saturating_sub(10)).unwrap_or_default();
        add(created_at + DAY * 150, By::Person(0), Money::Change(PROFESSIONAL, interval, more));
    }
    if number == 29 {
        add(ended_at - DAY * 6, By::Person(0), Money::Cancel);
    }
    bills::year(planner, (chosen_at, ended_at), payer, number);
    keys::year(planner, (created_at, chosen_at, ended_at), number);
    if plan == ENTERPRISE {
        let mut at = created_at + DAY * 20;
        while at < ended_at - DAY {
            let count = planner.random.within(200..9_000) as u64;
            planner.add(at, By::System, What::Money(Money::ApiCalls(count)));
            at += DAY;
        }
    }
}
