//! A node that takes jobs and does them.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use porttask_domain::JobId;
use tokio::{
    sync::{Notify, Semaphore, watch},
    time::{sleep, timeout},
};

use super::{Course, Job, JobEnd, JobProgress};
use crate::{ledger::Database, log::LogError};

/// How many jobs a node does at once, each of another organization.
const AT_ONCE: usize = 2;
/// How long a node may be silent before another begins its job anew.
const LEASE: SignedDuration = SignedDuration::from_secs(15);
/// How often a node says that it is at it, and how far it has come.
const EVERY: Duration = Duration::from_secs(1);
/// How often to look for jobs of which nobody told: those of other nodes.
const POLL: Duration = Duration::from_secs(5);
/// How often a job is begun before it is given up.
const ATTEMPTS: u32 = 10;
/// How long a job rests after an attempt that failed.
const REST: SignedDuration = SignedDuration::from_secs(15);
/// How long a finished job is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How often those that are older are looked for.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);

/// Why a job was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkError {
    /// It was told to stop.
    #[error("stopped")]
    Stopped,
    /// It may succeed a little later.
    #[error("{0}")]
    Passing(String),
    /// It will not succeed. The reason is told to whoever ordered it.
    #[error("{0}")]
    Final(String),
}

/// What does jobs of a kind.
#[async_trait]
pub trait Work: Send + Sync {
    /// The kind, in a word.
    fn kind(&self) -> &'static str;

    /// Does a job, which may have been begun before; answers what came of it, sealed.
    ///
    /// # Errors
    /// Why it is not done.
    async fn carry_out(&self, job: &Job, input: &[u8], course: &Course) -> Result<Vec<u8>, WorkError>;
}

/// Takes jobs and does them.
pub struct JobRunner {
    database: Arc<dyn Database>,
    works: Vec<Arc<dyn Work>>,
    wakeup: Notify,
    stopping: watch::Sender<bool>,
    /// The courses of the jobs that are being done.
    courses: Mutex<Vec<(JobId, Arc<Course>)>>,
    /// All of them are free when nothing is done.
    places: Arc<Semaphore>,
}

impl JobRunner {
    /// Of a node that knows how to do this. It does nothing before [`JobRunner::run`].
    pub fn new(database: Arc<dyn Database>, works: Vec<Arc<dyn Work>>) -> Arc<Self> {
        let (wakeup, stopping, places) = (Notify::new(), watch::Sender::new(false), Arc::new(Semaphore::new(AT_ONCE)));
        Arc::new(Self { database, works, wakeup, stopping, courses: Mutex::default(), places })
    }

    /// Begins to take jobs, until [`JobRunner::stop`].
    pub fn run(self: &Arc<Self>) {
        for _ in 0..AT_ONCE {
            tokio::spawn(Arc::clone(self).take_turns());
        }
        tokio::spawn(Arc::clone(self).forget());
    }

    /// Tells that there is a new job.
    pub fn wake(&self) {
        self.wakeup.notify_one();
    }

    /// How far a job has come that this node is doing.
    pub fn progress(&self, id: JobId) -> Option<JobProgress> {
        let courses = self.courses.lock().unwrap_or_else(PoisonError::into_inner);
        courses.iter().find(|(job, _)| *job == id).map(|(_, course)| progress(course))
    }

