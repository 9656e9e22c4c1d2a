//! The append sessions of a node: a session is opened when needed, used by one batch at a time, and closed when idle.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use porttask_runtime::log::LogError;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};

use super::{connect::Connector, session::Session};

/// A pool of sessions, for any partition.
pub(super) struct Sessions {
    connector: Connector,
    room: Arc<Semaphore>,
    /// Those not in use, with the time of their last use, in ascending order.
    idle: Mutex<Vec<(Session, Instant)>>,
}

/// A session in use. If it is not given back, it is closed.
pub(super) struct Lease {
    session: Session,
    pool: Arc<Sessions>,
    _room: OwnedSemaphorePermit,
}

impl Sessions {
    /// A pool that never has more than `max` sessions.
    pub(super) fn new(connector: Connector, max: usize) -> Arc<Self> {
        Arc::new(Self { connector, room: Arc::new(Semaphore::new(max)), idle: Mutex::default() })
    }

    /// A session, the last used first; waits while all are in use.
    pub(super) async fn lease(self: &Arc<Self>) -> Result<Lease, LogError> {
        let closed = |_| LogError::Unavailable("the log is closed".to_owned());
        let room = Arc::clone(&self.room).acquire_owned().await.map_err(closed)?;
        let session = match self.take() {
            Some(session) => session,
            None => Session::open(&self.connector).await?,
        };
        Ok(Lease { session, pool: Arc::clone(self), _room: room })
    }

    fn take(&self) -> Option<Session> {
        let mut idle = self.idle();
        while let Some((session, _)) = idle.pop() {
            if !session.is_closed() {
                return Some(session);
            }
        }
        None
    }

    /// Closes the sessions that are not in use.
    pub(super) fn clear(&self) {
        self.idle().clear();
    }

    /// Closes, forever, the sessions that are idle for longer than `limit`.
    pub(super) async fn close_idle(self: Arc<Self>, limit: Duration) {
        loop {
            sleep(limit / 4).await;
            self.idle().retain(|(_, used)| used.elapsed() < limit);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Session, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Keeps the session for the next batch. It must not be within a transaction.
    pub(super) fn give_back(self) {
        self.pool.idle().push((self.session, Instant::now()));
    }

    /// Closes the session and opens another one.
    pub(super) async fn renew(&mut self) -> Result<(), LogError> {
        self.session = Session::open(&self.pool.connector).await?;
        Ok(())
    }
}

impl Deref for Lease {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}
