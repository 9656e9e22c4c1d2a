//! The service itself: health, readiness, metrics, jobs, the OpenAPI document.
//!
//! | file | what it owns |
//! |---|---|
//! | `readiness.rs` | whether the node is ready |
//! | `metrics.rs` | the metrics endpoint |
//! | `job.rs` | long work that was requested, and its progress |
//! | `position.rs` | a stream of positions: when something has changed |
//! | `system.rs` | the state of the service, for super admins |
//! | `timer.rs` | what is due next, and what failed |
//! | `docs.rs` | the OpenAPI document and Swagger UI |

pub(crate) mod docs;
pub(crate) mod job;
mod metrics;
pub(crate) mod position;
pub(crate) mod readiness;
mod system;
mod timer;

use crate::http::app::App;
use crate::http::document::tagged;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of the module.
pub(crate) fn routes() -> OpenApiRouter<App> {
    tagged("platform", "Health and metrics of the service, and this document.")
        .routes(routes!(healthz))
        .routes(routes!(readiness::readyz))
        .routes(routes!(metrics::metrics))
        .routes(routes!(docs::openapi))
        .merge(job::routes())
        .merge(timer::routes())
        .merge(position::routes())
        .merge(system::routes())
}

/// Check liveness.
///
/// Succeeds as long as the process can respond; the database is not checked.
#[utoipa::path(get, path = "/healthz", tag = "platform", operation_id = "get_health", security(()),
    responses((status = 200, description = "The process is alive.", body = String, content_type = "text/plain")))]
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}
