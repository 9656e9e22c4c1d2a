//! Pages about what organizations do on PortTask.

mod document;
mod port_call;
mod vendor;

use axum::Router;

use crate::Console;

pub(crate) fn routes() -> Router<Console> {
    document::routes().merge(port_call::routes()).merge(vendor::routes())
}
