//! Tasks: made of events exactly once, leased to one worker at a time, one of a target at a time and the oldest first,
//! dead-lettered and retried.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use porttask_runtime::{
    lease::{Holder, Lease},
    ledger::Database,
    log::{Checkpoint, EventId, Head, Offset, OrganizationId, PartitionId, Position},
    tasks::{Attempt, ErrorText, NewTask, Outcome, Task, TaskCounts, TaskFilter, TaskId, TaskState},
};
use porttask_tests::{Engine, Settings, Store, by, on_both_engines, run_on};
use tokio::time::sleep;
use uuid::Uuid;

on_both_engines! {
    events_become_tasks_once_whichever_node_is_faster,
    a_cursor_begins_once_and_is_put_anywhere,
    tasks_of_one_target_run_one_after_the_other_the_oldest_first,
    a_task_that_asks_for_no_time_is_due_at_once,
    a_task_that_waits_does_not_hold_back_what_is_due,
    targets_take_turns,
    a_task_is_handed_out_to_one_worker,
    one_task_of_a_target_runs_at_a_time_on_all_nodes,
    a_late_worker_changes_nothing,
    a_renewed_lease_does_not_expire,
    a_node_that_starts_takes_over_what_its_former_run_held,
    attempts_are_recorded_together,
    a_task_that_failed_comes_back_when_it_is_due,
    a_dead_task_is_left_alone_until_it_is_revived,
    tasks_are_listed_in_pages,
}

const MAIL: &str = "mail";
/// Much longer than a test takes.
const HOUR: Duration = Duration::from_secs(3_600);
const SOON: Duration = Duration::from_secs(20);

fn second(number: i64) -> Timestamp {
    Timestamp::from_second(number).unwrap()
}

async fn start(log: &dyn Database) -> Checkpoint {
    let incarnation = log.incarnation().await.unwrap();
    let Head { position, event_id, .. } = Head::empty(PartitionId::PLATFORM);
    Checkpoint { incarnation, position, event_id }
}

fn at(start: &Checkpoint, offset: u64) -> Checkpoint {
    let position = Position { offset: Offset(offset), ..start.position };
    Checkpoint { position, event_id: EventId(Uuid::from_u128(u128::from(offset))), ..*start }
}

fn task(number: u64, target: u128) -> NewTask {
    NewTask {
        id: TaskId::generate(),
        organization: OrganizationId::PLATFORM,
        kind: "invitation",
        subject: Uuid::from_u128(7),
        number,
        target: Uuid::from_u128(target),
        due_at: Some(second(0)),
    }
}

/// A lease of another node each time.
fn lease(duration: Duration) -> Lease {
    Lease::new(Holder::new(TaskId::generate().to_string()), duration)
}

/// A node whose reactor has these tasks, all due since second 0.
async fn with_tasks(store: &Store, tasks: &[NewTask]) -> Arc<dyn Database> {
    let log = store.open_database(Settings::default()).await;
    let start = start(&*log).await;
    log.begin(MAIL, &[start]).await.unwrap();
    assert!(log.schedule(MAIL, &start, &at(&start, 9), tasks).await.unwrap());
    log
}

async fn claim(log: &dyn Database) -> Vec<Task> {
    log.claim(MAIL, &lease(Lease::MAX_DURATION), 100).await.unwrap()
}

/// Claims once there is something to claim.
async fn claim_soon(log: &dyn Database) -> Vec<Task> {
    let claimed = tokio::sync::Mutex::new(Vec::new());
    by(SOON, "a task can be claimed", async || {
        let mut claimed = claimed.lock().await;
        claimed.extend(claim(log).await);
        !claimed.is_empty()
    })
    .await;
    claimed.into_inner()
}

async fn finish(log: &dyn Database, id: TaskId, epoch: u64, outcome: &Outcome) -> bool {
    let attempt = Attempt { id, epoch, outcome: outcome.clone() };
    log.finish(&[attempt]).await.unwrap().remove(0)
}

fn numbers(tasks: &[Task]) -> Vec<u64> {
    let mut numbers: Vec<u64> = tasks.iter().map(|task| task.number).collect();
    numbers.sort_unstable();
    numbers
}

async fn all(log: &dyn Database) -> Vec<Task> {
    log.tasks(&TaskFilter::default(), None, 1_000).await.unwrap()
}

