//! Tasks: made of events exactly once, handed out to one worker at a time and in order, dead and revived.

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use porttask_runtime::{
    ledger::Database,
    log::{Checkpoint, EventId, Head, Offset, OrganizationId, PartitionId, Position},
    tasks::{Attempt, ErrorText, NewTask, Outcome, Task, TaskCounts, TaskFilter, TaskId},
};
use porttask_tests::{Settings, Store, on_both_engines};
use uuid::Uuid;

on_both_engines! {
    events_become_tasks_once_whichever_node_is_faster,
    a_cursor_begins_once_and_is_put_anywhere,
    tasks_of_one_target_are_handed_out_in_order,
    a_task_is_handed_out_to_one_worker,
    a_late_worker_changes_nothing,
    attempts_are_recorded_together,
    a_task_that_failed_comes_back_when_it_is_due,
    a_dead_task_is_left_alone_until_it_is_revived,
    tasks_are_listed_in_pages,
}

const MAIL: &str = "mail";

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
        due_at: second(0),
    }
}

/// A node whose reactor has these tasks, all due since second 0.
async fn with_tasks(store: &Store, tasks: &[NewTask]) -> std::sync::Arc<dyn Database> {
    let log = store.open_database(Settings::default()).await;
    let start = start(&*log).await;
    log.begin(MAIL, &[start]).await.unwrap();
    assert!(log.schedule(MAIL, &start, &at(&start, 9), tasks).await.unwrap());
    log
}

