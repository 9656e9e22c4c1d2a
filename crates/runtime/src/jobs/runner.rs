//! Takes jobs and runs them.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use porttask_domain::JobId;
use tokio::{
    sync::{Notify, OnceCell, Semaphore, watch},
    time::{sleep, timeout},
};

use super::{Course, Job, JobEnd, JobProgress};
use crate::{
    lease::{Holder, Lease},
    ledger::Database,
    log::LogError,
    supervise::{Restart, Supervised, beat, message, supervise},
};

/// Maximum number of concurrent jobs of a node, each of another organization.
const AT_ONCE: usize = 2;
/// Lease of a job: if it is not renewed in time, another node starts the job over.
const LEASE: Duration = Duration::from_secs(15);
/// Interval at which a node renews its lease and stores progress.
const EVERY: Duration = Duration::from_secs(1);
/// Poll interval for jobs added by other nodes.
const POLL: Duration = Duration::from_secs(5);
/// Maximum number of attempts.
const ATTEMPTS: u32 = 10;
/// Delay after a failed attempt.
const REST: Duration = Duration::from_secs(15);
/// Retention of finished jobs.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Interval at which expired jobs are deleted.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);

/// Why an attempt at a job failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkError {
    /// The job was cancelled.
    #[error("stopped")]
    Stopped,
    /// Transient failure: a later attempt may succeed.
    #[error("{0}")]
    Passing(String),
    /// Permanent failure. The reason is shown to the requester.
    #[error("{0}")]
    Final(String),
}

/// Runs jobs of one kind.
#[async_trait]
pub trait Work: Send + Sync {
    /// The kind of job.
    fn kind(&self) -> &'static str;

    /// Runs a job, which may have been started before; returns its report, sealed.
    ///
    /// # Errors
    /// If the attempt failed.
    async fn carry_out(&self, job: &Job, input: &[u8], course: &Course) -> Result<Vec<u8>, WorkError>;
}

/// Takes jobs and runs them.
pub struct JobRunner {
    database: Arc<dyn Database>,
    works: Vec<Arc<dyn Work>>,
    wakeup: Notify,
    stopping: watch::Sender<bool>,
    /// The progress of the running jobs.
    courses: Mutex<Vec<(JobId, Arc<Course>)>>,
    /// Slots for concurrent jobs; all are free when no job runs.
    places: Arc<Semaphore>,
    running: Mutex<Vec<Supervised>>,
}

impl JobRunner {
    /// A runner for these kinds of work. Idle until [`JobRunner::run`].
    pub fn new(database: Arc<dyn Database>, works: Vec<Arc<dyn Work>>) -> Arc<Self> {
        let (wakeup, stopping, places) = (Notify::new(), watch::Sender::new(false), Arc::new(Semaphore::new(AT_ONCE)));
        let (courses, running) = (Mutex::default(), Mutex::default());
        Arc::new(Self { database, works, wakeup, stopping, courses, places, running })
    }

    /// Starts taking jobs, until [`JobRunner::stop`]; first takes over those of former runs of this node.
    pub fn run(self: &Arc<Self>, holder: &Holder) {
        let lease = Lease::new(holder.clone(), LEASE);
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let has_taken_over = Arc::new(OnceCell::new());
        for slot in 0..AT_ONCE {
            let (this, lease, has_taken_over) = (Arc::downgrade(self), lease.clone(), Arc::clone(&has_taken_over));
            running.push(supervise(
                format!("jobs {}", slot + 1),
                Restart::Until(self.stopping.subscribe()),
                move || {
                    let (this, lease, has_taken_over) = (this.clone(), lease.clone(), Arc::clone(&has_taken_over));
                    async move {
                        let Some(this) = this.upgrade() else { return };
                        has_taken_over.get_or_init(|| this.take_over(&lease.holder)).await;
                        this.take_turns(lease).await;
                    }
                },
            ));
        }
        let this = Arc::downgrade(self);
        running.push(supervise("deletion of jobs", Restart::Until(self.stopping.subscribe()), move || {
            let this = this.upgrade();
            async move {
                if let Some(this) = this {
                    this.forget().await;
                }
            }
        }));
    }

    /// Signals that a job was added.
    pub fn wake(&self) {
        self.wakeup.notify_one();
    }

    /// The progress of a job that this node is running.
    pub fn progress(&self, id: JobId) -> Option<JobProgress> {
        let courses = self.courses.lock().unwrap_or_else(PoisonError::into_inner);
        courses.iter().find(|(job, _)| *job == id).map(|(_, course)| progress(course))
    }

