//! Operational records.

mod document;
mod port;
mod port_call;
mod related;
pub(crate) mod service_order;
mod vendor;

use utoipa_axum::router::OpenApiRouter;

use crate::http::app::App;

/// The routes of the module.
pub(crate) fn routes() -> OpenApiRouter<App> {
    let routes = document::routes().merge(port::routes()).merge(port_call::routes());
    routes.merge(service_order::routes()).merge(vendor::routes())
}
