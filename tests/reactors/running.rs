//! From events to deeds: once, in order, again after failures, and not at all when nothing new happened.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::Timestamp;
use porttask_app::mail::Mailer;
use porttask_domain::{
    UserId,
    identity::{Role, user},
};
use porttask_projections::models;
use porttask_runtime::{
    lease::{Holder, Lease},
    ledger::Database,
    new_id,
    reactors::{Reactors, RetryPolicy, Status, release},
    tasks::{Task, TaskCounts, TaskFilter},
};
use porttask_tests::{Acme, Engine, Node, Settings, Store, by, invite, on_both_engines, run_on};

use super::fake::{Answer, Fake, POLICY, SOON, any_node, mailing, reactors};

on_both_engines! {
    whoever_is_invited_gets_one_mail,
    nodes_share_the_work_and_each_mail_goes_once,
    what_fails_for_a_while_is_tried_again,
    what_is_refused_is_dead_until_it_is_revived,
    what_fails_too_often_is_dead,
    who_comes_back_goes_on_where_the_other_ended,
    what_happened_before_a_reactor_began_is_past,
    reading_the_log_anew_triggers_nothing,
    a_log_that_was_put_back_holds_reactors_until_they_are_released,
    releasing_what_is_not_held_passes_nothing_over,
    a_stop_waits_for_what_is_under_way,
    what_was_cut_off_is_carried_out_by_the_next,
    a_restarted_node_takes_over_at_once,
    a_lease_is_renewed_while_a_task_runs,
    a_worker_that_lost_its_lease_stops_and_records_nothing,
}

async fn invited(node: &Node, acme: &Acme, count: usize) -> BTreeSet<String> {
    let mut addresses = BTreeSet::new();
    for number in 0..count {
        let (user, email) = (new_id(), format!("p{number}-{}@people.example", new_id::<UserId>().0.simple()));
        node.user(acme, user, invite(acme.organization, user, &email, Role::Agent)).await.unwrap();
        addresses.insert(email);
    }
    addresses
}

async fn tasks(node: &Node) -> Vec<Task> {
    node.log.tasks(&TaskFilter::default(), None, 1_000).await.unwrap()
}

async fn nothing_is_left(node: &Node) {
    by(SOON, "all tasks are done", || async { tasks(node).await.is_empty() }).await;
}

fn status(reactors: &Reactors) -> Status {
    reactors.status().remove(0)
}

fn addresses(fake: &Fake) -> Vec<String> {
    let mut addresses: Vec<String> = fake.taken().into_iter().map(|mail| mail.to_address).collect();
    addresses.sort();
    addresses
}

async fn whoever_is_invited_gets_one_mail(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let fake = Fake::answering([]);
    let reactors = mailing(&node, &fake).await;
    let expected = invited(&node, &acme, 20).await;
    fake.mails(20).await;
    nothing_is_left(&node).await;
    assert_eq!(addresses(&fake), Vec::from_iter(expected));
    by(SOON, "it is counted", || async { status(&reactors).done == 20 }).await;
    assert_eq!((status(&reactors).skipped, status(&reactors).held), (0, None));
    assert!(reactors.shutdown(SOON).await);
}

async fn nodes_share_the_work_and_each_mail_goes_once(store: Store) {
    let nodes = [Node::on(&store).await, Node::on(&store).await];
    let acme = nodes[0].acme().await;
    let fake = Fake::answering([]);
    let running = [mailing(&nodes[0], &fake).await, mailing(&nodes[1], &fake).await];
    let mut expected = invited(&nodes[0], &acme, 25).await;
    expected.append(&mut invited(&nodes[1], &acme, 25).await);
    fake.mails(50).await;
    nothing_is_left(&nodes[1]).await;
    assert_eq!(addresses(&fake), Vec::from_iter(expected));
    for reactors in running {
        assert!(reactors.shutdown(SOON).await);
    }
}

