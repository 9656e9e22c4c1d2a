//! Super admins: users of the platform's own organization.

use axum::{extract::State, response::Response};
use porttask_app::identity::organizations;
use porttask_domain::{
    OrganizationId, UserId,
    identity::{
        EmailAddress, Role, User,
        user::{Command, Rejection, Status},
    },
};
use porttask_projections::identity::user as view;
use porttask_runtime::{
    execute::{Rejected, Tx, stream_of},
    new_id,
};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    invite::{expiry, invite, limit},
    user::{
        UserResponse,
        deactivation::{DeactivatedUser, Deactivation, deactivate},
    },
};
use crate::http::{
    app::App,
    document::tagged,
    listing::Page,
    permissions::{ReadStaff, WriteStaff},
    problem::Problem,
    request::{CommandParameters, CommandRequest, Id, List, ListParameters},
    response::CommandResult,
};

/// The routes of super admins.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("super admins", "The staff of the platform, and its search for users.")
        .routes(routes!(list_super_admins, promote_super_admin))
        .routes(routes!(demote_super_admin))
}

/// The user to promote.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Promotion {
    /// The organization of the user's account: its id or domain.
    #[schema(example = "acme.example")]
    organization: String,
    /// The user: the id or email address.
    #[schema(example = "ana@acme.example")]
    user: String,
}

/// A page of users.
type UserPage = Page<UserResponse>;

/// List super admins.
///
/// Needs `super_admins:read`.
#[utoipa::path(get, path = "/v1/platform/super-admins", tag = "super admins", params(ListParameters<view::Users>),
    responses((status = 200, description = "The super admins", content(
        (UserPage = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list_super_admins(
    State(app): State<App>,
    users: List<ReadStaff, view::Users>,
) -> Result<Response, Problem> {
    users.answer(&app).await
}

/// Promote a user to super admin.
///
/// The user is invited by email to a separate account of the platform with its own password; the existing account does
/// not change. A super admin who was demoted is reactivated, and notified by email. Needs `super_admins:write`.
#[utoipa::path(post, path = "/v1/platform/super-admins", tag = "super admins", params(CommandParameters),
    request_body = Promotion, responses((status = 201, body = CommandResult),
        (status = 404, description = "There is no such organization, or no such user.", body = Problem,
            content_type = "application/problem+json")))]
pub(crate) async fn promote_super_admin(
    State(app): State<App>,
    request: CommandRequest<WriteStaff, Promotion>,
) -> Result<Response, Problem> {
    let platform = OrganizationId::PLATFORM;
    let (app, promoted) = (&app, &promoted(&app, &request.body).await?);
    let subject = stream_of::<User>(platform, new_id())?;
    let outcome = request.transact(app, &subject, move |tx| promote(tx, app, promoted)).await?;
    let subject = outcome.value.map_or(Ok(subject), |staff| stream_of::<User>(platform, staff))?;
    let result = CommandResult::of(app, &outcome, (&subject, request.viewer()), request.dry_run).await?;
    Ok(result.created(&format!("/v1/organizations/{platform}/users")))
}

/// The user to promote, of an existing organization.
async fn promoted(
    app: &App,
    Promotion { organization, user }: &Promotion,
) -> Result<(OrganizationId, UserId), Problem> {
    let unavailable = |error| Problem::unavailable(&error);
    let named = organizations::named(&*app.database, &app.vault, organization).await.map_err(unavailable)?;
    let organization = named.ok_or_else(|| Problem::not_found("organization"))?;
    app.partition(organization).await?;
    if let Ok(user) = user.parse() {
        return Ok((organization, user));
    }
    let email = EmailAddress::new(user).map_err(|_| Id::<User>::not_found())?;
    let found = organizations::user_with(&*app.database, &app.vault, organization, &email).await;
    Ok((organization, found.map_err(unavailable)?.ok_or_else(Id::<User>::not_found)?))
}

/// Promotes a user, depending on the status of their account of the platform; returns that account.
async fn promote(tx: Tx, app: &App, (organization, user): &(OrganizationId, UserId)) -> Result<UserId, Problem> {
    let platform = OrganizationId::PLATFORM;
    let (name, email) = person(&tx.read_in(*organization, *user).await?)?;
    let address = EmailAddress::new(&email).map_err(|it| Problem::invalid("/user", it.to_string()))?;
    let known = organizations::user_with(&*app.database, &app.vault, platform, &address).await;
    let known: Option<UserId> = known.map_err(|error| Problem::unavailable(&error))?;
    let staff = known.unwrap_or_else(|| tx.new_id());
    let status = tx.read::<User>(staff).await?.status();
    let command = match status {
        None => {
            let (role, permissions) = (Role::SuperAdmin, Role::SuperAdmin.ceiling());
            invite((&name, "/user"), (&email, "/user"), role, permissions, platform, staff, expiry(app))?
        }
        Some(Status::Registered) => Command::SendInvitation { expires_at: expiry(app), by_import: false },
        // It has no effect on active or invited users.
        Some(Status::Deactivated | Status::Invited | Status::Active) => Command::Reactivate,
    };
    limit(app, &tx, platform).await?;
    tx.decide::<User>(staff, &command).await?;
    if !matches!(status, Some(Status::Active | Status::Invited)) {
        tx.decide::<User>(staff, &Command::Promote { organization: *organization, user: *user }).await?;
    }
    Ok(staff)
}

/// Name and email address of an active user; others have not verified their address.
fn person(person: &User) -> Result<(String, String), Problem> {
    match person.status() {
        None => return Err(Id::<User>::not_found()),
        Some(Status::Active) => {}
        Some(Status::Registered | Status::Invited) => return Err(rejected(Rejection::NotActive)),
        Some(Status::Deactivated) => return Err(rejected(Rejection::Deactivated)),
    }
    let (name, email) = person.person().ok_or_else(Id::<User>::not_found)?;
    Ok((name.value().unwrap_or_default().to_owned(), email.value().unwrap_or_default().to_owned()))
}

/// Demote a super admin.
///
/// The account of the platform is deactivated, which takes effect on its next request. The last super admin cannot be
/// demoted. Needs `super_admins:write`.
#[utoipa::path(post, path = "/v1/platform/super-admins/{user}/demote", tag = "super admins",
    params(CommandParameters), request_body = Deactivation, responses((status = 200, body = DeactivatedUser)))]
pub(crate) async fn demote_super_admin(
    State(app): State<App>,
    user: Id<User>,
    request: CommandRequest<WriteStaff, Deactivation>,
) -> Result<DeactivatedUser, Problem> {
    deactivate(&app, &user, &request, Command::Demote).await
}

fn rejected(rejection: Rejection) -> Problem {
    Rejected::from(rejection).into()
}
