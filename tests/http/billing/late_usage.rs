//! What is billed beyond what a plan includes: averages of users and stored bytes, and use that is known too late.

use std::{collections::BTreeMap, time::Duration};

use jiff::civil::Date;
use porttask_domain::{
    Actor, Meta, OrganizationId,
    billing::{
        UsageMonth,
        usage_month::{Command, UsageMonthId},
    },
    identity::Capability,
};
use porttask_runtime::execute::Request;
use porttask_tests::{Node, Store, by, on_both_engines};
use serde_json::{Value, json};

use super::{
    payment::complete,
    plan::{PLANS, code, plan},
};
use crate::service::{ADMIN, PASSWORD, Service, porttask};

on_both_engines!(averages_and_late_use_are_billed_with_the_next_invoice, each_month_of_a_year_is_billed_when_it_ends,);

const SOON: Duration = Duration::from_secs(60);
const EMAIL: &str = "bob@acme.example";

fn run(store: &Store, arguments: &[&str]) -> String {
    let output = porttask(store, arguments).envs(ADMIN).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Records the requests with API keys of a day, as the service does when the day is over.
async fn count(node: &Node, organization: OrganizationId, (month, day): (Date, Date), count: u64) {
    let request = Request::new(organization, Meta::by(Actor::System)).needing(Capability::Settle);
    let command = Command::CountApiCalls { day, count, by_key: BTreeMap::new() };
    node.executor.execute::<UsageMonth>(UsageMonthId::new(organization, month), command, &request).await.unwrap();
}

/// The lines of the invoice with a place, once it is issued; it follows from its sources.
async fn lines(service: &Service, place: usize) -> Vec<Value> {
    let invoices = "/v1/organizations/current/billing/invoices";
    let listed = || -> Vec<Value> {
        // Sessions end while the clock advances.
        if service.try_sign_in(EMAIL, PASSWORD).status != 201 {
            return Vec::new();
        }
        let answer = service.sign_in(EMAIL).get(&format!("{invoices}?sort=number"));
        answer.body["items"].as_array().cloned().unwrap_or_default()
    };
    by(SOON, "the invoice", || async { listed().len() > place }).await;
    let path = format!("{invoices}/{}", listed()[place]["id"].as_str().unwrap());
    let bob = service.sign_in(EMAIL);
    let again = bob.get(&format!("{path}/recalculation")).is(200).body;
    assert_eq!((&again["matches"], &again["differences"]), (&json!(true), &json!([])));
    bob.get(&path).is(200).body["issued"]["lines"].as_array().unwrap().clone()
}

/// The quantity, the amount and the count of the line of a meter.
fn of(lines: &[Value], kind: &str, meter: &str) -> (i64, i64, u64) {
    let line = lines.iter().find(|line| line["kind"] == kind && line["sources"][0]["meter"] == meter);
    let line = line.unwrap_or_else(|| panic!("no line of {kind} {meter}: {lines:#?}"));
    let number = |value: &Value| value.as_i64().unwrap();
    (number(&line["quantity"]), number(&line["net"]), line["sources"][0]["count"].as_u64().unwrap())
}

/// A service on a simulated clock with an organization that bills use beyond its plan, by transfer and at once from its
/// balance.
async fn subscribed(store: &Store, interval: &str) -> (Service, OrganizationId) {
    run(store, &["init", "--simulated"]);
    let service = Service::start(store);
    let (organization, bob) = service.found(store, "acme.example").await;
    let ana = service.ana();
    complete(&ana, &bob);
    let mut offered = plan(&code(), "private");
    let price = |meter: &str, unit: u64, price: &str| json!({"meter": meter, "currency": "EUR", "unit": unit, "price_per_unit": price});
    offered["offer"]["prices"][0]["interval"] = json!(interval);
    offered["offer"]["included_seats"] = json!(0);
    offered["offer"]["overage"] =
        json!([price("users", 1, "5.00"), price("storage_bytes", 100, "0.10"), price("api_calls", 2, "0.50")]);
    offered["offer"]["limits"] = json!({"storage_bytes": 10, "api_calls": 3});
    let plan = ana.post(PLANS, &offered).is(201).id().to_owned();
    let place = format!("/v1/organizations/{organization}/billing");
    ana.post(&format!("{place}/account/collection"), &json!({"kind": "invoice", "days": 30})).is(200);
    // What is billed is paid at once, or the subscription would become read-only.
    let balance = json!({"amount": 10_000_000, "currency": "EUR", "reason": "a test"});
    ana.send("POST", &format!("{place}/account/grant-balance"), &[("idempotency-key", "paid")], Some(&balance)).is(200);
    ana.post(&format!("{place}/subscription/end"), &json!({})).is(200);
    let begin = json!({"to": {"plan": plan, "interval": interval}});
    ana.send("POST", &format!("{place}/subscription/change"), &[("idempotency-key", "begin")], Some(&begin)).is(200);
    let kind = [("content-type", "application/octet-stream")];
    bob.upload("/v1/organizations/current/documents?name=a.txt", &kind, "x".repeat(1_000)).is(201);
    (service, organization.parse().unwrap())
}

async fn averages_and_late_use_are_billed_with_the_next_invoice(store: Store) {
    let (service, id) = subscribed(&store, "month").await;
    let node = Node::on(&store).await;
    run(&store, &["clock", "advance", "2d"]);
    let first = lines(&service, 0).await;
    assert_eq!(first.len(), 1, "{first:#?}");
    let month: Date = first[0]["from"].as_str().unwrap().parse().unwrap();
    let day = |number: i8| (month, month.saturating_add(jiff::Span::new().days(number)));
    count(&node, id, day(0), 8).await;

    run(&store, &["clock", "advance", "31d"]);
    let second = lines(&service, 1).await;
    assert_eq!(of(&second, "overage", "users"), (1, 500, 1), "one user who is there all the time");
    assert_eq!(of(&second, "overage", "storage_bytes"), (10, 100, 1_000), "990 bytes beyond are ten units");
    assert_eq!(of(&second, "overage", "api_calls"), (3, 150, 8));
    assert!(second.iter().all(|line| line["kind"] != "late_usage"));

    // A node was out of reach until now: 8 were billed, 12 are known.
    count(&node, id, day(5), 4).await;
    run(&store, &["clock", "advance", "31d"]);
    let third = lines(&service, 2).await;
    assert_eq!(of(&third, "late_usage", "api_calls"), (2, 100, 12), "at five units, of which three were billed");
    let late = third.iter().find(|line| line["kind"] == "late_usage").unwrap();
    assert_eq!((&late["from"], &late["sources"][0]["billed"]), (&first[0]["from"], &json!(8)));
    assert_eq!(of(&third, "overage", "storage_bytes"), (10, 100, 1_000));

    // It is billed once, and what was issued before still follows from its sources.
    run(&store, &["clock", "advance", "31d"]);
    let fourth = lines(&service, 3).await;
    assert!(fourth.iter().all(|line| line["kind"] != "late_usage"), "{fourth:#?}");
    lines(&service, 1).await;
    assert_eq!(run(&store, &["invoices", "verify", "--all"]), "4 invoices verified: OK\n");
}

async fn each_month_of_a_year_is_billed_when_it_ends(store: Store) {
    let (service, _) = subscribed(&store, "year").await;
    run(&store, &["clock", "advance", "2d"]);
    let year = lines(&service, 0).await;
    assert_eq!(year.len(), 1, "{year:#?}");
    for place in [1, 2] {
        run(&store, &["clock", "advance", "31d"]);
        let month = lines(&service, place).await;
        assert!(month.iter().all(|line| line["kind"] == "overage"), "{month:#?}");
        assert_eq!(of(&month, "overage", "users"), (1, 500, 1));
        assert_eq!(of(&month, "overage", "storage_bytes"), (10, 100, 1_000));
    }
    let listed = service.sign_in(EMAIL).get("/v1/organizations/current/billing/invoices?sort=number").is(200).body;
    let kinds: Vec<&str> = listed["items"].as_array().unwrap().iter().filter_map(|it| it["kind"].as_str()).collect();
    assert_eq!(kinds, ["subscription", "usage", "usage"]);
    assert_eq!(run(&store, &["invoices", "verify", "--all"]), "3 invoices verified: OK\n");
}
