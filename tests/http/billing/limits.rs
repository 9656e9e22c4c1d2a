//! Limits: refused in the append, never over by one; and what is refused while a subscription is read-only.

use std::time::Duration;

use porttask_tests::{Store, by, on_both_engines};
use serde_json::{Value, json};

use super::plan::{PLANS, code, plan};
use crate::{
    openapi,
    service::{ADMIN, Service, porttask},
    shared::SharedService,
};

on_both_engines!(
    a_limit_is_never_exceeded_by_racing_callers,
    seats_and_storage_are_limited,
    usage_shows_what_is_used_of_each_limit,
    a_trial_that_is_over_leaves_an_organization_read_only,
);

const CALLS: &str = "/v1/organizations/current/port-calls";

fn anna() -> Value {
    json!({"port": {"unlocode": "BRSSZ"}, "vessel": "MSC Anna", "imo": "9074729", "eta": "2026-12-03T08:30",
        "etd": "2026-12-04T18:00"})
}

/// An organization with five seats, four port calls a month, and 2,000 bytes.
async fn small<'a>(service: &'a SharedService) -> crate::shared::Organization<'a> {
    let (ana, acme) = (service.super_admin(), service.organization().await);
    let plan = ana.post(PLANS, &plan(&code(), "private")).is(201).id().to_owned();
    let path = format!("/v1/organizations/{}/billing/subscription", acme.id);
    ana.post(&format!("{path}/end"), &json!({})).is(200);
    let begin = json!({"to": {"plan": plan, "interval": "month"}});
    ana.send("POST", &format!("{path}/change"), &[("idempotency-key", "begin")], Some(&begin)).is(200);
    acme
}

async fn a_limit_is_never_exceeded_by_racing_callers(service: &'static SharedService) {
    let acme = small(service).await;
    let created = std::thread::scope(|scope| {
        let racing: Vec<_> = (0..16).map(|_| scope.spawn(|| acme.admin.post(CALLS, &anna()))).collect();
        racing.into_iter().map(|it| it.join().unwrap()).filter(|answer| answer.status == 201).count()
    });
    assert_eq!(created, 4);
    let refused = acme.admin.post(CALLS, &anna()).refused(409, "limit-reached");
    assert_eq!((&refused.body["meter"], &refused.body["limit"]), (&json!("port_calls"), &json!(4)), "{refused:?}");
    assert_eq!((&refused.body["used"], &refused.body["plan"]), (&json!(4), &json!("Harbour")));
    assert_eq!(refused.body["ways_out"], json!(["upgrade", "wait"]));
    assert!(refused.body["resets_at"].is_string(), "{refused:?}");
    let path = format!("{CALLS}/{}", acme.admin.get(CALLS).body["items"][0]["id"].as_str().unwrap());
    acme.admin.delete(&path).is(200);
    acme.admin.post(CALLS, &anna()).refused(409, "limit-reached");
    let dry = acme.admin.post(&format!("{CALLS}?dry_run=true"), &anna()).refused(409, "limit-reached");
    assert_eq!(dry.body["used"], 4);
}

async fn seats_and_storage_are_limited(service: &'static SharedService) {
    let acme = small(service).await;
    let users = "/v1/organizations/current/users";
    let user =
        |number: usize| json!({"name": "Cleo Tanaka", "email": acme.email(format!("u{number}")), "role": "agent"});
    let ids: Vec<String> = (0..4).map(|it| acme.admin.post(users, &user(it)).is(201).id().to_owned()).collect();
    let refused = acme.admin.post(users, &user(5)).refused(409, "limit-reached");
    assert_eq!(refused.body["ways_out"], json!(["upgrade", "buy_seats", "free"]), "{refused:?}");
    acme.admin.post(&format!("{users}/{}/revoke-invitation", ids[0]), &json!({})).is(200);
    acme.admin.post(users, &user(5)).is(201);
    let documents = "/v1/organizations/current/documents?name=a.txt";
    let upload = |bytes: usize| acme.admin.upload(documents, &[], vec![b'a'; bytes]);
    let first = upload(1_500).is(201);
    let refused = upload(501).refused(409, "limit-reached");
    assert_eq!((&refused.body["meter"], &refused.body["used"]), (&json!("storage_bytes"), &json!(1_500)));
    acme.admin.delete(&format!("/v1/organizations/current/documents/{}", first.id())).is(200);
    upload(2_000).is(201);
}

