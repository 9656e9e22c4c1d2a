//! Inviting users: one, several, resending, revoking.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use jiff::Timestamp;
use porttask_app::identity::organizations;
use porttask_domain::{
    InvalidText, OrganizationId, PersonName, TextEnum, UserId,
    identity::{
        EmailAddress, Organization, Permissions, PermissionsPatch, Role, User,
        user::{Command, INVITATIONS, Status},
    },
};
use porttask_runtime::{execute::Tx, new_id};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{
    app::App,
    changes::Undo,
    permissions::WriteUsers,
    problem::{FieldError, Problem},
    request::{CommandParameters, CommandRequest, EmptyBody, Id},
    response::{CommandResult, place_of},
};

/// The routes of invitations for admins.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(invite_users))
        .routes(routes!(send_invitation))
        .routes(routes!(revoke_invitation))
}

/// A user to be invited.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    /// The full name.
    #[schema(example = "Ana Souza", max_length = 200)]
    name: String,
    /// The email address to which the invitation is sent.
    #[schema(example = "ana@acme.example")]
    email: String,
    role: Role,
    /// The permissions; default, also for each group that is left out: the maximum of the role.
    permissions: Option<PermissionsPatch>,
}

impl NewUser {
    fn permissions(&self) -> Permissions {
        self.permissions.unwrap_or_default().or(self.role.ceiling())
    }

    /// The command that invites the user.
    ///
    /// # Errors
    /// Which fields are not valid.
    fn invite(self, organization: OrganizationId, user: UserId, expires_at: Timestamp) -> Result<Command, Problem> {
        let (name, email) = ((&*self.name, "/name"), (&*self.email, "/email"));
        invite(name, email, self.role, self.permissions(), organization, user, expires_at)
    }
}

/// The command that invites a user, from fields with their pointers.
///
/// # Errors
/// Which fields are not valid.
pub(crate) fn invite(
    (name, name_at): (&str, &str),
    (email, email_at): (&str, &str),
    role: Role,
    permissions: Permissions,
    organization: OrganizationId,
    user: UserId,
    expires_at: Timestamp,
) -> Result<Command, Problem> {
    match (PersonName::new(name), EmailAddress::new(email)) {
        (Ok(name), Ok(email)) => Ok(Command::Invite { organization, user, name, email, role, permissions, expires_at }),
        (name, email) => {
            let error = |pointer: &str, error: InvalidText| FieldError {
                pointer: pointer.to_owned(),
                detail: error.to_string(),
            };
            let name = name.err().map(|it| error(name_at, it));
            let errors = name.into_iter().chain(email.err().map(|it| error(email_at, it)));
            Err(Problem::invalid_fields(errors.collect()))
        }
    }
}

/// Users to be invited.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUsers {
    #[schema(min_items = 1, max_items = 100)]
    users: Vec<NewUser>,
}

/// The results, in the order of the request.
#[derive(Serialize, ToSchema)]
pub(crate) struct Invitations {
    items: Vec<Invitation>,
}

/// The result for one user.
#[derive(Serialize, ToSchema)]
pub(crate) struct Invitation {
    /// The HTTP status that a request for this user alone would have had.
    #[schema(example = 201)]
    status: u16,
    /// The invitation, if the user was invited.
    #[serde(skip_serializing_if = "Option::is_none")]
    invited: Option<CommandResult>,
    /// Why the user was not invited.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

impl Invitation {
    fn of(result: Result<CommandResult, Problem>) -> Self {
        match result {
            Ok(invited) => Self { status: invited.status().as_u16(), invited: Some(invited), problem: None },
            Err(problem) => Self { status: problem.status().as_u16(), invited: None, problem: Some(problem) },
        }
    }
}

/// Maximum number of users in one request.
const MAX_USERS: usize = 100;

/// Invite a user.
///
/// The user receives an email with a link to set a password. Needs `users:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/users", tag = "users", params(CommandParameters),
    request_body = NewUser, responses((status = 201, body = CommandResult, description = "The user is invited.")))]
pub(crate) async fn invite_user(
    State(app): State<App>,
    mut request: CommandRequest<WriteUsers, NewUser>,
) -> Result<Response, Problem> {
    let new = request.body.clone();
    let place = format!("{}/users", place_of(request.caller.organization));
    Ok(invite_one(&app, &mut request, new).await?.created(&place))
}

/// Invite several users.
///
/// Each is invited or rejected separately. With an `Idempotency-Key`, a repetition invites nobody twice. For more than
/// a hundred, import a file: `POST /v1/organizations/{org}/users/import`. Needs `users:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/users/invite", tag = "users", params(CommandParameters),
    request_body = NewUsers, responses((status = 200, body = Invitations)))]
