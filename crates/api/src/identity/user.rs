//! The users of an organization.

use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, header},
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
use porttask_projections::{ColumnType, ReadModel, Value, identity::user as view};
use porttask_runtime::{
    execute::{Commands, stream_of},
    log::StreamId,
    views::Condition,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{api_key::listing::in_the_name_of, schema};
use crate::http::document::tagged;
use crate::http::{
    app::App,
    listing::{Asked, Listing, Page, Sort},
    permissions::{Impersonable, Permission, ReadUsers, WriteRoles, WriteUsers},
    problem::Problem,
    request::{Authorized, CommandParameters, CommandRequest, Nothing},
    response::{CommandResult, etag},
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("users", "The people of an organization, their roles and permissions.")
        .routes(routes!(super::invite::invite_user, list_users))
        .routes(routes!(get_user, change_user))
        .routes(routes!(deactivate_user))
        .routes(routes!(reactivate_user))
}

const SORTS: &[Sort] = &[
    ("name", &["normalized_name", "user"]),
    ("email", &["normalized_email", "user"]),
    ("created_at", &["created_at", "user"]),
];

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct Shown {
    #[schema(value_type = String, example = "usr_01h455vb4pex5vsknk084sn02q")]
    id: UserId,
    /// Where the account is.
    #[schema(value_type = String)]
    organization: OrganizationId,
    /// The person's full name; null once it was erased.
    name: Option<String>,
    /// Their mail address; null once it was erased.
    email: Option<String>,
    /// In which language they want mail; null is that of the organization.
    #[schema(example = "pt-BR")]
    locale: Option<String>,
    #[schema(value_type = schema::Role)]
    role: Role,
    #[schema(value_type = schema::Permissions)]
    permissions: Permissions,
    #[schema(value_type = schema::Status)]
    status: Status,
    /// When the account was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When the last invitation ends or ended; null if none was sent.
    #[schema(value_type = Option<String>, format = DateTime)]
    invitation_expires_at: Option<Timestamp>,
    /// When the invitation was taken up; null if it was not yet.
    #[schema(value_type = Option<String>, format = DateTime)]
    accepted_at: Option<Timestamp>,
    /// The version: the ETag.
    version: u64,
}

impl From<view::User> for Shown {
    fn from(row: view::User) -> Self {
        let view::User { tickets, invoices, reports, administration, .. } = row;
        Self {
            id: row.user,
            organization: row.organization,
            name: row.name,
            email: row.email,
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

/// What is to be changed of a user: a JSON merge patch (RFC 7396).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserPatch {
    /// What they will be.
    #[schema(value_type = Option<schema::Role>)]
    role: Option<Role>,
    /// What they will be permitted; without it, what they are permitted now, as far as a new role lets it go.
    #[schema(value_type = Option<schema::Permissions>)]
    permissions: Option<Permissions>,
}

/// A user who is locked out.
#[derive(Serialize, ToSchema)]
pub(crate) struct Deactivated {
    #[serde(flatten)]
    changed: CommandResult,
    /// The API keys in their name: they are refused until an admin adopts them.
    #[schema(value_type = Vec<String>)]
    keys_that_stop: Vec<ApiKeyId>,
}

impl IntoResponse for Deactivated {
    fn into_response(self) -> Response {
        (self.changed.headers(), axum::Json(self)).into_response()
    }
}

/// Which users, in which request.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UserFilter {
    /// Only those who are this.
    #[param(value_type = Option<schema::Role>)]
    role: Option<Role>,
    /// Only accounts that are here in their life.
    #[param(value_type = Option<schema::Status>)]
    status: Option<Status>,
    /// Only those whose name or address contains all of these words, whatever their case and accents.
    #[param(max_length = 200)]
    q: Option<String>,
    /// `name`, `email` or `created_at`; with `-` in front: descending.
    #[param(pattern = "^-?(name|email|created_at)$")]
    sort: Option<String>,
    /// The most rows: 1 to 200, otherwise 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// Where the page begins: `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Nobody grants more than they hold. Staff of the platform hold everything.
pub(super) fn may_grant<R: Permission>(
    caller: &mut Authorized<R>,
    permissions: Option<Permissions>,
    role: Role,
) -> Result<(), Problem> {
    caller.grant(permissions.unwrap_or(role.ceiling()))
}

pub(super) fn stream(organization: OrganizationId, user: UserId) -> Result<StreamId, Problem> {
    Ok(stream_of::<User>(organization, user)?)
}

/// The id in a path. Whatever is no id names nobody.
pub(crate) fn user_in(path: &str) -> Result<UserId, Problem> {
    path.parse().map_err(|_| Problem::not_found("user"))
}

/// List users.
///
/// Needs `users:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/users", tag = "users", operation_id = "list_users", extensions(("x-impersonable" = json!(true))),
    params(("org" = String, Path, description = "The organization, or `current`"), UserFilter),
    responses((status = 200, body = Page<Shown>)))]
pub(crate) async fn list_users(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadUsers>>,
    filter: Result<Query<UserFilter>, QueryRejection>,
) -> Result<axum::Json<Page<Shown>>, Problem> {
    list(&app, &caller, filter).await
}

/// Users of the organization that is asked about.
pub(super) async fn list<R: Permission>(
    app: &App,
    caller: &Authorized<R>,
    filter: Result<Query<UserFilter>, QueryRejection>,
) -> Result<axum::Json<Page<Shown>>, Problem> {
    let Query(filter) = filter.map_err(|error| Problem::invalid("query", error.body_text()))?;
    caller.catch_up(app, view::Users::NAME).await?;
    let mut conditions = vec![Condition::Equal("organization", caller.organization.to_value())];
    conditions.extend(filter.role.map(|role| Condition::Equal("role", role.to_value())));
    conditions.extend(filter.status.map(|status| Condition::Equal("status", status.to_value())));
    let UserFilter { q, sort, limit, cursor, .. } = &filter;
    let asked = Asked { sort: sort.as_deref(), limit: *limit, cursor: cursor.as_deref(), text: q.as_deref() };
    let listing =
        Listing::new::<view::Users>(app, (caller.organization, vec![caller.partition]), conditions, SORTS, &asked)?;
    Ok(axum::Json(listing.page::<view::Users, Shown>(app).await?))
}

/// Show a user.
///
/// Needs `users:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/users/{user}", tag = "users", operation_id = "get_user", extensions(("x-impersonable" = json!(true))),
    params(("org" = String, Path, description = "The organization, or `current`"), ("user" = String, Path)),
    responses((status = 200, body = Shown)))]
