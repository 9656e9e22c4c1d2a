//! Passwords: reset with a link, or changed with the current one.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use porttask_app::identity::{
    attempts::Look,
    links::{PASSWORD_RESET, Purpose},
    locks::record_lock,
    password_resets::Forgetful,
    passwords::{NewPassword, WeakPassword},
    sign_in::{ABOVE_CEILING, SignInError},
};
use porttask_domain::{
    ApiKeyId, OrganizationId, UserId,
    identity::{
        ApiKey, Session, User, api_key, session,
        user::{Command, Rejection},
    },
};
use porttask_runtime::execute::{self, Tx, stream_of};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::link::{Account, own_words, read, redeem, request_of};
use crate::http::{
    app::App,
    document::tagged,
    permissions::{Permission, SignedIn, WriteUsers},
    problem::Problem,
    request::{Body, Client, CommandParameters, CommandRequest, EmptyBody, Id},
    response::CommandResult,
};

/// The routes of passwords.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("passwords", "Changing and resetting passwords.")
        .routes(routes!(request_password_reset))
        .routes(routes!(complete_password_reset))
        .routes(routes!(reset_password))
        .routes(routes!(change_password))
        .routes(routes!(unlock_user))
}

/// An account whose password was lost.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordResetRequest {
    #[schema(example = "ana@acme.example")]
    email: String,
    /// The id or the domain of an organization; without it, every account with the email address receives an email.
    #[schema(example = "acme.example")]
    organization: Option<String>,
}

/// The request was accepted, whether the account exists or not.
#[derive(Serialize, ToSchema)]
pub(crate) struct Accepted {
    #[schema(example = "If such an account exists, an email with a link is sent to it.")]
    detail: &'static str,
}

/// A new password, set with a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordReset {
    /// What follows `#token=` in the link, or the line below the link in the email.
    #[schema(example = "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    token: String,
    /// At least 12 characters.
    #[schema(format = Password, min_length = 12, max_length = 128)]
    password: String,
    /// Also revoke all API keys that the user owns: for a password that another person knew.
    #[serde(default)]
    revoke_api_keys: bool,
    /// Also sign in: the response has a session.
    #[serde(default)]
    sign_in: bool,
}

/// The account whose password was reset.
#[derive(Serialize, ToSchema)]
pub(crate) struct ResetAccount {
    #[serde(flatten)]
    account: Account,
    /// The API keys of the user that were accepted at the time.
    api_keys: Vec<OwnedKey>,
    /// Whether these keys were revoked; otherwise they still work.
    api_keys_revoked: bool,
}

/// An API key of the user.
#[derive(Serialize, ToSchema)]
pub(crate) struct OwnedKey {
    id: ApiKeyId,
    /// Null once it was erased.
    name: Option<String>,
}

impl IntoResponse for ResetAccount {
    fn into_response(self) -> Response {
        (self.account.headers(), Json(self)).into_response()
    }
}

/// A new password, set with the current one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordChange {
    #[schema(format = Password)]
    current_password: String,
    /// At least 12 characters.
    #[schema(format = Password, min_length = 12, max_length = 128, example = "sextant over the harbour")]
    new_password: String,
}

/// Request a link to reset a password.
///
/// The response is the same whether such an account exists or not. The link is sent by email and valid for an hour, until
/// one of the links is used. A second request within five minutes sends no email.
#[utoipa::path(post, path = "/v1/password-resets", tag = "passwords", security(()),
    request_body = PasswordResetRequest, responses((status = 202, body = Accepted)))]
pub(crate) async fn request_password_reset(
    State(app): State<App>,
    client: Client,
    Body(PasswordResetRequest { email, organization }): Body<PasswordResetRequest>,
) -> Response {
    let (ip, user_agent, request_id) = (client.ip.map(|ip| ip.to_string()), client.user_agent, Some(client.request_id));
    app.password_resets.take(Forgetful { email, organization, ip, user_agent, request_id }, app.clock.now());
    let detail = "If such an account exists, an email with a link is sent to it.";
    (StatusCode::ACCEPTED, Json(Accepted { detail })).into_response()
}

