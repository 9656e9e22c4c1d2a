//! The audit log: who did what, to what, when, from where.

use axum::{
    Json,
    extract::{Query, State},
};
use jiff::Timestamp;
use porttask_app::compliance::audit_log::{self, AskedError, ByStaff, Entry, Filter, Person};
use porttask_domain::{Actor, OrganizationId, Personal, SessionId, UserId};
use porttask_projections::{
    ReadModel,
    compliance::{audit_log as view, description::FieldChange},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::http::device::device;
use crate::http::document::tagged;
use crate::http::{
    app::App,
    listing::{Asked, Listing, Page, Sort},
    permissions::{Impersonable, Permission, ReadAuditLog, is_staff},
    problem::Problem,
    request::Authorized,
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("audit log", "Who did what, to what, when, from where.").routes(routes!(list_audit_log))
}

const SORTS: &[Sort] = &[("-recorded_at", &["recorded_at", "offset"])];

/// An entry of the audit log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct Shown {
    /// The id of its event.
    #[schema(value_type = String, example = "0193e8f2-7b1a-7c3e-9d4f-5a6b7c8d9e0f")]
    pub(super) id: Uuid,
    /// Its place in the log.
    #[schema(example = "0:1234")]
    pub(super) position: String,
    #[schema(value_type = String, format = DateTime)]
    pub(super) recorded_at: Timestamp,
    /// What happened.
    #[schema(example = "user.role_changed")]
    pub(super) action: String,
    /// Who did it.
    pub(super) actor: ShownActor,
    /// Staff of the platform who did it in the actor's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) impersonator: Option<ShownImpersonator>,
    /// What it happened to.
    pub(super) target: ShownTarget,
    /// What happened, in a sentence.
    #[schema(example = "changed the role from agent to admin")]
    pub(super) summary: String,
    /// The fields that have other values since.
    pub(super) changes: Vec<ShownChange>,
    /// The session in which it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(super) session: Option<SessionId>,
    /// The address from which it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "203.0.113.7")]
    pub(super) ip: Option<String>,
    /// The device from which it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Firefox 128 on Linux")]
    pub(super) device: Option<String>,
    /// The user agent, as it named itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user_agent: Option<String>,
    /// The request that asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_id: Option<String>,
}

/// Who did something.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditActor)]
pub(crate) struct ShownActor {
    /// `user`; `api_key`, a program; `operator`, from the command line; `system`, the platform itself; `anonymous`,
    /// somebody who has not proved who they are.
    #[schema(example = "user")]
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "usr_01h455vb4pex5vsknk084sn02q")]
    pub(super) id: Option<String>,
    /// Where the account is: staff of the platform have theirs in the platform's organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(super) organization: Option<OrganizationId>,
    /// How they are called now; absent once they were erased, and of the platform's staff for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<String>,
    /// The number by which organizations see somebody of the platform's staff: always the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "482193077")]
    pub(super) staff_number: Option<String>,
}

/// Staff of the platform who acted in somebody's name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditImpersonator)]
pub(crate) struct ShownImpersonator {
    /// The number by which organizations see them: always the same.
    #[schema(example = "482193077")]
    pub(super) staff_number: String,
    /// Their account; for the platform's staff alone, as the name and the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(super) id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<String>,
}

/// What something happened to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditTarget)]
pub(crate) struct ShownTarget {
    #[schema(example = "user")]
    pub(super) kind: &'static str,
    #[schema(example = "usr_01h455vb4pex5vsknk084sn02q")]
    pub(super) id: String,
    /// How a person is called now; absent once they were erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<String>,
}

/// A field that has another value.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FieldChange)]
pub(crate) struct ShownChange {
    #[schema(example = "role")]
    pub(super) field: &'static str,
    /// What it was; absent if it was nothing, or the event does not say. `[erased]` if it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "agent")]
    pub(super) from: Option<String>,
    /// What it is; absent if it is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "admin")]
    pub(super) to: Option<String>,
}

