//! The invoices of all organizations, and what is due of them.

use std::collections::BTreeMap;

use axum::{Json, extract::State, response::Response};
use jiff::civil::Date;
use porttask_domain::OrganizationId;
use porttask_projections::{
    Change, ColumnType, Index, ReadModel, Recorded,
    billing::{
        invoice::{Invoice, Invoices, Status},
        subscription::NEVER,
    },
};
use porttask_runtime::views::{Condition, Query};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    super::all::names_of,
    bodies::{InvoiceResponse, InvoiceStatus},
    by_dates,
};
use crate::http::{
    app::App,
    listing::{Page, Sort},
    permissions::AdministerBilling,
    problem::Problem,
    request::{Authorized, List, ListFormat, ListParameters, Listed},
};

/// The same read model as [`Invoices`], listed for all organizations.
pub(crate) struct AllInvoices;

impl ReadModel for AllInvoices {
    const NAME: &'static str = Invoices::NAME;
    const VERSION: u32 = Invoices::VERSION;
    const INDEXES: &'static [Index] = Invoices::INDEXES;
    const CROSS_PARTITION_INDEXES: &'static [Index] = Invoices::CROSS_PARTITION_INDEXES;
    const FULL_TEXT_COLUMNS: &'static [&'static str] = Invoices::FULL_TEXT_COLUMNS;
    type Source = <Invoices as ReadModel>::Source;
    type Row = Invoice;

    fn project(
        row: Option<Invoice>,
        event: &porttask_domain::billing::invoice::Event,
        recorded: &Recorded,
    ) -> Change<Invoice> {
        Invoices::project(row, event, recorded)
    }
}

/// An invoice with the name of its organization.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FoundInvoice {
    #[serde(flatten)]
    pub(super) invoice: InvoiceResponse,
    #[schema(example = "Acme Ports")]
    pub(super) organization_name: Option<String>,
}

impl From<Invoice> for FoundInvoice {
    fn from(row: Invoice) -> Self {
        Self { invoice: row.into(), organization_name: None }
    }
}

/// A page of invoices of any organizations.
type FoundInvoicePage = Page<FoundInvoice>;

/// Filters of the invoices of all organizations.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct AllInvoicesFilter {
    /// Only invoices of this organization.
    pub(super) organization: Option<OrganizationId>,
    /// Only invoices with this status.
    pub(super) status: Option<InvoiceStatus>,
    /// Only invoices in this currency.
    #[param(example = "EUR")]
    pub(super) currency: Option<String>,
    /// Only invoices that were issued on this date or later.
    #[param(example = "2026-11-01")]
    pub(super) issued_from: Option<String>,
    /// Only invoices that were issued before this date.
    #[param(example = "2026-12-01")]
    pub(super) issued_until: Option<String>,
    /// Only invoices that were due before this date and are not paid.
    #[param(example = "2026-11-27")]
    pub(super) overdue_on: Option<String>,
    /// `json` (default) is in pages; `csv` contains all rows, without `limit`, `cursor` and `count`. That they were exported
    /// is recorded in the audit log.
    #[serde(default)]
    pub(super) format: ListFormat,
}

impl Listed for AllInvoices {
    type Item = FoundInvoice;
    type Filter = AllInvoicesFilter;
    const SORTS: &'static [Sort] = &[
        ("-created_at", &["created_at", "organization", "invoice"]),
        ("number", &["invoice_number", "organization", "invoice"]),
        ("total", &["total", "organization", "invoice"]),
        ("due_date", &["due_date", "organization", "invoice"]),
    ];
    const IS_OF_THE_PLATFORM: bool = true;

    fn conditions(filter: AllInvoicesFilter) -> Result<Vec<Condition>, Problem> {
        let AllInvoicesFilter { organization, status, currency, issued_from, issued_until, overdue_on, format: _ } =
            filter;
        let mut all = Vec::new();
        all.extend(organization.map(|it| Condition::Equal("organization", it.to_value())));
        all.extend(status.map(|it| Condition::Equal("status", Status::from(it).to_value())));
        all.extend(currency.map(|it| Condition::Equal("currency", it.to_value())));
        all.extend(by_dates(issued_from, issued_until, overdue_on)?);
        Ok(all)
    }

    async fn complete(
        app: &App,
        _: OrganizationId,
        mut items: Vec<FoundInvoice>,
    ) -> Result<Vec<FoundInvoice>, Problem> {
        let names = names_of(app, items.iter().map(|item| item.invoice.organization)).await?;
        for item in &mut items {
            item.organization_name = names.get(&item.invoice.organization).cloned().flatten();
        }
        Ok(items)
    }
}

