//! The current user's account.

use axum::{Json, extract::State};
use porttask_app::identity::links::{ADDRESS_CHANGE, Purpose};
use porttask_domain::{
    OrganizationId, PersonName, UserId,
    identity::{
        EmailAddress, Permissions, Role, User,
        settings::{KnownLocale, Locale, ZoneName},
        user::{Command, Rejection},
    },
};
use porttask_projections::{ColumnType, identity::user as view};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    link::{Account, read, request_of},
    password::prove,
    user::UserResponse,
};
use crate::http::{
    app::App,
    document::tagged,
    permissions::{Impersonable, SignedIn, held},
    problem::Problem,
    request::{Authorized, Body, Client, CommandParameters, CommandRequest, Id, Resource, not_null, nullable},
    response::CommandResult,
};

/// The routes of the current user's account.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("me", "The account of the current user.")
        .routes(routes!(get_me, change_me))
        .routes(routes!(get_my_permissions))
        .routes(routes!(change_my_address))
        .routes(routes!(confirm_address))
        .routes(routes!(cancel_address_change))
}

/// The permissions of the current user.
#[derive(Serialize, ToSchema)]
pub(crate) struct MyPermissions {
    organization: OrganizationId,
    user: UserId,
    /// The role, which is the upper limit.
    role: Role,
    /// The permissions within the role.
    permissions: Permissions,
    /// The resulting permissions as `resource:action`, as operations name them.
    #[schema(value_type = Vec<String>, example = json!(["users:read", "users:write"]))]
    rights: Vec<&'static str>,
}

/// A change of the current user's account: a JSON merge patch (RFC 7396).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MePatch {
    /// The full name.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, example = "Ana Souza Lima", max_length = 200)]
    name: Option<String>,
    /// The language of emails; null means the organization's.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Locale>)]
    locale: Option<Option<KnownLocale>>,
    /// The time zone in which times are shown: its name in the IANA database. Null means that of the browser.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, example = "America/Sao_Paulo")]
    time_zone: Option<Option<String>>,
}

/// A new email address for the current user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAddress {
    #[schema(example = "ana@lima.example")]
    email: String,
    #[schema(format = Password)]
    current_password: String,
}

/// The link that confirms or cancels a change of an email address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Confirmation {
    /// What follows `#token=` in the link, or the line below the link in the email.
    #[schema(example = "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    token: String,
}

/// Get the current user.
///
/// With the same fields as in the listing for admins.
#[utoipa::path(get, path = "/v1/me", tag = "me", extensions(("x-impersonable" = json!(true))),
    responses((status = 200, body = UserResponse)))]
pub(crate) async fn get_me(
    State(app): State<App>,
    caller: Authorized<Impersonable<SignedIn>>,
) -> Result<Resource<UserResponse>, Problem> {
    let user = caller.identity.user.to_value();
    caller.get::<view::Users>(&app, &[user], Id::<User>::not_found).await
}

/// Get the current user's permissions.
///
/// As of this moment: a change of role or permissions takes effect at once.
#[utoipa::path(get, path = "/v1/me/permissions", tag = "me", extensions(("x-impersonable" = json!(true))),
    responses((status = 200, body = MyPermissions)))]
pub(crate) async fn get_my_permissions(caller: Authorized<Impersonable<SignedIn>>) -> Json<MyPermissions> {
    let rights = held(&caller.identity, caller.organization);
    let caller = caller.identity;
    let (organization, user, role, permissions) = (caller.organization, caller.user, caller.role, caller.permissions);
    Json(MyPermissions { organization, user, role, permissions, rights })
}

/// Change the current user's name, language of emails and time zone.
///
/// The email address is changed at `/v1/me/address`; admins change role and permissions.
#[utoipa::path(patch, path = "/v1/me", tag = "me", params(CommandParameters),
    request_body(content = MePatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn change_me(
    State(app): State<App>,
    request: CommandRequest<SignedIn, MePatch>,
) -> Result<CommandResult, Problem> {
    let (user, MePatch { name, locale, time_zone }) = (request.caller.identity.user, &request.body);
    let mut commands = Vec::new();
    if let Some(name) = name {
        let name = PersonName::new(name).map_err(|it| Problem::invalid("/name", it.to_string()))?;
        commands.push(Command::Rename { name });
    }
    if let Some(locale) = locale {
        commands.push(Command::ChangeLocale { locale: locale.clone().map(|KnownLocale(locale)| locale) });
    }
    if let Some(named) = time_zone {
        let zone = named.as_deref().map(str::parse::<ZoneName>).transpose();
        let time_zone = zone.map_err(|it| Problem::invalid("/time_zone", it.to_string()))?;
        commands.push(Command::ChangeTimeZone { time_zone });
    }
    request.change_all::<User>(&app, user, &commands).await
}

/// Request a change of the current user's email address.
///
/// A link is sent to the new address. Once it is confirmed, emails go there and it is used to sign in; until then
/// nothing changes. The present address receives a notice with a link that cancels the change. Both links are valid for
/// a day; at most five addresses can be requested per day. A new password, and the end of all sessions, cancel it too.
#[utoipa::path(post, path = "/v1/me/address", tag = "me", request_body = NewAddress,
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn change_my_address(
    State(app): State<App>,
    request: CommandRequest<SignedIn, NewAddress>,
) -> Result<CommandResult, Problem> {
    request.must_be_real()?;
    let NewAddress { email, current_password } = &request.body;
    let email = EmailAddress::new(email).map_err(|it| Problem::invalid("/email", it.to_string()))?;
    prove(&app, &request, current_password).await?;
    let (user, expires_at) = (Id::known(request.caller.identity.user), app.clock.now() + ADDRESS_CHANGE);
    request.change::<User>(&app, &user, Command::RequestAddressChange { email, expires_at }).await
}

/// Confirm the new email address of an account.
///
/// Requires the link that was sent there, which can be used once. The former address is notified.
#[utoipa::path(post, path = "/v1/address-changes/confirm", tag = "me", security(()), request_body = Confirmation,
    responses((status = 200, body = Account)))]
pub(crate) async fn confirm_address(
    State(app): State<App>,
    client: Client,
    Body(Confirmation { token }): Body<Confirmation>,
) -> Result<Account, Problem> {
    let now = app.clock.now();
    let link = read(&app, &token, Purpose::AddressChange, now)?;
    let command = Command::ConfirmAddress { request: link.generation, now };
    let outcome = app.executor.execute::<User>(UserId(link.subject), command, &request_of(&client, &link)).await?;
    Account::of(&app, &link, &outcome, Rejection::LinkReplaced)
}

/// Cancel a pending change of an email address.
///
/// Requires the link that the present address received when the change was requested. The account does not change.
#[utoipa::path(post, path = "/v1/address-changes/cancel", tag = "me", security(()), request_body = Confirmation,
    responses((status = 200, body = Account)))]
pub(crate) async fn cancel_address_change(
    State(app): State<App>,
    client: Client,
    Body(Confirmation { token }): Body<Confirmation>,
) -> Result<Account, Problem> {
    let now = app.clock.now();
    let link = read(&app, &token, Purpose::AddressChangeCancellation, now)?;
    let command = Command::CancelAddressChange { request: link.generation, now };
    let outcome = app.executor.execute::<User>(UserId(link.subject), command, &request_of(&client, &link)).await?;
    Account::of(&app, &link, &outcome, Rejection::LinkReplaced)
}
