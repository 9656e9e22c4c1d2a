//! Signing in and out.

use std::collections::HashMap;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use porttask_app::{
    execute::{Commands, stream_of},
    log::Offset,
    sign_in::Attempt,
    views::{self, Condition, Direction},
};
use porttask_domain::{
    Meta, OrganizationId, SessionId, UserId,
    identity::{
        Permissions, Role, Session,
        session::{Command, Ending},
    },
};
use porttask_projections::{ColumnType, ReadModel, Value, identity::session as view};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{user::user_in, words};
use crate::{
    answer::Changed,
    app::App,
    compliance::device::device,
    listing::Page,
    problem::Problem,
    request::{Allowed, Body, Client, Nothing, Order},
    rights::{ReadUsers, SignedIn, WriteUsers},
};

/// The most sessions that are listed.
const MOST: usize = 200;

/// Who somebody says that they are.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    #[schema(example = "ana@acme.example")]
    email: String,
    #[schema(format = Password)]
    password: String,
    /// The id or the domain of an organization: needed by whoever has accounts in several.
    #[schema(example = "acme.example")]
    organization: Option<String>,
}

/// A session that has just begun.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewSession {
    /// Send it as `Authorization: Bearer pts_…`. It is shown once.
    token: String,
    #[schema(value_type = String)]
    id: SessionId,
    #[schema(value_type = String)]
    organization: OrganizationId,
    #[schema(value_type = String)]
    user: UserId,
    /// When it ends at the latest.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Who is signed in, and what they may.
#[derive(Serialize, ToSchema)]
pub(crate) struct Current {
    #[schema(value_type = String)]
    id: SessionId,
    #[schema(value_type = String)]
    organization: OrganizationId,
    #[schema(value_type = String)]
    user: UserId,
    #[schema(value_type = words::Role)]
    role: Role,
    #[schema(value_type = words::Permissions)]
    permissions: Permissions,
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct Shown {
    #[schema(value_type = String)]
    id: SessionId,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// When it ended before its time.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// How it ended before its time: `sign_out` or `revocation`.
    #[schema(value_type = Option<String>)]
    ended_by: Option<Ending>,
    /// The address from which it began; absent once it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "203.0.113.7")]
    ip: Option<String>,
    /// The device from which it began; absent once it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Firefox 128 on Linux")]
    device: Option<String>,
    /// Whether it is the one that asks.
    is_current: bool,
}

impl Shown {
    fn new(row: view::Session, began: Option<&Meta>, current: Option<SessionId>) -> Self {
        let view::Session { session, started_at, expires_at, ended_at, ended_by, .. } = row;
        let ip = began.and_then(|meta| meta.ip.as_ref()?.value()).map(str::to_owned);
        let device = began.and_then(|meta| meta.user_agent.as_ref()?.value()).and_then(device);
        Self {
            id: session,
            started_at,
            expires_at,
            ended_at,
            ended_by,
            ip,
            device,
            is_current: Some(session) == current,
        }
    }
}

/// Sign in.
///
/// Every attempt that fails is answered alike.
#[utoipa::path(post, path = "/v1/sessions", tag = "sessions", operation_id = "sign_in", security(()),
    request_body = Credentials, responses((status = 201, body = NewSession)))]
pub(crate) async fn sign_in(
    State(app): State<App>,
    client: Client,
    Body(Credentials { email, password, organization }): Body<Credentials>,
) -> Result<Response, Problem> {
    let (ip, user_agent, request_id) = (client.ip.map(|ip| ip.to_string()), client.user_agent, Some(client.request_id));
    let attempt = Attempt { email, password, organization, ip, user_agent, request_id };
    let signed_in = app.sign_in.sign_in(attempt, Timestamp::now()).await?;
    let (id, organization) = (signed_in.session, signed_in.token.organization());
    let (token, user, expires_at) = (signed_in.token.reveal(), signed_in.user, signed_in.expires_at);
    app.limits.know(&token);
    Ok((StatusCode::CREATED, Json(NewSession { token, id, organization, user, expires_at })).into_response())
}

