//! Importing port calls from a CSV file, with a report of each line.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use futures_util::future::try_join_all;
use porttask_app::{
    identity::organizations,
    operations::{
        port_call_import::{Column, Fault, ImportedCall, Line, read},
        port_calls::usage_month,
    },
    sheet::{UnknownColumns, Unreadable},
};
use porttask_domain::{
    TextEnum, UserId,
    operations::{
        PortCall,
        port_call::{Command, NewPortCall, PortCallId, Rejection},
    },
};
use porttask_runtime::{
    execute::{Outcome, Request, Tx},
    log::{Position, Version},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::agent::must_be_agent;
use crate::{
    http::{app::App, permissions::WriteOperations, problem::Problem, request::Upload},
    identity::import::UnknownColumnsParameter,
};

/// Lines processed concurrently, so that appends are batched.
const AT_ONCE: usize = 32;

/// How the file is imported.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PortCallImportParameters {
    /// What happens to unknown columns; default `reject`: the file is rejected, with their names.
    #[serde(default)]
    #[param(value_type = UnknownColumnsParameter, required = false)]
    unknown_columns: UnknownColumns,
    /// Dry run: validate every line, and record nothing.
    #[serde(default)]
    dry_run: bool,
}

/// What became of the lines of a file.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PortCallImport {
    /// Whether this is a dry run: nothing was recorded.
    dry_run: bool,
    /// The number of port calls that were created.
    created: usize,
    /// The number of lines whose port calls existed already.
    unchanged: usize,
    /// The number of lines that were rejected.
    rejected: usize,
    /// The lines, in their order.
    lines: Vec<ImportedPortCall>,
}

/// The result of a line of the file. The content of the line is not repeated.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImportedPortCall {
    /// The number of the line; the header is line 1.
    line: u64,
    result: PortCallImportResult,
    /// The port call; null if there is none.
    port_call: Option<PortCallId>,
    /// Why the line was rejected.
    faults: Vec<PortCallImportFault>,
}

/// The result of a line of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PortCallImportResult {
    /// A port call was created, or in a dry run would be.
    Created,
    /// There is a port call with this identity, or there was before it was deleted.
    Unchanged,
    /// There is none.
    Rejected,
}

/// What is wrong with a line.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PortCallImportFault {
    /// The column; null if it is about the whole line.
    #[schema(example = "imo")]
    field: Option<&'static str>,
    /// What is wrong.
    reason: String,
}

impl From<Fault> for PortCallImportFault {
    fn from(Fault { field, reason }: Fault) -> Self {
        Self { field: field.map(|column| column.as_str()), reason }
    }
}

/// Import port calls from a CSV file.
///
/// The first line names the columns: `vessel`, `imo`, `port`, `eta`, `etd`, and optionally `reference`, `voyage`, `agent` (an
/// email address; default: the caller), `port_name`, `port_country` and `time_zone`. Times without an offset are local to the
/// port. At most 1,000 lines. A line is recognized by its `reference`, otherwise by `imo`, `voyage` and `port`: port calls
/// that exist already stay as they are, so it is safe to import a file again. Needs `operations:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/port-calls/import", tag = "port calls",
    params(PortCallImportParameters),
    request_body(content = String, content_type = "text/csv", description = "The file, in UTF-8",
        example = json!("reference,vessel,imo,port,eta,etd\nA-1,MSC Anna,9074729,BRSSZ,2030-01-31 09:00,2030-02-01 18:00\n")),
    responses((status = 200, body = PortCallImport)))]
pub(crate) async fn import_port_calls(
    State(app): State<App>,
    upload: Upload<WriteOperations, PortCallImportParameters>,
) -> Result<Json<PortCallImport>, Problem> {
    let (app, upload) = (&app, &upload);
    let lines = lines_of(upload).await?;
    let (mut done, mut last) = (Vec::with_capacity(lines.len()), None::<Position>);
    for part in lines.chunks(AT_ONCE) {
        for (line, position) in try_join_all(part.iter().map(|line| import(app, upload, line))).await? {
            done.push(line);
            last = [last, position].into_iter().flatten().max_by_key(|it| it.offset);
        }
    }
    if let Some(position) = last {
        app.last_changes.insert(upload.caller.identity.credential.id(), position);
    }
    let count = |result| done.iter().filter(|line| line.result == result).count();
    Ok(Json(PortCallImport {
        dry_run: upload.parameters.dry_run,
        created: count(PortCallImportResult::Created),
        unchanged: count(PortCallImportResult::Unchanged),
        rejected: count(PortCallImportResult::Rejected),
        lines: done,
    }))
}

