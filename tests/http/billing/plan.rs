//! Plans: the built-in ones, new ones, versions, who may.

use porttask_domain::UserId;
use porttask_runtime::new_id;
use porttask_tests::on_both_engines;
use serde_json::{Value, json};

use crate::shared::SharedService;

on_both_engines!(
    every_platform_has_three_plans,
    a_plan_is_created_versioned_and_retired,
    all_faults_of_a_plan_are_reported,
    only_staff_sees_and_changes_plans,
    an_organization_chooses_among_public_plans_and_its_own,
);

pub(super) const PLANS: &str = "/v1/platform/billing/plans";

/// A plan with one price; its code is unique to the organization.
pub(super) fn plan(code: &str, visibility: &str) -> Value {
    json!({"code": code, "name": "Harbour", "visibility": visibility, "offer": offer(9_900)})
}

pub(super) fn offer(price: i64) -> Value {
    json!({"prices": [{"currency": "EUR", "interval": "month", "price": price, "seat_price": 700}],
        "included_seats": 5, "features": ["api_keys"], "limits": {"port_calls": 4, "storage_bytes": 2_000}})
}

/// A code that no other test uses.
pub(super) fn code() -> String {
    format!("c-{}", new_id::<UserId>().0.simple())
}

/// The id of a built-in plan.
pub(super) fn built_in(service: &SharedService, code: &str) -> String {
    let plans = service.super_admin().get(&format!("{PLANS}?limit=200&q={code}")).is(200);
    let items = plans.body["items"].as_array().unwrap().clone();
    items.iter().find(|plan| plan["code"] == code).unwrap()["id"].as_str().unwrap().to_owned()
}

async fn every_platform_has_three_plans(service: &'static SharedService) {
    let ana = service.super_admin();
    let starter = ana.get(&format!("{PLANS}/{}", built_in(service, "starter"))).is(200).body;
    assert_eq!((&starter["name"], &starter["visibility"]), (&json!("Starter"), &json!("public")));
    let prices = starter["offer"]["prices"].as_array().unwrap();
    assert_eq!((&prices[0]["price"], &prices[1]["price"]), (&json!(4_900), &json!(49_000)), "a year is ten months");
    let enterprise = ana.get(&format!("{PLANS}/{}", built_in(service, "enterprise"))).is(200).body;
    assert_eq!(enterprise["visibility"], "private");
    assert_eq!(enterprise["offer"]["limits"]["port_calls"], Value::Null);
}

async fn a_plan_is_created_versioned_and_retired(service: &'static SharedService) {
    let (ana, code) = (service.super_admin(), code());
    let created = ana.post(PLANS, &plan(&code, "public")).is(201);
    let path = format!("{PLANS}/{}", created.id());
    ana.post(PLANS, &plan(&code.to_uppercase(), "public")).refused(409, "plan-code-taken");
    ana.post(&format!("{path}/versions"), &offer(9_900)).is(200);
    assert_eq!(ana.get(&path).body["offer"]["version"], 1, "the same content is no other version");
    ana.post(&format!("{path}/versions"), &offer(11_900)).is(200);
    ana.patch(&path, &json!({"name": "Harbour II", "visibility": "private"})).is(200);
    let shown = ana.get(&path).is(200);
    assert_eq!((&shown.body["offer"]["version"], &shown.body["name"]), (&json!(2), &json!("Harbour II")));
    ana.send("PATCH", &path, &[("if-match", "\"1\"")], Some(&json!({"name": "Late"}))).refused(412, "outdated");
    ana.post(&format!("{path}/retire"), &json!({})).is(200);
    assert_eq!(ana.post(&format!("{path}/retire"), &json!({})).is(200).body["events"], json!([]));
    ana.post(&format!("{path}/versions"), &offer(1)).refused(409, "plan-retired");
    let log = ana.get(&format!("/v1/organizations/current/audit-log?target={}", created.id())).is(200);
    let summaries: Vec<&str> =
        log.body["items"].as_array().unwrap().iter().map(|entry| entry["summary"].as_str().unwrap()).collect();
    assert!(summaries.contains(&"published version 2 of the plan"), "{summaries:?}");
}

