//! Taking up links: an invitation, and the setting up of the platform.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use porttask_app::{
    execute::{Commands, Request},
    links::{InvalidLink, Link, Purpose},
    passwords::NewPassword,
};
use porttask_domain::{
    Actor, Meta, OrganizationId, UserId,
    identity::{
        Role, User,
        user::{Command, Refusal},
    },
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::user::invite;
use crate::{
    app::App,
    problem::Problem,
    request::{Body, Client},
};

/// An invitation that is taken up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Acceptance {
    /// What follows `#token=` in the link.
    token: String,
    /// At least 12 characters.
    #[schema(format = Password, min_length = 12, max_length = 200)]
    password: String,
}

/// Who will be the first super admin.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setup {
    /// What follows `#token=` in the link that `porttask init` prints.
    token: String,
    #[schema(example = "Ana Souza", max_length = 200)]
    name: String,
    #[schema(example = "ana@platform.example")]
    email: String,
    /// At least 12 characters.
    #[schema(format = Password, min_length = 12, max_length = 200)]
    password: String,
}

/// An account that can sign in now.
#[derive(Serialize, ToSchema)]
pub(crate) struct Account {
    #[schema(value_type = String)]
    organization: OrganizationId,
    #[schema(value_type = String)]
    user: UserId,
}

/// Take up an invitation.
///
/// Sets the password; sign in with it then. A link is good once.
#[utoipa::path(post, path = "/v1/invitations/accept", tag = "invitations", operation_id = "accept_invitation",
    security(()), request_body = Acceptance, responses((status = 200, body = Account)))]
pub(crate) async fn accept_invitation(
    State(app): State<App>,
    client: Client,
    Body(Acceptance { token, password }): Body<Acceptance>,
) -> Result<Json<Account>, Problem> {
    let now = Timestamp::now();
    let link = app.links.read(&token, Purpose::Invitation, now).map_err(|it| refused(&it))?;
    let (organization, user) = (link.organization, UserId(link.subject));
    let (state, _) = app.executor.load::<User>(organization, user).await?;
    let own = state.person().map(|(name, email)| [name.value(), email.value()]).unwrap_or_default();
    let own: Vec<&str> = own.into_iter().flatten().collect();
    let commands = Commands::new().on::<User>(user, Command::Accept { invitation: link.generation, now });
    take_up(&app, &client, &link, (&password, &own), &commands).await.map(Json)
}

/// Become the first super admin.
///
/// With the link that the first start, or `porttask init`, prints.
#[utoipa::path(post, path = "/v1/setup", tag = "invitations", operation_id = "set_up", security(()),
    request_body = Setup, responses((status = 201, body = Account)))]
pub(crate) async fn set_up(
    State(app): State<App>,
    client: Client,
    Body(Setup { token, name, email, password }): Body<Setup>,
) -> Result<Response, Problem> {
    let now = Timestamp::now();
    let link = app.links.read(&token, Purpose::Setup, now).map_err(|it| refused(&it))?;
    let (organization, user) = (link.organization, UserId(link.subject));
    let fields = ((&*name, "/name"), (&*email, "/email"));
    let invitation = invite(fields.0, fields.1, Role::SuperAdmin, None, organization, user, now)?;
    let commands =
        Commands::new().on::<User>(user, invitation).on::<User>(user, Command::Accept { invitation: 1, now });
    let account = take_up(&app, &client, &link, (&password, &[&name, &email]), &commands).await?;
    Ok((StatusCode::CREATED, Json(account)).into_response())
}

/// Sets the password in the append that takes the link up, which happens once.
async fn take_up(
    app: &App,
    client: &Client,
    link: &Link,
    (password, own): (&str, &[&str]),
    commands: &Commands,
) -> Result<Account, Problem> {
    let password = NewPassword::new(password, own).map_err(|it| Problem::invalid("/password", it.to_string()))?;
    let (organization, user) = (link.organization, UserId(link.subject));
    let meta = client.mark(Meta::by(Actor::User { organization, user }), user);
    let mut request = Request::new(organization, meta);
    request.secrets.push(app.passwords.secret(organization, user, password).await?);
    let done = app.executor.execute_all(commands, &request).await?;
    if done.facts.is_empty() {
        return Err(Problem::from(porttask_app::execute::Refused::from(Refusal::Accepted)));
    }
    Ok(Account { organization, user })
}

fn refused(link: &InvalidLink) -> Problem {
    let slug = match link {
        InvalidLink::Unknown => "link-invalid",
        InvalidLink::Expired => "link-expired",
    };
    Problem::new(StatusCode::FORBIDDEN, slug, link.to_string())
}
