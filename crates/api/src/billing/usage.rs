//! What an organization uses: of a usage month, and of the months before.
//!
//! | file | what it owns |
//! |---|---|
//! | `daily.rs` | what was used day by day |
//! | `history.rs` | the days and months before |
//! | `top.rs` | who used most |

mod daily;
mod history;
mod top;

use axum::{Json, extract::State};
use jiff::{SignedDuration, Timestamp, civil::Date};
use porttask_app::billing::subscriptions::counted;
use porttask_domain::{
    OrganizationId,
    billing::{
        Subscription,
        subscription::UsageRange,
        terms::Meter,
        usage::{average_forecast, forecast, stock_forecast},
    },
    operations::port_call::PORT_CALLS,
};
use porttask_projections::billing::usage::DAY;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::{
    daily::{Daily, Day, DayUsage, utc_date, utc_dates},
    top::{ActorUsage, KeyUsage},
};
use crate::http::{
    app::App,
    document::tagged,
    permissions::{Impersonable, ReadUsage},
    problem::Problem,
    request::{Authorized, Params},
};

/// The routes of usage.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("usage", "What organizations use of the meters that plans limit.")
        .routes(routes!(get_usage))
        .routes(routes!(history::get_usage_history))
        .routes(routes!(history::get_usage_days))
        .routes(routes!(top::get_top_usage))
}

/// The usage of a month. Days are in UTC; the borders of the month are in the time zone of the subscription.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
pub(crate) struct UsageResponse {
    /// The first date of the usage month.
    #[schema(value_type = String, format = Date)]
    from: Date,
    /// The date after the last one.
    #[schema(value_type = String, format = Date)]
    until: Date,
    starts_at: Timestamp,
    /// When counters start again.
    ends_at: Timestamp,
    /// When this was read.
    as_of: Timestamp,
    meters: Vec<MeterUsage>,
    /// The API keys with the most requests on the days that are over; at most 20.
    top_keys: Vec<KeyUsage>,
    /// The users and API keys that created most port calls; at most 20.
    top_users: Vec<ActorUsage>,
    /// Each day of the month so far.
    days: Vec<DayUsage>,
    /// The days of the month before.
    days_before: Vec<DayUsage>,
}

/// The usage of a meter.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MeterUsage {
    meter: Meter,
    used: u64,
    /// Null if nothing limits it.
    limit: Option<u64>,
    /// What is included, if more is billed; null if everything is.
    included: Option<u64>,
    /// The share of the limit or of what is included, in percent.
    percent: Option<u64>,
    /// What will be used at the end of the month, if it goes on as in the last 14 days; null below three days.
    forecast: Option<i64>,
    /// The date on which the limit is reached then.
    #[schema(value_type = Option<String>, format = Date)]
    limit_reached_on: Option<Date>,
    /// What is billed beyond what is included; null if nothing is, because the plan has no price for it.
    overage: Option<MeterOverage>,
}

/// What is billed beyond what is included. Of users and storage, the time-weighted average of the month is billed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MeterOverage {
    /// How many are one unit.
    unit: u64,
    /// The price of a unit that has begun, as a decimal number of the currency.
    #[schema(example = "1.50")]
    price_per_unit: String,
    #[schema(example = "EUR")]
    currency: String,
    /// The units that have begun so far.
    units: u64,
    /// What they cost, in minor units of the currency.
    amount: i64,
    /// What will be billed at the end of the month, if it goes on as in the last 14 days; null without a forecast.
    forecast_amount: Option<i64>,
}

/// Which month is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsageParameters {
    /// A date in the usage month; today by default.
    #[serde(default)]
    #[param(value_type = Option<String>, format = Date)]
    month: Option<String>,
}

/// Get the usage of a month.
///
/// Needs `usage:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/billing/usage", tag = "usage", params(UsageParameters),
    extensions(("x-impersonable" = json!(true))), responses((status = 200, body = UsageResponse)))]
pub(crate) async fn get_usage(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadUsage>>,
    Params(UsageParameters { month }): Params<UsageParameters>,
) -> Result<Json<UsageResponse>, Problem> {
    let (organization, now) = (caller.organization, app.clock.now());
    let state = subscription(&app, organization).await?;
    let range = asked_month(&state, month.as_deref(), now)?;
    let before = month_of(&state, range.starts_at - SignedDuration::from_secs(1)).ok();
    let first = before
        .as_ref()
        .map_or(range.starts_at, |before| before.starts_at)
        .min(now - SignedDuration::from_hours(24 * 15));
    let daily = Daily::since(&app, &caller, first).await?;
    let tomorrow = utc_date(now).saturating_add(jiff::Span::new().days(1));
    let within = |range: &UsageRange| -> Vec<DayUsage> {
        let (from, until) = utc_dates(range);
        daily.days((from, until.min(tomorrow))).iter().map(|day| DayUsage::of(day, None)).collect()
    };
    Ok(Json(UsageResponse {
        from: range.from,
        until: range.until,
        starts_at: range.starts_at,
        ends_at: range.ends_at,
        as_of: now,
        meters: meters(&app, (organization, &state), &range, &daily, now).await?,
        top_keys: top::top_keys(&app, &caller, range.from).await?,
        top_users: top::top_users(&app, &caller, &range).await?,
        days: within(&range),
        days_before: before.as_ref().map(within).unwrap_or_default(),
    }))
}

async fn subscription(app: &App, organization: OrganizationId) -> Result<Subscription, Problem> {
    let (state, _) = app.executor.load::<Subscription>(organization, organization.into()).await?;
    match state.status() {
        Some(_) => Ok(state),
        None => Err(Problem::not_found("subscription")),
    }
}

