//! Pages that say why something failed, and what to do.

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use crate::{
    Console,
    api::{Problem, problem},
    cookies::Cookie,
    guard,
    identity::sign_in,
    ui::{self, door, frame, icon},
    visit::{Slot, see_other},
};

/// The maximum size of a form.
const MAX_FORM_BYTES: usize = 1 << 20;
/// The id of a request, which the person can tell whoever helps.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Why a page cannot be shown.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// Nobody is signed in, or the session has ended.
    SignedOut,
    /// The API refuses.
    Problem(Arc<Problem>),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        if problem.status == 401 { Self::SignedOut } else { Self::Problem(Arc::new(problem)) }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::SignedOut => StatusCode::UNAUTHORIZED,
            Self::Problem(problem) => StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        };
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// No such page.
pub(crate) async fn not_found(request: Request) -> Response {
    // Mail programs encode the # of a link.
    if let Some((path, token)) = request.uri().path().split_once("%23token=") {
        return crate::identity::link::pasted(path, token);
    }
    Failure::from(Problem::new(StatusCode::NOT_FOUND, "There is no such page.")).into_response()
}

pub(crate) async fn method_not_allowed() -> Failure {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "This page cannot be called like this.").into()
}

/// Shows what failed: as a page in its frame, or as the sign-in page if the session has ended. What was entered in a form
/// is kept until then.
pub(crate) async fn render(State(console): State<Console>, mut request: Request, next: Next) -> Response {
    let (uri, method) = (request.uri().clone(), request.method().clone());
    let url = uri.path_and_query().map_or("/", |it| it.as_str()).to_owned();
    let is_scripted = request.headers().contains_key("hx-request");
    let is_acting = console.cookies.get(request.headers(), Cookie::Impersonation).is_some();
    let slot = request.extensions_mut().get_or_insert_default::<Slot>().clone();
    let (request, kept) = match keep_form(request).await {
        Ok(it) => it,
        Err(failure) => return shown(&failure, &slot, ""),
    };
    let response = next.run(request).await;
    let Some(failure) = response.extensions().get::<Failure>().cloned() else { return response };
    let id = response.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    match failure {
        Failure::SignedOut if is_acting => {
            let gone = console.cookies.delete(Cookie::Impersonation);
            ([(header::SET_COOKIE, gone)], see_other("/admin/users")).into_response()
        }
        Failure::SignedOut if method == Method::GET && is_scripted => {
            [("hx-redirect", sign_in::url(&url))].into_response()
        }
        Failure::SignedOut if method == Method::GET => see_other(&sign_in::url(&url)).into_response(),
        Failure::SignedOut => sign_in::again(&console, &url, kept.as_deref().unwrap_or_default()),
        Failure::Problem(_) => shown(&failure, &slot, &id),
    }
}

/// Shows a problem that a request met before it reached a page.
pub(crate) async fn readable(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    let media = response.headers().get(header::CONTENT_TYPE);
    if !media.is_some_and(|media| media.as_bytes().starts_with(b"application/problem+json")) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let id = parts.headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let problem = problem(Response::from_parts(parts.clone(), body)).await;
    let mut page = shown(&Failure::Problem(Arc::new(problem)), &Slot::default(), &id);
    for (name, value) in &parts.headers {
        if *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH {
            page.headers_mut().insert(name, value.clone());
        }
    }
    guard::protect(page.headers_mut(), &path);
    page
}

/// Keeps a copy of a submitted form.
async fn keep_form(request: Request) -> Result<(Request, Option<String>), Failure> {
    let media = request.headers().get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok()).unwrap_or_default();
    if request.method() != Method::POST || !media.starts_with("application/x-www-form-urlencoded") {
        return Ok((request, None));
    }
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, MAX_FORM_BYTES).await.map_err(|_| {
        Failure::from(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "The form is too large, or was not sent completely."))
    })?;
    let kept = String::from_utf8_lossy(&bytes).into_owned();
    Ok((Request::from_parts(parts, Body::from(bytes)), Some(kept)))
}

/// The page of a failure.
fn shown(failure: &Failure, slot: &Slot, request_id: &str) -> Response {
    let Failure::Problem(problem) = failure else { return StatusCode::UNAUTHORIZED.into_response() };
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (title, sign) = match status.as_u16() {
        403 => ("Not allowed", "lock"),
        404 => ("Not found", "search"),
        405 => ("Not possible", "circle-x"),
        409 => ("Not possible now", "triangle-alert"),
        413 => ("Too large", "triangle-alert"),
        429 => ("Too many requests", "timer"),
        503 => ("Not available right now", "refresh-cw"),
        _ => ("This did not work", "triangle-alert"),
    };
    let content = html! { div.card { (ui::empty(sign, title, &text(problem, status), html! {
        @if let Some(seconds) = problem.retry_after { p.soft { "Try again in " (ui::time::seconds(seconds)) "." } }
        div.row { a.btn.edge href="/" { (icon("arrow-right")) "Start page" } }
        @if !request_id.is_empty() { p.soft { "Request " (ui::id(request_id)) } }
    })) } };
    let page: Markup = match slot.0.get() {
        Some(frame) => frame::page(frame, title, &[(title, "")], html! { h1.hide { (title) } (content) }),
        None => door::page(title, html! { h1.hide { (title) } (content) }),
    };
    let mut response = (status, page).into_response();
    if let Some(after) = problem.retry_after.and_then(|after| HeaderValue::from_str(&after.to_string()).ok()) {
        response.headers_mut().insert(header::RETRY_AFTER, after);
    }
    response
}

/// What is wrong, and what to do.
fn text(problem: &Problem, status: StatusCode) -> String {
    match status.as_u16() {
        403 => format!("{} An admin of your organization can change what you may do.", ui::sentence(&problem.detail)),
        404 => "There is nothing at this address, or it is not yours to see.".to_owned(),
        _ if problem.detail.is_empty() => "The service could not answer. Nothing was changed.".to_owned(),
        _ => ui::sentence(&problem.detail),
    }
}
