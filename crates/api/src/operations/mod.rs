//! Operational records.

mod document;
mod vendor;

use utoipa_axum::router::OpenApiRouter;

use crate::http::app::App;

/// The routes of the module.
pub(crate) fn routes() -> OpenApiRouter<App> {
    vendor::routes().merge(document::routes())
}
