//! The metrics endpoint and its access check.

use axum::{
    extract::State,
    http::{Extensions, HeaderMap, header},
    response::{IntoResponse, Response},
};
use subtle::ConstantTimeEq;

use crate::http::{
    app::App,
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
    if !may_see(app.settings.metrics_token.as_deref(), &extensions, &headers) {
        return Err(Problem::not_found("resource"));
    }
    let text = app.metrics.text().map_err(|error| Problem::unavailable(&error))?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS), (header::CACHE_CONTROL, "no-store")], text).into_response())
}

/// A request with forwarding headers is not local, even if a proxy on this machine is not configured as trusted.
fn may_see(token: Option<&str>, extensions: &Extensions, headers: &HeaderMap) -> bool {
    match token {
        Some(token) => bearer(headers).is_some_and(|shown| bool::from(shown.as_bytes().ct_eq(token.as_bytes()))),
        None => peer(extensions).is_some_and(|peer| peer.is_loopback()) && !is_forwarded(headers),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::extract::ConnectInfo;

    use super::*;

    fn sees(token: Option<&str>, peer: &str, sent: &[(&'static str, &str)]) -> bool {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        let headers = sent.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        may_see(token, &extensions, &headers)
    }

    #[test]
    fn only_who_is_on_this_machine_or_has_the_token() {
        assert!(sees(None, "127.0.0.1:9", &[]));
        assert!(sees(None, "[::1]:9", &[]));
        assert!(sees(None, "[::ffff:127.0.0.1]:9", &[]));
        assert!(!sees(None, "192.0.2.1:9", &[]));
        assert!(!sees(None, "192.0.2.1:9", &[("x-forwarded-for", "127.0.0.1")]));
        for header in ["x-forwarded-for", "forwarded", "x-real-ip", "via"] {
            assert!(!sees(None, "127.0.0.1:9", &[(header, "127.0.0.1")]), "{header}");
        }
        assert!(sees(Some("secret"), "192.0.2.1:9", &[("authorization", "Bearer secret")]));
        for (peer, shown) in [("192.0.2.1:9", "Bearer secres"), ("127.0.0.1:9", "Bearer "), ("127.0.0.1:9", "secret")] {
            assert!(!sees(Some("secret"), peer, &[("authorization", shown)]), "{peer} {shown}");
        }
        assert!(!sees(Some("secret"), "127.0.0.1:9", &[]), "a configured token is required everywhere");
    }
}
