//! API keys: made, rotated, revoked, adopted.

pub(crate) mod listing;

use std::collections::BTreeSet;

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use porttask_app::identity::access::{Access, Token};
use porttask_domain::{
    ApiKeyId, OrganizationId,
    identity::{
        ApiKey, Organization, Permissions,
        api_key::{API_KEYS, Command, Grant, KeyName, KeyScope, LONGEST_OVERLAP, Rejection},
    },
};
use porttask_runtime::execute::{self, Commands, stream_of};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::schema;
use crate::http::document::tagged;
use crate::http::{
    app::App,
    permissions::{Permission, WriteKeys},
    problem::Problem,
    request::{Authorized, CommandParameters, CommandRequest, Nothing},
    response::{CommandResult, place_of},
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("API keys", "Keys by which programs work in the name of people.")
        .routes(routes!(create_api_key, listing::list_api_keys))
        .routes(routes!(listing::get_api_key))
        .routes(routes!(rotate_api_key))
        .routes(routes!(revoke_api_key))
        .routes(routes!(adopt_api_key))
}

/// How many keys an organization has at most.
const MOST: i64 = 100;
/// How long the former secret of a rotated key is accepted unless it is said.
const OVERLAP_HOURS: u32 = 24;

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewApiKey {
    /// What it is for.
    #[schema(example = "harbour robot", max_length = 100)]
    name: String,
    /// What it may at most, in an organization; without it, all that its owner may.
    #[schema(value_type = Option<schema::Permissions>)]
    permissions: Option<Permissions>,
    /// What it may, in all organizations: only keys of the platform have scopes, and need them.
    #[schema(value_type = Option<Vec<schema::KeyScope>>)]
    scopes: Option<BTreeSet<KeyScope>>,
    /// Addresses or networks from which alone it is accepted; without any, it is accepted from everywhere.
    #[serde(default)]
    #[schema(example = json!(["203.0.113.0/24"]), max_items = 50)]
    networks: Vec<String>,
    /// When it ends; without it, it lasts until it is revoked.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// How a key is rotated.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rotation {
    /// For how many hours the former secret is accepted, too: 0 to 168, otherwise 24.
    #[schema(minimum = 0, maximum = 168)]
    overlap_hours: Option<u32>,
}

/// A key with its secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyWithSecret {
    #[serde(flatten)]
    changed: CommandResult,
    /// Send it as `Authorization: Bearer ptk_…`. It is shown once: null in the answer to a repetition.
    token: Option<String>,
}

/// Make an API key.
///
/// It works in the name of whoever makes it, and never may more than they may at that moment. Keys are made at home: staff
/// of the platform makes none for others. Needs `api_keys:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/api-keys", tag = "API keys", operation_id = "create_api_key",
    params(("org" = String, Path), CommandParameters), request_body = NewApiKey,
    responses((status = 201, body = KeyWithSecret)))]
pub(crate) async fn create_api_key(
    State(app): State<App>,
    mut request: CommandRequest<WriteKeys, NewApiKey>,
) -> Result<Response, Problem> {
    request.must_be_real()?;
    must_be_at_home(&request.caller)?;
    let (organization, owner, now) = (request.caller.organization, request.caller.caller.user, Timestamp::now());
    must_have_keys(&app, organization).await?;
    let NewApiKey { name, permissions, scopes, networks, expires_at } = &request.body;
    let name = KeyName::new(name).map_err(|it| Problem::invalid("/name", it.to_string()))?;
    let networks = networks.iter().enumerate().map(|(place, text)| network(place, text)).collect::<Result<_, _>>()?;
    let expires_at = *expires_at;
    let grant = match (scopes.clone(), *permissions) {
        (Some(scopes), None) => Grant::Scopes(scopes),
        (None, permissions) => Grant::Permissions(permissions.unwrap_or(request.caller.caller.permissions)),
        (Some(_), Some(_)) => return Err(Problem::invalid("", "say permissions or scopes, not both")),
    };
    if let Grant::Permissions(permissions) = grant {
        request.caller.grant(permissions)?;
    }
    let key: ApiKeyId = request.new_id(&app);
    let create = Command::Create { organization, owner, name, grant, networks, now, expires_at };
    let (token, secret) = Access::key_secret(organization, key, 1)?;
    let limited = |mut request: execute::Request| {
        request.secrets.push(secret.clone());
        request.limits.push((API_KEYS, MOST));
        request
    };
    let subject = stream_of::<ApiKey>(organization, key)?;
    let done = request.execute(&app, &subject, &Commands::new().on_new::<ApiKey>(key, create), limited).await?;
    let is_new = !done.events.is_empty();
    let changed = CommandResult::of(&app, done, &subject, false).await?;
    let (status, place) = (changed.status(), format!("{}/api-keys/{key}", place_of(organization)));
    let mut response = (status, with_secret(&app, changed, token, is_new)).into_response();
    if let (StatusCode::CREATED, Ok(place)) = (status, HeaderValue::from_str(&place)) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// Give an API key another secret.
///
/// Both are accepted for a while, so that programs can change over. Needs `api_keys:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/api-keys/{key}/rotate", tag = "API keys",
    operation_id = "rotate_api_key", params(("org" = String, Path), ("key" = String, Path), CommandParameters),
    request_body = Rotation, responses((status = 200, body = KeyWithSecret)))]
