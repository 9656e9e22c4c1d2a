//! Connections and graceful shutdown: when the service stops, requests in progress may finish.
//!
//! | file | what it owns |
//! |---|---|
//! | `timeouts.rs` | the timeouts of a connection |
//! | `body.rs` | what a request's handler did not read |
//!
//! HTTP/1.1 only: for other versions and TLS, put a proxy in front.

mod body;
mod timeouts;

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
    http::{HeaderValue, StatusCode, Version, header},
    response::{IntoResponse, Response},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};

use porttask_app::identity::attempts;

use self::{
    body::Unread,
    timeouts::{TimedStream, Timeouts},
};
use super::{metrics::Counted, problem::Problem, shares::Shares};

/// Maximum size of a request head: request line and headers.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// Maximum number of headers.
const MAX_HEADERS: usize = 100;
/// Maximum size of a connection's buffer.
const BUFFER_BYTES: usize = 64 * 1024;
/// Pause after a connection could not be accepted.
const PAUSE: Duration = Duration::from_secs(1);

/// Limits of connections.
#[derive(Debug, Clone, Copy)]
pub struct Connections {
    /// Maximum number of open connections. More wait until one is closed.
    pub most: usize,
    /// Maximum number of open connections from one IP address (IPv6: from one /64), other than a trusted proxy. More are
    /// closed.
    pub most_per_network: usize,
    /// How long a request head may take: from its first byte, or for the first request from the connection's start.
    pub head_timeout: Duration,
    /// How long a connection may be idle, and how long a client may stall when reading a response.
    pub idle_timeout: Duration,
    /// How long a request may take, from its head to the head of its response.
    pub request_timeout: Duration,
}

/// Serves until `stop` is ready, and at most `grace` longer. Returns whether all requests could finish.
///
/// # Errors
/// If connections cannot be accepted.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: Connections,
    is_exempt: impl Fn(IpAddr) -> bool,
    open: Gauge,
    stop: impl Future<Output = ()> + Send + 'static,
    grace: Duration,
) -> io::Result<bool> {
    let places = Arc::new(Semaphore::new(bounds.most.clamp(1, Semaphore::MAX_PERMITS)));
    let shares = Arc::new(Shares::new(bounds.most_per_network.max(1)));
    let graceful = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((place, listener.accept().await?))
        };
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = next => accepted,
        };
        match accepted {
            Ok((place, (stream, peer))) => {
                let network = attempts::network(peer.ip().to_canonical());
                let share = match is_exempt(network) {
                    true => None,
                    // Closes the connection at once: others need the place.
                    false => match shares.take(network) {
                        None => continue,
                        share => share,
                    },
                };
                let (router, watcher, counted) = (router.clone(), graceful.watcher(), Counted::new(&open));
                #[expect(clippy::disallowed_methods, reason = "of one connection")]
                tokio::spawn(async move {
                    // The share is returned first, so that the next holder of the place finds it.
                    let _held = (share, place, counted);
                    talk(stream, peer, router, bounds, watcher).await;
                });
            }
            // The client closed the connection before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::error!(%error, "failed to accept a connection; retrying");
                sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    Ok(timeout(grace, graceful.shutdown()).await.is_ok())
}

/// Serves the requests of a connection, one after the other.
async fn talk(stream: TcpStream, peer: SocketAddr, router: Router, bounds: Connections, watcher: Watcher) {
    // Responses are written whole: Nagle's algorithm would only delay them.
    _ = stream.set_nodelay(true);
    let timeouts = Arc::new(Timeouts::new(bounds.head_timeout, bounds.idle_timeout));
    let stream = TokioIo::new(TimedStream::new(stream, Arc::clone(&timeouts)));
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        timeouts.busy();
        request.extensions_mut().insert(ConnectInfo(peer));
        let (router, timeouts) = (router.clone(), Arc::clone(&timeouts));
        async move {
            let (request, unread) = Unread::of(request);
            let answer: Result<Response<Body>, Infallible> = match must_have_one_host(&request) {
                Ok(()) => hyper::service::Service::call(&router, request).await,
                Err(problem) => {
                    drop(request);
                    Ok(problem.into_response())
                }
            };
            let answer = match (answer, unread.drain().await) {
                (Ok(mut answer), false) => {
                    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                    Ok(answer)
                }
                (answer, _) => answer,
            };
            timeouts.idle();
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // `Timeouts` is stricter: it distinguishes a slow head from an idle connection. But without a timeout of its
        // own, hyper does not poll an idle connection.
        .header_read_timeout(bounds.head_timeout + bounds.idle_timeout)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(stream, service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended with an error");
    }
}

/// A request names exactly one host (RFC 9112, section 3.2): with several, a proxy may have meant another one than we.
fn must_have_one_host<B>(request: &Request<B>) -> Result<(), Problem> {
    let count = request.headers().get_all(header::HOST).iter().count();
    if count == 1 || (count == 0 && request.version() < Version::HTTP_11) {
        return Ok(());
    }
    Err(Problem::new(StatusCode::BAD_REQUEST, "host-required", "Send exactly one Host header."))
}
