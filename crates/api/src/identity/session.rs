//! Signing in and out, and ending sessions.

pub(crate) mod listing;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use porttask_app::identity::sign_in::Attempt;
use porttask_domain::{
    OrganizationId, SessionId, UserId,
    identity::{Permissions, Role, Session, User, session::Command, user},
};
use porttask_runtime::execute::{Commands, stream_of};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{schema, user::user_in};
use crate::http::document::tagged;
use crate::http::{
    app::App,
    permissions::{Impersonable, Permission, SignedIn, WriteUsers},
    problem::Problem,
    request::{Authorized, Body, Client, CommandRequest, Nothing},
    response::CommandResult,
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("sessions", "Signing in and out, and who is signed in.")
        .routes(routes!(sign_in))
        .routes(routes!(current_session, sign_out))
        .routes(routes!(listing::list_sessions, revoke_sessions))
        .routes(routes!(listing::list_my_sessions, revoke_my_sessions))
        .routes(routes!(revoke_my_session))
        .routes(routes!(revoke_session))
}

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
    #[schema(value_type = schema::Role)]
    role: Role,
    #[schema(value_type = schema::Permissions)]
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
    caller: Authorized<Impersonable<SignedIn>>,
) -> Result<Json<Current>, Problem> {
    let id = caller.session()?;
    let caller = caller.caller;
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
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn sign_out(
    State(app): State<App>,
    request: CommandRequest<Impersonable<SignedIn>, Nothing>,
) -> Result<CommandResult, Problem> {
    let (organization, session) = (request.caller.organization, request.caller.session()?);
    let subject = stream_of::<Session>(organization, session)?;
    let commands = Commands::new().on::<Session>(session, Command::SignOut);
    let done = request.execute(&app, &subject, &commands, |it| it).await?;
    CommandResult::of(&app, done, &subject, request.dry_run).await
}

/// End a user's session.
///
/// Holds on its next request. Needs `users:write`.
#[utoipa::path(delete, path = "/v1/organizations/{org}/users/{user}/sessions/{session}", tag = "sessions",
    operation_id = "revoke_session",
    params(("org" = String, Path), ("user" = String, Path), ("session" = String, Path)),
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn revoke_session(
    State(app): State<App>,
    Path((_, user, session)): Path<(String, String, String)>,
    request: CommandRequest<WriteUsers, Nothing>,
) -> Result<CommandResult, Problem> {
    revoke(&app, &request, user_in(&user)?, &session).await
}

/// End one of one's own sessions.
///
/// Holds on its next request.
#[utoipa::path(delete, path = "/v1/me/sessions/{session}", tag = "sessions", operation_id = "revoke_my_session",
    params(("session" = String, Path)), responses((status = 200, body = CommandResult)))]
pub(crate) async fn revoke_my_session(
    State(app): State<App>,
    Path(session): Path<String>,
    request: CommandRequest<SignedIn, Nothing>,
) -> Result<CommandResult, Problem> {
    revoke(&app, &request, request.caller.caller.user, &session).await
}

async fn revoke<R: Permission>(
    app: &App,
    request: &CommandRequest<R, Nothing>,
    user: UserId,
    session: &str,
) -> Result<CommandResult, Problem> {
    let organization = request.caller.organization;
    let session: SessionId = session.parse().map_err(|_| Problem::not_found("session"))?;
    let (state, _) = app.executor.load::<Session>(organization, session).await?;
    if state.user() != Some(user) {
        return Err(Problem::not_found("session"));
    }
    let subject = stream_of::<Session>(organization, session)?;
    let commands = Commands::new().on::<Session>(session, Command::Revoke);
    let done = request.execute(app, &subject, &commands, |it| it).await?;
    CommandResult::of(app, done, &subject, request.dry_run).await
}

/// End all sessions of a user.
///
/// Holds on their next requests. Needs `users:write`.
#[utoipa::path(delete, path = "/v1/organizations/{org}/users/{user}/sessions", tag = "sessions",
    operation_id = "revoke_sessions", params(("org" = String, Path), ("user" = String, Path)),
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn revoke_sessions(
    State(app): State<App>,
    Path((_, user)): Path<(String, String)>,
    request: CommandRequest<WriteUsers, Nothing>,
) -> Result<CommandResult, Problem> {
    end_all(&app, &request, user_in(&user)?, None).await
}

/// End all of one's own sessions but this one.
///
/// Holds on their next requests.
#[utoipa::path(delete, path = "/v1/me/sessions", tag = "sessions", operation_id = "revoke_my_sessions",
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn revoke_my_sessions(
    State(app): State<App>,
    request: CommandRequest<SignedIn, Nothing>,
) -> Result<CommandResult, Problem> {
    end_all(&app, &request, request.caller.caller.user, request.caller.caller.session()).await
}

async fn end_all<R: Permission>(
    app: &App,
    request: &CommandRequest<R, Nothing>,
    user: UserId,
    keeping: Option<SessionId>,
) -> Result<CommandResult, Problem> {
    let (state, _) = app.executor.load::<User>(request.caller.organization, user).await?;
    let end = user::Command::EndSessions { session_epoch: state.session_epoch(), keeping };
    super::user::change(app, &user.to_string(), request, end).await
}
