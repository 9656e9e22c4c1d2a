//! The users of an organization.

pub(super) mod deactivation;
mod delivery;
mod exported;
mod hand_over;

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use porttask_app::billing::subscriptions::must_be_in_force;
use porttask_domain::{
    OrganizationId, PersonName, UserId,
    identity::{
        EmailAddress, Permissions, PermissionsPatch, Role, User,
        user::{Command, Status},
    },
};
use porttask_projections::{ColumnType, Value, identity::user as view};
use porttask_runtime::{
    execute::{Tx, stream_of},
    tasks::Task,
    views::Condition,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use self::delivery::EmailDelivery;
use super::invite;
use crate::http::{
    app::App,
    changes::{AccessChange, Credentials, Undo},
    document::tagged,
    listing::{Page, Sort},
    permissions::{Impersonable, Permission, ReadUsers, WriteRoles, WriteUsers},
    problem::Problem,
    request::{
        Authorized, CommandParameters, CommandRequest, EmptyBody, Id, Instant, List, ListFormat, ListParameters,
        Listed, Resource, not_null,
    },
    response::{CommandResult, place_of},
};

/// The routes of users.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("users", "The users of an organization, their roles and permissions.")
        .routes(routes!(invite::invite_user, list_users))
        .routes(routes!(get_user, change_user, remove_user))
        .routes(routes!(deactivation::deactivate_user))
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
    /// The time zone in which times are shown to the user; null means that of the browser.
    #[schema(example = "America/Sao_Paulo")]
    time_zone: Option<String>,
    role: Role,
    permissions: Permissions,
    status: Status,
    created_at: Timestamp,
    /// When the last invitation expires or expired; null if none was sent.
    invitation_expires_at: Option<Timestamp>,
    /// When the invitation was accepted; null if it was not accepted yet.
    accepted_at: Option<Timestamp>,
    /// When the user last signed in; null if never.
    last_signed_in_at: Option<Timestamp>,
    /// Until when the account is locked after too many wrong passwords: until then, only devices that have signed in
    /// before may sign in. Null if it is not locked.
    locked_until: Option<Timestamp>,
    /// The emails to the user that were not handed over yet; null if all were.
    email_delivery: Option<EmailDelivery>,
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
            time_zone: row.time_zone,
            role: row.role,
            permissions: Permissions { tickets, invoices, reports, administration },
            status: row.status,
            created_at: row.created_at,
            invitation_expires_at: row.invitation_expires_at,
            accepted_at: row.accepted_at,
            last_signed_in_at: happened(row.last_signed_in_at),
            locked_until: happened(row.locked_until),
            email_delivery: None,
            version: row.version,
        }
    }
}

/// The time of what may never have happened.
fn happened(at: Timestamp) -> Option<Timestamp> {
    (at != view::User::NEVER).then_some(at)
}

impl UserResponse {
    /// As of now: without a lock that has ended.
    pub(super) fn at(self, now: Timestamp) -> Self {
        Self { locked_until: self.locked_until.filter(|until| now < *until), ..self }
    }
}

/// A change of a user: a JSON merge patch (RFC 7396).
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"role": "auditor", "permissions": {"invoices": "none"}}))]
#[serde(deny_unknown_fields)]
pub(crate) struct UserPatch {
    /// The new role.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = Role, required = false)]
    role: Option<Role>,
    /// The new permissions. A group that is left out is unchanged; with a new role, it is the maximum of the role that the
    /// caller holds as well.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = PermissionsPatch, required = false)]
    permissions: Option<PermissionsPatch>,
    /// The corrected full name, until the user accepts an invitation.
    #[schema(example = "Ana Souza", max_length = 200)]
    name: Option<String>,
    /// The corrected email address, until the user accepts an invitation.
    #[schema(example = "ana@acme.example")]
    email: Option<String>,
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
    #[serde(flatten)]
    access: AccessChange,
}

impl IntoResponse for ChangedUser {
    fn into_response(self) -> Response {
        (self.result.headers(), Json(self)).into_response()
    }
}

/// A user whose access was changed, or in a dry run would be.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChangedAccess {
    #[serde(flatten)]
    pub(super) result: CommandResult,
    #[serde(flatten)]
    pub(super) access: AccessChange,
}

