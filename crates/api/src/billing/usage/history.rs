//! What was used on the days and in the months before.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use jiff::{SignedDuration, Timestamp, ToSpan, civil::Date, tz::TimeZone};
use porttask_app::billing::subscriptions::counted;
use porttask_domain::{
    billing::{Subscription, subscription::UsageRange, terms::Meter},
    compliance::export::{Command, Event, Format, UsageReport, UsageSelection},
    operations::port_call::PORT_CALLS,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    daily::{Daily, DayUsage, MOST_DAYS, utc_date, utc_dates},
    date_of, month_of, subscription,
};
use crate::http::{
    app::App,
    permissions::{Impersonable, ReadUsage},
    problem::Problem,
    request::{Authorized, ListFormat, Params, whole},
};

/// How many months are shown.
const MOST_MONTHS: usize = 24;
/// How many days are shown if no range is asked for.
const DAYS: i32 = 30;

/// The usage of the months so far.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageHistory {
    /// The last one first; at most 24.
    items: Vec<MonthUsage>,
}

/// The usage of a month. If one meter is asked for, the others are left out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MonthUsage {
    #[schema(value_type = String, format = Date)]
    from: Date,
    /// The date after the last one.
    #[schema(value_type = String, format = Date)]
    until: Date,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    port_calls: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    api_calls: Option<u64>,
    /// The time-weighted average of bytes stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    storage_bytes_average: Option<u64>,
    /// The bytes at its end, or now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    storage_bytes: Option<u64>,
    /// Users who are invited or active at its end, or now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    users: Option<u64>,
}

/// Which meter and range.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryParameters {
    /// Only this meter.
    meter: Option<Meter>,
    /// Only what ends after this date.
    #[param(value_type = Option<String>, format = Date)]
    from: Option<String>,
    /// Only what begins before this date.
    #[param(value_type = Option<String>, format = Date)]
    until: Option<String>,
    /// `json` (default) or `csv`. That it was exported as CSV is recorded in the audit log.
    #[serde(default)]
    format: ListFormat,
}

impl HistoryParameters {
    fn range(&self) -> Result<(Option<Date>, Option<Date>), Problem> {
        let date = |name, text: &Option<String>| text.as_deref().map(|text| date_of(name, text)).transpose();
        let (from, until) = (date("from", &self.from)?, date("until", &self.until)?);
        match (from, until) {
            (Some(from), Some(until)) if until <= from => Err(Problem::invalid("until", "must be after `from`")),
            range => Ok(range),
        }
    }

    fn export(&self, report: UsageReport, (from, until): (Option<Date>, Option<Date>)) -> Command {
        let selection = UsageSelection { report, meter: self.meter, from, until };
        Command::Take(Event::UsageTaken { format: Format::Csv, selection })
    }
}

fn text(value: Option<u64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// Get the usage of the last 24 months.
///
/// Needs `usage:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/billing/usage/history", tag = "usage", params(HistoryParameters),
    extensions(("x-impersonable" = json!(true))), responses((status = 200, description = "The usage by month", content(
        (UsageHistory = "application/json"), (String = "text/csv")))))]
