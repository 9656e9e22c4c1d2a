//! What becomes due: once, in order within an organization, by whichever node, also after failures and restarts.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use porttask_app::identity::timers::LinkExpiry;
use porttask_domain::{
    DomainEvent, OrganizationId, UserId,
    identity::{Role, User, user},
};
use porttask_projections::{models, platform::timer};
use porttask_runtime::{
    execute::{ExecuteError, Tx},
    lease::Holder,
    log::{Offset, Version},
    new_id,
    timers::{Timer, TimerHandler, TimerOutcome, TimerPolicy, Timers},
    views::{Query, Views},
};
use porttask_tests::{Acme, Node, Store, accept, by, invite, on_both_engines};
use uuid::Uuid;

use super::fake::SOON;

on_both_engines! {
    an_invitation_expires_at_its_time,
    what_no_longer_applies_is_not_carried_out,
    what_is_due_at_once_on_three_nodes_is_carried_out_once_and_in_order,
    a_timer_that_fails_steps_aside_until_it_succeeds,
    a_handler_that_panics_fails_only_its_timer,
    a_lane_goes_on_when_one_of_its_timers_waits,
    a_lane_with_much_to_do_holds_up_no_other_timer,
    a_node_that_starts_again_takes_over_at_once,
    another_node_takes_over_when_the_lease_ends,
    a_week_of_downtime_is_made_up_for,
    a_rebuild_loses_and_repeats_nothing,
    a_node_with_a_wrong_clock_carries_out_nothing,
}

const POLICY: TimerPolicy = TimerPolicy {
    at_once: 16,
    attempt_timeout: Duration::from_secs(2),
    lease: Duration::from_secs(3),
    lane_rate: 100,
    first_retry: Duration::from_millis(200),
    longest_retry: Duration::from_secs(1),
};
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

fn due(node: &Node) -> Timestamp {
    node.clock.now() + SignedDuration::from_hours(24)
}

/// What a handler does with a timer.
type Act = dyn Fn(&Timer) -> Option<Result<TimerOutcome, ExecuteError>> + Send + Sync;

/// The lane of a timer.
type Lane = dyn Fn(&Timer) -> Option<String> + Send + Sync;

/// Notes each timer, and then does what the real handler does, or something else.
struct Noting {
    noted: Arc<Mutex<Vec<Timer>>>,
    lane: Box<Lane>,
    act: Box<Act>,
}

impl Noting {
    fn handler(noted: &Arc<Mutex<Vec<Timer>>>, lane: Box<Lane>, act: Box<Act>) -> Arc<dyn TimerHandler> {
        Arc::new(Self { noted: Arc::clone(noted), lane, act })
    }
}

#[async_trait]
impl TimerHandler for Noting {
    fn kinds(&self) -> Vec<&'static str> {
        LinkExpiry.kinds()
    }

    fn lane(&self, timer: &Timer) -> Option<String> {
        (self.lane)(timer)
    }

    async fn run(&self, timer: &Timer, tx: &Tx) -> Result<TimerOutcome, ExecuteError> {
        match (self.act)(timer) {
            Some(done) => done,
            None => {
                let done = LinkExpiry.run(timer, tx).await;
                self.noted.lock().unwrap().push(timer.clone());
                done
            }
        }
    }
}

async fn timers_with(node: &Node, handler: Arc<dyn TimerHandler>, name: &str) -> (Arc<Timers>, Arc<Views>) {
    let views = node.views(models()).await;
    views.run();
    let timers = Timers::new(Arc::clone(&views), Arc::clone(&node.executor), vec![handler], POLICY);
    timers.run(&Holder::new(name)).await.unwrap();
    (timers, views)
}

async fn timers(node: &Node, name: &str) -> (Arc<Timers>, Arc<Views>) {
    timers_with(node, Arc::new(LinkExpiry), name).await
}

/// Invites people whose invitations expire one after the other.
async fn invited(node: &Node, acme: &Acme, count: usize, first: Timestamp) -> Vec<UserId> {
    let people: Vec<UserId> = (0..count).map(|_| new_id()).collect();
    let invite = |(place, user): (usize, UserId)| {
        let email = format!("{}@people.example", user.0.simple());
        let expires_at = first + SignedDuration::from_secs(place as i64);
        async move {
            let user::Command::Invite { organization, user, name, email, role, permissions, .. } =
                invite(acme.organization, user, &email, Role::Agent)
            else {
                unreachable!()
            };
            let command = user::Command::Invite { organization, user, name, email, role, permissions, expires_at };
            node.user(acme, user, command).await.unwrap();
        }
    };
    join_all(people.iter().copied().enumerate().map(invite)).await;
    people
}

