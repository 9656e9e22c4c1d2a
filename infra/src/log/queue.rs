//! The queue of appends of a writer, bounded in number and bytes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use porttask_runtime::log::{Append, AppendError, Appended, LogError};
use tokio::{
    runtime::Handle,
    sync::{
        OwnedSemaphorePermit, Semaphore,
        mpsc::{self, error::TrySendError},
        oneshot,
    },
};

/// Limits of the queue of a partition's writer; appends beyond them are rejected as overload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// Maximum number of appends.
    pub appends: usize,
    /// Maximum size of the appends, in bytes.
    pub bytes: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { appends: 4096, bytes: 64 << 20 }
    }
}

/// Maximum number of appends per batch.
const MAX_BATCH: usize = 1024;
/// Up to this many callers are answered by the writer itself.
const FEW: usize = 8;
/// A batch is complete when it has not grown for this long.
const GATHERING_PAUSE: Duration = Duration::from_micros(50);
/// How long a thread without a runtime spins for the next batch before it sleeps: waking it takes about as long.
const LINGERING: Duration = Duration::from_micros(100);
/// Approximate memory overhead of each event, expected version and constraint beyond data and meta.
const PART_OVERHEAD_BYTES: usize = 512;

/// A queued append with the channel for its answer.
pub(super) struct Job {
    pub(super) append: Append,
    /// Until it is answered.
    answer: Option<oneshot::Sender<Result<Appended, AppendError>>>,
    _room: OwnedSemaphorePermit,
}

impl Job {
    /// Answers the caller, who may have gone away.
    pub(super) fn answer(mut self, answer: Result<Appended, AppendError>) {
        if answer.is_err() {
            self.append.admitted.set(false);
        }
        _ = self.answer.take().map(|caller| caller.send(answer));
    }
}

impl Drop for Job {
    /// Dropped without an answer, nobody knows whether it was recorded.
    fn drop(&mut self) {
        if self.answer.is_some() {
            self.append.admitted.set(false);
        }
    }
}

/// Answers all callers of a batch. Many are answered on their own runtime, where waking them is cheaper.
pub(super) fn answer_all(callers: &Handle, batch: Vec<Job>, answers: Vec<Result<Appended, AppendError>>) {
    let are_few = batch.len() <= FEW;
    let answer = move || batch.into_iter().zip(answers).for_each(|(job, answer)| job.answer(answer));
    if are_few {
        answer();
    } else {
        #[expect(clippy::disallowed_methods, reason = "wakes callers, and is done")]
        callers.spawn(async move { answer() });
    }
}

/// The callers' end of a queue.
#[derive(Clone)]
pub(super) struct Queue {
    jobs: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
}

/// The writer's end of a queue.
pub(super) struct Waiting {
    jobs: mpsc::Receiver<Job>,
    /// Appends that did not fit into the last batch.
    held: Vec<Job>,
    /// The size of the last batch.
    last: usize,
}

/// A queue for one writer.
pub(super) fn queue(limits: QueueLimits) -> (Queue, Waiting) {
    let (sender, receiver) = mpsc::channel(limits.appends.max(1));
    let room = Arc::new(Semaphore::new(limits.bytes.min(Semaphore::MAX_PERMITS)));
    (Queue { jobs: sender, room }, Waiting { jobs: receiver, held: Vec::new(), last: 1 })
}

impl Queue {
    /// Queues an append and waits for its answer.
    pub(super) async fn submit(&self, append: Append) -> Result<Appended, AppendError> {
        append.check()?;
        let parts = 1 + append.events.len() + append.expected.len() + append.constraints.len();
        let bytes = append.size_bytes() + parts * PART_OVERHEAD_BYTES;
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(bytes).map_err(|_| AppendError::Overloaded)?;
        let (answer, answered) = oneshot::channel();
        self.jobs.try_send(Job { append, answer: Some(answer), _room: room }).map_err(|error| match error {
            TrySendError::Full(_) => AppendError::Overloaded,
            TrySendError::Closed(_) => LogError::Unavailable("the writer of the log has ended".to_owned()).into(),
        })?;
        // A writer that dropped the job without an answer has crashed while writing.
        answered.await.unwrap_or(Err(AppendError::OutcomeUnknown))
    }
}

impl Waiting {
    /// All queued appends, waiting for the first one; `None` when the log is closed.
    pub(super) async fn next_batch(&mut self) -> Option<Vec<Job>> {
        let mut batch = std::mem::take(&mut self.held);
        if batch.is_empty() {
            self.jobs.recv_many(&mut batch, MAX_BATCH).await;
        } else {
            self.take(&mut batch, |_| true);
        }
        (!batch.is_empty()).then_some(batch)
    }

