//! Super admins: users of the platform's own organization.

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    response::Response,
};
use porttask_app::identity::organizations;
use porttask_domain::{
    OrganizationId, UserId,
    identity::{
        EmailAddress, Role, User,
        user::{Command, Rejection, Status},
    },
};
use porttask_runtime::{execute::Commands, new_id};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    invite::{ends, invite, limited, sent_again},
    user::{self, Deactivated, Shown, UserFilter, stream},
};
use crate::http::document::tagged;
use crate::http::{
    app::App,
    listing::Page,
    permissions::{ReadStaff, WriteStaff},
    problem::Problem,
    request::{Authorized, CommandParameters, CommandRequest, Nothing},
    response::CommandResult,
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("super admins", "The staff of the platform, and how it finds people.")
        .routes(routes!(list_super_admins, promote_super_admin))
        .routes(routes!(demote_super_admin))
}

/// Whoever is to become a super admin.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Promotion {
    /// Where their account is.
    #[schema(example = "org_01h455vb4pex5vsknk084sn02q")]
    organization: String,
    /// Whose account it is.
    #[schema(example = "usr_01h455vb4pex5vsknk084sn02q")]
    user: String,
}

/// List super admins.
///
/// Needs `super_admins:read`.
#[utoipa::path(get, path = "/v1/platform/super-admins", tag = "super admins", operation_id = "list_super_admins",
    params(UserFilter), responses((status = 200, body = Page<Shown>)))]
pub(crate) async fn list_super_admins(
    State(app): State<App>,
    caller: Authorized<ReadStaff>,
    filter: Result<Query<UserFilter>, QueryRejection>,
) -> Result<Json<Page<Shown>>, Problem> {
    user::list(&app, &caller, filter).await
}

/// Make a user a super admin.
///
/// They are invited to the platform by mail, to an account with a password of its own; the one that they have stays as it
/// is. Whoever was demoted is let in again as they were. Needs `super_admins:write`.
#[utoipa::path(post, path = "/v1/platform/super-admins", tag = "super admins", operation_id = "promote_super_admin",
    params(CommandParameters), request_body = Promotion, responses((status = 201, body = CommandResult),
        (status = 404, description = "There is no such organization, or no such user.", body = Problem,
            content_type = "application/problem+json")))]
pub(crate) async fn promote_super_admin(
    State(app): State<App>,
    request: CommandRequest<WriteStaff, Promotion>,
) -> Result<Response, Problem> {
    let platform = OrganizationId::PLATFORM;
    let Promotion { organization, user } = &request.body;
    let organization = organization.parse().map_err(|_| Problem::not_found("organization"))?;
    app.partition(organization).await?;
    let (person, _) = app.executor.load::<User>(organization, user::user_in(user)?).await?;
    // Only of whoever has come, it is known that the address is theirs.
    match person.status() {
        None => return Err(Problem::not_found("user")),
        Some(Status::Active) => {}
        Some(Status::Registered | Status::Invited) => return Err(rejected(Rejection::NotActive)),
        Some(Status::Deactivated) => return Err(rejected(Rejection::Deactivated)),
    }
    let (name, email) = person.person().ok_or_else(|| Problem::not_found("user"))?;
    let (name, email) = (name.value().unwrap_or_default(), email.value().unwrap_or_default());
    let address = EmailAddress::new(email).map_err(|it| Problem::invalid("/user", it.to_string()))?;
    let known = organizations::user_with(&*app.database, &app.vault, platform, &address).await;
    let known: Option<UserId> = known.map_err(|error| Problem::unavailable(&error))?;
    let staff = known.unwrap_or_else(new_id);
    let (state, _) = app.executor.load::<User>(platform, staff).await?;
    let command = match state.status() {
        None => invite((name, "/user"), (email, "/user"), Role::SuperAdmin, None, platform, staff, ends(&app))?,
        Some(Status::Registered) => sent_again(&app),
        // Whoever is there or on the way needs nothing.
        Some(Status::Deactivated | Status::Invited | Status::Active) => Command::Reactivate,
    };
    let subject = stream(platform, staff)?;
    let commands = Commands::new().on::<User>(staff, command);
    let done = request.execute(&app, &subject, &commands, limited(&app)).await?;
    let place = format!("/v1/organizations/{platform}/users");
    Ok(CommandResult::of(&app, done, &subject, request.dry_run).await?.created(&place))
}

/// Take a super admin's rights.
///
/// Their account of the platform is locked out, on its next request; the last one cannot go. Needs `super_admins:write`.
#[utoipa::path(post, path = "/v1/platform/super-admins/{user}/demote", tag = "super admins",
    operation_id = "demote_super_admin", params(("user" = String, Path), CommandParameters), request_body = Nothing,
    responses((status = 200, body = Deactivated)))]
pub(crate) async fn demote_super_admin(
    State(app): State<App>,
    Path(user): Path<String>,
    request: CommandRequest<WriteStaff, Nothing>,
) -> Result<Deactivated, Problem> {
    user::deactivate(&app, &user, &request).await
}

fn rejected(rejection: Rejection) -> Problem {
    porttask_runtime::execute::Rejected::from(rejection).into()
}
