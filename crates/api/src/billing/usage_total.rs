//! What all organizations use together.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use porttask_projections::{ReadModel, billing::usage::UsageTotals};
use porttask_runtime::views::Query;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{app::App, document::tagged, permissions::AdministerBilling, problem::Problem, request::Authorized};

/// The route of the usage of all organizations.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("usage", "What organizations use of the meters that plans limit.").routes(routes!(get_total_usage))
}

/// How many days are shown one by one.
const DAYS: i32 = 30;
/// The most rows that are read: those of ten years in sixteen partitions.
const MOST_ROWS: usize = 16 * 3_660;

/// The usage of all organizations. Days and months are in UTC.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TotalUsage {
    /// When this was read.
    as_of: Timestamp,
    /// The last 30 days.
    days: Vec<TotalOfDay>,
    /// The 30 days before them.
    days_before: Vec<TotalOfDay>,
    /// The last 24 calendar months, the last one first.
    months: Vec<TotalOfMonth>,
}

/// The usage of all organizations on a day.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct TotalOfDay {
    #[schema(value_type = String, format = Date)]
    day: Date,
    port_calls: u64,
    api_calls: u64,
    /// Bytes of stored documents at its end.
    storage_bytes: u64,
}

/// The usage of all organizations in a calendar month.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct TotalOfMonth {
    #[schema(example = "2026-11")]
    month: String,
    port_calls: u64,
    api_calls: u64,
    /// Bytes of stored documents at its end, or now.
    storage_bytes: u64,
}

/// Get the usage of all organizations together.
///
/// Needs `billing:administer`.
#[utoipa::path(get, path = "/v1/platform/billing/usage", tag = "usage",
    responses((status = 200, body = TotalUsage)))]
pub(crate) async fn get_total_usage(
    State(app): State<App>,
    caller: Authorized<AdministerBilling>,
) -> Result<Json<TotalUsage>, Problem> {
    caller.catch_up_everywhere(&app, UsageTotals::NAME).await?;
    let query = Query { is_everywhere: true, sort: vec!["day"], limit: MOST_ROWS, ..Query::default() };
    let mut by_day: BTreeMap<Date, (u64, u64, i64)> = BTreeMap::new();
    for row in app.views.rows::<UsageTotals>(&query).await? {
        let Ok(day) = row.day.parse::<Date>() else { continue };
        let (port_calls, api_calls, change) = by_day.entry(day).or_default();
        *port_calls += row.port_calls;
        *api_calls += row.api_calls;
        *change += row.storage_change();
    }
    let now = app.clock.now();
    let today = now.to_zoned(TimeZone::UTC).date();
    let (mut stored, mut totals, mut months) = (0_i64, BTreeMap::new(), BTreeMap::new());
    for (day, (port_calls, api_calls, change)) in by_day {
        stored += change;
        let storage_bytes = stored.max(0).unsigned_abs();
        totals.insert(day, TotalOfDay { day, port_calls, api_calls, storage_bytes });
        let name = format!("{:04}-{:02}", day.year(), day.month());
        let empty = TotalOfMonth { month: name.clone(), port_calls: 0, api_calls: 0, storage_bytes: 0 };
        let month = months.entry(name).or_insert(empty);
        month.port_calls += port_calls;
        month.api_calls += api_calls;
        month.storage_bytes = storage_bytes;
    }
    let of = |day: Date| {
        let stored = totals.range(..=day).next_back().map_or(0, |(_, total)| total.storage_bytes);
        let known = totals.get(&day);
        let (port_calls, api_calls) = known.map_or((0, 0), |it| (it.port_calls, it.api_calls));
        TotalOfDay { day, port_calls, api_calls, storage_bytes: stored }
    };
    let days = |from: i32| (0..DAYS).map(|it| of(today.saturating_sub((from - it).days()))).collect();
    let months = months.into_values().rev().take(24).collect();
    Ok(Json(TotalUsage { as_of: now, days: days(DAYS - 1), days_before: days(2 * DAYS - 1), months }))
}