/// Reset a password with a link.
///
/// All sessions of the account end: sign in with the new password, or have `sign_in` do it. A link can be used once. The API keys of the user
/// keep working, unless the request revokes them: the response lists them.
#[utoipa::path(post, path = "/v1/password-resets/complete", tag = "passwords", security(()),
    request_body = PasswordReset, responses((status = 200, body = ResetAccount)))]
pub(crate) async fn complete_password_reset(
    State(app): State<App>,
    client: Client,
    Body(PasswordReset { token, password, revoke_api_keys, sign_in }): Body<PasswordReset>,
) -> Result<ResetAccount, Problem> {
    let now = app.clock.now();
    let link = read(&app, &token, Purpose::PasswordReset, now)?;
    let user = UserId(link.subject);
    let (state, _) = app.executor.load::<User>(link.organization, user).await?;
    let commands = [Command::ResetPassword { request: link.generation, now }];
    let own = own_words(&app, link.organization, &state).await?;
    let account = redeem(&app, &client, &link, (&password, &own), &commands, Rejection::LinkReplaced).await?;
    let request = request_of(&client, &link);
    let (api_keys, api_keys_revoked) = keys_of(&app, (link.organization, user), revoke_api_keys, &request).await?;
    let account = if sign_in { account.signed_in(&app, &client).await } else { account };
    Ok(ResetAccount { account, api_keys, api_keys_revoked })
}

/// The keys of a user, after the end of all sessions, in which no more can be created; revoked if requested.
async fn keys_of(
    app: &App,
    (organization, user): (OrganizationId, UserId),
    revoke: bool,
    request: &execute::Request,
) -> Result<(Vec<OwnedKey>, bool), Problem> {
    let keys = app.accounts.api_keys(organization, user, app.clock.now()).await;
    let keys = keys.map_err(|error| Problem::unavailable(&error))?;
    for key in keys.iter().filter(|_| revoke) {
        app.executor.execute::<ApiKey>(key.key, api_key::Command::Revoke, request).await?;
    }
    let revoked = revoke && !keys.is_empty();
    Ok((keys.into_iter().map(|key| OwnedKey { id: key.key, name: key.name }).collect(), revoked))
}

/// Send a user a link to reset the password.
///
/// The password stays as it is until the link is used. Needs `users:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/users/{user}/reset-password", tag = "passwords",
    params(CommandParameters), request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn reset_password(
    State(app): State<App>,
    user: Id<User>,
    request: CommandRequest<WriteUsers, EmptyBody>,
) -> Result<CommandResult, Problem> {
    let now = app.clock.now();
    let command = Command::RequestPasswordReset { now, expires_at: now + PASSWORD_RESET };
    request.change::<User>(&app, &user, command).await
}

/// Unlock a user.
///
/// After too many failed attempts, users can sign in only on devices that they have used before. This ends the
/// restriction, as does a password reset. Needs `users:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/users/{user}/unlock", tag = "passwords",
    params(CommandParameters), request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn unlock_user(
    State(app): State<App>,
    user: Id<User>,
    request: CommandRequest<WriteUsers, EmptyBody>,
) -> Result<CommandResult, Problem> {
    let (state, _) = app.executor.load::<User>(request.caller.organization, user.get()?).await?;
    request.change::<User>(&app, &user, Command::Unlock { unlocks: state.unlocks() }).await
}

/// Change the current user's password.
///
/// All other sessions end. Requires the current password.
#[utoipa::path(post, path = "/v1/me/password", tag = "passwords",
    request_body = PasswordChange, responses((status = 200, body = CommandResult)))]
