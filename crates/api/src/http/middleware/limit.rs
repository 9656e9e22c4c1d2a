//! Enforces rate limits, and reports them in headers.

use std::net::{IpAddr, Ipv6Addr};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use porttask_app::identity::attempts;

use crate::http::{
    app::App,
    denials::Asker,
    limits::Left,
    middleware::Budgets,
    problem::Problem,
    request::{address, is_forwarded, peer},
};

/// Polled by monitoring, or parts of every page: they are cheap, and a rejection would look like an outage.
const UNLIMITED: [&str; 4] = ["/healthz", "/readyz", "/metrics", "/console/{hash}/{name}"];

/// Programs of licensees, which call without a token: they must not use up the attempts of people in their network.
const OF_PROGRAMS: &str = "/v1/licences/";

/// Rejects a request if its budget is exhausted, and reports the budget in headers.
pub(super) async fn limit(State((app, budgets)): State<(App, Budgets)>, mut request: Request, next: Next) -> Response {
    let limits = &app.limits;
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    if UNLIMITED.contains(&route) {
        return next.run(request).await;
    }
    let network = network(&app, &request);
    let is_public_post = request.method() == Method::POST && budgets.public_posts.contains(route);
    let is_attempt = is_public_post && !route.starts_with(OF_PROGRAMS);
    let token = (budgets.token)(request.headers()).filter(|_| !is_attempt).map(|token| limits.key_of(&token));
    let as_stranger = || limits.strangers.as_ref().map(|limit| limit.spend(&network));
    let spent = match token {
        _ if is_attempt => limits.attempts.as_ref().map(|limit| limit.spend(&network)),
        Some(token) => {
            let is_known = limits.is_known(token);
            if let Some(Err(left)) = (!is_known).then(as_stranger).flatten() {
                return refuse(&app, &left);
            }
            limits.sessions.as_ref().map(|limit| limit.spend(&token))
        }
        None => as_stranger(),
    };
    let left = match spent.transpose() {
        Ok(left) => left,
        Err(left) => return refuse(&app, &left),
    };
    let asker = Asker::of(&mut request);
    let mut response = next.run(request).await;
    match token {
        Some(token) if asker.is_known() => limits.remember(token),
        // The token is no longer valid.
        Some(token) if response.status() == StatusCode::UNAUTHORIZED => limits.forget(token),
        Some(_) | None => {}
    }
    // Only failures spend from the budget of attempts; what is accepted for later may send a mail.
    let left = match (left, &limits.attempts) {
        (Some(left), Some(limit)) if is_attempt && is_success(response.status()) => Some(limit.refund(&network, left)),
        (left, _) => left,
    };
    if let Some(left) = left {
        left.tell(response.headers_mut());
    }
    response
}

/// Whether a request succeeded; pages then lead to another one.
fn is_success(status: StatusCode) -> bool {
    matches!(status, StatusCode::OK | StatusCode::CREATED | StatusCode::SEE_OTHER)
}

/// The network of the client, by which budgets are kept.
fn network(app: &App, request: &Request) -> IpAddr {
    let peer = peer(request.extensions());
    if is_forwarded(request.headers()) && !peer.is_some_and(|peer| app.settings.trusts(peer)) {
        app.limits.warn_once(|| {
            tracing::warn!(
                "a request has forwarding headers, but its address is not a trusted proxy: rate limits and the log use \
                 that address instead of the client's. If it is your proxy, add it to PORTTASK_TRUSTED_PROXIES"
            );
        });
    }
    let address = address(request.extensions(), request.headers(), &app.settings);
    attempts::network(address.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)))
}

fn refuse(app: &App, left: &Left) -> Response {
    app.metrics.limited(left.name);
    let seconds = left.wait_seconds.max(1);
    let detail = format!("Rate limit exceeded. Retry after {seconds} s.");
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", detail).after(seconds);
    let mut response = problem.into_response();
    left.tell(response.headers_mut());
    response
}
