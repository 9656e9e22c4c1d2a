//! Exports of the platform's audit trail: recorded first, then streamed.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use porttask_domain::{
    ExportId, OrganizationId,
    compliance::{
        Export,
        export::{Command, Event, Format},
    },
};
use porttask_runtime::execute::{Tx, stream_of};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    export::{Batches, Source, yes},
    platform_audit_log::{PlatformAuditEntry, PlatformSelection, read_all},
};
use crate::http::{
    app::App,
    permissions::ReadPlatformAuditLog,
    problem::Problem,
    request::{CommandParameters, CommandRequest},
    response::CommandResult,
};

/// The routes of exports of the platform's audit trail.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(export_platform_audit_log))
}

/// What is exported, and in which format.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlatformExportRequest {
    /// `csv` (RFC 4180, with a header line), or `json` (one entry per line).
    format: Format,
    /// Whether CSV starts with a byte order mark, by which spreadsheets recognize UTF-8; default: true.
    #[serde(default = "yes")]
    bom: bool,
    /// Which entries; default: all.
    #[serde(default)]
    selection: PlatformSelection,
}

/// Export the platform's audit trail, the oldest entry first.
///
/// The export is recorded in the platform's own organization, as the last entry that it contains. It is aborted if its
/// caller loses the permission. Needs `platform_audit_log:read`.
#[utoipa::path(post, path = "/v1/platform/audit-log/export", tag = "audit log", params(CommandParameters),
    request_body = PlatformExportRequest,
    responses((status = 200, description = "The entries; in a dry run, what would be recorded", content(
        (String = "text/csv"), (PlatformAuditEntry = "application/x-ndjson"), (CommandResult = "application/json")))))]
pub(crate) async fn export_platform_audit_log(
    State(app): State<App>,
    request: CommandRequest<ReadPlatformAuditLog, PlatformExportRequest>,
) -> Result<Response, Problem> {
    let PlatformExportRequest { format, bom, selection } = &request.body;
    let filter = selection.filter(&app).await?;
    let id: ExportId = request.new_id(&app);
    let subject = stream_of::<Export>(OrganizationId::PLATFORM, id)?;
    let take = &Command::Take(Event::PlatformAuditLogTaken { format: *format, selection: filter.recorded() });
    let work = move |tx: Tx| async move { Ok(tx.decide_new::<Export>(id, take).await?) };
    let outcome = request.transact(&app, &subject, work).await?;
    let Some(position) = outcome.position.filter(|_| !request.dry_run) else {
        return Ok(CommandResult::of(&app, &outcome, (&subject, request.viewer()), request.dry_run)
            .await?
            .into_response());
    };
    read_all(&app).await?;
    let taking = app.audit_log.take_of_the_platform(&filter, position).await?;
    let source = Source::Platform(Box::new(taking));
    let (format, name) = ((*format, *bom), format!("platform-audit-log-{id}"));
    Ok(Batches::new(app, request.caller, source, format).answer(&name, position))
}
