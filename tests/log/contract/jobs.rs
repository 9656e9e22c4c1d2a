//! Jobs: kept until they are done, done by one node at a time, in their order.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use jiff::Timestamp;
use porttask_domain::{Actor, JobId, UserId};
use porttask_runtime::{
    jobs::{Added, Job, JobEnd, JobLimits, JobProgress, JobState, NewJob, ReachedLimit},
    lease::{Holder, Lease},
    ledger::Database,
    log::OrganizationId,
    new_id,
};
use porttask_tests::{Settings, Store, by, found, on_both_engines};
use tokio::time::sleep;

on_both_engines! {
    a_job_is_kept_as_it_was_ordered,
    an_order_that_is_repeated_finds_its_job,
    so_many_jobs_of_an_organization_wait_and_no_more,
    so_many_jobs_of_an_organization_are_ordered_in_a_day_and_no_more,
    jobs_of_an_organization_are_done_one_after_the_other,
    a_job_is_taken_by_one_node,
    a_node_whose_lease_expired_has_lost_the_job,
    a_renewed_lease_does_not_expire,
    a_node_that_starts_takes_over_what_its_former_run_held,
    a_job_that_was_given_back_is_due_when_it_says,
    a_finished_job_has_a_report_and_no_input,
    jobs_are_listed_the_latest_first,
    old_jobs_are_forgotten,
}

const KIND: &str = "test";
/// Much longer than a test takes.
const LONG: Duration = Duration::from_secs(3_600);
const LIMITS: JobLimits = JobLimits { waiting: 5, per_day: 100 };

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

fn order(organization: OrganizationId, second: i64) -> NewJob {
    NewJob {
        id: new_id(),
        organization,
        kind: KIND,
        actor: Actor::User { organization, user: UserId(uuid::Uuid::from_u128(7)) },
        is_dry_run: second % 2 == 1,
        total: 12,
        created_at: at(second),
        request_hash: [second as u8; 32],
        input: format!("input {second}").into_bytes(),
    }
}

async fn open(store: &Store) -> Arc<dyn Database> {
    store.open_database(Settings::default()).await
}

async fn add(log: &dyn Database, organization: OrganizationId, second: i64) -> JobId {
    match log.add_job(order(organization, second), LIMITS).await.unwrap() {
        Added::There(job) => job.id,
        other => panic!("{other:?}"),
    }
}

/// A lease of another node each time.
fn lease(duration: Duration) -> Lease {
    Lease::new(Holder::new(new_id::<JobId>().to_string()), duration)
}

async fn take(log: &dyn Database) -> Option<(Job, Vec<u8>)> {
    take_as(log, &lease(LONG)).await
}

async fn take_as(log: &dyn Database, lease: &Lease) -> Option<(Job, Vec<u8>)> {
    log.take_job(&["other", KIND], lease).await.unwrap()
}

/// Takes a job once there is one to take.
async fn take_soon(log: &dyn Database) -> (Job, Vec<u8>) {
    let taken = tokio::sync::Mutex::new(None);
    by(Duration::from_secs(20), "a job can be taken", async || {
        let mut taken = taken.lock().await;
        *taken = take(log).await;
        taken.is_some()
    })
    .await;
    taken.into_inner().unwrap()
}

fn progress(done: u64) -> JobProgress {
    JobProgress { done, counts: [("good".to_owned(), done)].into() }
}

fn done() -> JobEnd {
    JobEnd::Done { report: b"report".to_vec() }
}

