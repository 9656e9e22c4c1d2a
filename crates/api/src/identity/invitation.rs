//! Accepting an invitation, and the first super admin.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use porttask_app::identity::links::Purpose;
use porttask_domain::{
    UserId,
    identity::{
        Role, User,
        user::{Command, Rejection},
    },
};
use porttask_runtime::execute::Rejected;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    invite::{expiry, invite},
    link::{__path_inspect_link, Account, inspect_link, own_words, read, redeem},
};
use crate::http::{
    app::App,
    document::tagged,
    problem::Problem,
    request::{Body, Client},
};

/// The routes of invitations for people without an account.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("invitations", "Redeeming links, for people who have no account yet.")
        .routes(routes!(set_up))
        .routes(routes!(accept_invitation))
        .routes(routes!(inspect_link))
}

/// The acceptance of an invitation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Acceptance {
    /// What follows `#token=` in the link, or the line below the link in the email.
    #[schema(example = "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    token: String,
    /// At least 12 characters.
    #[schema(format = Password, min_length = 12, max_length = 128)]
    password: String,
    /// Also sign in: the response has a session.
    #[serde(default)]
    sign_in: bool,
}

/// The first super admin.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setup {
    /// What follows `#token=` in the link that `porttask init` prints.
    #[schema(example = "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    token: String,
    #[schema(example = "Ana Souza", max_length = 200)]
    name: String,
    #[schema(example = "ana@platform.example")]
    email: String,
    /// At least 12 characters.
    #[schema(format = Password, min_length = 12, max_length = 128)]
    password: String,
    /// Also sign in: the response has a session.
    #[serde(default)]
    sign_in: bool,
}

/// Accept an invitation.
///
/// Sets the password to sign in with. A link can be used once. With `sign_in`, the response has a session.
#[utoipa::path(post, path = "/v1/invitations/accept", tag = "invitations", security(()), request_body = Acceptance,
    responses((status = 200, body = Account)))]
pub(crate) async fn accept_invitation(
    State(app): State<App>,
    client: Client,
    Body(Acceptance { token, password, sign_in }): Body<Acceptance>,
) -> Result<Account, Problem> {
    let now = app.clock.now();
    let link = read(&app, &token, Purpose::Invitation, now)?;
    let user = UserId(link.subject);
    let (state, _) = app.executor.load::<User>(link.organization, user).await?;
    let commands = [Command::Accept { invitation: link.generation, now }];
    let own = own_words(&app, link.organization, &state).await?;
    let account = redeem(&app, &client, &link, (&password, &own), &commands, Rejection::Accepted).await?;
    Ok(if sign_in { account.signed_in(&app, &client).await } else { account })
}

/// Become the first super admin.
///
/// Requires the link that the first start, or `porttask init`, prints. With `sign_in`, the response has a session.
#[utoipa::path(post, path = "/v1/setup", tag = "invitations", security(()), request_body = Setup,
    responses((status = 201, body = Account)))]
pub(crate) async fn set_up(
    State(app): State<App>,
    client: Client,
    Body(Setup { token, name, email, password, sign_in }): Body<Setup>,
) -> Result<Response, Problem> {
    let now = app.clock.now();
    let link = read(&app, &token, Purpose::Setup, now)?;
    let (organization, user) = (link.organization, UserId(link.subject));
    let fields = ((&*name, "/name"), (&*email, "/email"));
    let (role, permissions) = (Role::SuperAdmin, Role::SuperAdmin.ceiling());
    let invitation = invite(fields.0, fields.1, role, permissions, organization, user, expiry(&app))?;
    let accept = Command::Accept { invitation: 1, now };
    let commands = [invitation, accept];
    let account = redeem(&app, &client, &link, (&password, &[name, email]), &commands, Rejection::LinkUsed).await;
    // Another person has become the first super admin.
    let account = account.map_err(|problem| match problem.slug() {
        "user-exists" => Rejected::from(Rejection::LinkUsed).into(),
        _ => problem,
    })?;
    let account = if sign_in { account.signed_in(&app, &client).await } else { account };
    Ok((StatusCode::CREATED, account).into_response())
}