pub(crate) async fn get_usage_history(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadUsage>>,
    Params(parameters): Params<HistoryParameters>,
) -> Result<Response, Problem> {
    let (organization, now) = (caller.organization, app.clock.now());
    let (from, until) = parameters.range()?;
    let state = subscription(&app, organization).await?;
    let ranges = months(&state, now)?;
    let daily = Daily::since(&app, &caller, ranges.last().map_or(now, |range| range.starts_at)).await?;
    let created = utc_date(state.started().unwrap_or(now));
    let only = |one: Meter, value: u64| Some(value).filter(|_| parameters.meter.is_none_or(|meter| meter == one));
    let mut items = Vec::new();
    for range in &ranges {
        let is_in_range = from.is_none_or(|from| from < range.until) && until.is_none_or(|until| range.from < until);
        if range.until <= created || !is_in_range {
            continue;
        }
        let counter = counted(&app.executor, organization, format!("{PORT_CALLS} {}", range.from)).await;
        let dates = utc_dates(range);
        items.push(MonthUsage {
            from: range.from,
            until: range.until,
            port_calls: only(Meter::PortCalls, counter.map_err(|error| Problem::unavailable(&error))?),
            api_calls: only(Meter::ApiCalls, daily.api_calls(dates)),
            storage_bytes_average: only(Meter::StorageBytes, daily.average(range, now)),
            storage_bytes: only(Meter::StorageBytes, daily.stored_before(dates.1)),
            users: only(Meter::Users, daily.users_before(dates.1)),
        });
    }
    if parameters.format == ListFormat::Json {
        return Ok(Json(UsageHistory { items }).into_response());
    }
    let command = parameters.export(UsageReport::Months, (from, until));
    let names = &["from", "until", "port_calls", "api_calls", "storage_bytes_average", "storage_bytes", "users"];
    let lines = items.into_iter().map(|it| {
        let values = [it.port_calls, it.api_calls, it.storage_bytes_average, it.storage_bytes, it.users];
        [it.from.to_string(), it.until.to_string()].into_iter().chain(values.map(text)).collect()
    });
    whole(&app, &caller, &command, ("usage-months", names), lines.collect()).await
}

/// The usage months so far, the last one first.
fn months(state: &Subscription, now: Timestamp) -> Result<Vec<UsageRange>, Problem> {
    let mut ranges = vec![month_of(state, now)?];
    while let Some(last) = ranges.last().filter(|_| ranges.len() < MOST_MONTHS) {
        let Ok(before) = month_of(state, last.starts_at - SignedDuration::from_secs(1)) else { break };
        if before.ends_at > last.starts_at {
            break;
        }
        ranges.push(before);
    }
    Ok(ranges)
}

/// The usage of days.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageDays {
    /// When this was read.
    as_of: Timestamp,
    /// The first one first.
    items: Vec<DayUsage>,
}

/// Get the usage of days.
///
/// Days are in UTC. Without `from` and `until`, those of the last 30 days; at most 800 at a time. Needs `usage:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/billing/usage/days", tag = "usage", params(HistoryParameters),
    extensions(("x-impersonable" = json!(true))), responses((status = 200, description = "The usage by day", content(
        (UsageDays = "application/json"), (String = "text/csv")))))]
pub(crate) async fn get_usage_days(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadUsage>>,
    Params(parameters): Params<HistoryParameters>,
) -> Result<Response, Problem> {
    let now = app.clock.now();
    let asked = parameters.range()?;
    let state = subscription(&app, caller.organization).await?;
    let (created, tomorrow) = (utc_date(state.started().unwrap_or(now)), utc_date(now).saturating_add(1.day()));
    let until = asked.1.unwrap_or(tomorrow).min(tomorrow);
    let from = asked.0.unwrap_or_else(|| until.saturating_sub(DAYS.days())).max(created);
    let oldest = tomorrow.saturating_sub((MOST_DAYS as i32).days());
    if asked.0.is_some_and(|from| from < oldest) && created < oldest {
        return Err(Problem::invalid("from", format!("must be at most {MOST_DAYS} days ago")));
    }
    let since = from.to_zoned(TimeZone::UTC).map_or(now, |it| it.timestamp());
    let days = Daily::since(&app, &caller, since.min(now)).await?.days((from, until));
    let items: Vec<DayUsage> = days.iter().map(|day| DayUsage::of(day, parameters.meter)).collect();
    if parameters.format == ListFormat::Json {
        return Ok(Json(UsageDays { as_of: now, items }).into_response());
    }
    let command = parameters.export(UsageReport::Days, asked);
    let names = &["day", "port_calls", "api_calls", "storage_bytes", "users"];
    let lines = items.into_iter().map(|it| {
        let values = [it.port_calls, it.api_calls, it.storage_bytes, it.users];
        std::iter::once(it.day.to_string()).chain(values.map(text)).collect()
    });
    whole(&app, &caller, &command, ("usage-days", names), lines.collect()).await
}
