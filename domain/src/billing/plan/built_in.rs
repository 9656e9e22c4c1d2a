//! The plans that every platform has.

use super::{PlanId, Visibility};
use crate::billing::{
    Currency,
    period::Interval,
    terms::{Feature, Limits, Offer, PlanPrice},
};

/// The plans that every platform has: id, code, name, visibility and first version.
pub fn built_in() -> [(PlanId, &'static str, &'static str, Visibility, Offer); 3] {
    // A plain ISO 4217 code.
    let eur: Currency = "EUR".parse().unwrap_or_else(|_| unreachable!("EUR is a currency"));
    let offer = |price: i64, seat_price: i64, included_seats, limits, features: &[Feature]| Offer {
        prices: [(Interval::Month, 1), (Interval::Year, 10)]
            .map(|(interval, months)| PlanPrice {
                currency: eur,
                interval,
                price: price * months,
                seat_price: Some(seat_price * months),
            })
            .to_vec(),
        included_seats,
        prices_include_tax: false,
        features: features.iter().copied().collect(),
        limits,
        overage: Vec::new(),
        trial_days: 14,
    };
    let limits = |port_calls, gigabytes: u64, api_calls| Limits {
        users: None,
        port_calls,
        storage_bytes: Some(gigabytes * 1_000_000_000),
        api_calls,
    };
    let all = [Feature::ApiKeys, Feature::InvoiceBilling, Feature::CustomRetention, Feature::Sso];
    let starter = offer(4_900, 500, 3, limits(Some(50), 5, Some(0)), &[]);
    let professional = offer(14_900, 900, 10, limits(Some(500), 50, Some(0)), &[]);
    let enterprise = offer(49_900, 1_500, 25, limits(None, 500, Some(1_000_000)), &all);
    [
        (PlanId::STARTER, "starter", "Starter", Visibility::Public, starter),
        (PlanId::PROFESSIONAL, "professional", "Professional", Visibility::Public, professional),
        (PlanId::ENTERPRISE, "enterprise", "Enterprise", Visibility::Private, enterprise),
    ]
}
