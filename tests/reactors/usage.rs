//! Usage: days that are over are recorded once, shares of limits are recorded once and mailed to the admins.

use std::sync::Arc;

use jiff::{SignedDuration, civil::Date};
use porttask_app::{
    billing::{
        mails::mails,
        metering::{Metering, NotAdmitted},
        usage_days::UsageDays,
        warnings::{UsageWarnings, warn_if_crossed},
    },
    identity::{accounts::Accounts, links::Links},
    mail::Mailer,
};
use porttask_domain::{
    Actor, ApiKeyId, DomainEvent, Meta, OrganizationId, UserId,
    billing::{
        Subscription, UsageMonth,
        subscription::{self, SubscriptionId},
        terms::{Limits, Meter},
        usage_month::{self, Event, UsageMonthId},
    },
    identity::Role,
};
use porttask_infra::blobs::BlobFolder;
use porttask_projections::models;
use porttask_runtime::{
    execute::Request,
    lease::Holder,
    ledger::Database,
    log::{Offset, RecordedEvent},
    new_id,
    ports::mail::Mail,
    reactors::{Reactor, TaskOutcome},
    tasks::{NewTask, Task},
    usage_counts::UsageCount,
    vault::impersonal,
};
use porttask_tests::{Acme, Node, Store, become_role, invite, noon_zone, on_both_engines};
use uuid::Uuid;

use super::fake::{Fake, any_node};

on_both_engines! {
    days_are_counted_over_all_nodes_and_recorded_once,
    a_record_that_was_interrupted_is_repeated_as_it_was,
    what_comes_late_counts_on_an_open_day,
    a_day_ends_at_midnight_of_the_subscription,
    counts_stay_in_the_ledger_for_forty_days,
    nodes_share_a_limit_and_know_it_after_a_flush,
    a_share_is_recorded_once_and_not_without_a_limit,
    users_that_take_the_seats_are_warned_of,
    admins_are_mailed_what_concerns_the_subscription,
}

const KEY: ApiKeyId = ApiKeyId(Uuid::from_u128(7));

fn limits(api_calls: Option<u64>) -> Limits {
    Limits { api_calls, ..Limits::default() }
}

/// A node with an organization that has subscribed.
async fn subscribed(store: &Store, limits: Limits, zone: &str) -> (Node, Acme) {
    let node = Node::on(store).await;
    let acme = node.acme().await;
    node.subscribe(acme.organization, limits, zone).await;
    (node, acme)
}

/// All events of a kind, in the order of the log, decoded.
pub(crate) async fn events(node: &Node) -> Vec<(RecordedEvent, DomainEvent)> {
    let mut all = Vec::new();
    for head in node.log.heads().await.unwrap() {
        let page = node.log.read_partition(head.position.partition, Offset::START, 1_000).await.unwrap();
        let decoded = node.vault.domain_events(&page).await.unwrap();
        all.extend(page.into_iter().zip(decoded));
    }
    all
}

async fn recorded(node: &Node) -> Vec<Event> {
    let usage = |(_, event)| match event {
        DomainEvent::UsageMonth(event) => Some(event),
        _ => None,
    };
    events(node).await.into_iter().filter_map(usage).collect()
}

/// The days that are recorded, with their counts.
async fn days(node: &Node) -> Vec<(Date, u64)> {
    let day = |event| match event {
        Event::ApiCallsCounted { day, count, .. } => Some((day, count)),
        Event::ThresholdReached { .. } | Event::AverageMeasured { .. } => None,
    };
    recorded(node).await.into_iter().filter_map(day).collect()
}

fn today(node: &Node, zone: &str) -> Date {
    let zone = jiff::tz::TimeZoneDatabase::bundled().get(zone).unwrap();
    node.clock.now().to_zoned(zone).date()
}

