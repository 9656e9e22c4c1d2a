//! Billing: the arithmetic of prices, periods, discounts and usage. Amounts are minor units of a currency.

pub mod amount;
pub mod currency;
pub mod discount;
pub mod mrr;
pub mod period;
pub mod proration;
pub mod schedule;
pub mod usage;

pub use currency::Currency;
