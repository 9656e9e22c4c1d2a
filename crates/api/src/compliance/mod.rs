//! The audit log and its exports.
//!
//! | file | what it owns |
//! |---|---|
//! | `audit_log.rs` | listing entries |
//! | `platform_audit_log.rs` | listing entries of the platform's audit trail |
//! | `export.rs` | exporting entries as CSV and JSON |

mod audit_log;
pub(crate) mod export;
mod platform_audit_log;

use utoipa_axum::router::OpenApiRouter;

use crate::http::app::App;

/// The routes of the module.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().merge(audit_log::routes()).merge(export::routes()).merge(platform_audit_log::routes())
}
