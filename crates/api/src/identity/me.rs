//! One's own account: who one is and what one may; name and address.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use porttask_app::identity::links::{ADDRESS_CHANGE, Purpose};
use porttask_domain::{
    Actor, Meta, OrganizationId, PersonName, UserId,
    identity::{
        EmailAddress, Permissions, Role, User,
        settings::Locale,
        user::{Command, Rejection},
    },
};
use porttask_projections::{ReadModel, identity::user as view};
use porttask_runtime::execute::{Commands, Request};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    invitation::{Account, read},
    password::prove,
    schema,
    user::{self, Shown},
};
use crate::http::document::tagged;
use crate::http::{
    app::App,
    permissions::{self, Impersonable, SignedIn},
    problem::Problem,
    request::{Authorized, Body, Client, CommandParameters, CommandRequest},
    response::{CommandResult, etag},
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("me", "One's own account.")
        .routes(routes!(get_me, change_me))
        .routes(routes!(get_my_permissions))
        .routes(routes!(change_my_address))
        .routes(routes!(confirm_address))
}

/// What somebody may do.
#[derive(Serialize, ToSchema)]
pub(crate) struct Rights {
    #[schema(value_type = String)]
    organization: OrganizationId,
    #[schema(value_type = String)]
    user: UserId,
    /// The ceiling.
    #[schema(value_type = schema::Role)]
    role: Role,
    /// How far it is narrowed.
    #[schema(value_type = schema::Permissions)]
    permissions: Permissions,
    /// The rights that follow, each `resource:action`: those that operations name as what they need.
    #[schema(value_type = Vec<String>, example = json!(["users:read", "users:write"]))]
    rights: Vec<&'static str>,
}

/// What is to be changed of one's own account: a JSON merge patch (RFC 7396).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MePatch {
    /// One's full name.
    #[schema(example = "Ana Souza Lima", max_length = 200)]
    name: Option<String>,
    /// In which language one wants mail; null is that of the organization.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<String>, example = "pt-BR")]
    locale: Option<Option<Locale>>,
}

/// What is said, were it that there is none.
fn said<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Another address for one's own account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAddress {
    #[schema(example = "ana@lima.example")]
    email: String,
    #[schema(format = Password)]
    current_password: String,
}

/// An address that is confirmed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Confirmation {
    /// What follows `#token=` in the link.
    token: String,
}

/// Show one's own account.
///
/// As it is listed to admins.
#[utoipa::path(get, path = "/v1/me", tag = "me", operation_id = "get_me", extensions(("x-impersonable" = json!(true))), responses((status = 200, body = Shown)))]
pub(crate) async fn get_me(
    State(app): State<App>,
    caller: Authorized<Impersonable<SignedIn>>,
) -> Result<Response, Problem> {
    caller.catch_up(&app, view::Users::NAME).await?;
    let row = user::row(&app, &caller, caller.caller.user).await?.ok_or_else(|| Problem::not_found("user"))?;
    let headers: HeaderMap = etag(row.version).map(|tag| (header::ETAG, tag)).into_iter().collect();
    Ok((headers, Json(Shown::from(row))).into_response())
}

/// Show what one may do.
///
/// As it holds at this moment: a change of role or permissions shows at once.
#[utoipa::path(get, path = "/v1/me/permissions", tag = "me", operation_id = "get_my_permissions", extensions(("x-impersonable" = json!(true))),
    responses((status = 200, body = Rights)))]
pub(crate) async fn get_my_permissions(caller: Authorized<Impersonable<SignedIn>>) -> Json<Rights> {
    let rights = permissions::held(&caller.caller, caller.organization);
    let caller = caller.caller;
    let (organization, user, role, permissions) = (caller.organization, caller.user, caller.role, caller.permissions);
    Json(Rights { organization, user, role, permissions, rights })
}

/// Change one's own name, and the language of one's mail.
///
/// The address is changed at `/v1/me/address`; role and permissions are an admin's business.
#[utoipa::path(patch, path = "/v1/me", tag = "me", operation_id = "change_me", params(CommandParameters),
    request_body(content = MePatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn change_me(
    State(app): State<App>,
    request: CommandRequest<SignedIn, MePatch>,
) -> Result<CommandResult, Problem> {
    let (organization, user) = (request.caller.organization, request.caller.caller.user);
    let MePatch { name, locale } = &request.body;
    let mut commands = Commands::new();
    if let Some(name) = name {
        let name = PersonName::new(name).map_err(|it| Problem::invalid("/name", it.to_string()))?;
        commands = commands.on::<User>(user, Command::Rename { name });
    }
    if let Some(locale) = locale {
        commands = commands.on::<User>(user, Command::ChangeLocale { locale: locale.clone() });
    }
    let subject = user::stream(organization, user)?;
    let done = request.execute(&app, &subject, &commands, |it| it).await?;
    CommandResult::of(&app, done, &subject, request.dry_run).await
}

/// Ask for another address for one's own account.
///
/// A link goes to the new address; once it is opened, mail goes there and one signs in with it. Until then nothing changes.
/// It is good for a day; five addresses can be asked for in a day.
#[utoipa::path(post, path = "/v1/me/address", tag = "me", operation_id = "change_my_address",
    params(CommandParameters), request_body = NewAddress, responses((status = 200, body = CommandResult)))]
pub(crate) async fn change_my_address(
    State(app): State<App>,
    request: CommandRequest<SignedIn, NewAddress>,
) -> Result<CommandResult, Problem> {
    request.must_be_real()?;
    let NewAddress { email, current_password } = &request.body;
    let email = EmailAddress::new(email).map_err(|it| Problem::invalid("/email", it.to_string()))?;
    prove(&app, &request, current_password).await?;
    let expires_at = Timestamp::now() + ADDRESS_CHANGE;
    let user = request.caller.caller.user.to_string();
    user::change(&app, &user, &request, Command::RequestAddressChange { email, expires_at }).await
}

/// Confirm the new address of an account.
///
/// By the link that was mailed there; it is good once. The former address is told.
#[utoipa::path(post, path = "/v1/address-changes/confirm", tag = "me", operation_id = "confirm_address",
    security(()), request_body = Confirmation, responses((status = 200, body = Account)))]
pub(crate) async fn confirm_address(
    State(app): State<App>,
    client: Client,
    Body(Confirmation { token }): Body<Confirmation>,
) -> Result<Account, Problem> {
    let now = Timestamp::now();
    let link = read(&app, &token, Purpose::AddressChange, now)?;
    let (organization, user) = (link.organization, UserId(link.subject));
    let meta = client.mark(Meta::by(Actor::User { organization, user }), user);
    let command = Command::ConfirmAddress { request: link.generation, now };
    let commands = Commands::new().on::<User>(user, command);
    let done = app.executor.execute_all(&commands, &Request::new(organization, meta)).await?;
    Account::of(&link, &done, Rejection::LinkReplaced)
}
