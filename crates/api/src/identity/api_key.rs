//! API keys, by which programs act on behalf of users.

mod response;

use std::collections::BTreeSet;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use porttask_app::identity::access::{Access, Token};
use porttask_domain::{
    OrganizationId,
    billing::{Subscription, terms::Feature},
    identity::{
        ApiKey, Permissions, PermissionsPatch,
        api_key::{API_KEYS, Command, Grant, KeyName, KeyScope, LONGEST_OVERLAP, Rejection},
    },
};
use porttask_projections::{ColumnType, identity::api_key as view};
use porttask_runtime::execute::{self, Tx, stream_of};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::response::{ApiKeyPage, ApiKeyResponse};
use crate::http::{
    app::App,
    document::tagged,
    permissions::{Impersonable, Permission, ReadKeys, WriteKeys},
    problem::Problem,
    request::{
        Authorized, CommandParameters, CommandRequest, EmptyBody, Id, List, ListParameters, Resource,
        whole_microseconds,
    },
    response::{CommandResult, created, place_of},
};

/// The routes of API keys.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("API keys", "Keys by which programs act on behalf of users.")
        .routes(routes!(create_api_key, list_api_keys))
        .routes(routes!(get_api_key))
        .routes(routes!(rotate_api_key))
        .routes(routes!(revoke_api_key))
        .routes(routes!(adopt_api_key))
}

/// Maximum number of keys of an organization.
const MAX_KEYS: i64 = 100;
/// How long the former secret of a rotated key is accepted by default.
const OVERLAP_HOURS: u32 = 24;

/// An API key to be created.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewApiKey {
    /// A name that describes the purpose of the key.
    #[schema(example = "harbour robot", max_length = 100)]
    name: String,
    /// The permissions of a key of an organization; default, also for each group that is left out: those of its owner.
    permissions: Option<PermissionsPatch>,
    /// The scopes: of a key of the platform, which needs at least one, in all organizations; of a key of an organization
    /// beside its permissions, only `operations:read` and `operations:write`.
    scopes: Option<BTreeSet<KeyScope>>,
    /// The addresses or networks from which it is accepted; if empty, it is accepted from everywhere.
    #[serde(default)]
    #[schema(example = json!(["203.0.113.0/24"]), max_items = 50)]
    networks: Vec<String>,
    /// When it expires; without it, the key is valid until it is revoked.
    expires_at: Option<Timestamp>,
}

/// How a key is rotated.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rotation {
    /// For how many hours the former secret is still accepted: 0 to 168; default 24.
    #[schema(minimum = 0, maximum = 168, example = 48)]
    overlap_hours: Option<u32>,
}

/// An API key with its secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct ApiKeyWithSecret {
    #[serde(flatten)]
    result: CommandResult,
    /// Send it as `Authorization: Bearer ptk_…`. It is shown once: null in the response to a repetition.
    token: Option<String>,
}

impl IntoResponse for ApiKeyWithSecret {
    fn into_response(self) -> Response {
        (self.result.headers(), Json(self)).into_response()
    }
}

/// List API keys.
///
/// Needs `api_keys:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/api-keys", tag = "API keys",
    extensions(("x-impersonable" = json!(true))), params(ListParameters<view::ApiKeys>),
    responses((status = 200, body = ApiKeyPage)))]
pub(crate) async fn list_api_keys(
    State(app): State<App>,
    keys: List<Impersonable<ReadKeys>, view::ApiKeys>,
) -> Result<Json<ApiKeyPage>, Problem> {
    keys.page(&app).await
}

/// Get an API key.
///
/// Its secret is not shown again. Needs `api_keys:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/api-keys/{key}", tag = "API keys",
    extensions(("x-impersonable" = json!(true))), responses((status = 200, body = ApiKeyResponse)))]
pub(crate) async fn get_api_key(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadKeys>>,
    key: Id<ApiKey>,
) -> Result<Resource<ApiKeyResponse>, Problem> {
    caller.get::<view::ApiKeys>(&app, &[key.get()?.to_value()], Id::<ApiKey>::not_found).await
}

/// Create an API key.
///
/// The key acts on behalf of its owner, the caller, and never exceeds the owner's current permissions. Only users of
/// the organization can create its keys. Needs `api_keys:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/api-keys", tag = "API keys",
    request_body = NewApiKey, responses((status = 201, body = ApiKeyWithSecret)))]
