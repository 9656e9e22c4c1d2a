//! What a plan offers, and what a subscription holds of it: prices, features, limits.

use std::collections::BTreeSet;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Currency, amount::TooLarge, period::Interval, plan::PlanId, proration};

crate::texts! {
    /// A feature of a plan.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum Feature {
        /// API keys.
        ApiKeys = "api_keys",
        /// Invoices that are paid by bank transfer.
        InvoiceBilling = "invoice_billing",
        /// Retention periods of the organization's own choice.
        CustomRetention = "custom_retention",
        /// Single sign-on.
        Sso = "sso",
    }

    /// What is metered.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum Meter {
        /// Port calls created in a usage month; a deleted one still counts.
        PortCalls = "port_calls",
        /// Users who are invited or active.
        Users = "users",
        /// Bytes of stored documents.
        StorageBytes = "storage_bytes",
        /// Requests that an API key authenticated and that were answered.
        ApiCalls = "api_calls",
    }
}

/// What a plan costs in a currency and interval, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanPrice {
    /// The currency.
    pub currency: Currency,
    /// How often it is paid.
    pub interval: Interval,
    /// The price of the plan.
    pub price: i64,
    /// The price of an extra seat; `None` if the plan sells none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat_price: Option<i64>,
}

/// The limits of a plan; `None` means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Users who are invited or active, of a plan without seats.
    pub users: Option<u64>,
    /// Port calls created in a usage month.
    pub port_calls: Option<u64>,
    /// Bytes of stored documents.
    pub storage_bytes: Option<u64>,
    /// Requests with API keys in a usage month.
    pub api_calls: Option<u64>,
}

/// What is billed beyond the limit of a meter, which then only says what is included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overage {
    /// The meter.
    pub meter: Meter,
    /// The currency.
    pub currency: Currency,
    /// How many are one unit.
    pub unit: u64,
    /// The price of a unit that has begun, as a decimal number of the currency.
    #[serde(with = "rust_decimal::serde::str")]
    pub price_per_unit: Decimal,
}

/// The content of a plan's version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The prices, one for each currency and interval that is sold.
    pub prices: Vec<PlanPrice>,
    /// The users that the price includes.
    pub included_seats: u32,
    /// Whether the prices include tax.
    pub prices_include_tax: bool,
    /// The features.
    pub features: BTreeSet<Feature>,
    /// The limits.
    pub limits: Limits,
    /// The prices of what is used beyond limits.
    pub overage: Vec<Overage>,
    /// The days of a trial.
    pub trial_days: u32,
}

impl Offer {
    /// The price in a currency and interval; `None` if it is not sold so.
    pub fn price(&self, currency: Currency, interval: Interval) -> Option<PlanPrice> {
        self.prices.iter().copied().find(|price| price.currency == currency && price.interval == interval)
    }

    /// Whether it sells extra seats.
    pub fn sells_seats(&self) -> bool {
        self.prices.iter().any(|price| price.seat_price.is_some())
    }

    /// What is included of a meter with extra seats; `None` means everything.
    pub fn included(&self, meter: Meter, seats: u32) -> Option<u64> {
        match meter {
            Meter::PortCalls => self.limits.port_calls,
            Meter::StorageBytes => self.limits.storage_bytes,
            Meter::ApiCalls => self.limits.api_calls,
            Meter::Users if self.sells_seats() => Some(u64::from(self.included_seats) + u64::from(seats)),
            Meter::Users => self.limits.users,
        }
    }
}

/// A version of a plan, as a subscription keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The plan.
    pub plan: PlanId,
    /// Its code.
    pub code: String,
    /// Its name.
    pub name: String,
    /// The version.
    pub version: u32,
    /// Prices, features, limits.
    pub offer: Offer,
}

/// What is held: terms with extra seats, paid in an interval and a currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// The version of the plan.
    pub terms: Box<Terms>,
    /// Extra seats.
    pub seats: u32,
    /// How often it is paid.
    pub interval: Interval,
    /// The currency.
    pub currency: Currency,
}

/// There is no price for a currency and interval, or no price of seats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPrice;

impl Held {
    /// Terms with seats, if they are sold so.
    ///
    /// # Errors
    /// If they have no price in that currency and interval, or sell no seats.
    pub fn new(terms: Terms, seats: u32, interval: Interval, currency: Currency) -> Result<Self, NoPrice> {
        let price = terms.offer.price(currency, interval).ok_or(NoPrice)?;
        if seats > 0 && price.seat_price.is_none() {
            return Err(NoPrice);
        }
        Ok(Self { terms: Box::new(terms), seats, interval, currency })
    }

    /// What it costs for a full period.
    pub(super) fn full(&self) -> proration::Terms {
        let price = self.terms.offer.price(self.currency, self.interval);
        proration::Terms {
            plan: self.terms.code.clone(),
            price: price.map_or(0, |it| it.price),
            seat_price: price.and_then(|it| it.seat_price).unwrap_or_default(),
            seats: self.seats,
        }
    }

    /// Whether a full period costs nothing.
    pub fn is_free(&self) -> bool {
        self.full().full_net(&[]) == Ok(0)
    }

    /// The limit of a meter; `None` if there is none, or what is beyond it is billed.
    pub fn limit(&self, meter: Meter) -> Option<u64> {
        self.terms.offer.included(meter, self.seats).filter(|_| self.overage_price(meter).is_none())
    }

    /// The price of what is used of a meter beyond what is included.
    pub fn overage_price(&self, meter: Meter) -> Option<&Overage> {
        self.terms.offer.overage.iter().find(|it| it.meter == meter && it.currency == self.currency)
    }

    /// What usage beyond the included one costs.
    ///
    /// # Errors
    /// If the amount is too large.
    pub fn overage(&self, meter: Meter, used: u64) -> Result<Option<(u64, i64)>, TooLarge> {
        let included = self.terms.offer.included(meter, self.seats);
        let Some((overage, included)) = self.overage_price(meter).zip(included) else { return Ok(None) };
        super::usage::overage(used, included, overage.unit, overage.price_per_unit, self.currency).map(Some)
    }
}

/// The requests with API keys that a trial includes in a usage month.
const API_CALLS_IN_A_TRIAL: u64 = 10_000;

impl Terms {
    /// The terms of a trial: the limits of a plan, with every feature.
    #[must_use]
    pub fn in_trial(mut self) -> Self {
        use crate::TextEnum;
        self.offer.features = Feature::ALL.iter().copied().collect();
        self.offer.limits.api_calls = Some(API_CALLS_IN_A_TRIAL);
        self
    }
}