impl IntoResponse for ChangedAccess {
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
    /// Only users who have not signed in since this instant, or never.
    #[param(value_type = Option<Timestamp>)]
    not_signed_in_since: Option<Instant>,
    /// Only accounts that are locked after too many wrong passwords; with `false`, only those that are not.
    locked: Option<bool>,
    /// `json` (default) is in pages; `csv` contains all rows, without `limit`, `cursor` and `count`. That they were exported
    /// is recorded in the audit log.
    #[serde(default)]
    format: ListFormat,
}

/// Users who have not signed in since an instant, or never.
pub(super) fn not_signed_in_since(instant: Instant) -> Condition {
    Condition::Below("last_signed_in_at", instant.0.to_value())
}

/// Accounts that are locked now, or not.
pub(super) fn is_locked(locked: bool, now: Timestamp) -> Condition {
    // A lock ends at its instant.
    let next = Value::Time(now + SignedDuration::from_micros(1));
    if locked { Condition::AtLeast("locked_until", next) } else { Condition::Below("locked_until", next) }
}

impl Listed for view::Users {
    type Item = UserResponse;
    type Filter = UserFilter;
    const SORTS: &'static [Sort] = &[
        ("name", &["normalized_name", "user"]),
        ("email", &["normalized_email", "user"]),
        ("created_at", &["created_at", "user"]),
        ("last_signed_in_at", &["last_signed_in_at", "user"]),
    ];

    fn conditions(
        UserFilter { role, status, not_signed_in_since: since, .. }: UserFilter,
    ) -> Result<Vec<Condition>, Problem> {
        let role = role.map(|role| Condition::Equal("role", role.to_value()));
        let status = status.map(|status| Condition::Equal("status", status.to_value()));
        Ok(role.into_iter().chain(status).chain(since.map(not_signed_in_since)).collect())
    }

    fn conditions_at(filter: &UserFilter, now: Timestamp) -> Vec<Condition> {
        filter.locked.map(|locked| is_locked(locked, now)).into_iter().collect()
    }

    async fn complete(app: &App, _: OrganizationId, items: Vec<UserResponse>) -> Result<Vec<UserResponse>, Problem> {
        completed(app, items).await
    }
}

/// Users of any organizations as of now, with what is known of emails to them.
pub(super) async fn completed(app: &App, items: Vec<UserResponse>) -> Result<Vec<UserResponse>, Problem> {
    let mut targets: BTreeMap<OrganizationId, Vec<Uuid>> = BTreeMap::new();
    for item in &items {
        targets.entry(item.organization).or_default().push(item.id.0);
    }
    let tasks = targets.iter().map(|(organization, targets)| app.database.tasks_of(*organization, targets));
    let tasks = try_join_all(tasks).await.map_err(|error| Problem::unavailable(&error))?.concat();
    let now = app.clock.now();
    let mut items: Vec<UserResponse> = items.into_iter().map(|item| item.at(now)).collect();
    for item in &mut items {
        let is_own = |task: &&Task| (task.organization, task.target) == (item.organization, item.id.0);
        let own: Vec<&Task> = tasks.iter().filter(is_own).collect();
        item.email_delivery = EmailDelivery::of(&own);
    }
    Ok(items)
}

