//! Queues for streams with frequent conflicts.
//!
//! Without them, many callers that change the same stream would all read the same version, and all but one of each round
//! would have to begin again. A caller holds the place in at most one queue, and waits for none while it holds one.
//!
//! A turn ends when the log has been given the append: the next caller decides on what the stream will be then, and its
//! append is admitted only after that one. So the appends of a queue share transactions.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::{Mutex as Places, OwnedMutexGuard, watch},
    time::timeout,
};

use super::cache::CachedAggregate;
use crate::log::{Admitted, After, PartitionId, StreamId};

/// Maximum time to wait in a queue; then the caller goes on, and may conflict.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a stream stays hot after a conflict: those who change it then queue at once, instead of conflicting first.
const HOT_FOR: Duration = Duration::from_secs(10);
/// Number of queues from which on those that nobody needs are removed.
const SWEEP: usize = 1_024;

/// The streams that callers conflicted about lately.
#[derive(Default)]
pub(super) struct HotStreams(Mutex<Queues>);

#[derive(Default)]
struct Queues {
    queues: HashMap<StreamId, Hot>,
    /// The number after the last removal.
    swept: usize,
}

struct Hot {
    queue: Arc<Queue>,
    conflict: Instant,
}

impl Hot {
    fn is_needed(&self) -> bool {
        Arc::strong_count(&self.queue) > 1 || self.conflict.elapsed() < HOT_FOR
    }
}

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
    /// Waits in the queue of a stream after a conflict about it.
    pub(super) async fn queue(&self, stream: &StreamId) -> Option<Turn> {
        let queue = {
            let Queues { queues, swept } = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if queues.len() >= SWEEP.max(*swept * 2) {
                queues.retain(|_, hot| hot.is_needed());
                *swept = queues.len();
            }
            let new = || Hot { queue: Arc::default(), conflict: Instant::now() };
            let hot = queues.entry(stream.clone()).or_insert_with(new);
            hot.conflict = Instant::now();
            Arc::clone(&hot.queue)
        };
        turn(stream, queue).await
    }

    /// Waits in the queue of a stream, if it is hot.
    pub(super) async fn queue_if_hot(&self, stream: &StreamId) -> Option<Turn> {
        let queue = {
            let Queues { queues, .. } = &*self.0.lock().unwrap_or_else(PoisonError::into_inner);
            queues.get(stream).filter(|hot| hot.is_needed()).map(|hot| Arc::clone(&hot.queue))
        };
        turn(stream, queue?).await
    }
}

async fn turn(stream: &StreamId, queue: Arc<Queue>) -> Option<Turn> {
    let place = timeout(PATIENCE, Arc::clone(&queue.places).lock_owned()).await.ok()?;
    Some(Turn { stream: stream.clone(), queue, _place: place })
}