pub(crate) async fn change_password(
    State(app): State<App>,
    request: CommandRequest<SignedIn, PasswordChange>,
) -> Result<CommandResult, Problem> {
    request.must_be_real()?;
    let (organization, user) = (request.caller.organization, request.caller.identity.user);
    let (state, _) = app.executor.load::<User>(organization, user).await?;
    let new = new_password(&app, organization, &request.body, &state).await?;
    prove(&app, &request, &request.body.current_password).await?;
    let secret = &app.passwords.secret(organization, user, new).await?;
    let (session_epoch, keeping) = (state.session_epoch(), request.caller.identity.session());
    let subject = stream_of::<User>(organization, user)?;
    let work = move |tx: Tx| async move {
        tx.secret(secret.clone());
        Ok(tx.decide::<User>(user, &Command::ChangePassword { session_epoch, keeping }).await?)
    };
    let outcome = request.transact(&app, &subject, work).await?;
    // The password was changed concurrently.
    if outcome.events.is_empty() && !outcome.repeated { Err(Problem::outdated()) } else { Ok(()) }?;
    CommandResult::of(&app, &outcome, (&subject, request.viewer()), request.dry_run).await
}

async fn new_password(
    app: &App,
    organization: OrganizationId,
    change: &PasswordChange,
    user: &User,
) -> Result<NewPassword, Problem> {
    let own = own_words(app, organization, user).await?;
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let invalid = |it: WeakPassword| Problem::invalid("/new_password", it.to_string());
    let new = NewPassword::new(&change.new_password, &own).map_err(invalid)?;
    if new.is(&change.current_password) { Err(invalid(WeakPassword::Current)) } else { Ok(new) }
}

/// Checks that the caller knows the password of the account: a session alone may be stolen.
///
/// # Errors
/// If the password is wrong, or there were too many attempts.
pub(super) async fn prove<P: Permission, B>(
    app: &App,
    request: &CommandRequest<P, B>,
    password: &str,
) -> Result<(), Problem> {
    let caller = &request.caller.identity;
    // The session may be stolen, so attempts are limited, and the session ends after too many.
    let trying = app.attempts.by(&caller.user.to_string(), None, request.caller.ip());
    let (state, _) = app.executor.load::<User>(caller.organization, caller.user).await?;
    match app.attempts.begin_in_session(trying, state.unlocks(), app.clock.now()).await {
        Look::Yes => {}
        Look::OnlyKnownDevices => {
            let (account, until) = ((caller.organization, caller.user), app.attempts.locked_until(trying));
            record_lock(&app.executor, account, &state, until, request.caller.meta.request_id.clone());
            return Err(SignInError::TooOften(ABOVE_CEILING).into());
        }
        Look::After(pause) => return Err(SignInError::TooOften(pause.as_secs() as u32 + 1).into()),
    }
    let looked_at = app.passwords.is_right(Some((caller.organization, caller.user)), password).await;
    match looked_at.inspect_err(|_| app.attempts.withdraw(trying))? {
        true => {
            app.attempts.succeeded(trying);
            caller.session().into_iter().for_each(|session| app.attempts.right_in_session(session.0));
            Ok(())
        }
        false => Err(wrong_password(app, request).await?),
    }
}

/// The problem of a wrong password. The session ends if there were too many.
async fn wrong_password<P: Permission, B>(app: &App, request: &CommandRequest<P, B>) -> Result<Problem, Problem> {
    let session = request.caller.session()?;
    let mut detail = "The current password is incorrect.";
    if app.attempts.wrong_in_session(session.0, app.clock.now()).await {
        let end = execute::Request::new(request.caller.organization, request.caller.meta.clone());
        app.executor.execute::<Session>(session, session::Command::EndAfterWrongPasswords, &end).await?;
        detail = "The current password is incorrect. The session has ended after too many wrong passwords.";
    }
    Ok(Problem::new(StatusCode::FORBIDDEN, "wrong-password", detail))
}