pub(crate) async fn invite_users(
    State(app): State<App>,
    mut request: CommandRequest<WriteUsers, NewUsers>,
) -> Result<Json<Invitations>, Problem> {
    let users = std::mem::take(&mut request.body.users);
    if users.is_empty() || users.len() > MAX_USERS {
        return Err(Problem::invalid("/users", format!("must have 1 to {MAX_USERS} items")));
    }
    let mut items = Vec::with_capacity(users.len());
    for (index, user) in users.into_iter().enumerate() {
        request.begin_part(index);
        items.push(Invitation::of(match invite_one(&app, &mut request, user).await {
            // Affects all remaining users: the caller or the service is the cause. A repetition continues from here.
            Err(it) if it.status() == StatusCode::UNAUTHORIZED || it.status().is_server_error() => return Err(it),
            result => result,
        }));
    }
    Ok(Json(Invitations { items }))
}

async fn invite_one<B>(
    app: &App,
    request: &mut CommandRequest<WriteUsers, B>,
    new: NewUser,
) -> Result<CommandResult, Problem> {
    let (organization, user) = (request.caller.organization, new_id());
    request.caller.grant(new.permissions())?;
    let email = new.email.clone();
    let invite = &new.invite(organization, user, expiry(app))?;
    let work = move |tx: Tx| async move {
        limit(app, &tx, organization).await?;
        Ok(tx.decide_new::<User>(user, invite).await?)
    };
    match request.run::<User, _>(app, user, work).await {
        Err(problem) => Err(explain_taken(app, organization, &email, problem).await),
        result => Ok(result?.undone_by(|user| revocation(organization, user))),
    }
}

/// The request that revokes an invitation.
fn revocation(organization: OrganizationId, user: &str) -> Undo {
    Undo::post(format!("{}/users/{user}/revoke-invitation", place_of(organization)))
}

/// The problem of an email address that is taken, with the user who has it and the remedy; other problems unchanged.
pub(super) async fn explain_taken(app: &App, organization: OrganizationId, email: &str, problem: Problem) -> Problem {
    if problem.slug() != "email-taken" {
        return problem;
    }
    let Ok(email) = EmailAddress::new(email) else { return problem };
    let found = organizations::user_with(&*app.database, &app.vault, organization, &email).await;
    let Ok(Some(user)) = found else { return problem };
    let Ok((state, _)) = app.executor.load::<User>(organization, user).await else { return problem };
    let Some(status) = state.status() else { return problem };
    let path = format!("/v1/organizations/{organization}/users/{user}");
    let remedy = match status {
        Status::Registered => format!("invite this user with POST {path}/invite"),
        Status::Invited => format!("resend the invitation with POST {path}/invite, or correct it with PATCH {path}"),
        Status::Active => format!("change role and permissions of this user with PATCH {path}"),
        Status::Deactivated => format!("reactivate this user with POST {path}/reactivate"),
    };
    let detail = format!("A user with this email address already exists ({user}, {}): {remedy}.", status.as_str());
    Problem::new(problem.status(), problem.slug(), detail)
}

/// When an invitation sent now expires.
pub(super) fn expiry(app: &App) -> Timestamp {
    app.clock.now() + app.settings.invitations.lifetime
}

/// Sets the limit of the organization's invitations per day.
///
/// # Errors
/// If the organization cannot be read.
pub(super) async fn limit(app: &App, tx: &Tx, organization: OrganizationId) -> Result<(), Problem> {
    let quota = tx.read::<Organization>(organization).await?.invitation_quota();
    tx.limit(INVITATIONS, i64::from(app.settings.invitations.of(quota).per_day));
    Ok(())
}

/// Send or resend an invitation.
///
/// For a user who was registered without one, or has lost it. The link of the former invitation becomes void. The caller
/// needs the permissions of the user. Needs `users:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/users/{user}/invite", tag = "users", params(CommandParameters),
    request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn send_invitation(
    State(app): State<App>,
    user: Id<User>,
    request: CommandRequest<WriteUsers, EmptyBody>,
) -> Result<CommandResult, Problem> {
    let user = user.get()?;
    let (app, send, caller) =
        (&app, &Command::SendInvitation { expires_at: expiry(&app), by_import: false }, &request.caller);
    let work = move |tx: Tx| async move {
        caller.may_give_access(app, &tx, tx.read::<User>(user).await?.permissions()).await?;
        limit(app, &tx, caller.organization).await?;
        Ok(tx.decide::<User>(user, send).await?)
    };
    let result = request.run::<User, _>(app, user, work).await?;
    Ok(result.undone_by(|user| revocation(request.caller.organization, user)))
}

/// Revoke an invitation.
///
/// Its link becomes void; the account is kept, and can be invited again. Needs `users:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/users/{user}/revoke-invitation", tag = "users",
    params(CommandParameters), request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn revoke_invitation(
    State(app): State<App>,
    user: Id<User>,
    request: CommandRequest<WriteUsers, EmptyBody>,
) -> Result<CommandResult, Problem> {
    request.change::<User>(&app, &user, Command::RevokeInvitation).await
}
