//! Requests with API keys: which count, and what happens at the limit.

use std::{io::Write, net::TcpStream, time::Duration};

use jiff::{SignedDuration, Timestamp, civil::Date};
use porttask_domain::{
    DomainEvent, OrganizationId,
    billing::{terms::Limits, usage_month::Event},
};
use porttask_runtime::log::Offset;
use porttask_tests::{Node, Store, by, noon_zone, on_both_engines, signal};
use serde_json::{Value, json};

use crate::service::{ADMIN, Caller, Service, porttask};

on_both_engines!(
    requests_with_keys_count_if_they_are_answered,
    at_the_limit_requests_with_keys_are_refused_until_the_month_ends,
    a_limit_holds_on_all_nodes_together,
    a_node_that_is_shut_down_has_counted_everything
    ; waiting:
    a_node_that_is_killed_loses_what_it_counted_since_its_last_flush,
    a_day_that_is_over_is_recorded_once_also_after_days_of_downtime,
);

const OWN: &str = "/v1/organizations/current";
const KEYS: &str = "/v1/organizations/current/api-keys";
const IMPORT: &str = "/v1/organizations/current/port-calls/import";
const SOON: Duration = Duration::from_secs(20);

fn limits(api_calls: Option<u64>) -> Limits {
    Limits { api_calls, ..Limits::default() }
}

/// A key; its token.
#[track_caller]
fn key(caller: &Caller<'_>) -> Value {
    caller.post(KEYS, &json!({"name": "robot", "scopes": ["operations:write"]})).is(201).body["token"].clone()
}

/// An organization with a limit, its first admin, and the token of a key.
async fn limited<'a>(
    service: &'a Service,
    (store, node): (&Store, &Node),
    domain: &str,
    api_calls: Option<u64>,
) -> (OrganizationId, Caller<'a>, Value) {
    let (organization, admin) = service.found(store, domain).await;
    let organization = organization.parse().unwrap();
    node.subscribe(organization, limits(api_calls), &noon_zone()).await;
    let token = key(&admin);
    (organization, admin, token)
}

/// The requests in the ledger that are not recorded.
async fn open(node: &Node, organization: OrganizationId) -> u64 {
    node.log.open_usage(organization, Date::MIN).await.unwrap().iter().map(|it| it.count).sum()
}

async fn reaches(node: &Node, organization: OrganizationId, count: u64, limit: Duration) {
    by(limit, "all requests are in the ledger", || async { open(node, organization).await >= count }).await;
    assert_eq!(open(node, organization).await, count);
}

/// The events of usage, in the order of the log.
async fn recorded(node: &Node) -> Vec<Event> {
    let mut recorded = Vec::new();
    for head in node.log.heads().await.unwrap() {
        let mut after = Offset::START;
        loop {
            let page = node.log.read_partition(head.position.partition, after, 1_000).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.position.offset;
            let events = node.vault.domain_events(&page).await.unwrap().into_iter();
            recorded.extend(events.filter_map(|event| match event {
                DomainEvent::UsageMonth(event) => Some(event),
                _ => None,
            }));
        }
    }
    recorded
}

async fn requests_with_keys_count_if_they_are_answered(store: Store) {
    let (service, node) = (Service::start(&store), Node::on(&store).await);
    let (acme, bob, token) = limited(&service, (&store, &node), "acme.example", Some(100)).await;
    let robot = service.with_token(&token);
    robot.get(OWN).is(200);
    robot.get("/v1/organizations/current/users/usr_00000000000000000000000042").is(404);
    robot.post(KEYS, &json!({"name": "another"})).refused(403, "forbidden");
    robot.patch(OWN, &json!({"name": 7})).refused(422, "invalid-fields");
    bob.get(OWN).is(200);
    service.send("GET", OWN, &[("authorization", "Bearer ptk_A")], None).is(401);
    // Two uploads of an organization at a time: the third is refused with 503, and does not count.
    let mut slow: Vec<TcpStream> = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(service.address()).unwrap();
        let head = format!(
            "POST {IMPORT} HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\ncontent-type: text/csv\r\n\
             content-length: 1000000\r\n\r\nimo\n",
            bob.authorization()
        );
        stream.write_all(head.as_bytes()).unwrap();
        slow.push(stream);
    }
    by(SOON, "a third upload is refused", || async { bob.upload(IMPORT, &[], "imo\n").status == 503 }).await;
    robot.upload(IMPORT, &[], "imo\n").refused(503, "overloaded");
    // A key of the platform counts for nobody.
    let ana = service.ana();
    let crm = ana.post(KEYS, &json!({"name": "crm", "scopes": ["organizations:read"]})).is(201).body["token"].clone();
    service.with_token(&crm).get(&format!("/v1/organizations/{acme}")).is(200);
    reaches(&node, acme, 4, SOON).await;
    assert_eq!(open(&node, OrganizationId::PLATFORM).await, 0);
}

