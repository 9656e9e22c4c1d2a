//! Events of the seller.

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Profile, Scheme};
use crate::billing::Currency;

/// A registration for tax.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// The country.
    pub country: String,
    /// What it is for.
    pub scheme: Scheme,
    /// The VAT id under it, in canonical form.
    pub vat_id: String,
    /// The first date on which it holds.
    pub from: Date,
}

/// Events of the seller. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// The profile changed.
    #[serde(rename = "seller.profile_changed.v1")]
    ProfileChanged {
        /// What it was.
        from: Box<Profile>,
        /// What it is.
        to: Box<Profile>,
    },
    /// A registration was added.
    #[serde(rename = "seller.registration_added.v1")]
    RegistrationAdded(Registration),
    /// A registration was removed.
    #[serde(rename = "seller.registration_removed.v1")]
    RegistrationRemoved(Registration),
    /// The standard rate of a country was set.
    #[serde(rename = "seller.tax_rate_set.v1")]
    TaxRateSet {
        /// The country.
        country: String,
        /// The rate in percent.
        #[serde(with = "rust_decimal::serde::str")]
        rate: Decimal,
        /// The first date.
        from: Date,
    },
    /// An exchange rate was set.
    #[serde(rename = "seller.exchange_rate_set.v1")]
    ExchangeRateSet {
        /// The date of the rate.
        date: Date,
        /// The other currency.
        currency: Currency,
        /// How much of the accounting currency one unit of it is.
        #[serde(with = "rust_decimal::serde::str")]
        rate: Decimal,
        /// Who published it.
        source: String,
    },
}
