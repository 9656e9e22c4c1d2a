//! Pages about what organizations do on PortTask.

mod document;
pub(crate) mod port_call;
mod service_order;
mod vendor;
pub(crate) mod vendor_response;

use axum::Router;

use crate::Console;

pub(crate) fn routes() -> Router<Console> {
    let routes = document::routes().merge(port_call::routes()).merge(service_order::routes());
    routes.merge(vendor::routes()).merge(vendor_response::routes())
}
