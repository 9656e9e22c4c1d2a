//! Billing: plans, subscriptions, discounts and usage, and the arithmetic of prices, periods and taxes. Amounts are minor
//! units of a currency.

pub mod amount;
pub mod billing_account;
pub mod billing_document;
pub mod country;
pub mod coupon;
pub mod credit_note;
pub mod currency;
pub mod discount;
pub mod invoice;
pub mod issue;
pub mod licence;
pub mod licence_signing_key;
pub mod mrr;
pub mod number;
pub mod payment;
pub mod payment_method;
pub mod period;
pub mod plan;
pub mod postal;
pub mod proration;
pub mod quote;
pub mod schedule;
pub mod seller;
pub mod series;
pub mod settlement;
pub mod subscription;
pub mod tax;
pub mod terms;
pub mod usage;
pub mod usage_month;
pub mod vat_id;
pub mod vat_rate;

pub use self::{
    billing_account::BillingAccount, coupon::Coupon, credit_note::CreditNote, currency::Currency, invoice::Invoice,
    licence::Licence, licence_signing_key::LicenceSigningKeys, payment::Payment, payment_method::PaymentMethods,
    plan::Plan, seller::Seller, series::Series, subscription::Subscription, usage_month::UsageMonth,
};