async fn report(node: &Node, organization: OrganizationId, run: u128, key: ApiKeyId, day: Date, count: u64) {
    let count = UsageCount { run: Uuid::from_u128(run), organization, key, day, count };
    node.log.report_usage(&[count]).await.unwrap();
}

/// Sets the clock of a node forward.
fn advance(node: &Node, hours: i64) {
    node.clock.set_offset(node.clock.offset() + SignedDuration::from_hours(hours));
}

fn recorder(node: &Node) -> Arc<UsageDays> {
    UsageDays::new(Arc::clone(&node.executor), any_node())
}

async fn days_are_counted_over_all_nodes_and_recorded_once(store: Store) {
    let zone = noon_zone();
    let (node, acme) = subscribed(&store, limits(None), &zone).await;
    let (home, day) = (acme.organization, today(&node, &zone));
    for number in 0..25 {
        report(&node, home, 1, ApiKeyId(Uuid::from_u128(number)), day, 1 + number as u64).await;
    }
    report(&node, home, 2, ApiKeyId(Uuid::from_u128(0)), day, 99).await;
    report(&node, home, 1, KEY, day.tomorrow().unwrap(), 4).await;
    let holder = Holder::new("one");
    let recorder = UsageDays::new(Arc::clone(&node.executor), holder);
    recorder.record_due().await.unwrap();
    assert_eq!(days(&node).await, [], "the day is not over");
    advance(&node, 24);
    let other = Node::on(&store).await;
    other.clock.set_offset(node.clock.offset());
    self::recorder(&other).record_due().await.unwrap();
    assert_eq!(days(&node).await, [], "the other node holds the lease");
    recorder.record_due().await.unwrap();
    recorder.record_due().await.unwrap();
    assert_eq!(days(&node).await, [(day, 325 + 99)]);
    let Some(Event::ApiCallsCounted { by_key, .. }) = recorded(&node).await.pop() else { panic!() };
    assert_eq!(by_key.len(), 20, "those with the most");
    assert_eq!(by_key[&ApiKeyId(Uuid::from_u128(0))], 100);
    assert!(!by_key.contains_key(&ApiKeyId(Uuid::from_u128(5))) && by_key.contains_key(&ApiKeyId(Uuid::from_u128(6))));
    // Days of downtime: each day has its own event, and days without requests have none.
    report(&node, home, 1, KEY, day.tomorrow().unwrap().tomorrow().unwrap(), 5).await;
    advance(&node, 5 * 24);
    recorder.record_due().await.unwrap();
    let tomorrow = day.tomorrow().unwrap();
    assert_eq!(days(&node).await[1..], [(tomorrow, 4), (tomorrow.tomorrow().unwrap(), 5)]);
}

async fn a_record_that_was_interrupted_is_repeated_as_it_was(store: Store) {
    let zone = noon_zone();
    let (node, acme) = subscribed(&store, limits(None), &zone).await;
    let (home, day) = (acme.organization, today(&node, &zone));
    let recorder = recorder(&node);
    report(&node, home, 1, KEY, day, 5).await;
    advance(&node, 24);
    // Interrupted before the event, when something came in between.
    node.log.take_usage(home, day).await.unwrap();
    report(&node, home, 1, KEY, day, 6).await;
    recorder.record_due().await.unwrap();
    assert_eq!(days(&node).await[0], (day, 5));
    // What came in between waits for the next day that is over.
    advance(&node, 24);
    report(&node, home, 1, KEY, day.tomorrow().unwrap(), 1).await;
    // Interrupted after the event: as if nothing was settled.
    let next = day.tomorrow().unwrap();
    node.log.take_usage(home, next).await.unwrap();
    let month = {
        let (subscription, _) = node.executor.load::<Subscription>(home, home.into()).await.unwrap();
        let at = next.to_zoned(subscription.time_zone()).unwrap().timestamp();
        subscription.usage_month(at).unwrap().unwrap().from
    };
    let id = UsageMonthId::new(home, month);
    let by_key = [(KEY, 2)].into_iter().collect();
    let command = usage_month::Command::CountApiCalls { day: next, count: 2, by_key };
    let request = Request::new(home, Meta::by(Actor::System));
    node.executor.execute::<UsageMonth>(id, command, &request).await.unwrap();
    recorder.record_due().await.unwrap();
    assert_eq!(days(&node).await, [(day, 5), (next, 2)]);
    assert_eq!(node.log.open_usage(home, Date::MIN).await.unwrap(), []);
}

