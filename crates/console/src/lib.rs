//! The web console: complete HTML pages, made on the server, that call the API's router in process.
//!
//! A page can do what a customer's program can do, with the session of its reader, and nothing else: permissions, limits and
//! rules are those of the API. Every page works without JavaScript; htmx and `assets/console.js` add dialogs and live
//! updates.
//!
//! | module | what it owns |
//! |---|---|
//! | `api` | the client of the API |
//! | `guard` | cross-site requests and response headers |
//! | `cookies` | the cookies of a session |
//! | `visit` | who asks for a page, and what its frame shows |
//! | `form`, `action` | forms; commands that are previewed and confirmed |
//! | `failure` | pages that say why something failed |
//! | `assets` | style sheet, scripts, fonts, icons |
//! | `ui` | the parts that pages are made of |
//! | `identity`, `compliance`, `operations`, `support`, `billing`, `platform` | the pages, by noun |

mod action;
mod api;
mod assets;
mod billing;
mod compliance;
mod cookies;
mod failure;
mod form;
mod guard;
mod identity;
mod live;
mod operations;
mod platform;
mod support;
mod ui;
mod visit;

use std::{path::PathBuf, sync::Arc};

use axum::{
    Router,
    http::{Extensions, HeaderMap},
    middleware,
};
use tower_http::compression::CompressionLayer;

use self::{assets::Assets, cookies::Cookies};

/// How the console is embedded.
#[derive(Clone)]
pub struct Settings {
    /// The public URL of the service, without a slash at its end.
    pub public_url: String,
    /// What a call of the API inherits of the page's request: connection, request id, caller. Nothing else is passed on.
    pub inherited: fn(&Extensions) -> Extensions,
    /// The folder in which emails stay if none is sent.
    pub mail_folder: Option<String>,
    /// The file with the master key, and its fingerprint, if it is kept in a file.
    pub master_key: Option<(PathBuf, String)>,
}

/// The state that pages share.
#[derive(Clone)]
pub(crate) struct Console(Arc<Parts>);

pub(crate) struct Parts {
    api: Router,
    settings: Settings,
    cookies: Cookies,
    assets: Assets,
}

impl std::ops::Deref for Console {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The pages whose POST needs no session: attempts that are limited by network.
pub const PUBLIC_POSTS: [&str; 8] = [
    "/sign-in",
    "/forgot-password",
    "/setup",
    "/invitation",
    "/password-reset",
    "/address-change",
    "/address-change-cancellation",
    "/vendor-response",
];

/// The token of the session in a request for a page, by which its requests are limited.
pub fn token(settings: &Settings, headers: &HeaderMap) -> Option<String> {
    Cookies::new(&settings.public_url).token(headers)
}

/// Around the pages and what limits their requests: a problem that a request meets before it reaches a page is shown as one.
pub fn readable(router: Router) -> Router {
    router.layer(middleware::from_fn(failure::readable))
}

/// The pages, which call `api` in process. Paths that no page has are answered with 404.
pub fn pages(api: Router, settings: Settings) -> Router {
    let cookies = Cookies::new(&settings.public_url);
    let console = Console(Arc::new(Parts { api, settings, cookies, assets: Assets::new() }));
    let router = Router::new()
        .merge(identity::routes())
        .merge(compliance::routes())
        .merge(operations::routes())
        .merge(support::routes())
        .merge(billing::routes())
        .merge(platform::routes())
        .merge(live::routes())
        .fallback(failure::not_found)
        .method_not_allowed_fallback(failure::method_not_allowed)
        .layer(middleware::from_fn_with_state(console.clone(), failure::render))
        .layer(CompressionLayer::new())
        .merge(assets::routes())
        .layer(middleware::from_fn_with_state(console.clone(), guard::guard));
    router.with_state(console)
}
