//! The audit log: who did what, to what, when, from where.

use axum::{Json, extract::State};
use jiff::Timestamp;
use porttask_app::compliance::audit_log::{self, ByStaff, Entry, Filter, Person};
use porttask_domain::{Actor, OrganizationId, Personal, SessionId, UserId};
use porttask_projections::{ReadModel, compliance::audit_log as view};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::http::{
    app::App,
    changes::FieldChange,
    device::device,
    document::tagged,
    listing::{Asked, Listing, Page, Sort},
    permissions::{Impersonable, Permission, ReadAuditLog, is_staff},
    problem::Problem,
    request::{Authorized, Instant, Params},
};

/// The routes of the audit log.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("audit log", "Who did what, to what, when, from where.").routes(routes!(list_audit_log))
}

const SORTS: &[Sort] = &[("-recorded_at", &["offset"])];

/// An entry of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditEntry {
    /// The id of its event.
    #[schema(example = "0193e8f2-7b1a-7c3e-9d4f-5a6b7c8d9e0f")]
    pub(super) id: Uuid,
    /// When it happened. Differs from `recorded_at` for what was recorded later, or with a simulated clock.
    pub(super) occurred_at: Timestamp,
    /// When it was recorded: the order of the entries.
    pub(super) recorded_at: Timestamp,
    /// What happened.
    #[schema(example = "user.role_changed")]
    pub(super) action: String,
    /// Who did it.
    pub(super) actor: AuditActor,
    /// Staff of the platform who did it on behalf of the actor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) impersonator: Option<AuditImpersonator>,
    /// What it is about.
    pub(super) target: AuditTarget,
    /// What happened, in a sentence.
    #[schema(example = "changed the role from Agent to Admin")]
    pub(super) summary: String,
    /// The fields that were changed.
    pub(super) changes: Vec<FieldChange>,
    /// The session in which it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<SessionId>,
    /// The IP address from which it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "203.0.113.7")]
    pub(super) ip: Option<String>,
    /// The device from which it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Firefox 128 on Linux")]
    pub(super) device: Option<String>,
    /// The user agent, as sent by the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user_agent: Option<String>,
    /// The id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_id: Option<String>,
}

/// Who did something.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditActor {
    /// `user`; `api_key`, a program; `operator`, from the command line; `system`, the platform itself; `anonymous`,
    /// a caller who was not authenticated.
    #[schema(example = "user")]
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "usr_01h455vb4pex5vsknk084sn02q")]
    pub(super) id: Option<String>,
    /// The organization of the account: staff of the platform have theirs in the platform's organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) organization: Option<OrganizationId>,
    /// The current name; absent once it was erased. The name of staff is shown only to staff.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<String>,
    /// The number by which organizations see a member of the platform's staff: always the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "482193077")]
    pub(super) staff_number: Option<String>,
}

/// Staff of the platform who acted on behalf of a user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditImpersonator {
    /// The number by which organizations see them: always the same.
    #[schema(example = "482193077")]
    pub(super) staff_number: String,
    /// The account; shown only to staff, like name and email address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<String>,
}

/// What an entry is about.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditTarget {
    #[schema(example = "user")]
    pub(super) kind: &'static str,
    #[schema(example = "usr_01h455vb4pex5vsknk084sn02q")]
    pub(super) id: String,
    /// The current name of a person; absent once it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<String>,
}

/// A page of entries.
type AuditEntryPage = Page<AuditEntry>;

impl From<Entry> for AuditEntry {
    fn from(entry: Entry) -> Self {
        let Entry { id, occurred_at, recorded_at, meta, description, number, impersonator, .. } = entry;
        let (doer, person) = (entry.actor, entry.target);
        let Person { name, email } = doer.unwrap_or_default();
        let (kind, account) = match meta.actor {
            Actor::User { organization, user } => ("user", Some((user.to_string(), organization))),
            Actor::ApiKey { organization, key } => ("api_key", Some((key.to_string(), organization))),
            Actor::Operator => ("operator", None),
            Actor::System => ("system", None),
            Actor::Anonymous => ("anonymous", None),
        };
        let (account, organization) = account.unzip();
        let actor = AuditActor { kind, id: account, organization, name, email, staff_number: number };
        let impersonator = impersonator.map(|ByStaff { number: staff_number, account }| {
            let (id, person) = account.unzip();
            let Person { name, email } = person.unwrap_or_default();
            AuditImpersonator { staff_number, id, name, email }
        });
        let Person { name, email } = person.unwrap_or_default();
        let target = AuditTarget { kind: description.target.kind, id: description.target.id, name, email };
        let open = |value: Option<Personal>| value.and_then(|value| value.value().map(str::to_owned));
        let user_agent = open(meta.user_agent);
        Self {
            id: id.0,
            occurred_at,
            recorded_at,
            action: description.action,
            actor,
            impersonator,
            target,
            summary: description.summary,
            changes: description.changes.into_iter().map(FieldChange::from).collect(),
            session: meta.session,
            ip: open(meta.ip),
            device: user_agent.as_deref().and_then(device),
            user_agent,
            request_id: meta.request_id,
        }
    }
}

