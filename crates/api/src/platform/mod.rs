//! How the service fares: whether it lives, is ready, what it counts; and how it describes itself.
//!
//! | file | what it owns |
//! |---|---|
//! | `metrics.rs` | what is counted, for whom |
//! | `job.rs` | long work that was requested, and its progress |
//! | `docs.rs` | the document of the API, and pages to read it |

pub(crate) mod docs;
pub(crate) mod job;
mod metrics;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::app::App;
use crate::http::document::tagged;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Its routes.
pub(crate) fn routes() -> OpenApiRouter<App> {
    tagged("platform", "How the service itself fares.")
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics::metrics))
        .routes(routes!(docs::openapi))
        .merge(job::routes())
}

/// How many events a read model may be behind and still be ready.
const MOST_BEHIND: u64 = 10_000;

/// Whether the service can answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// Whether requests should be sent here.
    ready: bool,
    /// How the read models stand.
    views: Vec<ViewState>,
}

/// How a read model stands in one partition.
#[derive(Serialize, ToSchema)]
pub(crate) struct ViewState {
    name: &'static str,
    partition: u16,
    /// How many events it is behind the log.
    events_behind: u64,
    /// Whether it has stopped because it failed; the cause is in the service's log.
    failed: bool,
}

/// Tell whether the process lives.
///
/// It answers while the process can answer anything; it does not look at the log.
#[utoipa::path(get, path = "/healthz", tag = "platform", operation_id = "get_health", security(()),
    responses((status = 200, description = "It lives", body = String, content_type = "text/plain")))]
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Tell whether requests should be sent here.
///
/// It is ready when the log's database answers and no read model has failed or is far behind.
#[utoipa::path(get, path = "/readyz", tag = "platform", operation_id = "get_readiness", security(()),
    responses((status = 200, description = "It is ready.", body = Readiness),
        (status = 503, description = "It is not ready: send requests elsewhere.", body = Readiness)))]
pub(crate) async fn readyz(State(app): State<App>) -> Response {
    let views: Vec<ViewState> = app
        .views
        .status()
        .into_iter()
        .map(|status| ViewState {
            name: status.name,
            partition: status.partition.0,
            events_behind: status.lag,
            failed: status.state.failure.is_some(),
        })
        .collect();
    let is_reachable = app.database.incarnation().await.is_ok();
    let ready = is_reachable && views.iter().all(|view| !view.failed && view.events_behind <= MOST_BEHIND);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, views })).into_response()
}
