//! Pages about the service itself: its health, help, going to a page, undoing a change.

mod help;
mod search;
mod system;
mod undo;

use axum::Router;

use crate::Console;

pub(crate) fn routes() -> Router<Console> {
    Router::new().merge(system::routes()).merge(search::routes()).merge(help::routes()).merge(undo::routes())
}
