//! Jobs: long work that was requested, and its progress.

use std::time::Duration;

use axum::{
    Json, RequestPartsExt,
    extract::{FromRequestParts, Path, State},
    http::{StatusCode, request::Parts},
    response::Response,
};
use jiff::Timestamp;
use porttask_domain::{Actor, JobId, OrganizationId, UserId};
use porttask_projections::{ReadModel, identity::user::Users};
use porttask_runtime::jobs::{Added, Counts, Job, JobLimits, JobProgress, JobState, NewJob, ReachedLimit};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{
    app::App,
    document::tagged,
    listing::Page,
    permissions::{Impersonable, Permission, ReadUsers},
    problem::Problem,
    request::{Authorized, Params},
    response::{created, place_of},
};

/// The routes of jobs.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("jobs", "Long work that was requested, and its progress.")
        .routes(routes!(list_jobs))
        .routes(routes!(get_job))
}

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;
const LIMITS: JobLimits = JobLimits::USUAL;
/// How long to wait until the views show what a job did.
const CATCH_UP: Duration = Duration::from_secs(2);

/// The state of a job.
#[derive(ToSchema)]
#[schema(as = JobState, rename_all = "snake_case")]
#[expect(dead_code, reason = "it describes the state, and has no values")]
pub(crate) enum JobStateSchema {
    Waiting,
    Running,
    Done,
    Failed,
}

/// A job. It is deleted seven days after it has finished.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub(crate) struct JobResponse {
    id: JobId,
    organization: OrganizationId,
    /// The kind of work.
    #[schema(example = "import_users")]
    kind: String,
    /// The user who requested it; null if it was not a user.
    requested_by: Option<UserId>,
    /// Everything is validated, and nothing is recorded.
    dry_run: bool,
    #[schema(value_type = JobStateSchema)]
    state: JobState,
    /// The number of parts that are done. Starts over when the job is restarted.
    done: u64,
    /// The number of parts.
    total: u64,
    /// The number of parts by result. For an import: `registered`, `unchanged`, `rejected`, and of these `invited`.
    #[schema(example = json!({"registered": 120, "rejected": 2, "invited": 120}))]
    counts: Counts,
    /// When it was requested.
    created_at: Timestamp,
    /// When it was first started.
    started_at: Option<Timestamp>,
    /// When it finished or failed.
    finished_at: Option<Timestamp>,
    /// Why it failed.
    failure: Option<String>,
}