/// The number of expiries that are recorded, by user.
async fn expired(node: &Node) -> BTreeMap<Uuid, usize> {
    let mut expired = BTreeMap::new();
    for head in node.log.heads().await.unwrap() {
        let mut after = Offset::START;
        loop {
            let page = node.log.read_partition(head.position.partition, after, 1_000).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.position.offset;
            for (event, decoded) in page.iter().zip(node.vault.domain_events(&page).await.unwrap()) {
                if matches!(decoded, DomainEvent::User(user::Event::LinkExpired { .. })) {
                    *expired.entry(porttask_domain::uuid_of(event.stream.name.id()).unwrap()).or_default() += 1;
                }
            }
        }
    }
    expired
}

async fn all_expire(node: &Node, people: &[UserId], limit: Duration) {
    let expected: BTreeMap<Uuid, usize> = people.iter().map(|user| (user.0, 1)).collect();
    by(limit, "all expire", || async { expired(node).await.len() >= expected.len() }).await;
    assert_eq!(expired(node).await, expected, "each once");
}

async fn an_invitation_expires_at_its_time(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let bob = invited(&node, &acme, 1, due(&node)).await[0];
    let (timers, views) = timers(&node, "one").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(expired(&node).await.len(), 0, "not before its time");
    let query = Query { is_everywhere: true, limit: 10, ..Query::default() };
    let rows = async || views.rows::<timer::Timers>(&query).await.unwrap();
    by(Duration::from_secs(20), "the read model has it", async || !rows().await.is_empty()).await;
    let next = rows().await;
    assert_eq!(
        next.iter().map(|it| (it.subject, it.kind)).collect::<Vec<_>>(),
        [(bob.0, timer::Kind::InvitationExpiry)]
    );

    node.clock.simulate(Some(WEEK));
    all_expire(&node, &[bob], SOON).await;
    let (state, _) = node.executor.load::<User>(acme.organization, bob).await.unwrap();
    assert_eq!(state.status(), Some(user::Status::Registered));
    let stream = porttask_runtime::execute::stream_of::<User>(acme.organization, bob).unwrap();
    let events = node.log.read_stream(&stream, Version(1), 10).await.unwrap();
    let meta = node.vault.metas(&events).await.unwrap().pop().unwrap();
    assert_eq!(meta.actor, porttask_domain::Actor::System);
    let first = node.log.read_stream(&stream, Version::NONE, 1).await.unwrap();
    assert_eq!(meta.causation_id, Some(first[0].id.0), "the invitation is the cause");
    assert!(timers.shutdown(SOON).await);
}

async fn what_no_longer_applies_is_not_carried_out(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let people = invited(&node, &acme, 3, due(&node)).await;
    node.user(&acme, people[0], accept()).await.unwrap();
    node.user(&acme, people[1], user::Command::RevokeInvitation).await.unwrap();
    let later = node.clock.now() + WEEK + WEEK;
    node.user(&acme, people[2], user::Command::SendInvitation { expires_at: later, by_import: false }).await.unwrap();
    node.clock.simulate(Some(WEEK));
    let noted = Arc::default();
    let (timers, _views) =
        timers_with(&node, Noting::handler(&noted, Box::new(|_| None), Box::new(|_| None)), "one").await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(expired(&node).await.len(), 0);
    assert_eq!(*noted.lock().unwrap(), []);
    node.clock.simulate(Some(WEEK + WEEK + WEEK));
    all_expire(&node, &people[2..], SOON).await;
    assert!(timers.shutdown(SOON).await);
}

async fn what_is_due_at_once_on_three_nodes_is_carried_out_once_and_in_order(store: Store) {
    let nodes = [Node::on(&store).await, Node::on(&store).await, Node::on(&store).await];
    let mut people = Vec::new();
    for domain in ["a.example", "b.example", "c.example"] {
        let acme = nodes[0].found(domain).await;
        people.extend(invited(&nodes[0], &acme, 100, due(&nodes[0])).await);
    }
    let noted: Arc<Mutex<Vec<Timer>>> = Arc::default();
    let mut running = Vec::new();
    for (place, node) in nodes.iter().enumerate() {
        node.clock.simulate(Some(WEEK));
        let handler = Noting::handler(&noted, Box::new(|_| None), Box::new(|_| None));
        running.push(timers_with(node, handler, &format!("node {place}")).await);
    }
    all_expire(&nodes[0], &people, SOON).await;
    let mut by_organization: BTreeMap<OrganizationId, Vec<Timestamp>> = BTreeMap::new();
    for timer in noted.lock().unwrap().iter() {
        by_organization.entry(timer.organization).or_default().push(timer.due_at);
    }
    assert_eq!(by_organization.len(), 3);
    for due in by_organization.values() {
        assert!(due.is_sorted(), "in order of due: {due:?}");
    }
    for (timers, _) in running {
        assert!(timers.shutdown(SOON).await);
    }
}

