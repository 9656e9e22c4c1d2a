//! The client of the API: calls its router in process, with the session of the page's reader.

use std::convert::Infallible;

use axum::{
    Router,
    body::Body,
    http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header, request::Parts},
    response::Response,
};
use form_urlencoded::Serializer;
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tower_service::Service;

use crate::{Console, failure::Failure, ui::field::id_of, visit::is_in_advance};

/// The headers of a page's request that calls inherit.
const INHERITED: [&str; 6] =
    ["user-agent", "accept-language", "x-forwarded-for", "x-request-id", BACKGROUND, "porttask-at-least"];
/// Says that a read is no use of the session.
pub(crate) const BACKGROUND: &str = "porttask-background";
/// The maximum size of an answer. Downloads are streamed instead.
const MAX_BYTES: usize = 4 << 20;

/// Calls the API on behalf of whoever requests a page.
#[derive(Clone)]
pub(crate) struct Client {
    router: Router,
    headers: HeaderMap,
    /// Of the request for the page.
    page: Extensions,
    inherited: fn(&Extensions) -> Extensions,
}

/// Why a call failed (RFC 9457).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) status: u16,
    pub(crate) detail: String,
    pub(crate) errors: Vec<FieldError>,
    /// With 412: the change that was made meanwhile.
    pub(crate) last_change: Option<Box<LastChange>>,
    #[serde(skip)]
    pub(crate) retry_after: Option<u64>,
}

/// What is wrong with a field.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct FieldError {
    pub(crate) pointer: String,
    pub(crate) detail: String,
}

/// The change that a request did not expect.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct LastChange {
    pub(crate) actor: Option<String>,
    pub(crate) occurred_at: Timestamp,
    pub(crate) summary: String,
}

impl Problem {
    /// The same, which says what is wrong with the first field: for pages without the form.
    pub(crate) fn explained(mut self) -> Self {
        if let Some(FieldError { pointer, detail }) = self.errors.first() {
            self.detail = format!("{}: {detail}", pointer.trim_start_matches('/'));
        }
        self
    }

    /// What is wrong with the field at a pointer, or with a part of it.
    pub(crate) fn at(&self, pointer: &str) -> Option<&str> {
        let id = id_of(pointer);
        self.errors.iter().find(|error| id_of(&error.pointer) == id).map(|error| error.detail.as_str())
    }

    /// A problem of the console itself.
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status: status.as_u16(), detail: detail.into(), ..Self::default() }
    }
}

/// A page of a listing.
#[derive(Debug, Deserialize)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next_cursor: Option<String>,
    pub(crate) total: Option<u64>,
    #[serde(default)]
    pub(crate) total_is_exact: Option<bool>,
}

/// A page of a listing, or why it could not be loaded.
pub(crate) type Found<T> = Result<Page<T>, Problem>;

/// An answer, with its version as an ETag.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    pub(crate) body: T,
    pub(crate) etag: Option<String>,
}

impl Client {
    /// For the caller of a page's request, with this session.
    pub(crate) fn new(console: &Console, parts: &Parts, token: Option<&str>) -> Self {
        let mut headers = HeaderMap::new();
        for name in INHERITED.map(HeaderName::from_static) {
            for value in parts.headers.get_all(&name) {
                headers.append(&name, value.clone());
            }
        }
        // What nobody asked for yet is no use of the session.
        if is_in_advance(&parts.headers) {
            headers.insert(BACKGROUND, HeaderValue::from_static("true"));
        }
        if let Some(bearer) = token.and_then(|token| HeaderValue::from_str(&format!("Bearer {token}")).ok()) {
            headers.insert(header::AUTHORIZATION, bearer);
        }
        Self {
            router: console.api.clone(),
            headers,
            page: parts.extensions.clone(),
            inherited: console.settings.inherited,
        }
    }

    pub(crate) fn get(&self, path: impl Into<String>) -> Call<'_> {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: impl Into<String>) -> Call<'_> {
        self.call(Method::POST, path)
    }

    pub(crate) fn patch(&self, path: impl Into<String>) -> Call<'_> {
        self.call(Method::PATCH, path)
    }

    /// A call of the operation at a path, such as `/v1/me`.
    pub(crate) fn call(&self, method: Method, path: impl Into<String>) -> Call<'_> {
        let (body, headers) = (Body::empty(), HeaderMap::new());
        Call { client: self, method, path: path.into(), query: Vec::new(), body, headers }
    }
}

