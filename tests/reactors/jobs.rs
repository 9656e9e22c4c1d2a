//! The runner of jobs: also after panics, and when a node starts again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::{Actor, JobId};
use porttask_runtime::{
    jobs::{Course, Job, JobLimits, JobRunner, JobState, NewJob, Work, WorkError},
    lease::Holder,
    ledger::Database,
    log::OrganizationId,
    new_id,
};
use porttask_tests::{Settings, Store, by, on_both_engines};
use tokio::time::sleep;

use super::fake::{SOON, any_node};

on_both_engines! {
    a_job_that_panicked_is_no_longer_listed_as_running,
    a_restarted_node_takes_over_at_once,
}

/// Work whose first attempt ends otherwise.
struct Fake {
    attempts: AtomicU32,
    panics: bool,
}

#[async_trait]
impl Work for Fake {
    fn kind(&self) -> &'static str {
        "test"
    }

    async fn carry_out(&self, _: &Job, input: &[u8], course: &Course) -> Result<Vec<u8>, WorkError> {
        if self.attempts.fetch_add(1, Ordering::Relaxed) > 0 {
            return Ok(input.to_vec());
        }
        // Until its progress was seen.
        sleep(Duration::from_millis(300)).await;
        assert!(!self.panics, "this work is broken");
        while !course.is_stopping() {
            sleep(Duration::from_millis(10)).await;
        }
        Ok(b"too late".to_vec())
    }
}

fn runner(database: &Arc<dyn Database>, work: &Arc<Fake>) -> Arc<JobRunner> {
    JobRunner::new(Arc::clone(database), vec![Arc::<Fake>::clone(work)])
}

async fn add(database: &dyn Database) -> JobId {
    let job = NewJob {
        id: new_id(),
        organization: OrganizationId::PLATFORM,
        kind: "test",
        actor: Actor::Operator,
        is_dry_run: false,
        total: 1,
        created_at: Timestamp::now(),
        request_hash: [0; 32],
        input: b"input".to_vec(),
    };
    let id = job.id;
    database.add_job(job, JobLimits::USUAL).await.unwrap();
    id
}

async fn job(database: &dyn Database, id: JobId) -> Job {
    database.job(OrganizationId::PLATFORM, id).await.unwrap().unwrap()
}

async fn a_job_that_panicked_is_no_longer_listed_as_running(store: Store) {
    let database = store.open_database(Settings::default()).await;
    let work = Arc::new(Fake { attempts: AtomicU32::new(0), panics: true });
    let runner = runner(&database, &work);
    let id = add(&*database).await;
    runner.run(&any_node());
    by(SOON, "it runs", || async { runner.progress(id).is_some() }).await;
    by(SOON, "it panicked", || async { runner.progress(id).is_none() }).await;
    assert_eq!(work.attempts.load(Ordering::Relaxed), 1);
    assert_eq!(job(&*database, id).await.state, JobState::Running, "until its lease expires");
    assert!(runner.shutdown(SOON).await);
}

/// The former run still runs, as if two nodes had been given the same name: its outcome is discarded.
async fn a_restarted_node_takes_over_at_once(store: Store) {
    let nodes = [store.open_database(Settings::default()).await, store.open_database(Settings::default()).await];
    let work = Arc::new(Fake { attempts: AtomicU32::new(0), panics: false });
    let (before, after) = (runner(&nodes[0], &work), runner(&nodes[1], &work));
    let id = add(&*nodes[0]).await;
    before.run(&Holder::new("one"));
    by(SOON, "it runs", || async { before.progress(id).is_some() }).await;
    after.run(&Holder::new("one"));
    by(SOON, "it is done", || async { job(&*nodes[0], id).await.state == JobState::Done }).await;
    by(SOON, "the former run stops", || async { before.progress(id).is_none() }).await;
    let done = job(&*nodes[1], id).await;
    assert_eq!(done.attempts, 2);
    let report = nodes[0].job_report(OrganizationId::PLATFORM, id).await.unwrap();
    assert_eq!(report.as_deref(), Some(&b"input"[..]));
    assert!(before.shutdown(SOON).await && after.shutdown(SOON).await);
}