/// List the invoices of all organizations.
///
/// Needs `billing:administer`.
#[utoipa::path(get, path = "/v1/platform/billing/invoices", tag = "invoices", params(ListParameters<AllInvoices>),
    responses((status = 200, description = "The invoices", content(
        (FoundInvoicePage = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list_all_invoices(
    State(app): State<App>,
    invoices: List<AdministerBilling, AllInvoices>,
) -> Result<Response, Problem> {
    invoices.answer(&app).await
}

/// What is due in a currency, by how long it has been due, in minor units.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Receivables {
    #[schema(example = "EUR")]
    currency: String,
    invoices: u64,
    /// Not overdue.
    current: u64,
    /// Overdue for 1 to 30 days.
    days_1_30: u64,
    days_31_60: u64,
    days_61_90: u64,
    days_over_90: u64,
    total: u64,
}

/// What is due of all invoices.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReceivablesByAge {
    /// The date in UTC.
    #[schema(value_type = String, format = Date)]
    on: Date,
    items: Vec<Receivables>,
}

/// How many invoices are read at a time.
const AT_ONCE: usize = 1_000;

/// Get what is due of all invoices, by currency and age.
///
/// Needs `billing:administer`.
#[utoipa::path(get, path = "/v1/platform/billing/receivables", tag = "invoices",
    responses((status = 200, body = ReceivablesByAge)))]
pub(crate) async fn get_receivables(
    State(app): State<App>,
    caller: Authorized<AdministerBilling>,
) -> Result<Json<ReceivablesByAge>, Problem> {
    caller.catch_up_everywhere(&app, Invoices::NAME).await?;
    let on = app.clock.now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let mut found: BTreeMap<String, Receivables> = BTreeMap::new();
    for partition in app.partitions().await? {
        let mut after = None;
        loop {
            // Open invoices are the first ones by the time since which something is due.
            let conditions = vec![Condition::Below("open_since", NEVER.to_value())];
            let sort = vec!["open_since", "organization", "invoice"];
            let query = Query { partition, conditions, sort, limit: AT_ONCE, after: after.take(), ..Query::default() };
            let rows = app.views.rows::<Invoices>(&query).await?;
            for row in rows.iter().filter(|row| row.status == Status::Open) {
                count(found.entry(row.currency.clone()).or_default(), row, on);
            }
            match rows.last() {
                Some(last) if rows.len() == AT_ONCE => {
                    after =
                        Some(vec![last.open_since.to_value(), last.organization.to_value(), last.invoice.to_value()]);
                }
                _ => break,
            }
        }
    }
    let items = found.into_iter().map(|(currency, it)| Receivables { currency, ..it }).collect();
    Ok(Json(ReceivablesByAge { on, items }))
}

fn count(receivables: &mut Receivables, row: &Invoice, on: Date) {
    let due_date: Date = row.due_date.parse().unwrap_or(on);
    let days = due_date.until(on).map_or(0, |span| span.get_days());
    let age = match days {
        ..=0 => &mut receivables.current,
        1..=30 => &mut receivables.days_1_30,
        31..=60 => &mut receivables.days_31_60,
        61..=90 => &mut receivables.days_61_90,
        91.. => &mut receivables.days_over_90,
    };
    *age += row.due;
    receivables.invoices += 1;
    receivables.total += row.due;
}