async fn at_the_limit_requests_with_keys_are_refused_until_the_month_ends(store: Store) {
    let (service, node) = (Service::start(&store), Node::on(&store).await);
    let (acme, bob, token) = limited(&service, (&store, &node), "acme.example", Some(5)).await;
    let (_, _, of_other) = limited(&service, (&store, &node), "other.example", Some(5)).await;
    let (_, _, unlimited) = limited(&service, (&store, &node), "umbra.example", None).await;
    let robot = service.with_token(&token);
    for _ in 0..5 {
        robot.get(OWN).is(200);
    }
    for _ in 0..3 {
        let refused = robot.get(OWN).refused(429, "limit-reached");
        let shown = &refused.body;
        assert_eq!((&shown["meter"], &shown["limit"], &shown["used"]), (&json!("api_calls"), &json!(5), &json!(5)));
        assert_eq!(
            (&shown["plan"], &shown["ways_out"]),
            (&json!("Professional"), &json!(["upgrade", "wait"])),
            "{shown}"
        );
        let resets_at: Timestamp = shown["resets_at"].as_str().unwrap().parse().unwrap();
        let seconds: i64 = refused.header("retry-after").parse().unwrap();
        let left = resets_at.duration_since(Timestamp::now());
        assert!((left.as_secs() - seconds).abs() <= 2 && left < SignedDuration::from_hours(25), "{left} {seconds}");
    }
    // People and others go on.
    bob.get(OWN).is(200);
    service.with_token(&of_other).get(OWN).is(200);
    for _ in 0..8 {
        service.with_token(&unlimited).get(OWN).is(200);
    }
    // Another key shares the limit, and both go on with a larger plan.
    let second = service.with_token(&key(&bob));
    second.get(OWN).refused(429, "limit-reached");
    node.subscribe(acme, limits(Some(7)), &noon_zone()).await;
    by(SOON, "the larger plan holds", || async { robot.get(OWN).status == 200 }).await;
    second.get(OWN).is(200);
    second.get(OWN).refused(429, "limit-reached");
    reaches(&node, acme, 7, SOON).await;
    by(SOON, "the admins are warned of both shares", || async { recorded(&node).await.len() >= 2 }).await;
    let shares = |event: &Event| match event {
        Event::ThresholdReached { share, .. } => *share,
        Event::ApiCallsCounted { .. } | Event::AverageMeasured { .. } => 0,
    };
    let warned: Vec<u64> = recorded(&node).await.iter().map(shares).collect();
    assert_eq!(warned, [80, 100], "each once");
}

async fn a_limit_holds_on_all_nodes_together(store: Store) {
    let (one, two, node) = (Service::start(&store), Service::start(&store), Node::on(&store).await);
    let (acme, _, token) = limited(&one, (&store, &node), "acme.example", Some(20)).await;
    let robots = [one.with_token(&token), two.with_token(&token)];
    for robot in robots.iter().cycle().take(18) {
        robot.get(OWN).is(200);
    }
    reaches(&node, acme, 18, SOON).await;
    // Each node knows what the other has counted.
    let mut answered = 18;
    for robot in &robots {
        by(SOON, "the limit is reached on both nodes", || {
            let status = robot.get(OWN).status;
            answered += u64::from(status == 200);
            async move {
                tokio::time::sleep(Duration::from_millis(500)).await;
                status == 429
            }
        })
        .await;
    }
    reaches(&node, acme, answered, SOON).await;
    assert!((20..=26).contains(&answered), "by what both answer in two seconds: {answered}");
}

