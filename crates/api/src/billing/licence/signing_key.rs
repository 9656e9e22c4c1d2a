//! The keys that sign licences.

use axum::{
    Json,
    extract::{Path, State},
    response::Response,
};
use jiff::Timestamp;
use porttask_domain::billing::{
    LicenceSigningKeys,
    licence_signing_key::{Command, LicenceSigningKeyId, Retirement, SigningKey, Status},
};
use porttask_runtime::execute::Tx;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{
    app::App,
    permissions::WriteLicences,
    problem::Problem,
    request::{Authorized, CommandParameters, CommandRequest, EmptyBody},
    response::CommandResult,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_licence_signing_key, list_licence_signing_keys))
        .routes(routes!(activate_licence_signing_key))
        .routes(routes!(retire_licence_signing_key))
}

/// A key that signs licences.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LicenceSigningKey {
    id: LicenceSigningKeyId,
    /// Its thumbprint (RFC 7638), by which tokens name it.
    #[schema(example = "EEJ9_uzsyCYvfYnco1gFfs0Ti0iET0-qps_s_tKmhFo")]
    kid: String,
    /// Its public half, in base64url.
    public_key: String,
    status: Status,
    created_at: Timestamp,
    /// From when on it can sign, if another one signs now.
    usable_from: Timestamp,
    activated_at: Option<Timestamp>,
    retired_at: Option<Timestamp>,
    /// Until when it verifies; null while it is not retired.
    published_until: Option<Timestamp>,
}

impl LicenceSigningKey {
    fn of(keys: &LicenceSigningKeys, key: &SigningKey) -> Self {
        Self {
            id: key.key,
            kid: key.kid.clone(),
            public_key: key.public_key.clone(),
            status: keys.status(key),
            created_at: key.created_at,
            usable_from: key.usable_from(),
            activated_at: key.activated_at,
            retired_at: key.retired.map(|(_, at, _)| at),
            published_until: key.retired.map(|(.., until)| until),
        }
    }
}

/// All keys, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LicenceSigningKeyList {
    items: Vec<LicenceSigningKey>,
}

/// The key in the path.
fn key_of(path: &Path<Vec<(String, String)>>) -> Result<LicenceSigningKeyId, Problem> {
    let found = path.0.iter().find_map(|(_, text)| text.parse().ok());
    found.ok_or_else(|| Problem::not_found("licence-signing-key"))
}

async fn run<B>(
    app: &App,
    request: CommandRequest<WriteLicences, B>,
    key: LicenceSigningKeyId,
    command: impl Fn(Timestamp) -> Command,
) -> Result<CommandResult, Problem> {
    let (request, command) = (request.in_the_platform(), &command);
    let work = move |tx: Tx| async move {
        Ok(tx.decide::<LicenceSigningKeys>(LicenceSigningKeyId::ALL, &command(tx.now())).await?)
    };
    Ok(request.run::<LicenceSigningKeys, _>(app, LicenceSigningKeyId::ALL, work).await?.about(key))
}

/// List the keys that sign licences, without their private halves.
///
/// Needs `licences:write`.
#[utoipa::path(get, path = "/v1/platform/billing/licence-signing-keys", tag = "licences",
    responses((status = 200, body = LicenceSigningKeyList)))]
pub(crate) async fn list_licence_signing_keys(
    State(app): State<App>,
    _: Authorized<WriteLicences>,
) -> Result<Json<LicenceSigningKeyList>, Problem> {
    let keys = app.licences.signing_keys().await?;
    let items = keys.all().iter().rev().map(|key| LicenceSigningKey::of(&keys, key)).collect();
    Ok(Json(LicenceSigningKeyList { items }))
}

/// Create and publish a key that will sign licences.
///
/// The private half is stored wrapped by the master key, and never leaves the service. Needs `licences:write`.
#[utoipa::path(post, path = "/v1/platform/billing/licence-signing-keys", tag = "licences", params(CommandParameters),
    request_body = EmptyBody, responses((status = 201, body = CommandResult)))]
pub(crate) async fn create_licence_signing_key(
    State(app): State<App>,
    request: CommandRequest<WriteLicences, EmptyBody>,
) -> Result<Response, Problem> {
    request.must_be_real()?;
    let (key, place): (LicenceSigningKeyId, _) = (request.new_id(&app), request.place());
    let public = app.licences.make_key(key).await.map_err(|error| Problem::unavailable(&error))?;
    let (kid, public_key) = (&public.kid(), &public.to_base64());
    let create = move |now| Command::Create { key, kid: kid.clone(), public_key: public_key.clone(), now };
    Ok(run(&app, request, key, create).await?.created(&place))
}

/// Sign with a key from now on.
///
/// It must have been published for seven days, unless no key signs: programs that verify licences learn keys in advance.
/// Needs `licences:write`.
#[utoipa::path(post, path = "/v1/platform/billing/licence-signing-keys/{licence_signing_key}/activate",
    tag = "licences", params(CommandParameters), request_body = EmptyBody,
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn activate_licence_signing_key(
    State(app): State<App>,
    path: Path<Vec<(String, String)>>,
    request: CommandRequest<WriteLicences, EmptyBody>,
) -> Result<CommandResult, Problem> {
    let key = key_of(&path)?;
    run(&app, request, key, move |now| Command::Activate { key, now }).await
}

/// Why a key is retired.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LicenceSigningKeyRetirement {
    reason: Retirement,
}

/// Retire a key.
///
/// A rotated one verifies until the last token has expired that it may have signed. A compromised one is removed at once:
/// if it signs, the key that was published next signs instead, and tokens of licences are shown under that one. Needs
/// `licences:write`.
#[utoipa::path(post, path = "/v1/platform/billing/licence-signing-keys/{licence_signing_key}/retire",
    tag = "licences", params(CommandParameters), request_body = LicenceSigningKeyRetirement,
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn retire_licence_signing_key(
    State(app): State<App>,
    path: Path<Vec<(String, String)>>,
    request: CommandRequest<WriteLicences, LicenceSigningKeyRetirement>,
) -> Result<CommandResult, Problem> {
    let (key, reason) = (key_of(&path)?, request.body.reason);
    let last_expiry = app.licences.last_expiry(app.clock.now()).await?;
    run(&app, request, key, move |now| Command::Retire { key, reason, last_expiry, now }).await
}
