//! The platform's audit trail: what staff, keys of the platform and operators did in any organization.

use std::time::Duration;

use axum::{Json, extract::State};
use jiff::{SignedDuration, Timestamp};
use porttask_app::{compliance::audit_log::PLATFORM, identity::organizations};
use porttask_domain::{OrganizationId, uuid_of};
use porttask_projections::{ColumnType, ReadModel, Value, compliance::platform_audit_log as view};
use porttask_runtime::views::Condition;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::audit_log::{AuditEntry, action_conditions};
use crate::http::{
    app::App,
    listing::{Asked, Listing, Page, Sort},
    permissions::ReadPlatformAuditLog,
    problem::Problem,
    request::{Authorized, Params},
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
    from: Option<Timestamp>,
    /// Happened before this instant.
    until: Option<Timestamp>,
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
    let conditions = filter.conditions(&app).await?;
    let PlatformAuditLogFilter { sort, limit, cursor, count, .. } = &filter;
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
    for head in app.database.heads().await.map_err(|error| Problem::unavailable(&error))? {
        if !app.views.wait_for(view::PlatformAuditLog::NAME, head.position, PATIENCE).await? {
            let detail = "The audit trail has not caught up with all partitions yet. Retry after a pause.";
            return Err(Problem::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, "not-yet", detail).after(1));
        }
    }
    Ok(Condition::Below("occurred_at", Value::Time(end)))
}

impl PlatformAuditLogFilter {
    /// The conditions on the read model.
    ///
    /// # Errors
    /// Which parameter is not valid.
    async fn conditions(&self, app: &App) -> Result<Vec<Condition>, Problem> {
        let mut conditions = Vec::new();
        if let Some(named) = &self.organization {
            let found = organizations::named(&*app.database, &app.vault, named).await;
            let found = found.map_err(|error| Problem::unavailable(&error))?;
            let organization = found.ok_or_else(|| Problem::invalid("organization", "is not known"))?;
            conditions.push(Condition::Equal("organization", organization.to_value()));
        }
        if let Some(named) = &self.actor {
            let actor = if named == PLATFORM { Some(Uuid::nil()) } else { uuid_of(named) };
            let actor =
                actor.ok_or_else(|| Problem::invalid("actor", "must be the id of a user or key, or platform"))?;
            conditions.push(Condition::Equal("actor", Value::Id(actor)));
        }
        conditions.extend(action_conditions(self.action.as_deref())?);
        if self.from.zip(self.until).is_some_and(|(from, until)| from >= until) {
            return Err(Problem::invalid("until", "must be later than from"));
        }
        conditions.extend(self.from.map(|from| Condition::AtLeast("occurred_at", Value::Time(from))));
        conditions.extend(self.until.map(|until| Condition::Below("occurred_at", Value::Time(until))));
        Ok(conditions)
    }
}
