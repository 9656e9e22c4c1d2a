//! The OpenAPI document, and Swagger UI without external resources.

use std::{
    io::Read,
    sync::{Arc, LazyLock},
};

use axum::{
    Extension, Router,
    extract::Path,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use flate2::read::GzDecoder;
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
        .route("/docs/", get(|headers| file(Path("index.html".to_owned()), headers)))
        .route("/docs/{file}", get(file))
}

async fn file(Path(name): Path<String>, asked: HeaderMap) -> Result<Response, Problem> {
    let missing = || Problem::not_found("resource");
    if !FILES.contains(&name.as_str()) {
        return Err(missing());
    }
    let served = utoipa_swagger_ui::serve(&name, Arc::clone(&CONFIG)).map_err(|error| Problem::unavailable(&error))?;
    let SwaggerFile { bytes, content_type, gzpipped, .. } = served.ok_or_else(missing)?;
    let is_compressed = gzpipped && accepts_gzip(&asked);
    let bytes = match gzpipped && !is_compressed {
        true => decompressed(&bytes).map_err(|error| Problem::unavailable(&error))?,
        false => bytes.into_owned(),
    };
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_str(&content_type).map_err(|error| Problem::unavailable(&error))?;
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if is_compressed {
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

fn decompressed(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut decompressed = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut decompressed)?;
    Ok(decompressed)
}

/// Whether `Accept-Encoding` names gzip, or everything, and does not exclude it (RFC 9110).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let codings = lists.flat_map(|list| list.split(',')).filter_map(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().strip_prefix(['q', 'Q'])?.trim_start().strip_prefix('=')?;
        Some((name.trim().to_ascii_lowercase(), weight.trim().parse::<f32>().ok()?))
    });
    let codings: Vec<(String, f32)> = codings.collect();
    let weight = |names: &[&str]| codings.iter().find(|(name, _)| names.contains(&name.as_str())).map(|it| it.1);
    weight(&["gzip", "x-gzip"]).or_else(|| weight(&["*"])).is_some_and(|weight| weight > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_only_to_those_who_ask_for_it() {
        let accepts =
            |value: &str| accepts_gzip(&[(header::ACCEPT_ENCODING, value.parse().unwrap())].into_iter().collect());
        for asks in ["gzip", "deflate, gzip;q=0.5", "GZIP", "br, *;q=0.1", "x-gzip", "gzip; q=1.0"] {
            assert!(accepts(asks), "{asks}");
        }
        for refuses in ["", "identity", "gzip;q=0", "*, gzip;q=0.000", "br", "gzip;q=many", "*;q=0"] {
            assert!(!accepts(refuses), "{refuses}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
