//! The logo of the seller: its bytes are kept with the documents of the platform's own organization.

use axum::{
    body::{Bytes, to_bytes},
    extract::State,
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use porttask_domain::{
    OrganizationId,
    billing::{
        Seller,
        seller::{Command, Logo, SellerId},
    },
};
use porttask_runtime::execute::{self, Tx};
use serde::Deserialize;
use tokio::time::timeout;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{
    app::App,
    document::tagged,
    permissions::AdministerBilling,
    problem::Problem,
    request::{Authorized, CommandParameters, CommandRequest, EmptyBody, StreamedUpload},
    response::CommandResult,
};

/// The most bytes of a logo.
const MOST_BYTES: usize = 200 * 1024;
/// Nothing in a logo is executed.
const POLICY: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The routes of the logo.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("seller", "The legal entity that issues documents: profile, registrations, rates.")
        .routes(routes!(download_seller_logo, upload_seller_logo))
        .routes(routes!(remove_seller_logo))
}

/// An upload of a logo has no parameters.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogoParameters {}

/// Upload the logo of the seller.
///
/// The body is the file itself: PNG or SVG, at most 200 KiB, with its size in `Content-Length`. Documents that are issued
/// from now on show it. Needs `billing:administer`.
#[utoipa::path(post, path = "/v1/platform/billing/seller/logo", tag = "seller", params(LogoParameters),
    request_body(content = String, content_type = "application/octet-stream", description = "The file"),
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn upload_seller_logo(
    State(app): State<App>,
    upload: StreamedUpload<AdministerBilling, LogoParameters>,
) -> Result<CommandResult, Problem> {
    let StreamedUpload { caller, announced, body, share: _share, .. } = upload;
    let too_large = || {
        let detail = format!("A logo may have at most {MOST_BYTES} bytes.");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail)
    };
    if announced > MOST_BYTES as u64 {
        return Err(too_large());
    }
    let slow = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "body-timeout", "The body did not arrive in time.");
    let patience = app.settings.connections.request_timeout / 2;
    let bytes = timeout(patience, to_bytes(body, MOST_BYTES)).await.map_err(slow)?.map_err(|_| too_large())?;
    let Some(content_type) = image_type(&bytes) else {
        let detail = "A logo must be a PNG or an SVG file.";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unsupported-image", detail));
    };
    let logo = store(&app, bytes, content_type).await?;
    let command = &Command::ChangeLogo(Some(logo));
    let request = execute::Request::new(OrganizationId::PLATFORM, caller.meta.clone());
    let by = &caller;
    let work = |tx: Tx| {
        let app = app.clone();
        async move {
            by.authorize(&app, &tx).await?;
            Ok::<_, Problem>(tx.decide::<Seller>(SellerId::PLATFORM, command).await?)
        }
    };
    let outcome = app.executor.transact(&request, work).await?;
    if let Some(position) = outcome.position {
        app.last_changes.insert(caller.identity.credential.id(), position);
    }
    let subject = execute::stream_of::<Seller>(OrganizationId::PLATFORM, SellerId::PLATFORM)?;
    CommandResult::of(&app, &outcome, (&subject, caller.identity.organization), false).await
}

/// The type of an image, by its bytes; `None` if it cannot be a logo.
fn image_type(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(PNG) {
        return Some("image/png");
    }
    let text = std::str::from_utf8(bytes).ok()?.trim_start_matches('\u{feff}').trim_start();
    let is_svg =
        text.starts_with("<svg") || (text.starts_with("<?xml") || text.starts_with("<!")) && text.contains("<svg");
    is_svg.then_some("image/svg+xml")
}

async fn store(app: &App, bytes: Bytes, content_type: &str) -> Result<Logo, Problem> {
    let unavailable = |error| Problem::unavailable(&error);
    let mut writer = app.settings.documents.blobs.begin(OrganizationId::PLATFORM).await.map_err(unavailable)?;
    writer.write(bytes).await.map_err(unavailable)?;
    let blob = writer.finish().await.map_err(unavailable)?;
    Ok(Logo { sha256: blob.sha256, bytes: blob.bytes, content_type: content_type.to_owned() })
}

/// Download the logo of the seller.
///
/// Needs `billing:administer`.
#[utoipa::path(get, path = "/v1/platform/billing/seller/logo", tag = "seller",
    responses((status = 200, description = "The logo", content(
        (String = "image/png"), (String = "image/svg+xml")))))]
pub(crate) async fn download_seller_logo(
    State(app): State<App>,
    _caller: Authorized<AdministerBilling>,
) -> Result<Response, Problem> {
    let (seller, _) = app.executor.load::<Seller>(OrganizationId::PLATFORM, SellerId::PLATFORM).await?;
    let logo = seller.profile().logo.as_ref().ok_or_else(|| Problem::not_found("logo"))?;
    let found = app.settings.documents.blobs.open(OrganizationId::PLATFORM, &logo.sha256).await;
    let found = found.map_err(|error| Problem::unavailable(&error))?;
    let reader = found.ok_or_else(|| Problem::unavailable(&"the logo of the seller is missing"))?;
    let bytes = reader.read(0, MOST_BYTES).await.map_err(|error| Problem::unavailable(&error))?;
    let headers = [
        (header::CONTENT_TYPE, logo.content_type.clone()),
        (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (HeaderName::from_static("cache-control"), "private, no-cache".to_owned()),
        (header::ETAG, format!("\"{}\"", logo.sha256)),
    ];
    Ok((headers, bytes).into_response())
}

/// Remove the logo of the seller.
///
/// What was issued keeps it. Needs `billing:administer`.
#[utoipa::path(post, path = "/v1/platform/billing/seller/logo/remove", tag = "seller", params(CommandParameters),
    request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn remove_seller_logo(
    State(app): State<App>,
    request: CommandRequest<AdministerBilling, EmptyBody>,
) -> Result<CommandResult, Problem> {
    request.change_all::<Seller>(&app, SellerId::PLATFORM, &[Command::ChangeLogo(None)]).await
}
