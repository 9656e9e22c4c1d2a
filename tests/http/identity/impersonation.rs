//! Impersonation of users by super admins: what it permits, who sees it, and how it ends.

use std::time::Duration;

use porttask_tests::{Store, by, on_both_engines};
use serde_json::{Value, json};

use crate::{
    openapi::{PLATFORM, UNKNOWN_USER, operations},
    service::{Answer, Caller, PASSWORD, Service},
    shared::SharedService,
};

on_both_engines!(
    an_impersonation_is_visible_to_both_sides,
    only_operations_marked_in_the_document_can_be_impersonated,
    an_impersonation_ends_with_the_session_that_started_it,
    an_impersonation_ends_with_the_sessions_of_the_user,
    only_super_admins_impersonate_and_they_cannot_be_impersonated,
    an_impersonation_needs_a_reason_and_expires,
);

const LOG: &str = "/v1/organizations/current/audit-log";

fn reason() -> Value {
    json!({"reason": "ticket 4711"})
}

/// Requests an impersonation of a user.
fn ask(staff: &Caller<'_>, user: &Caller<'_>, body: &Value) -> Answer {
    let [organization, user] = ["organization", "user"].map(|member| user.session[member].as_str().unwrap());
    staff.post(&format!("/v1/organizations/{organization}/users/{user}/impersonate"), body)
}

/// A super admin acting as this user.
#[track_caller]
fn act_as<'a>(service: &'a Service, staff: &Caller<'_>, user: &Caller<'_>) -> Caller<'a> {
    let answer = ask(staff, user, &reason()).is(201);
    let mut caller = service.with_token(&answer.body["token"]);
    caller.session = answer.body;
    caller
}

/// Waits for an entry with these words in an audit log; the latest.
async fn entry(of: &Caller<'_>, log: &str, words: &str) -> Value {
    let found = || of.get(&format!("{log}?q={words}")).is(200).body["items"][0].clone();
    by(Duration::from_secs(10), words, async || !found().is_null()).await;
    found()
}

async fn an_impersonation_is_visible_to_both_sides(store: Store) {
    let (service, other) = (Service::start(&store), Service::start(&store));
    let (acme, bob) = service.found(&store, "acme.example").await;
    let ana = service.ana();
    let staff = act_as(&service, &ana, &bob);
    let number = staff.session["staff_number"].clone();
    assert!(number.as_str().unwrap().len() == 9, "{number}");
    // On both nodes.
    for staff in [&staff, &other.with_token(&staff.session["token"])] {
        assert_eq!(staff.get("/v1/me").is(200).body["id"], bob.session["user"]);
        let current = staff.get("/v1/sessions/current").is(200);
        assert_eq!(current.body["impersonation"]["staff_number"], number, "to be shown: {current:?}");
    }
    assert!(bob.get("/v1/sessions/current").is(200).body["impersonation"].is_null());
    staff.patch("/v1/organizations/current", &json!({"name": "Acme Ports"})).is(200);

    // The organization sees a staff number, without name and IP address.
    let started = entry(&bob, LOG, "impersonating").await;
    assert_eq!(started["summary"], "started impersonating the user: ticket 4711");
    let renamed = entry(&bob, LOG, "renamed+impersonated").await;
    assert_eq!(renamed["actor"]["id"], bob.session["user"]);
    assert_eq!(renamed["impersonator"], json!({"staff_number": number}));
    let read = entry(&bob, LOG, "get_me+impersonated").await;
    assert_eq!(read["summary"], "read: get me");
    for entry in [&started, &renamed, &read] {
        assert!(entry["ip"].is_null() && entry["device"].is_null(), "{entry}");
        assert!(!entry.to_string().contains("ana@platform.example"), "{entry}");
    }
    assert_eq!(started["actor"]["staff_number"], number);
    let sessions = bob.get("/v1/me/sessions").is(200);
    let mut of_staff = sessions.body["items"].as_array().unwrap().iter().filter(|it| it["staff_number"] == number);
    assert!(of_staff.next().unwrap()["ip"].is_null() && of_staff.next().is_none(), "{sessions:?}");

    // The platform sees both users.
    let renamed = entry(&ana, &format!("/v1/organizations/{acme}/audit-log"), "renamed+impersonated").await;
    assert_eq!(renamed["impersonator"]["id"], ana.session["user"]);
    assert_eq!(renamed["impersonator"]["email"], "ana@platform.example");
    assert_eq!((&renamed["actor"]["email"], &renamed["ip"]), (&json!("bob@acme.example"), &json!("127.0.0.1")));
}

/// `x-impersonable` in the document matches the behaviour.
async fn only_operations_marked_in_the_document_can_be_impersonated(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let staff = act_as(service, &service.ana(), bob);
    let user = bob.session["user"].as_str().unwrap();
    let mut marked = Vec::new();
    for operation in operations().iter().filter(|it| !it.is_public) {
        let place = operation.name();
        if operation.definition["x-impersonable"] == json!(true) {
            marked.push(place);
            continue;
        }
        let answer = staff.send(&operation.method, &operation.at("current", user), &[], Some(&json!({})));
        assert_eq!(answer.status, 403, "{place}: {answer:?}");
        assert!(["not-impersonable", "forbidden"].contains(&answer.problem()), "{place}: {answer:?}");
    }
    for place in &marked {
        let (method, path) = place.split_once(' ').unwrap();
        if method == "GET" {
            let operation = operations().into_iter().find(|it| it.method == "GET" && it.path == path).unwrap();
            let method = if operation.is_stream() { "HEAD" } else { "GET" };
            let answer = staff.send(method, &operation.at("current", user), &[], None);
            // What needs a query says so, after it has let the caller in.
            assert!([200, 404, 422].contains(&answer.status), "{place}: {answer:?}");
        }
    }
    let changes: Vec<&String> = marked.iter().filter(|place| !place.starts_with("GET ")).collect();
    assert_eq!(
        changes,
        [
            "PATCH /v1/organizations/{org}",
            "POST /v1/organizations/{org}/billing/subscription/preview",
            "DELETE /v1/sessions/current"
        ],
        "an operation became impersonable or stopped being so: extend this list only on purpose"
    );
    // Neither the platform nor other organizations.
    staff.get("/v1/organizations").refused(403, "forbidden");
    let path = format!("/v1/organizations/{acme}/users/{user}/impersonate");
    staff.post(&path, &reason()).refused(403, "forbidden");
    staff.get(&format!("/v1/organizations/{PLATFORM}/users")).refused(404, "organization-not-found");
    staff.delete("/v1/sessions/current").is(200);
    staff.get("/v1/me").refused(401, "unauthenticated");
    bob.get("/v1/me").is(200);
}

