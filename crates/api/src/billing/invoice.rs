//! The invoices of an organization.
//!
//! | file | what it owns |
//! |---|---|
//! | `bodies.rs` | an invoice in responses |
//! | `pay.rs` | paying one |
//! | `staff.rs` | drafts, transfers, credit notes, void, correction: for staff |
//! | `exported.rs` | invoices as CSV |
//! | `archive.rs` | the PDFs of a range of dates as a ZIP file |
//! | `all.rs` | the invoices of all organizations, and what is due |
//! | `recalculation.rs` | whether an invoice follows from its sources |

mod all;
mod archive;
pub(super) mod bodies;
mod exported;
mod pay;
mod recalculation;
mod staff;

use axum::{extract::State, response::Response};
use jiff::tz::TimeZone;
use porttask_app::billing::invoices::rendering::Wanted;
use porttask_domain::{
    OrganizationId,
    billing::{
        BillingAccount, Invoice, Seller, billing_account::BillingAccountId, period::local_date, seller::SellerId,
    },
};
use porttask_projections::{ColumnType, billing::invoice as view};
use porttask_runtime::views::Condition;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::bodies::{InvoiceDetail, InvoiceResponse, InvoiceStatus};
use super::billing_file::{self, FileKind};
use crate::http::{
    app::App,
    document::tagged,
    listing::{Page, Sort},
    permissions::{Impersonable, ReadBilling},
    problem::Problem,
    request::{Authorized, Id, List, ListFormat, ListParameters, Listed, Resource},
};

/// The routes of invoices.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("invoices", "Invoices and credit notes of organizations.")
        .routes(routes!(list_invoices, staff::draft_invoice))
        .routes(routes!(get_invoice, staff::change_invoice_draft))
        .routes(routes!(get_invoice_pdf))
        .routes(routes!(get_invoice_xml))
        .routes(routes!(archive::get_invoice_archive))
        .routes(routes!(recalculation::recalculate_invoice))
        .routes(routes!(pay::pay_invoice))
        .routes(routes!(staff::issue_invoice))
        .routes(routes!(staff::discard_invoice_draft))
        .routes(routes!(staff::mark_invoice_paid))
        .routes(routes!(staff::void_invoice))
        .routes(routes!(staff::credit_invoice))
        .routes(routes!(staff::correct_invoice))
        .routes(routes!(staff::mark_invoice_uncollectible))
        .routes(routes!(all::list_all_invoices))
        .routes(routes!(all::get_receivables))
}

/// Filters of invoices.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvoiceFilter {
    /// Only invoices with this status.
    status: Option<InvoiceStatus>,
    /// Only invoices in this currency.
    #[param(example = "EUR")]
    currency: Option<String>,
    /// Only invoices that were issued on this date or later.
    #[param(example = "2026-11-01")]
    issued_from: Option<String>,
    /// Only invoices that were issued before this date.
    #[param(example = "2026-12-01")]
    issued_until: Option<String>,
    /// Only invoices that were due before this date and are not paid.
    #[param(example = "2026-11-27")]
    overdue_on: Option<String>,
    /// `json` (default) is in pages; `csv` contains all rows, without `limit`, `cursor` and `count`. That they were exported
    /// is recorded in the audit log.
    #[serde(default)]
    format: ListFormat,
}

impl InvoiceFilter {
    fn conditions(self) -> Result<Vec<Condition>, Problem> {
        let Self { status, currency, issued_from, issued_until, overdue_on, format: _ } = self;
        let mut all = Vec::new();
        all.extend(status.map(|it| Condition::Equal("status", view::Status::from(it).to_value())));
        all.extend(currency.map(|it| Condition::Equal("currency", it.to_value())));
        all.extend(by_dates(issued_from, issued_until, overdue_on)?);
        Ok(all)
    }
}

/// The conditions of the dates in a filter.
fn by_dates(
    issued_from: Option<String>,
    issued_until: Option<String>,
    overdue_on: Option<String>,
) -> Result<Vec<Condition>, Problem> {
    for (name, value) in [("issued_from", &issued_from), ("issued_until", &issued_until), ("overdue_on", &overdue_on)] {
        let is_date = value.as_ref().is_none_or(|it| it.parse::<jiff::civil::Date>().is_ok());
        if !is_date {
            return Err(Problem::invalid(name, "must be a date such as 2026-11-27"));
        }
    }
    let mut all = Vec::new();
    // A draft has no date, which is before all dates.
    let issued_from = issued_from.or_else(|| issued_until.as_ref().map(|_| "0000-01-01".to_owned()));
    all.extend(issued_from.map(|it| Condition::AtLeast("issue_date", it.to_value())));
    all.extend(issued_until.map(|it| Condition::Below("issue_date", it.to_value())));
    if let Some(date) = overdue_on {
        all.push(Condition::Equal("status", view::Status::Open.to_value()));
        all.push(Condition::Below("due_date", date.to_value()));
    }
    Ok(all)
}

