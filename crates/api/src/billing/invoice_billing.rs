//! The organizations that ask for invoices that are paid by transfer.

use axum::{Json, extract::State};
use jiff::Timestamp;
use porttask_domain::OrganizationId;
use porttask_projections::billing::billing_account as view;
use porttask_runtime::views::Condition;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{
    app::App,
    document::tagged,
    listing::{Page, Sort},
    permissions::AdministerBilling,
    problem::Problem,
    request::{List, ListParameters, Listed},
};

/// The routes of requests.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("billing-account", "To whom an organization's documents are addressed, its VAT id, and how it pays.")
        .routes(routes!(list_invoice_billing_requests))
}

/// A request for invoices that are paid by transfer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InvoiceBillingRequest)]
pub(crate) struct ListedRequest {
    organization: OrganizationId,
    #[schema(example = "Acme Ports")]
    organization_name: Option<String>,
    requested_at: Timestamp,
}

impl From<view::InvoiceBillingRequest> for ListedRequest {
    fn from(row: view::InvoiceBillingRequest) -> Self {
        Self { organization: row.organization, organization_name: None, requested_at: row.requested_at }
    }
}

/// A page of requests for invoices that are paid by transfer.
type InvoiceBillingRequestPage = Page<ListedRequest>;

/// Requests have no filters.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestFilter {}

impl Listed for view::InvoiceBillingRequests {
    type Item = ListedRequest;
    type Filter = RequestFilter;
    const SORTS: &'static [Sort] = &[("requested_at", &["requested_at", "organization"])];
    const IS_OF_THE_PLATFORM: bool = true;

    fn conditions(RequestFilter {}: RequestFilter) -> Result<Vec<Condition>, Problem> {
        Ok(Vec::new())
    }

    async fn complete(
        app: &App,
        _: OrganizationId,
        mut items: Vec<ListedRequest>,
    ) -> Result<Vec<ListedRequest>, Problem> {
        for item in &mut items {
            item.organization_name = super::all::name_of(app, item.organization).await?;
        }
        Ok(items)
    }
}

/// List the organizations that ask for invoices that are paid by transfer.
///
/// Needs `billing:administer`.
#[utoipa::path(get, path = "/v1/platform/billing/invoice-billing-requests", tag = "billing-account",
    params(ListParameters<view::InvoiceBillingRequests>),
    responses((status = 200, body = InvoiceBillingRequestPage)))]
pub(crate) async fn list_invoice_billing_requests(
    State(app): State<App>,
    requests: List<AdministerBilling, view::InvoiceBillingRequests>,
) -> Result<Json<InvoiceBillingRequestPage>, Problem> {
    requests.page(&app).await
}