impl From<Entry> for Shown {
    fn from(entry: Entry) -> Self {
        let Entry { position, id, recorded_at, meta, description, actor: doer, number, impersonator, target: person } =
            entry;
        let Person { name, email } = doer.unwrap_or_default();
        let (kind, account) = match meta.actor {
            Actor::User { organization, user } => ("user", Some((user.to_string(), organization))),
            Actor::ApiKey { organization, key } => ("api_key", Some((key.to_string(), organization))),
            Actor::Operator => ("operator", None),
            Actor::System => ("system", None),
            Actor::Anonymous => ("anonymous", None),
        };
        let (account, organization) = account.unzip();
        let actor = ShownActor { kind, id: account, organization, name, email, staff_number: number };
        let impersonator = impersonator.map(|ByStaff { number: staff_number, account }| {
            let (id, person) = account.unzip();
            let Person { name, email } = person.unwrap_or_default();
            ShownImpersonator { staff_number, id, name, email }
        });
        let Person { name, email } = person.unwrap_or_default();
        let target = ShownTarget { kind: description.target.kind, id: description.target.id, name, email };
        let change = |FieldChange { field, from, to }| ShownChange { field, from, to };
        let open = |value: Option<Personal>| value.and_then(|value| value.value().map(str::to_owned));
        let user_agent = open(meta.user_agent);
        Self {
            id: id.0,
            position: position.to_string(),
            recorded_at,
            action: description.action,
            actor,
            impersonator,
            target,
            summary: description.summary,
            changes: description.changes.into_iter().map(change).collect(),
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
    /// By whom: the id or the mail address of a user, or `platform` for the operator and the platform itself.
    pub(super) actor: Option<String>,
    /// What happened: `user.role_changed`, or all that happens to users: `user`.
    #[schema(pattern = "^[a-z_.]{1,100}$")]
    pub(super) action: Option<String>,
    /// What it happened to: an id, or the mail address of a user.
    pub(super) target: Option<String>,
    /// Not before this instant.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) from: Option<Timestamp>,
    /// Before this instant.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) until: Option<Timestamp>,
    /// With all of these words in the sentence or in what has changed; names of people are not among them.
    #[schema(max_length = 200)]
    pub(super) q: Option<String>,
}

/// A page of the audit log.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageOfEntries {
    /// By whom: the id or the mail address of a user, or `platform` for the operator and the platform itself.
    #[param(example = "ana@acme.example")]
    actor: Option<String>,
    /// What happened: `user.role_changed`, or all that happens to users: `user`.
    #[param(example = "user.role_changed", pattern = "^[a-z_.]{1,100}$")]
    action: Option<String>,
    /// What it happened to: an id, or the mail address of a user.
    target: Option<String>,
    /// Not before this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Before this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// With all of these words in the sentence or in what has changed; names of people are not among them.
    #[param(max_length = 200)]
    q: Option<String>,
    /// `-recorded_at`, the latest first, or `recorded_at`.
    #[param(example = "-recorded_at", pattern = "^-?recorded_at$")]
    sort: Option<String>,
    /// The most entries: 1 to 200, otherwise 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// Where the page begins: the `next_cursor` of the one before.
    cursor: Option<String>,
}

impl Selection {
    /// What is to be found.
    ///
    /// # Errors
    /// What is wrong with what was asked. That there is nobody with an address is not: nothing is found.
    pub(super) async fn filter<R: Permission>(&self, app: &App, caller: &Authorized<R>) -> Result<Filter, Problem> {
        let Self { actor, action, target, from, until, q } = self.clone();
        let asked = audit_log::Asked { actor, action, target, from, until, text: q };
        asked.filter(&*app.database, &app.vault, caller.organization).await.map_err(|error| match error {
            AskedError::Invalid { field: "text", reason } => Problem::invalid("q", reason),
            AskedError::Invalid { field, reason } => Problem::invalid(field, reason),
            AskedError::Log(error) => Problem::unavailable(&error),
        })
    }
}

/// List what was done in an organization, the latest first.
///
/// Needs `audit_log:read`. DenialLog of somebody who was signed in are entries, too: the first at once, those that follow
/// within the hour together.
#[utoipa::path(get, path = "/v1/organizations/{org}/audit-log", tag = "audit log", operation_id = "list_audit_log", extensions(("x-impersonable" = json!(true))),
    params(("org" = String, Path, description = "The organization, or `current`"), PageOfEntries),
    responses((status = 200, body = Page<Shown>)))]
pub(crate) async fn list_audit_log(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadAuditLog>>,
    asked: Result<Query<PageOfEntries>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Page<Shown>>, Problem> {
    let Query(asked) = asked.map_err(|error| Problem::invalid("query", error.body_text()))?;
    let PageOfEntries { actor, action, target, from, until, q, sort, limit, cursor } = asked;
    let selection = Selection { actor, action, target, from, until, q };
    caller.catch_up(&app, view::AuditLog::NAME).await?;
    let conditions = selection.filter(&app, &caller).await?.conditions(caller.organization);
    let (sort, cursor, text) = (sort.as_deref(), cursor.as_deref(), selection.q.as_deref());
    let asked = Asked { sort, limit, cursor, text };
    let listing =
        Listing::new::<view::AuditLog>(&app, (caller.organization, vec![caller.partition]), conditions, SORTS, &asked)?;
    let Page { items, next_cursor } = listing.rows::<view::AuditLog>(&app).await?;
    let entries = app.audit_log.entries(caller.partition, &items, is_staff(&caller.caller)).await?;
    Ok(Json(Page { items: entries.into_iter().map(Shown::from).collect(), next_cursor }))
}
