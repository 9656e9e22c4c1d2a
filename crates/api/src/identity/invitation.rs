//! Taking up links: an invitation, and the setting up of the platform.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use porttask_app::identity::{
    links::{InvalidLink, Link, Purpose},
    passwords::NewPassword,
};
use porttask_domain::{
    Actor, Meta, OrganizationId, UserId,
    identity::{
        Role, User,
        user::{Command, Rejection},
    },
};
use porttask_runtime::{
    execute::{Commands, Outcome, Rejected, Request},
    log::Position,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::invite::{ends, invite};
use crate::http::document::tagged;
use crate::http::{
    app::App,
    problem::Problem,
    request::{Body, Client},
    response::POSITION,
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("invitations", "Links that were handed out, taken up by people without an account yet.")
        .routes(routes!(set_up))
        .routes(routes!(accept_invitation))
}

/// An invitation that is taken up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Acceptance {
    /// What follows `#token=` in the link.
    token: String,
    /// At least 12 characters.
    #[schema(format = Password, min_length = 12, max_length = 128)]
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
    #[schema(format = Password, min_length = 12, max_length = 128)]
    password: String,
}

/// An account whose link was taken up.
#[derive(Serialize, ToSchema)]
pub(crate) struct Account {
    #[schema(value_type = String)]
    pub(super) organization: OrganizationId,
    #[schema(value_type = String)]
    pub(super) user: UserId,
    /// Up to where a listing must have read to show it (`Porttask-At-Least`).
    #[schema(value_type = String, example = "0:1234")]
    #[serde(serialize_with = "as_text")]
    pub(super) position: Position,
}

fn as_text<S: serde::Serializer>(position: &Position, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(position)
}

impl Account {
    /// That something was done, unless it was done before: then this rejection.
    ///
    /// # Errors
    /// The rejection.
    pub(super) fn of(link: &Link, done: &Outcome, used: Rejection) -> Result<Self, Problem> {
        match done.position {
            Some(position) if !done.events.is_empty() => {
                Ok(Self { organization: link.organization, user: UserId(link.subject), position })
            }
            Some(_) | None => Err(Rejected::from(used).into()),
        }
    }
}

impl IntoResponse for Account {
    fn into_response(self) -> Response {
        ([(POSITION, self.position.to_string())], Json(self)).into_response()
    }
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
) -> Result<Account, Problem> {
    let now = Timestamp::now();
    let link = read(&app, &token, Purpose::Invitation, now)?;
    let (organization, user) = (link.organization, UserId(link.subject));
    let (state, _) = app.executor.load::<User>(organization, user).await?;
    let commands = Commands::new().on::<User>(user, Command::Accept { invitation: link.generation, now });
    let own = own_words(&state);
    take_up(&app, &client, &link, (&password, &own), &commands, Rejection::Accepted).await
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
    let link = read(&app, &token, Purpose::Setup, now)?;
    let (organization, user) = (link.organization, UserId(link.subject));
    let fields = ((&*name, "/name"), (&*email, "/email"));
    let invitation = invite(fields.0, fields.1, Role::SuperAdmin, None, organization, user, ends(&app))?;
    let commands =
        Commands::new().on::<User>(user, invitation).on::<User>(user, Command::Accept { invitation: 1, now });
    let account = take_up(&app, &client, &link, (&password, &[name, email]), &commands, Rejection::Accepted).await?;
    Ok((StatusCode::CREATED, account).into_response())
}

/// Sets the password in the append that takes the link up, which happens once: after that, this rejection.
pub(super) async fn take_up(
    app: &App,
    client: &Client,
    link: &Link,
    (password, own): (&str, &[String]),
    commands: &Commands,
    used: Rejection,
) -> Result<Account, Problem> {
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let password = NewPassword::new(password, &own).map_err(|it| Problem::invalid("/password", it.to_string()))?;
    let (organization, user) = (link.organization, UserId(link.subject));
    let meta = client.mark(Meta::by(Actor::User { organization, user }), user);
    let mut request = Request::new(organization, meta);
    request.secrets.push(app.passwords.secret(organization, user, password).await?);
    let done = app.executor.execute_all(commands, &request).await?;
    Account::of(link, &done, used)
}

/// What nobody takes for their password: their own name and address.
pub(super) fn own_words(user: &User) -> Vec<String> {
    let own = user.person().map(|(name, email)| [name.value(), email.value()]).unwrap_or_default();
    own.into_iter().flatten().map(str::to_owned).collect()
}

/// The link of a token, if it is one for this.
///
/// # Errors
/// If it was not made here for this, or its time is over.
pub(super) fn read(app: &App, token: &str, purpose: Purpose, now: Timestamp) -> Result<Link, Problem> {
    app.links.read(token, purpose, now).map_err(|link| {
        let slug = match link {
            InvalidLink::Unknown => "link-invalid",
            InvalidLink::Expired => "link-expired",
        };
        Problem::new(StatusCode::FORBIDDEN, slug, link.to_string())
    })
}