const SORTS: &[Sort] = &[
    ("-created_at", &["created_at", "invoice"]),
    ("number", &["invoice_number", "invoice"]),
    ("total", &["total", "invoice"]),
    ("due_date", &["due_date", "invoice"]),
];

impl Listed for view::Invoices {
    type Item = InvoiceResponse;
    type Filter = InvoiceFilter;
    const SORTS: &'static [Sort] = SORTS;

    fn conditions(filter: InvoiceFilter) -> Result<Vec<Condition>, Problem> {
        filter.conditions()
    }
}

/// A page of invoices.
type InvoicePage = Page<InvoiceResponse>;

/// List invoices.
///
/// Needs `billing:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/billing/invoices", tag = "invoices",
    extensions(("x-impersonable" = json!(true))), params(ListParameters<view::Invoices>),
    responses((status = 200, description = "The invoices", content(
        (InvoicePage = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list_invoices(
    State(app): State<App>,
    invoices: List<Impersonable<ReadBilling>, view::Invoices>,
) -> Result<Response, Problem> {
    invoices.answer(&app).await
}

/// Get an invoice, with its lines and what became of it.
///
/// Needs `billing:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/billing/invoices/{invoice}", tag = "invoices",
    extensions(("x-impersonable" = json!(true))), responses((status = 200, body = InvoiceDetail)))]
pub(crate) async fn get_invoice(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadBilling>>,
    invoice: Id<Invoice>,
) -> Result<Resource<InvoiceDetail>, Problem> {
    let id = invoice.get()?;
    let (state, version) = app.executor.load::<Invoice>(caller.organization, id).await?;
    let existing = state.existing().ok_or_else(Id::<Invoice>::not_found)?;
    let account = BillingAccountId::from(caller.organization);
    let (account, _) = app.executor.load::<BillingAccount>(caller.organization, account).await?;
    let (seller, _) = app.executor.load::<Seller>(OrganizationId::PLATFORM, SellerId::PLATFORM).await?;
    let today = local_date(app.clock.now(), &seller.zone().unwrap_or(TimeZone::UTC));
    let shown = InvoiceDetail::new(caller.organization, id, existing, &account, today, version.0);
    caller.shows_items(std::slice::from_ref(&shown));
    Ok(Resource::new(shown, Some(version.0)))
}

/// Download the PDF of an invoice.
///
/// A PDF/A-3b that carries the electronic invoice (Factur-X, EN 16931). 202 while it is rendered. Needs `billing:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/billing/invoices/{invoice}/pdf", tag = "invoices",
    extensions(("x-impersonable" = json!(true))),
    responses((status = 200, content_type = "application/pdf"), (status = 202, description = "It is being rendered.")))]
pub(crate) async fn get_invoice_pdf(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadBilling>>,
    invoice: Id<Invoice>,
) -> Result<Response, Problem> {
    file(&app, &caller, &invoice, FileKind::Pdf).await
}

/// Download the electronic invoice: UN/CEFACT CII of EN 16931.
///
/// 202 while it is rendered. Needs `billing:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/billing/invoices/{invoice}/xml", tag = "invoices",
    extensions(("x-impersonable" = json!(true))),
    responses((status = 200, content_type = "application/xml"), (status = 202, description = "It is being rendered.")))]
pub(crate) async fn get_invoice_xml(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadBilling>>,
    invoice: Id<Invoice>,
) -> Result<Response, Problem> {
    file(&app, &caller, &invoice, FileKind::Xml).await
}

async fn file(
    app: &App,
    caller: &Authorized<Impersonable<ReadBilling>>,
    invoice: &Id<Invoice>,
    kind: FileKind,
) -> Result<Response, Problem> {
    let id = invoice.get()?;
    let (state, _) = app.executor.load::<Invoice>(caller.organization, id).await?;
    let issued = state.existing().and_then(|it| it.issued()).ok_or_else(Id::<Invoice>::not_found)?;
    let document = (issued.document.number.as_str(), Wanted::Invoice(id));
    billing_file::send(app, caller.organization, issued.pdf.as_ref(), document, kind).await
}
