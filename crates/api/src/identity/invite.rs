//! Inviting people: one, many at once, once more, and not any more.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use jiff::Timestamp;
use porttask_domain::{
    OrganizationId, PersonName, UserId,
    identity::{
        EmailAddress, Permissions, Role, User,
        user::{Command, INVITATIONS},
    },
};
use porttask_runtime::{
    execute::{Commands, Request},
    new_id,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    schema,
    user::{change, may_grant, stream, user_in},
};
use crate::http::{
    app::App,
    permissions::WriteUsers,
    problem::{FieldError, Problem},
    request::{CommandParameters, CommandRequest, Nothing},
    response::{CommandResult, place_of},
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(invite_users))
        .routes(routes!(send_invitation))
        .routes(routes!(revoke_invitation))
}

/// A person to be invited.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    /// Their full name.
    #[schema(example = "Ana Souza", max_length = 200)]
    name: String,
    /// Where the invitation is sent to.
    #[schema(example = "ana@acme.example")]
    email: String,
    #[schema(value_type = schema::Role)]
    role: Role,
    /// What they will be permitted; without it, all that the role lets.
    #[schema(value_type = Option<schema::Permissions>)]
    permissions: Option<Permissions>,
}

impl NewUser {
    /// The command that invites the person.
    ///
    /// # Errors
    /// Which fields are not as they must be.
    fn invite(self, organization: OrganizationId, user: UserId, expires_at: Timestamp) -> Result<Command, Problem> {
        let (name, email) = ((&*self.name, "/name"), (&*self.email, "/email"));
        invite(name, email, self.role, self.permissions, organization, user, expires_at)
    }
}

/// The command that invites a person, from fields with their places.
pub(crate) fn invite(
    (name, name_at): (&str, &str),
    (email, email_at): (&str, &str),
    role: Role,
    permissions: Option<Permissions>,
    organization: OrganizationId,
    user: UserId,
    expires_at: Timestamp,
) -> Result<Command, Problem> {
    let (name, email) = (PersonName::new(name), EmailAddress::new(email));
    let permissions = permissions.unwrap_or(role.ceiling());
    match (name, email) {
        (Ok(name), Ok(email)) => Ok(Command::Invite { organization, user, name, email, role, permissions, expires_at }),
        (name, email) => {
            let error = |pointer: &str, error: porttask_domain::InvalidText| FieldError {
                pointer: pointer.to_owned(),
                detail: error.to_string(),
            };
            let name = name.err().map(|it| error(name_at, it));
            let errors = name.into_iter().chain(email.err().map(|it| error(email_at, it)));
            Err(Problem::invalid_fields(errors.collect()))
        }
    }
}

/// People to be invited.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUsers {
    #[schema(min_items = 1, max_items = 100)]
    users: Vec<NewUser>,
}

/// What became of each, in the order in which they were listed.
#[derive(Serialize, ToSchema)]
pub(crate) struct Invitations {
    items: Vec<Invitation>,
}

/// What became of a person who was to be invited.
#[derive(Serialize, ToSchema)]
pub(crate) struct Invitation {
    /// The status that inviting them alone would have been answered with.
    #[schema(example = 201)]
    status: u16,
    /// The invitation, if they were invited.
    #[serde(skip_serializing_if = "Option::is_none")]
    invited: Option<CommandResult>,
    /// Why they were not invited.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

/// The most people who are invited at once.
const MOST: usize = 100;

/// Invite a person.
///
/// They get a mail with a link by which they set a password. Needs `users:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/users", tag = "users", operation_id = "invite_user",
    params(("org" = String, Path, description = "The organization, or `current`"), CommandParameters),
    request_body = NewUser, responses((status = 201, body = CommandResult, description = "They are invited")))]
pub(crate) async fn invite_user(
    State(app): State<App>,
    mut request: CommandRequest<WriteUsers, NewUser>,
) -> Result<Response, Problem> {
    let new = request.body.clone();
    let place = format!("{}/users", place_of(request.caller.organization));
    Ok(invite_one(&app, &mut request, new).await?.created(&place))
}

