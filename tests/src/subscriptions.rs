//! Subscriptions with limits that tests choose.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use porttask_domain::{
    Actor, Meta, OrganizationId, TextEnum,
    billing::{
        Subscription,
        period::Interval,
        plan::built_in,
        quote::Used,
        subscription::{ChangeId, ChangeTerms, Command, EndReason, SubscriptionId},
        terms::{Feature, Held, Limits, Terms},
    },
};
use porttask_runtime::{
    execute::{Request, Tx},
    new_id,
};

use crate::Node;

/// A time zone in which it is about noon, so that no day ends while a test runs.
pub fn noon_zone() -> String {
    let hours = 12 - i32::from(Timestamp::now().to_zoned(TimeZone::UTC).hour());
    // The names have the sign of POSIX.
    match hours {
        0 => "UTC".to_owned(),
        _ => format!("Etc/GMT{:+}", -hours),
    }
}

impl Node {
    /// Subscribes an organization to a plan with these limits and every feature, at once, with days in this zone.
    pub async fn subscribe(&self, organization: OrganizationId, limits: Limits, zone: &str) {
        let (plan, code, name, _, mut offer) = built_in()[1].clone();
        (offer.limits, offer.features) = (limits, Feature::ALL.iter().copied().collect());
        // Without a price of seats, the limit of users holds.
        offer.prices.iter_mut().for_each(|price| price.seat_price = None);
        let terms = Terms { plan, code: code.to_owned(), name: name.to_owned(), version: 1, offer };
        let to = Held::new(terms.clone(), 0, Interval::Month, "EUR".parse().unwrap()).unwrap();
        let (terms, to, zone) = (&terms, &to, &zone);
        let (change, id): (ChangeId, SubscriptionId) = (new_id(), organization.into());
        let request = Request::new(organization, Meta::by(Actor::Operator));
        let subscribe = move |tx: Tx| async move {
            let now = tx.now();
            let start = Command::StartTrial {
                terms: terms.clone(),
                zone: (*zone).to_owned(),
                created_at: now,
                trial_ends_at: now + SignedDuration::from_hours(14 * 24),
            };
            // A trial that began before has other limits and another zone.
            let zone = Command::ChangeZone { zone: zone.parse().unwrap() };
            let (quote, used, to) = (None, Used::default(), to.clone());
            let change =
                ChangeTerms { to, effective: None, quote, is_gated: false, balance: 0, change, used, tax: None, now };
            let end = Command::End { why: EndReason::Canceled, now };
            tx.decide_all::<Subscription>(id, &[start, zone, end, Command::Change(Box::new(change))]).await
        };
        self.executor.transact(&request, subscribe).await.unwrap();
    }
}