async fn claim(log: &dyn Database, now: i64) -> Vec<Task> {
    log.claim(MAIL, second(now), second(now + 60), 100).await.unwrap()
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

async fn tasks_of_one_target_are_handed_out_in_order(store: Store) {
    // A younger id does not make a younger task: clocks differ between nodes.
    let mut tasks = [task(1, 1), task(2, 1), task(3, 2)];
    let ids = [tasks[1].id, tasks[0].id];
    (tasks[0].id, tasks[1].id) = (ids[0], ids[1]);
    let log = with_tasks(&store, &tasks).await;
    let first = claim(&*log, 10).await;
    assert_eq!(numbers(&first), [1, 3]);
    assert_eq!(claim(&*log, 11).await, [], "the first of the target is not done");
    let one = first.iter().find(|task| task.number == 1).unwrap();
    let retry = Outcome::Retry { at: second(100), error: ErrorText::new("busy") };
    assert!(finish(&*log, one.id, one.epoch, &retry).await);
    assert_eq!(claim(&*log, 12).await, [], "the first of the target waits to be tried again");
    let one = claim(&*log, 100).await.into_iter().find(|task| task.number == 1).unwrap();
    assert!(finish(&*log, one.id, one.epoch, &Outcome::Dead { error: ErrorText::new("gone") }).await);
    assert_eq!(numbers(&claim(&*log, 101).await), [2], "a dead task does not stand in the way");
}

async fn a_task_is_handed_out_to_one_worker(store: Store) {
    let tasks: Vec<NewTask> = (0..40).map(|number| task(number, u128::from(number))).collect();
    let nodes = [with_tasks(&store, &tasks).await, store.open_database(Settings::default()).await];
    let workers = (0..8).map(|worker| {
        let node = &nodes[worker % 2];
        async move {
            let mut mine = Vec::new();
            loop {
                let claimed = node.claim(MAIL, second(1), second(61), 3).await.unwrap();
                assert!(claimed.len() <= 3);
                if claimed.is_empty() {
                    break mine;
                }
                mine.extend(claimed);
            }
        }
    });
    let mut handed_out = join_all(workers).await.concat();
    // Who met a locked task may have looked away too early.
    handed_out.extend(claim(&*nodes[0], 1).await);
    assert_eq!(numbers(&handed_out), (0..40).collect::<Vec<_>>());
    let is_as_kept = |task: &Task| (task.attempts, task.due_at, task.epoch) == (1, second(61), 1);
    assert!(handed_out.iter().all(is_as_kept), "{handed_out:?}");
    assert!(nodes[0].claim("other", second(1), second(2), 9).await.unwrap().is_empty());
}

async fn a_late_worker_changes_nothing(store: Store) {
    let log = with_tasks(&store, &[task(1, 1)]).await;
    let late = claim(&*log, 10).await.remove(0);
    assert_eq!(claim(&*log, 69).await, []);
    let next = claim(&*log, 70).await.remove(0);
    assert_eq!((next.id, next.attempts), (late.id, 2));
    let error = || ErrorText::new("late");
    for outcome in [Outcome::Done, Outcome::Retry { at: second(0), error: error() }, Outcome::Dead { error: error() }] {
        assert!(!finish(&*log, late.id, late.epoch, &outcome).await, "{outcome:?}");
    }
    assert_eq!(all(&*log).await, std::slice::from_ref(&next));
    assert!(finish(&*log, next.id, next.epoch, &Outcome::Done).await);
    assert!(!finish(&*log, next.id, next.epoch, &Outcome::Done).await);
    assert_eq!(all(&*log).await, []);
}

async fn attempts_are_recorded_together(store: Store) {
    let log = with_tasks(&store, &[task(1, 1), task(2, 2), task(3, 3), task(4, 4)]).await;
    let claimed = claim(&*log, 10).await;
    let error = || ErrorText::new("4.2.0 busy");
    let ends = claimed.iter().map(|task| match task.number {
        1 => (task.epoch, Outcome::Done),
        2 => (task.epoch, Outcome::Retry { at: second(90), error: error() }),
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
    let log = with_tasks(&store, &[task(1, 1)]).await;
    let one = claim(&*log, 10).await.remove(0);
    let at = second(90) + SignedDuration::from_micros(7);
    let retry = Outcome::Retry { at, error: ErrorText::new("4.2.0 busy") };
    assert!(finish(&*log, one.id, one.epoch, &retry).await);
    assert!(!finish(&*log, one.id, one.epoch, &Outcome::Done).await, "it was given back");
    let kept = all(&*log).await.remove(0);
    assert_eq!((kept.last_error.as_deref(), kept.due_at, kept.attempts), (Some("4.2.0 busy"), at, 1));
    assert_eq!(claim(&*log, 90).await, []);
    assert_eq!(claim(&*log, 91).await[0].attempts, 2);
}

async fn a_dead_task_is_left_alone_until_it_is_revived(store: Store) {
    let log = with_tasks(&store, &[task(1, 1), task(2, 2)]).await;
    let one = log.claim(MAIL, second(10), second(70), 1).await.unwrap().remove(0);
    assert!(!log.retry(one.id, second(11)).await.unwrap(), "it lives");
    assert!(finish(&*log, one.id, one.epoch, &Outcome::Dead { error: ErrorText::new("5.1.1") }).await);
    assert!(!finish(&*log, one.id, one.epoch + 1, &Outcome::Done).await);
    assert_eq!(log.count_tasks(MAIL).await.unwrap(), TaskCounts { waiting: 1, dead: 1 });
    assert_eq!(numbers(&claim(&*log, 1_000).await), [2]);
    let dead = TaskFilter { only_dead: true, organization: None };
    let kept = log.tasks(&dead, None, 10).await.unwrap();
    assert_eq!((kept[0].id, kept[0].last_error.as_deref(), kept.len()), (one.id, Some("5.1.1"), 1));
    assert!(log.retry(one.id, second(20)).await.unwrap());
    assert!(!log.retry(one.id, second(20)).await.unwrap());
    assert_eq!(log.tasks(&dead, None, 10).await.unwrap(), []);
    let again = claim(&*log, 20).await.remove(0);
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
    let filter = TaskFilter { organization: Some(elsewhere), only_dead: false };
    assert_eq!(numbers(&log.tasks(&filter, None, 10).await.unwrap()), [4]);
    assert_eq!(log.tasks(&TaskFilter { only_dead: true, ..filter }, None, 10).await.unwrap(), []);
}
