//! HTTP: routes, who may, what is asked, how it is answered.
//!
//! | file | what it owns |
//! |---|---|
//! | `app.rs` | what handlers work with |
//! | `rights.rs` | who may: rights as types |
//! | `request/` | callers, bodies, conditions |
//! | `answer.rs` | what a command is answered with |
//! | `listing.rs` | filter, sort, pages |
//! | `problem.rs` | why not (RFC 9457) |
//! | `serve.rs` | connections, until the service is stopped |
//!
//! The rooms, `identity` and `platform`, hold the handlers: parse, one call, answer.

mod answer;
mod app;
mod identity;
mod listing;
mod platform;
mod problem;
mod request;
mod rights;
mod serve;

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, Method, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

pub use self::{
    app::{App, Settings},
    serve::serve,
};
use self::{
    identity::{invitation, organization, session, user},
    problem::Problem,
    request::RequestId,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "PortTask Admin",
        description = "Organizations, users and access of PortTask. Every change is an event of an immutable log.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/", description = "This service")),
    security(("session" = [])),
    components(schemas(Problem)),
    modifiers(&Security)
)]
struct Document;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let session = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("session", session);
    }
}

/// The routes, and the document that describes them.
fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(invitation::set_up))
        .routes(routes!(invitation::accept_invitation))
        .routes(routes!(session::sign_in))
        .routes(routes!(session::current_session, session::sign_out))
        .routes(routes!(session::list_sessions))
        .routes(routes!(session::revoke_session))
        .routes(routes!(organization::create_organization, organization::list_organizations))
        .routes(routes!(organization::get_organization, organization::change_organization))
        .routes(routes!(organization::suspend_organization))
        .routes(routes!(organization::reactivate_organization))
        .routes(routes!(organization::deactivate_organization))
        .routes(routes!(user::invite_user, user::list_users))
        .routes(routes!(user::get_user, user::change_user))
        .routes(routes!(user::deactivate_user))
        .routes(routes!(user::reactivate_user))
        .routes(routes!(platform::healthz))
        .routes(routes!(platform::readyz))
}

/// The OpenAPI 3.1 document, as JSON.
pub fn document() -> String {
    let document = routes().into_openapi();
    document.to_pretty_json().unwrap_or_else(|error| unreachable!("a document that is no JSON: {error}"))
}

/// The whole service.
pub fn router(app: App) -> Router {
    let text = document();
    let openapi = move || {
        let text = text.clone();
        async move { ([("content-type", "application/json")], text) }
    };
    let (router, _) = routes().split_for_parts();
    router
        .route("/openapi.json", axum::routing::get(openapi))
        .fallback(|| async { Problem::not_found("resource") })
        .method_not_allowed_fallback(|method: Method| async move {
            let detail = format!("this resource does not know the method {method}");
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
        })
        .layer(middleware::from_fn(around))
        .with_state(app)
}

/// What every request gets: an id, and an answer that says it.
async fn around(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).await.into_response();
    tracing::debug!(request = %id.0, %method, path, status = response.status().as_u16(), "answered");
    if let Ok(id) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(request::REQUEST_ID, id);
    }
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}
