//! A writer of one partition: takes queued appends, and retries until every caller has a definite answer.
//!
//! A partition other than the platform's has two: one for ordinary appends, and one for those that also touch the
//! platform, so that only the latter wait for the platform's lock. Two writers of a partition meet only in the database,
//! like writers of two nodes.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{Either, select},
};
use porttask_runtime::log::{
    Append, AppendError, Appended, EventId, LogError, PartitionId, Position, StreamId,
    admission::{Admission, Questions, StreamState},
};
use porttask_runtime::supervise::PanicLimit;
use tokio::{
    runtime::Handle,
    time::{Instant, sleep, timeout},
};

use super::{
    connect::Connector,
    error::is_passing,
    session::{Locked, NotCommitted, NotLocked, Session},
    sessions::Sessions,
    wakeups::Announcer,
};
use crate::log::{
    heads::Heads,
    memory::Memory,
    queue::{Job, Waiting, answer_all},
};

/// Timeout of a round trip; the server times out earlier, unless it or the network is frozen.
const STEP_TIMEOUT: Duration = Duration::from_secs(8);
/// How long to wait for a lock before checking its holder.
const RELIEF_AFTER: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// While ordinary appends wait, a writer of two-partition appends pauses for this many times as long as it held the
/// locks.
const YIELD_FACTOR: u32 = 5;
const LONGEST_YIELD: Duration = Duration::from_millis(100);

pub(super) struct Writer {
    pub(super) connector: Connector,
    pub(super) sessions: Arc<Sessions>,
    pub(super) partition: PartitionId,
    pub(super) patience: Duration,
    pub(super) heads: Arc<Heads>,
    pub(super) announcer: Arc<Announcer>,
    pub(super) waiting: Waiting,
    /// The runtime on which the log was opened, most likely that of its callers.
    pub(super) callers: Handle,
    pub(super) own: Memory,
    /// The cache of the platform's partition, if this writer is for appends that touch the platform too.
    pub(super) platform: Option<Memory>,
    /// Whether the partition's writer of ordinary appends has a batch to write.
    pub(super) ordinary_waits: Arc<AtomicBool>,
    /// How long the last batch held the locks.
    pub(super) held: Duration,
    /// How long to keep the caches while there are no appends.
    pub(super) idle_limit: Duration,
}

type Answers = Vec<Result<Appended, AppendError>>;

/// Why an attempt failed.
enum Failure {
    /// Nothing was written.
    Log(LogError),
    /// It may have been written: to be determined by whether this event is recorded.
    InDoubt(LogError, Option<(Position, EventId)>, Answers),
    /// It was written, but is less durable than configured.
    Unreplicated,
}

impl Writer {
    /// Writes until the queue is closed and empty.
    pub(super) async fn run(mut self) {
        let mut panics = PanicLimit::default();
        loop {
            match timeout(self.idle_limit, self.waiting.next_batch()).await {
                Ok(Some(batch)) if self.platform.is_some() => {
                    self.write_isolated(batch, &mut panics).await;
                    self.yield_to_ordinary().await;
                }
                Ok(Some(batch)) => {
                    self.ordinary_waits.store(true, Ordering::Relaxed);
                    self.write_isolated(batch, &mut panics).await;
                    self.ordinary_waits.store(false, Ordering::Relaxed);
                }
                Ok(None) => return,
                Err(_) => self.forget(),
            }
        }
    }

    /// Writes a batch. After a panic, its callers are told that the outcome is unknown, and the next batch is written.
    async fn write_isolated(&mut self, batch: Vec<Job>, panics: &mut PanicLimit) {
        if let Err(panic) = AssertUnwindSafe(self.write(batch)).catch_unwind().await {
            self.sessions.clear();
            self.forget();
            panics.note("a writer of the log", &*panic);
        }
    }

    /// Leaves the lock to ordinary appends for several times as long as it was held. Otherwise the two writers would
    /// alternate, however few the two-partition appends; meanwhile, these gather into a larger batch.
    async fn yield_to_ordinary(&mut self) {
        let held = std::mem::take(&mut self.held);
        if self.ordinary_waits.load(Ordering::Relaxed) {
            sleep((held * YIELD_FACTOR).min(LONGEST_YIELD)).await;
        }
    }