async fn an_impersonation_ends_with_the_session_that_started_it(store: Store) {
    let (one, two) = (Service::start(&store), Service::start(&store));
    let (_, bob) = one.found(&store, "acme.example").await;
    let ana = one.ana();
    let staff = act_as(&two, &ana, &bob);
    staff.get("/v1/me").is(200);
    ana.delete("/v1/sessions/current").is(200);
    staff.get("/v1/me").refused(401, "unauthenticated");
    // Also if the session ends in another way.
    let ana = one.ana();
    let staff = act_as(&two, &ana, &bob);
    staff.get("/v1/me").is(200);
    let change = json!({"current_password": PASSWORD, "new_password": "another horse battery"});
    ana.post("/v1/me/password", &change).is(200);
    staff.get("/v1/me").is(200);
    one.sign_in_with("ana@platform.example", "another horse battery").delete("/v1/me/sessions").is(200);
    staff.get("/v1/me").refused(401, "unauthenticated");
}

async fn an_impersonation_ends_with_the_sessions_of_the_user(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let ana = service.ana();
    let staff = act_as(service, &ana, bob);
    let id = staff.session["id"].as_str().unwrap();
    bob.delete(&format!("/v1/me/sessions/{id}")).is(200);
    staff.get("/v1/me").refused(401, "unauthenticated");
    let staff = act_as(service, &ana, bob);
    bob.delete("/v1/me/sessions").is(200);
    staff.get("/v1/me").refused(401, "unauthenticated");
    let staff = act_as(service, &ana, bob);
    ana.post(&format!("/v1/organizations/{acme}/suspend"), &reason()).is(200);
    staff.get("/v1/me").refused(403, "organization-suspended");
    ask(&ana, bob, &reason()).refused(409, "organization-suspended");
    ana.post(&format!("/v1/organizations/{acme}/reactivate"), &json!({})).is(200);
    staff.get("/v1/me").refused(401, "unauthenticated");
}

async fn only_super_admins_impersonate_and_they_cannot_be_impersonated(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let ana = service.ana();
    ask(bob, bob, &reason()).refused(403, "forbidden");
    ask(&ana, &ana, &reason()).refused(403, "staff-not-impersonable");
    let path = |user: &str| format!("/v1/organizations/{acme}/users/{user}/impersonate");
    let cleo = acme.invite("cleo", "Cleo", "read_only");
    ana.post(&path(&cleo), &reason()).refused(409, "user-not-active");
    service.accept(&acme.id, &cleo).is(200);
    // Only with the permissions of the user.
    let staff = service.with_token(&ana.post(&path(&cleo), &reason()).is(201).body["token"]);
    staff.get("/v1/me").is(200);
    staff.get("/v1/organizations/current/users").refused(403, "forbidden");
    bob.post(&format!("/v1/organizations/current/users/{cleo}/deactivate"), &json!({})).is(200);
    ana.post(&path(&cleo), &reason()).refused(409, "user-deactivated");
    ana.post(&path(UNKNOWN_USER), &reason()).refused(404, "user-not-found");
    ana.post(&format!("/v1/platform/super-admins/{UNKNOWN_USER}/demote"), &json!({})).refused(404, "user-not-found");
}

async fn an_impersonation_needs_a_reason_and_expires(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let ana = service.ana();
    for bad in [
        json!({}),
        json!({"reason": ""}),
        json!({"reason": "a\u{7}b"}),
        json!({"reason": "x", "minutes": 0}),
        json!({"reason": "x", "minutes": 61}),
        json!({"reason": "x", "minutes": -1}),
        json!({"reason": "x", "minutes": 4_294_967_296_u64}),
    ] {
        let answer = ask(&ana, bob, &bad);
        assert!([400, 422].contains(&answer.status), "{bad}: {answer:?}");
    }
    let user = bob.session["user"].as_str().unwrap();
    let path = format!("/v1/organizations/{acme}/users/{user}/impersonate");
    ana.post(&format!("{path}?dry_run=true"), &reason()).refused(422, "invalid-fields");
    let start = || ana.send("POST", &path, &[("idempotency-key", "one")], Some(&json!({"reason": "x", "minutes": 1})));
    let (first, again) = (start().is(201), start());
    assert_eq!((first.id(), &again.body["token"]), (again.id(), &Value::Null), "{again:?}");
    assert_eq!(first.body["expires_at"], again.body["expires_at"]);
    let instant = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let lasts = instant(&first.body["expires_at"]).duration_since(instant(&first.body["recorded_at"]));
    assert!(lasts.as_secs() <= 60 && lasts.as_secs() > 50, "{first:?}");
}
