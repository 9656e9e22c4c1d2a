//! Protects pages: changes come from our own pages only, and every answer carries the headers of a strict policy.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{Console, assets};

/// The content security policy: everything from this host, nothing inline, no evaluation.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types console";

/// Headers of every answer.
const HEADERS: [(&str, &str); 6] = [
    ("content-security-policy", POLICY),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=()"),
    ("x-content-type-options", "nosniff"),
    ("x-robots-tag", "noindex"),
];

/// The pages that links in emails open: they must not tell other pages where somebody came from.
const LANDING_PAGES: [&str; 6] =
    ["/setup", "/invitation", "/password-reset", "/address-change", "/address-change-cancellation", "/vendor-response"];

/// Whether a request that changes something comes from our own pages. Browsers say so in `Sec-Fetch-Site`, older ones by
/// `Origin`; whoever says neither is refused.
fn is_ours(headers: &HeaderMap, public_url: &str) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    match text(HeaderName::from_static("sec-fetch-site")) {
        Some(site) => site == "same-origin",
        None => text(header::ORIGIN).is_some_and(|origin| origin == public_url || is_same_host(origin, headers)),
    }
}

/// Whether an origin is the host that was asked: a service is reached by several names of its machine.
fn is_same_host(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.is_some_and(|host| origin.split_once("://").is_some_and(|(_, rest)| rest == host))
}

/// Refuses cross-site changes, and adds the headers.
pub(crate) async fn guard(State(console): State<Console>, request: Request, next: Next) -> Response {
    let is_change = !matches!(*request.method(), Method::GET | Method::HEAD);
    let path = request.uri().path().to_owned();
    let mut response = if is_change && !is_ours(request.headers(), &console.settings.public_url) {
        (StatusCode::FORBIDDEN, "Changes are accepted from the pages of this service only.").into_response()
    } else {
        next.run(request).await
    };
    protect(response.headers_mut(), &path);
    response
}

/// Adds the headers of every answer, for a path.
pub(crate) fn protect(headers: &mut HeaderMap, path: &str) {
    for (name, value) in HEADERS {
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    let is_landing = LANDING_PAGES.iter().any(|page| path.starts_with(page));
    let referrer = if is_landing { "no-referrer" } else { "same-origin" };
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static(referrer));
    if !path.starts_with(assets::PREFIX) {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        pairs.collect()
    }

    #[test]
    fn changes_come_from_our_own_pages() {
        let url = "https://admin.example";
        assert!(is_ours(&headers(&[("sec-fetch-site", "same-origin")]), url));
        assert!(is_ours(&headers(&[("origin", "https://admin.example")]), url));
        assert!(is_ours(&headers(&[("origin", "http://10.0.0.7:8080"), ("host", "10.0.0.7:8080")]), url));
        for foreign in [
            headers(&[("sec-fetch-site", "cross-site"), ("origin", "https://admin.example")]),
            headers(&[("sec-fetch-site", "same-site")]),
            headers(&[("sec-fetch-site", "none")]),
            headers(&[("origin", "https://evil.example"), ("host", "admin.example")]),
            headers(&[("origin", "null"), ("host", "admin.example")]),
            headers(&[]),
        ] {
            assert!(!is_ours(&foreign, url), "{foreign:?}");
        }
    }
}
