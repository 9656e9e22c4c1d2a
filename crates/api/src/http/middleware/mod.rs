//! Middleware, from the outside in: request id, metrics, rate limit, timeout.
//!
//! | file | what it owns |
//! |---|---|
//! | `limit.rs` | rate limits |

mod limit;

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use porttask_domain::operations::document::UPLOAD_LIFETIME;
use tokio::time::timeout;

use crate::http::{
    app::App,
    denials::Asker,
    problem::Problem,
    request::{REQUEST_ID, RequestId},
};

/// The target of the access log.
pub const ACCESS_LOG: &str = "porttask_access";
/// The methods that metrics distinguish.
const METHODS: [Method; 6] = [Method::GET, Method::POST, Method::PATCH, Method::DELETE, Method::PUT, Method::HEAD];

/// The routes, of the API and of the console, to which files are sent that are streamed: each part has a timeout of its own.
const STREAMED: [&str; 2] = ["/v1/organizations/{org}/documents", "/operations/documents/new"];

/// How requests are limited.
#[derive(Clone)]
pub(crate) struct Budgets {
    /// The paths whose POST requires no token.
    pub(crate) public_posts: Arc<BTreeSet<String>>,
    /// The token of a request.
    pub(crate) token: TokenOf,
}

/// Finds the token of a request in its headers.
pub type TokenOf = Arc<dyn Fn(&HeaderMap) -> Option<String> + Send + Sync>;

/// Adds the middleware to the routes.
pub(crate) fn surround<S: Clone + Send + Sync + 'static>(routes: Router<S>, app: &App, budgets: Budgets) -> Router<S> {
    routes
        .layer(middleware::from_fn_with_state(app.clone(), in_time))
        .layer(middleware::from_fn_with_state((app.clone(), budgets), limit::limit))
        .layer(middleware::from_fn_with_state(app.clone(), measure))
        .layer(middleware::from_fn_with_state(app.clone(), named))
}

/// Gives a request an id, and returns it in the response. A request to the API whose own id is not valid is rejected.
async fn named(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let (sent, began) = (RequestId::of(request.headers()), Instant::now());
    let method = request.method().clone();
    // Some mail programs encode the # of a link: the token must not get into the log.
    let path = request.uri().path().split("%23").next().unwrap_or_default().to_owned();
    let (route, asker) = (route(&request), Asker::of(&mut request));
    let is_rejected = sent.is_err() && path.starts_with("/v1/");
    let (Ok(id) | Err(id)) = sent;
    request.extensions_mut().insert(id.clone());
    let mut response = match is_rejected {
        true => Problem::invalid("X-Request-Id", "must have 1 to 100 letters, digits and -._:+/=").into_response(),
        false => next.run(request).await,
    };
    asker.answered(response.status(), app.clock.now());
    tracing::debug!(request = %id.0, %method, path, status = response.status().as_u16(), "request served");
    if app.settings.logs_access {
        let (status, actor) = (response.status().as_u16(), asker.id().unwrap_or_default());
        let milliseconds = (began.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        tracing::info!(target: ACCESS_LOG, %method, route, status, milliseconds, request = %id.0, actor, "request");
    }
    if let Ok(id) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    if path.starts_with("/v1/") && !response.headers().contains_key(header::CACHE_CONTROL) {
        // Responses are for their callers; some hold tokens.
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// Ends a request that takes too long. Its change may still be made: an append in progress continues.
async fn in_time(State(app): State<App>, request: Request, next: Next) -> Response {
    let is_streamed = request.method() == Method::POST && STREAMED.contains(&route(&request).as_str());
    let limit = if is_streamed { UPLOAD_LIFETIME.unsigned_abs() } else { app.settings.connections.request_timeout };
    timeout(limit, next.run(request)).await.unwrap_or_else(|_| {
        let detail = "The request timed out, but may still take effect. Retry it with the same Idempotency-Key.";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", detail).after(1).into_response()
    })
}

/// The route of a request, without what callers choose.
fn route(request: &Request) -> String {
    request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned()
}

/// Counts a request and measures its duration.
async fn measure(State(app): State<App>, request: Request, next: Next) -> Response {
    let _counted = app.metrics.in_flight();
    let route = route(&request);
    let method = METHODS.iter().find(|it| *it == request.method()).map_or("other", Method::as_str);
    let began = Instant::now();
    let response = next.run(request).await;
    app.metrics.answered(method, &route, response.status().as_u16(), began.elapsed().as_secs_f64());
    response
}
