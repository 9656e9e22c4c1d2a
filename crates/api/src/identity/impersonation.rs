//! Acting as somebody else: staff of the platform, for a reason and a while.

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::{SignedDuration, Timestamp};
use porttask_app::identity::access::{AccessError, Beginning};
use porttask_domain::{
    Impersonator, OrganizationId, Reason, SessionId, UserId,
    identity::{Session, session::Command, user},
};
use porttask_runtime::execute::{self, Commands, stream_of};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::user::user_in;
use crate::http::{
    app::App,
    permissions::Impersonate,
    problem::Problem,
    request::{CommandParameters, CommandRequest},
    response::{CommandResult, place_of},
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(impersonate_user))
}

/// The longest impersonation, in minutes.
const LONGEST: u32 = 60;

/// Why somebody is impersonated, and how long.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImpersonationOrder {
    /// Why: the organization reads it in its audit log.
    #[schema(example = "ticket 4711: the settings cannot be saved", max_length = 500)]
    reason: String,
    /// After how many minutes it ends at the latest: 1 to 60, otherwise 60.
    #[schema(minimum = 1, maximum = 60)]
    minutes: Option<u32>,
}

/// A session in which somebody is impersonated.
#[derive(Serialize, ToSchema)]
pub(crate) struct ImpersonatedSession {
    #[serde(flatten)]
    changed: CommandResult,
    /// Send it as `Authorization: Bearer pts_…`. It is shown once: null in the answer to a repetition.
    token: Option<String>,
    #[schema(value_type = String)]
    organization: OrganizationId,
    #[schema(value_type = String)]
    user: UserId,
    /// When it ends at the latest. It ends with the session of whoever asks, too.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// The number by which the organization sees who acts.
    #[schema(example = "482193077")]
    staff_number: String,
}

/// Act as a user.
///
/// For troubleshooting: with what the user may, in those operations alone that are marked `x-impersonable`. The organization
/// sees in its audit log that staff of the platform acts, why, what is read and what is done. It ends with `DELETE
/// /v1/sessions/current`, with one's own session, and after an hour at the latest. Needs `users:impersonate`.
#[utoipa::path(post, path = "/v1/organizations/{org}/users/{user}/impersonate", tag = "users",
    operation_id = "impersonate_user", params(("org" = String, Path), ("user" = String, Path), CommandParameters),
    request_body = ImpersonationOrder, responses((status = 201, body = ImpersonatedSession)))]
pub(crate) async fn impersonate_user(
    State(app): State<App>,
    Path((_, user)): Path<(String, String)>,
    request: CommandRequest<Impersonate, ImpersonationOrder>,
) -> Result<Response, Problem> {
    request.must_be_real()?;
    let (organization, user, started_at) = (request.caller.organization, user_in(&user)?, Timestamp::now());
    if organization == OrganizationId::PLATFORM {
        let detail = "nobody acts as somebody of the platform's staff";
        return Err(Problem::new(StatusCode::FORBIDDEN, "staff-not-impersonable", detail));
    }
    let ImpersonationOrder { reason, minutes } = &request.body;
    let reason = Reason::new(reason).map_err(|it| Problem::invalid("/reason", it.to_string()))?;
    let minutes = minutes.unwrap_or(LONGEST);
    if !(1..=LONGEST).contains(&minutes) {
        return Err(Problem::invalid("/minutes", format!("must be 1 to {LONGEST}")));
    }
    let parent = request.caller.session()?;
    let (own, _) = app.executor.load::<Session>(request.caller.caller.organization, parent).await?;
    let latest = own.times().map_or(started_at, |(_, expires_at)| expires_at);
    let expires_at = latest.min(started_at + SignedDuration::from_mins(minutes.into()));
    let session: SessionId = request.new_id(&app);
    let Beginning { token, secret, session_epoch, seen } = beginning(&app, session, organization, user).await?;
    let impersonator = Impersonator { user: request.caller.caller.user, session: parent };
    let begin =
        Command::Impersonate { organization, user, impersonator, reason, started_at, expires_at, session_epoch };
    let prepared = |mut request: execute::Request| {
        request.secrets.push(secret.clone());
        request.expected.extend(seen.iter().cloned());
        request
    };
    let subject = stream_of::<Session>(organization, session)?;
    let done = request.execute(&app, &subject, &Commands::new().on_new::<Session>(session, begin), prepared).await?;
    let is_new = !done.events.is_empty();
    let (state, _) = app.executor.load::<Session>(organization, session).await?;
    let expires_at = state.times().map_or(expires_at, |(_, expires_at)| expires_at);
    let changed = CommandResult::of(&app, done, &subject, false).await?;
    let (status, headers) = (changed.status(), changed.headers());
    let token = is_new.then(|| token.reveal());
    if let Some(token) = &token {
        app.limits.know(token);
    }
    let staff_number = app.staff_numbers.of(impersonator.user);
    let answer = ImpersonatedSession { changed, token, organization, user, expires_at, staff_number };
    let mut response = (status, headers, Json(answer)).into_response();
    let place = HeaderValue::from_str(&format!("{}/users/{user}/sessions", place_of(organization)));
    if let (StatusCode::CREATED, Ok(place)) = (status, place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// What the session needs to begin, or why nobody can be this user.
async fn beginning(
    app: &App,
    session: SessionId,
    organization: OrganizationId,
    user: UserId,
) -> Result<Beginning, Problem> {
    match app.access.beginning(session, organization, user).await {
        Err(AccessError::Unknown) => {
            let (state, _) = app.executor.load::<porttask_domain::identity::User>(organization, user).await?;
            Err(match state.status() {
                None => Problem::not_found("user"),
                Some(user::Status::Deactivated) => execute::Rejected::from(user::Rejection::Deactivated).into(),
                Some(_) => execute::Rejected::from(user::Rejection::NotActive).into(),
            })
        }
        found => Ok(found?),
    }
}
