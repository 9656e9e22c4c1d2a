//! HTTP: routes, who may, what is asked, how it is answered.
//!
//! | file | what it owns |
//! |---|---|
//! | `app.rs` | what handlers work with |
//! | `rights.rs` | who may: rights as types |
//! | `request/` | callers, bodies, conditions |
//! | `answer.rs` | what a command is answered with |
//! | `jobs.rs` | long work, and how far it has come |
//! | `listing.rs` | filter, sort, pages |
//! | `problem.rs` | why not (RFC 9457) |
//! | `refused.rs` | why not, for the audit log |
//! | `document.rs` | how all of this is described (OpenAPI) |
//! | `around/` | what surrounds every request: id, measure, limit, deadline |
//! | `serve.rs` | connections, until the service is stopped |
//!
//! The rooms, `identity`, `compliance` and `platform`, hold the handlers: parse, one call, answer.

mod answer;
mod app;
mod around;
mod compliance;
mod document;
mod identity;
mod jobs;
mod listing;
mod platform;
mod problem;
mod refused;
mod request;
mod rights;
mod serve;

use axum::{
    Router,
    http::{Method, StatusCode},
    middleware,
};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use self::{
    app::{App, Settings},
    around::Rates,
    compliance::export::render,
    serve::{Connections, serve},
};
use self::{
    compliance::{audit_log, export},
    identity::{
        api_key, impersonation, import, invitation, invite, me, organization, password, search, session, super_admin,
        user,
    },
    problem::Problem,
    refused::Operations,
};

/// The routes, and the document that describes them.
fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(document::Frame::openapi())
        .routes(routes!(invitation::set_up))
        .routes(routes!(invitation::accept_invitation))
        .routes(routes!(password::request_password_reset))
        .routes(routes!(password::complete_password_reset))
        .routes(routes!(password::reset_password))
        .routes(routes!(password::change_password))
        .routes(routes!(password::unlock_user))
        .routes(routes!(me::get_me, me::change_me))
        .routes(routes!(me::get_my_permissions))
        .routes(routes!(me::change_my_address))
        .routes(routes!(me::confirm_address))
        .routes(routes!(session::sign_in))
        .routes(routes!(session::current_session, session::sign_out))
        .routes(routes!(session::listing::list_sessions, session::revoke_sessions))
        .routes(routes!(session::listing::list_my_sessions, session::revoke_my_sessions))
        .routes(routes!(session::revoke_my_session))
        .routes(routes!(session::revoke_session))
        .routes(routes!(organization::create_organization, organization::list_organizations))
        .routes(routes!(organization::get_organization, organization::change_organization))
        .routes(routes!(organization::suspend_organization))
        .routes(routes!(organization::reactivate_organization))
        .routes(routes!(organization::deactivate_organization))
        .routes(routes!(invite::invite_user, user::list_users))
        .routes(routes!(invite::invite_users))
        .routes(routes!(user::get_user, user::change_user))
        .routes(routes!(user::deactivate_user))
        .routes(routes!(user::reactivate_user))
        .routes(routes!(impersonation::impersonate_user))
        .routes(routes!(invite::send_invitation))
        .routes(routes!(invite::revoke_invitation))
        .routes(routes!(api_key::create_api_key, api_key::listing::list_api_keys))
        .routes(routes!(api_key::listing::get_api_key))
        .routes(routes!(api_key::rotate_api_key))
        .routes(routes!(api_key::revoke_api_key))
        .routes(routes!(api_key::adopt_api_key))
        .routes(routes!(search::search_users))
        .routes(routes!(super_admin::list_super_admins, super_admin::promote_super_admin))
        .routes(routes!(super_admin::demote_super_admin))
        .routes(routes!(audit_log::list_audit_log))
        .routes(routes!(export::export_audit_log))
        .routes(routes!(import::import_users))
        .routes(routes!(import::get_job_report))
        .routes(routes!(jobs::list_jobs))
        .routes(routes!(jobs::get_job))
        .routes(routes!(platform::healthz))
        .routes(routes!(platform::readyz))
        .routes(routes!(platform::metrics::metrics))
        .routes(routes!(platform::docs::openapi))
}

/// The OpenAPI 3.1 document, as JSON.
pub fn document() -> String {
    let document = document::complete(routes().into_openapi());
    document.to_pretty_json().unwrap_or_else(|error| unreachable!("a document that is no JSON: {error}"))
}

/// The whole service.
fn router(app: App) -> Router {
    let (router, document) = routes().split_for_parts();
    let router = router
        .merge(platform::docs::pages())
        .fallback(|| async { Problem::not_found("resource") })
        .method_not_allowed_fallback(|method: Method| async move {
            let detail = format!("this resource does not know the method {method}");
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
        })
        .layer(middleware::from_fn_with_state((app.clone(), Operations::of(&document)), refused::note));
    around::surround(router, &app).with_state(app)
}