pub(crate) async fn create_api_key(
    State(app): State<App>,
    mut request: CommandRequest<WriteKeys, NewApiKey>,
) -> Result<Response, Problem> {
    request.must_be_real()?;
    must_be_own_organization(&request.caller)?;
    let create = creation(&app, &request.caller, &request.body)?;
    if let Command::Create { grant, .. } = &create {
        permissions_in(grant).map_or(Ok(()), |permissions| request.caller.grant(permissions))?;
    }
    let (organization, key) = (request.caller.organization, request.new_id(&app));
    let (token, secret) = Access::key_secret(organization, key, 1)?;
    let subject = stream_of::<ApiKey>(organization, key)?;
    let (create, secret) = (&create, &secret);
    let work = move |tx: Tx| async move {
        must_have_keys(&tx).await?;
        tx.secret(secret.clone());
        tx.limit(API_KEYS, MAX_KEYS);
        Ok(tx.decide_new::<ApiKey>(key, create).await?)
    };
    let outcome = request.transact(&app, &subject, work).await?;
    let is_new = !outcome.events.is_empty();
    let result = CommandResult::of(&app, &outcome, (&subject, request.viewer()), false).await?;
    let (status, place) = (result.status(), format!("{}/api-keys/{key}", place_of(organization)));
    Ok(created(status, &place, shown_once(&app, result, token, is_new)))
}

/// Rotate an API key: create a new secret.
///
/// Both secrets are accepted for a while, so that programs can switch. The caller needs the permissions of the key, as if
/// creating it. Needs `api_keys:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/api-keys/{key}/rotate", tag = "API keys",
    request_body = Rotation, responses((status = 200, body = ApiKeyWithSecret)))]
pub(crate) async fn rotate_api_key(
    State(app): State<App>,
    key: Id<ApiKey>,
    request: CommandRequest<WriteKeys, Rotation>,
) -> Result<ApiKeyWithSecret, Problem> {
    request.must_be_real()?;
    must_be_own_organization(&request.caller)?;
    let (organization, key, overlap) = (request.caller.organization, key.get()?, overlap(&request.body)?);
    let (state, _) = app.executor.load::<ApiKey>(organization, key).await?;
    let generation = state.generation().ok_or_else(Id::<ApiKey>::not_found)? + 1;
    let (token, secret) = Access::key_secret(organization, key, generation)?;
    let (subject, secret) = (stream_of::<ApiKey>(organization, key)?, &secret);
    let (app, caller) = (&app, &request.caller);
    let work = move |tx: Tx| async move {
        caller.may_give_access(app, &tx, permissions(&tx.read::<ApiKey>(key).await?)).await?;
        let (now, former_until) = (tx.now(), tx.now() + overlap);
        tx.secret(secret.clone());
        Ok(tx.decide::<ApiKey>(key, &Command::Rotate { generation, now, former_until }).await?)
    };
    let outcome = request.transact(app, &subject, work).await?;
    let is_new = !outcome.events.is_empty();
    // It was rotated concurrently: only the other caller has the secret.
    if !is_new && !outcome.repeated { Err(Problem::outdated()) } else { Ok(()) }?;
    Ok(shown_once(app, CommandResult::of(app, &outcome, (&subject, request.viewer()), false).await?, token, is_new))
}

/// The permissions of a key of an organization.
fn permissions(key: &ApiKey) -> Option<Permissions> {
    key.grant().and_then(permissions_in)
}

fn permissions_in(grant: &Grant) -> Option<Permissions> {
    match grant {
        Grant::Permissions(permissions) | Grant::PermissionsAndScopes { permissions, .. } => Some(*permissions),
        Grant::Scopes(_) => None,
    }
}

/// Revoke an API key for good.
///
/// Takes effect on its next request. Needs `api_keys:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/api-keys/{key}/revoke", tag = "API keys",
    params(CommandParameters), request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn revoke_api_key(
    State(app): State<App>,
    key: Id<ApiKey>,
    request: CommandRequest<WriteKeys, EmptyBody>,
) -> Result<CommandResult, Problem> {
    request.change::<ApiKey>(&app, &key, Command::Revoke).await
}