async fn events_become_tasks_once_whichever_node_is_faster(store: Store) {
    let nodes = [store.open_database(Settings::default()).await, store.open_database(Settings::default()).await];
    let start = start(&*nodes[0]).await;
    nodes[0].begin(MAIL, &[start]).await.unwrap();
    for round in 0..20 {
        let (before, after) = (if round == 0 { start } else { at(&start, round) }, at(&start, round + 1));
        let racers = (0..4).map(|racer| {
            let (node, tasks) = (&nodes[racer % 2], [task(2 * round, 1), task(2 * round + 1, 1)]);
            let (before, after) = (before, after);
            async move { node.schedule(MAIL, &before, &after, &tasks).await.unwrap() }
        });
        let answers = join_all(racers).await;
        assert_eq!(answers.iter().filter(|won| **won).count(), 1, "{answers:?}");
    }
    assert_eq!(nodes[1].cursors(MAIL).await.unwrap(), [at(&start, 20)]);
    assert_eq!(numbers(&all(&*nodes[0]).await), (0..40).collect::<Vec<_>>());
    assert!(!nodes[0].schedule("other", &start, &at(&start, 1), &[task(99, 1)]).await.unwrap(), "it never began");
    assert_eq!(all(&*nodes[0]).await.len(), 40);
}

async fn a_cursor_begins_once_and_is_put_anywhere(store: Store) {
    let log = store.open_database(Settings::default()).await;
    let start = start(&*log).await;
    assert_eq!(log.cursors(MAIL).await.unwrap(), []);
    log.begin(MAIL, &[at(&start, 3)]).await.unwrap();
    log.begin(MAIL, &[at(&start, 5)]).await.unwrap();
    assert_eq!(log.cursors(MAIL).await.unwrap(), [at(&start, 3)]);
    assert_eq!(log.cursors("other").await.unwrap(), []);
    log.put_cursors(MAIL, &[at(&start, 1)]).await.unwrap();
    let reopened = store.open_database(Settings::default()).await;
    assert_eq!(reopened.cursors(MAIL).await.unwrap(), [at(&start, 1)]);
}

async fn tasks_of_one_target_run_one_after_the_other_the_oldest_first(store: Store) {
    let mut tasks = [task(1, 1), task(2, 1), task(3, 2), task(4, 1)];
    // A younger id does not make a younger task: clocks differ between nodes. Nor does a later due time.
    (tasks[0].id, tasks[1].id) = (tasks[1].id, tasks[0].id);
    tasks[0].due_at = Some(second(60));
    let log = with_tasks(&store, &tasks).await;
    let first = claim(&*log).await;
    assert_eq!(numbers(&first), [1, 3]);
    assert_eq!(claim(&*log).await, [], "the first of the target is running");
    let one = first.iter().find(|task| task.number == 1).unwrap();
    assert!(finish(&*log, one.id, one.epoch, &Outcome::Done).await);
    let two = claim(&*log).await.remove(0);
    assert_eq!((two.number, claim(&*log).await.len()), (2, 0));
    assert!(finish(&*log, two.id, two.epoch, &Outcome::Dead { error: ErrorText::new("gone") }).await);
    assert_eq!(numbers(&claim(&*log).await), [4], "a dead-lettered task does not stand in the way");
}

async fn a_task_that_asks_for_no_time_is_due_at_once(store: Store) {
    let tasks = [1, 2, 3].map(|number| NewTask { due_at: None, ..task(number, number.into()) });
    let before = Timestamp::now() - SignedDuration::from_secs(1);
    let log = with_tasks(&store, &tasks).await;
    let claimed = claim(&*log).await;
    assert_eq!(numbers(&claimed), [1, 2, 3]);
    assert!(claimed.iter().all(|task| before <= task.due_at && task.due_at <= Timestamp::now()), "{claimed:?}");
}

async fn a_task_that_waits_does_not_hold_back_what_is_due(store: Store) {
    let mut tasks = [task(1, 1), task(2, 1), task(3, 1), task(4, 1)];
    tasks[1].due_at = Some(second(4_000_000_000));
    let log = with_tasks(&store, &tasks).await;
    let one = claim(&*log).await.remove(0);
    let retry = Outcome::Retry { delay: HOUR, error: ErrorText::new("busy") };
    assert!(finish(&*log, one.id, one.epoch, &retry).await);
    let three = claim(&*log).await.remove(0);
    assert_eq!((one.number, three.number), (1, 3));
    let retry = Outcome::Retry { delay: Duration::ZERO, error: ErrorText::new("busy") };
    assert!(finish(&*log, three.id, three.epoch, &retry).await);
    let three = claim(&*log).await.remove(0);
    assert_eq!((three.number, three.attempts), (3, 2), "due again, it is older than the fourth");
    assert!(finish(&*log, three.id, three.epoch, &Outcome::Done).await);
    let four = claim(&*log).await.remove(0);
    assert!(finish(&*log, four.id, four.epoch, &Outcome::Done).await);
    assert_eq!((four.number, claim(&*log).await, numbers(&all(&*log).await)), (4, vec![], vec![1, 2]));
}

