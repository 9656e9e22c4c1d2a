//! The users of an organization.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use porttask_domain::{
    ApiKeyId, OrganizationId, UserId,
    identity::{
        Permissions, Role, User,
        user::{Command, Status},
    },
};
use porttask_projections::{ColumnType, identity::user as view};
use porttask_runtime::{
    execute::{Tx, stream_of},
    views::Condition,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{api_key::owned_by, invite};
use crate::http::{
    app::App,
    document::tagged,
    listing::{Page, Sort},
    permissions::{Impersonable, Permission, ReadUsers, WriteRoles, WriteUsers},
    problem::Problem,
    request::{Authorized, CommandParameters, CommandRequest, EmptyBody, Id, List, ListParameters, Listed, Resource},
    response::CommandResult,
};

/// The routes of users.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("users", "The users of an organization, their roles and permissions.")
        .routes(routes!(invite::invite_user, list_users))
        .routes(routes!(get_user, change_user))
        .routes(routes!(deactivate_user))
        .routes(routes!(reactivate_user))
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserResponse {
    id: UserId,
    /// The organization of the account.
    organization: OrganizationId,
    /// The full name; null once it was erased.
    name: Option<String>,
    /// The email address; null once it was erased.
    email: Option<String>,
    /// The new email address that is not confirmed yet; null if no change is pending.
    pending_email: Option<String>,
    /// The language of emails; null means the organization's.
    #[schema(example = "pt-BR")]
    locale: Option<String>,
    role: Role,
    permissions: Permissions,
    status: Status,
    created_at: Timestamp,
    /// When the last invitation expires or expired; null if none was sent.
    invitation_expires_at: Option<Timestamp>,
    /// When the invitation was accepted; null if it was not accepted yet.
    accepted_at: Option<Timestamp>,
    /// The version: the ETag.
    version: u64,
}

/// A page of users.
type UserPage = Page<UserResponse>;

impl From<view::User> for UserResponse {
    fn from(row: view::User) -> Self {
        let view::User { tickets, invoices, reports, administration, .. } = row;
        Self {
            id: row.user,
            organization: row.organization,
            name: row.name,
            email: row.email,
            pending_email: row.pending_email,
            locale: row.locale,
            role: row.role,
            permissions: Permissions { tickets, invoices, reports, administration },
            status: row.status,
            created_at: row.created_at,
            invitation_expires_at: row.invitation_expires_at,
            accepted_at: row.accepted_at,
            version: row.version,
        }
    }
}

/// A change of a user: a JSON merge patch (RFC 7396).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserPatch {
    /// The new role.
    role: Option<Role>,
    /// The new permissions; default: all of a new role that the caller holds as well.
    permissions: Option<Permissions>,
}

/// A user who was changed, or in a dry run would be.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChangedUser {
    #[serde(flatten)]
    result: CommandResult,
    /// The role after the change; null in the response to a repetition.
    role: Option<Role>,
    /// The permissions after the change; null in the response to a repetition.
    permissions: Option<Permissions>,
}

impl IntoResponse for ChangedUser {
    fn into_response(self) -> Response {
        (self.result.headers(), Json(self)).into_response()
    }
}

/// A user who was deactivated.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeactivatedUser {
    #[serde(flatten)]
    result: CommandResult,
    /// The API keys that the user owns: they are rejected until an admin adopts them.
    keys_that_stop: Vec<ApiKeyId>,
}

impl IntoResponse for DeactivatedUser {
    fn into_response(self) -> Response {
        (self.result.headers(), Json(self)).into_response()
    }
}

/// Filters of users.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserFilter {
    /// Only users with this role.
    role: Option<Role>,
    /// Only accounts with this status.
    status: Option<Status>,
}

impl Listed for view::Users {
    type Item = UserResponse;
    type Filter = UserFilter;
    const SORTS: &'static [Sort] = &[
        ("name", &["normalized_name", "user"]),
        ("email", &["normalized_email", "user"]),
        ("created_at", &["created_at", "user"]),
    ];

    fn conditions(UserFilter { role, status }: UserFilter) -> Result<Vec<Condition>, Problem> {
        let role = role.map(|role| Condition::Equal("role", role.to_value()));
        let status = status.map(|status| Condition::Equal("status", status.to_value()));
        Ok(role.into_iter().chain(status).collect())
    }
}

/// List users.
///
/// Needs `users:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/users", tag = "users",
    extensions(("x-impersonable" = json!(true))), params(ListParameters<view::Users>),
    responses((status = 200, body = UserPage)))]
pub(crate) async fn list_users(
    State(app): State<App>,
    users: List<Impersonable<ReadUsers>, view::Users>,
) -> Result<Json<UserPage>, Problem> {
    users.page(&app).await
}