/// Invite many people at once.
///
/// Each is invited or refused apart. With an `Idempotency-Key`, a repetition invites nobody twice. More than a hundred come
/// in a file: `POST /v1/organizations/{org}/users/import`. Needs `users:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/users/invite", tag = "users", operation_id = "invite_users",
    params(("org" = String, Path, description = "The organization, or `current`"), CommandParameters),
    request_body = NewUsers, responses((status = 200, body = Invitations)))]
pub(crate) async fn invite_users(
    State(app): State<App>,
    mut request: CommandRequest<WriteUsers, NewUsers>,
) -> Result<Json<Invitations>, Problem> {
    let people = std::mem::take(&mut request.body.users);
    if people.is_empty() || people.len() > MOST {
        return Err(Problem::invalid("/users", format!("must be 1 to {MOST} people")));
    }
    let mut items = Vec::with_capacity(people.len());
    for (place, person) in people.into_iter().enumerate() {
        request.begin_part(place);
        items.push(match invite_one(&app, &mut request, person).await {
            Ok(invited) => Invitation { status: invited.status().as_u16(), invited: Some(invited), problem: None },
            // It is about the caller or the service, and so about all that are left. A repetition goes on from here.
            Err(problem) if problem.status() == StatusCode::UNAUTHORIZED || problem.status().is_server_error() => {
                return Err(problem);
            }
            Err(problem) => Invitation { status: problem.status().as_u16(), invited: None, problem: Some(problem) },
        });
    }
    Ok(Json(Invitations { items }))
}

async fn invite_one<B>(
    app: &App,
    request: &mut CommandRequest<WriteUsers, B>,
    new: NewUser,
) -> Result<CommandResult, Problem> {
    let (organization, user) = (request.caller.organization, new_id());
    may_grant(&mut request.caller, new.permissions, new.role)?;
    let commands = Commands::new().on_new::<User>(user, new.invite(organization, user, ends(app))?);
    let subject = stream(organization, user)?;
    let done = request.execute(app, &subject, &commands, limited(app)).await?;
    CommandResult::of(app, done, &subject, request.dry_run).await
}

/// When an invitation ends that is sent now.
pub(super) fn ends(app: &App) -> Timestamp {
    Timestamp::now() + app.settings.invitations.lifetime
}

/// No more invitations than may be sent in a day.
pub(super) fn limited(app: &App) -> impl Fn(Request) -> Request + use<> {
    let limit = i64::from(app.settings.invitations.per_day);
    move |request| Request { limits: vec![(INVITATIONS, limit)], ..request }
}

/// Send somebody an invitation, or another one.
///
/// For whoever was registered without one, or has lost theirs: the link of the former one is void. Needs `users:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/users/{user}/invite", tag = "users",
    operation_id = "send_invitation",
    params(("org" = String, Path, description = "The organization, or `current`"), ("user" = String, Path),
        CommandParameters),
    request_body = Nothing, responses((status = 200, body = CommandResult)))]
pub(crate) async fn send_invitation(
    State(app): State<App>,
    Path((_, user)): Path<(String, String)>,
    request: CommandRequest<WriteUsers, Nothing>,
) -> Result<CommandResult, Problem> {
    let user: UserId = user_in(&user)?;
    let subject = stream(request.caller.organization, user)?;
    let commands = Commands::new().on::<User>(user, sent_again(&app));
    let done = request.execute(&app, &subject, &commands, limited(&app)).await?;
    CommandResult::of(&app, done, &subject, request.dry_run).await
}

/// The command that sends an invitation, or another one.
pub(super) fn sent_again(app: &App) -> Command {
    Command::SendInvitation { expires_at: ends(app) }
}

/// Take an invitation back.
///
/// Its link is void; the account stays, and can be invited again. Needs `users:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/users/{user}/revoke-invitation", tag = "users",
    operation_id = "revoke_invitation",
    params(("org" = String, Path, description = "The organization, or `current`"), ("user" = String, Path),
        CommandParameters),
    request_body = Nothing, responses((status = 200, body = CommandResult)))]
pub(crate) async fn revoke_invitation(
    State(app): State<App>,
    Path((_, user)): Path<(String, String)>,
    request: CommandRequest<WriteUsers, Nothing>,
) -> Result<CommandResult, Problem> {
    change(&app, &user, &request, Command::RevokeInvitation).await
}
