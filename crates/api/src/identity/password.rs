//! Passwords: set anew by a link, changed by whoever knows the old one.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use porttask_app::identity::{
    attempts::Look,
    links::{PASSWORD_RESET, Purpose},
    password_resets::Forgetful,
    passwords::NewPassword,
    sign_in::SignInError,
};
use porttask_domain::{
    UserId,
    identity::{
        User,
        user::{Command, Rejection},
    },
};
use porttask_runtime::execute::{self, Commands, stream_of};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    invitation::{Account, own_words, read, take_up},
    user::{change, user_in},
};
use crate::http::document::tagged;
use crate::http::{
    app::App,
    permissions::{Permission, SignedIn, WriteUsers},
    problem::Problem,
    request::{Body, Client, CommandParameters, CommandRequest, Nothing},
    response::CommandResult,
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("passwords", "Passwords that are changed, and links for those that were lost.")
        .routes(routes!(request_password_reset))
        .routes(routes!(complete_password_reset))
        .routes(routes!(reset_password))
        .routes(routes!(change_password))
        .routes(routes!(unlock_user))
}

/// Somebody who has lost their password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Forgotten {
    #[schema(example = "ana@acme.example")]
    email: String,
    /// The id or the domain of an organization; without it, every account with the address gets a mail.
    #[schema(example = "acme.example")]
    organization: Option<String>,
}

/// That something was taken up, whatever comes of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Taken {
    #[schema(example = "if there is such an account, a link is on its way to it by mail")]
    detail: &'static str,
}

/// Another password, by a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reset {
    /// What follows `#token=` in the link.
    token: String,
    /// At least 12 characters.
    #[schema(format = Password, min_length = 12, max_length = 128)]
    password: String,
}

/// Another password, by whoever knows the one before.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordChange {
    #[schema(format = Password)]
    current_password: String,
    /// At least 12 characters.
    #[schema(format = Password, min_length = 12, max_length = 128)]
    new_password: String,
}

/// Ask for a link to set another password.
///
/// The answer is the same whether there is such an account or not. The link comes by mail, is good for an hour and once;
/// a later one replaces it, and whoever asks again within five minutes gets no other.
#[utoipa::path(post, path = "/v1/password-resets", tag = "passwords", operation_id = "request_password_reset",
    security(()), request_body = Forgotten, responses((status = 202, body = Taken)))]
pub(crate) async fn request_password_reset(
    State(app): State<App>,
    client: Client,
    Body(Forgotten { email, organization }): Body<Forgotten>,
) -> Response {
    let (ip, user_agent, request_id) = (client.ip.map(|ip| ip.to_string()), client.user_agent, Some(client.request_id));
    app.password_resets.take(Forgetful { email, organization, ip, user_agent, request_id }, Timestamp::now());
    let detail = "if there is such an account, a link is on its way to it by mail";
    (StatusCode::ACCEPTED, Json(Taken { detail })).into_response()
}

/// Set another password by a link.
///
/// All sessions of the account end; sign in with the new password then. A link is good once.
#[utoipa::path(post, path = "/v1/password-resets/complete", tag = "passwords",
    operation_id = "complete_password_reset", security(()), request_body = Reset,
    responses((status = 200, body = Account)))]
pub(crate) async fn complete_password_reset(
    State(app): State<App>,
    client: Client,
    Body(Reset { token, password }): Body<Reset>,
) -> Result<Account, Problem> {
    let now = Timestamp::now();
    let link = read(&app, &token, Purpose::PasswordReset, now)?;
    let (organization, user) = (link.organization, UserId(link.subject));
    let (state, _) = app.executor.load::<User>(organization, user).await?;
    let commands = Commands::new().on::<User>(user, Command::ResetPassword { request: link.generation, now });
    let own = own_words(&state);
    take_up(&app, &client, &link, (&password, &own), &commands, Rejection::LinkReplaced).await
}