/// The lines of a file; rejects unreadable files.
async fn lines_of(upload: &Upload<WriteOperations, PortCallImportParameters>) -> Result<Vec<Line>, Problem> {
    let (bytes, permit) = (upload.bytes.clone(), Arc::clone(&upload.permit));
    let unknown = upload.parameters.unknown_columns;
    let reading = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        read(&bytes, unknown)
    });
    let unreadable =
        |error: Unreadable| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unreadable-file", error.to_string());
    reading.await.map_err(|error| Problem::unavailable(&error))?.map_err(unreadable)
}

/// Imports a line: its result, and the position of what was recorded.
///
/// # Errors
/// If the caller or the service is the cause, so that it would affect all further lines.
async fn import(
    app: &App,
    upload: &Upload<WriteOperations, PortCallImportParameters>,
    line: &Line,
) -> Result<(ImportedPortCall, Option<Position>), Problem> {
    let rejected = |faults: Vec<PortCallImportFault>| {
        let (result, port_call) = (PortCallImportResult::Rejected, None);
        ImportedPortCall { line: line.number, result, port_call, faults }
    };
    let call = match &line.content {
        Ok(call) => call,
        Err(faults) => return Ok((rejected(faults.iter().cloned().map(Into::into).collect()), None)),
    };
    let id = call.id(&app.seal, upload.caller.organization);
    let with = |result| {
        // In a dry run, it does not exist.
        let port_call = (!upload.parameters.dry_run || result == PortCallImportResult::Unchanged).then_some(id);
        ImportedPortCall { line: line.number, result, port_call, faults: Vec::new() }
    };
    // Whatever else the line contains, also if its agent has left meanwhile.
    let (_, version) = app.executor.load::<PortCall>(upload.caller.organization, id).await?;
    if version > Version::NONE {
        return Ok((with(PortCallImportResult::Unchanged), None));
    }
    let agent = match agent_of(app, upload, call).await? {
        Ok(agent) => agent,
        Err(fault) => return Ok((rejected(vec![fault.into()]), None)),
    };
    match create(app, upload, id, call, agent).await {
        Ok(outcome) if outcome.events.is_empty() => Ok((with(PortCallImportResult::Unchanged), None)),
        Ok(outcome) => Ok((with(PortCallImportResult::Created), outcome.position)),
        Err(problem) if problem.slug() == porttask_domain::Rejection::slug(&Rejection::Exists) => {
            Ok((with(PortCallImportResult::Unchanged), None))
        }
        Err(problem)
            if matches!(problem.status(), StatusCode::UNPROCESSABLE_ENTITY | StatusCode::TOO_MANY_REQUESTS) =>
        {
            Ok((rejected(vec![fault_of(&problem)]), None))
        }
        Err(problem) => Err(problem),
    }
}

/// The user who is responsible: the one in the line, or else the caller.
async fn agent_of(
    app: &App,
    upload: &Upload<WriteOperations, PortCallImportParameters>,
    call: &ImportedCall,
) -> Result<Result<UserId, Fault>, Problem> {
    let Some(email) = &call.agent else { return Ok(Ok(upload.caller.identity.user)) };
    let organization = upload.caller.organization;
    let found = organizations::user_with(&*app.database, &app.vault, organization, email).await;
    let found = found.map_err(|error| Problem::unavailable(&error))?;
    let reason = "must be the email address of a user of the organization";
    Ok(found.ok_or_else(|| Fault { field: Some(Column::Agent), reason: reason.to_owned() }))
}

async fn create(
    app: &App,
    upload: &Upload<WriteOperations, PortCallImportParameters>,
    id: PortCallId,
    call: &ImportedCall,
    agent: UserId,
) -> Result<Outcome, Problem> {
    let caller = &upload.caller;
    let request = Request::new(caller.organization, caller.meta.clone()).needing_subscription(true);
    let request = Request { dry_run: upload.parameters.dry_run, ..request };
    let work = move |tx: Tx| async move {
        caller.authorize(app, &tx).await?;
        must_be_agent(&tx, agent).await?;
        let ImportedCall { reference, vessel, imo, voyage, port, schedule, agent: _ } = call.clone();
        let usage_month = usage_month(&tx).await?;
        let new = NewPortCall { port, vessel, imo, voyage, reference, schedule, agent, usage_month };
        Ok::<_, Problem>(tx.decide_new::<PortCall>(id, &Command::Create(Box::new(new))).await?)
    };
    app.executor.transact(&request, work).await
}

/// A problem as a fault of the line.
fn fault_of(problem: &Problem) -> PortCallImportFault {
    match problem.errors().first() {
        Some(error) => {
            let field = Column::from_text(error.pointer.trim_start_matches('/')).map(|column| column.as_str());
            PortCallImportFault { field, reason: error.detail.clone() }
        }
        None => PortCallImportFault { field: None, reason: problem.detail().to_owned() },
    }
}
