//! The OpenAPI document, and Swagger UI without external resources.

use std::sync::{Arc, LazyLock};

use axum::{
    Extension, Router,
    extract::Path,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use utoipa_swagger_ui::{Config, SwaggerFile};

use crate::http::{app::App, problem::Problem};

/// The files of Swagger UI that are served; the library contains more.
const FILES: [&str; 8] = [
    "index.html",
    "index.css",
    "swagger-ui.css",
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-initializer.js",
    "favicon-16x16.png",
    "favicon-32x32.png",
];

/// Scripts, styles, images and requests only from and to this service.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The OpenAPI document as JSON.
#[derive(Clone)]
pub(crate) struct Document(Arc<str>);

impl From<String> for Document {
    fn from(json: String) -> Self {
        Self(json.into())
    }
}

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    // By default, Swagger UI sends the document to a validator on the Internet.
    Arc::new(Config::new(["/openapi.json"]).validator_url("none").deep_linking(true).use_base_layout())
});

/// Get the OpenAPI document.
///
/// In OpenAPI 3.1. `/docs` shows it as web pages.
#[utoipa::path(get, path = "/openapi.json", tag = "platform", operation_id = "get_document", security(()),
    responses((status = 200, description = "The document.", body = Object)))]
pub(crate) async fn openapi(Extension(Document(json)): Extension<Document>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], json.to_string()).into_response()
}

/// The routes of Swagger UI.
pub(crate) fn pages() -> Router<App> {
    Router::new()
        .route("/docs", get(|| async { Redirect::permanent("/docs/") }))
        .route("/docs/", get(|| file(Path("index.html".to_owned()))))
        .route("/docs/{file}", get(file))
}

async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    let missing = || Problem::not_found("resource");
    if !FILES.contains(&name.as_str()) {
        return Err(missing());
    }
    let served = utoipa_swagger_ui::serve(&name, Arc::clone(&CONFIG)).map_err(|error| Problem::unavailable(&error))?;
    let SwaggerFile { bytes, content_type, gzpipped, .. } = served.ok_or_else(missing)?;
    let mut response = bytes.into_owned().into_response();
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_str(&content_type).map_err(|error| Problem::unavailable(&error))?;
    headers.insert(header::CONTENT_TYPE, content_type);
    if gzpipped {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cache-control", "public, max-age=3600"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    Ok(response)
}
