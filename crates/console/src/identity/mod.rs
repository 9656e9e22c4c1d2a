//! Pages about organizations, users, sessions and API keys.

pub(crate) mod api_key;
pub(crate) mod forgot_password;
pub(crate) mod impersonation;
pub(crate) mod import;
pub(crate) mod link;
pub(crate) mod me;
pub(crate) mod organization;
pub(crate) mod session;
pub(crate) mod sign_in;
pub(crate) mod super_admin;
pub(crate) mod user;

use axum::Router;

use crate::Console;

/// The pages of this module. Those of the settings exist twice: of one's own organization, and of any for staff.
pub(crate) fn routes() -> Router<Console> {
    let settings = || {
        Router::new()
            .merge(organization::settings())
            .merge(user::settings())
            .merge(import::settings())
            .merge(api_key::settings())
    };
    Router::new()
        .merge(sign_in::routes())
        .merge(forgot_password::routes())
        .merge(link::routes())
        .merge(me::routes())
        .merge(impersonation::routes())
        .merge(organization::routes())
        .merge(user::routes())
        .merge(super_admin::routes())
        .nest("/settings", settings())
        .nest("/admin/organizations/{org}", settings())
}
