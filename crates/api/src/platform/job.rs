//! Long work that was ordered, and how far it has come.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use porttask_domain::{Actor, JobId, OrganizationId, UserId};
use porttask_projections::{ReadModel, identity::user::Users};
use porttask_runtime::jobs::{Added, Counts, Job, JobLimits, JobProgress, JobState, NewJob, ReachedLimit};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::document::tagged;
use crate::http::{
    app::App,
    listing::Page,
    permissions::{Impersonable, Permission, ReadUsers},
    problem::Problem,
    request::Authorized,
    response::place_of,
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("jobs", "Long work that was ordered, and how far it has come.")
        .routes(routes!(list_jobs))
        .routes(routes!(get_job))
}

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;
const LIMITS: JobLimits = JobLimits::USUAL;
/// How long the views may take to show what a job did.
const CATCH_UP: Duration = Duration::from_secs(2);

/// Where a job is in its life.
#[derive(ToSchema)]
#[schema(as = JobState, rename_all = "snake_case")]
#[expect(dead_code, reason = "it describes, and is never made")]
pub(crate) enum StateWord {
    Waiting,
    Running,
    Done,
    Failed,
}

/// Long work. It is deleted seven days after it was finished.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub(crate) struct ShownJob {
    #[schema(value_type = String, example = "job_01h455vb4pex5vsknk084sn02q")]
    id: JobId,
    /// For whom it is done.
    #[schema(value_type = String)]
    organization: OrganizationId,
    /// What is done.
    #[schema(example = "import_users")]
    kind: String,
    /// Who ordered it; null if it was no user.
    #[schema(value_type = Option<String>)]
    ordered_by: Option<UserId>,
    /// Everything is judged, and nothing is changed.
    dry_run: bool,
    #[schema(value_type = StateWord)]
    state: JobState,
    /// How many parts are done. Begins again when the job is begun anew.
    done: u64,
    /// How many parts it has.
    total: u64,
    /// How many parts ended how. For an import: `registered`, `unchanged`, `refused`, and of these `invited`.
    #[schema(example = json!({"registered": 120, "rejected": 2, "invited": 120}))]
    counts: Counts,
    /// When it was ordered.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was first begun.
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    /// When it was done or given up.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// Why it was given up.
    failure: Option<String>,
}

impl ShownJob {
    /// A job, with what this node knows of its progress.
    fn of(app: &App, job: Job) -> Self {
        let kept = JobProgress { done: job.done, counts: job.counts };
        let is_running = job.state == JobState::Running;
        let JobProgress { done, counts } = app.jobs.progress(job.id).filter(|_| is_running).unwrap_or(kept);
        let ordered_by = match job.actor {
            Actor::User { user, .. } => Some(user),
            Actor::ApiKey { .. } | Actor::Operator | Actor::System | Actor::Anonymous => None,
        };
        let Job { id, organization, kind, state, total, created_at, started_at, finished_at, failure, .. } = job;
        let dry_run = job.is_dry_run;
        Self {
            id,
            organization,
            kind,
            ordered_by,
            dry_run,
            state,
            done,
            total,
            counts,
            created_at,
            started_at,
            finished_at,
            failure,
        }
    }
}

/// Which jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct JobPage {
    /// The most jobs: 1 to 200, otherwise 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// Where the page begins: `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Records a job, and says where it can be seen.
pub(crate) async fn order(app: &App, job: NewJob) -> Result<Response, Problem> {
    let added = app.database.add_job(job, LIMITS).await.map_err(|error| Problem::unavailable(&error))?;
    match added {
        Added::There(job) => {
            app.jobs.wake();
            let place = format!("{}/jobs/{}", place_of(job.organization), job.id);
            let mut response = (StatusCode::ACCEPTED, Json(ShownJob::of(app, *job))).into_response();
            if let Ok(place) = HeaderValue::from_str(&place) {
                response.headers_mut().insert(header::LOCATION, place);
            }
            Ok(response)
        }
        Added::Another => Err(porttask_runtime::execute::ExecuteError::AnotherRequest.into()),
        Added::Full(limit) => Err(full(limit)),
    }
}