async fn a_job_is_kept_as_it_was_ordered(store: Store) {
    let log = open(&store).await;
    let (here, there) = (found(&*log).await, found(&*log).await);
    let new = order(here, 1);
    let Added::There(added) = log.add_job(new.clone(), LIMITS).await.unwrap() else { panic!("not added") };
    let expected = Job {
        id: new.id,
        organization: here,
        kind: KIND.to_owned(),
        actor: new.actor,
        is_dry_run: true,
        state: JobState::Waiting,
        done: 0,
        total: 12,
        counts: [].into(),
        created_at: at(1),
        started_at: None,
        finished_at: None,
        failure: None,
        attempts: 0,
        epoch: 0,
    };
    assert_eq!(*added, expected);
    assert_eq!(open(&store).await.job(here, new.id).await.unwrap(), Some(expected));
    assert_eq!(log.job(there, new.id).await.unwrap(), None, "of another organization");
    assert_eq!(log.job(here, new_id()).await.unwrap(), None);
    let platform = add(&*log, OrganizationId::PLATFORM, 2).await;
    assert!(log.job(OrganizationId::PLATFORM, platform).await.unwrap().is_some());
}

async fn an_order_that_is_repeated_finds_its_job(store: Store) {
    let log = open(&store).await;
    let (here, there) = (found(&*log).await, found(&*log).await);
    let (new, one) = (order(here, 1), JobLimits { waiting: 1, per_day: 1 });
    log.add_job(new.clone(), one).await.unwrap();
    let again = NewJob { created_at: at(9), input: b"sealed otherwise".to_vec(), ..new.clone() };
    let Added::There(found) = log.add_job(again, one).await.unwrap() else { panic!("not found") };
    assert_eq!((found.id, found.created_at), (new.id, at(1)));
    let another = NewJob { request_hash: [0; 32], ..new.clone() };
    assert_eq!(log.add_job(another, LIMITS).await.unwrap(), Added::Another);
    assert_eq!(log.add_job(NewJob { organization: there, ..new.clone() }, LIMITS).await.unwrap(), Added::Another);
    assert_eq!(take(&*log).await.unwrap().1, b"input 1");
}

async fn so_many_jobs_of_an_organization_wait_and_no_more(store: Store) {
    let (one, two) = (open(&store).await, open(&store).await);
    let (here, there) = (found(&*one).await, found(&*one).await);
    let orders = (0..12).map(|second| (if second % 2 == 0 { &one } else { &two }).add_job(order(here, second), LIMITS));
    let added: Vec<Added> = join_all(orders).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(added.iter().filter(|it| matches!(it, Added::There(_))).count(), 5, "{added:?}");
    assert_eq!(added.iter().filter(|it| matches!(it, Added::Full(ReachedLimit::Waiting))).count(), 7);
    add(&*one, there, 1).await;
    // One that is being done does not wait.
    assert_eq!(take(&*one).await.unwrap().0.state, JobState::Running);
    add(&*one, here, 20).await;
    assert_eq!(one.add_job(order(here, 21), LIMITS).await.unwrap(), Added::Full(ReachedLimit::Waiting));
    assert_eq!(one.reached_job_limit(here, at(21), LIMITS).await.unwrap(), Some(ReachedLimit::Waiting));
    assert_eq!(one.reached_job_limit(there, at(21), LIMITS).await.unwrap(), None);
}

async fn so_many_jobs_of_an_organization_are_ordered_in_a_day_and_no_more(store: Store) {
    const HOUR: i64 = 3_600;
    let (one, two) = (open(&store).await, open(&store).await);
    let (here, there) = (found(&*one).await, found(&*one).await);
    let limits = JobLimits { waiting: 100, per_day: 6 };
    let orders = (0..8).map(|turn| {
        let node = if turn % 2 == 0 { &one } else { &two };
        node.add_job(order(here, turn * HOUR), limits)
    });
    let added: Vec<Added> = join_all(orders).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(added.iter().filter(|it| matches!(it, Added::There(_))).count(), 6, "{added:?}");
    assert_eq!(added.iter().filter(|it| matches!(it, Added::Full(ReachedLimit::PerDay))).count(), 2);
    assert_eq!(one.reached_job_limit(here, at(8 * HOUR), limits).await.unwrap(), Some(ReachedLimit::PerDay));
    assert_eq!(one.reached_job_limit(there, at(8 * HOUR), limits).await.unwrap(), None);
    // Also those count that are finished, done or not.
    for end in [done(), JobEnd::Failed { reason: "no".to_owned() }] {
        let (job, _) = take(&*one).await.unwrap();
        assert!(one.end_job(job.id, job.epoch, &progress(12), &end).await.unwrap());
    }
    assert_eq!(two.add_job(order(here, 9 * HOUR), limits).await.unwrap(), Added::Full(ReachedLimit::PerDay));
    // All of them were ordered more than a day before.
    assert_eq!(one.reached_job_limit(here, at(32 * HOUR), limits).await.unwrap(), None);
    assert!(matches!(two.add_job(order(here, 32 * HOUR), limits).await.unwrap(), Added::There(_)));
}

