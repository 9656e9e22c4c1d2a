//! Impersonation: staff of the platform act as a user, for a reason and a limited time.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use jiff::{SignedDuration, Timestamp};
use porttask_app::identity::access::{Access, AccessError, Token};
use porttask_domain::{
    Impersonator, OrganizationId, Reason, SessionId, UserId,
    identity::{Session, User, session::Command, user},
};
use porttask_runtime::execute::{self, Tx, stream_of};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{
    app::App,
    permissions::Impersonate,
    problem::Problem,
    request::{CommandRequest, Id},
    response::{CommandResult, created, place_of},
};

/// The routes of impersonation.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(impersonate_user))
}

/// The longest impersonation, in minutes.
const MAX_MINUTES: u32 = 60;

/// Why a user is impersonated, and for how long.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImpersonationRequest {
    /// The reason, which the organization reads in its audit log.
    #[schema(value_type = String, example = "ticket 4711: the settings cannot be saved", max_length = 500)]
    reason: Reason,
    /// The maximum duration in minutes: 1 to 60; default 60.
    #[schema(minimum = 1, maximum = 60)]
    minutes: Option<u32>,
}

/// A session in which a user is impersonated.
#[derive(Serialize, ToSchema)]
pub(crate) struct ImpersonatedSession {
    #[serde(flatten)]
    result: CommandResult,
    /// Send it as `Authorization: Bearer pts_…`. It is shown once: null in the response to a repetition.
    token: Option<String>,
    organization: OrganizationId,
    user: UserId,
    /// When it ends at the latest. It also ends with the session of the caller.
    expires_at: Timestamp,
    /// The number by which the organization sees the caller.
    #[schema(example = "482193077")]
    staff_number: String,
}

/// Impersonate a user.
///
/// For troubleshooting: with the permissions of the user, and only in operations marked `x-impersonable`. The
/// organization sees in its audit log that staff acted, why, what was read and what was done. It ends with `DELETE
/// /v1/sessions/current`, with the caller's own session, and after an hour at the latest. Needs `users:impersonate`.
#[utoipa::path(post, path = "/v1/organizations/{org}/users/{user}/impersonate", tag = "users",
    request_body = ImpersonationRequest,
    responses((status = 201, body = ImpersonatedSession)))]
pub(crate) async fn impersonate_user(
    State(app): State<App>,
    user: Id<User>,
    request: CommandRequest<Impersonate, ImpersonationRequest>,
) -> Result<Response, Problem> {
    request.must_be_real()?;
    let (organization, user, session) = (request.caller.organization, user.get()?, request.new_id(&app));
    must_not_be_staff(organization)?;
    let minutes = minutes(&request.body)?;
    let parent = request.caller.session()?;
    let (token, secret) = Access::session_secret(organization, session)?;
    let (subject, app, request, secret) = (stream_of::<Session>(organization, session)?, &app, &request, &secret);
    let work = move |tx: Tx| async move {
        tx.secret(secret.clone());
        let command = command(&tx, app, request, (user, parent), minutes).await?;
        Ok(tx.decide_new::<Session>(session, &command).await?)
    };
    let outcome = request.transact(app, &subject, work).await?;
    let token = Some(token).filter(|_| !outcome.events.is_empty());
    let result = CommandResult::of(app, &outcome, (&subject, request.viewer()), false).await?;
    response(app, request, result, (session, user), token).await
}

fn minutes(ImpersonationRequest { minutes, .. }: &ImpersonationRequest) -> Result<SignedDuration, Problem> {
    let minutes = minutes.unwrap_or(MAX_MINUTES);
    match (1..=MAX_MINUTES).contains(&minutes) {
        true => Ok(SignedDuration::from_mins(minutes.into())),
        false => Err(Problem::invalid("/minutes", format!("must be 1 to {MAX_MINUTES}"))),
    }
}

/// The requested impersonation, which ends with the caller's own session at the latest.
async fn command(
    tx: &Tx,
    app: &App,
    request: &CommandRequest<Impersonate, ImpersonationRequest>,
    (user, parent): (UserId, SessionId),
    minutes: SignedDuration,
) -> Result<Command, Problem> {
    let (caller, organization, started_at) = (&request.caller.identity, request.caller.organization, tx.now());
    let own: Session = tx.join(caller.organization, parent).await?;
    let latest = own.times().map_or(started_at, |(_, expires_at)| expires_at);
    let expires_at = latest.min(started_at + minutes);
    let impersonator = Impersonator { user: caller.user, session: parent };
    let session_epoch = match app.access.session_epoch(tx, user).await {
        Err(AccessError::Unknown) => return Err(not_impersonable(tx.read::<User>(user).await?.status())),
        found => found?,
    };
    let reason = request.body.reason.clone();
    Ok(Command::Impersonate { organization, user, impersonator, reason, started_at, expires_at, session_epoch })
}

/// Why a user who cannot sign in cannot be impersonated.
fn not_impersonable(status: Option<user::Status>) -> Problem {
    match status {
        None => Id::<User>::not_found(),
        Some(user::Status::Deactivated) => execute::Rejected::from(user::Rejection::Deactivated).into(),
        Some(_) => execute::Rejected::from(user::Rejection::NotActive).into(),
    }
}

async fn response(
    app: &App,
    request: &CommandRequest<Impersonate, ImpersonationRequest>,
    result: CommandResult,
    (session, user): (SessionId, UserId),
    token: Option<Token>,
) -> Result<Response, Problem> {
    let organization = request.caller.organization;
    let (state, _) = app.executor.load::<Session>(organization, session).await?;
    let (_, expires_at) = state.times().ok_or_else(Id::<Session>::not_found)?;
    let token = token.map(|token| token.reveal());
    if let Some(token) = &token {
        app.limits.know(token);
    }
    let staff_number = app.staff_numbers.of(request.caller.identity.user);
    let (status, headers) = (result.status(), result.headers());
    let body = ImpersonatedSession { result, token, organization, user, expires_at, staff_number };
    let place = format!("{}/users/{user}/sessions", place_of(organization));
    Ok(created(status, &place, (headers, Json(body))))
}

fn must_not_be_staff(organization: OrganizationId) -> Result<(), Problem> {
    match organization == OrganizationId::PLATFORM {
        true => {
            let detail = "Staff of the platform cannot be impersonated.";
            Err(Problem::new(StatusCode::FORBIDDEN, "staff-not-impersonable", detail))
        }
        false => Ok(()),
    }
}
