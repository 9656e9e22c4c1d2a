//! Plans, coupons, subscriptions and usage. Amounts are minor units of a currency: 4900 EUR are 49.00 €.
//!
//! | file | what it owns |
//! |---|---|
//! | `account.rs` | to whom an organization's documents are addressed, and how it pays |
//! | `seller.rs`, `seller_logo.rs`, `seller_series.rs` | who issues documents, and with which numbers |
//! | `invoice_billing.rs` | who asks for invoices that are paid by transfer |
//! | `plan.rs` | the plans that the platform sells |
//! | `migration.rs` | moving subscriptions to the last version of their plan |
//! | `coupon.rs` | the coupons that organizations redeem |
//! | `subscription.rs` | the subscription of an organization |
//! | `quote.rs` | quotes in responses |
//! | `discount.rs` | the discounts of a subscription |
//! | `licence.rs` | licences for installations, and the keys that sign them |
//! | `all.rs` | the subscriptions of all organizations |
//! | `payment_method.rs` | the payment methods of an organization |
//! | `payment.rs` | the payments of an organization, and of all |
//! | `provider_event.rs` | what payment providers report |
//! | `usage_total.rs` | what all organizations use together |
//! | `invoice.rs` | the invoices of an organization |
//! | `credit_note.rs` | its credit notes, and those of all |
//! | `billing_file.rs` | the PDF and the electronic invoice |
//! | `usage.rs` | what an organization uses |
//! | `revenue.rs` | the recurring revenue of all organizations |
//! | `tax_report.rs` | what is declared to tax authorities |

mod account;
mod all;
mod billing_file;
mod coupon;
mod credit_note;
mod discount;
mod invoice;
mod invoice_billing;
mod licence;
mod migration;
mod months;
mod payment;
mod payment_method;
mod plan;
mod provider_event;
mod quote;
mod revenue;
mod seller;
mod seller_logo;
mod seller_series;
mod subscription;
mod tax_report;
mod usage;
mod usage_total;

use utoipa_axum::router::OpenApiRouter;

use crate::http::app::App;

/// The routes of the module.
pub(crate) fn routes() -> OpenApiRouter<App> {
    let routes = plan::routes().merge(migration::routes()).merge(coupon::routes()).merge(subscription::routes());
    let routes = routes.merge(payment_method::routes()).merge(payment::routes()).merge(provider_event::routes());
    routes
        .merge(discount::routes())
        .merge(all::routes())
        .merge(usage::routes())
        .merge(usage_total::routes())
        .merge(invoice::routes())
        .merge(credit_note::routes())
        .merge(account::routes())
        .merge(seller::routes())
        .merge(seller_logo::routes())
        .merge(seller_series::routes())
        .merge(licence::routes())
        .merge(invoice_billing::routes())
        .merge(revenue::routes())
        .merge(tax_report::routes())
}
