//! Importing users: requested with a file, executed as a job, reported line by line.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use porttask_app::identity::import::{
    Fault, IMPORT_USERS, LineReport, LineResult, RequestedImport, UnknownColumns, Unreadable, count,
};
use porttask_domain::{JobId, UserId, identity::Role};
use porttask_runtime::jobs::{Job, JobState, NewJob};
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::{IntoParams, OpenApi, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    http::{
        app::App,
        listing::Page,
        permissions::{ReadUsers, WriteUsers},
        problem::Problem,
        request::{Authorized, Params, Upload},
    },
    platform::job::{JobInPath, JobResponse, find, limit_of, must_have_room, request_job},
};

/// Schemas that only parameters refer to.
#[derive(OpenApi)]
#[openapi(components(schemas(Format, ImportResult, UnknownColumnsParameter)))]
struct Schemas;

/// The routes of imports.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Schemas::openapi()).routes(routes!(import_users)).routes(routes!(get_job_report))
}

const DEFAULT_LIMIT: usize = 200;
const MAX_LIMIT: usize = 1_000;

/// How the file is imported.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ImportParameters {
    /// The role of users without one in the file; default `read_only`.
    role: Option<Role>,
    /// Invite all users who have not been invited yet.
    #[serde(default)]
    send_invitations: bool,
    /// What happens to unknown columns; default `reject`: the file is rejected, with their names.
    #[serde(default)]
    #[param(value_type = UnknownColumnsParameter, required = false)]
    unknown_columns: UnknownColumns,
    /// Dry run: validate every line, and record nothing.
    #[serde(default)]
    dry_run: bool,
}

/// Import users from a CSV file.
///
/// The first line names the columns: `name`, `email`, and optionally `role`, `tickets`, `invoices`, `reports` and
/// `administration`, in any case, or a synonym such as `Full name` or `E-mail address`; delimited by commas, semicolons
/// or tabs, also with a line `sep=;` before. At most 100,000 lines and 10 MiB. The import is a job; an
/// organization can have one running, five waiting, and 50 per day. Existing accounts do not change, so it is safe to
/// import a file again. Needs `users:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/users/import", tag = "users", params(ImportParameters),
    request_body(content = String, content_type = "text/csv", description = "The file, in UTF-8"),
    responses((status = 202, body = JobResponse, description = "Requested: see the job.")))]
pub(crate) async fn import_users(
    State(app): State<App>,
    upload: Upload<WriteUsers, ImportParameters>,
) -> Result<Response, Problem> {
    // A job requested with an API key would continue after the key is revoked.
    upload.caller.session()?;
    let id: JobId = upload.new_id(&app);
    must_have_room(&app, upload.caller.organization, id).await?;
    let total = lines_of(&upload).await?;
    request_job(&app, job(&app, &upload, id, total)?).await
}

fn job(app: &App, upload: &Upload<WriteUsers, ImportParameters>, id: JobId, total: u64) -> Result<NewJob, Problem> {
    let ImportParameters { role, send_invitations, unknown_columns, dry_run: is_dry_run } = upload.parameters;
    let (meta, default_role) = (upload.caller.meta.clone(), role.unwrap_or(Role::ReadOnly));
    let (actor, request_hash) = (meta.actor, upload.request_hash());
    let requested = RequestedImport { meta, default_role, send_invitations, unknown_columns };
    let input = app.imports.input(id, &requested, &upload.bytes).map_err(|error| Problem::unavailable(&error))?;
    let (organization, created_at) = (upload.caller.organization, app.clock.now());
    Ok(NewJob { id, organization, kind: IMPORT_USERS, actor, is_dry_run, total, created_at, request_hash, input })
}

/// The number of lines of a file; rejects unreadable files.
async fn lines_of(upload: &Upload<WriteUsers, ImportParameters>) -> Result<u64, Problem> {
    let (bytes, permit, unknown) =
        (upload.bytes.clone(), Arc::clone(&upload.permit), upload.parameters.unknown_columns);
    let counting = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        count(&bytes, unknown)
    });
    let unreadable =
        |error: Unreadable| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unreadable-file", error.to_string());
    counting.await.map_err(|error| Problem::unavailable(&error))?.map_err(unreadable)
}

/// The result of a line of the file. The content of the line is not repeated.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportedLine)]
pub(crate) struct LineResponse {
    /// The number of the line; the header is line 1.
    line: u64,
    #[schema(value_type = ImportResult)]
    result: LineResult,
    /// The account; null if there is none.
    user: Option<UserId>,
    /// Whether an invitation was sent.
    invited: bool,
    /// Why no invitation was sent although it was requested.
    not_invited: Option<String>,
    /// Why the line was rejected: the first three reasons.
    faults: Vec<LineFault>,
}

/// A page of lines.
type LinePage = Page<LineResponse>;

/// What is wrong with a line.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LineFault {
    /// The column; null if it is about the whole line.
    #[schema(example = "email")]
    field: Option<String>,
    /// What is wrong.
    reason: String,
}

/// What happens to unknown columns.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case", as = UnknownColumns)]
#[expect(dead_code, reason = "it describes the parameter, and has no values")]
pub(crate) enum UnknownColumnsParameter {
    Reject,
    Skip,
}

/// The result of a line.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "it describes the result, and has no values")]
pub(crate) enum ImportResult {
    Registered,
    Unchanged,
    Rejected,
}