async fn a_node_that_is_shut_down_has_counted_everything(store: Store) {
    let (mut service, node) = (Service::start(&store), Node::on(&store).await);
    let (acme, _, token) = limited(&service, (&store, &node), "acme.example", None).await;
    for _ in 0..7 {
        service.with_token(&token).get(OWN).is(200);
    }
    signal(service.pid(), libc::SIGTERM);
    assert!(service.wait());
    assert_eq!(open(&node, acme).await, 7);
}

async fn a_node_that_is_killed_loses_what_it_counted_since_its_last_flush(store: Store) {
    let (mut service, node) = (Service::start(&store), Node::on(&store).await);
    let (acme, bob, token) = limited(&service, (&store, &node), "acme.example", None).await;
    for _ in 0..7 {
        service.with_token(&token).get(OWN).is(200);
    }
    // The interval of flushes, and what a busy machine takes.
    reaches(&node, acme, 7, Duration::from_secs(45)).await;
    service.with_token(&token).get(OWN).is(200);
    let session = bob.authorization().to_owned();
    signal(service.pid(), libc::SIGKILL);
    service.wait();
    let again = Service::start(&store);
    let bob = again.caller(session, Value::Null);
    bob.get(OWN).is(200);
    for _ in 0..3 {
        again.with_token(&token).get(OWN).is(200);
    }
    by(Duration::from_secs(45), "the new run adds to it", || async { open(&node, acme).await >= 10 }).await;
    assert!((10..=11).contains(&open(&node, acme).await));
}

async fn a_day_that_is_over_is_recorded_once_also_after_days_of_downtime(store: Store) {
    let run = |arguments: &[&str]| {
        let output = porttask(&store, arguments).envs(ADMIN).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["init", "--simulated"]);
    let start = || Service::start_with(&store, &[&ADMIN[..], &[("PORTTASK_NODE_NAME", "one")]].concat());
    let (mut service, node) = (start(), Node::on(&store).await);
    let (acme, _, token) = limited(&service, (&store, &node), "acme.example", Some(100)).await;
    for _ in 0..3 {
        service.with_token(&token).get(OWN).is(200);
    }
    reaches(&node, acme, 3, SOON).await;
    assert_eq!(recorded(&node).await, [], "the day is not over");
    run(&["clock", "advance", "1d"]);
    let counts = |events: &[Event]| -> Vec<(Date, u64)> {
        let count = |event: &Event| match event {
            Event::ApiCallsCounted { day, count, .. } => (*day, *count),
            Event::ThresholdReached { .. } | Event::AverageMeasured { .. } => panic!("{event:?}"),
        };
        events.iter().map(count).collect()
    };
    by(SOON, "the first day is recorded", || async { !recorded(&node).await.is_empty() }).await;
    for _ in 0..2 {
        service.with_token(&token).get(OWN).is(200);
    }
    reaches(&node, acme, 2, SOON).await;
    signal(service.pid(), libc::SIGKILL);
    service.wait();
    run(&["clock", "advance", "5d"]);
    service = start();
    by(SOON, "the second day is recorded", || async { recorded(&node).await.len() >= 2 }).await;
    reaches(&node, acme, 0, SOON).await;
    let events = recorded(&node).await;
    let days = counts(&events);
    assert_eq!((days.len(), days[0].1, days[1].1), (2, 3, 2), "{days:?}");
    assert_eq!(days[0].0.tomorrow().unwrap(), days[1].0);
    let Event::ApiCallsCounted { by_key, .. } = &events[0] else { panic!("{events:?}") };
    assert_eq!(by_key.values().copied().collect::<Vec<_>>(), [3]);
    drop(service);
}