/// That an organization has too many jobs to order this one: told before much work is done for it. A repetition of an
/// order that was taken is not rejected.
pub(crate) async fn must_have_room(app: &App, organization: OrganizationId, id: JobId) -> Result<(), Problem> {
    let failed = |error| Problem::unavailable(&error);
    let reached = app.database.reached_job_limit(organization, Timestamp::now(), LIMITS).await.map_err(failed)?;
    match reached {
        Some(limit) if app.database.job(organization, id).await.map_err(failed)?.is_none() => Err(full(limit)),
        _ => Ok(()),
    }
}

fn full(limit: ReachedLimit) -> Problem {
    let JobLimits { waiting, per_day } = LIMITS;
    let (slug, detail, seconds) = match limit {
        ReachedLimit::Waiting => {
            let detail = format!("{waiting} jobs of this organization wait already: order this one when they are done");
            ("too-many-jobs", detail, 30)
        }
        ReachedLimit::PerDay => {
            let detail = format!("an organization may order no more than {per_day} jobs in a day: go on tomorrow");
            ("job-limit-reached", detail, 3_600)
        }
    };
    Problem::new(StatusCode::TOO_MANY_REQUESTS, slug, detail).after(seconds)
}

/// The job that a path names, if it is of the organization.
pub(crate) async fn find<R: Permission>(app: &App, caller: &Authorized<R>, job: &str) -> Result<Job, Problem> {
    let unknown = || Problem::not_found("job");
    let id: JobId = job.parse().map_err(|_| unknown())?;
    let found = app.database.job(caller.organization, id).await.map_err(|error| Problem::unavailable(&error))?;
    found.ok_or_else(unknown)
}

/// List jobs, the latest first.
///
/// Needs `users:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/jobs", tag = "jobs", operation_id = "list_jobs", extensions(("x-impersonable" = json!(true))),
    params(("org" = String, Path, description = "The organization, or `current`"), JobPage),
    responses((status = 200, body = Page<ShownJob>)))]
pub(crate) async fn list_jobs(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadUsers>>,
    page: Result<Query<JobPage>, QueryRejection>,
) -> Result<Json<Page<ShownJob>>, Problem> {
    let Query(JobPage { limit, cursor }) = page.map_err(|error| Problem::invalid("query", error.body_text()))?;
    let limit = limit_of(limit, DEFAULT_LIMIT, MAX_LIMIT)?;
    let wrong = |_| Problem::invalid("cursor", "is not one of this listing: begin again without it");
    let after = cursor.as_deref().map(str::parse).transpose().map_err(wrong)?;
    let jobs = app.database.jobs(caller.organization, after, limit + 1).await;
    let mut jobs = jobs.map_err(|error| Problem::unavailable(&error))?;
    let is_last = jobs.len() <= limit;
    jobs.truncate(limit);
    let next_cursor = jobs.last().filter(|_| !is_last).map(|job| job.id.to_string());
    Ok(Json(Page { items: jobs.into_iter().map(|job| ShownJob::of(&app, job)).collect(), next_cursor }))
}

/// Show a job, and how far it has come.
///
/// Needs `users:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/jobs/{job}", tag = "jobs", operation_id = "get_job", extensions(("x-impersonable" = json!(true))),
    params(("org" = String, Path, description = "The organization, or `current`"), ("job" = String, Path)),
    responses((status = 200, body = ShownJob)))]
pub(crate) async fn get_job(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadUsers>>,
    Path((_, job)): Path<(String, String)>,
) -> Result<Json<ShownJob>, Problem> {
    let job = find(&app, &caller, &job).await?;
    if job.finished_at.is_some() {
        // Whoever hears that it is done finds in listings what it did.
        app.views.catch_up(Users::NAME, CATCH_UP).await?;
    }
    Ok(Json(ShownJob::of(&app, job)))
}

/// How many rows a page may have.
pub(crate) fn limit_of(asked: Option<usize>, default: usize, most: usize) -> Result<usize, Problem> {
    let limit = asked.unwrap_or(default);
    let is_good = (1..=most).contains(&limit);
    is_good.then_some(limit).ok_or_else(|| Problem::invalid("limit", format!("must be 1 to {most}")))
}
