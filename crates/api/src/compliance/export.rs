//! Exports of the audit log: recorded first, then streamed.

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use porttask_app::compliance::audit_log::{AuditLogError, Entry, PlatformTaking, Taking};
use porttask_domain::{
    ExportId, OrganizationId,
    compliance::{
        Export,
        export::{Command, Event, Format},
    },
    identity::Capability,
};
use porttask_projections::{ReadModel, compliance::audit_log as view};
use porttask_runtime::{
    execute::{Tx, stream_of},
    log::Position,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    audit_log::{AuditEntry, Selection},
    platform_audit_log::PlatformAuditEntry,
};
use crate::http::{
    app::App,
    csv::{self, Head, csv},
    permissions::{Permission, ReadAuditLog, is_staff},
    problem::Problem,
    request::{Authorized, CommandParameters, CommandRequest},
    response::{CommandResult, POSITION},
};

/// The routes of exports.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(export_audit_log))
}

/// What is exported, and in which format.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportRequest {
    /// `csv` (RFC 4180, with a header line), or `json` (one entry per line).
    format: Format,
    /// Whether CSV starts with a byte order mark, by which spreadsheets recognize UTF-8; default: true.
    #[serde(default = "yes")]
    bom: bool,
    /// Which entries; default: all.
    #[serde(default)]
    selection: Selection,
}

pub(super) fn yes() -> bool {
    true
}

/// Export the audit log, the oldest entry first.
///
/// The export is recorded as an entry, the last one that it contains. It is aborted if its caller loses the permission.
/// Needs `audit_log:read`.
#[utoipa::path(post, path = "/v1/organizations/{org}/audit-log/export", tag = "audit log", params(CommandParameters),
    request_body = ExportRequest,
    responses((status = 200, description = "The entries; in a dry run, what would be recorded", content(
        (String = "text/csv"), (AuditEntry = "application/x-ndjson"), (CommandResult = "application/json")))))]
pub(crate) async fn export_audit_log(
    State(app): State<App>,
    request: CommandRequest<ReadAuditLog, ExportRequest>,
) -> Result<Response, Problem> {
    let request = request.needing(Capability::Settle);
    let ExportRequest { format, bom, selection } = &request.body;
    let filter = selection.filter(&app, &request.caller).await?;
    let organization = request.caller.organization;
    let id: ExportId = request.new_id(&app);
    let subject = stream_of::<Export>(organization, id)?;
    let take = &Command::Take(Event::AuditLogTaken { format: *format, selection: filter.recorded(organization) });
    let work = move |tx: Tx| async move { Ok(tx.decide_new::<Export>(id, take).await?) };
    let outcome = request.transact(&app, &subject, work).await?;
    let Some(position) = outcome.position.filter(|_| !request.dry_run) else {
        return Ok(CommandResult::of(&app, &outcome, (&subject, request.viewer()), request.dry_run)
            .await?
            .into_response());
    };
    request.caller.shows(&app, view::AuditLog::NAME, position).await?;
    let taking = app.audit_log.take(organization, &filter, position, is_staff(&request.caller.identity));
    let name = format!("audit-log-{organization}-{id}");
    Ok(Batches::new(app, request.caller, Source::Organization(Box::new(taking)), (*format, *bom))
        .answer(&name, position))
}

/// Where the entries come from.
pub(super) enum Source {
    /// One organization.
    Organization(Box<Taking>),
    /// The platform's audit trail.
    Platform(Box<PlatformTaking>),
}

impl Source {
    /// The next entries in a format; `None` after the last.
    async fn next(&mut self, format: Format, head: Head) -> Result<Option<Vec<u8>>, BrokenOff> {
        let written = match self {
            Self::Organization(taking) => taking.next().await?.map(|entries| render(entries, format, head)),
            Self::Platform(taking) => taking.next().await?.map(|entries| render_of_the_platform(entries, format, head)),
        };
        Ok(written.transpose()?)
    }
}

/// The rest of an export.
pub(super) struct Batches<P> {
    app: App,
    caller: Authorized<P>,
    source: Source,
    format: Format,
    /// The start of what is sent next.
    head: Head,
    is_broken: bool,
}

