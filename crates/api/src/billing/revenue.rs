//! The recurring revenue of all organizations: its movements by month, and the organizations behind them.
//!
//! | file | what it owns |
//! |---|---|
//! | `month.rs` | the movements of a month in responses |
//! | `moved.rs` | the organizations that moved in a month |

mod month;
mod moved;

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use porttask_domain::{
    OrganizationId,
    billing::{
        Currency,
        mrr::{self, Change, History},
        plan::PlanId,
    },
    compliance::export::{Command, Event, Format, RevenueSelection},
};
use porttask_projections::{ColumnType, ReadModel, billing::subscription::Subscriptions};
use porttask_runtime::views::Query;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::month::MrrMonth;
use super::months::{month_of, name_of};
use crate::http::{
    app::App,
    document::tagged,
    permissions::AdministerBilling,
    problem::Problem,
    request::{Authorized, ListFormat, Params, whole},
};

/// The routes of revenue.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("metrics", "The recurring revenue of all organizations.")
        .routes(routes!(get_mrr))
        .routes(routes!(moved::list_mrr_movements))
}

/// How many months are shown if no range is asked for, and the most.
const MONTHS: i32 = 12;
const MOST_MONTHS: i32 = 60;
/// How many subscriptions are read at a time.
const AT_ONCE: usize = 1_000;

/// Which months, currency and plan.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MrrParameters {
    /// The first month; by default, 12 months are shown.
    #[param(example = "2026-01", pattern = "^[0-9]{4}-[0-9]{2}$")]
    from: Option<String>,
    /// The month after the last one; by default, the next one: the last one is the present month.
    #[param(example = "2026-12", pattern = "^[0-9]{4}-[0-9]{2}$")]
    until: Option<String>,
    /// Only this currency.
    #[param(value_type = Option<String>, example = "EUR")]
    currency: Option<Currency>,
    /// Only what is paid for this plan: a change to another plan is churn of it.
    plan: Option<PlanId>,
    /// `json` (default) or `csv`. That it was exported as CSV is recorded in the audit log.
    #[serde(default)]
    format: ListFormat,
}

/// The recurring revenue of all organizations, by currency and month.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MrrReport {
    /// When this was read.
    as_of: Timestamp,
    /// By currency; amounts of different currencies are never added.
    items: Vec<MrrOfCurrency>,
}

/// The recurring revenue in a currency.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MrrOfCurrency {
    #[schema(value_type = String, example = "EUR")]
    currency: Currency,
    /// The first one first.
    months: Vec<MrrMonth>,
}

/// The first day of the month of an instant in UTC.
fn month_at(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date().first_of_month()
}

fn too_large<E>(_: E) -> Problem {
    Problem::invalid("until", "an amount is too large: ask for one plan at a time")
}

impl MrrParameters {
    /// The first days of the first month and of the one after the last.
    fn range(&self, now: Timestamp) -> Result<(Date, Date), Problem> {
        let next = month_at(now).saturating_add(1.month());
        let until = self.until.as_deref().map_or(Ok(next), |text| month_of("until", text))?;
        let default = until.saturating_sub(MONTHS.months());
        let from = self.from.as_deref().map_or(Ok(default), |text| month_of("from", text))?;
        if until > next {
            let latest = name_of(next);
            return Err(Problem::invalid("until", format!("must not be after {latest}: later months are not known")));
        }
        if from >= until {
            return Err(Problem::invalid("from", "must be before `until`"));
        }
        if from < until.saturating_sub(MOST_MONTHS.months()) {
            return Err(Problem::invalid("from", format!("must be at most {MOST_MONTHS} months before `until`")));
        }
        Ok((from, until))
    }
}

/// What all organizations paid when.
pub(super) struct Histories(Vec<(OrganizationId, History)>);

impl Histories {
    /// Reads them, as of what the caller has done.
    pub(super) async fn load(app: &App, caller: &Authorized<AdministerBilling>) -> Result<Self, Problem> {
        caller.catch_up_everywhere(app, Subscriptions::NAME).await?;
        let mut all = Vec::new();
        for partition in app.partitions().await? {
            let mut after = None;
            loop {
                let sort = vec!["organization"];
                let query = Query { partition, sort, limit: AT_ONCE, after: after.take(), ..Query::default() };
                let rows = app.views.rows::<Subscriptions>(&query).await?;
                all.extend(rows.iter().map(|row| (row.organization, row.revenue())));
                match rows.last() {
                    Some(last) if rows.len() == AT_ONCE => after = Some(vec![last.organization.to_value()]),
                    _ => break,
                }
            }
        }
        Ok(Self(all))
    }

    fn currencies(&self) -> BTreeSet<Currency> {
        self.0.iter().flat_map(|(_, history)| history.currencies()).collect()
    }

    /// The changes in a currency, and of a plan if one is given.
    pub(super) fn changes(&self, currency: Currency, plan: Option<PlanId>) -> Vec<Change> {
        let of = |(organization, history): &(OrganizationId, History)| {
            history.changes(&organization.to_string(), currency, plan)
        };
        self.0.iter().flat_map(of).collect()
    }
}

/// Get the recurring revenue of all organizations by month.
///
/// Months are in UTC, amounts in minor units, shares in basis points. Needs `billing:administer`.
#[utoipa::path(get, path = "/v1/platform/billing/metrics/mrr", tag = "metrics", params(MrrParameters),
    responses((status = 200, description = "The revenue by currency and month", content(
        (MrrReport = "application/json"), (String = "text/csv")))))]
pub(crate) async fn get_mrr(
    State(app): State<App>,
    caller: Authorized<AdministerBilling>,
    Params(parameters): Params<MrrParameters>,
) -> Result<Response, Problem> {
    let as_of = app.clock.now();
    let (from, until) = parameters.range(as_of)?;
    let MrrParameters { currency, plan, format, .. } = parameters;
    let histories = Histories::load(&app, &caller).await?;
    let currencies = currency.map_or_else(|| histories.currencies(), |currency| [currency].into());
    let months: Vec<Date> = from.series(1.month()).take_while(|month| *month < until).collect();
    let mut found = BTreeMap::new();
    for currency in currencies {
        let all = mrr::report(&months, &histories.changes(currency, plan)).map_err(too_large)?;
        let month = |(month, all)| MrrMonth::new(month, all, month_at(as_of));
        let shown: Result<Vec<MrrMonth>, _> = months.iter().copied().zip(&all).map(month).collect();
        found.insert(currency, shown.map_err(too_large)?);
    }
    if format == ListFormat::Csv {
        let selection = RevenueSelection { from, until, currency, plan, movement: None };
        let command = Command::Take(Event::RevenueTaken { format: Format::Csv, selection });
        let lines = found.iter().flat_map(|(currency, months)| months.iter().map(|it| it.fields(*currency)));
        return whole(&app, &caller, &command, ("mrr", &month::NAMES), lines.collect()).await;
    }
    let items = found.into_iter().map(|(currency, months)| MrrOfCurrency { currency, months }).collect();
    Ok(Json(MrrReport { as_of, items }).into_response())
}