/// Adopt an API key: become its owner.
///
/// For a key whose owner leaves or has left: it continues to work, within the permissions of its new owner.
/// Needs `api_keys:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/api-keys/{key}/adopt", tag = "API keys",
    params(CommandParameters), request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn adopt_api_key(
    State(app): State<App>,
    key: Id<ApiKey>,
    request: CommandRequest<WriteKeys, EmptyBody>,
) -> Result<CommandResult, Problem> {
    must_be_own_organization(&request.caller)?;
    let (app, caller, key) = (&app, &request.caller, key.get()?);
    let work = move |tx: Tx| async move {
        caller.may_give_access(app, &tx, permissions(&tx.read::<ApiKey>(key).await?)).await?;
        Ok(tx.decide::<ApiKey>(key, &Command::Adopt { by: caller.identity.user }).await?)
    };
    request.run::<ApiKey, _>(app, key, work).await
}

/// The command that creates a key.
fn creation<P: Permission>(app: &App, caller: &Authorized<P>, body: &NewApiKey) -> Result<Command, Problem> {
    let NewApiKey { name, permissions, scopes, networks, expires_at } = body;
    let name = KeyName::new(name).map_err(|it| Problem::invalid("/name", it.to_string()))?;
    let networks = networks.iter().enumerate().map(|(index, text)| network(index, text)).collect::<Result<_, _>>()?;
    let is_of_the_platform = caller.organization == OrganizationId::PLATFORM;
    let of_owner = |patch: Option<PermissionsPatch>| patch.unwrap_or_default().or(caller.identity.permissions);
    let grant = match (scopes.clone(), *permissions) {
        (Some(_), Some(_)) if is_of_the_platform => {
            return Err(Problem::invalid("", "specify scopes only: a key of the platform has no permissions"));
        }
        (Some(scopes), None) if is_of_the_platform => Grant::Scopes(scopes),
        (Some(scopes), patch) if !scopes.is_empty() => {
            Grant::PermissionsAndScopes { permissions: of_owner(patch), scopes }
        }
        (_, patch) => Grant::Permissions(of_owner(patch)),
    };
    let (organization, owner, expires_at) =
        (caller.organization, caller.identity.user, expires_at.map(whole_microseconds));
    Ok(Command::Create { organization, owner, name, grant, networks, now: app.clock.now(), expires_at })
}

fn network(index: usize, text: &str) -> Result<IpNet, Problem> {
    let address = text.parse::<std::net::IpAddr>().map(|address| IpNet::from(address.to_canonical()));
    let network = address.or_else(|_| text.parse::<IpNet>().map(|network| network.trunc()));
    let detail = "must be an IP address or a network such as 203.0.113.0/24";
    network.map_err(|_| Problem::invalid(format!("/networks/{index}"), detail))
}

fn overlap(rotation: &Rotation) -> Result<SignedDuration, Problem> {
    let hours = i64::from(rotation.overlap_hours.unwrap_or(OVERLAP_HOURS));
    match hours > LONGEST_OVERLAP.as_hours() {
        true => Err(execute::Rejected::from(Rejection::LongOverlap).into()),
        false => Ok(SignedDuration::from_hours(hours)),
    }
}

/// Secrets are only for users of the organization.
fn must_be_own_organization<P: Permission>(caller: &Authorized<P>) -> Result<(), Problem> {
    match caller.identity.organization == caller.organization {
        true => Ok(()),
        false => {
            let detail = "Only users of an organization can create, rotate and adopt its keys.";
            Err(Problem::new(StatusCode::FORBIDDEN, "keys-are-made-at-home", detail))
        }
    }
}

async fn must_have_keys(tx: &Tx) -> Result<(), Problem> {
    let organization = tx.request().organization;
    if organization == OrganizationId::PLATFORM {
        return Ok(());
    }
    match tx.read::<Subscription>(organization.into()).await?.has(Feature::ApiKeys) {
        true => Ok(()),
        false => Err(Problem::without_feature("API keys", "Enterprise")),
    }
}

/// The token is in the response only if this request has created it.
fn shown_once(app: &App, result: CommandResult, token: Token, is_new: bool) -> ApiKeyWithSecret {
    let token = is_new.then(|| token.reveal());
    if let Some(token) = &token {
        app.limits.know(token);
    }
    ApiKeyWithSecret { result, token }
}