/// Why an export was aborted. The connection is aborted, too, so that a partial export is not taken for a complete one.
#[derive(Debug, thiserror::Error)]
enum BrokenOff {
    #[error("the export was aborted: the authorization was lost")]
    Unauthorized,
    #[error("the export was aborted: {0}")]
    Unreadable(#[from] AuditLogError),
    #[error("the export was aborted: {0}")]
    Unwritten(#[from] std::io::Error),
}

impl<P: Permission> Batches<P> {
    /// An export to this caller, in a format, with or without a byte order mark.
    pub(super) fn new(app: App, caller: Authorized<P>, source: Source, (format, has_bom): (Format, bool)) -> Self {
        Self { app, caller, source, format, head: Head::of(has_bom), is_broken: false }
    }

    /// The response, with the position at which the export was recorded.
    pub(super) fn answer(self, name: &str, position: Position) -> Response {
        let token = self.app.positions.seal(self.caller.identity.organization, position);
        let (content_type, ending) = match self.format {
            Format::Csv => (csv::CONTENT_TYPE, "csv"),
            Format::Json => ("application/x-ndjson", "jsonl"),
        };
        let headers = [
            (header::CONTENT_TYPE, content_type.to_owned()),
            (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.{ending}\"")),
            (header::CACHE_CONTROL, "no-store".to_owned()),
            (HeaderName::from_static(POSITION), token),
        ];
        // Compression asks again after the end.
        let mut response = Body::from_stream(stream::unfold(self, Self::next).fuse()).into_response();
        for (header, value) in headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(header, value);
            }
        }
        response
    }

    async fn next(mut self) -> Option<(Result<Bytes, BrokenOff>, Self)> {
        if self.is_broken {
            return None;
        }
        let batch = self.batch().await.transpose()?;
        if let Err(error) = &batch {
            self.is_broken = true;
            tracing::error!(%error, "an audit log export was aborted");
        }
        Some((batch, self))
    }

    async fn batch(&mut self) -> Result<Option<Bytes>, BrokenOff> {
        let head = std::mem::take(&mut self.head);
        if head == Head::None {
            self.caller.authenticate_again(&self.app).await.map_err(|_| BrokenOff::Unauthorized)?;
        }
        Ok(self.source.next(self.format, head).await?.map(Bytes::from))
    }
}

/// Entries in an export format.
///
/// # Errors
/// None in practice: it writes to memory.
pub fn render(entries: Vec<Entry>, format: Format, head: Head) -> std::io::Result<Vec<u8>> {
    let entries = entries.into_iter().map(AuditEntry::from);
    match format {
        Format::Csv => {
            csv(entries.map(|entry| fields(entry).map(Vec::from)).collect::<Result<Vec<_>, _>>()?, &NAMES, head)
        }
        Format::Json => json_lines(entries),
    }
}

/// Entries of the platform's audit trail in an export format, with their organizations.
///
/// # Errors
/// None in practice: it writes to memory.
pub fn render_of_the_platform(
    entries: Vec<(OrganizationId, Entry)>,
    format: Format,
    head: Head,
) -> std::io::Result<Vec<u8>> {
    let entries = entries.into_iter().map(|(organization, entry)| (organization, AuditEntry::from(entry)));
    match format {
        Format::Csv => {
            let lines = entries.map(|(organization, entry)| {
                fields(entry).map(|fields| [Vec::from(fields), vec![organization.to_string()]].concat())
            });
            csv(lines.collect::<Result<Vec<_>, _>>()?, &[&NAMES[..], &["organization"]].concat(), head)
        }
        Format::Json => json_lines(entries.map(PlatformAuditEntry::from)),
    }
}

fn json_lines(entries: impl Iterator<Item = impl Serialize>) -> Result<Vec<u8>, std::io::Error> {
    let mut lines = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut lines, &entry)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

const NAMES: [&str; 23] = [
    "recorded_at",
    "id",
    "action",
    "actor_kind",
    "actor_id",
    "actor_organization",
    "actor_name",
    "actor_email",
    "target_kind",
    "target_id",
    "target_name",
    "target_email",
    "summary",
    "changes",
    "session",
    "ip",
    "device",
    "request_id",
    "actor_staff_number",
    "impersonator_staff_number",
    "impersonator_id",
    "occurred_at",
    "user_agent",
];

/// The fields of a line, as in [`NAMES`].
fn fields(entry: AuditEntry) -> Result<[String; NAMES.len()], serde_json::Error> {
    let AuditEntry {
        id, occurred_at, recorded_at, action, actor, impersonator, target, summary, changes, session, ..
    } = entry;
    let (by_staff, staff) = impersonator.map(|staff| (staff.staff_number, staff.id)).unzip();
    let text = |value: Option<String>| value.unwrap_or_default();
    Ok([
        recorded_at.to_string(),
        id.to_string(),
        action,
        actor.kind.to_owned(),
        text(actor.id),
        text(actor.organization.map(|id: OrganizationId| id.to_string())),
        text(actor.name),
        text(actor.email),
        target.kind.to_owned(),
        target.id,
        text(target.name),
        text(target.email),
        summary,
        serde_json::to_string(&changes)?,
        text(session.map(|id| id.to_string())),
        text(entry.ip),
        text(entry.device),
        text(entry.request_id),
        text(actor.staff_number),
        text(by_staff),
        text(staff.flatten().map(|id| id.to_string())),
        occurred_at.to_string(),
        text(entry.user_agent),
    ])
}