async fn targets_take_turns(store: Store) {
    let tasks: Vec<NewTask> = (0..9).map(|number| task(number, u128::from(number) / 3)).collect();
    let log = with_tasks(&store, &tasks).await;
    let mut order = Vec::new();
    for _ in 0..9 {
        let one = log.claim(MAIL, &lease(HOUR), 1).await.unwrap().remove(0);
        assert!(finish(&*log, one.id, one.epoch, &Outcome::Done).await);
        order.push(one.number);
    }
    assert_eq!(order, [0, 3, 6, 1, 4, 7, 2, 5, 8]);
}

async fn a_task_is_handed_out_to_one_worker(store: Store) {
    let tasks: Vec<NewTask> = (0..40).map(|number| task(number, u128::from(number))).collect();
    let nodes = [with_tasks(&store, &tasks).await, store.open_database(Settings::default()).await];
    let mut handed_out = claimed_by_all(&nodes).await;
    // A worker that met locked tasks may have stopped too early.
    handed_out.extend(claim(&*nodes[0]).await);
    assert_eq!(numbers(&handed_out), (0..40).collect::<Vec<_>>());
    let is_leased = |task: &Task| (task.attempts, task.epoch, task.leased_until.is_some()) == (1, 1, true);
    assert!(handed_out.iter().all(is_leased), "{handed_out:?}");
    assert!(nodes[0].claim("other", &lease(HOUR), 9).await.unwrap().is_empty());
}

async fn one_task_of_a_target_runs_at_a_time_on_all_nodes(store: Store) {
    let tasks: Vec<NewTask> = (0..40).map(|number| task(number, u128::from(number) % 4)).collect();
    let nodes = [with_tasks(&store, &tasks).await, store.open_database(Settings::default()).await];
    for round in 0..5 {
        let mut running = claimed_by_all(&nodes).await;
        running.extend(claim(&*nodes[1]).await);
        let targets: BTreeSet<Uuid> = running.iter().map(|task| task.target).collect();
        assert_eq!((running.len(), targets.len()), (4, 4), "{running:?}");
        assert_eq!(numbers(&running), (4 * round..4 * round + 4).collect::<Vec<_>>());
        for task in running {
            assert!(finish(&*nodes[0], task.id, task.epoch, &Outcome::Done).await);
        }
    }
}

/// What eight concurrent workers on these nodes claim until there is nothing more.
async fn claimed_by_all(nodes: &[Arc<dyn Database>; 2]) -> Vec<Task> {
    let workers = (0..8).map(|worker| {
        let node = &nodes[worker % 2];
        async move {
            let mut own = Vec::new();
            loop {
                let claimed = node.claim(MAIL, &lease(HOUR), 3).await.unwrap();
                assert!(claimed.len() <= 3);
                if claimed.is_empty() {
                    break own;
                }
                own.extend(claimed);
            }
        }
    });
    join_all(workers).await.concat()
}

async fn a_late_worker_changes_nothing(store: Store) {
    let log = with_tasks(&store, &[task(1, 1)]).await;
    let late = log.claim(MAIL, &lease(Duration::from_millis(1)), 9).await.unwrap().remove(0);
    let next = claim_soon(&*log).await.remove(0);
    assert_eq!((next.id, next.attempts, claim(&*log).await), (late.id, 2, vec![]));
    let error = || ErrorText::new("late");
    let retry = Outcome::Retry { delay: Duration::ZERO, error: error() };
    for outcome in [Outcome::Done, retry, Outcome::Dead { error: error() }] {
        assert!(!finish(&*log, late.id, late.epoch, &outcome).await, "{outcome:?}");
    }
    assert!(!log.renew(late.id, late.epoch, &lease(HOUR)).await.unwrap());
    assert_eq!(all(&*log).await, std::slice::from_ref(&next));
    assert!(finish(&*log, next.id, next.epoch, &Outcome::Done).await);
    assert!(!finish(&*log, next.id, next.epoch, &Outcome::Done).await);
    let is_renewed = log.renew(next.id, next.epoch, &lease(HOUR)).await.unwrap();
    assert_eq!((is_renewed, all(&*log).await), (false, vec![]));
}

