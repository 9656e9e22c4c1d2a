//! Support tickets.

mod ticket;
mod ticket_note;

use utoipa_axum::router::OpenApiRouter;

use crate::http::app::App;

/// The routes of the module.
pub(crate) fn routes() -> OpenApiRouter<App> {
    ticket::routes().merge(ticket_note::routes())
}
