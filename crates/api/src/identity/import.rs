//! Import of users: ordered with a file, done as a job, told line by line.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use porttask_app::identity::import::{
    Column, Fault, IMPORT_USERS, LineReport, LineResult, OrderedImport, Unreadable, count,
};
use porttask_domain::{JobId, UserId, identity::Role};
use porttask_runtime::jobs::{JobState, NewJob};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::schema;
use crate::{
    http::{
        app::App,
        listing::Page,
        permissions::{ReadUsers, WriteUsers},
        problem::Problem,
        request::{Authorized, Upload},
    },
    platform::job::{ShownJob, find, limit_of, must_have_room, order},
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Schemas that only parameters refer to.
#[derive(OpenApi)]
#[openapi(components(schemas(Format)))]
struct Schemas;

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Schemas::openapi()).routes(routes!(import_users)).routes(routes!(get_job_report))
}

const DEFAULT_LIMIT: usize = 200;
const MAX_LIMIT: usize = 1_000;

/// What is to be done with the file.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ImportParameters {
    /// What those are who have no role in the file; `read_only` without it.
    #[param(value_type = Option<schema::Role>)]
    role: Option<Role>,
    /// Invite everybody who has not been invited yet.
    #[serde(default)]
    send_invitations: bool,
    /// Judge every line, and record nothing.
    #[serde(default)]
    dry_run: bool,
}

/// Import users from a CSV file.
///
/// The first line names the columns: `name`, `email`, and if wanted `role`, `tickets`, `invoices`, `reports` and
/// `administration`; delimited by commas, semicolons or tabs. At most 100,000 lines and 10 MiB. It is done as a job, of which
/// an organization has one at a time, five that wait, and 50 in a day. Accounts that exist stay as they are, so it is
/// harmless to import a file again. Needs `users:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/users/import", tag = "users", operation_id = "import_users",
    params(("org" = String, Path, description = "The organization, or `current`"), ImportParameters),
    request_body(content = String, content_type = "text/csv", description = "The file, in UTF-8"),
    responses((status = 202, body = ShownJob, description = "It was ordered: see the job")))]
pub(crate) async fn import_users(
    State(app): State<App>,
    upload: Upload<WriteUsers, ImportParameters>,
) -> Result<Response, Problem> {
    let ImportParameters { role, send_invitations, dry_run } = upload.parameters;
    let default_role = role.unwrap_or(Role::ReadOnly);
    // What a program orders would go on when its key is revoked.
    upload.caller.session()?;
    let id: JobId = upload.new_id(&app);
    must_have_room(&app, upload.caller.organization, id).await?;
    let total = lines_of(&upload).await?;
    let meta = upload.caller.meta.clone();
    let (actor, request_hash) = (meta.actor, upload.request_hash());
    let ordered = OrderedImport { meta, default_role, send_invitations };
    let input = app.imports.input(id, &ordered, &upload.bytes).map_err(|error| Problem::unavailable(&error))?;
    let (organization, created_at) = (upload.caller.organization, Timestamp::now());
    let (kind, is_dry_run) = (IMPORT_USERS, dry_run);
    order(&app, NewJob { id, organization, kind, actor, is_dry_run, total, created_at, request_hash, input }).await
}

/// How many lines a file has that can be read.
async fn lines_of(upload: &Upload<WriteUsers, ImportParameters>) -> Result<u64, Problem> {
    let (bytes, permit) = (upload.bytes.clone(), Arc::clone(&upload.permit));
    let counting = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        count(&bytes)
    });
    let unreadable =
        |error: Unreadable| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unreadable-file", error.to_string());
    counting.await.map_err(|error| Problem::unavailable(&error))?.map_err(unreadable)
}

/// What became of a line of the file. What stands in the line is not repeated.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportedLine)]
pub(crate) struct ShownLine {
    /// Which line; the header is line 1.
    line: u64,
    #[schema(value_type = ResultWord)]
    result: LineResult,
    /// The account; null if there is none.
    #[schema(value_type = Option<String>)]
    user: Option<UserId>,
    /// An invitation was sent.
    invited: bool,
    /// Why no invitation was sent although it was asked for.
    not_invited: Option<String>,
    /// Why it was rejected: the first three reasons.
    faults: Vec<ShownFault>,
}

/// What is wrong with a line.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LineFault)]
pub(crate) struct ShownFault {
    /// In which column; null if it is the line as a whole.
    #[schema(value_type = Option<String>, example = "email")]
    field: Option<Column>,
    /// What is wrong.
    reason: String,
}

/// What became of a line, in a word.
#[derive(ToSchema)]
#[schema(as = LineResult, rename_all = "snake_case")]
#[expect(dead_code, reason = "it describes, and is never made")]
pub(crate) enum ResultWord {
    Registered,
    Unchanged,
    Rejected,
}

