//! The service itself: health, readiness, metrics, jobs, the OpenAPI document.
//!
//! | file | what it owns |
//! |---|---|
//! | `metrics.rs` | the metrics endpoint |
//! | `job.rs` | long work that was requested, and its progress |
//! | `timer.rs` | what is due next, and what failed |
//! | `docs.rs` | the OpenAPI document and Swagger UI |

pub(crate) mod docs;
pub(crate) mod job;
mod metrics;
mod timer;

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

/// The routes of the module.
pub(crate) fn routes() -> OpenApiRouter<App> {
    tagged("platform", "Health and metrics of the service, and this document.")
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics::metrics))
        .routes(routes!(docs::openapi))
        .merge(job::routes())
        .merge(timer::routes())
}

/// Maximum number of events that a read model may be behind on a ready node.
const MOST_BEHIND: u64 = 10_000;

/// The readiness of a node.
#[derive(Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// Whether requests should be sent to this node.
    ready: bool,
    /// The reasons why not.
    #[schema(example = json!(["the log's database does not respond"]))]
    reasons: Vec<String>,
    /// The state of the read models.
    views: Vec<ViewState>,
}

/// The state of a read model in one partition.
#[derive(Serialize, ToSchema)]
pub(crate) struct ViewState {
    name: &'static str,
    partition: u16,
    /// How many events it is behind the log.
    events_behind: u64,
    /// Whether it has stopped because it failed; the cause is in the service's log.
    failed: bool,
    #[serde(skip)]
    met_damage: bool,
}

/// Check liveness.
///
/// Succeeds as long as the process can respond; the database is not checked.
#[utoipa::path(get, path = "/healthz", tag = "platform", operation_id = "get_health", security(()),
    responses((status = 200, description = "The process is alive.", body = String, content_type = "text/plain")))]
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Check readiness.
///
/// A node is ready when the log's database responds, its clock differs from the database's by at most 30 s, and no read
/// model has failed or is far behind, except those that stopped at a damaged event.
#[utoipa::path(get, path = "/readyz", tag = "platform", operation_id = "get_readiness", security(()),
    responses((status = 200, description = "The node is ready.", body = Readiness),
        (status = 503, description = "The node is not ready: send requests to another one.", body = Readiness)))]
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
            met_damage: status.state.met_damage,
        })
        .collect();
    let reasons = reasons(&app, &views).await;
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, reasons, views })).into_response()
}

/// Why the node is not ready.
async fn reasons(app: &App, views: &[ViewState]) -> Vec<String> {
    let mut reasons = Vec::new();
    if app.database.incarnation().await.is_err() {
        reasons.push("the log's database does not respond".to_owned());
    }
    if !app.clock.is_trusted() {
        let seconds = app.clock.difference().as_secs().abs();
        reasons.push(format!("the clock of this node differs from the database's by {seconds} s"));
    }
    // A damaged event stops its readers on every node: taking nodes out of service would not help.
    let mut views = views.iter().filter(|view| !view.met_damage);
    if views.clone().any(|view| view.failed) {
        reasons.push("a read model has failed: see `views`".to_owned());
    }
    if views.any(|view| view.events_behind > MOST_BEHIND) {
        reasons.push(format!("a read model is more than {MOST_BEHIND} events behind: see `views`"));
    }
    reasons
}