async fn what_comes_late_counts_on_an_open_day(store: Store) {
    let zone = noon_zone();
    let (node, acme) = subscribed(&store, limits(None), &zone).await;
    let (home, day) = (acme.organization, today(&node, &zone));
    report(&node, home, 1, KEY, day, 5).await;
    advance(&node, 24);
    let recorder = recorder(&node);
    recorder.record_due().await.unwrap();
    report(&node, home, 1, KEY, day, 8).await;
    recorder.record_due().await.unwrap();
    assert_eq!(days(&node).await, [(day, 5)], "no day that is over is open");
    advance(&node, 24);
    recorder.record_due().await.unwrap();
    assert_eq!(days(&node).await, [(day, 5), (day.tomorrow().unwrap(), 3)]);
}

async fn a_day_ends_at_midnight_of_the_subscription(store: Store) {
    let (node, acme) = subscribed(&store, limits(None), "Asia/Kolkata").await;
    let home = acme.organization;
    let day = today(&node, "Asia/Kolkata");
    let zone = jiff::tz::TimeZoneDatabase::bundled().get("Asia/Kolkata").unwrap();
    report(&node, home, 1, KEY, day, 5).await;
    let midnight = day.tomorrow().unwrap().to_zoned(zone).unwrap().timestamp();
    let real = node.clock.now();
    let recorder = recorder(&node);
    node.clock.set_offset(midnight.duration_since(real) + SignedDuration::from_mins(9));
    recorder.record_due().await.unwrap();
    assert_eq!(days(&node).await, [], "nodes have ten minutes to report");
    node.clock.set_offset(midnight.duration_since(real) + SignedDuration::from_mins(10));
    recorder.record_due().await.unwrap();
    assert_eq!(days(&node).await, [(day, 5)]);
}

async fn counts_stay_in_the_ledger_for_forty_days(store: Store) {
    let zone = noon_zone();
    let (node, acme) = subscribed(&store, limits(None), &zone).await;
    let (home, day) = (acme.organization, today(&node, &zone));
    report(&node, home, 1, KEY, day, 5).await;
    advance(&node, 24);
    let recorder = recorder(&node);
    recorder.record_due().await.unwrap();
    advance(&node, 39 * 24);
    recorder.record_due().await.unwrap();
    // What is stored wins over a smaller count, and what was deleted does not.
    let is_stored = async || {
        report(&node, home, 1, KEY, day, 1).await;
        node.log.open_usage(home, day).await.unwrap().is_empty()
    };
    assert!(is_stored().await);
    advance(&node, 2 * 24);
    recorder.record_due().await.unwrap();
    assert!(!is_stored().await);
}

