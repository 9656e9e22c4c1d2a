//! Signing in and out, and ending sessions.

mod response;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{AppendHeaders, IntoResponse, Response},
};
use jiff::Timestamp;
use porttask_app::identity::sign_in::{Attempt, SignedIn as Started};
use porttask_domain::{
    OrganizationId, SessionId, UserId,
    identity::{Permissions, Role, Session, User, session::Command, user},
};
use porttask_runtime::execute::Tx;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::response::{SessionFilter, SessionPage, sessions_of};
use super::user::ChangedAccess;
use crate::http::{
    app::App,
    changes::{AccessChange, Credentials as Accepted},
    document::tagged,
    permissions::{Impersonable, Permission, ReadUsers, SignedIn, WriteUsers},
    problem::Problem,
    request::{Authorized, Body, Client, CommandParameters, CommandRequest, EmptyBody, Id, Params},
    response::{CommandResult, POSITION},
};

/// The routes of sessions.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("sessions", "Signing in and out, and who is signed in.")
        .routes(routes!(sign_in))
        .routes(routes!(get_current_session, sign_out))
        .routes(routes!(list_sessions, revoke_sessions))
        .routes(routes!(list_my_sessions, revoke_my_sessions))
        .routes(routes!(revoke_my_session))
        .routes(routes!(revoke_session))
}

/// The credentials of a user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    #[schema(example = "ana@acme.example")]
    email: String,
    #[schema(format = Password)]
    password: String,
    /// The id or the domain of an organization: required for people with accounts in several.
    #[schema(example = "acme.example")]
    organization: Option<String>,
    /// The `device_token` of an earlier sign-in: then failed attempts of others do not block this device.
    device_token: Option<String>,
}

/// A session that has just started.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewSession {
    /// Send it as `Authorization: Bearer pts_…`. It is shown once.
    token: String,
    id: SessionId,
    organization: OrganizationId,
    user: UserId,
    /// When it ends at the latest.
    expires_at: Timestamp,
    /// Store it on this device, and send it with the next sign-in. It is not a credential.
    device_token: String,
    /// The position of the sign-in, for `Porttask-At-Least`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "pos_0yXgVn4Rk1m5Z8b3cD7eF9gH2iJ4kL6mN8oP0qR2sT4")]
    position: Option<String>,
}

/// The session of the request, with role and permissions of its user.
#[derive(Serialize, ToSchema)]
pub(crate) struct CurrentSession {
    id: SessionId,
    organization: OrganizationId,
    user: UserId,
    role: Role,
    permissions: Permissions,
    /// Present while staff of the platform impersonate the user; clients should show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    impersonation: Option<Impersonation>,
}

/// An impersonation by staff of the platform.
#[derive(Serialize, ToSchema)]
pub(crate) struct Impersonation {
    /// The number by which organizations see a member of the staff.
    #[schema(example = "482193077")]
    staff_number: String,
    started_at: Timestamp,
    /// When it ends at the latest.
    expires_at: Timestamp,
}

/// Sign in.
///
/// All failed attempts have the same response; repeated failures require increasing pauses (429).
#[utoipa::path(post, path = "/v1/sessions", tag = "sessions", security(()), request_body = Credentials,
    responses((status = 201, body = NewSession)))]
pub(crate) async fn sign_in(
    State(app): State<App>,
    client: Client,
    Body(Credentials { email, password, organization, device_token }): Body<Credentials>,
) -> Result<Response, Problem> {
    let (ip, user_agent, request_id) = (client.ip, client.user_agent, Some(client.request_id));
    let attempt = Attempt { email, password, organization, device_token, ip, user_agent, request_id };
    let session = NewSession::of(&app, app.sign_in.sign_in(attempt, app.clock.now()).await?);
    let headers = session.position().map(|position| [(POSITION, position.to_owned())]);
    Ok((StatusCode::CREATED, headers.map(AppendHeaders), Json(session)).into_response())
}

impl NewSession {
    /// The session of a sign-in.
    pub(super) fn of(app: &App, signed_in: Started) -> Self {
        let Started { token, session: id, user, position, expires_at, device_token } = signed_in;
        let (organization, token) = (token.organization(), token.reveal());
        app.limits.know(&token);
        let position = position.map(|it| app.positions.seal(organization, it));
        Self { token, id, organization, user, expires_at, device_token, position }
    }

    /// The position of the sign-in.
    pub(super) fn position(&self) -> Option<&str> {
        self.position.as_deref()
    }
}

/// Get the current session.
///
/// With the user's role and permissions as they are now.
#[utoipa::path(get, path = "/v1/sessions/current", tag = "sessions", extensions(("x-impersonable" = json!(true))),
    responses((status = 200, body = CurrentSession)))]
pub(crate) async fn get_current_session(
    State(app): State<App>,
    caller: Authorized<Impersonable<SignedIn>>,
) -> Result<Json<CurrentSession>, Problem> {
    let (id, caller) = (caller.session()?, caller.identity);
    let impersonation = match caller.impersonator {
        Some(staff) => {
            let (state, _) = app.executor.load::<Session>(caller.organization, id).await?;
            let staff_number = app.staff_numbers.of(staff.user);
            state.times().map(|(started_at, expires_at)| Impersonation { staff_number, started_at, expires_at })
        }
        None => None,
    };
    let (organization, user, role, permissions) = (caller.organization, caller.user, caller.role, caller.permissions);
    Ok(Json(CurrentSession { id, organization, user, role, permissions, impersonation }))
}

