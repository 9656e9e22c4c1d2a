//! Staff of the platform who acts as somebody else: what they may, who sees it, and how it ends.

use std::time::Duration;

use porttask_tests::{Store, by, on_both_engines};
use serde_json::{Value, json};

use super::{
    document::operations,
    service::{Answer, Caller, PASSWORD, Service},
};

on_both_engines!(
    staff_sees_what_the_user_sees_and_everybody_sees_staff,
    what_is_not_marked_cannot_be_done_in_somebodys_name,
    an_impersonation_ends_with_the_session_of_whoever_began_it,
    an_impersonation_ends_with_whatever_ends_the_sessions_of_the_user,
    only_staff_impersonates_and_nobody_impersonates_staff,
    an_impersonation_has_a_reason_and_an_end,
);

const LOG: &str = "/v1/organizations/current/audit-log";

fn because() -> Value {
    json!({"reason": "ticket 4711"})
}

/// Staff asks to act as a user.
fn ask(staff: &Caller<'_>, user: &Caller<'_>, body: &Value) -> Answer {
    let [organization, user] = ["organization", "user"].map(|member| user.session[member].as_str().unwrap());
    staff.post(&format!("/v1/organizations/{organization}/users/{user}/impersonate"), body)
}

/// Staff as this user.
#[track_caller]
fn act_as<'a>(service: &'a Service, staff: &Caller<'_>, user: &Caller<'_>) -> Caller<'a> {
    let answer = ask(staff, user, &because()).is(201);
    let mut caller = service.with_token(&answer.body["token"]);
    caller.session = answer.body;
    caller
}

/// The latest entry of an audit log with these words.
async fn entry(of: &Caller<'_>, log: &str, words: &str) -> Value {
    let found = || of.get(&format!("{log}?q={words}")).is(200).body["items"][0].clone();
    by(Duration::from_secs(10), words, async || !found().is_null()).await;
    found()
}

async fn staff_sees_what_the_user_sees_and_everybody_sees_staff(store: Store) {
    let (service, other) = (Service::start(&store), Service::start(&store));
    let (acme, bob) = service.found(&store, "acme.example").await;
    let ana = service.ana();
    let staff = act_as(&service, &ana, &bob);
    let number = staff.session["staff_number"].clone();
    assert!(number.as_str().unwrap().len() == 9, "{number}");
    // On every node.
    for staff in [&staff, &other.with_token(&staff.session["token"])] {
        assert_eq!(staff.get("/v1/me").is(200).body["id"], bob.session["user"]);
        let current = staff.get("/v1/sessions/current").is(200);
        assert_eq!(current.body["impersonation"]["staff_number"], number, "to be shown: {current:?}");
    }
    assert!(bob.get("/v1/sessions/current").is(200).body["impersonation"].is_null());
    staff.patch("/v1/organizations/current", &json!({"name": "Acme Ports"})).is(200);

    // The organization sees a number, and neither who it is nor from where.
    let begun = entry(&bob, LOG, "impersonating").await;
    assert_eq!(begun["summary"], "started impersonating the user: ticket 4711");
    let renamed = entry(&bob, LOG, "renamed+impersonated").await;
    assert_eq!(renamed["actor"]["id"], bob.session["user"]);
    assert_eq!(renamed["impersonator"], json!({"staff_number": number}));
    let read = entry(&bob, LOG, "get_me+impersonated").await;
    assert_eq!(read["summary"], "read get_me");
    for entry in [&begun, &renamed, &read] {
        assert!(entry["ip"].is_null() && entry["device"].is_null(), "{entry}");
        assert!(!entry.to_string().contains("ana@platform.example"), "{entry}");
    }
    assert_eq!(begun["actor"]["staff_number"], number);
    let sessions = bob.get("/v1/me/sessions").is(200);
    let mut of_staff = sessions.body["items"].as_array().unwrap().iter().filter(|it| it["staff_number"] == number);
    assert!(of_staff.next().unwrap()["ip"].is_null() && of_staff.next().is_none(), "{sessions:?}");

    // Staff sees both.
    let renamed = entry(&ana, &format!("/v1/organizations/{acme}/audit-log"), "renamed+impersonated").await;
    assert_eq!(renamed["impersonator"]["id"], ana.session["user"]);
    assert_eq!(renamed["impersonator"]["email"], "ana@platform.example");
    assert_eq!((&renamed["actor"]["email"], &renamed["ip"]), (&json!("bob@acme.example"), &json!("127.0.0.1")));
}