pub(crate) async fn rotate_api_key(
    State(app): State<App>,
    Path((_, key)): Path<(String, String)>,
    request: CommandRequest<WriteKeys, Rotation>,
) -> Result<KeyWithSecret, Problem> {
    request.must_be_real()?;
    must_be_at_home(&request.caller)?;
    let (organization, key, now) = (request.caller.organization, key_in(&key)?, Timestamp::now());
    let hours = i64::from(request.body.overlap_hours.unwrap_or(OVERLAP_HOURS));
    if hours > LONGEST_OVERLAP.as_hours() {
        return Err(execute::Rejected::from(Rejection::LongOverlap).into());
    }
    let (state, _) = app.executor.load::<ApiKey>(organization, key).await?;
    let generation = state.generation().ok_or_else(|| Problem::not_found("api-key"))? + 1;
    let former_until = now + SignedDuration::from_hours(hours);
    let (token, secret) = Access::key_secret(organization, key, generation)?;
    let secretly = |mut request: execute::Request| {
        request.secrets.push(secret.clone());
        request
    };
    let subject = stream_of::<ApiKey>(organization, key)?;
    let rotate = Command::Rotate { generation, now, former_until };
    let done = request.execute(&app, &subject, &Commands::new().on::<ApiKey>(key, rotate), secretly).await?;
    let is_new = !done.events.is_empty();
    if !is_new && !done.repeated {
        // It was rotated elsewhere at this very moment: only they have its secret.
        return Err(Problem::outdated());
    }
    Ok(with_secret(&app, CommandResult::of(&app, done, &subject, false).await?, token, is_new))
}

/// End an API key for good.
///
/// Holds on its next request. Needs `api_keys:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/api-keys/{key}/revoke", tag = "API keys",
    operation_id = "revoke_api_key", params(("org" = String, Path), ("key" = String, Path), CommandParameters),
    request_body = Nothing, responses((status = 200, body = CommandResult)))]
pub(crate) async fn revoke_api_key(
    State(app): State<App>,
    Path((_, key)): Path<(String, String)>,
    request: CommandRequest<WriteKeys, Nothing>,
) -> Result<CommandResult, Problem> {
    change(&app, &key, &request, Command::Revoke).await
}

/// Let an API key work in one's own name.
///
/// For a key whose owner goes or is gone: it goes on, and never may more than whoever adopts it. Needs `api_keys:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/api-keys/{key}/adopt", tag = "API keys",
    operation_id = "adopt_api_key", params(("org" = String, Path), ("key" = String, Path), CommandParameters),
    request_body = Nothing, responses((status = 200, body = CommandResult)))]
pub(crate) async fn adopt_api_key(
    State(app): State<App>,
    Path((_, key)): Path<(String, String)>,
    mut request: CommandRequest<WriteKeys, Nothing>,
) -> Result<CommandResult, Problem> {
    must_be_at_home(&request.caller)?;
    let (state, _) = app.executor.load::<ApiKey>(request.caller.organization, key_in(&key)?).await?;
    if let Some(Grant::Permissions(permissions)) = state.grant() {
        request.caller.grant(*permissions)?;
    }
    let caller = request.caller.caller.user;
    change(&app, &key, &request, Command::Adopt { by: caller }).await
}

async fn change<B>(
    app: &App,
    key: &str,
    request: &CommandRequest<WriteKeys, B>,
    command: Command,
) -> Result<CommandResult, Problem> {
    let (organization, key) = (request.caller.organization, key_in(key)?);
    let subject = stream_of::<ApiKey>(organization, key)?;
    let done = request.execute(app, &subject, &Commands::new().on::<ApiKey>(key, command), |it| it).await?;
    CommandResult::of(app, done, &subject, request.dry_run).await
}

/// A secret is for those alone in whose organization the key is.
fn must_be_at_home<R: Permission>(caller: &Authorized<R>) -> Result<(), Problem> {
    match caller.caller.organization == caller.organization {
        true => Ok(()),
        false => {
            let detail = "only the users of an organization make, rotate and adopt its keys";
            Err(Problem::new(StatusCode::FORBIDDEN, "keys-are-made-at-home", detail))
        }
    }
}

async fn must_have_keys(app: &App, organization: OrganizationId) -> Result<(), Problem> {
    if organization == OrganizationId::PLATFORM {
        return Ok(());
    }
    let (state, _) = app.executor.load::<Organization>(organization, organization).await?;
    match state.has_api_keys() {
        true => Ok(()),
        false => Err(Problem::new(StatusCode::FORBIDDEN, "plan-without-api-keys", "your plan has no API keys")),
    }
}

fn network(place: usize, text: &str) -> Result<IpNet, Problem> {
    let address = text.parse::<std::net::IpAddr>().map(|address| IpNet::from(address.to_canonical()));
    let network = address.or_else(|_| text.parse::<IpNet>().map(|network| network.trunc()));
    let wrong = |_| Problem::invalid(format!("/networks/{place}"), "must be an address or a network: 203.0.113.0/24");
    network.map_err(wrong)
}

/// The id in a path. Whatever is no id names no key.
fn key_in(path: &str) -> Result<ApiKeyId, Problem> {
    path.parse().map_err(|_| Problem::not_found("api-key"))
}

fn with_secret(app: &App, changed: CommandResult, token: Token, is_new: bool) -> KeyWithSecret {
    let token = is_new.then(|| token.reveal());
    if let Some(token) = &token {
        app.limits.know(token);
    }
    KeyWithSecret { changed, token }
}

impl IntoResponse for KeyWithSecret {
    fn into_response(self) -> Response {
        (self.changed.headers(), Json(self)).into_response()
    }
}
