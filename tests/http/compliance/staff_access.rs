//! What staff and keys of the platform read of organizations: recorded in the log of the organization.

use std::time::Duration;

use porttask_tests::{Store, by, on_both_engines, signal};
use serde_json::{Value, json};

use super::audit_log::{LOG, items};
use crate::{
    service::{Caller, Service},
    shared::SharedService,
};

on_both_engines!(
    what_staff_reads_is_recorded_in_the_log_of_the_organization,
    searches_are_recorded_in_the_log_of_the_platform,
    reads_by_keys_of_the_platform_are_recorded,
    further_reads_are_recorded_together,
);

/// The values of a field in the changes of an entry.
fn values<'a>(entry: &'a Value, field: &str) -> Vec<&'a str> {
    let changes = entry["changes"].as_array().unwrap().iter().filter(|it| it["field"] == field);
    changes.map(|it| it["to"].as_str().unwrap()).collect()
}

fn reads(bob: &Caller<'_>) -> Vec<Value> {
    items(bob, "?action=staff_access.read&sort=recorded_at")
}

/// Waits until so many reads are recorded.
async fn until(bob: &Caller<'_>, count: usize) -> Vec<Value> {
    by(Duration::from_secs(10), "the reads are recorded", async || reads(bob).len() >= count).await;
    reads(bob)
}

async fn what_staff_reads_is_recorded_in_the_log_of_the_organization(service: &'static SharedService) {
    let acme = service.organization().await;
    let (bob, ana) = (&acme.admin, service.ana());
    let user = bob.session["user"].as_str().unwrap();
    let path = format!("/v1/organizations/{acme}");
    let parts = ["", "/users", "/api-keys", "/audit-log", "/vendors", "/port-calls", "/service-orders", "/jobs"];
    let parts = parts.map(str::to_owned);
    for part in parts.iter().chain([&format!("/users/{user}"), &format!("/users/{user}/sessions")]) {
        bob.get(&format!("{path}{part}")).is(200);
        for _ in 0..2 {
            ana.get(&format!("{path}{part}")).is(200);
        }
    }
    // Users were read when the organization was created, in the same hour unless it has just ended.
    let recorded = until(bob, 9).await;
    let areas: Vec<&str> = recorded.iter().flat_map(|it| values(it, "area")).collect();
    let expected = [
        "users",
        "organization",
        "api_keys",
        "audit_log",
        "vendors",
        "port_calls",
        "service_orders",
        "jobs",
        "sessions",
    ];
    assert_eq!(areas, expected);
    assert_eq!(values(&recorded[1], "read"), [acme.id.as_str()]);
    assert_eq!((values(&recorded[0], "read"), &recorded[0]["summary"]), (vec![user], &json!("read users")));
    let actor = &recorded[1]["actor"];
    assert_eq!((&actor["id"], &actor["name"]), (&ana.session["user"], &Value::Null));
    assert_eq!(actor["staff_number"].as_str().unwrap().len(), 9);
    // Not in the log of the platform, nor of others.
    let of_the_platform = ana.get(&format!("{LOG}?action=staff_access.read&q=vendors")).is(200);
    assert_eq!(of_the_platform.body["items"], json!([]));
    let umbra = service.organization().await;
    assert_eq!(until(&umbra.admin, 1).await.len(), 1);
}

async fn searches_are_recorded_in_the_log_of_the_platform(store: Store) {
    let service = Service::start(&store);
    let (_, bob) = service.found(&store, "acme.example").await;
    let ana = service.ana();
    let user = bob.session["user"].as_str().unwrap();
    let before = until(&bob, 1).await.len();
    ana.get("/v1/platform/users?q=bob").is(200);
    ana.get("/v1/platform/users?q=nobody").is(200);
    let searches = until(&ana, 1).await;
    let [search] = &searches[..] else { panic!("{searches:?}") };
    assert_eq!((values(search, "area"), values(search, "read")), (vec!["search"], vec![user]));
    assert_eq!(reads(&bob).len(), before);
}

async fn reads_by_keys_of_the_platform_are_recorded(service: &'static SharedService) {
    let acme = service.organization().await;
    let body = json!({"name": "robot", "scopes": ["users:read"]});
    let key = service.ana().post("/v1/organizations/current/api-keys", &body).is(201).body;
    let robot = service.with_token(&key["token"]);
    let before = until(&acme.admin, 1).await.len();
    robot.get(&format!("/v1/organizations/{acme}/users")).is(200);
    let new = until(&acme.admin, before + 1).await.split_off(before);
    let [read] = &new[..] else { panic!("{new:?}") };
    assert_eq!((&read["actor"]["kind"], &read["actor"]["id"]), (&json!("api_key"), &key["id"]));
    assert_eq!(read["ip"], Value::Null);
}

async fn further_reads_are_recorded_together(store: Store) {
    let mut service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let ana = service.ana();
    let before = until(&bob, 1).await.len();
    for number in 0..3 {
        let new = json!({"name": "Cleo", "email": format!("cleo-{number}@acme.example"), "role": "agent"});
        let created = bob.post("/v1/organizations/current/users", &new).is(201);
        // The listing shows it by now: positions are only for those who received them.
        let at_least = [("porttask-at-least", created.header("porttask-position"))];
        bob.send("GET", "/v1/organizations/current/users", &at_least, None).is(200);
        ana.get(&format!("/v1/organizations/{acme}/users")).is(200);
    }
    assert_eq!(reads(&bob).len(), before);
    signal(service.pid(), libc::SIGTERM);
    assert!(service.wait());
    let service = Service::start(&store);
    let new = reads(&service.sign_in("bob@acme.example")).split_off(before);
    let further = new.iter().find(|it| it["summary"] == "read users, 3 times").unwrap_or_else(|| panic!("{new:?}"));
    assert_eq!(values(further, "read").len(), 3, "those who were not there at the first: {further}");
}