async fn a_timer_that_fails_steps_aside_until_it_succeeds(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let people = invited(&node, &acme, 10, due(&node)).await;
    node.clock.simulate(Some(WEEK));
    let (bad, is_broken) = (people[0].0, Arc::new(AtomicBool::new(true)));
    let breaks = Arc::clone(&is_broken);
    let act: Box<Act> = Box::new(move |timer| {
        let is_bad = timer.subject == bad && breaks.load(Ordering::Relaxed);
        is_bad.then(|| Err(ExecuteError::Malformed("a <bob@acme.example> is broken".to_owned())))
    });
    let noted = Arc::default();
    let (timers, _views) = timers_with(&node, Noting::handler(&noted, Box::new(|_| None), act), "one").await;
    by(SOON, "the others are carried out", || async { expired(&node).await.len() == 9 }).await;
    let failures = || async { node.log.timer_failures(None, 10).await.unwrap() };
    by(SOON, "it is attempted again", || async { failures().await.first().is_some_and(|it| it.attempts >= 3) }).await;
    let failed = failures().await.remove(0);
    assert_eq!((failed.subject, failed.kind.as_str()), (bad, "invitation_expiry"));
    assert_eq!(failed.error, "a […] is broken");
    is_broken.store(false, Ordering::Relaxed);
    assert!(timers.retry(acme.organization, bad).await.unwrap());
    all_expire(&node, &people, SOON).await;
    by(SOON, "the failure is deleted", || async { failures().await.is_empty() }).await;
    assert!(!timers.retry(acme.organization, bad).await.unwrap());
    assert!(timers.shutdown(SOON).await);
}

async fn a_handler_that_panics_fails_only_its_timer(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let people = invited(&node, &acme, 5, due(&node)).await;
    node.clock.simulate(Some(WEEK));
    let bad = people[0].0;
    let act: Box<Act> = Box::new(move |timer| if timer.subject == bad { panic!("broken") } else { None });
    let noted = Arc::default();
    let (timers, _views) = timers_with(&node, Noting::handler(&noted, Box::new(|_| None), act), "one").await;
    all_expire(&node, &people[1..], SOON).await;
    let failed = || async { node.log.timer_failures(None, 10).await.unwrap() };
    by(SOON, "it is recorded", || async { failed().await.iter().any(|it| it.error == "panicked") }).await;
    assert!(timers.shutdown(SOON).await);
}

async fn a_lane_goes_on_when_one_of_its_timers_waits(store: Store) {
    let nodes = [Node::on(&store).await, Node::on(&store).await];
    // On PostgreSQL, they are in several partitions, which have workers of their own on each node.
    let mut people = Vec::new();
    for domain in ["a.example", "b.example", "c.example", "d.example"] {
        let organization = nodes[0].found(domain).await;
        people.extend(invited(&nodes[0], &organization, 10, due(&nodes[0])).await);
    }
    let waiting = people[0].0;
    let noted: Arc<Mutex<Vec<Timer>>> = Arc::default();
    let (alone, overlaps) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let mut running = Vec::new();
    for (place, node) in nodes.iter().enumerate() {
        node.clock.simulate(Some(WEEK));
        let (alone, overlaps) = (Arc::clone(&alone), Arc::clone(&overlaps));
        let clock = Arc::clone(&node.clock);
        let act: Box<Act> = Box::new(move |timer| {
            overlaps.fetch_or(alone.swap(true, Ordering::SeqCst), Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(2));
            alone.store(false, Ordering::SeqCst);
            let later = clock.now() + SignedDuration::from_secs(2);
            (timer.subject == waiting).then_some(Ok(TimerOutcome::Wait(later)))
        });
        let handler = Noting::handler(&noted, Box::new(|_| Some("series".to_owned())), act);
        running.push(timers_with(node, handler, &format!("node {place}")).await);
    }
    let begun = std::time::Instant::now();
    all_expire(&nodes[0], &people[1..], SOON).await;
    assert!(!overlaps.load(Ordering::SeqCst), "one by one");
    let mut by_organization: BTreeMap<OrganizationId, Vec<Timestamp>> = BTreeMap::new();
    for timer in noted.lock().unwrap().iter() {
        by_organization.entry(timer.organization).or_default().push(timer.due_at);
    }
    for due in by_organization.values() {
        assert!(due.is_sorted(), "{due:?}, after {:?}", begun.elapsed());
    }
    for (timers, _) in running {
        assert!(timers.shutdown(SOON).await);
    }
}

