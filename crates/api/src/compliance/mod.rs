//! The audit log and its exports.
//!
//! | file | what it owns |
//! |---|---|
//! | `audit_log.rs` | listing entries |
//! | `platform_audit_log.rs` | listing entries of the platform's audit trail |
//! | `export.rs` | exporting entries as CSV and JSON |
//! | `platform_export.rs` | the same for the platform's audit trail |

mod audit_log;
pub(crate) mod export;
mod platform_audit_log;
mod platform_export;

use utoipa_axum::router::OpenApiRouter;

use crate::http::app::App;

/// The routes of the module.
pub(crate) fn routes() -> OpenApiRouter<App> {
    let of_organizations = audit_log::routes().merge(export::routes());
    of_organizations.merge(platform_audit_log::routes()).merge(platform_export::routes())
}
