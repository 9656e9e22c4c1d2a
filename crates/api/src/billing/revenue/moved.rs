//! The organizations whose revenue moved in a month.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use jiff::ToSpan;
use porttask_domain::{
    OrganizationId, TextEnum,
    billing::{
        Currency,
        mrr::{self, Moved, Movement},
        plan::PlanId,
    },
    compliance::export::{Command, Event, Format, RevenueSelection},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{super::all::names_of, Histories, month_at, month_of, too_large};
use crate::http::{
    app::App,
    permissions::AdministerBilling,
    problem::Problem,
    request::{Authorized, ListFormat, Params, whole},
};

/// How many organizations are shown; CSV contains all.
const MOST_SHOWN: usize = 200;

/// Which month, currency, plan and movement.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MrrMovementParameters {
    /// The month.
    #[param(example = "2026-11", pattern = "^[0-9]{4}-[0-9]{2}$")]
    month: String,
    /// The currency.
    #[param(value_type = String, example = "EUR")]
    currency: Currency,
    /// Only what is paid for this plan: a change to another plan is churn of it.
    plan: Option<PlanId>,
    /// Only this movement.
    movement: Option<Movement>,
    /// `json` (default) or `csv`. That it was exported as CSV is recorded in the audit log.
    #[serde(default)]
    format: ListFormat,
}

/// An organization whose revenue moved, in minor units.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MovedOrganization {
    organization: OrganizationId,
    #[schema(example = "Acme Ports")]
    organization_name: Option<String>,
    movement: Movement,
    /// At the start of the month.
    before: i64,
    /// At its end, or what is known so far.
    after: i64,
}

/// The organizations whose revenue moved in a month.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MovedOrganizations {
    /// Those with the largest differences first; at most 200.
    items: Vec<MovedOrganization>,
    /// How many there are.
    total: usize,
}

/// List the organizations whose recurring revenue moved in a month.
///
/// Needs `billing:administer`.
#[utoipa::path(get, path = "/v1/platform/billing/metrics/mrr/movements", tag = "metrics",
    params(MrrMovementParameters), responses((status = 200, description = "The organizations", content(
        (MovedOrganizations = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list_mrr_movements(
    State(app): State<App>,
    caller: Authorized<AdministerBilling>,
    Params(parameters): Params<MrrMovementParameters>,
) -> Result<Response, Problem> {
    let MrrMovementParameters { month, currency, plan, movement, format } = parameters;
    let (month, present) = (month_of("month", &month)?, month_at(app.clock.now()));
    if month > present {
        return Err(Problem::invalid("month", "must not be in the future"));
    }
    let changes = Histories::load(&app, &caller).await?.changes(currency, plan);
    let mut all = mrr::moved(month, &changes).map_err(too_large)?;
    all.retain(|it| movement.is_none_or(|movement| it.movement == movement));
    all.sort_by_key(|it| std::cmp::Reverse(it.after.abs_diff(it.before)));
    let total = all.len();
    if format == ListFormat::Json {
        all.truncate(MOST_SHOWN);
    }
    let items = named(&app, all).await?;
    if format == ListFormat::Json {
        return Ok(Json(MovedOrganizations { items, total }).into_response());
    }
    let until = month.saturating_add(1.month());
    let selection = RevenueSelection { from: month, until, currency: Some(currency), plan, movement };
    let command = Command::Take(Event::RevenueTaken { format: Format::Csv, selection });
    let names = &["organization", "organization_name", "movement", "before", "after", "currency"];
    let line = |it: MovedOrganization| {
        let name = it.organization_name.unwrap_or_default();
        let (before, after, currency) = (it.before.to_string(), it.after.to_string(), currency.to_string());
        vec![it.organization.to_string(), name, it.movement.as_str().to_owned(), before, after, currency]
    };
    whole(&app, &caller, &command, ("mrr-movements", names), items.into_iter().map(line).collect()).await
}

async fn named(app: &App, all: Vec<Moved>) -> Result<Vec<MovedOrganization>, Problem> {
    let known = |it: Moved| Some((it.organization.parse::<OrganizationId>().ok()?, it));
    let all: Vec<(OrganizationId, Moved)> = all.into_iter().filter_map(known).collect();
    let mut names = names_of(app, all.iter().map(|(organization, _)| *organization)).await?;
    let shown = |(organization, it): (OrganizationId, Moved)| MovedOrganization {
        organization,
        organization_name: names.remove(&organization).flatten(),
        movement: it.movement,
        before: it.before,
        after: it.after,
    };
    Ok(all.into_iter().map(shown).collect())
}