async fn all_faults_of_a_plan_are_reported(service: &'static SharedService) {
    let (ana, code) = (service.super_admin(), code());
    let bad = json!({"code": "a b", "name": "", "visibility": "secret", "offer": {"prices": [
        {"currency": "EUR", "interval": "week", "price": 1}], "included_seats": -1, "limits": {}}});
    let refused = ana.post(PLANS, &bad).refused(422, "invalid-fields");
    assert!(refused.body["errors"].as_array().unwrap().len() >= 4, "{refused:?}");
    let with = |offer: Value| json!({"code": code, "name": "X", "visibility": "private", "offer": offer});
    let mut foreign = offer(1);
    foreign["prices"][0]["currency"] = json!("XXX");
    ana.post(PLANS, &with(foreign)).refused(422, "invalid-fields");
    ana.post(PLANS, &with(offer(-1))).refused(422, "invalid-price");
    let mut twice = offer(1);
    twice["prices"] = json!([twice["prices"][0], twice["prices"][0]]);
    ana.post(PLANS, &with(twice)).refused(422, "invalid-price");
    let nobody = json!({"code": code, "name": "X", "visibility": "private", "offer": offer(1),
        "for_organization": "org_00000000000000000000000042"});
    ana.post(PLANS, &nobody).refused(422, "invalid-fields");
    ana.get(&format!("{PLANS}/pln_00000000000000000000000042")).refused(404, "plan-not-found");
}

async fn only_staff_sees_and_changes_plans(service: &'static SharedService) {
    let acme = service.organization().await;
    let path = format!("{PLANS}/{}", built_in(service, "starter"));
    acme.admin.get(PLANS).refused(403, "forbidden");
    acme.admin.get(&path).refused(403, "forbidden");
    acme.admin.post(PLANS, &plan("mine", "public")).refused(403, "forbidden");
    acme.admin.post(&format!("{path}/retire"), &json!({})).refused(403, "forbidden");
}

async fn an_organization_chooses_among_public_plans_and_its_own(service: &'static SharedService) {
    let (ana, acme, other) = (service.super_admin(), service.organization().await, service.organization().await);
    let mut own = plan(&code(), "private");
    own["for_organization"] = json!(acme.id);
    let own = ana.post(PLANS, &own).is(201).id().to_owned();
    let private = ana.post(PLANS, &plan(&code(), "private")).is(201).id().to_owned();
    ana.get(PLANS).is(200);
    let offered = |caller: &crate::service::Caller<'_>| -> Vec<String> {
        let plans = caller.get("/v1/organizations/current/billing/plans").is(200);
        let id = |plan: &Value| plan["id"].as_str().unwrap().to_owned();
        plans.body["items"].as_array().unwrap().iter().map(id).collect()
    };
    assert!(offered(&acme.admin).contains(&own) && !offered(&other.admin).contains(&own));
    assert!(!offered(&acme.admin).contains(&private));
    // Staff gives private plans, but not those of another organization.
    let of_staff = ana.get(&format!("/v1/organizations/{}/billing/plans", other.id)).is(200).body.to_string();
    assert!(of_staff.contains(&private) && !of_staff.contains(&own), "{of_staff}");
    let choose = |plan: &str| json!({"to": {"plan": plan, "interval": "month"}});
    let path = "/v1/organizations/current/billing/subscription/change";
    let key = [("idempotency-key", "choose")];
    other.admin.send("POST", path, &key, Some(&choose(&own))).refused(404, "plan-not-found");
    acme.admin.send("POST", path, &key, Some(&choose(&private))).refused(404, "plan-not-found");
    acme.admin.send("POST", path, &key, Some(&choose(&own))).is(200);
}
