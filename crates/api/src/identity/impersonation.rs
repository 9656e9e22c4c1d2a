//! Impersonation: staff of the platform act as a user, for a reason and a limited time.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use jiff::{SignedDuration, Timestamp};
use porttask_app::identity::access::{AccessError, Beginning, Token};
use porttask_domain::{
    Impersonator, OrganizationId, Reason, SessionId, UserId,
    identity::{Session, User, session::Command, user},
};
use porttask_runtime::execute::{self, Commands, stream_of};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{
    app::App,
    permissions::Impersonate,
    problem::Problem,
    request::{CommandParameters, CommandRequest, Id},
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
    params(CommandParameters), request_body = ImpersonationRequest,
    responses((status = 201, body = ImpersonatedSession)))]
pub(crate) async fn impersonate_user(
    State(app): State<App>,
    user: Id<User>,
    request: CommandRequest<Impersonate, ImpersonationRequest>,
) -> Result<Response, Problem> {
    request.must_be_real()?;
    let (organization, user, session) = (request.caller.organization, user.get()?, request.new_id(&app));
    must_not_be_staff(organization)?;
    let command = command(&app, &request, user).await?;
    let Beginning { token, secret, session_epoch, seen } = beginning(&app, session, organization, user).await?;
    let commands = Commands::new().on_new::<Session>(session, command.in_epoch(session_epoch));
    let prepare = |mut request: execute::Request| {
        request.secrets.push(secret.clone());
        request.expected.extend(seen.iter().cloned());
        request
    };
    let subject = stream_of::<Session>(organization, session)?;
    let outcome = request.execute(&app, &subject, &commands, prepare).await?;
    let token = Some(token).filter(|_| !outcome.events.is_empty());
    let result = CommandResult::of(&app, outcome, &subject, false).await?;
    response(&app, &request, result, (session, user), token).await
}

/// An impersonation that is not bound to an epoch yet.
struct Impersonation {
    organization: OrganizationId,
    user: UserId,
    impersonator: Impersonator,
    reason: Reason,
    started_at: Timestamp,
    expires_at: Timestamp,
}

impl Impersonation {
    fn in_epoch(self, session_epoch: porttask_domain::identity::session::SessionEpoch) -> Command {
        let Self { organization, user, impersonator, reason, started_at, expires_at } = self;
        Command::Impersonate { organization, user, impersonator, reason, started_at, expires_at, session_epoch }
    }
}

/// The requested impersonation, which ends with the caller's own session at the latest.
async fn command(
    app: &App,
    request: &CommandRequest<Impersonate, ImpersonationRequest>,
    user: UserId,
) -> Result<Impersonation, Problem> {
    let ImpersonationRequest { reason, minutes } = &request.body;
    let reason = reason.clone();
    let minutes = minutes.unwrap_or(MAX_MINUTES);
    if !(1..=MAX_MINUTES).contains(&minutes) {
        return Err(Problem::invalid("/minutes", format!("must be 1 to {MAX_MINUTES}")));
    }
    let (parent, started_at) = (request.caller.session()?, Timestamp::now());
    let (own, _) = app.executor.load::<Session>(request.caller.identity.organization, parent).await?;
    let latest = own.times().map_or(started_at, |(_, expires_at)| expires_at);
    let expires_at = latest.min(started_at + SignedDuration::from_mins(minutes.into()));
    let impersonator = Impersonator { user: request.caller.identity.user, session: parent };
    let organization = request.caller.organization;
    Ok(Impersonation { organization, user, impersonator, reason, started_at, expires_at })
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

/// What the session needs to start, or why this user cannot be impersonated.
async fn beginning(
    app: &App,
    session: SessionId,
    organization: OrganizationId,
    user: UserId,
) -> Result<Beginning, Problem> {
    match app.access.beginning(session, organization, user).await {
        Err(AccessError::Unknown) => {
            let (state, _) = app.executor.load::<User>(organization, user).await?;
            Err(match state.status() {
                None => Id::<User>::not_found(),
                Some(user::Status::Deactivated) => execute::Rejected::from(user::Rejection::Deactivated).into(),
                Some(_) => execute::Rejected::from(user::Rejection::NotActive).into(),
            })
        }
        found => Ok(found?),
    }
}