/// The marks of the document are what holds.
async fn what_is_not_marked_cannot_be_done_in_somebodys_name(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let staff = act_as(&service, &service.ana(), &bob);
    let user = bob.session["user"].as_str().unwrap();
    let mut marked = Vec::new();
    for operation in operations().iter().filter(|it| !it.is_public) {
        let place = format!("{} {}", operation.method, operation.path);
        if operation.said["x-impersonable"] == json!(true) {
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
            let answer = staff.get(&operation.at("current", user));
            assert!([200, 404].contains(&answer.status), "{place}: {answer:?}");
        }
    }
    let changes: Vec<&String> = marked.iter().filter(|place| !place.starts_with("GET ")).collect();
    assert_eq!(
        changes,
        ["PATCH /v1/organizations/{org}", "DELETE /v1/sessions/current"],
        "whoever adds to this list has thought about it"
    );
    // Nor anything in the platform, or elsewhere.
    staff.get("/v1/organizations").refused(403, "forbidden");
    let path = format!("/v1/organizations/{acme}/users/{user}/impersonate");
    staff.post(&path, &because()).refused(403, "forbidden");
    staff.get("/v1/organizations/org_00000000000000000000000000/users").refused(404, "organization-not-found");
    staff.delete("/v1/sessions/current").is(200);
    staff.get("/v1/me").refused(401, "unauthenticated");
    bob.get("/v1/me").is(200);
}

async fn an_impersonation_ends_with_the_session_of_whoever_began_it(store: Store) {
    let (one, two) = (Service::start(&store), Service::start(&store));
    let (_, bob) = one.found(&store, "acme.example").await;
    let ana = one.ana();
    let staff = act_as(&two, &ana, &bob);
    staff.get("/v1/me").is(200);
    ana.delete("/v1/sessions/current").is(200);
    staff.get("/v1/me").refused(401, "unauthenticated");
    // And with whatever else ends it.
    let ana = one.ana();
    let staff = act_as(&two, &ana, &bob);
    staff.get("/v1/me").is(200);
    let change = json!({"current_password": PASSWORD, "new_password": "another horse battery"});
    ana.post("/v1/me/password", &change).is(200);
    staff.get("/v1/me").is(200);
    one.sign_in_with("ana@platform.example", "another horse battery").delete("/v1/me/sessions").is(200);
    staff.get("/v1/me").refused(401, "unauthenticated");
}

async fn an_impersonation_ends_with_whatever_ends_the_sessions_of_the_user(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let ana = service.ana();
    let staff = act_as(&service, &ana, &bob);
    let id = staff.session["id"].as_str().unwrap();
    bob.delete(&format!("/v1/me/sessions/{id}")).is(200);
    staff.get("/v1/me").refused(401, "unauthenticated");
    let staff = act_as(&service, &ana, &bob);
    bob.delete("/v1/me/sessions").is(200);
    staff.get("/v1/me").refused(401, "unauthenticated");
    let staff = act_as(&service, &ana, &bob);
    ana.post(&format!("/v1/organizations/{acme}/suspend"), &because()).is(200);
    staff.get("/v1/me").refused(403, "organization-suspended");
    ask(&ana, &bob, &because()).refused(409, "organization-suspended");
    ana.post(&format!("/v1/organizations/{acme}/reactivate"), &json!({})).is(200);
    staff.get("/v1/me").refused(401, "unauthenticated");
}

async fn only_staff_impersonates_and_nobody_impersonates_staff(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let ana = service.ana();
    ask(&bob, &bob, &because()).refused(403, "forbidden");
    ask(&ana, &ana, &because()).refused(403, "staff-not-impersonable");
    let path = |user: &str| format!("/v1/organizations/{acme}/users/{user}/impersonate");
    let new = json!({"name": "Cleo", "email": "cleo@acme.example", "role": "read_only"});
    let cleo = bob.post("/v1/organizations/current/users", &new).is(201).id().to_owned();
    ana.post(&path(&cleo), &because()).refused(409, "user-not-active");
    service.accept(&store, &acme, &cleo).await.is(200);
    // Never more than the user may.
    let staff = service.with_token(&ana.post(&path(&cleo), &because()).is(201).body["token"]);
    staff.get("/v1/me").is(200);
    staff.get("/v1/organizations/current/users").refused(403, "forbidden");
    bob.post(&format!("/v1/organizations/current/users/{cleo}/deactivate"), &json!({})).is(200);
    ana.post(&path(&cleo), &because()).refused(409, "user-deactivated");
    ana.post(&path("usr_00000000000000000000000042"), &because()).refused(404, "user-not-found");
    ana.post("/v1/platform/super-admins/usr_00000000000000000000000042/demote", &json!({}))
        .refused(404, "user-not-found");
}

async fn an_impersonation_has_a_reason_and_an_end(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
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
        let answer = ask(&ana, &bob, &bad);
        assert!([400, 422].contains(&answer.status), "{bad}: {answer:?}");
    }
    let user = bob.session["user"].as_str().unwrap();
    let path = format!("/v1/organizations/{acme}/users/{user}/impersonate");
    ana.post(&format!("{path}?dry_run=true"), &because()).refused(422, "invalid-fields");
    let begin = || ana.send("POST", &path, &[("idempotency-key", "one")], Some(&json!({"reason": "x", "minutes": 1})));
    let (first, again) = (begin().is(201), begin());
    assert_eq!((first.id(), &again.body["token"]), (again.id(), &Value::Null), "{again:?}");
    assert_eq!(first.body["expires_at"], again.body["expires_at"]);
    let instant = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let lasts = instant(&first.body["expires_at"]).duration_since(instant(&first.body["recorded_at"]));
    assert!(lasts.as_secs() <= 60 && lasts.as_secs() > 50, "{first:?}");
}