/// List users.
///
/// Needs `users:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/users", tag = "users",
    extensions(("x-impersonable" = json!(true))), params(ListParameters<view::Users>),
    responses((status = 200, description = "The users", content(
        (UserPage = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list_users(
    State(app): State<App>,
    users: List<Impersonable<ReadUsers>, view::Users>,
) -> Result<Response, Problem> {
    users.answer(&app).await
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
/// Takes effect on the user's next request. A new role gives all permissions of the role, as far as the caller holds
/// them; `permissions` may contain only the groups that differ. Until the user accepts an invitation, name and email address can be corrected: another address
/// makes the invitation void, and a new one is sent there. While the subscription is read-only, rights can only be
/// narrowed. Needs `roles:write`.
#[utoipa::path(patch, path = "/v1/organizations/{org}/users/{user}", tag = "users", params(CommandParameters),
    request_body(content = UserPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = ChangedUser)))]
pub(crate) async fn change_user(
    State(app): State<App>,
    user: Id<User>,
    mut request: CommandRequest<WriteRoles, UserPatch>,
) -> Result<ChangedUser, Problem> {
    let change = request.body.parse()?;
    change.permissions.map_or(Ok(()), |patch| request.caller.grant(patch.or(Permissions::NONE)))?;
    let (app, caller, user, change) = (&app, &request.caller, user.get()?, &change);
    let account = (caller.organization, user);
    let (subject, credentials) =
        (stream_of::<User>(account.0, user)?, Credentials::of(app, &request, user, None).await?);
    let work = move |tx: Tx| async move {
        let before = tx.read::<User>(user).await?;
        change.correct(app, caller, &tx, user).await?;
        change.grant(app, caller, &tx, user).await?;
        let after = tx.read::<User>(user).await?;
        if !change.only_narrows(&before, &after) {
            must_be_in_force(&tx, account.0).await?;
        }
        Ok::<_, Problem>((before, after))
    };
    let outcome = request.transact(app, &subject, work).await;
    let outcome = match (outcome, &request.body.email) {
        (Err(problem), Some(email)) => {
            return Err(invite::explain_taken(app, caller.organization, email, problem).await);
        }
        (outcome, _) => outcome?,
    };
    let result = CommandResult::of(app, &outcome, (&subject, request.viewer()), request.dry_run).await?;
    let Some((before, after)) = outcome.value else {
        return Ok(ChangedUser { result, role: None, permissions: None, access: AccessChange::default() });
    };
    let (role, permissions) = (after.role(), after.permissions());
    let access = match result.is_change() {
        true => AccessChange::between(account, (&before, &after), credentials),
        false => AccessChange::default(),
    };
    let result = match change.inverse(&before) {
        Some(body) => result.undone_by(|user| Undo::patch(place_of_user(account.0, user), body)),
        None => result,
    };
    Ok(ChangedUser { result, role, permissions, access })
}

/// The path of a user.
fn place_of_user(organization: OrganizationId, user: &str) -> String {
    format!("{}/users/{user}", place_of(organization))
}

/// A validated change of a user.
struct Change {
    role: Option<Role>,
    permissions: Option<PermissionsPatch>,
    name: Option<PersonName>,
    email: Option<EmailAddress>,
}

impl UserPatch {
    fn parse(&self) -> Result<Change, Problem> {
        let Self { role, permissions, name, email } = self;
        if role.is_none() && permissions.is_none() && name.is_none() && email.is_none() {
            return Err(Problem::invalid("", "specify role, permissions, name or email"));
        }
        let name = name.as_deref().map(PersonName::new).transpose();
        let email = email.as_deref().map(EmailAddress::new).transpose();
        Ok(Change {
            role: *role,
            permissions: *permissions,
            name: name.map_err(|it| Problem::invalid("/name", it.to_string()))?,
            email: email.map_err(|it| Problem::invalid("/email", it.to_string()))?,
        })
    }
}

impl Change {
    /// Whether it only takes rights away.
    fn only_narrows(&self, before: &User, after: &User) -> bool {
        let is_included = before.role().zip(after.role()).is_some_and(|(from, to)| from.includes(to));
        let is_within = before.permissions().zip(after.permissions()).is_some_and(|(from, to)| to.is_within(from));
        self.name.is_none() && self.email.is_none() && is_included && is_within
    }

    /// The patch that restores the former state of a user; `None` after a change of the address, which voids an
    /// invitation.
    fn inverse(&self, before: &User) -> Option<serde_json::Value> {
        let Self { role, permissions, name, email } = self;
        if email.is_some() {
            return None;
        }
        let mut body = serde_json::Map::new();
        if role.is_some() {
            body.insert("role".to_owned(), json!(before.role()?));
        }
        if role.is_some() || permissions.is_some() {
            body.insert("permissions".to_owned(), json!(before.permissions()?));
        }
        if name.is_some() {
            body.insert("name".to_owned(), json!(before.person()?.0.value()?));
        }
        Some(body.into())
    }

    /// Corrects name and email address. A pending invitation is sent to the new address.
    async fn correct<P: Permission>(
        &self,
        app: &App,
        caller: &Authorized<P>,
        tx: &Tx,
        user: UserId,
    ) -> Result<(), Problem> {
        let Self { name, email, .. } = self;
        if name.is_none() && email.is_none() {
            return Ok(());
        }
        let before = tx.read::<User>(user).await?;
        // The owner of the new address may accept.
        caller.may_give_access(app, tx, before.permissions()).await?;
        tx.decide::<User>(user, &Command::Correct { name: name.clone(), email: email.clone() }).await?;
        if before.invitation().is_some() && tx.read::<User>(user).await?.invitation().is_none() {
            invite::limit(app, tx, caller.organization).await?;
            tx.decide::<User>(user, &Command::SendInvitation { expires_at: invite::expiry(app), by_import: false })
                .await?;
        }
        Ok(())
    }

    /// Changes role and permissions. A new role gives the permissions that the caller holds, except for given groups.
    async fn grant<P: Permission>(
        &self,
        app: &App,
        caller: &Authorized<P>,
        tx: &Tx,
        user: UserId,
    ) -> Result<(), Problem> {
        if (self.role, self.permissions) == (None, None) {
            return Ok(());
        }
        let (before, patch) = (tx.read::<User>(user).await?, self.permissions.unwrap_or_default());
        let permissions = patch.or(before.permissions().unwrap_or(Permissions::NONE));
        let command = match self.role {
            Some(role) if before.role() != Some(role) => {
                let permissions = Some(patch.or(caller.grantable(app, tx, role.ceiling()).await?));
                Command::ChangeRole { role, permissions }
            }
            Some(role) => Command::ChangeRole { role, permissions: Some(permissions) },
            None => Command::ChangePermissions { permissions },
        };
        Ok(tx.decide::<User>(user, &command).await?)
    }
}

/// Executes a command on a user, and returns what it does to their access.
async fn change_access<P: Permission, B>(
    app: &App,
    request: &CommandRequest<P, B>,
    user: UserId,
    command: Command,
) -> Result<ChangedAccess, Problem> {
    let command = &command;
    change_access_with(app, request, user, move |tx| async move { Ok(tx.decide::<User>(user, command).await?) }).await
}

/// Executes a unit of work on a user, and returns what it does to their access.
async fn change_access_with<P: Permission, B, F: Future<Output = Result<(), Problem>>>(
    app: &App,
    request: &CommandRequest<P, B>,
    user: UserId,
    body: impl Fn(Tx) -> F,
) -> Result<ChangedAccess, Problem> {
    let account = (request.caller.organization, user);
    let (subject, credentials) =
        (stream_of::<User>(account.0, user)?, Credentials::of(app, request, user, None).await?);
    let body = &body;
    let work = move |tx: Tx| async move {
        let before = tx.read::<User>(user).await?;
        body(tx.clone()).await?;
        Ok::<_, Problem>((before, tx.read::<User>(user).await?))
    };
    let outcome = request.transact(app, &subject, work).await?;
    let result = CommandResult::of(app, &outcome, (&subject, request.viewer()), request.dry_run).await?;
    let access = match outcome.value.filter(|_| result.is_change()) {
        Some((before, after)) => AccessChange::between(account, (&before, &after), credentials),
        None => AccessChange::default(),
    };
    Ok(ChangedAccess { result, access })
}

/// Remove a user who has never accepted an invitation.
///
/// The invitation becomes void and the email address free; the history is kept. Needs `users:write`.
#[utoipa::path(delete, path = "/v1/organizations/{org}/users/{user}", tag = "users", params(CommandParameters),
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn remove_user(
    State(app): State<App>,
    user: Id<User>,
    request: CommandRequest<WriteUsers, EmptyBody>,
) -> Result<CommandResult, Problem> {
    request.change::<User>(&app, &user, Command::Remove).await
}

/// Reactivate a user.
///
/// The caller needs the permissions of the user. Needs `users:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/users/{user}/reactivate", tag = "users",
    params(CommandParameters), request_body = EmptyBody, responses((status = 200, body = ChangedAccess)))]
pub(crate) async fn reactivate_user(
    State(app): State<App>,
    user: Id<User>,
    request: CommandRequest<WriteUsers, EmptyBody>,
) -> Result<ChangedAccess, Problem> {
    let (app, caller, user) = (&app, &request.caller, user.get()?);
    let work = move |tx: Tx| async move {
        caller.may_give_access(app, &tx, tx.read::<User>(user).await?.permissions()).await?;
        Ok(tx.decide::<User>(user, &Command::Reactivate).await?)
    };
    let ChangedAccess { result, access } = change_access_with(app, &request, user, work).await?;
    let place = |user: &str| format!("{}/deactivate", place_of_user(request.caller.organization, user));
    Ok(ChangedAccess { result: result.undone_by(|user| Undo::post(place(user))), access })
}