    /// Writes a batch and answers all its callers. The batch grows by appends that arrive while it waits for its locks.
    async fn write(&mut self, mut batch: Vec<Job>) {
        let give_up = Instant::now() + self.patience;
        let mut pause = FIRST_PAUSE;
        let error = loop {
            let failure = match self.attempt(&mut batch).await {
                Ok(answers) => return self.answer(batch, answers),
                Err(failure) => failure,
            };
            // What broke one session may have broken all.
            self.sessions.clear();
            self.forget();
            let error = match failure {
                Failure::Log(error) => error,
                Failure::InDoubt(error, Some((position, event)), answers) => {
                    tracing::warn!(%error, %position, "a commit is in doubt");
                    match self.resolve(position, event).await {
                        Some(true) => return self.answer(batch, answers),
                        Some(false) => error,
                        None => break AppendError::OutcomeUnknown,
                    }
                }
                // Only idempotency records: a retry finds those that were written.
                Failure::InDoubt(error, None, _) => error,
                Failure::Unreplicated => break AppendError::OutcomeUnknown,
            };
            if !is_passing(&error) || Instant::now() + pause > give_up {
                break AppendError::Log(error);
            }
            tracing::warn!(%error, partition = %self.partition, "an append failed and will be retried");
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        // An error caused by one append must not fail the others of its batch: retry each alone.
        if batch.len() > 1 && matches!(error, AppendError::Log(LogError::Damaged(_) | LogError::Unusable(_))) {
            for job in batch {
                Box::pin(self.write(vec![job])).await;
            }
            return;
        }
        tracing::error!(%error, partition = %self.partition, appends = batch.len(), "the log could not be written");
        batch.into_iter().for_each(|job| job.answer(Err(error.clone())));
    }

    fn answer(&self, batch: Vec<Job>, answers: Answers) {
        for head in self.platform.iter().chain([&self.own]).map(Memory::head) {
            self.heads.publish(head.position.partition, head.position.offset);
            self.announcer.announce(head.position);
        }
        answer_all(&self.callers, batch, answers);
    }

    async fn attempt(&mut self, batch: &mut Vec<Job>) -> Result<Answers, Failure> {
        let questions = Questions::of(batch.iter().map(|job| &job.append));
        let mut session = in_time(self.sessions.lease()).await.map_err(Failure::Log)?;
        let locked = loop {
            match self.lock(&session, &questions).await {
                Ok(locked) => break locked,
                Err(NotLocked::Failed(error)) => return Err(Failure::Log(error)),
                Err(NotLocked::Outdated) => {
                    self.forget();
                    in_time(session.renew()).await.map_err(Failure::Log)?;
                }
            }
        };
        let locked_at = Instant::now();
        let (mut known, copy) = locked.into_parts();
        known.streams.extend(self.gather(batch).await);
        let mut admission = Admission::new(self.partition, known);
        let answers: Answers = batch.iter().map(|job| admission.admit(&job.append)).collect();
        let writes = admission.into_writes();
        if writes.is_empty() {
            in_time(session.leave(copy)).await.map_err(Failure::Log)?;
        } else {
            let evidence = writes.events.first().map(|written| (written.event.position, written.event.id));
            match timeout(STEP_TIMEOUT, session.commit(copy, &writes, self.partition)).await {
                Ok(Ok(())) => self.memories().for_each(|memory| memory.advance(&writes)),
                Ok(Err(NotCommitted::Failed(error))) => return Err(Failure::Log(error)),
                Ok(Err(NotCommitted::InDoubt(error))) => return Err(Failure::InDoubt(error, evidence, answers)),
                Ok(Err(NotCommitted::Unreplicated)) => return Err(Failure::Unreplicated),
                Err(_) => return Err(Failure::InDoubt(no_answer(), evidence, answers)),
            }
        }
        self.held = locked_at.elapsed();
        session.give_back();
        Ok(answers)
    }

    /// Adds to the batch the appends that arrived since and need no further reads; returns the cached states of their
    /// streams.
    async fn gather(&mut self, batch: &mut Vec<Job>) -> Vec<(StreamId, StreamState)> {
        let begun = batch.len();
        let (own, platform) = (&self.own, &self.platform);
        let fits = |append: &Append| {
            let asks_nothing = append.constraints.is_empty()
                && append.idempotency_key.is_none()
                && append.person_keys.is_empty()
                && !append.creates_organization;
            let is_known = |stream| platform.iter().chain([own]).any(|memory| memory.remembers(stream));
            asks_nothing && append.streams().all(is_known)
        };
        self.waiting.gather(batch, fits).await;
        let joined = Questions::of(batch.iter().skip(begun).map(|job| &job.append));
        self.memories().flat_map(|memory| memory.known(&joined.streams)).collect()
    }

    /// The caches of the partitions to lock, in ascending order.
    fn memories(&mut self) -> impl Iterator<Item = &mut Memory> {
        self.platform.iter_mut().chain([&mut self.own])
    }

    fn forget(&mut self) {
        self.memories().for_each(Memory::forget);
    }

    async fn lock(&mut self, session: &Session, questions: &Questions) -> Result<Locked, NotLocked> {
        let mut memories: Vec<&mut Memory> = self.platform.iter_mut().chain([&mut self.own]).collect();
        let relief = pin!(relieve(&self.connector, session.backend()));
        let lock = pin!(timeout(STEP_TIMEOUT, session.lock(&mut memories, questions)));
        let Either::Left((locked, _)) = select(lock, relief).await;
        locked.unwrap_or_else(|_| Err(NotLocked::Failed(no_answer())))
    }

    /// Determines whether a commit took effect, by the event that it would have recorded at `position`. `None` if the
    /// server stays unavailable for too long.
    async fn resolve(&mut self, position: Position, event: EventId) -> Option<bool> {
        let give_up = Instant::now() + self.patience;
        let mut pause = FIRST_PAUSE;
        loop {
            let looked_up = in_time(async {
                let session = Session::open(&self.connector).await?;
                session.is_recorded(position, event).await
            });
            match looked_up.await {
                Ok(is_recorded) => return Some(is_recorded),
                Err(error) if Instant::now() + pause > give_up => {
                    tracing::error!(%error, %position, "the outcome of a commit remains unknown");
                    return None;
                }
                Err(_) => sleep(pause).await,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// While waiting for a lock, repeatedly terminates holders that are frozen.
async fn relieve(connector: &Connector, backend: i32) -> Infallible {
    loop {
        sleep(RELIEF_AFTER).await;
        if let Err(error) = connector.relieve(backend).await {
            tracing::warn!(%error, "the holder of the partition's lock could not be checked");
        }
    }
}

async fn in_time<T>(step: impl Future<Output = Result<T, LogError>>) -> Result<T, LogError> {
    timeout(STEP_TIMEOUT, step).await.unwrap_or_else(|_| Err(no_answer()))
}

fn no_answer() -> LogError {
    LogError::Unavailable(format!("the database did not answer within {} s", STEP_TIMEOUT.as_secs()))
}
