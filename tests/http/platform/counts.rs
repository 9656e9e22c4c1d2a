//! Listings count the rows of all their pages on request.

use porttask_tests::on_both_engines;
use serde_json::{Value, json};

use crate::{service::Caller, shared::SharedService};

on_both_engines!(
    listings_count_the_rows_of_all_pages_on_request,
    counts_are_of_what_the_caller_may_list,
    a_count_that_is_not_asked_for_correctly_is_rejected,
);

/// The total of a listing, which is exact.
#[track_caller]
fn total(caller: &Caller<'_>, path: &str) -> u64 {
    let page = caller.get(path).is(200).body;
    assert_eq!(page["total_is_exact"], true, "{page}");
    page["total"].as_u64().unwrap()
}

async fn listings_count_the_rows_of_all_pages_on_request(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    for (name, role) in [("carol", "agent"), ("dan", "agent"), ("eve", "auditor")] {
        acme.invite(name, name, role);
    }
    let users = "/v1/organizations/current/users";
    let plain = bob.get(users).is(200).body;
    assert_eq!((plain.get("total"), plain.get("total_is_exact")), (None, None));
    for (query, expected) in [
        ("", 4),
        ("&limit=1", 4),
        ("&role=agent", 2),
        ("&status=invited", 3),
        ("&role=agent&status=active", 0),
        ("&q=carol", 1),
        ("&q=nobody", 0),
        ("&sort=-email&limit=2", 4),
    ] {
        assert_eq!(total(bob, &format!("{users}?count=true{query}")), expected, "{query}");
    }
    let page = bob.get(&format!("{users}?limit=3&count=true")).is(200).body;
    let next = format!("{users}?limit=3&cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(total(bob, &format!("{next}&count=true")), 4, "on every page");
    assert_eq!(bob.get(&next).is(200).body.get("total"), None);

    let log = "/v1/organizations/current/audit-log";
    let all = bob.get(&format!("{log}?limit=200")).is(200).body["items"].as_array().unwrap().len() as u64;
    assert_eq!(total(bob, &format!("{log}?count=true&limit=1")), all);
    assert_eq!(total(bob, &format!("{log}?count=true&action=user.invited")), 4);
    assert_eq!(total(bob, &format!("{log}?count=true&action=user")), 5);
    assert_eq!(total(bob, &format!("{log}?count=true&q=auditor")), 1);
    let of_address = bob.get(&format!("{log}?count=true&ip=127.0.0.1")).is(200).body;
    assert_eq!(of_address.get("total"), None, "entries are compared one by one");

    let permissions = json!({"tickets": "read", "invoices": "none", "reports": "none", "administration": "none"});
    bob.post("/v1/organizations/current/api-keys", &json!({"name": "sync", "permissions": permissions})).is(201);
    assert_eq!(total(bob, "/v1/organizations/current/api-keys?count=true"), 1);
    bob.post("/v1/organizations/current/vendors", &json!({"name": "Tugs", "services": ["towage"]})).is(201);
    assert_eq!(total(bob, "/v1/organizations/current/vendors?count=true"), 1);

    let ana = service.ana();
    let domain = &acme.domain;
    assert_eq!(total(&ana, &format!("/v1/platform/users?count=true&organization={domain}")), 4);
    assert_eq!(total(&ana, &format!("/v1/platform/users?count=true&organization={domain}&role=agent")), 2);
    assert_eq!(total(&ana, "/v1/platform/users?count=true&organization=nowhere.example"), 0);
    assert!(total(&ana, "/v1/platform/users?count=true") >= 4);
    assert!(total(&ana, "/v1/organizations?count=true&limit=1") >= 2);
    assert!(total(&ana, "/v1/platform/audit-log?count=true&limit=1") >= 2);
}

async fn counts_are_of_what_the_caller_may_list(service: &'static SharedService) {
    let (acme, other) = (service.organization().await, service.organization().await);
    acme.invite("carol", "Carol", "agent");
    assert_eq!(total(&other.admin, "/v1/organizations/current/users?count=true"), 1);
    other.admin.get(&format!("/v1/organizations/{acme}/users?count=true")).refused(404, "organization-not-found");
    let dan = acme.join("dan", "Dan", "agent");
    dan.get("/v1/organizations/current/users?count=true").refused(403, "forbidden");
}

async fn a_count_that_is_not_asked_for_correctly_is_rejected(service: &'static SharedService) {
    let acme = service.organization().await;
    for path in ["users", "vendors", "port-calls", "service-orders", "api-keys", "audit-log"] {
        for wrong in ["count=1", "count=yes", "count=", "count=true&count=true"] {
            acme.admin.get(&format!("/v1/organizations/current/{path}?{wrong}")).refused(422, "invalid-fields");
        }
    }
    let page: Value = acme.admin.get("/v1/organizations/current/users?count=false").is(200).body;
    assert_eq!(page.get("total"), None);
}