/// Get a user.
///
/// Needs `users:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/users/{user}", tag = "users",
    extensions(("x-impersonable" = json!(true))), responses((status = 200, body = UserResponse)))]
pub(crate) async fn get_user(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadUsers>>,
    user: Id<User>,
) -> Result<Resource<UserResponse>, Problem> {
    caller.get::<view::Users>(&app, &[user.get()?.to_value()], Id::<User>::not_found).await
}

/// A user's row.
///
/// # Errors
/// Not found; if the view cannot be read.
pub(crate) async fn row<P: Permission>(app: &App, caller: &Authorized<P>, user: UserId) -> Result<view::User, Problem> {
    caller.row::<view::Users>(app, &[user.to_value()]).await?.ok_or_else(Id::<User>::not_found)
}

/// Change a user's role and permissions.
///
/// Takes effect on the user's next request. A new role without permissions gives all permissions of the role, as far as
/// the caller holds them. Needs `roles:write`.
#[utoipa::path(patch, path = "/v1/organizations/{org}/users/{user}", tag = "users", params(CommandParameters),
    request_body(content = UserPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = ChangedUser)))]
pub(crate) async fn change_user(
    State(app): State<App>,
    user: Id<User>,
    mut request: CommandRequest<WriteRoles, UserPatch>,
) -> Result<ChangedUser, Problem> {
    let UserPatch { role, permissions } = request.body;
    if (role, permissions) == (None, None) {
        return Err(Problem::invalid("", "specify role, permissions or both"));
    }
    permissions.map_or(Ok(()), |permissions| request.caller.grant(permissions))?;
    let (app, caller, user) = (&app, &request.caller, user.get()?);
    let subject = stream_of::<User>(caller.organization, user)?;
    let work = move |tx: Tx| async move {
        let command = change(app, caller, &tx, user, (role, permissions)).await?;
        tx.decide::<User>(user, &command).await?;
        tx.read::<User>(user).await.map_err(Problem::from)
    };
    let outcome = request.transact(app, &subject, work).await?;
    let result = CommandResult::of(app, &outcome, &subject, request.dry_run).await?;
    let (role, permissions) = outcome.value.map(|user| (user.role(), user.permissions())).unwrap_or_default();
    Ok(ChangedUser { result, role, permissions })
}

/// The command that changes role and permissions. A new role without permissions gives those that the caller holds.
async fn change<P: Permission>(
    app: &App,
    caller: &Authorized<P>,
    tx: &Tx,
    user: UserId,
    (role, permissions): (Option<Role>, Option<Permissions>),
) -> Result<Command, Problem> {
    match (role, permissions) {
        (Some(role), None) if tx.read::<User>(user).await?.role() != Some(role) => {
            let permissions = Some(caller.grantable(app, tx, role.ceiling()).await?);
            Ok(Command::ChangeRole { role, permissions })
        }
        (Some(role), permissions) => Ok(Command::ChangeRole { role, permissions }),
        (None, permissions) => Ok(Command::ChangePermissions { permissions: permissions.unwrap_or(Permissions::NONE) }),
    }
}

/// Deactivate a user.
///
/// Takes effect on the user's next request; the history is kept. The user's API keys are rejected until an admin adopts
/// them. Needs `users:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/users/{user}/deactivate", tag = "users",
    params(CommandParameters), request_body = EmptyBody, responses((status = 200, body = DeactivatedUser)))]
pub(crate) async fn deactivate_user(
    State(app): State<App>,
    user: Id<User>,
    request: CommandRequest<WriteUsers, EmptyBody>,
) -> Result<DeactivatedUser, Problem> {
    deactivate(&app, &user, &request).await
}

/// Deactivates a user, and returns the keys that stop working.
///
/// # Errors
/// If the request is rejected or fails.
pub(super) async fn deactivate<P: Permission>(
    app: &App,
    user: &Id<User>,
    request: &CommandRequest<P, EmptyBody>,
) -> Result<DeactivatedUser, Problem> {
    let keys_that_stop = owned_by(app, &request.caller, user.get()?).await?;
    let result = request.change::<User>(app, user, Command::Deactivate).await?;
    Ok(DeactivatedUser { result, keys_that_stop })
}

/// Reactivate a user.
///
/// The caller needs the permissions of the user. Needs `users:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/users/{user}/reactivate", tag = "users",
    params(CommandParameters), request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn reactivate_user(
    State(app): State<App>,
    user: Id<User>,
    request: CommandRequest<WriteUsers, EmptyBody>,
) -> Result<CommandResult, Problem> {
    let (app, caller, user) = (&app, &request.caller, user.get()?);
    let work = move |tx: Tx| async move {
        caller.may_give_access(app, &tx, tx.read::<User>(user).await?.permissions()).await?;
        Ok(tx.decide::<User>(user, &Command::Reactivate).await?)
    };
    request.run::<User, _>(app, user, work).await
}
