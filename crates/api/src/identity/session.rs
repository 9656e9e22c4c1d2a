//! Signing in and out.

use std::{collections::HashMap, time::Duration};

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
    Actor, Meta, OrganizationId, SessionId, UserId,
    identity::{
        Organization, Permissions, Role, Session, User,
        session::{Command, Ending},
        user,
    },
};
use porttask_projections::{
    ColumnType, ReadModel, Value,
    identity::{session as view, user as user_view},
};
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
    rights::{Impersonable, ReadUsers, Right, SignedIn, WriteUsers, is_staff},
};

/// How long it may take until the list has come to now.
const PATIENCE: Duration = Duration::from_secs(2);
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
    /// The `device_token` of an earlier sign-in: too many failures of others then keep nobody out.
    device_token: Option<String>,
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
    /// Keep it on this device, and send it with the next sign-in. It is no credential.
    device_token: String,
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
    /// Staff of the platform acts as the user: to be shown as long as it lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    impersonation: Option<Impersonation>,
}

/// Staff of the platform acts as somebody.
#[derive(Serialize, ToSchema)]
pub(crate) struct Impersonation {
    /// The number by which organizations see them.
    #[schema(example = "482193077")]
    staff_number: String,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// When it ends at the latest.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
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
    /// How it ended before its time; null while it is open, and if its time was over.
    #[schema(value_type = Option<EndedBy>)]
    ended_by: Option<EndedBy>,
    /// Whether it can be used now.
    is_open: bool,
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
    /// The number of somebody of the platform's staff who acts as the user in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "482193077")]
    staff_number: Option<String>,
}

/// How a session ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndedBy {
    /// Its user signed out.
    SignOut,
    /// It was revoked.
    Revocation,
    /// All sessions of its user ended: by a new password, a deactivation, or because somebody wanted it.
    AllOfUser,
    /// Its organization was suspended.
    Suspension,
}

/// What ended all sessions at once, as far as a listing needs it.
struct Endings {
    user: user_view::User,
    organization_era: u64,
}

impl Endings {
    /// How a session ended, and when if that is known.
    fn of(&self, row: &view::Session) -> Option<(EndedBy, Option<Timestamp>)> {
        match (row.ended_by, row.ended_at) {
            (Some(Ending::SignOut), at) => return Some((EndedBy::SignOut, at)),
            (Some(Ending::Revocation), at) => return Some((EndedBy::Revocation, at)),
            (None, _) => {}
        }
        let user_view::User { era, kept_session, sessions_ended_at, .. } = &self.user;
        if row.user_era != *era && *kept_session != Some(row.session) {
            // Which of several times it was, the row does not say: the last is right for those that were open till then.
            let at = sessions_ended_at.filter(|_| row.user_era + 1 == *era);
            return Some((EndedBy::AllOfUser, at));
        }
        (row.organization_era != self.organization_era).then_some((EndedBy::Suspension, None))
    }
}

impl Shown {
    fn new(
        row: view::Session,
        began: Option<&Meta>,
        endings: &Endings,
        (current, now): (Option<SessionId>, Timestamp),
    ) -> Self {
        let ended = endings.of(&row);
        let view::Session { session, started_at, expires_at, .. } = row;
        let ip = began.and_then(|meta| meta.ip.as_ref()?.value()).map(str::to_owned);
        let device = began.and_then(|meta| meta.user_agent.as_ref()?.value()).and_then(device);
        let (ended_at, ended_by) = (ended.and_then(|it| it.1), ended.map(|it| it.0));
        let is_open = ended.is_none() && now < expires_at;
        let is_current = Some(session) == current;
        let staff_number = None;
        Self { id: session, started_at, expires_at, ended_at, ended_by, is_open, ip, device, is_current, staff_number }
    }
}

/// Sign in.
///
/// Every attempt that fails is answered alike, and whoever fails again and again waits longer and longer (429).
#[utoipa::path(post, path = "/v1/sessions", tag = "sessions", operation_id = "sign_in", security(()),
    request_body = Credentials, responses((status = 201, body = NewSession)))]