/// Show who is signed in.
///
/// And what they may, as it holds at this moment.
#[utoipa::path(get, path = "/v1/sessions/current", tag = "sessions", operation_id = "get_current_session",
    responses((status = 200, body = Current)))]
pub(crate) async fn current_session(by: Allowed<SignedIn>) -> Result<Json<Current>, Problem> {
    let id = by.session()?;
    let caller = by.caller;
    let (organization, user, role, permissions) = (caller.organization, caller.user, caller.role, caller.permissions);
    Ok(Json(Current { id, organization, user, role, permissions }))
}

/// Sign out.
///
/// The token opens nothing from now on.
#[utoipa::path(delete, path = "/v1/sessions/current", tag = "sessions", operation_id = "sign_out",
    responses((status = 200, body = Changed)))]
pub(crate) async fn sign_out(State(app): State<App>, order: Order<SignedIn, Nothing>) -> Result<Changed, Problem> {
    let (organization, session) = (order.by.organization, order.by.session()?);
    let subject = stream_of::<Session>(organization, session)?;
    let commands = Commands::new().on::<Session>(session, Command::SignOut);
    let done = order.carry_out(&app, &subject, &commands, |it| it).await?;
    Changed::of(&app, done, &subject, order.dry_run).await
}

/// List a user's sessions, the latest first.
///
/// Needs `users:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/users/{user}/sessions", tag = "sessions",
    operation_id = "list_sessions", params(("org" = String, Path), ("user" = String, Path)),
    responses((status = 200, body = Page<Shown>)))]
pub(crate) async fn list_sessions(
    State(app): State<App>,
    by: Allowed<ReadUsers>,
    Path((_, user)): Path<(String, String)>,
) -> Result<Json<Page<Shown>>, Problem> {
    let user = user_in(&user)?;
    by.catch_up(&app, view::Sessions::NAME).await?;
    super::user::row(&app, &by, user).await?.ok_or_else(|| Problem::not_found("user"))?;
    let of_user = [("organization", by.organization.to_value()), ("user", Value::Id(user.0))];
    let conditions = of_user.map(|(column, value)| Condition::Equal(column, value)).into();
    let (sort, direction) = (vec!["started_at", "session"], Direction::Descending);
    let query =
        views::Query { partition: by.partition, conditions, text: None, sort, direction, after: None, limit: MOST };
    let rows = app.views.rows::<view::Sessions>(&query).await?;
    let offsets: Vec<Offset> = rows.iter().map(|row| Offset(row.offset)).collect();
    let events = app.database.read_at(by.partition, &offsets).await.map_err(|error| Problem::unavailable(&error))?;
    let metas = app.vault.metas(&events).await.map_err(|error| Problem::unavailable(&error))?;
    let metas: HashMap<u64, Meta> = events.iter().map(|event| event.position.offset.0).zip(metas).collect();
    let current = by.caller.session();
    let items = rows.into_iter().map(|row| {
        let began = metas.get(&row.offset);
        Shown::new(row, began, current)
    });
    Ok(Json(Page { items: items.collect(), next_cursor: None }))
}

/// End a user's session.
///
/// Holds on its next request. Needs `users:write`.
#[utoipa::path(delete, path = "/v1/organizations/{org}/users/{user}/sessions/{session}", tag = "sessions",
    operation_id = "revoke_session",
    params(("org" = String, Path), ("user" = String, Path), ("session" = String, Path)),
    responses((status = 200, body = Changed)))]
pub(crate) async fn revoke_session(
    State(app): State<App>,
    Path((_, user, session)): Path<(String, String, String)>,
    order: Order<WriteUsers, Nothing>,
) -> Result<Changed, Problem> {
    let organization = order.by.organization;
    let session: SessionId = session.parse().map_err(|_| Problem::not_found("session"))?;
    let (state, _) = app.executor.load::<Session>(organization, session).await?;
    if state.user() != Some(user_in(&user)?) {
        return Err(Problem::not_found("session"));
    }
    let subject = stream_of::<Session>(organization, session)?;
    let commands = Commands::new().on::<Session>(session, Command::Revoke);
    let done = order.carry_out(&app, &subject, &commands, |it| it).await?;
    Changed::of(&app, done, &subject, order.dry_run).await
}
