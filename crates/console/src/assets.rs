//! Style sheet, scripts, fonts and icons: compressed once, at an address that changes with their content.

use std::{collections::BTreeMap, io::Write, sync::LazyLock};

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

use crate::Console;

/// Where assets are.
pub(crate) const PREFIX: &str = "/console/";

/// The assets, by name, with their media types. Fonts are compressed already.
const FILES: [(&str, &str, &[u8]); 10] = [
    ("console.css", "text/css; charset=utf-8", include_bytes!("../assets/console.css")),
    ("console.js", "text/javascript; charset=utf-8", include_bytes!("../assets/console.js")),
    ("early.js", "text/javascript; charset=utf-8", include_bytes!("../assets/early.js")),
    ("htmx.min.js", "text/javascript; charset=utf-8", include_bytes!("../assets/htmx.min.js")),
    ("icons.svg", "image/svg+xml", include_bytes!("../assets/icons.svg")),
    ("mark.svg", "image/svg+xml", include_bytes!("../assets/mark.svg")),
    ("payment.js", "text/javascript; charset=utf-8", include_bytes!("../assets/payment.js")),
    ("prefetch.json", "application/speculationrules+json", include_bytes!("../assets/prefetch.json")),
    (LATIN, FONT, include_bytes!("../assets/geist-latin-wght-normal.woff2")),
    (LATIN_EXT, FONT, include_bytes!("../assets/geist-latin-ext-wght-normal.woff2")),
];
const FONT: &str = "font/woff2";
/// The font that every page needs.
pub(crate) const LATIN: &str = "geist-latin-wght-normal.woff2";
const LATIN_EXT: &str = "geist-latin-ext-wght-normal.woff2";

/// The hash in the address of all assets.
static HASH: LazyLock<String> = LazyLock::new(|| {
    let hash = FILES.iter().fold(Sha256::new(), |hash, (_, _, content)| hash.chain_update(content)).finalize();
    hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
});

/// The address of an asset.
pub(crate) fn url(name: &str) -> String {
    format!("{PREFIX}{}/{name}", *HASH)
}

/// The assets, as they are sent.
pub(crate) struct Assets(BTreeMap<&'static str, Asset>);

struct Asset {
    media: &'static str,
    plain: &'static [u8],
    gzip: Option<Vec<u8>>,
}

impl Assets {
    pub(crate) fn new() -> Self {
        let asset = |(name, media, plain): (_, &'static str, _)| {
            (name, Asset { media, plain, gzip: (media != FONT).then(|| gzip(plain)).flatten() })
        };
        Self(FILES.into_iter().map(asset).collect())
    }
}

fn gzip(plain: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).ok()?;
    encoder.finish().ok()
}

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/console/{hash}/{name}", get(asset))
}

async fn asset(
    axum::extract::State(console): axum::extract::State<Console>,
    Path((hash, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let Some(asset) = console.assets.0.get(name.as_str()) else { return StatusCode::NOT_FOUND.into_response() };
    let accepts = headers.get(header::ACCEPT_ENCODING).and_then(|it| it.to_str().ok()).unwrap_or_default();
    // An address of another version of the console is answered, but not kept.
    let keep = if hash == *HASH { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut response = match &asset.gzip {
        Some(gzip) if accepts.contains("gzip") => ([(header::CONTENT_ENCODING, "gzip")], gzip.clone()).into_response(),
        Some(_) | None => asset.plain.into_response(),
    };
    let own = response.headers_mut();
    own.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.media));
    own.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    own.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_styles_stay_within_their_budgets() {
        let assets = Assets::new();
        let size = |name| assets.0.get(name).and_then(|asset| asset.gzip.as_ref()).map_or(usize::MAX, Vec::len);
        let scripts = size("console.js") + size("early.js") + size("htmx.min.js");
        assert!(scripts <= 20 * 1024, "{scripts} bytes of scripts");
        assert!(size("console.css") <= 10 * 1024, "{} bytes of styles", size("console.css"));
    }
}
