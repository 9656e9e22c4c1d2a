//! Pages about what organizations do on PortTask.

mod document;
mod vendor;

use axum::Router;

use crate::Console;

pub(crate) fn routes() -> Router<Console> {
    vendor::routes().merge(document::routes())
}
