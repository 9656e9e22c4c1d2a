//! Pages about plans, subscriptions, invoices, payments, coupons, usage, billing accounts and the seller.

pub(crate) mod account;
mod address;
pub(crate) mod all;
mod country;
pub(crate) mod coupon;
pub(crate) mod credit_note;
pub(crate) mod invoice;
pub(crate) mod licence;
pub(crate) mod payment;
pub(crate) mod payment_method;
pub(crate) mod plan;
pub(crate) mod revenue;
pub(crate) mod seller;
pub(crate) mod subscription;
pub(crate) mod tax_report;
pub(crate) mod usage;

use axum::{Router, http::StatusCode};

use crate::{Console, api::Problem, ui::frame::PLATFORM, visit::Visit};

/// The pages of this module. Those of the settings exist twice: of one's own organization, and of any for staff.
pub(crate) fn routes() -> Router<Console> {
    let settings = || {
        let paying = payment_method::settings().merge(payment::settings());
        Router::new()
            .merge(subscription::settings())
            .merge(paying)
            .merge(usage::settings())
            .merge(account::settings())
            .merge(licence::settings())
            .merge(invoice::settings())
            .merge(credit_note::settings())
    };
    Router::new()
        .merge(all::routes())
        .merge(payment::routes())
        .merge(plan::routes())
        .merge(usage::routes())
        .merge(coupon::routes())
        .merge(seller::routes())
        .merge(licence::routes())
        .merge(invoice::routes())
        .merge(credit_note::routes())
        .merge(revenue::routes())
        .merge(tax_report::routes())
        .nest("/settings", settings())
        .nest("/admin/organizations/{org}", settings())
}

/// The platform buys nothing of itself.
fn must_be_customer(visit: &Visit) -> Result<(), Problem> {
    let scope = &visit.frame.scope;
    match scope.organization == PLATFORM || (visit.frame.is_staff() && scope.is_own()) {
        true => Err(Problem::new(StatusCode::NOT_FOUND, "There is no such page.")),
        false => Ok(()),
    }
}