async fn what_fails_for_a_while_is_tried_again(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let fake = Fake::answering([Answer::Busy, Answer::Panic, Answer::Nothing, Answer::Busy]);
    let reactors = mailing(&node, &fake).await;
    invited(&node, &acme, 1).await;
    fake.mails(1).await;
    nothing_is_left(&node).await;
    let counted = |it: Status| (it.done, it.retried, it.died) == (1, 4, 0);
    by(SOON, "it is counted", || async { counted(status(&reactors)) }).await;
    assert!(reactors.shutdown(SOON).await);
}

async fn what_is_refused_is_dead_until_it_is_revived(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let fake = Fake::answering([Answer::Rejected]);
    let reactors = mailing(&node, &fake).await;
    invited(&node, &acme, 1).await;
    by(SOON, "a dead task", || async { tasks(&node).await.iter().any(|task| task.is_dead_lettered) }).await;
    let dead = tasks(&node).await.remove(0);
    assert_eq!((dead.last_error.as_deref(), dead.attempts), (Some("550 no such user"), 1));
    assert_eq!(node.log.count_tasks(Mailer::NAME).await.unwrap(), TaskCounts { waiting: 0, dead: 1 });
    assert!(node.log.retry(dead.id, dead.epoch).await.unwrap());
    assert_eq!(fake.mails(1).await[0].id, dead.id.0);
    nothing_is_left(&node).await;
    assert!(reactors.shutdown(SOON).await);
}

async fn what_fails_too_often_is_dead(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let fake = Fake::answering((0..5).map(|_| Answer::Busy));
    let reactors = mailing(&node, &fake).await;
    invited(&node, &acme, 1).await;
    by(SOON, "a dead task", || async { tasks(&node).await.iter().any(|task| task.is_dead_lettered) }).await;
    let dead = tasks(&node).await.remove(0);
    assert_eq!((dead.last_error.as_deref(), dead.attempts), (Some("451 try […] later"), 5));
    assert!(reactors.shutdown(SOON).await);
    assert!(fake.taken().is_empty());
}

async fn who_comes_back_goes_on_where_the_other_ended(store: Store) {
    let fake = Fake::answering([]);
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let reactors = mailing(&node, &fake).await;
    let mut expected = invited(&node, &acme, 3).await;
    fake.mails(3).await;
    assert!(reactors.shutdown(SOON).await);
    // While nobody looks.
    expected.append(&mut invited(&node, &acme, 3).await);
    let other = Node::on(&store).await;
    let reactors = mailing(&other, &fake).await;
    fake.mails(6).await;
    nothing_is_left(&other).await;
    assert_eq!(addresses(&fake), Vec::from_iter(expected));
    assert!(reactors.shutdown(SOON).await);
}

async fn what_happened_before_a_reactor_began_is_past(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    invited(&node, &acme, 3).await;
    let fake = Fake::answering([]);
    // It begins when it is opened, not when it runs.
    let reactors = reactors(&node, &fake, POLICY).await;
    let expected = invited(&node, &acme, 2).await;
    reactors.run(&any_node());
    fake.mails(2).await;
    nothing_is_left(&node).await;
    assert_eq!(addresses(&fake), Vec::from_iter(expected));
    assert!(reactors.shutdown(SOON).await);
}

async fn reading_the_log_anew_triggers_nothing(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let fake = Fake::answering([]);
    let reactors = mailing(&node, &fake).await;
    invited(&node, &acme, 3).await;
    fake.mails(3).await;
    nothing_is_left(&node).await;
    let views = node.views(models()).await;
    views.rebuild_all(&|_| {}).await.unwrap();
    node.repair().await;
    assert!(reactors.shutdown(SOON).await);
    let again = mailing(&Node::on(&store).await, &fake).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((fake.taken().len(), tasks(&node).await.len()), (3, 0));
    assert!(again.shutdown(SOON).await);
}