/// A date such as 2026-11-27, and nothing else.
pub(super) fn date_of(parameter: &'static str, text: &str) -> Result<Date, Problem> {
    let date = text.parse::<Date>().ok().filter(|_| text.len() == "2026-11-27".len());
    date.ok_or_else(|| Problem::invalid(parameter, "must be a date such as 2026-11-27"))
}

/// The usage month of a date, or the current one.
fn asked_month(state: &Subscription, month: Option<&str>, now: Timestamp) -> Result<UsageRange, Problem> {
    let at = match month {
        None => now,
        Some(date) => instant_of(state, date_of("month", date)?)?.min(now),
    };
    month_of(state, at)
}

fn instant_of(state: &Subscription, date: Date) -> Result<Timestamp, Problem> {
    let start = date.to_zoned(state.time_zone());
    start.map(|it| it.timestamp()).map_err(|_| Problem::invalid("month", "is out of range"))
}

fn month_of(state: &Subscription, at: Timestamp) -> Result<UsageRange, Problem> {
    let month = state.usage_month(at).ok().flatten();
    month.ok_or_else(|| Problem::invalid("month", "is out of range"))
}

/// What is used of the meters in a month: now, or at its end.
async fn used(
    app: &App,
    organization: OrganizationId,
    range: &UsageRange,
    daily: &Daily,
) -> Result<[(Meter, u64); 4], Problem> {
    let port_calls = counted(&app.executor, organization, format!("{PORT_CALLS} {}", range.from)).await;
    let (_, until) = utc_dates(range);
    Ok([
        (Meter::PortCalls, port_calls.map_err(|error| Problem::unavailable(&error))?),
        (Meter::Users, daily.users_before(until)),
        (Meter::StorageBytes, daily.stored_before(until)),
        (Meter::ApiCalls, app.metering.used(organization, range.from).await?),
    ])
}

async fn meters(
    app: &App,
    (organization, state): (OrganizationId, &Subscription),
    range: &UsageRange,
    daily: &Daily,
    now: Timestamp,
) -> Result<Vec<MeterUsage>, Problem> {
    let (is_current, seconds_left) = (now < range.ends_at, range.ends_at.as_second() - now.as_second());
    let began = state.started().map_or(range.from, utc_date);
    // The full days that forecasts look back to.
    let first =
        utc_date(now - SignedDuration::from_hours(24 * 15)).max(began.saturating_add(jiff::Span::new().days(1)));
    let full = daily.days((first, utc_date(now)));
    let average = daily.average(range, now);
    let mut meters = Vec::new();
    for (meter, used) in used(app, organization, range, daily).await? {
        let (limit, included) = (state.limit(meter), state.included(meter));
        let of = |day: &Day| match meter {
            Meter::PortCalls => signed(day.port_calls),
            Meter::ApiCalls => signed(day.api_calls),
            Meter::StorageBytes => signed(day.storage_bytes),
            Meter::Users => signed(day.users),
        };
        let values: Vec<i64> = full.iter().map(of).collect();
        let forecast = match meter {
            _ if !is_current => None,
            Meter::PortCalls | Meter::ApiCalls => forecast(signed(used), &values, seconds_left).ok().flatten(),
            Meter::StorageBytes | Meter::Users => {
                stock_forecast(signed(used), &values, seconds_left / DAY).ok().flatten()
            }
        };
        let billed = match meter {
            Meter::StorageBytes | Meter::Users => {
                let average = if meter == Meter::Users { daily.average_users(range, now) } else { average };
                let total = range.ends_at.as_second() - range.starts_at.as_second();
                let at_the_end = |end| average_forecast(average, (used, end), total - seconds_left, seconds_left);
                (average, forecast.map(|it| at_the_end(it.max(0).unsigned_abs())))
            }
            _ => (used, forecast.map(|it| it.max(0).unsigned_abs())),
        };
        meters.push(MeterUsage {
            meter,
            used,
            limit,
            included: included.filter(|_| limit.is_none()),
            percent: included.filter(|it| *it > 0).map(|it| (u128::from(used) * 100 / u128::from(it)) as u64),
            forecast,
            limit_reached_on: reached_on(used, limit, forecast, seconds_left, now, state),
            overage: overage(state, meter, billed),
        });
    }
    Ok(meters)
}

/// What is billed of a meter, by what counts so far and at the end of the month.
fn overage(state: &Subscription, meter: Meter, (so_far, at_the_end): (u64, Option<u64>)) -> Option<MeterOverage> {
    // In a trial, the plan that was chosen for the time after it bills nothing yet.
    let held = state.held().filter(|_| state.limit(meter).is_none())?;
    let price = held.overage_price(meter)?;
    let (units, amount) = held.overage(meter, so_far).ok()??;
    Some(MeterOverage {
        unit: price.unit,
        price_per_unit: price.price_per_unit.to_string(),
        currency: held.currency.to_string(),
        units,
        amount,
        forecast_amount: at_the_end.and_then(|it| held.overage(meter, it).ok()?).map(|(_, amount)| amount),
    })
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The date on which a limit is reached, if usage goes on as in the forecast.
fn reached_on(
    used: u64,
    limit: Option<u64>,
    forecast: Option<i64>,
    seconds_left: i64,
    now: Timestamp,
    state: &Subscription,
) -> Option<Date> {
    let (limit, forecast, used) = (signed(limit?), forecast?, signed(used));
    if used >= limit || forecast < limit || forecast <= used {
        return None;
    }
    let seconds = i128::from(limit - used) * i128::from(seconds_left) / i128::from(forecast - used);
    let at = now.checked_add(SignedDuration::from_secs(i64::try_from(seconds).ok()?)).ok()?;
    Some(at.to_zoned(state.time_zone()).date())
}
