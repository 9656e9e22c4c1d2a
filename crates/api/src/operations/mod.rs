//! Operational records.

mod port;
mod port_call;
pub(crate) mod service_order;
mod vendor;

use utoipa_axum::router::OpenApiRouter;

use crate::http::app::App;

/// The routes of the module.
pub(crate) fn routes() -> OpenApiRouter<App> {
    port::routes().merge(port_call::routes()).merge(service_order::routes()).merge(vendor::routes())
}