/// A call that is being prepared.
pub(crate) struct Call<'a> {
    client: &'a Client,
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    body: Body,
    headers: HeaderMap,
}

impl Call<'_> {
    /// Adds parameters to the query; empty ones are left out.
    pub(crate) fn query<'q>(mut self, pairs: impl IntoIterator<Item = (&'q str, &'q str)>) -> Self {
        let filled = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        self.query.extend(filled.map(|(name, value)| (name.to_owned(), value.to_owned())));
        self
    }

    /// Only tries what would happen.
    pub(crate) fn dry_run(self, is_dry_run: bool) -> Self {
        self.query(is_dry_run.then_some(("dry_run", "true")))
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        let media = if self.method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        self.body(media, Body::from(body.to_string()))
    }

    pub(crate) fn body(mut self, media: &'static str, body: Body) -> Self {
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        self.body = body;
        self
    }

    /// The version that is expected, as an ETag; empty for any.
    pub(crate) fn version(self, etag: &str) -> Self {
        self.header(header::IF_MATCH, etag)
    }

    /// The idempotency key of a form; empty for none.
    pub(crate) fn key(self, key: &str) -> Self {
        self.header(HeaderName::from_static("idempotency-key"), key)
    }

    /// Adds a header, unless it is empty.
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Some(value) = HeaderValue::from_str(value).ok().filter(|value| !value.is_empty()) {
            self.headers.insert(name, value);
        }
        self
    }

    /// The response as it comes, also for failures.
    pub(crate) async fn response(self) -> Response {
        let query = Serializer::new(String::new()).extend_pairs(&self.query).finish();
        let uri = if query.is_empty() { self.path } else { format!("{}?{query}", self.path) };
        let mut request = Request::builder().method(self.method).uri(uri);
        if let Some(headers) = request.headers_mut() {
            headers.extend(self.client.headers.clone());
            headers.extend(self.headers);
        }
        if let Some(extensions) = request.extensions_mut() {
            *extensions = (self.client.inherited)(&self.client.page);
        }
        match request.body(self.body) {
            Ok(request) => {
                let mut router = self.client.router.clone();
                let answer: Result<Response, Infallible> = router.call(request).await;
                match answer {
                    Ok(response) => response,
                    Err(never) => match never {},
                }
            }
            // An id in the path that is no part of a URL.
            Err(_) => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NOT_FOUND;
                response
            }
        }
    }

    /// A response that is passed on: its body, if it succeeds.
    ///
    /// # Errors
    /// If the API refuses.
    pub(crate) async fn download(self) -> Result<Response, Problem> {
        let response = self.response().await;
        if response.status().is_success() { Ok(response) } else { Err(problem(response).await) }
    }

    /// Reads a page of a listing. Failures that the list itself shows are returned beside it.
    ///
    /// # Errors
    /// If the reader has no access to the list.
    pub(crate) async fn page<T: DeserializeOwned>(self) -> Result<Found<T>, Failure> {
        match self.send().await {
            Ok(answer) => Ok(Ok(answer.body)),
            Err(problem) if matches!(problem.status, 401 | 403 | 404) => Err(problem.into()),
            Err(problem) => Ok(Err(problem)),
        }
    }

    /// The answer of the operation.
    ///
    /// # Errors
    /// If the API refuses.
    pub(crate) async fn send<T: DeserializeOwned>(self) -> Result<Answer<T>, Problem> {
        let path = self.path.clone();
        let response = self.download().await?;
        let etag = response.headers().get(header::ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let bytes = bytes(response).await?;
        let bytes: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
        let body = serde_json::from_slice(bytes).map_err(|error| {
            tracing::error!(path, %error, "an answer of the API has another shape than the console expects");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "The console does not understand the answer of the API.")
        })?;
        Ok(Answer { body, etag })
    }
}

async fn bytes(response: Response) -> Result<Vec<u8>, Problem> {
    let broken = |_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The answer broke off. Try again.");
    let body = http_body_util::Limited::new(response.into_body(), MAX_BYTES);
    Ok(body.collect().await.map_err(broken)?.to_bytes().to_vec())
}

/// The problem in a response of the API.
pub(crate) async fn problem(response: Response) -> Problem {
    let status = response.status().as_u16();
    let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|it| it.to_str().ok()?.parse().ok());
    let bytes = bytes(response).await.unwrap_or_default();
    let problem: Problem = serde_json::from_slice(&bytes).unwrap_or_default();
    Problem { status, retry_after, ..problem }
}
