//! Queues for streams with frequent conflicts.
//!
//! Without them, many callers that change the same stream would all read the same version, and all but one of each round
//! would have to begin again. A caller holds the place in at most one queue, and waits for none while it holds one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::{Mutex as Queue, OwnedMutexGuard},
    time::timeout,
};

use crate::log::StreamId;

/// Maximum time to wait in a queue; then the caller goes on, and may conflict.
const PATIENCE: Duration = Duration::from_secs(2);
/// From this number of queues on, those that nobody uses are removed.
const SWEEP: usize = 1_024;

/// The streams that callers conflicted about, while there are such callers.
#[derive(Default)]
pub(super) struct HotStreams(Mutex<HashMap<StreamId, Weak<Queue<()>>>>);

/// The place at the head of a queue.
pub(super) type Turn = OwnedMutexGuard<()>;

impl HotStreams {
    /// Waits in the queue of a stream, which begins here if there is none.
    pub(super) async fn queue(&self, stream: &StreamId) -> Option<Turn> {
        let queue = {
            let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if queues.len() >= SWEEP {
                queues.retain(|_, queue| queue.strong_count() > 0);
            }
            let known = queues.get(stream).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let queue = Arc::new(Queue::new(()));
                queues.insert(stream.clone(), Arc::downgrade(&queue));
                queue
            })
        };
        timeout(PATIENCE, queue.lock_owned()).await.ok()
    }

    /// Waits in the queue of a stream, if there is one.
    pub(super) async fn queue_if_hot(&self, stream: &StreamId) -> Option<Turn> {
        let is_hot = {
            let queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            queues.get(stream).is_some_and(|queue| queue.strong_count() > 0)
        };
        if is_hot { self.queue(stream).await } else { None }
    }
}