pub(crate) async fn sign_in(
    State(app): State<App>,
    client: Client,
    Body(Credentials { email, password, organization, device_token }): Body<Credentials>,
) -> Result<Response, Problem> {
    let (ip, user_agent, request_id) = (client.ip, client.user_agent, Some(client.request_id));
    let attempt = Attempt { email, password, organization, device_token, ip, user_agent, request_id };
    let signed_in = app.sign_in.sign_in(attempt, Timestamp::now()).await?;
    let (id, organization) = (signed_in.session, signed_in.token.organization());
    let (token, user, expires_at) = (signed_in.token.reveal(), signed_in.user, signed_in.expires_at);
    app.limits.know(&token);
    Ok((
        StatusCode::CREATED,
        Json(NewSession { token, id, organization, user, expires_at, device_token: signed_in.device_token }),
    )
        .into_response())
}

/// Show who is signed in.
///
/// And what they may, as it holds at this moment.
#[utoipa::path(get, path = "/v1/sessions/current", tag = "sessions", operation_id = "get_current_session", extensions(("x-impersonable" = json!(true))),
    responses((status = 200, body = Current)))]
pub(crate) async fn current_session(
    State(app): State<App>,
    by: Allowed<Impersonable<SignedIn>>,
) -> Result<Json<Current>, Problem> {
    let id = by.session()?;
    let caller = by.caller;
    let impersonation = match caller.impersonator {
        Some(staff) => {
            let (state, _) = app.executor.load::<Session>(caller.organization, id).await?;
            state.times().map(|(started_at, expires_at)| Impersonation {
                staff_number: app.staff_numbers.of(staff.user),
                started_at,
                expires_at,
            })
        }
        None => None,
    };
    let (organization, user, role, permissions) = (caller.organization, caller.user, caller.role, caller.permissions);
    Ok(Json(Current { id, organization, user, role, permissions, impersonation }))
}

/// Sign out.
///
/// The token opens nothing from now on.
#[utoipa::path(delete, path = "/v1/sessions/current", tag = "sessions", operation_id = "sign_out", extensions(("x-impersonable" = json!(true))),
    responses((status = 200, body = Changed)))]
pub(crate) async fn sign_out(
    State(app): State<App>,
    order: Order<Impersonable<SignedIn>, Nothing>,
) -> Result<Changed, Problem> {
    let (organization, session) = (order.by.organization, order.by.session()?);
    let subject = stream_of::<Session>(organization, session)?;
    let commands = Commands::new().on::<Session>(session, Command::SignOut);
    let done = order.carry_out(&app, &subject, &commands, |it| it).await?;
    Changed::of(&app, done, &subject, order.dry_run).await
}

/// List a user's sessions, the latest first.
///
/// At most two hundred. Needs `users:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/users/{user}/sessions", tag = "sessions",
    operation_id = "list_sessions", extensions(("x-impersonable" = json!(true))), params(("org" = String, Path), ("user" = String, Path)),
    responses((status = 200, body = Page<Shown>)))]
pub(crate) async fn list_sessions(
    State(app): State<App>,
    by: Allowed<Impersonable<ReadUsers>>,
    Path((_, user)): Path<(String, String)>,
) -> Result<Json<Page<Shown>>, Problem> {
    of_user(&app, &by, user_in(&user)?).await
}

/// List one's own sessions, the latest first.
///
/// At most two hundred.
#[utoipa::path(get, path = "/v1/me/sessions", tag = "sessions", operation_id = "list_my_sessions", extensions(("x-impersonable" = json!(true))),
    responses((status = 200, body = Page<Shown>)))]
pub(crate) async fn list_my_sessions(
    State(app): State<App>,
    by: Allowed<Impersonable<SignedIn>>,
) -> Result<Json<Page<Shown>>, Problem> {
    of_user(&app, &by, by.caller.user).await
}