async fn nodes_share_a_limit_and_know_it_after_a_flush(store: Store) {
    let (one, acme) = subscribed(&store, limits(Some(10)), &noon_zone()).await;
    let (two, home) = (Node::on(&store).await, acme.organization);
    let meters = [&one, &two].map(|node| Metering::new(Arc::clone(&node.executor), Arc::clone(&node.clock)));
    let ask = async |meter: &Metering| match meter.admit(home, KEY).await {
        Ok(metered) => {
            metered.count(one.clock.now());
            true
        }
        Err(NotAdmitted::LimitReached(reached)) => {
            assert_eq!((reached.meter, reached.limit, reached.used), (Meter::ApiCalls, 10, 10));
            false
        }
        Err(NotAdmitted::Failed(error)) => panic!("{error}"),
    };
    for _ in 0..6 {
        assert!(ask(&meters[0]).await);
    }
    meters[0].flush(true).await.unwrap();
    for _ in 0..4 {
        assert!(ask(&meters[1]).await);
    }
    assert!(!ask(&meters[1]).await, "it knows what the first has reported");
    assert!(ask(&meters[0]).await, "it does not know yet what the second has counted");
    // Requests that were not answered do not count.
    drop(meters[0].admit(home, KEY).await.unwrap());
    let used: u64 = one.log.open_usage(home, Date::MIN).await.unwrap().iter().map(|it| it.count).sum();
    assert_eq!(used, 6);
    meters[1].flush(false).await.unwrap();
    meters[0].flush(false).await.unwrap();
    let used: u64 = one.log.open_usage(home, Date::MIN).await.unwrap().iter().map(|it| it.count).sum();
    assert_eq!(used, 11);
    // The limit starts again with the next usage month.
    advance(&one, 24);
    assert!(ask(&meters[0]).await);
    assert!(meters[0].shutdown(std::time::Duration::from_secs(10)).await);
    assert_eq!(one.log.open_days(Date::MAX, None, 9).await.unwrap().len(), 2);
}

async fn a_share_is_recorded_once_and_not_without_a_limit(store: Store) {
    let (node, acme) = subscribed(&store, limits(Some(10)), &noon_zone()).await;
    let home = acme.organization;
    let shares = async |node: &Node| -> Vec<(Meter, u64)> {
        let share = |event| match event {
            Event::ThresholdReached { meter, share, .. } => Some((meter, share)),
            Event::ApiCallsCounted { .. } | Event::AverageMeasured { .. } => None,
        };
        recorded(node).await.into_iter().filter_map(share).collect()
    };
    for (used, count) in [(7, 0), (8, 1), (9, 1), (12, 2), (12, 2)] {
        warn_if_crossed(&node.executor, home, Meter::ApiCalls, used).await.unwrap();
        assert_eq!(shares(&node).await.len(), count, "{used}");
    }
    assert_eq!(shares(&node).await, [(Meter::ApiCalls, 80), (Meter::ApiCalls, 100)]);
    // No limit, a limit of 0, and no subscription.
    warn_if_crossed(&node.executor, home, Meter::PortCalls, 1_000).await.unwrap();
    node.subscribe(home, limits(Some(0)), &noon_zone()).await;
    let other = node.found("other.example").await;
    for organization in [home, other.organization] {
        warn_if_crossed(&node.executor, organization, Meter::ApiCalls, 1_000).await.unwrap();
    }
    assert_eq!(shares(&node).await.len(), 2);
}

/// A task as a worker gets it.
pub(crate) fn leased(task: NewTask, reactor: &str) -> Task {
    Task {
        id: task.id,
        reactor: reactor.to_owned(),
        organization: task.organization,
        kind: task.kind.to_owned(),
        subject: task.subject,
        number: task.number,
        target: task.target,
        due_at: task.due_at.unwrap_or_default(),
        leased_until: None,
        attempts: 1,
        epoch: 1,
        last_error: None,
        is_dead_lettered: false,
    }
}

/// Runs the tasks of all events, in their order; how often something was done.
async fn run(node: &Node, reactor: &dyn Reactor) -> usize {
    let mut done = 0;
    for (event, _) in events(node).await {
        for task in reactor.tasks(&impersonal(&event).unwrap(), &event) {
            done += usize::from(reactor.run(&leased(task, reactor.name())).await.unwrap() == TaskOutcome::Done);
        }
    }
    done
}

