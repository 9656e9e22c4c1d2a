//! Pages about support tickets.

mod ticket;

use axum::Router;

use crate::Console;

/// The pages of this module. Those of the settings exist twice: of one's own organization, and of any for staff.
pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .merge(ticket::routes())
        .nest("/settings", ticket::settings())
        .nest("/admin/organizations/{org}", ticket::settings())
}
