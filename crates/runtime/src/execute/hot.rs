//! Queues for streams with frequent conflicts.
//!
//! Without them, many callers that change the same stream would all read the same version, and all but one of each round
//! would have to begin again. A caller holds the place in at most one queue, and waits for none while it holds one.
//!
//! A turn ends when the log has been given the append: the next caller decides on what the stream will be then, and its
//! append is admitted only after that one. So the appends of a queue share transactions.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::{Mutex as Places, OwnedMutexGuard, watch},
    time::timeout,
};

use super::cache::CachedAggregate;
use crate::log::{Admitted, After, PartitionId, StreamId};

/// Maximum time to wait in a queue; then the caller goes on, and may conflict.
const PATIENCE: Duration = Duration::from_secs(2);
/// From this number of queues on, those that nobody uses are removed.
const SWEEP: usize = 1_024;

/// The streams that callers conflicted about, while there are such callers.
#[derive(Default)]
pub(super) struct HotStreams(Mutex<HashMap<StreamId, Weak<Queue>>>);

#[derive(Default)]
struct Queue {
    places: Arc<Places<()>>,
    /// What the last caller left.
    last: Mutex<Option<Pending>>,
}

/// What a stream will be once an append is recorded.
#[derive(Clone)]
pub(super) struct Pending {
    pub(super) aggregate: CachedAggregate,
    /// The partition of the append.
    pub(super) partition: PartitionId,
    pub(super) after: After,
    /// Closed once the append is answered.
    answered: watch::Receiver<()>,
}

impl Pending {
    /// Whether the append was admitted, once it is answered.
    pub(super) async fn is_admitted(&self) -> bool {
        let mut answered = self.answered.clone();
        while answered.changed().await.is_ok() {}
        self.after.admitted.is_set()
    }

    fn is_answered(&self) -> bool {
        self.answered.has_changed().is_err()
    }
}

/// The place at the head of a queue.
pub(super) struct Turn {
    pub(super) stream: StreamId,
    queue: Arc<Queue>,
    _place: OwnedMutexGuard<()>,
}

impl Turn {
    /// What the caller before left, if it is not answered yet.
    pub(super) fn pending(&self) -> Option<Pending> {
        let last = self.queue.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.clone().filter(|it| !it.is_answered())
    }

    /// Leaves what the stream will be to the next caller.
    pub(super) fn hand_on(self, aggregate: CachedAggregate, partition: PartitionId, admitted: Admitted) -> Underway {
        let (answered_to, answered) = watch::channel(());
        let after = After { admitted, stream: self.stream };
        let pending = Pending { aggregate, partition, after, answered };
        *self.queue.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(pending);
        Underway { _queue: self.queue, _answered: answered_to }
    }
}

/// An append on which other callers rely, until this is dropped.
pub(super) struct Underway {
    /// The stream stays hot.
    _queue: Arc<Queue>,
    _answered: watch::Sender<()>,
}

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
                let queue = Arc::<Queue>::default();
                queues.insert(stream.clone(), Arc::downgrade(&queue));
                queue
            })
        };
        let place = timeout(PATIENCE, Arc::clone(&queue.places).lock_owned()).await.ok()?;
        Some(Turn { stream: stream.clone(), queue, _place: place })
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
