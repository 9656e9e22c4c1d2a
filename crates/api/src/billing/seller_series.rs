//! The series of numbers of the seller's documents: where they stand, and how they go on after a restore.

use axum::{Json, extract::State};
use jiff::civil::Date;
use porttask_app::billing::invoices::issuing::{continue_series, today};
use porttask_domain::{
    OrganizationId, Reason,
    billing::{Seller, Series, number::printed, quote::DocumentKind, seller::SellerId, series::SeriesId},
    identity::Capability,
};
use porttask_runtime::execute::Tx;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{
    app::App,
    document::tagged,
    permissions::AdministerBilling,
    problem::Problem,
    request::{Authorized, CommandParameters, CommandRequest, Id},
    response::CommandResult,
};

/// The routes of the series.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("seller", "The legal entity that issues documents: profile, registrations, rates.")
        .routes(routes!(list_number_series))
        .routes(routes!(continue_number_series))
}

/// A series of numbers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NumberSeries {
    id: SeriesId,
    kind: DocumentKind,
    #[schema(example = "PT")]
    prefix: String,
    #[schema(value_type = i32, example = 2026)]
    year: i16,
    /// The last number that was assigned or sent out; 0 if there is none.
    last_number: u64,
    /// The date of issue of the last document.
    #[schema(value_type = Option<String>, format = Date)]
    last_issue_date: Option<Date>,
    /// The number of the next document, as it is printed.
    #[schema(example = "PT-2026-000042")]
    next_number: String,
}

/// The series of the present prefix.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NumberSeriesList {
    /// Of this year and of the year before.
    items: Vec<NumberSeries>,
}

/// The series of the present prefix, of this year and of the year before.
fn named(seller: &Seller, today: Date) -> Vec<(SeriesId, DocumentKind, String, i16)> {
    let kinds =
        [(DocumentKind::Invoice, seller.invoice_prefix()), (DocumentKind::CreditNote, seller.credit_note_prefix())];
    let of = |year: i16| kinds.clone().map(|(kind, prefix)| (SeriesId::new(&prefix, year), kind, prefix, year));
    [today.year(), today.year() - 1].into_iter().flat_map(of).collect()
}

/// List the series of numbers of invoices and credit notes.
///
/// Needs `billing:administer`.
#[utoipa::path(get, path = "/v1/platform/billing/seller/series", tag = "seller",
    responses((status = 200, body = NumberSeriesList)))]
pub(crate) async fn list_number_series(
    State(app): State<App>,
    _caller: Authorized<AdministerBilling>,
) -> Result<Json<NumberSeriesList>, Problem> {
    let platform = OrganizationId::PLATFORM;
    let (seller, _) = app.executor.load::<Seller>(platform, SellerId::PLATFORM).await?;
    let zone = seller.zone().unwrap_or(jiff::tz::TimeZone::UTC);
    let mut items = Vec::new();
    for (id, kind, prefix, year) in named(&seller, app.clock.now().to_zoned(zone).date()) {
        let (series, _) = app.executor.load::<Series>(platform, id).await?;
        let (last_number, last_issue_date) = (series.last(), series.last_date());
        let next_number = printed(&prefix, Date::constant(year, 1, 1), last_number + 1);
        items.push(NumberSeries { id, kind, prefix, year, last_number, last_issue_date, next_number });
    }
    Ok(Json(NumberSeriesList { items }))
}

/// Where a series goes on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeriesContinuation {
    /// The last number that was sent out: 41 for `PT-2026-000041`.
    #[schema(minimum = 1, maximum = 999_999_999, example = 41)]
    last_number: u64,
    /// Recorded in the audit log; up to 500 characters.
    #[schema(value_type = String, max_length = 500, example = "restored the backup of Monday")]
    reason: Reason,
}

/// Continue a series behind the last number that was sent out.
///
/// After a restore from a backup, so that no number is assigned twice. A series never goes back. Needs
/// `billing:administer`, and an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/platform/billing/seller/series/{series}/continue", tag = "seller",
    params(CommandParameters), request_body = SeriesContinuation, responses((status = 200, body = CommandResult)))]
pub(crate) async fn continue_number_series(
    State(app): State<App>,
    series: Id<Series>,
    request: CommandRequest<AdministerBilling, SeriesContinuation>,
) -> Result<CommandResult, Problem> {
    request.must_have_key()?;
    let (id, request) = (series.get()?, request.needing(Capability::Settle));
    let SeriesContinuation { last_number, reason } = &request.body;
    let work = move |tx: Tx| async move {
        let seller: Seller = tx.read(SellerId::PLATFORM).await?;
        let found = named(&seller, today(&tx).await?).into_iter().find(|(known, ..)| *known == id);
        let (_, _, prefix, year) = found.ok_or_else(Id::<Series>::not_found)?;
        Ok(continue_series(&tx, &prefix, year, *last_number, reason.clone()).await?)
    };
    request.run::<Series, _>(&app, id, work).await
}