impl From<LineReport> for ShownLine {
    fn from(report: LineReport) -> Self {
        let LineReport { line, result, user, invited, not_invited, faults } = report;
        let faults = faults.into_iter().map(|Fault { field, reason }| ShownFault { field, reason }).collect();
        Self { line, result, user, invited, not_invited, faults }
    }
}

/// How the report is wanted.
#[derive(Debug, Default, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReportFormat)]
pub(crate) enum Format {
    /// In pages.
    #[default]
    Json,
    /// Whole, a line of JSON for each.
    JsonLines,
    /// Whole, as CSV (RFC 4180, with a line of names).
    Csv,
}

/// Which lines, and how.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReportPage {
    /// `json` (in pages) without it; `json_lines` and `csv` are whole.
    #[serde(default)]
    format: Format,
    /// Only lines of which this became.
    #[param(value_type = Option<ResultWord>)]
    result: Option<LineResult>,
    /// The most lines of a page: 1 to 1,000, otherwise 200.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Where the page begins: `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Show what became of every line of an import.
///
/// Once the job is done. Needs `users:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/jobs/{job}/report", tag = "jobs", operation_id = "get_job_report",
    params(("org" = String, Path, description = "The organization, or `current`"), ("job" = String, Path), ReportPage),
    responses((status = 200, description = "The lines, in their order", content(
        (Page<ShownLine> = "application/json"), (ShownLine = "application/x-ndjson"), (String = "text/csv")))))]
pub(crate) async fn get_job_report(
    State(app): State<App>,
    caller: Authorized<ReadUsers>,
    Path((_, job)): Path<(String, String)>,
    page: Result<Query<ReportPage>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(page) = page.map_err(|error| Problem::invalid("query", error.body_text()))?;
    let job = find(&app, &caller, &job).await?;
    if job.state != JobState::Done {
        let detail = "there is no report: the job is not done";
        return Err(Problem::new(StatusCode::CONFLICT, "job-not-done", detail));
    }
    let permit = app.permit().await?;
    let sealed = app.database.job_report(caller.organization, job.id).await;
    let sealed = sealed.map_err(|error| Problem::unavailable(&error))?.ok_or_else(|| Problem::not_found("report"))?;
    // Large reports take a while.
    let imports = Arc::clone(&app.imports);
    let reading = tokio::task::spawn_blocking(move || (imports.report(job.id, &sealed), permit));
    let (lines, _permit) = reading.await.map_err(|error| Problem::unavailable(&error))?;
    let lines = lines.map_err(|error| Problem::unavailable(&error))?;
    let lines = lines.into_iter().filter(|line| page.result.is_none_or(|result| line.result == result));
    let lines = lines.map(ShownLine::from);
    let attachment = |ending: &str| format!("attachment; filename=\"import-{}.{ending}\"", job.id);
    let whole = |media: &str, ending: &str, body: Vec<u8>| {
        let headers = [(header::CONTENT_TYPE, media.to_owned()), (header::CONTENT_DISPOSITION, attachment(ending))];
        (headers, body).into_response()
    };
    let failed = |error: std::io::Error| Problem::unavailable(&error);
    Ok(match page.format {
        Format::Json => page.of(lines)?.into_response(),
        Format::JsonLines => whole("application/x-ndjson", "jsonl", json_lines(lines).map_err(failed)?),
        Format::Csv => whole("text/csv; charset=utf-8; header=present", "csv", csv(lines).map_err(failed)?),
    })
}

impl ReportPage {
    /// The lines of the page.
    fn of(&self, lines: impl Iterator<Item = ShownLine>) -> Result<Json<Page<ShownLine>>, Problem> {
        let limit = limit_of(self.limit, DEFAULT_LIMIT, MAX_LIMIT)?;
        let wrong = |_| Problem::invalid("cursor", "is not one of this report: begin again without it");
        let after: u64 = self.cursor.as_deref().map_or(Ok(0), str::parse).map_err(wrong)?;
        let mut items: Vec<ShownLine> = lines.filter(|line| line.line > after).take(limit + 1).collect();
        let is_last = items.len() <= limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| !is_last).map(|line| line.line.to_string());
        Ok(Json(Page { items, next_cursor }))
    }
}

fn json_lines(lines: impl Iterator<Item = ShownLine>) -> Result<Vec<u8>, std::io::Error> {
    let mut written = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut written, &line)?;
        written.push(b'\n');
    }
    Ok(written)
}

/// Nothing of it was written by strangers, so no spreadsheet takes it for a formula.
fn csv(lines: impl Iterator<Item = ShownLine>) -> Result<Vec<u8>, std::io::Error> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(["line", "result", "user", "invited", "reason"])?;
    for ShownLine { line, result, user, invited, not_invited, faults } in lines {
        let fault = |ShownFault { field, reason }: ShownFault| match field {
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