async fn a_lane_with_much_to_do_holds_up_no_other_timer(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let people = invited(&node, &acme, 300, due(&node)).await;
    node.clock.simulate(Some(WEEK));
    let (noted, other) = (Arc::<Mutex<Vec<Timer>>>::default(), people[299].0);
    let lane: Box<Lane> = Box::new(move |timer| (timer.subject != other).then(|| "series".to_owned()));
    let (timers, _views) = timers_with(&node, Noting::handler(&noted, lane, Box::new(|_| None)), "one").await;
    all_expire(&node, &people, SOON).await;
    let place = noted.lock().unwrap().iter().position(|timer| timer.subject == other);
    assert!(place.is_some_and(|place| place < 200), "the last one is not behind the lane: {place:?}");
    assert!(timers.shutdown(SOON).await);
}

async fn a_node_that_starts_again_takes_over_at_once(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let people = invited(&node, &acme, 1, due(&node)).await;
    let (first, _views) = timers(&node, "one").await;
    by(SOON, "it works", || async { node.log.hold("partition 0", &other()).await.is_ok_and(|held| !held) }).await;
    // As if killed: without releasing the lease.
    drop(first);
    node.clock.simulate(Some(WEEK));
    let (second, _views) = timers(&node, "one").await;
    all_expire(&node, &people, SOON).await;
    assert!(second.shutdown(SOON).await);
}

fn other() -> porttask_runtime::lease::Lease {
    porttask_runtime::lease::Lease::new(Holder::new("other"), Duration::from_millis(1))
}

async fn another_node_takes_over_when_the_lease_ends(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let people = invited(&node, &acme, 3, due(&node)).await;
    for head in node.log.heads().await.unwrap() {
        let lease = porttask_runtime::lease::Lease::new(Holder::new("killed"), Duration::from_millis(1_500));
        let name = format!("partition {}", head.position.partition);
        assert!(node.log.hold(&name, &lease).await.unwrap());
    }
    node.clock.simulate(Some(WEEK));
    let (timers, _views) = timers(&node, "next").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(expired(&node).await.len(), 0, "the lease of the other has not ended");
    all_expire(&node, &people, SOON).await;
    assert!(timers.shutdown(SOON).await);
}

async fn a_week_of_downtime_is_made_up_for(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let people = invited(&node, &acme, 30, due(&node)).await;
    // Nobody has been running for a week; meanwhile everything became due.
    node.clock.simulate(Some(WEEK));
    let noted: Arc<Mutex<Vec<Timer>>> = Arc::default();
    let (timers, _views) =
        timers_with(&node, Noting::handler(&noted, Box::new(|_| None), Box::new(|_| None)), "one").await;
    all_expire(&node, &people, SOON).await;
    let noted: Vec<Timestamp> = noted.lock().unwrap().iter().map(|timer| timer.due_at).collect();
    assert!(noted.len() == 30 && noted.is_sorted(), "{noted:?}");
    assert!(timers.shutdown(SOON).await);
}

async fn a_rebuild_loses_and_repeats_nothing(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let people = invited(&node, &acme, 40, due(&node)).await;
    let (timers, views) = timers(&node, "one").await;
    let halfway = node.clock.now() + SignedDuration::from_hours(24) + SignedDuration::from_secs(20);
    node.clock.simulate(Some(halfway.duration_since(node.clock.now())));
    by(SOON, "the first are carried out", || async { expired(&node).await.len() >= 10 }).await;
    views.rebuild("timers", &|_| ()).await.unwrap();
    node.clock.simulate(Some(WEEK));
    all_expire(&node, &people, SOON).await;
    assert!(timers.shutdown(SOON).await);
    views.catch_up("timers", SOON).await.unwrap();
    let all = Query { is_everywhere: true, limit: 10, ..Query::default() };
    assert_eq!(views.rows::<timer::Timers>(&all).await.unwrap(), []);
    assert_eq!(node.log.timer_failures(None, 10).await.unwrap(), []);
}

async fn a_node_with_a_wrong_clock_carries_out_nothing(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let people = invited(&node, &acme, 1, node.clock.now() - SignedDuration::from_secs(1)).await;
    node.clock.set_difference(SignedDuration::from_secs(40));
    let (timers, _views) = timers(&node, "one").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(expired(&node).await.len(), 0);
    node.clock.set_difference(SignedDuration::ZERO);
    all_expire(&node, &people, SOON).await;
    assert!(timers.shutdown(SOON).await);
}