async fn of_user<R: Right>(app: &App, by: &Allowed<R>, user: UserId) -> Result<Json<Page<Shown>>, Problem> {
    // Also the session that was begun just now, and what ended others.
    for view in [view::Sessions::NAME, user_view::Users::NAME] {
        app.views.catch_up(view, PATIENCE).await?;
    }
    let row = super::user::row(app, by, user).await?.ok_or_else(|| Problem::not_found("user"))?;
    let (organization, _) = app.executor.load::<Organization>(by.organization, by.organization).await?;
    // The sessions of the platform end with nothing but themselves and their users.
    let is_platform = by.organization == OrganizationId::PLATFORM;
    let organization_era = if is_platform { 0 } else { organization.era() };
    let endings = Endings { user: row, organization_era };
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
    let seen_by = (by.caller.session(), Timestamp::now());
    let items = rows.into_iter().map(|row| {
        let began = metas.get(&row.offset);
        let staff = began.and_then(|meta| staff_in(by.organization, meta));
        // From where the platform's staff works is no business of others.
        let is_hidden = staff.is_some() && !is_staff(&by.caller);
        let shown = Shown::new(row, began.filter(|_| !is_hidden), &endings, seen_by);
        Shown { staff_number: staff.map(|user| app.staff_numbers.of(user)), ..shown }
    });
    Ok(Json(Page { items: items.collect(), next_cursor: None }))
}

/// Who of the platform's staff has begun a session of somebody else.
fn staff_in(organization: OrganizationId, began: &Meta) -> Option<UserId> {
    match began.actor {
        Actor::User { organization: home, user } if home != organization => Some(user),
        Actor::User { .. } | Actor::ApiKey { .. } | Actor::Operator | Actor::System | Actor::Anonymous => None,
    }
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
    revoke(&app, &order, user_in(&user)?, &session).await
}

/// End one of one's own sessions.
///
/// Holds on its next request.
#[utoipa::path(delete, path = "/v1/me/sessions/{session}", tag = "sessions", operation_id = "revoke_my_session",
    params(("session" = String, Path)), responses((status = 200, body = Changed)))]
pub(crate) async fn revoke_my_session(
    State(app): State<App>,
    Path(session): Path<String>,
    order: Order<SignedIn, Nothing>,
) -> Result<Changed, Problem> {
    revoke(&app, &order, order.by.caller.user, &session).await
}

async fn revoke<R: Right>(
    app: &App,
    order: &Order<R, Nothing>,
    user: UserId,
    session: &str,
) -> Result<Changed, Problem> {
    let organization = order.by.organization;
    let session: SessionId = session.parse().map_err(|_| Problem::not_found("session"))?;
    let (state, _) = app.executor.load::<Session>(organization, session).await?;
    if state.user() != Some(user) {
        return Err(Problem::not_found("session"));
    }
    let subject = stream_of::<Session>(organization, session)?;
    let commands = Commands::new().on::<Session>(session, Command::Revoke);
    let done = order.carry_out(app, &subject, &commands, |it| it).await?;
    Changed::of(app, done, &subject, order.dry_run).await
}

/// End all sessions of a user.
///
/// Holds on their next requests. Needs `users:write`.
#[utoipa::path(delete, path = "/v1/organizations/{org}/users/{user}/sessions", tag = "sessions",
    operation_id = "revoke_sessions", params(("org" = String, Path), ("user" = String, Path)),
    responses((status = 200, body = Changed)))]
pub(crate) async fn revoke_sessions(
    State(app): State<App>,
    Path((_, user)): Path<(String, String)>,
    order: Order<WriteUsers, Nothing>,
) -> Result<Changed, Problem> {
    end_all(&app, &order, user_in(&user)?, None).await
}

/// End all of one's own sessions but this one.
///
/// Holds on their next requests.
#[utoipa::path(delete, path = "/v1/me/sessions", tag = "sessions", operation_id = "revoke_my_sessions",
    responses((status = 200, body = Changed)))]
pub(crate) async fn revoke_my_sessions(
    State(app): State<App>,
    order: Order<SignedIn, Nothing>,
) -> Result<Changed, Problem> {
    end_all(&app, &order, order.by.caller.user, order.by.caller.session()).await
}

async fn end_all<R: Right>(
    app: &App,
    order: &Order<R, Nothing>,
    user: UserId,
    keeping: Option<SessionId>,
) -> Result<Changed, Problem> {
    let (state, _) = app.executor.load::<User>(order.by.organization, user).await?;
    let end = user::Command::EndSessions { era: state.era(), keeping };
    super::user::change(app, &user.to_string(), order, end).await
}