async fn jobs_of_an_organization_are_done_one_after_the_other(store: Store) {
    let log = open(&store).await;
    let (here, there) = (found(&*log).await, found(&*log).await);
    let (second, first, other) = (add(&*log, here, 2).await, add(&*log, here, 1).await, add(&*log, there, 3).await);
    assert_eq!(log.take_job(&["other"], &lease(LONG)).await.unwrap(), None, "of another kind");
    let (taken, input) = take(&*log).await.unwrap();
    assert_eq!((taken.id, input), (first, b"input 1".to_vec()));
    assert_eq!((taken.state, taken.started_at.is_some(), taken.attempts), (JobState::Running, true, 1));
    assert_eq!(take(&*log).await.unwrap().0.id, other);
    assert_eq!(take(&*log).await, None);
    // Also one that is older and came late has to wait.
    let late = add(&*log, here, 0).await;
    assert_eq!(take(&*log).await, None);
    assert!(log.end_job(first, taken.epoch, &progress(12), &done()).await.unwrap());
    let (taken, _) = take(&*log).await.unwrap();
    assert_eq!(taken.id, late);
    assert!(log.end_job(late, taken.epoch, &progress(12), &done()).await.unwrap());
    assert_eq!(take(&*log).await.unwrap().0.id, second);
}

async fn a_job_is_taken_by_one_node(store: Store) {
    let nodes = [open(&store).await, open(&store).await];
    let here = found(&*nodes[0]).await;
    for turn in 0..5 {
        for second in 0..3 {
            add(&*nodes[0], here, turn * 10 + second).await;
        }
        for _ in 0..3 {
            let takers = (0..8).map(|taker| take(&*nodes[taker % 2]));
            let taken: Vec<_> = join_all(takers).await.into_iter().flatten().collect();
            let [(job, _)] = &taken[..] else { panic!("{} took one", taken.len()) };
            assert!(nodes[1].end_job(job.id, job.epoch, &progress(1), &done()).await.unwrap());
        }
    }
}

async fn a_node_whose_lease_expired_has_lost_the_job(store: Store) {
    let (one, two) = (open(&store).await, open(&store).await);
    let here = found(&*one).await;
    let id = add(&*one, here, 1).await;
    let short = lease(Duration::from_millis(1));
    let (first, _) = take_as(&*one, &short).await.unwrap();
    let (second, input) = take_soon(&*two).await;
    assert_eq!((second.id, second.attempts, second.started_at), (id, 2, first.started_at));
    assert_eq!((second.done, input), (0, b"input 1".to_vec()));
    assert!(!one.keep_job(id, first.epoch, &lease(LONG), &progress(4)).await.unwrap());
    assert!(!one.end_job(id, first.epoch, &progress(4), &done()).await.unwrap());
    assert_eq!(one.job_report(here, id).await.unwrap(), None);
    assert!(two.end_job(id, second.epoch, &progress(12), &done()).await.unwrap());
    assert!(!two.end_job(id, second.epoch, &progress(12), &done()).await.unwrap(), "once");
}

