//! File uploads that are streamed: caller, parameters, announced size, and a body that was not read yet.

use axum::{
    RequestPartsExt,
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use porttask_domain::OrganizationId;
use porttask_runtime::log::IdempotencyKey;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{Authorized, command, etag::EntityTags, query};
use crate::http::{app::App, permissions::Permission, problem::Problem, shares::Share};

/// A file that is uploaded by a caller with this permission.
pub(crate) struct StreamedUpload<R, P> {
    pub(crate) caller: Authorized<R>,
    pub(crate) parameters: P,
    pub(crate) headers: HeaderMap,
    /// The number of bytes that follow; the console announces a few more than there are.
    pub(crate) announced: u64,
    pub(crate) body: Body,
    /// Must be held while the body is read.
    pub(crate) share: Share<OrganizationId>,
    idempotency_key: Option<IdempotencyKey>,
}

impl<R: Permission, P: DeserializeOwned + Send + 'static> FromRequest<App> for StreamedUpload<R, P> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let caller = parts.extract_with_state::<Authorized<R>, _>(app).await?;
        let parameters = query::parse(parts.uri.query().unwrap_or_default())?;
        EntityTags::refuse(&parts.headers)?;
        let announced = announced(&parts.headers)?;
        let most = app.settings.documents.max_bytes;
        if announced > most {
            let detail = format!("A document may have at most {most} bytes.");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail));
        }
        let share = app.upload(caller.organization)?;
        // The body is not known yet: that a repetition has the same one is checked when it was received.
        let idempotency_key = command::idempotency_key(app, &parts, &caller, b"")?;
        Ok(Self { caller, parameters, headers: parts.headers, announced, body, share, idempotency_key })
    }
}

impl<R: Permission, P> StreamedUpload<R, P> {
    /// The id of what is created from the file. With an `Idempotency-Key`, a repetition gets the same one.
    pub(crate) fn new_id<T: From<Uuid>>(&self, app: &App) -> T {
        command::id(app, self.idempotency_key.as_ref(), self.caller.organization.0.as_bytes())
    }
}

fn announced(headers: &HeaderMap) -> Result<u64, Problem> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    length.ok_or_else(|| {
        let detail = "Send the size of the file in the header `Content-Length`.";
        Problem::new(StatusCode::LENGTH_REQUIRED, "length-required", detail)
    })
}
