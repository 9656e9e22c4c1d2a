//! The timeouts of a connection, which depend on what it is waiting for.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until},
};

/// The phase of a connection and its timeouts, shared by its stream and its requests.
pub(super) struct Timeouts {
    phase: Mutex<Phase>,
    head_timeout: Duration,
    idle_timeout: Duration,
}

/// What a connection is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The rest of a request head.
    Head(Instant),
    /// The response to a request, which has a timeout of its own.
    Busy,
    /// The next request.
    Idle(Instant),
}

impl Timeouts {
    /// For a new connection, which must send a request head at once.
    pub(super) fn new(head_timeout: Duration, idle_timeout: Duration) -> Self {
        Self { phase: Mutex::new(Phase::Head(Instant::now() + head_timeout)), head_timeout, idle_timeout }
    }

    /// A request has arrived.
    pub(super) fn busy(&self) {
        self.set(Phase::Busy);
    }

    /// The head of the response is ready.
    pub(super) fn idle(&self) {
        self.set(Phase::Idle(Instant::now() + self.idle_timeout));
    }

    fn set(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    fn bytes_came(&self) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if let Phase::Idle(_) = *phase {
            *phase = Phase::Head(Instant::now() + self.head_timeout);
        }
    }

    /// A long response is still being sent: the connection is not idle.
    fn bytes_went(&self) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if let Phase::Idle(_) = *phase {
            *phase = Phase::Idle(Instant::now() + self.idle_timeout);
        }
    }

    /// The deadline of the next read.
    fn deadline(&self) -> Option<Instant> {
        match *self.phase.lock().unwrap_or_else(PoisonError::into_inner) {
            Phase::Head(deadline) | Phase::Idle(deadline) => Some(deadline),
            Phase::Busy => None,
        }
    }
}

/// The stream of a connection, which fails when the client is too slow.
pub(super) struct TimedStream {
    stream: TcpStream,
    timeouts: Arc<Timeouts>,
    reading: Pin<Box<Sleep>>,
    writing: Option<Pin<Box<Sleep>>>,
}

impl TimedStream {
    pub(super) fn new(stream: TcpStream, timeouts: Arc<Timeouts>) -> Self {
        Self { stream, timeouts, reading: Box::pin(sleep_until(Instant::now())), writing: None }
    }

    /// Applies the write timeout: a pending write fails when it expires.
    fn written<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.writing = None;
            self.timeouts.bytes_went();
            return written;
        }
        let limit = self.timeouts.idle_timeout;
        let alarm = self.writing.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + limit)));
        ready!(alarm.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for TimedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buffer) {
            if buffer.filled().len() > before {
                self.timeouts.bytes_came();
            }
            return Poll::Ready(read);
        }
        let Some(deadline) = self.timeouts.deadline() else { return Poll::Pending };
        if self.reading.deadline() != deadline {
            self.reading.as_mut().reset(deadline);
        }
        ready!(self.reading.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for TimedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