async fn a_renewed_lease_does_not_expire(store: Store) {
    let (short, long) = (Duration::from_millis(300), lease(HOUR));
    let log = with_tasks(&store, &[task(1, 1), task(2, 1)]).await;
    let one = log.claim(MAIL, &lease(short), 9).await.unwrap().remove(0);
    assert!(log.renew(one.id, one.epoch, &long).await.unwrap());
    sleep(2 * short).await;
    assert_eq!(claim(&*log).await, [], "neither the task nor another one of its target");
    let left = all(&*log).await.iter().find_map(|task| task.leased_until).unwrap();
    assert!(left <= Timestamp::now() + HOUR / 2, "an hour was requested, but 30 s is the maximum: {left}");
    assert!(finish(&*log, one.id, one.epoch, &Outcome::Done).await);
    assert_eq!(numbers(&claim(&*log).await), [2]);
}

async fn a_node_that_starts_takes_over_what_its_former_run_held(store: Store) {
    let log = with_tasks(&store, &[task(1, 1), task(2, 2), task(3, 3)]).await;
    let (former, other, now) = (Holder::new("one"), Holder::new("two"), Holder::new("one"));
    let [former, other] = [former, other].map(|holder| Lease::new(holder, HOUR));
    let mut held = log.claim(MAIL, &former, 1).await.unwrap();
    held.extend(log.claim(MAIL, &other, 1).await.unwrap());
    held.extend(log.claim(MAIL, &former, 1).await.unwrap());
    assert_eq!(log.take_over_tasks("other", &now).await.unwrap(), 0, "of another reactor");
    assert_eq!(log.take_over_tasks(MAIL, &Holder::new("three")).await.unwrap(), 0);
    assert_eq!(log.take_over_tasks(MAIL, &now).await.unwrap(), 2);
    assert!(!log.renew(held[0].id, held[0].epoch, &former).await.unwrap(), "the former run has lost it");
    let taken = log.claim(MAIL, &Lease::new(now.clone(), HOUR), 9).await.unwrap();
    assert_eq!(numbers(&taken), numbers(&[held[0].clone(), held[2].clone()]));
    assert!(!finish(&*log, held[0].id, held[0].epoch, &Outcome::Done).await);
    assert!(finish(&*log, held[1].id, held[1].epoch, &Outcome::Done).await, "that of the other node");
    assert_eq!(log.take_over_tasks(MAIL, &now).await.unwrap(), 0, "nothing of its own run");
}

/// PostgreSQL counts the rows that it reads; the other engine counts steps, in its own tests.
#[test]
fn claiming_reads_few_rows_however_many_tasks_wait() {
    const TASKS: u64 = 20_000;
    const CLAIMS: u64 = 50;
    run_on(Engine::Postgres, async |store: Store| {
        let mut tasks: Vec<NewTask> = (0..TASKS).map(|number| task(number, 1)).collect();
        tasks.iter_mut().step_by(2).for_each(|task| task.due_at = Some(second(4_000_000_000)));
        let log = with_tasks(&store, &tasks).await;
        for number in 0..CLAIMS {
            let one = claim(&*log).await.remove(0);
            assert_eq!(one.number, 2 * number + 1);
            assert_eq!(claim(&*log).await, []);
            assert!(finish(&*log, one.id, one.epoch, &Outcome::Done).await);
        }
        // A server process reports what it counted when it ends, at the latest.
        drop(log);
        let counted = async |column: &str| {
            let sql = format!(
                "SELECT sum({column}) FROM pg_stat_user_tables AS t JOIN pg_stat_user_indexes AS i USING (relid)
                 WHERE t.schemaname = 'ledger' AND t.relname = 'tasks'"
            );
            store.sql(&sql).await.remove(0).parse::<u64>().unwrap()
        };
        by(SOON, "all is counted", async || counted("n_tup_del").await >= CLAIMS * counted("1").await).await;
        assert_eq!(counted("seq_tup_read").await, 0);
        let read = counted("idx_tup_read").await;
        // Of a few rows each; and, until the server removes them, of the index entries of those that are done.
        assert!(read < TASKS, "{read} rows were read for {CLAIMS} of {TASKS} tasks");
    });
}