pub(crate) async fn get_user(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadUsers>>,
    Path((_, user)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let user = user_in(&user)?;
    caller.catch_up(&app, view::Users::NAME).await?;
    let row = row(&app, &caller, user).await?.ok_or_else(|| Problem::not_found("user"))?;
    let headers: HeaderMap = etag(row.version).map(|tag| (header::ETAG, tag)).into_iter().collect();
    Ok((headers, axum::Json(Shown::from(row))).into_response())
}

/// A user's row.
pub(crate) async fn row<R: Permission>(
    app: &App,
    caller: &Authorized<R>,
    user: UserId,
) -> Result<Option<view::User>, Problem> {
    let key = [("organization", caller.organization.to_value()), ("user", Value::Id(user.0))];
    Ok(app.views.row::<view::Users>(caller.partition, key).await?)
}

/// Change a user's role and permissions.
///
/// Holds on their next request. Needs `roles:write`.
#[utoipa::path(patch, path = "/v1/organizations/{org}/users/{user}", tag = "users", operation_id = "change_user",
    params(("org" = String, Path, description = "The organization, or `current`"), ("user" = String, Path),
        CommandParameters),
    request_body(content = UserPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn change_user(
    State(app): State<App>,
    Path((_, user)): Path<(String, String)>,
    mut request: CommandRequest<WriteRoles, UserPatch>,
) -> Result<CommandResult, Problem> {
    let UserPatch { role, permissions } = request.body;
    if let Some(permissions) = permissions {
        may_grant(&mut request.caller, Some(permissions), Role::Admin)?;
    }
    let command = match (role, permissions) {
        (Some(role), permissions) => Command::ChangeRole { role, permissions },
        (None, Some(permissions)) => Command::ChangePermissions { permissions },
        (None, None) => return Err(Problem::invalid("", "say what is to be changed: role, permissions or both")),
    };
    change(&app, &user, &request, command).await
}

/// Lock a user out.
///
/// Holds on their next request; what they did stays. API keys in their name stop until an admin adopts them. Needs
/// `users:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/users/{user}/deactivate", tag = "users",
    operation_id = "deactivate_user",
    params(("org" = String, Path, description = "The organization, or `current`"), ("user" = String, Path),
        CommandParameters),
    request_body = Nothing, responses((status = 200, body = Deactivated)))]
pub(crate) async fn deactivate_user(
    State(app): State<App>,
    Path((_, user)): Path<(String, String)>,
    request: CommandRequest<WriteUsers, Nothing>,
) -> Result<Deactivated, Problem> {
    deactivate(&app, &user, &request).await
}

pub(super) async fn deactivate<R: Permission>(
    app: &App,
    user: &str,
    request: &CommandRequest<R, Nothing>,
) -> Result<Deactivated, Problem> {
    let keys_that_stop = in_the_name_of(app, &request.caller, user).await?;
    let changed = change(app, user, request, Command::Deactivate).await?;
    Ok(Deactivated { changed, keys_that_stop })
}

/// Let a user in again.
///
/// Needs `users:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/users/{user}/reactivate", tag = "users",
    operation_id = "reactivate_user",
    params(("org" = String, Path, description = "The organization, or `current`"), ("user" = String, Path),
        CommandParameters),
    request_body = Nothing, responses((status = 200, body = CommandResult)))]
pub(crate) async fn reactivate_user(
    State(app): State<App>,
    Path((_, user)): Path<(String, String)>,
    request: CommandRequest<WriteUsers, Nothing>,
) -> Result<CommandResult, Problem> {
    change(&app, &user, &request, Command::Reactivate).await
}

/// A command to a user who exists.
pub(crate) async fn change<R: Permission, B>(
    app: &App,
    user: &str,
    request: &CommandRequest<R, B>,
    command: Command,
) -> Result<CommandResult, Problem> {
    let user: UserId = user_in(user)?;
    let subject = stream(request.caller.organization, user)?;
    let done = request.execute(app, &subject, &Commands::new().on::<User>(user, command), |it| it).await?;
    CommandResult::of(app, done, &subject, request.dry_run).await
}
