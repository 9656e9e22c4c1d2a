//! The platform's audit trail: what staff, keys of the platform and operators did in any organization.

use std::time::Duration;

use axum::{Json, extract::State};
use jiff::SignedDuration;
use porttask_app::compliance::audit_log::{PlatformAsked, PlatformFilter};
use porttask_domain::OrganizationId;
use porttask_projections::{ReadModel, Value, compliance::platform_audit_log as view};
use porttask_runtime::views::Condition;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::audit_log::AuditEntry;
use crate::http::{
    app::App,
    listing::{Asked, Listing, Page, Sort},
    permissions::ReadPlatformAuditLog,
    problem::Problem,
    request::{Authorized, Instant, Params},
};

/// The routes of the platform's audit trail.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_platform_audit_log))
}

const SORTS: &[Sort] = &[("-occurred_at", &["occurred_at", "event"])];
/// What is younger may still be followed by entries with an earlier time.
const SETTLING: SignedDuration = SignedDuration::from_secs(10);
/// How long readers in ascending order wait until all partitions are read.
const PATIENCE: Duration = Duration::from_secs(2);

/// An entry of the platform's audit trail.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlatformAuditEntry {
    /// The organization in which it happened.
    organization: OrganizationId,
    #[serde(flatten)]
    entry: AuditEntry,
}

impl From<(OrganizationId, AuditEntry)> for PlatformAuditEntry {
    fn from((organization, entry): (OrganizationId, AuditEntry)) -> Self {
        Self { organization, entry }
    }
}

/// A page of entries.
type PlatformAuditEntryPage = Page<PlatformAuditEntry>;

/// Filters of the platform's audit trail.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PlatformAuditLogFilter {
    /// Only what happened in this organization: its id or its domain.
    #[param(example = "acme.example")]
    organization: Option<String>,
    /// The actor: the id of a user or key, or `platform` for the operator and the platform itself.
    actor: Option<String>,
    /// The action: `user.role_changed`, or all actions on users: `user`.
    #[param(example = "user.role_changed", pattern = "^[a-z_.]{1,100}$")]
    action: Option<String>,
    /// Happened at or after this instant.
    #[param(value_type = Option<Timestamp>)]
    from: Option<Instant>,
    /// Happened before this instant.
    #[param(value_type = Option<Timestamp>)]
    until: Option<Instant>,
    /// Sort order: `-occurred_at`, the latest first (default), or `occurred_at`, which ends ten seconds ago, so that a
    /// reader who continues from the last page misses nothing.
    #[param(example = "-occurred_at", pattern = "^-?occurred_at$")]
    sort: Option<String>,
    /// Maximum number of entries: 1 to 200; default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// Start of the page: `next_cursor` of the page before.
    cursor: Option<String>,
    /// Also count the entries of all pages: `total`, exact if at most 10,000 entries need to be examined.
    #[serde(default)]
    count: bool,
}

/// List what staff, keys of the platform and operators did in any organization, the latest first.
///
/// With what happened in the platform's own organization. Needs `platform_audit_log:read`.
#[utoipa::path(get, path = "/v1/platform/audit-log", tag = "audit log", params(PlatformAuditLogFilter),
    responses((status = 200, body = PlatformAuditEntryPage)))]
pub(crate) async fn list_platform_audit_log(
    State(app): State<App>,
    caller: Authorized<ReadPlatformAuditLog>,
    Params(filter): Params<PlatformAuditLogFilter>,
) -> Result<Json<PlatformAuditEntryPage>, Problem> {
    let PlatformAuditLogFilter { organization, actor, action, from, until, sort, limit, cursor, count } = &filter;
    let (organization, actor, action) = (organization.clone(), actor.clone(), action.clone());
    let selection = PlatformSelection { organization, actor, action, from: *from, until: *until };
    let conditions = selection.filter(&app).await?.conditions();
    let asked = Asked { sort: sort.as_deref(), limit: *limit, cursor: cursor.as_deref(), text: None, count: *count };
    let place = (caller.organization, Vec::new());
    let mut listing = Listing::new::<view::PlatformAuditLog>(&app, place, conditions, SORTS, &asked)?;
    if sort.as_deref() == Some("occurred_at") {
        listing = listing.bounded(settled(&app).await?);
    } else {
        caller.catch_up_everywhere(&app, view::PlatformAuditLog::NAME).await?;
    }
    let Page { items, next_cursor, total } = listing.rows::<view::PlatformAuditLog>(&app).await?;
    let entries = app.audit_log.of_the_platform(&items).await?.into_iter();
    let items = entries.map(|(organization, entry)| PlatformAuditEntry { organization, entry: entry.into() });
    Ok(Json(Page { items: items.collect(), next_cursor, total }))
}

/// Waits until all partitions are read; nothing is recorded any more before the time that is returned.
async fn settled(app: &App) -> Result<Condition, Problem> {
    let end = app.clock.now() - SETTLING;
    read_all(app).await?;
    Ok(Condition::Below("occurred_at", Value::Time(end)))
}

/// Waits until all partitions are read.
pub(super) async fn read_all(app: &App) -> Result<(), Problem> {
    for head in app.database.heads().await.map_err(|error| Problem::unavailable(&error))? {
        if !app.views.wait_for(view::PlatformAuditLog::NAME, head.position, PATIENCE).await? {
            let detail = "The audit trail has not caught up with all partitions yet. Retry after a pause.";
            return Err(Problem::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, "not-yet", detail).after(1));
        }
    }
    Ok(())
}

/// Which entries.
#[derive(Debug, Default, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlatformSelection {
    /// Only what happened in this organization: its id or its domain.
    #[schema(example = "acme.example")]
    pub(super) organization: Option<String>,
    /// The actor: the id of a user or key, or `platform` for the operator and the platform itself.
    pub(super) actor: Option<String>,
    /// The action: `user.role_changed`, or all actions on users: `user`.
    #[schema(example = "user.role_changed", pattern = "^[a-z_.]{1,100}$")]
    pub(super) action: Option<String>,
    /// Happened at or after this instant.
    #[schema(value_type = Option<Timestamp>)]
    pub(super) from: Option<Instant>,
    /// Happened before this instant.
    #[schema(value_type = Option<Timestamp>)]
    pub(super) until: Option<Instant>,
}

impl PlatformSelection {
    /// The filter for the read model.
    ///
    /// # Errors
    /// Which parameter is not valid.
    pub(super) async fn filter(&self, app: &App) -> Result<PlatformFilter, Problem> {
        let Self { organization, actor, action, from, until } = self.clone();
        let (from, until) = (from.map(|it| it.0), until.map(|it| it.0));
        let asked = PlatformAsked { organization, actor, action, from, until };
        asked.filter(&*app.database, &app.vault).await.map_err(Problem::from)
    }
}