async fn a_renewed_lease_does_not_expire(store: Store) {
    let (one, two) = (open(&store).await, open(&store).await);
    let here = found(&*one).await;
    let id = add(&*one, here, 1).await;
    let short = Duration::from_millis(300);
    let (job, _) = take_as(&*one, &lease(short)).await.unwrap();
    assert!(one.keep_job(id, job.epoch, &lease(LONG), &progress(3)).await.unwrap());
    sleep(2 * short).await;
    assert_eq!(take(&*two).await, None);
    let kept = two.job(here, id).await.unwrap().unwrap();
    assert_eq!((kept.done, kept.counts.get("good")), (3, Some(&3)));
}

async fn a_node_that_starts_takes_over_what_its_former_run_held(store: Store) {
    let log = open(&store).await;
    let (here, there) = (found(&*log).await, found(&*log).await);
    let (id, other) = (add(&*log, here, 1).await, add(&*log, there, 2).await);
    let [former, elsewhere] = ["one", "two"].map(|node| Lease::new(Holder::new(node), LONG));
    let (job, _) = take_as(&*log, &former).await.unwrap();
    assert_eq!((job.id, take_as(&*log, &elsewhere).await.unwrap().0.id), (id, other));
    let now = Holder::new("one");
    assert_eq!(log.take_over_jobs(&Holder::new("three")).await.unwrap(), 0);
    assert_eq!(log.take_over_jobs(&now).await.unwrap(), 1);
    assert!(!log.keep_job(id, job.epoch, &former, &progress(4)).await.unwrap(), "the former run has lost it");
    let (again, input) = take_as(&*log, &Lease::new(now.clone(), LONG)).await.unwrap();
    assert_eq!((again.id, again.attempts, input), (id, 2, b"input 1".to_vec()));
    assert!(!log.end_job(id, job.epoch, &progress(12), &done()).await.unwrap());
    assert_eq!(log.take_over_jobs(&now).await.unwrap(), 0, "nothing of its own run");
    assert!(log.end_job(id, again.epoch, &progress(12), &done()).await.unwrap());
}

async fn a_job_that_was_given_back_is_due_when_it_says(store: Store) {
    let log = open(&store).await;
    let here = found(&*log).await;
    let (id, next) = (add(&*log, here, 1).await, add(&*log, here, 2).await);
    let (job, _) = take(&*log).await.unwrap();
    let stopped = JobEnd::Waiting { delay: Duration::ZERO, counts_as_attempt: false };
    assert!(log.end_job(id, job.epoch, &progress(4), &stopped).await.unwrap());
    let waiting = log.job(here, id).await.unwrap().unwrap();
    assert_eq!((waiting.state, waiting.done, waiting.attempts, waiting.finished_at), (JobState::Waiting, 4, 0, None));
    let (job, input) = take(&*log).await.unwrap();
    assert_eq!((job.id, job.attempts, input), (id, 1, b"input 1".to_vec()));
    let failed = JobEnd::Waiting { delay: Duration::from_millis(500), counts_as_attempt: true };
    assert!(log.end_job(id, job.epoch, &progress(4), &failed).await.unwrap());
    let (job, _) = take_soon(&*log).await;
    assert_eq!((job.id, job.attempts), (id, 2), "the next one does not overtake");
    let failed = JobEnd::Waiting { delay: LONG, counts_as_attempt: true };
    assert!(log.end_job(id, job.epoch, &progress(4), &failed).await.unwrap());
    assert_eq!(take(&*log).await, None, "nor does it later");
    let given_up = JobEnd::Failed { reason: "no".to_owned() };
    assert!(!log.end_job(id, job.epoch, &progress(5), &given_up).await.unwrap(), "the attempt has ended");
    assert_eq!(log.job(here, next).await.unwrap().unwrap().attempts, 0);
}