/// Which entries.
#[derive(Debug, Default, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Selection {
    /// The actor: the id of a user or an API key, the email address of a user, or `platform` for the operator and the platform itself.
    pub(super) actor: Option<String>,
    /// The action: `user.role_changed`, or all actions on users: `user`.
    #[schema(pattern = "^[a-z_.]{1,100}$")]
    pub(super) action: Option<String>,
    /// The target: an id, or the email address of a user.
    pub(super) target: Option<String>,
    /// Happened at or after this instant.
    #[schema(value_type = Option<Timestamp>)]
    pub(super) from: Option<Instant>,
    /// Happened before this instant.
    #[schema(value_type = Option<Timestamp>)]
    pub(super) until: Option<Instant>,
    /// Full-text search in summaries and changed values, not in names: entries with all of these words.
    #[schema(max_length = 200)]
    pub(super) q: Option<String>,
    /// In this session: its id.
    pub(super) session: Option<String>,
    /// In the request with this id (`X-Request-Id`).
    pub(super) request: Option<String>,
    /// From this IP address.
    #[schema(example = "203.0.113.7")]
    pub(super) ip: Option<String>,
}

/// Filters of the audit log.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditLogFilter {
    /// The actor: the id of a user or an API key, the email address of a user, or `platform` for the operator and the platform itself.
    #[param(example = "ana@acme.example")]
    actor: Option<String>,
    /// The action: `user.role_changed`, or all actions on users: `user`.
    #[param(example = "user.role_changed", pattern = "^[a-z_.]{1,100}$")]
    action: Option<String>,
    /// The target: an id, or the email address of a user.
    target: Option<String>,
    /// Happened at or after this instant.
    #[param(value_type = Option<Timestamp>)]
    from: Option<Instant>,
    /// Happened before this instant.
    #[param(value_type = Option<Timestamp>)]
    until: Option<Instant>,
    /// Full-text search in summaries and changed values, not in names: entries with all of these words.
    #[param(max_length = 200)]
    q: Option<String>,
    /// In this session: its id.
    session: Option<String>,
    /// In the request with this id (`X-Request-Id`).
    request: Option<String>,
    /// From this IP address. A page may be empty and still have a `next_cursor`.
    #[param(example = "203.0.113.7")]
    ip: Option<String>,
    /// Sort order: `-recorded_at`, the last recorded first (default), or `recorded_at`.
    #[param(example = "-recorded_at", pattern = "^-?recorded_at$")]
    sort: Option<String>,
    /// Maximum number of entries: 1 to 200; default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// Start of the page: `next_cursor` of the page before.
    cursor: Option<String>,
    /// Also count the entries of all pages: `total`, exact if at most 10,000 entries need to be examined; not with `ip`.
    #[serde(default)]
    count: bool,
}

impl Selection {
    /// The filter for the read model.
    ///
    /// # Errors
    /// Which parameter is not valid. An unknown email address is valid: nothing is found.
    pub(super) async fn filter<R: Permission>(&self, app: &App, caller: &Authorized<R>) -> Result<Filter, Problem> {
        let Self { actor, action, target, from, until, q, session, request, ip } = self.clone();
        let (from, until) = (from.map(|it| it.0), until.map(|it| it.0));
        let asked = audit_log::Asked { actor, action, target, from, until, text: q, session, request, ip };
        Ok(asked.filter(&*app.database, &app.vault, &app.views, caller.organization).await?)
    }
}

/// List the entries of an organization's audit log, the latest first.
///
/// Denied requests of authenticated callers are entries, too: the first at once, further ones of the same kind in one
/// entry after the hour. Needs `audit_log:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/audit-log", tag = "audit log",
    extensions(("x-impersonable" = json!(true))), params(AuditLogFilter),
    responses((status = 200, body = AuditEntryPage)))]
pub(crate) async fn list_audit_log(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadAuditLog>>,
    Params(filter): Params<AuditLogFilter>,
) -> Result<Json<AuditEntryPage>, Problem> {
    let AuditLogFilter { actor, action, target, from, until, q, session, request, ip, sort, limit, cursor, count } =
        filter;
    let selection = Selection { actor, action, target, from, until, q, session, request, ip };
    caller.catch_up(&app, view::AuditLog::NAME).await?;
    let filter = selection.filter(&app, &caller).await?;
    let (sort, text) = (sort.as_deref(), selection.q.as_deref());
    let page = page(
        &app,
        &caller,
        &filter,
        Asked { sort, limit, cursor: cursor.as_deref(), text, count: count && filter.ip.is_none() },
    )
    .await?;
    caller.shows_items(&page.items);
    Ok(Json(page))
}

/// How many pages are compared with an IP address for one response.
const MOST_PAGES: usize = 10;

/// A page of entries. With an IP address, the first page that has some, if it is found soon.
async fn page<R: Permission>(
    app: &App,
    caller: &Authorized<R>,
    filter: &Filter,
    asked: Asked<'_>,
) -> Result<AuditEntryPage, Problem> {
    let mut cursor = asked.cursor.map(str::to_owned);
    for _ in 0..MOST_PAGES {
        let (place, conditions) =
            ((caller.organization, vec![caller.partition]), filter.conditions(caller.organization));
        let asked = Asked { cursor: cursor.as_deref(), ..asked };
        let listing = Listing::new::<view::AuditLog>(app, place, conditions, SORTS, &asked)?;
        let Page { items, next_cursor, total } = listing.rows::<view::AuditLog>(app).await?;
        let mut entries = app.audit_log.entries(caller.partition, &items, is_staff(&caller.identity)).await?;
        entries.retain(|entry| filter.is_from(entry));
        if !entries.is_empty() || next_cursor.is_none() || filter.ip.is_none() {
            return Ok(Page { items: entries.into_iter().map(AuditEntry::from).collect(), next_cursor, total });
        }
        cursor = next_cursor;
    }
    Ok(Page { items: Vec::new(), next_cursor: cursor, total: None })
}