async fn attempts_are_recorded_together(store: Store) {
    let log = with_tasks(&store, &[task(1, 1), task(2, 2), task(3, 3), task(4, 4)]).await;
    let claimed = claim(&*log).await;
    let error = || ErrorText::new("4.2.0 busy");
    let ends = claimed.iter().map(|task| match task.number {
        1 => (task.epoch, Outcome::Done),
        2 => (task.epoch, Outcome::Retry { delay: HOUR, error: error() }),
        3 => (task.epoch, Outcome::Dead { error: error() }),
        _ => (task.epoch + 1, Outcome::Done),
    });
    let ends = claimed.iter().zip(ends);
    let attempts: Vec<Attempt> = ends.map(|(task, (epoch, outcome))| Attempt { id: task.id, epoch, outcome }).collect();
    let recorded = log.finish(&attempts).await.unwrap();
    let expected: Vec<bool> = claimed.iter().map(|task| task.number != 4).collect();
    assert_eq!(recorded, expected, "the last is somebody else's by now");
    assert_eq!(log.finish(&[]).await.unwrap(), Vec::<bool>::new());
    let mut left = all(&*log).await;
    left.sort_by_key(|task| task.number);
    let left: Vec<_> = left.iter().map(|task| (task.number, task.is_dead_lettered)).collect();
    assert_eq!(left, [(2, false), (3, true), (4, false)]);
}

async fn a_task_that_failed_comes_back_when_it_is_due(store: Store) {
    let log = with_tasks(&store, &[task(1, 1), task(2, 2)]).await;
    let claimed = claim(&*log).await;
    let delay_of = |task: &Task| if task.number == 1 { Duration::from_millis(200) } else { HOUR };
    let before = Timestamp::now();
    for task in &claimed {
        let retry = Outcome::Retry { delay: delay_of(task), error: ErrorText::new("4.2.0 busy") };
        assert!(finish(&*log, task.id, task.epoch, &retry).await);
        assert!(!finish(&*log, task.id, task.epoch, &Outcome::Done).await, "the attempt has ended");
    }
    for task in all(&*log).await {
        let stored = (task.last_error.as_deref(), task.attempts, task.leased_until);
        assert_eq!(stored, (Some("4.2.0 busy"), 1, None));
        // The server of these tests is on this machine.
        assert!(task.due_at >= before + delay_of(&task), "{task:?}");
    }
    let again = claim_soon(&*log).await;
    assert_eq!((numbers(&again), again[0].attempts), (vec![1], 2));
}

async fn a_dead_task_is_left_alone_until_it_is_revived(store: Store) {
    let log = with_tasks(&store, &[task(1, 1), task(2, 2)]).await;
    let one = log.claim(MAIL, &lease(HOUR), 1).await.unwrap().remove(0);
    assert!(!log.retry(one.id, one.epoch).await.unwrap(), "it lives");
    assert_eq!(log.task(one.id).await.unwrap().map(|task| task.number), Some(1));
    assert_eq!(log.task(TaskId::generate()).await.unwrap(), None);
    assert!(finish(&*log, one.id, one.epoch, &Outcome::Dead { error: ErrorText::new("5.1.1") }).await);
    assert!(!finish(&*log, one.id, one.epoch + 1, &Outcome::Done).await);
    assert_eq!(log.count_tasks(MAIL).await.unwrap(), TaskCounts { waiting: 1, dead: 1 });
    assert_eq!(numbers(&claim(&*log).await), [2]);
    let dead = TaskFilter { state: Some(TaskState::DeadLettered), organization: None };
    let kept = log.tasks(&dead, None, 10).await.unwrap();
    assert_eq!((kept[0].id, kept[0].last_error.as_deref(), kept.len()), (one.id, Some("5.1.1"), 1));
    assert!(!log.retry(one.id, kept[0].epoch - 1).await.unwrap(), "it was dead-lettered later");
    assert!(log.retry(one.id, kept[0].epoch).await.unwrap());
    assert!(!log.retry(one.id, kept[0].epoch).await.unwrap());
    assert_eq!(log.tasks(&dead, None, 10).await.unwrap(), []);
    let again = claim(&*log).await.remove(0);
    assert_eq!((again.id, again.attempts, again.is_dead_lettered), (one.id, 1, false));
    assert_eq!(log.count_tasks(MAIL).await.unwrap(), TaskCounts { waiting: 2, dead: 0 });
}

async fn tasks_are_listed_in_pages(store: Store) {
    let elsewhere = OrganizationId(Uuid::from_u128(3));
    let mut tasks: Vec<NewTask> = (0..7).map(|number| task(number, 1)).collect();
    tasks[4].organization = elsewhere;
    let log = with_tasks(&store, &tasks).await;
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let page = log.tasks(&TaskFilter::default(), after, 3).await.unwrap();
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        found.extend(page.iter().map(|task| task.id));
    }
    let mut ids: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
    ids.sort_unstable();
    assert_eq!(found, ids);
    let filter = TaskFilter { organization: Some(elsewhere), state: None };
    assert_eq!(numbers(&log.tasks(&filter, None, 10).await.unwrap()), [4]);
    assert_eq!(log.tasks(&TaskFilter { state: Some(TaskState::DeadLettered), ..filter }, None, 10).await.unwrap(), []);
}
