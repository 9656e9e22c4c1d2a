//! Whether an issued invoice follows from the events that it names.

use axum::{Json, extract::State};
use porttask_app::billing::invoices::verifying::{self, Difference};
use porttask_domain::billing::{Invoice, billing_document::InvoiceId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::{
    app::App,
    permissions::{Impersonable, ReadBilling},
    problem::Problem,
    request::{Authorized, Id},
};

/// Something that is calculated otherwise than it was issued.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvoiceDifference {
    /// What, such as `lines/1/net`.
    #[schema(example = "lines/1/net")]
    place: String,
    issued: String,
    calculated: String,
}

impl From<Difference> for InvoiceDifference {
    fn from(difference: Difference) -> Self {
        let Difference { place, issued, calculated } = difference;
        Self { place, issued, calculated }
    }
}

/// The recalculation of an invoice.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvoiceRecalculation {
    invoice: InvoiceId,
    /// The version of the arithmetic.
    rules: u32,
    /// Whether nothing differs.
    matches: bool,
    differences: Vec<InvoiceDifference>,
}

/// Recalculate an invoice from the events that its lines name, and compare each line, group and total.
///
/// Needs `billing:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/billing/invoices/{invoice}/recalculation", tag = "invoices",
    extensions(("x-impersonable" = json!(true))), responses((status = 200, body = InvoiceRecalculation)))]
pub(crate) async fn recalculate_invoice(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadBilling>>,
    invoice: Id<Invoice>,
) -> Result<Json<InvoiceRecalculation>, Problem> {
    let id = invoice.get()?;
    let (state, _) = app.executor.load::<Invoice>(caller.organization, id).await?;
    let issued = state.existing().and_then(|it| it.issued()).ok_or_else(Id::<Invoice>::not_found)?;
    let found = verifying::differences(&app.executor, caller.organization, id, issued).await?;
    let (rules, matches) = (issued.document.rules, found.is_empty());
    let differences = found.into_iter().map(Into::into).collect();
    Ok(Json(InvoiceRecalculation { invoice: id, rules, matches, differences }))
}
