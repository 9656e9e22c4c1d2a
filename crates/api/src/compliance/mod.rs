//! What is there for those who check what was done.
//!
//! | file | what it owns |
//! |---|---|
//! | `audit_log.rs` | entries: listed and shown |
//! | `export.rs` | entries: taken out as CSV and JSON |

mod audit_log;
pub(crate) mod export;

use utoipa_axum::router::OpenApiRouter;

use crate::http::app::App;

/// The routes of the module.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().merge(audit_log::routes()).merge(export::routes())
}
