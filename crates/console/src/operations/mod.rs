//! Pages about what organizations do on PortTask.

mod port_call;
mod vendor;

use axum::Router;

use crate::Console;

pub(crate) fn routes() -> Router<Console> {
    port_call::routes().merge(vendor::routes())
}
