//! Connections, until the service is stopped: then no more are accepted, and those that are open may finish.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use axum::{Router, extract::connect_info::IntoMakeServiceWithConnectInfo};
use tokio::{net::TcpListener, time::timeout};

/// Serves until `stop` is ready, and at most `grace` longer. Answers whether all requests could finish.
///
/// # Errors
/// If connections cannot be accepted.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
    grace: Duration,
) -> io::Result<bool> {
    let service: IntoMakeServiceWithConnectInfo<Router, SocketAddr> = router.into_make_service_with_connect_info();
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let stop = async move {
        stop.await;
        _ = stopping.send(());
    };
    let serving = axum::serve(listener, service).with_graceful_shutdown(stop);
    let mut serving = std::pin::pin!(serving.into_future());
    tokio::select! {
        served = &mut serving => return served.map(|()| true),
        _ = stopped => {}
    }
    match timeout(grace, serving).await {
        Ok(served) => served.map(|()| true),
        Err(_) => Ok(false),
    }
}