    /// The same for a thread without a runtime.
    pub(super) fn blocking_next_batch(&mut self) -> Option<Vec<Job>> {
        let mut batch = Vec::new();
        let begun = Instant::now();
        while batch.is_empty() && begun.elapsed() < LINGERING {
            std::thread::yield_now();
            self.take(&mut batch, |_| true);
        }
        if batch.is_empty() {
            self.jobs.blocking_recv_many(&mut batch, MAX_BATCH);
        }
        (!batch.is_empty()).then_some(batch)
    }

    /// The appends that arrived since a batch of now `size` was started; `None` when it is complete. For a thread
    /// without a runtime, which has nothing else to do.
    pub(super) fn blocking_more(&mut self, size: usize) -> Option<Vec<Job>> {
        let mut gathering = Gathering::default();
        let mut more = Vec::new();
        loop {
            while size + more.len() < MAX_BATCH
                && let Ok(job) = self.jobs.try_recv()
            {
                more.push(job);
            }
            if !more.is_empty() {
                return Some(more);
            }
            if !gathering.goes_on(size, self.last) {
                break;
            }
            std::thread::sleep(GATHERING_PAUSE / 4);
        }
        self.last = size;
        None
    }

    /// Adds to a batch the appends that arrived since it was started and fit into it.
    pub(super) async fn gather(&mut self, batch: &mut Vec<Job>, fits: impl Fn(&Append) -> bool) {
        let mut gathering = Gathering::default();
        self.take(batch, &fits);
        while gathering.goes_on(batch.len() + self.held.len(), self.last) {
            tokio::task::yield_now().await;
            std::thread::yield_now();
            self.take(batch, &fits);
        }
        self.last = batch.len();
    }

    fn take(&mut self, batch: &mut Vec<Job>, fits: impl Fn(&Append) -> bool) {
        while batch.len() + self.held.len() < MAX_BATCH
            && let Ok(job) = self.jobs.try_recv()
        {
            if fits(&job.append) {
                batch.push(job);
            } else {
                self.held.push(job);
            }
        }
    }
}

/// Waits for the callers of the last batch, who were all answered a moment ago and tend to return together: otherwise
/// the first few of them would form a small batch of their own each time. Never delays a lone caller.
#[derive(Default)]
struct Gathering {
    size: usize,
    grown: Option<Instant>,
}

impl Gathering {
    fn goes_on(&mut self, size: usize, last: usize) -> bool {
        if size == 0 || size >= last.min(MAX_BATCH) {
            return false;
        }
        let now = Instant::now();
        if size > self.size {
            self.size = size;
            self.grown = Some(now);
        }
        self.grown.is_some_and(|grown| now.duration_since(grown) < GATHERING_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use porttask_runtime::log::{EventId, EventType, NewEvent, OrganizationId, StreamId};

    use super::*;

    fn append() -> Append {
        let event = NewEvent {
            id: EventId::generate(),
            stream: StreamId::new(OrganizationId::PLATFORM, "sample").unwrap(),
            event_type: EventType::new("sample.taken.v1").unwrap(),
            data: Bytes::from_static(b"{}"),
            meta: Bytes::from_static(b"{}"),
        };
        Append::new(OrganizationId::PLATFORM, vec![event])
    }

    #[tokio::test]
    async fn a_writer_that_has_ended_is_not_overload() {
        let (closed, waiting) = queue(QueueLimits::default());
        drop(waiting);
        let answer = closed.submit(append()).await;
        assert!(matches!(&answer, Err(AppendError::Log(LogError::Unavailable(_)))), "{answer:?}");
        let (full, _waiting) = queue(QueueLimits { appends: 1, bytes: 1 << 20 });
        let first = tokio::time::timeout(Duration::from_millis(10), full.submit(append())).await;
        assert!(first.is_err(), "it waits for an answer");
        assert_eq!(full.submit(append()).await, Err(AppendError::Overloaded));
    }

    #[tokio::test]
    async fn the_callers_of_a_batch_that_panicked_learn_that_the_outcome_is_unknown() {
        let (callers, mut waiting) = queue(QueueLimits::default());
        let writing = async {
            let batch = waiting.next_batch().await.unwrap();
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                assert!(batch.is_empty(), "on purpose");
            }));
            assert!(panicked.is_err());
            drop(batch);
        };
        let (answer, ()) = tokio::join!(callers.submit(append()), writing);
        assert_eq!(answer, Err(AppendError::OutcomeUnknown));
    }
}