async fn a_log_that_was_put_back_holds_reactors_until_they_are_released(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let fake = Fake::answering([]);
    let before = reactors(&node, &fake, POLICY).await;
    invited(&node, &acme, 1).await;
    assert!(before.shutdown(SOON).await);
    node.log.begin_incarnation().await.unwrap();
    let node = Node::on(&store).await;
    let reactors = mailing(&node, &fake).await;
    invited(&node, &acme, 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let held = status(&reactors).held.unwrap();
    assert!(held.contains("incarnation"), "{held}");
    assert_eq!((fake.taken().len(), tasks(&node).await.len()), (0, 0));
    release(&node.log, Mailer::NAME).await.unwrap();
    by(SOON, "it goes on", || async { status(&reactors).held.is_none() }).await;
    let expected = invited(&node, &acme, 2).await;
    fake.mails(2).await;
    nothing_is_left(&node).await;
    assert_eq!(addresses(&fake), Vec::from_iter(expected));
    assert!(reactors.shutdown(SOON).await);
}

async fn releasing_what_is_not_held_passes_nothing_over(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let fake = Fake::answering([]);
    assert!(reactors(&node, &fake, POLICY).await.shutdown(SOON).await);
    let expected = invited(&node, &acme, 2).await;
    release(&node.log, Mailer::NAME).await.unwrap();
    let reactors = mailing(&node, &fake).await;
    fake.mails(2).await;
    nothing_is_left(&node).await;
    assert_eq!(addresses(&fake), Vec::from_iter(expected));
    assert!(reactors.shutdown(SOON).await);
}

async fn a_stop_waits_for_what_is_under_way(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let fake = Fake::answering([Answer::Nothing]);
    let reactors = mailing(&node, &fake).await;
    invited(&node, &acme, 1).await;
    by(SOON, "it is begun", || async { tasks(&node).await.first().is_some_and(|task| task.attempts == 1) }).await;
    assert!(reactors.shutdown(SOON).await, "it ends by itself when its time is over");
    let kept = tasks(&node).await.remove(0);
    assert_eq!(kept.last_error.as_deref(), Some("timed out"));
}

async fn what_was_cut_off_is_carried_out_by_the_next(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let fake = Fake::answering([Answer::Nothing]);
    let reactors = mailing(&node, &fake).await;
    invited(&node, &acme, 1).await;
    by(SOON, "it is begun", || async { tasks(&node).await.first().is_some_and(|task| task.attempts == 1) }).await;
    assert!(!reactors.shutdown(Duration::from_millis(50)).await);
    let next = mailing(&Node::on(&store).await, &fake).await;
    fake.mails(1).await;
    nothing_is_left(&node).await;
    assert!(next.shutdown(SOON).await);
}

/// With leases that last longer than the test waits.
const LONG_LEASES: RetryPolicy = RetryPolicy { lease: Lease::MAX_DURATION, ..POLICY };

async fn a_restarted_node_takes_over_at_once(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let fake = Fake::answering([Answer::Nothing]);
    let before = reactors(&node, &fake, LONG_LEASES).await;
    before.run(&Holder::new("one"));
    invited(&node, &acme, 1).await;
    by(SOON, "it is begun", || async { tasks(&node).await.first().is_some_and(|task| task.attempts == 1) }).await;
    assert!(!before.shutdown(Duration::from_millis(50)).await);
    let next = reactors(&Node::on(&store).await, &fake, LONG_LEASES).await;
    next.run(&Holder::new("one"));
    fake.mails(1).await;
    nothing_is_left(&node).await;
    assert!(next.shutdown(SOON).await);
}

async fn a_lease_is_renewed_while_a_task_runs(store: Store) {
    const POLICY_OF_LONG_TASKS: RetryPolicy = RetryPolicy { attempt_timeout: SOON, ..POLICY };
    let nodes = [Node::on(&store).await, Node::on(&store).await];
    let acme = nodes[0].acme().await;
    // A second attempt would be answered at once.
    let fake = Fake::answering([Answer::Slow(2 * POLICY.lease)]);
    let first = reactors(&nodes[0], &fake, POLICY_OF_LONG_TASKS).await;
    let second = reactors(&nodes[1], &fake, POLICY_OF_LONG_TASKS).await;
    first.run(&any_node());
    second.run(&any_node());
    invited(&nodes[0], &acme, 1).await;
    fake.mails(1).await;
    nothing_is_left(&nodes[0]).await;
    by(SOON, "it is counted", || async { status(&first).done + status(&second).done == 1 }).await;
    assert_eq!(fake.taken().len(), 1);
    assert!(first.shutdown(SOON).await && second.shutdown(SOON).await);
}

/// Two nodes that were given the same name: the second takes over from the first, which still runs.
async fn a_worker_that_lost_its_lease_stops_and_records_nothing(store: Store) {
    const POLICY_OF_LONG_TASKS: RetryPolicy = RetryPolicy { attempt_timeout: Duration::from_secs(60), ..POLICY };
    let nodes = [Node::on(&store).await, Node::on(&store).await];
    let acme = nodes[0].acme().await;
    let fake = Fake::answering([Answer::Nothing]);
    let first = reactors(&nodes[0], &fake, POLICY_OF_LONG_TASKS).await;
    first.run(&Holder::new("one"));
    invited(&nodes[0], &acme, 1).await;
    by(SOON, "it is begun", || async { tasks(&nodes[0]).await.first().is_some_and(|task| task.attempts == 1) }).await;
    let second = reactors(&nodes[1], &fake, POLICY_OF_LONG_TASKS).await;
    second.run(&Holder::new("one"));
    fake.mails(1).await;
    nothing_is_left(&nodes[0]).await;
    // It would end after a minute if it had not noticed.
    assert!(first.shutdown(SOON).await && second.shutdown(SOON).await);
    // Either node may have claimed it again, but the first attempt has no outcome.
    let outcomes = |it: &Reactors| (status(it).done, status(it).retried + status(it).died);
    let (first, second) = (outcomes(&first), outcomes(&second));
    assert_eq!((first.0 + second.0, first.1 + second.1), (1, 0));
}

#[test]
fn people_in_all_partitions_get_their_mail() {
    run_on(Engine::Postgres, async |store: Store| {
        let log = store.open_database(Settings { partitions: Some(8), ..Settings::default() }).await;
        assert_eq!(log.heads().await.unwrap().len(), 8);
        drop(log as Arc<dyn Database>);
        let node = Node::on(&store).await;
        let fake = Fake::answering([]);
        let reactors = reactors(&node, &fake, RetryPolicy { at_once: 1, ..POLICY }).await;
        reactors.run(&any_node());
        // Each founds an organization and invites its first admin, who accepts at once: perhaps before the mail.
        let mut expected = BTreeSet::new();
        for number in 0..12 {
            let acme = node.found(&format!("acme{number}.example")).await;
            expected.append(&mut invited(&node, &acme, 1).await);
        }
        by(SOON, "mails", || async { expected.iter().all(|it| addresses(&fake).contains(it)) }).await;
        nothing_is_left(&node).await;
        assert!(reactors.shutdown(SOON).await);
    });
}

#[test]
fn of_one_person_only_the_last_invitation_is_mailed() {
    run_on(Engine::Sqlite, async |store: Store| {
        let node = Node::on(&store).await;
        let acme = node.acme().await;
        let fake = Fake::answering([]);
        let reactors = reactors(&node, &fake, POLICY).await;
        let bob = new_id();
        node.user(&acme, bob, invite(acme.organization, bob, "bob@acme.example", Role::Agent)).await.unwrap();
        let expires_at = Timestamp::now() + Duration::from_secs(3_600);
        node.user(&acme, bob, user::Command::SendInvitation { expires_at, by_import: false }).await.unwrap();
        reactors.run(&any_node());
        fake.mails(1).await;
        nothing_is_left(&node).await;
        by(SOON, "both are counted", || async { (status(&reactors).done, status(&reactors).skipped) == (1, 1) }).await;
        assert_eq!(fake.taken().len(), 1);
        assert!(reactors.shutdown(SOON).await);
    });
}
