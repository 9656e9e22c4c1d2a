//! Organizations, users, sessions.

mod api_key;
mod impersonation;
pub(crate) mod import;
mod invitation;
mod invitation_quota;
mod invite;
pub(crate) mod link;
mod me;
mod organization;
mod password;
mod search;
mod session;
mod super_admin;
mod user;

use utoipa_axum::router::OpenApiRouter;

use crate::http::app::App;

/// The routes of the module.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(invitation::routes())
        .merge(password::routes())
        .merge(me::routes())
        .merge(session::routes())
        .merge(organization::routes())
        .merge(invitation_quota::routes())
        .merge(user::routes())
        .merge(invite::routes())
        .merge(impersonation::routes())
        .merge(api_key::routes())
        .merge(search::routes())
        .merge(super_admin::routes())
        .merge(import::routes())
}