impl JobResponse {
    /// A job, with what this node knows of its progress.
    fn of(app: &App, job: Job) -> Self {
        let kept = JobProgress { done: job.done, counts: job.counts };
        let is_running = job.state == JobState::Running;
        let JobProgress { done, counts } = app.jobs.progress(job.id).filter(|_| is_running).unwrap_or(kept);
        let requested_by = match job.actor {
            Actor::User { user, .. } => Some(user),
            Actor::ApiKey { .. } | Actor::Operator | Actor::System | Actor::Anonymous => None,
        };
        let Job { id, organization, kind, state, total, created_at, started_at, finished_at, failure, .. } = job;
        let dry_run = job.is_dry_run;
        Self {
            id,
            organization,
            kind,
            requested_by,
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

/// A page of jobs.
type JobPage = Page<JobResponse>;

/// Which jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct JobFilter {
    /// Maximum number of jobs: 1 to 200; default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// Start of the page: `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The job in the path.
pub(crate) struct JobInPath(Option<JobId>);

impl FromRequestParts<App> for JobInPath {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Self::Rejection> {
        let path = parts.extract::<Path<Vec<(String, String)>>>().await;
        let values = path.map(|Path(values)| values).unwrap_or_default();
        Ok(Self(values.iter().find_map(|(_, text)| text.parse().ok())))
    }
}

/// Adds a job, and returns it with its `Location`.
pub(crate) async fn request_job(app: &App, job: NewJob) -> Result<Response, Problem> {
    let added = app.database.add_job(job, LIMITS).await.map_err(|error| Problem::unavailable(&error))?;
    match added {
        Added::There(job) => {
            app.jobs.wake();
            let place = format!("{}/jobs/{}", place_of(job.organization), job.id);
            Ok(created(StatusCode::ACCEPTED, &place, Json(JobResponse::of(app, *job))))
        }
        Added::Another => Err(porttask_runtime::execute::ExecuteError::AnotherRequest.into()),
        Added::Full(limit) => Err(full(limit)),
    }
}

/// Rejects a job early if the organization has too many. A repetition of an accepted request is not rejected.
pub(crate) async fn must_have_room(app: &App, organization: OrganizationId, id: JobId) -> Result<(), Problem> {
    let failed = |error| Problem::unavailable(&error);
    let reached = app.database.reached_job_limit(organization, app.clock.now(), LIMITS).await.map_err(failed)?;
    match reached {
        Some(limit) if app.database.job(organization, id).await.map_err(failed)?.is_none() => Err(full(limit)),
        _ => Ok(()),
    }
}

fn full(limit: ReachedLimit) -> Problem {
    let JobLimits { waiting, per_day } = LIMITS;
    let (slug, detail, seconds) = match limit {
        ReachedLimit::Waiting => {
            let detail = format!("{waiting} jobs of this organization are already waiting. Retry when one is done.");
            ("too-many-jobs", detail, 30)
        }
        ReachedLimit::PerDay => {
            let detail = format!("An organization can request at most {per_day} jobs per day. Retry tomorrow.");
            ("job-limit-reached", detail, 3_600)
        }
    };
    Problem::new(StatusCode::TOO_MANY_REQUESTS, slug, detail).after(seconds)
}

/// The job in the path, if it belongs to the organization.
pub(crate) async fn find<P: Permission>(app: &App, caller: &Authorized<P>, job: &JobInPath) -> Result<Job, Problem> {
    let unknown = || Problem::not_found("job");
    let id = job.0.ok_or_else(unknown)?;
    let found = app.database.job(caller.organization, id).await.map_err(|error| Problem::unavailable(&error))?;
    found.ok_or_else(unknown)
}

/// List jobs, the latest first.
///
/// Needs `users:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/jobs", tag = "jobs", extensions(("x-impersonable" = json!(true))),
    params(JobFilter), responses((status = 200, body = JobPage)))]
pub(crate) async fn list_jobs(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadUsers>>,
    Params(JobFilter { limit, cursor }): Params<JobFilter>,
) -> Result<Json<JobPage>, Problem> {
    let limit = limit_of(limit, DEFAULT_LIMIT, MAX_LIMIT)?;
    let wrong = |_| Problem::invalid("cursor", "is not a cursor of this listing: start without it");
    let after = cursor.as_deref().map(str::parse).transpose().map_err(wrong)?;
    let jobs = app.database.jobs(caller.organization, after, limit + 1).await;
    let mut jobs = jobs.map_err(|error| Problem::unavailable(&error))?;
    let is_last = jobs.len() <= limit;
    jobs.truncate(limit);
    let next_cursor = jobs.last().filter(|_| !is_last).map(|job| job.id.to_string());
    Ok(Json(Page { items: jobs.into_iter().map(|job| JobResponse::of(&app, job)).collect(), next_cursor, total: None }))
}

/// Get a job and its progress.
///
/// Needs `users:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/jobs/{job}", tag = "jobs",
    extensions(("x-impersonable" = json!(true))), responses((status = 200, body = JobResponse)))]
pub(crate) async fn get_job(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadUsers>>,
    job: JobInPath,
) -> Result<Json<JobResponse>, Problem> {
    let job = find(&app, &caller, &job).await?;
    if job.finished_at.is_some() {
        // Once a job is finished, listings must show its effects.
        app.views.catch_up(Users::NAME, CATCH_UP).await?;
    }
    Ok(Json(JobResponse::of(&app, job)))
}

/// The number of rows of a page.
pub(crate) fn limit_of(asked: Option<usize>, default: usize, most: usize) -> Result<usize, Problem> {
    let limit = asked.unwrap_or(default);
    let is_good = (1..=most).contains(&limit);
    is_good.then_some(limit).ok_or_else(|| Problem::invalid("limit", format!("must be 1 to {most}")))
}