    /// Stops taking jobs and releases the running ones, so that another node or the next start continues with them.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
        for (_, course) in self.courses.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            course.stop();
        }
    }

    /// Stops and waits for the running jobs. Returns whether they ended within `grace`.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        self.stop();
        timeout(grace, self.places.acquire_many(AT_ONCE as u32)).await.is_ok()
    }

    fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Sleeps, unless the runner stops first.
    async fn rest(&self, time: Duration) {
        let mut stopping = self.stopping.subscribe();
        tokio::select! {
            () = sleep(time) => {}
            _ = stopping.wait_for(|it| *it) => {}
        }
    }

    async fn take_turns(&self, lease: Lease) {
        while !self.is_stopping() {
            beat(POLL);
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
            let taken = if self.is_stopping() { Ok(None) } else { self.take(&lease).await };
            match taken {
                Ok(Some((job, input))) => {
                    let carried_out = AssertUnwindSafe(self.carry_out(&job, &input, &lease)).catch_unwind();
                    if let Err(panic) = carried_out.await {
                        tracing::error!(panic = message(&*panic), job = %job.id, "a job panicked; it will be rerun");
                    }
                    drop(place);
                }
                Ok(None) => {
                    drop(place);
                    tokio::select! {
                        () = self.wakeup.notified() => {}
                        () = self.rest(POLL) => {}
                    }
                }
                Err(error) => {
                    drop(place);
                    tracing::warn!(%error, "jobs cannot be taken: the log is unavailable");
                    self.rest(POLL).await;
                }
            }
        }
    }

    /// Makes due what former runs of this node were running, or leaves it until its leases expire.
    async fn take_over(&self, holder: &Holder) {
        match self.database.take_over_jobs(holder).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "jobs of this node's former run are run again"),
            Err(error) => tracing::warn!(%error, "jobs of this node's former run could not be taken over"),
        }
    }

    async fn take(&self, lease: &Lease) -> Result<Option<(Job, Vec<u8>)>, LogError> {
        let kinds: Vec<&str> = self.works.iter().map(|work| work.kind()).collect();
        self.database.take_job(&kinds, lease).await
    }

    async fn carry_out(&self, job: &Job, input: &[u8], lease: &Lease) {
        let running = Running::new(self, job.id);
        let course = &*running.course;
        // A stop before the line above did not see this course.
        if self.is_stopping() {
            course.stop();
        }
        let ended = self.attempt(job, input, course, lease).await;
        let end = match ended {
            Ok(report) => JobEnd::Done { report },
            Err(WorkError::Stopped) => JobEnd::Waiting { delay: Duration::ZERO, counts_as_attempt: false },
            Err(WorkError::Passing(reason)) if job.attempts < ATTEMPTS => {
                tracing::warn!(job = %job.id, %reason, "a job failed and will be retried");
                JobEnd::Waiting { delay: REST, counts_as_attempt: true }
            }
            Err(WorkError::Passing(reason)) => {
                tracing::error!(job = %job.id, %reason, "a job failed permanently");
                JobEnd::Failed { reason: format!("failed after {ATTEMPTS} attempts: request it again") }
            }
            Err(WorkError::Final(reason)) => JobEnd::Failed { reason },
        };
        let progress = progress(course);
        drop(running);
        match self.database.end_job(job.id, job.epoch, &progress, &end).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!(job = %job.id, "a job was taken over by another node"),
            Err(error) => {
                tracing::error!(job = %job.id, %error, "the result of a job could not be recorded; it will be rerun")
            }
        }
    }

    /// Runs a job and renews its lease meanwhile.
    async fn attempt(&self, job: &Job, input: &[u8], course: &Course, lease: &Lease) -> Result<Vec<u8>, WorkError> {
        if job.attempts > ATTEMPTS {
            return Err(WorkError::Passing("its attempts ended without a result".to_owned()));
        }
        let work = self.works.iter().find(|work| work.kind() == job.kind);
        let work = work.ok_or_else(|| WorkError::Final("this kind of job is no longer supported".to_owned()))?;
        let mut working = work.carry_out(job, input, course);
        loop {
            tokio::select! {
                ended = &mut working => return ended,
                () = sleep(EVERY) => {}
            }
            beat(EVERY);
            match self.database.keep_job(job.id, job.epoch, lease, &progress(course)).await {
                Ok(true) => {}
                Ok(false) => course.stop(),
                Err(error) => tracing::warn!(job = %job.id, %error, "the lease of a job could not be renewed"),
            }
        }
    }

    /// Deletes expired jobs until the runner stops.
    async fn forget(&self) {
        while !self.is_stopping() {
            beat(FORGET_EVERY);
            match self.database.forget_jobs(Timestamp::now() - KEPT).await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "old jobs were deleted"),
                Err(error) => tracing::warn!(%error, "old jobs could not be deleted"),
            }
            self.rest(FORGET_EVERY).await;
        }
    }
}

/// A running job, listed with its progress until this is dropped: also if the job panics.
struct Running<'a> {
    runner: &'a JobRunner,
    job: JobId,
    course: Arc<Course>,
}

impl<'a> Running<'a> {
    fn new(runner: &'a JobRunner, job: JobId) -> Self {
        let course = Arc::new(Course::new());
        runner.courses.lock().unwrap_or_else(PoisonError::into_inner).push((job, Arc::clone(&course)));
        Self { runner, job, course }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut courses = self.runner.courses.lock().unwrap_or_else(PoisonError::into_inner);
        courses.retain(|(id, course)| *id != self.job || !Arc::ptr_eq(course, &self.course));
    }
}

fn progress(course: &Course) -> JobProgress {
    JobProgress { done: course.done(), counts: course.counts() }
}