/// Sign out.
///
/// The token is no longer accepted.
#[utoipa::path(delete, path = "/v1/sessions/current", tag = "sessions", extensions(("x-impersonable" = json!(true))),
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn sign_out(
    State(app): State<App>,
    request: CommandRequest<Impersonable<SignedIn>, EmptyBody>,
) -> Result<CommandResult, Problem> {
    let session = Id::known(request.caller.session()?);
    request.change::<Session>(&app, &session, Command::SignOut).await
}

/// List a user's sessions, the latest first.
///
/// Returns at most 200. Needs `users:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/users/{user}/sessions", tag = "sessions",
    extensions(("x-impersonable" = json!(true))), params(SessionFilter),
    responses((status = 200, body = SessionPage)))]
pub(crate) async fn list_sessions(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadUsers>>,
    user: Id<User>,
    Params(filter): Params<SessionFilter>,
) -> Result<Json<SessionPage>, Problem> {
    sessions_of(&app, &caller, user.get()?, &filter).await
}

/// List the current user's sessions, the latest first.
///
/// Returns at most 200.
#[utoipa::path(get, path = "/v1/me/sessions", tag = "sessions", extensions(("x-impersonable" = json!(true))),
    params(SessionFilter), responses((status = 200, body = SessionPage)))]
pub(crate) async fn list_my_sessions(
    State(app): State<App>,
    caller: Authorized<Impersonable<SignedIn>>,
    Params(filter): Params<SessionFilter>,
) -> Result<Json<SessionPage>, Problem> {
    sessions_of(&app, &caller, caller.identity.user, &filter).await
}

/// Revoke a user's session.
///
/// Takes effect on its next request. Needs `users:write`.
#[utoipa::path(delete, path = "/v1/organizations/{org}/users/{user}/sessions/{session}", tag = "sessions",
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn revoke_session(
    State(app): State<App>,
    user: Id<User>,
    session: Id<Session>,
    request: CommandRequest<WriteUsers, EmptyBody>,
) -> Result<CommandResult, Problem> {
    revoke(&app, &request, user.get()?, &session).await
}

/// Revoke one of the current user's sessions.
///
/// Takes effect on its next request.
#[utoipa::path(delete, path = "/v1/me/sessions/{session}", tag = "sessions",
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn revoke_my_session(
    State(app): State<App>,
    session: Id<Session>,
    request: CommandRequest<SignedIn, EmptyBody>,
) -> Result<CommandResult, Problem> {
    revoke(&app, &request, request.caller.identity.user, &session).await
}

async fn revoke<P: Permission>(
    app: &App,
    request: &CommandRequest<P, EmptyBody>,
    user: UserId,
    session: &Id<Session>,
) -> Result<CommandResult, Problem> {
    let session = session.get()?;
    let work = move |tx: Tx| async move {
        if tx.read::<Session>(session).await?.user() != Some(user) {
            return Err(Id::<Session>::not_found());
        }
        Ok(tx.decide::<Session>(session, &Command::Revoke).await?)
    };
    request.run::<Session, _>(app, session, work).await
}

/// Revoke all sessions of a user.
///
/// Takes effect on their next requests. Needs `users:write`.
#[utoipa::path(delete, path = "/v1/organizations/{org}/users/{user}/sessions", tag = "sessions",
    params(CommandParameters), responses((status = 200, body = ChangedAccess)))]
pub(crate) async fn revoke_sessions(
    State(app): State<App>,
    user: Id<User>,
    request: CommandRequest<WriteUsers, EmptyBody>,
) -> Result<ChangedAccess, Problem> {
    end_all(&app, &request, &user, None).await
}

/// Revoke all of the current user's sessions except the current one.
///
/// Takes effect on their next requests.
#[utoipa::path(delete, path = "/v1/me/sessions", tag = "sessions", params(CommandParameters),
    responses((status = 200, body = ChangedAccess)))]
pub(crate) async fn revoke_my_sessions(
    State(app): State<App>,
    request: CommandRequest<SignedIn, EmptyBody>,
) -> Result<ChangedAccess, Problem> {
    let (user, session) = (Id::known(request.caller.identity.user), request.caller.identity.session());
    end_all(&app, &request, &user, session).await
}

async fn end_all<P: Permission>(
    app: &App,
    request: &CommandRequest<P, EmptyBody>,
    user: &Id<User>,
    keeping: Option<SessionId>,
) -> Result<ChangedAccess, Problem> {
    let account = (request.caller.organization, user.get()?);
    let (state, _) = app.executor.load::<User>(account.0, account.1).await?;
    let credentials = Accepted::of(app, request, account.1, keeping).await?;
    let end = user::Command::EndSessions { session_epoch: state.session_epoch(), keeping };
    let result = request.change::<User>(app, user, end).await?;
    let access = if result.is_change() { AccessChange::sessions_only(credentials) } else { AccessChange::default() };
    Ok(ChangedAccess { result, access })
}
