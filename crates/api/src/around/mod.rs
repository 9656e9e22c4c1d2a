//! What surrounds every request, from the outside: an id, a measure, a limit, a deadline.
//!
//! | file | what it owns |
//! |---|---|
//! | `limit.rs` | how many requests whom |
//! | `metrics.rs` | what is counted |

mod limit;
mod metrics;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tokio::time::timeout;

pub use self::limit::Rates;
pub(crate) use self::{
    limit::Limits,
    metrics::{Counted, Metrics},
};
use crate::{
    app::App,
    problem::Problem,
    request::{REQUEST_ID, RequestId},
};

/// The routes, surrounded.
pub(crate) fn surround(routes: Router<App>, app: &App) -> Router<App> {
    routes
        .layer(middleware::from_fn_with_state(app.clone(), in_time))
        .layer(middleware::from_fn_with_state(app.clone(), limit::limit))
        .layer(middleware::from_fn_with_state(app.clone(), metrics::measure))
        .layer(middleware::from_fn(named))
}

/// Gives a request an id, and an answer that says it.
async fn named(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).await;
    tracing::debug!(request = %id.0, %method, path, status = response.status().as_u16(), "answered");
    if let Ok(id) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// Ends a request that takes too long. What it asked for may have been done: an append that is under way goes on.
async fn in_time(State(app): State<App>, request: Request, next: Next) -> Response {
    let limit = app.settings.connections.request_timeout;
    timeout(limit, next.run(request)).await.unwrap_or_else(|_| {
        let detail = "this took too long; a change may have been made all the same: repeat it with its Idempotency-Key";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", detail).after(1).into_response()
    })
}
