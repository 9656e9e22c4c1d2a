//! The metrics endpoint and its access check.

use std::net::IpAddr;

use axum::{
    extract::State,
    http::{Extensions, HeaderMap, header},
    response::{IntoResponse, Response},
};
use subtle::ConstantTimeEq;

use crate::http::{
    app::{App, Settings},
    problem::Problem,
    request::{bearer, is_forwarded, peer},
};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Get the metrics.
///
/// In the OpenMetrics text format, without ids of people or organizations. If PORTTASK_METRICS_TOKEN is set, that token
/// is required; if not, only requests from the same machine are served, and none that came through a proxy. Others get
/// 404.
#[utoipa::path(get, path = "/metrics", tag = "platform", operation_id = "get_metrics", security((), ("metrics" = [])),
    responses((status = 200, description = "The metrics.", body = String, content_type = OPEN_METRICS),
        (status = 404, description = "The caller may not read the metrics.", body = Problem,
            content_type = "application/problem+json")))]
pub(crate) async fn metrics(
    State(app): State<App>,
    extensions: Extensions,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let may_see = match app.settings.metrics_token.as_deref() {
        None => is_local(&app.settings, &extensions, &headers),
        token => has_token(token, &headers),
    };
    if !may_see {
        return Err(Problem::not_found("resource"));
    }
    let text = app.metrics.text().map_err(|error| Problem::unavailable(&error))?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS), (header::CACHE_CONTROL, "no-store")], text).into_response())
}

/// Whether a request has the metrics token, if one is configured.
pub(super) fn has_token(token: Option<&str>, headers: &HeaderMap) -> bool {
    let shown = bearer(headers).zip(token);
    shown.is_some_and(|(shown, token)| bool::from(shown.as_bytes().ct_eq(token.as_bytes())))
}

/// Whether a request comes from this machine. One with forwarding headers is not local, even if a proxy on this machine is
/// not configured as trusted; and one from a trusted proxy is not, even without such headers.
pub(super) fn is_local(settings: &Settings, extensions: &Extensions, headers: &HeaderMap) -> bool {
    is_from_here(extensions, headers, |address| settings.trusts(address))
}

fn is_from_here(extensions: &Extensions, headers: &HeaderMap, is_proxy: impl Fn(IpAddr) -> bool) -> bool {
    peer(extensions).is_some_and(|peer| peer.is_loopback() && !is_proxy(peer)) && !is_forwarded(headers)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::extract::ConnectInfo;

    use super::*;

    fn is_here(peer: &str, sent: &[(&'static str, &str)], proxy: Option<&str>) -> bool {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        let headers = sent.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        is_from_here(&extensions, &headers, |address| proxy.is_some_and(|proxy| proxy.parse() == Ok(address)))
    }

    #[test]
    fn a_local_request_comes_from_this_machine_and_through_no_proxy() {
        for peer in ["127.0.0.1:9", "[::1]:9", "[::ffff:127.0.0.1]:9"] {
            assert!(is_here(peer, &[], None), "{peer}");
        }
        assert!(!is_here("192.0.2.1:9", &[], None));
        assert!(!is_here("192.0.2.1:9", &[("x-forwarded-for", "127.0.0.1")], None));
        for header in ["x-forwarded-for", "forwarded", "x-real-ip", "via"] {
            assert!(!is_here("127.0.0.1:9", &[(header, "127.0.0.1")], None), "{header}");
        }
        assert!(!is_here("127.0.0.1:9", &[], Some("127.0.0.1")), "a proxy that adds no header");
    }

    #[test]
    fn a_token_must_be_configured_and_shown() {
        let has = |token, shown: &str| {
            let headers = [(header::AUTHORIZATION, shown.parse().unwrap())].into_iter().collect();
            has_token(token, &headers)
        };
        assert!(has(Some("secret"), "Bearer secret"));
        for (token, shown) in [
            (Some("secret"), "Bearer secres"),
            (Some("secret"), "Bearer "),
            (Some("secret"), "secret"),
            (None, "Bearer "),
        ] {
            assert!(!has(token, shown), "{token:?} {shown}");
        }
    }
}
