//! Connections, until the service is stopped: then no more are accepted, and those that are open may finish.
//!
//! | file | what it owns |
//! |---|---|
//! | `timeouts.rs` | how long a connection may be silent, and when |
//!
//! HTTP/1.1 only: who wants more has a proxy in front, which ends TLS as well.

mod timeouts;

use std::{convert::Infallible, future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
    response::Response,
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

use self::timeouts::{TimedStream, Timeouts};
use super::metrics::Counted;

/// The largest head of a request: its line and its headers.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// The most headers of a request.
const MAX_HEADERS: usize = 100;
/// What is kept of a connection's bytes that nobody has read yet.
const BUFFER_BYTES: usize = 64 * 1024;
/// How long to wait when the operating system gives no more connections.
const PAUSE: Duration = Duration::from_secs(1);

/// What a connection may cost.
#[derive(Debug, Clone, Copy)]
pub struct Connections {
    /// How many may be open. More wait until one of them is closed.
    pub most: usize,
    /// How long the head of a request may take, from its first byte; of the first one, from the connection's beginning.
    pub head_timeout: Duration,
    /// How long a connection may be kept without a request; how long its other side may refuse to read an answer.
    pub idle_timeout: Duration,
    /// How long a request may take, from its head to the head of its answer.
    pub request_timeout: Duration,
}

/// Serves until `stop` is ready, and at most `grace` longer. Answers whether all requests could finish.
///
/// # Errors
/// If connections cannot be accepted.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: Connections,
    open: Gauge,
    stop: impl Future<Output = ()> + Send + 'static,
    grace: Duration,
) -> io::Result<bool> {
    let places = Arc::new(Semaphore::new(bounds.most.clamp(1, Semaphore::MAX_PERMITS)));
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
                let (router, watcher, counted) = (router.clone(), graceful.watcher(), Counted::new(&open));
                tokio::spawn(async move {
                    let _held = (place, counted);
                    talk(stream, peer, router, bounds, watcher).await;
                });
            }
            // The other side had gone again.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted; trying again");
                sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    Ok(timeout(grace, graceful.shutdown()).await.is_ok())
}

/// Answers the requests of a connection, one after the other.
async fn talk(stream: TcpStream, peer: SocketAddr, router: Router, bounds: Connections, watcher: Watcher) {
    // Answers are written whole: to wait for more would only delay them.
    _ = stream.set_nodelay(true);
    let timeouts = Arc::new(Timeouts::new(bounds.head_timeout, bounds.idle_timeout));
    let stream = TokioIo::new(TimedStream::new(stream, Arc::clone(&timeouts)));
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        timeouts.busy();
        request.extensions_mut().insert(ConnectInfo(peer));
        let (answer, timeouts) = (hyper::service::Service::call(&router, request), Arc::clone(&timeouts));
        async move {
            let answer: Result<Response<Body>, Infallible> = answer.await;
            timeouts.idle();
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // `Timeouts` is stricter: it tells a slow head from a connection that is kept. But without a timeout, hyper does not
        // look at a connection that has become idle.
        .header_read_timeout(bounds.head_timeout + bounds.idle_timeout)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(stream, service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection was cut off");
    }
}