async fn users_that_take_the_seats_are_warned_of(store: Store) {
    let (node, acme) = subscribed(&store, Limits { users: Some(5), ..Limits::default() }, &noon_zone()).await;
    let warnings = UsageWarnings::new(Arc::clone(&node.executor));
    let add = async |count: usize| {
        for _ in 0..count {
            let user: UserId = new_id();
            let email = format!("{}@people.example", user.0.simple());
            node.user(&acme, user, invite(acme.organization, user, &email, Role::Agent)).await.unwrap();
        }
    };
    add(2).await;
    assert_eq!((run(&node, &warnings).await, recorded(&node).await.len()), (0, 0), "3 of 5");
    add(1).await;
    assert!(run(&node, &warnings).await > 0);
    let reached = |share, used| Event::ThresholdReached { meter: Meter::Users, share, used, limit: 5 };
    assert_eq!(recorded(&node).await, [reached(80, 4)]);
    add(1).await;
    run(&node, &warnings).await;
    assert_eq!(recorded(&node).await, [reached(80, 4), reached(100, 5)]);
}

async fn mailed(node: &Node) -> Vec<Mail> {
    let views = node.views(models()).await;
    views.run();
    for head in node.log.heads().await.unwrap() {
        let users = <porttask_projections::identity::user::Users as porttask_projections::ReadModel>::NAME;
        assert!(views.wait_for(users, head.position, std::time::Duration::from_secs(20)).await.unwrap());
    }
    let database = Arc::<dyn Database>::clone(&node.log);
    let accounts = Accounts::new(database, Arc::clone(&node.vault), views);
    let links = Links::open(&node.vault, "https://admin.example").await.unwrap();
    let blobs = Arc::new(BlobFolder::new(std::env::temp_dir()));
    let mails = mails(Arc::clone(&node.executor), Arc::clone(&node.vault), links, accounts, blobs);
    let fake = Fake::answering([]);
    let mailer = Mailer::new(mails, Arc::<Fake>::clone(&fake), Arc::clone(&node.clock));
    run(node, &mailer).await;
    fake.taken()
}

async fn admins_are_mailed_what_concerns_the_subscription(store: Store) {
    let (node, acme) = subscribed(&store, limits(Some(10)), &noon_zone()).await;
    let home = acme.organization;
    node.joined(&acme, "agent@acme.example", Role::Agent).await;
    let former = node.joined(&acme, "former@acme.example", Role::Admin).await;
    node.joined(&acme, "second@acme.example", Role::Admin).await;
    node.user(&acme, former, become_role(Role::ReadOnly)).await.unwrap();
    let invited: UserId = new_id();
    node.user(&acme, invited, invite(home, invited, "later@acme.example", Role::Admin)).await.unwrap();
    warn_if_crossed(&node.executor, home, Meter::ApiCalls, 8).await.unwrap();
    let subject = |mail: &Mail| (mail.to_address.clone(), mail.subject.clone());
    let mut mails: Vec<_> = mailed(&node).await.iter().map(subject).collect();
    mails.sort();
    let to = |address: &str, subject: &str| (address.to_owned(), subject.to_owned());
    let (active, used) = ("Your subscription of Professional is active", "80% of your API calls are used");
    let expected = [("ana@acme.example", used), ("ana@acme.example", active)]
        .into_iter()
        .chain([("second@acme.example", used), ("second@acme.example", active)])
        .map(|(address, subject)| to(address, subject));
    assert_eq!(mails, expected.collect::<Vec<_>>());
    // It ends: what was said about its limits no longer matters, and the end does.
    let end = subscription::Command::End { why: subscription::EndReason::Canceled, now: node.clock.now() };
    let request = Request::new(home, Meta::by(Actor::Operator));
    node.executor.execute::<Subscription>(SubscriptionId::from(home), end, &request).await.unwrap();
    advance(&node, 24);
    let subjects: Vec<String> = mailed(&node).await.into_iter().map(|mail| mail.subject).collect();
    assert!(subjects.contains(&"Your PortTask subscription has ended".to_owned()), "{subjects:?}");
    assert!(!subjects.iter().any(|subject| subject.contains("API calls")), "{subjects:?}");
}
