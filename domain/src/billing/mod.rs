//! Billing: the arithmetic of prices, periods, discounts and usage. Amounts are minor units of a currency.

pub mod amount;
pub mod currency;
pub mod discount;
pub mod mrr;
pub mod number;
pub mod period;
pub mod proration;
pub mod schedule;
pub mod settlement;
pub mod tax;
pub mod usage;
pub mod vat_rate;

pub use currency::Currency;