async fn usage_shows_what_is_used_of_each_limit(service: &'static SharedService) {
    let acme = small(service).await;
    acme.admin.post(CALLS, &anna()).is(201);
    acme.admin.upload("/v1/organizations/current/documents?name=a.txt", &[], "abc").is(201);
    let usage = acme.admin.get("/v1/organizations/current/billing/usage").is(200).body;
    let meter = |name: &str| usage["meters"].as_array().unwrap().iter().find(|it| it["meter"] == name).unwrap().clone();
    assert_eq!((&meter("port_calls")["used"], &meter("port_calls")["percent"]), (&json!(1), &json!(25)));
    assert_eq!((&meter("storage_bytes")["used"], &meter("users")["limit"]), (&json!(3), &json!(5)));
    assert_eq!(meter("api_calls")["limit"], Value::Null);
    let today = usage["days"].as_array().unwrap().last().unwrap();
    assert_eq!((&today["port_calls"], &today["storage_bytes"]), (&json!(1), &json!(3)), "{today}");
    let history = acme.admin.get("/v1/organizations/current/billing/usage/history").is(200).body;
    assert_eq!(history["items"][0]["port_calls"], 1);
    let ana = service.super_admin();
    let total = ana.get("/v1/platform/billing/usage").is(200).body;
    let today = total["days"].as_array().unwrap().last().unwrap();
    assert!(today["port_calls"].as_u64() >= Some(1) && today["storage_bytes"].as_u64() >= Some(3), "{today}");
    acme.admin.get("/v1/platform/billing/usage").refused(403, "forbidden");
    acme.admin.get("/v1/organizations/current/billing/usage?month=soon").refused(422, "invalid-fields");
}

async fn a_trial_that_is_over_leaves_an_organization_read_only(store: Store) {
    let run = |arguments: &[&str]| {
        let output = porttask(&store, arguments).envs(ADMIN).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["init", "--simulated"]);
    let service = Service::start(&store);
    let (organization, user) = service.create_organization(&service.ana(), "acme.example");
    service.accept(&store, &organization, &user).await.is(200);
    let users = "/v1/organizations/current/users";
    let agent = json!({"name": "Cleo Tanaka", "email": "cleo@acme.example", "role": "agent"});
    let agent = format!("{users}/{}", service.sign_in("bob@acme.example").post(users, &agent).is(201).id());
    run(&["clock", "advance", "15d"]);
    let bob = || service.sign_in("bob@acme.example");
    let subscription = "/v1/organizations/current/billing/subscription";
    let is_over = || async {
        let answer = service.try_sign_in("bob@acme.example", crate::service::PASSWORD);
        answer.status == 201 && bob().get(subscription).body["status"] == "read_only"
    };
    by(Duration::from_secs(20), "the trial is over", is_over).await;
    let bob = bob();
    bob.post(CALLS, &anna()).refused(409, "subscription-read-only");
    bob.get(CALLS).is(200);
    let ticket = json!({"kind": "billing", "subject": "Which plan?", "text": "We need help."});
    bob.post("/v1/organizations/current/tickets", &ticket).is(201);
    for operation in openapi::operations() {
        let path = operation.at("current", "usr_00000000000000000000000042");
        if !operation.path.starts_with("/v1/organizations/{org}/") || operation.method == "GET" {
            continue;
        }
        let answer = bob.send(&operation.method, &path, &[], Some(&json!({})));
        match operation.is_refused_when_read_only() {
            true => assert!(answer.status >= 400, "{} {path}: {answer:?}", operation.method),
            false => assert_ne!(answer.problem(), "subscription-read-only", "{} {path}", operation.method),
        }
    }
    // Rights can be narrowed, and nothing else of a user can be changed.
    for (change, narrows) in [
        (json!({"role": "admin"}), false),
        (json!({"role": "read_only"}), true),
        (json!({"role": "read_only"}), true),
        (json!({"role": "agent"}), false),
        (json!({"permissions": {"tickets": "none"}}), true),
        (json!({"permissions": {"tickets": "read"}}), false),
        (json!({"permissions": {"invoices": "none", "tickets": "read"}}), false),
        (json!({"name": "Cleo"}), false),
    ] {
        match narrows {
            true => bob.patch(&agent, &change).is(200),
            false => bob.patch(&agent, &change).refused(409, "subscription-read-only"),
        };
    }
    let plans = bob.get("/v1/organizations/current/billing/plans").is(200).body;
    let starter = plans["items"].as_array().unwrap().iter().find(|it| it["code"] == "starter").unwrap().clone();
    let begin = json!({"to": {"plan": starter["id"], "interval": "month"}});
    super::payment::complete(&service.ana(), &bob);
    super::payment::add(&bob, "sim_ok");
    let key = [("idempotency-key", "begin")];
    bob.send("POST", &format!("{subscription}/change"), &key, Some(&begin)).is(200);
    bob.post(CALLS, &anna()).is(201);
}
