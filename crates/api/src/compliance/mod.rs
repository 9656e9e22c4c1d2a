//! The audit log and its exports.
//!
//! | file | what it owns |
//! |---|---|
//! | `audit_log.rs` | listing entries |
//! | `export.rs` | exporting entries as CSV and JSON |

mod audit_log;
pub(crate) mod export;

use utoipa_axum::router::OpenApiRouter;

use crate::http::app::App;

/// The routes of the module.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().merge(audit_log::routes()).merge(export::routes())
}
