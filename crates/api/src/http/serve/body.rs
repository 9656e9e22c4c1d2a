//! What a handler did not read of a request's body: a little is read and discarded, so that the connection can be kept;
//! otherwise the connection is closed, which the response announces.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, extract::Request, http::header};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Bytes, Frame, Incoming, SizeHint};
use tokio::time::timeout;

/// How much is read and discarded.
const MAX_BYTES: usize = 64 * 1024;
/// How long that may take.
const PATIENCE: Duration = Duration::from_millis(200);

type Slot = Arc<Mutex<Option<Incoming>>>;

/// The unread rest of a body.
pub(super) struct Unread {
    slot: Slot,
    /// The client waits for permission to send the body.
    is_expected: bool,
}

/// A body that leaves its unread rest when it is dropped.
struct Watched {
    body: Option<Incoming>,
    slot: Slot,
}

impl Unread {
    /// Watches the body of a request.
    pub(super) fn of(request: Request<Incoming>) -> (Request<Body>, Self) {
        let is_expected = request.headers().contains_key(header::EXPECT);
        let slot = Slot::default();
        let watched = |body| Body::new(Watched { body: Some(body), slot: Arc::clone(&slot) });
        let request = request.map(watched);
        (request, Self { slot, is_expected })
    }

    /// Reads the rest, unless it is much or slow; returns whether the connection can be kept.
    pub(super) async fn drain(self) -> bool {
        let rest = self.slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut body) = rest.filter(|body| !body.is_end_stream()) else { return true };
        if self.is_expected || body.size_hint().lower() > MAX_BYTES as u64 {
            return false;
        }
        let drained = async {
            let mut bytes = 0;
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else { return false };
                bytes += frame.data_ref().map_or(0, Bytes::len);
                if bytes > MAX_BYTES {
                    return false;
                }
            }
            true
        };
        timeout(PATIENCE, drained).await.unwrap_or(false)
    }
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Incoming::size_hint).unwrap_or_default()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = self.body.take();
    }
}
