//! The HTTP API: routes, authorization, requests, responses.
//!
//! | module | what it owns |
//! |---|---|
//! | `http` | what every endpoint shares |
//! | `billing` | plans, subscriptions, usage |
//! | `identity` | organizations, users, sessions, API keys, invitations |
//! | `compliance` | the audit log and its exports |
//! | `operations` | what organizations do on PortTask |
//! | `support` | tickets |
//! | `platform` | health, metrics, jobs, the OpenAPI document |
//!
//! A handler parses, makes one call, and returns the result.

mod billing;
mod compliance;
mod http;
mod identity;
mod operations;
mod platform;
mod support;

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    extract::ConnectInfo,
    http::{Extensions, HeaderMap, Method, StatusCode},
    middleware,
    routing::any,
};
use tokio::net::TcpListener;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

pub use self::{
    compliance::export::{render, render_of_the_platform},
    http::{
        app::{App, DocumentSettings, Settings},
        csv::Head,
        limits::Rates,
        middleware::{ACCESS_LOG, TokenOf},
        serve::Connections,
    },
};
use self::{
    http::{
        denials,
        denials::{Asker, Operations},
        document,
        middleware::{Budgets, surround},
        problem::Problem,
        request::{RequestId, bearer},
    },
    platform::docs::Document,
};

/// The routes, and the document that describes them.
fn routes() -> OpenApiRouter<App> {
    let modules = [
        identity::routes(),
        compliance::routes(),
        operations::routes(),
        support::routes(),
        billing::routes(),
        platform::routes(),
    ];
    modules.into_iter().fold(document::frame(), OpenApiRouter::merge)
}

/// The OpenAPI 3.1 document, as JSON.
pub fn document() -> String {
    json(document::complete(routes().into_openapi()))
}

fn json(document: OpenApi) -> String {
    document.to_pretty_json().unwrap_or_else(|error| unreachable!("the document is not valid JSON: {error}"))
}

/// Pages that call the operations in process.
pub struct Pages {
    /// The pages, with a fallback for paths that nobody has.
    pub router: Router,
    /// The pages whose POST requires no session.
    pub public_posts: &'static [&'static str],
    /// Finds the token of the session in the headers of a request for a page.
    pub token: TokenOf,
    /// Makes pages of problems that requests meet before they reach a page, such as limits.
    pub readable: fn(Router) -> Router,
}

/// What an operation that a page calls inherits of the request for that page: the connection, the request id, and who asks.
pub fn inherited(page: &Extensions) -> Extensions {
    let mut extensions = Extensions::new();
    if let Some(peer) = page.get::<ConnectInfo<SocketAddr>>() {
        extensions.insert(*peer);
    }
    if let Some(id) = page.get::<RequestId>() {
        extensions.insert(id.clone());
    }
    if let Some(asker) = page.get::<Asker>() {
        extensions.insert(asker.of_page());
    }
    extensions
}

/// Serves until `stop` is ready, and at most `grace` longer. Returns whether all requests could finish.
///
/// # Errors
/// If connections cannot be accepted.
pub async fn serve(
    listener: TcpListener,
    app: App,
    pages: impl FnOnce(Router) -> Pages,
    stop: impl Future<Output = ()> + Send + 'static,
    grace: Duration,
) -> io::Result<bool> {
    let (bounds, open) = (app.settings.connections, app.metrics.connections.clone());
    let settings = app.settings.clone();
    let is_exempt = move |address| settings.trusts(address);
    let streams = app.clone();
    let stop = async move {
        stop.await;
        streams.end_streams();
    };
    http::serve::serve(listener, router(app, pages), bounds, is_exempt, open, stop, grace).await
}

/// The router of the whole service. Pages have the limits of their own requests; what they call in process has none.
fn router(app: App, pages: impl FnOnce(Router) -> Pages) -> Router {
    let (router, document) = routes().split_for_parts();
    let operations = Operations::of(&document);
    let public_posts = Arc::new(document::public_post_paths(&document));
    let document = Document::from(json(document::complete(document)));
    let operations = router
        .merge(platform::docs::pages())
        .method_not_allowed_fallback(|method: Method| async move {
            let detail = format!("This resource does not support the method {method}.");
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
        })
        .layer(Extension(document))
        .layer(middleware::from_fn_with_state((app.clone(), operations), denials::record));
    let not_found = || async { Problem::not_found("resource") };
    let pages = pages(operations.clone().fallback(not_found).with_state(app.clone()));
    let of_pages = Budgets {
        public_posts: Arc::new(pages.public_posts.iter().map(|path| (*path).to_owned()).collect()),
        token: pages.token,
    };
    let of_operations =
        Budgets { public_posts, token: Arc::new(|headers: &HeaderMap| bearer(headers).map(str::to_owned)) };
    // What nobody has is a problem of the API below /v1, and a page elsewhere.
    let unknown = Router::new().route("/v1/{*rest}", any(not_found));
    surround(operations, &app, of_operations.clone())
        .with_state(app.clone())
        .merge(surround(unknown, &app, of_operations))
        .merge((pages.readable)(surround(pages.router, &app, of_pages)))
}

#[cfg(test)]
mod tests;
