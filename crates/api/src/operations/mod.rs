//! Operational records.

mod document;
mod port;
mod port_call;
mod vendor;

use utoipa_axum::router::OpenApiRouter;

use crate::http::app::App;

/// The routes of the module.
pub(crate) fn routes() -> OpenApiRouter<App> {
    document::routes().merge(port::routes()).merge(port_call::routes()).merge(vendor::routes())
}
