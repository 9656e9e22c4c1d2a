//! File uploads: caller, parameters, content, idempotency key.

use std::sync::Arc;

use axum::{
    RequestPartsExt,
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use porttask_runtime::log::IdempotencyKey;
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use super::{Authorized, body, command, etag::EntityTags, query};
use crate::http::{app::App, permissions::Permission, problem::Problem};

/// Maximum size of a file.
pub(crate) const MAX_BYTES: usize = 10 * 1024 * 1024;

/// A CSV file, uploaded by a caller with this permission.
pub(crate) struct Upload<R, P> {
    pub(crate) caller: Authorized<R>,
    pub(crate) parameters: P,
    pub(crate) bytes: Bytes,
    /// Must be held as long as the bytes.
    pub(crate) permit: Arc<OwnedSemaphorePermit>,
    idempotency_key: Option<IdempotencyKey>,
}

impl<R: Permission, P: DeserializeOwned + Send + 'static> FromRequest<App> for Upload<R, P> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let caller = parts.extract_with_state::<Authorized<R>, _>(app).await?;
        let parameters = query::parse(parts.uri.query().unwrap_or_default())?;
        EntityTags::refuse(&parts.headers)?;
        must_be_csv(&parts.headers)?;
        let share = app.upload(caller.organization)?;
        let bytes = body::read_at_most(app, body, MAX_BYTES).await?;
        drop(share);
        let permit = app.permit().await?;
        let idempotency_key = command::idempotency_key(app, &parts, &caller, &bytes)?;
        Ok(Self { caller, parameters, bytes, permit, idempotency_key })
    }
}

impl<R: Permission, P> Upload<R, P> {
    /// The id of what is created from the file. With an `Idempotency-Key`, a repetition gets the same one.
    pub(crate) fn new_id<T: From<Uuid>>(&self, app: &App) -> T {
        command::id(app, self.idempotency_key.as_ref(), self.caller.organization.0.as_bytes())
    }

    /// Distinguishes repetitions from other requests. Zeros without an `Idempotency-Key`, as no request repeats it.
    pub(crate) fn request_hash(&self) -> [u8; 32] {
        self.idempotency_key.as_ref().map(|key| key.request_hash).unwrap_or_default()
    }
}

fn must_be_csv(headers: &HeaderMap) -> Result<(), Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let lower = content_type.to_ascii_lowercase();
    let mut parts = lower.split(';').map(str::trim);
    let is_csv = parts.next() == Some("text/csv");
    let charset = parts.find_map(|part| part.strip_prefix("charset="));
    let is_utf8 = charset.is_none_or(|charset| matches!(charset.trim_matches('"'), "utf-8" | "utf8" | "us-ascii"));
    if is_csv && is_utf8 {
        return Ok(());
    }
    let detail = "Send the file itself as the body, in UTF-8, with the header `Content-Type: text/csv`.";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail))
}
