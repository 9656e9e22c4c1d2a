//! What programs of licensees call, without an account.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use porttask_app::billing::licences::Presented;
use porttask_domain::{
    Actor, Meta,
    billing::{
        Licence,
        licence::{Command, LicenceId, Machine, Rejection},
    },
    identity::Capability,
};
use porttask_runtime::execute::{Rejected, Request, Tx};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{
    app::App,
    problem::Problem,
    request::{Body, Client, is_known},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(activate_licence))
        .routes(routes!(deactivate_licence))
        .routes(routes!(get_licence_keys))
        .routes(routes!(get_licence_revocations))
}

/// How long keys and revocations may be cached.
const CACHED: &str = "public, max-age=300";

/// A licence, and the machine on which it is to be used.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LicenceOnMachine {
    /// The token of the licence.
    #[schema(max_length = 16_384)]
    token: String,
    /// The SHA-256 of what identifies the machine, in base64url without padding.
    #[schema(value_type = String, min_length = 43, max_length = 43,
        example = "96cmbfi0IHk9UbklYZVdsoeSzgBXBZPUfUTZVBibNoU")]
    machine: Machine,
}

/// The activation of a licence on a machine.
#[derive(Serialize, ToSchema)]
pub(crate) struct LicenceLease {
    licence: LicenceId,
    /// The signed lease: it proves the activation without a connection until it expires.
    lease: String,
    /// Activate again before this: that renews the lease.
    expires_at: Timestamp,
}

/// The end of the activation of a licence on a machine.
#[derive(Serialize, ToSchema)]
pub(crate) struct LicenceDeactivated {
    licence: LicenceId,
    /// Whether it was activated there before.
    deactivated: bool,
}

/// The licence of a token that this service has signed, within the rate of that licence.
async fn presented(app: &App, token: &str, now: Timestamp) -> Result<Presented, Problem> {
    let presented = app.licences.presented(token, now).await?;
    let presented = presented.map_err(|invalid| {
        let slug = format!("licence-{}", invalid.slug());
        Problem::new(StatusCode::FORBIDDEN, &slug, invalid.to_string())
    })?;
    if let Err(seconds) = app.limits.spend_of_licence(presented.licence.0) {
        let detail = format!("The licence is activated too often. Retry after {seconds} s.");
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", detail).after(seconds));
    }
    Ok(presented)
}

/// A request by a program; its address belongs to the organization.
fn request_of(client: &Client, presented: Presented) -> Request {
    let meta = client.mark(Meta::by(Actor::Anonymous), presented.organization);
    Request::new(presented.organization, meta).needing(Capability::Use)
}

/// Activate a licence on a machine, or renew its lease.
///
/// Without an account: the token is enough. The same machine counts once.
#[utoipa::path(post, path = "/v1/licences/activate", tag = "licences", security(()), request_body = LicenceOnMachine,
    responses((status = 200, body = LicenceLease)))]
pub(crate) async fn activate_licence(
    State(app): State<App>,
    client: Client,
    Body(LicenceOnMachine { token, machine }): Body<LicenceOnMachine>,
) -> Result<Json<LicenceLease>, Problem> {
    let now = app.clock.now();
    let presented = presented(&app, &token, now).await?;
    let (licence, wanted) = (presented.licence, &machine);
    let work = move |tx: Tx| async move {
        let (activation, machine) = (tx.new_id(), wanted.clone());
        tx.decide::<Licence>(licence, &Command::Activate { activation, machine, now: tx.now() }).await?;
        Ok::<_, Problem>(tx.read::<Licence>(licence).await?)
    };
    let outcome = app.executor.transact(&request_of(&client, presented), work).await?;
    let activated = outcome.value.unwrap_or_default();
    let issue = activated.issue().ok_or(Rejected::from(Rejection::NotFound))?;
    let (lease, expires_at) = app.licences.lease(issue, &machine, now).await?;
    Ok(Json(LicenceLease { licence, lease, expires_at }))
}

/// End the activation of a licence on a machine.
///
/// Without an account: the token is enough. A repetition has no effect.
#[utoipa::path(post, path = "/v1/licences/deactivate", tag = "licences", security(()),
    request_body = LicenceOnMachine, responses((status = 200, body = LicenceDeactivated)))]
pub(crate) async fn deactivate_licence(
    State(app): State<App>,
    client: Client,
    Body(LicenceOnMachine { token, machine }): Body<LicenceOnMachine>,
) -> Result<Json<LicenceDeactivated>, Problem> {
    let presented = presented(&app, &token, app.clock.now()).await?;
    let (licence, machine) = (presented.licence, &machine);
    let work = move |tx: Tx| async move {
        Ok::<_, Problem>(tx.decide::<Licence>(licence, &Command::Deactivate { machine: machine.clone() }).await?)
    };
    let outcome = app.executor.transact(&request_of(&client, presented), work).await?;
    Ok(Json(LicenceDeactivated { licence, deactivated: !outcome.events.is_empty() }))
}

/// Get the public keys that verify licences, as a JWK set (RFC 7517).
///
/// A key is published seven days before it signs. Fetch them again when a token names another key.
#[utoipa::path(get, path = "/v1/licences/keys", tag = "licences", security(()),
    responses((status = 200, description = "The keys.", body = Object, content_type = "application/jwk-set+json"),
        (status = 304, description = "They are those of If-None-Match.")))]
pub(crate) async fn get_licence_keys(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    let keys = app.licences.published(app.clock.now()).await?;
    Ok(cached(&headers, "application/jwk-set+json", keys.to_jwks()))
}

/// Get the revocation list, as a JWS.
///
/// It is signed again daily and at each revocation, with a higher `seq`. Refuse a lower one than you know.
#[utoipa::path(get, path = "/v1/licences/revocations", tag = "licences", security(()),
    responses((status = 200, description = "The list.", body = String, content_type = "application/jwt"),
        (status = 304, description = "It is that of If-None-Match."),
        (status = 409, description = "No key signs licences yet.", body = Problem,
            content_type = "application/problem+json")))]
pub(crate) async fn get_licence_revocations(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    let list = app.licences.revocations(app.clock.now()).await?;
    Ok(cached(&headers, "application/jwt", list))
}

/// A public document, unless the client has it already.
fn cached(asked: &HeaderMap, content_type: &'static str, body: String) -> Response {
    let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(Sha256::digest(&body)));
    let mut response = match is_known(asked, &etag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(header::CONTENT_TYPE, content_type)], body).into_response(),
    };
    for (name, value) in [(header::ETAG, etag.as_str()), (header::CACHE_CONTROL, CACHED)] {
        set(response.headers_mut(), name, value);
    }
    response
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