impl From<LineReport> for LineResponse {
    fn from(report: LineReport) -> Self {
        let LineReport { line, result, user, invited, not_invited, faults } = report;
        let fault = |Fault { field, reason }| LineFault { field: field.map(|field| field.to_string()), reason };
        Self { line, result, user, invited, not_invited, faults: faults.into_iter().map(fault).collect() }
    }
}

/// The format of a report.
#[derive(Debug, Default, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReportFormat)]
pub(crate) enum Format {
    /// In pages.
    #[default]
    Json,
    /// Whole, one JSON object per line.
    JsonLines,
    /// Whole, as CSV (RFC 4180, with a header line).
    Csv,
}

/// Which lines of a report, and in which format.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReportPage {
    /// `json` (default) is in pages; `json_lines` and `csv` are whole.
    #[serde(default)]
    format: Format,
    /// Only lines with this result.
    #[param(value_type = Option<ImportResult>)]
    result: Option<LineResult>,
    /// Maximum number of lines of a page: 1 to 1,000; default 200.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Start of the page: `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Get the result of every line of an import.
///
/// Available once the job is done. Needs `users:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/jobs/{job}/report", tag = "jobs", params(ReportPage),
    responses((status = 200, description = "The lines, in their order", content(
        (LinePage = "application/json"), (LineResponse = "application/x-ndjson"), (String = "text/csv")))))]
pub(crate) async fn get_job_report(
    State(app): State<App>,
    caller: Authorized<ReadUsers>,
    job: JobInPath,
    Params(page): Params<ReportPage>,
) -> Result<Response, Problem> {
    let job = find(&app, &caller, &job).await?;
    let lines = lines(&app, &job, app.permit().await?).await?;
    let lines = lines.into_iter().filter(|line| page.result.is_none_or(|result| line.result == result));
    let lines = lines.map(LineResponse::from);
    let failed = |error: std::io::Error| Problem::unavailable(&error);
    Ok(match page.format {
        Format::Json => page.of(lines)?.into_response(),
        Format::JsonLines => whole("application/x-ndjson", "jsonl", job.id, json_lines(lines).map_err(failed)?),
        Format::Csv => whole("text/csv; charset=utf-8; header=present", "csv", job.id, csv(lines).map_err(failed)?),
    })
}

/// The lines of a report. Reading a large one takes a while.
async fn lines(app: &App, job: &Job, permit: Arc<OwnedSemaphorePermit>) -> Result<Vec<LineReport>, Problem> {
    if job.state != JobState::Done {
        let detail = "The job is not done, so it has no report.";
        return Err(Problem::new(StatusCode::CONFLICT, "job-not-done", detail));
    }
    let sealed = app.database.job_report(job.organization, job.id).await;
    let sealed = sealed.map_err(|error| Problem::unavailable(&error))?.ok_or_else(|| Problem::not_found("report"))?;
    let (imports, id) = (Arc::clone(&app.imports), job.id);
    let reading = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        imports.report(id, &sealed)
    });
    let lines = reading.await.map_err(|error| Problem::unavailable(&error))?;
    lines.map_err(|error| Problem::unavailable(&error))
}

fn whole(media: &str, extension: &str, job: JobId, body: Vec<u8>) -> Response {
    let name = format!("attachment; filename=\"import-{job}.{extension}\"");
    ([(header::CONTENT_TYPE, media.to_owned()), (header::CONTENT_DISPOSITION, name)], body).into_response()
}

impl ReportPage {
    /// The lines of the page.
    fn of(&self, lines: impl Iterator<Item = LineResponse>) -> Result<Json<Page<LineResponse>>, Problem> {
        let limit = limit_of(self.limit, DEFAULT_LIMIT, MAX_LIMIT)?;
        let wrong = |_| Problem::invalid("cursor", "is not a cursor of this report: start without it");
        let after: u64 = self.cursor.as_deref().map_or(Ok(0), str::parse).map_err(wrong)?;
        let mut items: Vec<LineResponse> = lines.filter(|line| line.line > after).take(limit + 1).collect();
        let is_last = items.len() <= limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| !is_last).map(|line| line.line.to_string());
        Ok(Json(Page { items, next_cursor, total: None }))
    }
}

fn json_lines(lines: impl Iterator<Item = LineResponse>) -> Result<Vec<u8>, std::io::Error> {
    let mut written = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut written, &line)?;
        written.push(b'\n');
    }
    Ok(written)
}

/// Contains no untrusted input, so formulas need no escaping.
fn csv(lines: impl Iterator<Item = LineResponse>) -> Result<Vec<u8>, std::io::Error> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(["line", "result", "user", "invited", "reason"])?;
    for LineResponse { line, result, user, invited, not_invited, faults } in lines {
        let fault = |LineFault { field, reason }: LineFault| match field {
            Some(field) => format!("{field}: {reason}"),
            None => reason,
        };
        let not_invited = not_invited.map(|reason| format!("invitation not sent: {reason}"));
        let reasons: Vec<String> = faults.into_iter().map(fault).chain(not_invited).collect();
        let user = user.map(|user| user.to_string()).unwrap_or_default();
        writer.write_record([&line.to_string(), result.name(), &user, &invited.to_string(), &reasons.join("; ")])?;
    }
    writer.into_inner().map_err(csv::IntoInnerError::into_error)
}
