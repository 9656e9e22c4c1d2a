//! Timers: what is due next, and what failed.

use std::collections::HashMap;

use axum::{Json, extract::State};
use jiff::Timestamp;
use porttask_domain::OrganizationId;
use porttask_projections::{
    ColumnType,
    platform::timer::{self as view, Kind},
};
use porttask_runtime::{timers::TimerFailure, views::Condition};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::http::{
    app::App,
    document::tagged,
    listing::{Page, Sort},
    permissions::ReadTimers,
    problem::Problem,
    request::{Authorized, List, ListParameters, Listed},
};

/// The routes of timers.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("timers", "What becomes due by itself, such as the expiry of an invitation.")
        .routes(routes!(list_timers))
        .routes(routes!(list_timer_failures))
}

/// Maximum number of failed timers to report.
const MAX_FAILURES: usize = 1_000;

/// What is due next for an aggregate.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Timer)]
pub(crate) struct TimerResponse {
    organization: OrganizationId,
    /// The UUID of the aggregate, such as a user.
    subject: Uuid,
    #[schema(value_type = String, example = "invitation_expiry")]
    kind: Kind,
    due_at: Timestamp,
    /// Timers of a lane are carried out one by one.
    lane: Option<String>,
    /// The last failure, if it failed.
    failure: Option<Failure>,
}

/// Why a timer failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TimerFailure)]
pub(crate) struct Failure {
    attempts: u32,
    /// When it is attempted again.
    retry_at: Timestamp,
    error: String,
}

/// A timer whose last attempt failed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FailedTimer {
    organization: OrganizationId,
    /// The UUID of the aggregate, such as a user.
    subject: Uuid,
    #[schema(example = "invitation_expiry")]
    kind: String,
    due_at: Timestamp,
    #[serde(flatten)]
    failure: Failure,
}

/// Failed timers, in order of their next attempts; at most 1,000.
#[derive(Serialize, ToSchema)]
pub(crate) struct FailedTimers {
    items: Vec<FailedTimer>,
}

/// Filters of timers.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimerFilter {
    /// Only timers of one kind.
    #[param(value_type = Option<String>, example = "invitation_expiry")]
    kind: Option<Kind>,
}

/// A page of timers.
type TimerPage = Page<TimerResponse>;

impl From<view::Timer> for TimerResponse {
    fn from(row: view::Timer) -> Self {
        let view::Timer { organization, subject, kind, due_at, lane, set_by: _, open: _ } = row;
        Self { organization, subject, kind, due_at, lane, failure: None }
    }
}

impl Failure {
    fn of(failure: TimerFailure) -> Self {
        let TimerFailure { attempts, retry_at, error, .. } = failure;
        Self { attempts, retry_at, error }
    }
}

impl Listed for view::Timers {
    type Item = TimerResponse;
    type Filter = TimerFilter;
    const SORTS: &'static [Sort] = &[("due_at", &["due_at", "organization", "subject"])];
    const IS_OF_THE_PLATFORM: bool = true;

    fn conditions(TimerFilter { kind }: TimerFilter) -> Result<Vec<Condition>, Problem> {
        Ok(kind.map(|kind| Condition::Equal("kind", kind.to_value())).into_iter().collect())
    }

    async fn complete(
        app: &App,
        _: OrganizationId,
        mut items: Vec<TimerResponse>,
    ) -> Result<Vec<TimerResponse>, Problem> {
        let failures = failures(app).await?;
        let mut failures: HashMap<_, _> = failures.into_iter().map(|it| ((it.organization, it.subject), it)).collect();
        for item in &mut items {
            item.failure = failures.remove(&(item.organization, item.subject)).map(Failure::of);
        }
        Ok(items)
    }
}

async fn failures(app: &App) -> Result<Vec<TimerFailure>, Problem> {
    app.database.timer_failures(None, MAX_FAILURES).await.map_err(|error| Problem::unavailable(&error))
}

/// List timers: what is due next in all organizations.
///
/// Needs `timers:read`.
#[utoipa::path(get, path = "/v1/platform/timers", tag = "timers", params(ListParameters<view::Timers>),
    responses((status = 200, body = TimerPage)))]
pub(crate) async fn list_timers(
    State(app): State<App>,
    timers: List<ReadTimers, view::Timers>,
) -> Result<Json<TimerPage>, Problem> {
    timers.page(&app).await
}

/// List failed timers.
///
/// They are attempted again, after pauses of up to an hour. Needs `timers:read`.
#[utoipa::path(get, path = "/v1/platform/timer-failures", tag = "timers",
    responses((status = 200, body = FailedTimers)))]
pub(crate) async fn list_timer_failures(
    State(app): State<App>,
    _: Authorized<ReadTimers>,
) -> Result<Json<FailedTimers>, Problem> {
    let failed = |failure: TimerFailure| {
        let TimerFailure { organization, subject, ref kind, due_at, .. } = failure;
        FailedTimer { organization, subject, kind: kind.clone(), due_at, failure: Failure::of(failure) }
    };
    Ok(Json(FailedTimers { items: failures(&app).await?.into_iter().map(failed).collect() }))
}
