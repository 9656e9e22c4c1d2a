//! Pages about what was done.

pub(crate) mod audit_log;

use axum::Router;

use crate::Console;

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .merge(audit_log::routes())
        .nest("/settings", audit_log::settings())
        .nest("/admin/organizations/{org}", audit_log::settings())
}