/// Send a user a link to set another password.
///
/// Their password stays as it is until they use it. Needs `users:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/users/{user}/reset-password", tag = "passwords",
    operation_id = "reset_password",
    params(("org" = String, Path), ("user" = String, Path), CommandParameters),
    request_body = Nothing, responses((status = 200, body = CommandResult)))]
pub(crate) async fn reset_password(
    State(app): State<App>,
    Path((_, user)): Path<(String, String)>,
    request: CommandRequest<WriteUsers, Nothing>,
) -> Result<CommandResult, Problem> {
    let now = Timestamp::now();
    change(&app, &user, &request, Command::RequestPasswordReset { now, expires_at: now + PASSWORD_RESET }).await
}

/// Let a user try to sign in again.
///
/// After so many failures that only devices are looked at that signed in before. A reset of the password does the same.
/// Needs `users:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/users/{user}/unlock", tag = "passwords",
    operation_id = "unlock_user",
    params(("org" = String, Path), ("user" = String, Path), CommandParameters),
    request_body = Nothing, responses((status = 200, body = CommandResult)))]
pub(crate) async fn unlock_user(
    State(app): State<App>,
    Path((_, user)): Path<(String, String)>,
    request: CommandRequest<WriteUsers, Nothing>,
) -> Result<CommandResult, Problem> {
    let (state, _) = app.executor.load::<User>(request.caller.organization, user_in(&user)?).await?;
    change(&app, &user, &request, Command::Unlock { unlocks: state.unlocks() }).await
}

/// Change one's own password.
///
/// All sessions but this one end. Whoever does not know the current password is rejected.
#[utoipa::path(post, path = "/v1/me/password", tag = "passwords", operation_id = "change_password",
    params(CommandParameters), request_body = PasswordChange, responses((status = 200, body = CommandResult)))]
pub(crate) async fn change_password(
    State(app): State<App>,
    request: CommandRequest<SignedIn, PasswordChange>,
) -> Result<CommandResult, Problem> {
    request.must_be_real()?;
    let (organization, user) = (request.caller.organization, request.caller.caller.user);
    let PasswordChange { current_password, new_password } = &request.body;
    let (state, _) = app.executor.load::<User>(organization, user).await?;
    let own = own_words(&state);
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let new = NewPassword::new(new_password, &own);
    let new = new.map_err(|it| Problem::invalid("/new_password", it.to_string()))?;
    let subject = stream_of::<User>(organization, user)?;
    prove(&app, &request, current_password).await?;
    let secret = app.passwords.secret(organization, user, new).await?;
    let with_secret = |mut request: execute::Request| {
        request.secrets.push(secret.clone());
        request
    };
    let command =
        Command::ChangePassword { session_epoch: state.session_epoch(), keeping: request.caller.caller.session() };
    let done = request.execute(&app, &subject, &Commands::new().on::<User>(user, command), with_secret).await?;
    if done.events.is_empty() && !done.repeated {
        // The password was changed elsewhere at this very moment.
        return Err(Problem::outdated());
    }
    CommandResult::of(&app, done, &subject, request.dry_run).await
}

/// That whoever asks knows the password of the account: a session alone may be stolen.
///
/// # Errors
/// If they do not.
pub(super) async fn prove<R: Permission, B>(
    app: &App,
    request: &CommandRequest<R, B>,
    password: &str,
) -> Result<(), Problem> {
    let caller = &request.caller.caller;
    // Whoever is signed in is known, but may be a thief.
    let trying = app.attempts.by(&caller.user.to_string(), None, request.caller.ip());
    if let Look::After(pause) = app.attempts.begin(trying, true, 0, Timestamp::now()) {
        return Err(SignInError::TooOften(pause.as_secs() as u32 + 1).into());
    }
    let looked_at = app.passwords.is_right(Some((caller.organization, caller.user)), password).await;
    match looked_at.inspect_err(|_| app.attempts.withdraw(trying))? {
        true => {
            app.attempts.succeeded(trying);
            Ok(())
        }
        false => Err(Problem::new(StatusCode::FORBIDDEN, "wrong-password", "the current password is another one")),
    }
}