async fn a_finished_job_has_a_report_and_no_input(store: Store) {
    let log = open(&store).await;
    let (here, there) = (found(&*log).await, found(&*log).await);
    let (good, bad) = (add(&*log, here, 1).await, add(&*log, there, 2).await);
    for _ in 0..2 {
        let (job, _) = take(&*log).await.unwrap();
        let end = if job.id == good { done() } else { JobEnd::Failed { reason: "no".to_owned() } };
        assert_eq!(log.job_report(job.organization, job.id).await.unwrap(), None);
        assert!(log.end_job(job.id, job.epoch, &progress(12), &end).await.unwrap());
    }
    let job = log.job(here, good).await.unwrap().unwrap();
    assert_eq!((job.state, job.done, job.failure), (JobState::Done, 12, None));
    assert!(job.finished_at >= job.started_at && job.finished_at.is_some());
    assert_eq!(log.job_report(here, good).await.unwrap().unwrap(), b"report");
    assert_eq!(log.job_report(there, good).await.unwrap(), None, "of another organization");
    let job = log.job(there, bad).await.unwrap().unwrap();
    assert_eq!((job.state, job.failure.as_deref()), (JobState::Failed, Some("no")));
    assert_eq!(log.job_report(there, bad).await.unwrap(), None);
    assert_eq!(take(&*log).await, None);
    assert_eq!(papers(&store).await, ["report"]);
}

/// What is kept beside the jobs.
async fn papers(store: &Store) -> Vec<String> {
    match store.engine() {
        porttask_tests::Engine::Postgres => store.sql("SELECT what FROM ledger.job_payloads").await,
        porttask_tests::Engine::Sqlite => {
            let connection = rusqlite::Connection::open(store.file()).unwrap();
            let mut select = connection.prepare("SELECT what FROM ledger_job_payloads").unwrap();
            let rows = select.query_map([], |row| row.get(0)).unwrap();
            rows.map(Result::unwrap).collect()
        }
    }
}

async fn jobs_are_listed_the_latest_first(store: Store) {
    let log = open(&store).await;
    let (here, there) = (found(&*log).await, found(&*log).await);
    let mut ids = Vec::new();
    for second in [3, 1, 4, 2] {
        ids.push((second, add(&*log, here, second).await));
    }
    let other = add(&*log, there, 9).await;
    ids.sort_unstable_by(|one, other| other.cmp(one));
    let expected: Vec<JobId> = ids.into_iter().map(|(_, id)| id).collect();
    let listed = async |after, limit| {
        let jobs = log.jobs(here, after, limit).await.unwrap();
        jobs.into_iter().map(|job| job.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, 9).await, expected);
    assert_eq!(listed(Some(expected[1]), 1).await, expected[2..3]);
    assert_eq!(listed(Some(expected[3]), 9).await, []);
    assert_eq!(listed(Some(other), 9).await, [], "after one of another organization");
}

async fn old_jobs_are_forgotten(store: Store) {
    let log = open(&store).await;
    let here = found(&*log).await;
    let (old, young, waiting) = (add(&*log, here, 1).await, add(&*log, here, 2).await, add(&*log, here, 3).await);
    for _ in 0..2 {
        let (job, _) = take(&*log).await.unwrap();
        assert!(log.end_job(job.id, job.epoch, &progress(12), &done()).await.unwrap());
        // The two end at different times.
        sleep(Duration::from_millis(2)).await;
    }
    let finished_at = log.job(here, young).await.unwrap().unwrap().finished_at.unwrap();
    assert_eq!(log.forget_jobs(finished_at).await.unwrap(), 1);
    assert_eq!(log.job(here, old).await.unwrap(), None);
    assert_eq!(log.job_report(here, old).await.unwrap(), None);
    assert!(log.job_report(here, young).await.unwrap().is_some());
    assert!(log.job(here, waiting).await.unwrap().is_some());
    assert_eq!(papers(&store).await.len(), 2);
}
