//! Plans, subscriptions, discounts, usage, the seller and billing accounts.

pub mod billing_account;
pub mod coupon;
pub mod credit_note;
pub mod invoice;
pub mod licence;
pub mod payment;
pub(crate) mod payment_method;
pub mod plan;
pub mod seat;
pub mod seller;
pub mod series;
pub mod subscription;
pub mod tax_report;
pub mod usage;
pub mod usage_actor;

use crate::{Model, model};

/// The read models of the module.
pub(crate) fn models() -> Vec<Box<dyn Model>> {
    vec![
        model::<plan::Plans>(),
        model::<coupon::Coupons>(),
        model::<subscription::Subscriptions>(),
        model::<payment::Payments>(),
        model::<usage::UsageDays>(),
        model::<usage::UsageTotals>(),
        model::<invoice::Invoices>(),
        model::<credit_note::CreditNotes>(),
        model::<usage_actor::UsageActors>(),
        model::<seat::Seats>(),
        model::<seller::SellerLogos>(),
        model::<billing_account::InvoiceBillingRequests>(),
        model::<licence::Licences>(),
        model::<tax_report::TaxReport>(),
        model::<tax_report::EcSales>(),
    ]
}