    /// Takes no more jobs, and gives back those that are being done, so that another node or the next start goes on with
    /// them.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
        for (_, course) in self.courses.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            course.stop();
        }
    }

    /// The same, and waits for it. Answers whether that was finished within `grace`.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        self.stop();
        timeout(grace, self.places.acquire_many(AT_ONCE as u32)).await.is_ok()
    }

    fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Waits for a time, and no longer when the node is told to stop.
    async fn rest(&self, time: Duration) {
        let mut stopping = self.stopping.subscribe();
        tokio::select! {
            () = sleep(time) => {}
            _ = stopping.wait_for(|it| *it) => {}
        }
    }

    async fn take_turns(self: Arc<Self>) {
        while !self.is_stopping() {
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
            let taken = if self.is_stopping() { Ok(None) } else { self.take().await };
            match taken {
                Ok(Some((job, input))) => {
                    let this = Arc::clone(&self);
                    // Apart, so that a job that panics takes nothing with it.
                    if let Err(error) = tokio::spawn(async move { this.carry_out(&job, &input).await }).await {
                        tracing::error!(%error, "a job ended badly: it is begun anew");
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
                    tracing::warn!(%error, "jobs wait for the log");
                    self.rest(POLL).await;
                }
            }
        }
    }

    async fn take(&self) -> Result<Option<(Job, Vec<u8>)>, LogError> {
        let kinds: Vec<&str> = self.works.iter().map(|work| work.kind()).collect();
        let now = Timestamp::now();
        self.database.take_job(&kinds, now, now + LEASE).await
    }

    async fn carry_out(&self, job: &Job, input: &[u8]) {
        let course = Arc::new(Course::new());
        self.courses.lock().unwrap_or_else(PoisonError::into_inner).push((job.id, Arc::clone(&course)));
        // Whoever told to stop before the line above did not see this course.
        if self.is_stopping() {
            course.stop();
        }
        let ended = self.attempt(job, input, &course).await;
        self.courses.lock().unwrap_or_else(PoisonError::into_inner).retain(|(id, _)| *id != job.id);
        let end = match ended {
            Ok(report) => JobEnd::Done { report },
            Err(WorkError::Stopped) => JobEnd::Waiting { due_at: Timestamp::now(), counts_as_attempt: false },
            Err(WorkError::Passing(reason)) if job.attempts < ATTEMPTS => {
                tracing::warn!(job = %job.id, %reason, "a job has to wait");
                JobEnd::Waiting { due_at: Timestamp::now() + REST, counts_as_attempt: true }
            }
            Err(WorkError::Passing(reason)) => {
                tracing::error!(job = %job.id, %reason, "a job was given up");
                JobEnd::Failed { reason: format!("given up after {ATTEMPTS} attempts: order it again") }
            }
            Err(WorkError::Final(reason)) => JobEnd::Failed { reason },
        };
        let now = Timestamp::now();
        match self.database.end_job(job.id, job.epoch, now, &progress(&course), &end).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!(job = %job.id, "a job was taken over by another node"),
            Err(error) => {
                tracing::error!(job = %job.id, %error, "the end of a job could not be recorded: it is begun anew")
            }
        }
    }

    /// Does a job, and says meanwhile that this node is at it.
    async fn attempt(&self, job: &Job, input: &[u8], course: &Course) -> Result<Vec<u8>, WorkError> {
        if job.attempts > ATTEMPTS {
            return Err(WorkError::Passing("its attempts ended without a word".to_owned()));
        }
        let work = self.works.iter().find(|work| work.kind() == job.kind);
        let work = work.ok_or_else(|| WorkError::Final("this kind of job is not known any more".to_owned()))?;
        let mut working = work.carry_out(job, input, course);
        loop {
            tokio::select! {
                ended = &mut working => return ended,
                () = sleep(EVERY) => {}
            }
            let lease_until = Timestamp::now() + LEASE;
            match self.database.keep_job(job.id, job.epoch, lease_until, &progress(course)).await {
                Ok(true) => {}
                Ok(false) => course.stop(),
                Err(error) => tracing::warn!(job = %job.id, %error, "a job could not be kept"),
            }
        }
    }

    /// Deletes what is old, until the node is told to stop.
    async fn forget(self: Arc<Self>) {
        while !self.is_stopping() {
            match self.database.forget_jobs(Timestamp::now() - KEPT).await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "old jobs were deleted"),
                Err(error) => tracing::warn!(%error, "old jobs could not be deleted"),
            }
            self.rest(FORGET_EVERY).await;
        }
    }
}

fn progress(course: &Course) -> JobProgress {
    JobProgress { done: course.done(), counts: course.counts() }
}
