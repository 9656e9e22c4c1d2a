//! The HTTP API: routes, authorization, requests, responses.
//!
//! | module | what it owns |
//! |---|---|
//! | `http` | what every endpoint shares |
//! | `identity` | organizations, users, sessions, API keys, invitations |
//! | `compliance` | the audit log and its exports |
//! | `operations` | what organizations do on PortTask |
//! | `platform` | health, metrics, jobs, the OpenAPI document |
//!
//! A handler parses, makes one call, and returns the result.

mod compliance;
mod http;
mod identity;
mod operations;
mod platform;

use std::{future::Future, io, time::Duration};

use axum::{
    Extension, Router,
    http::{Method, StatusCode},
    middleware,
};
use tokio::net::TcpListener;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

pub use self::{
    compliance::export::{Head, render, render_of_the_platform},
    http::{
        app::{App, Settings},
        limits::Rates,
        middleware::ACCESS_LOG,
        serve::Connections,
    },
};
use self::{
    http::{denials, denials::Operations, document, problem::Problem},
    platform::docs::Document,
};

/// The routes, and the document that describes them.
fn routes() -> OpenApiRouter<App> {
    let modules = [identity::routes(), compliance::routes(), operations::routes(), platform::routes()];
    modules.into_iter().fold(document::frame(), OpenApiRouter::merge)
}

/// The OpenAPI 3.1 document, as JSON.
pub fn document() -> String {
    json(document::complete(routes().into_openapi()))
}

fn json(document: OpenApi) -> String {
    document.to_pretty_json().unwrap_or_else(|error| unreachable!("the document is not valid JSON: {error}"))
}

/// Serves until `stop` is ready, and at most `grace` longer. Returns whether all requests could finish.
///
/// # Errors
/// If connections cannot be accepted.
pub async fn serve(
    listener: TcpListener,
    app: App,
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
    http::serve::serve(listener, router(app), bounds, is_exempt, open, stop, grace).await
}

/// The router of the whole service.
fn router(app: App) -> Router {
    let (router, document) = routes().split_for_parts();
    let operations = Operations::of(&document);
    let public_posts = document::public_post_paths(&document);
    let document = Document::from(json(document::complete(document)));
    let router = router
        .merge(platform::docs::pages())
        .fallback(|| async { Problem::not_found("resource") })
        .method_not_allowed_fallback(|method: Method| async move {
            let detail = format!("This resource does not support the method {method}.");
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
        })
        .layer(Extension(document))
        .layer(middleware::from_fn_with_state((app.clone(), operations), denials::record));
    http::middleware::surround(router, &app, public_posts).with_state(app)
}

#[cfg(test)]
mod tests;
