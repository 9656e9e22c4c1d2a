//! Payment methods and payments: with what is paid, what is declined, who may.

use porttask_tests::on_both_engines;
use serde_json::{Value, json};

use super::{
    account::{ACCOUNT, SELLER, lusoport, seller},
    plan::built_in,
};
use crate::{
    service::{Answer, Caller},
    shared::{Organization, SharedService},
};

on_both_engines!(
    payment_methods_are_added_made_default_and_removed,
    an_upgrade_is_paid_with_the_default_method,
    a_declined_payment_changes_nothing,
    a_payment_that_has_to_be_confirmed_is_pending,
    without_a_payment_method_nothing_is_charged,
    payments_are_for_those_who_hold_billing,
);

pub(crate) const METHODS: &str = "/v1/organizations/current/billing/payment-methods";
const PAYMENTS: &str = "/v1/organizations/current/billing/payments";
const SUBSCRIPTION: &str = "/v1/organizations/current/billing/subscription";

/// Adds a payment method of the simulator; its id.
#[track_caller]
pub(crate) fn add(caller: &Caller<'_>, setup: &str) -> String {
    let added = caller.post(METHODS, &json!({"setup": setup})).is(200);
    added.body["payment_method"].as_str().unwrap().to_owned()
}

fn change(caller: &Caller<'_>, key: &str, plan: &str) -> Answer {
    let body = json!({"to": {"plan": plan, "interval": "month", "seats": 0}});
    caller.send("POST", &format!("{SUBSCRIPTION}/change"), &[("idempotency-key", key)], Some(&body))
}

/// Completes the seller and the billing account, without which nothing is charged.
#[track_caller]
pub(crate) fn complete(ana: &Caller<'_>, admin: &Caller<'_>) {
    ana.patch(SELLER, &seller()).is(200);
    admin.patch(ACCOUNT, &lusoport()).is(200);
}

/// An organization whose trial is over, so that a plan is paid at once.
async fn organization(service: &SharedService) -> Organization<'_> {
    let acme = service.organization().await;
    complete(&service.super_admin(), &acme.admin);
    let end = format!("/v1/organizations/{}/billing/subscription/end", acme.id);
    service.super_admin().post(&end, &json!({})).is(200);
    acme
}

fn items(answer: &Answer) -> &Vec<Value> {
    answer.body["items"].as_array().unwrap()
}

async fn payment_methods_are_added_made_default_and_removed(service: &'static SharedService) {
    let acme = organization(service).await;
    let bob = &acme.admin;
    let listed = bob.get(METHODS).is(200);
    assert_eq!((items(&listed).len(), &listed.body["provider"]), (0, &json!("simulator")));
    assert!(listed.body["test_methods"].as_array().unwrap().iter().any(|it| it["setup"] == "sim_ok"));
    bob.post(&format!("{METHODS}/setup"), &json!({})).is(200);
    for wrong in [json!({"setup": "sim_unknown"}), json!({"setup": ""}), json!({})] {
        bob.post(METHODS, &wrong).refused(422, "invalid-fields");
    }
    bob.send("POST", &format!("{METHODS}?dry_run=true"), &[], Some(&json!({"setup": "sim_ok"}))).is(200);
    let first = add(bob, "sim_ok");
    assert_eq!(add(bob, "sim_ok"), first, "a repetition adds nothing");
    let second = add(bob, "sim_declined");
    let listed = bob.get(METHODS).is(200);
    let defaults: Vec<_> = items(&listed).iter().map(|it| (it["id"].clone(), it["is_default"].clone())).collect();
    assert_eq!(defaults, [(json!(first), json!(true)), (json!(second), json!(false))]);
    bob.post(&format!("{METHODS}/{second}/make-default"), &json!({})).is(200);
    bob.post(&format!("{METHODS}/pmt_00000000000000000000000000/make-default"), &json!({}))
        .refused(404, "payment-method-not-found");
    // The default one is replaced by another one.
    let removed = bob.post(&format!("{METHODS}/{second}/remove"), &json!({})).is(200);
    assert_eq!(removed.body["events"], json!(["payment_method.made_default", "payment_method.removed"]));
    assert_eq!(bob.post(&format!("{METHODS}/{second}/remove"), &json!({})).is(200).body["events"], json!([]));
    assert_eq!(items(&bob.get(METHODS))[0]["is_default"], true);
    change(bob, "begin", &built_in(service, "starter")).is(200);
    bob.post(&format!("{METHODS}/{first}/remove"), &json!({})).refused(409, "last-payment-method");
    let log = bob.get("/v1/organizations/current/audit-log?action=payment_method.added").is(200);
    assert_eq!(items(&log)[0]["summary"], "added the payment method sim_declined ending in 0000");
}

async fn an_upgrade_is_paid_with_the_default_method(service: &'static SharedService) {
    let acme = organization(service).await;
    let (ana, bob) = (service.super_admin(), &acme.admin);
    let (method, starter) = (add(bob, "sim_ok"), built_in(service, "starter"));
    let changed = change(bob, "begin", &starter).is(200);
    assert_eq!((&changed.body["payment"], &changed.body["client_secret"]), (&json!("succeeded"), &Value::Null));
    let listed = bob.get(PAYMENTS).is(200);
    let paid = &items(&listed)[0];
    assert_eq!((&paid["target"], &paid["method"]), (&changed.body["change"], &json!(method)));
    assert_eq!((&paid["amount"], &paid["status"], &paid["attempt"]), (&json!(4_900), &json!("succeeded"), &json!(1)));
    let id = paid["id"].as_str().unwrap();
    assert_eq!(bob.get(&format!("{PAYMENTS}/{id}")).is(200).body["status"], "succeeded");
    let csv = bob.get(&format!("{PAYMENTS}?format=csv&status=succeeded")).is(200).body;
    assert!(csv.as_str().unwrap().contains(&format!("\r\n{id},{}", acme.id)), "{csv}");
    let all = ana.get(&format!("/v1/platform/billing/payments?organization={}", acme.id)).is(200);
    assert_eq!((&items(&all)[0]["id"], &items(&all)[0]["organization_name"]), (&json!(id), &json!("Acme")));
    let reverse = format!("/v1/organizations/{}/billing/payments/{id}/reverse", acme.id);
    let body = json!({"reason": "the cardholder disputes it"});
    bob.send("POST", &reverse, &[("idempotency-key", "r")], Some(&body)).refused(403, "forbidden");
    ana.post(&reverse, &body).refused(422, "invalid-fields");
    let by = |key: &str, body: &Value| ana.send("POST", &reverse, &[("idempotency-key", key)], Some(body));
    by("a", &json!({"amount": 5_000, "reason": "x"})).refused(409, "payment-exceeded");
    by("b", &json!({"amount": 0, "reason": "x"})).refused(422, "invalid-amount");
    assert_eq!(by("c", &body).is(200).body["events"], json!(["payment.reversed"]));
    assert_eq!(by("d", &body).is(200).body["events"], json!([]), "nothing is left");
    let reversed = ana.get(&format!("/v1/organizations/{}/billing/payments/{id}", acme.id)).is(200).body;
    assert_eq!((&reversed["status"], &reversed["reversed"]), (&json!("reversed"), &json!(4_900)));
}

async fn a_declined_payment_changes_nothing(service: &'static SharedService) {
    let acme = organization(service).await;
    let (bob, starter) = (&acme.admin, built_in(service, "starter"));
    add(bob, "sim_insufficient_funds");
    let refused = change(bob, "one", &starter).refused(402, "payment-failed");
    assert!(refused.body["detail"].as_str().unwrap().contains("insufficient_funds"), "{refused:?}");
    let shown = bob.get(SUBSCRIPTION).is(200).body;
    assert_eq!((&shown["status"], &shown["change"]), (&json!("ended"), &Value::Null));
    assert_eq!(items(&bob.get(&format!("{PAYMENTS}?status=failed")))[0]["code"], "insufficient_funds");
    let stolen = add(bob, "sim_stolen");
    bob.post(&format!("{METHODS}/{stolen}/make-default"), &json!({})).is(200);
    change(bob, "two", &starter).refused(402, "payment-failed");
    change(bob, "three", &starter).refused(409, "payment-method-missing");
    let listed = bob.get(METHODS).is(200);
    assert_eq!(items(&listed).iter().find(|it| it["id"] == stolen.as_str()).unwrap()["failed"], "stolen_card");
    // One that is added now takes its place.
    add(bob, "sim_ok");
    assert_eq!(change(bob, "four", &starter).is(200).body["payment"], "succeeded");
}

async fn a_payment_that_has_to_be_confirmed_is_pending(service: &'static SharedService) {
    let acme = organization(service).await;
    let (bob, starter) = (&acme.admin, built_in(service, "starter"));
    add(bob, "sim_action");
    let pending = change(bob, "one", &starter).is(202);
    assert_eq!(pending.body["payment"], "action_required");
    assert!(pending.body["client_secret"].is_string(), "{pending:?}");
    let again = change(bob, "one", &starter).is(202);
    assert_eq!(again.body["client_secret"], pending.body["client_secret"]);
    change(bob, "other", &built_in(service, "professional")).refused(409, "change-in-progress");
    assert_eq!(items(&bob.get(PAYMENTS)).len(), 1);
    let log = bob.get("/v1/organizations/current/audit-log?action=payment.action_required").is(200);
    assert!(!log.body.to_string().contains(pending.body["client_secret"].as_str().unwrap()));
    // A timeout after the charge is looked up when the request is repeated.
    let acme = organization(service).await;
    let bob = &acme.admin;
    add(bob, "sim_timeout_after");
    assert_eq!(change(bob, "one", &starter).is(202).body["payment"], "pending");
    assert_eq!(items(&bob.get(PAYMENTS))[0]["status"], "unknown");
    assert_eq!(change(bob, "one", &starter).is(200).body["payment"], "succeeded");
    assert_eq!(bob.get(SUBSCRIPTION).body["status"], "active");
}

async fn without_a_payment_method_nothing_is_charged(service: &'static SharedService) {
    let acme = organization(service).await;
    let (bob, starter) = (&acme.admin, built_in(service, "starter"));
    change(bob, "one", &starter).refused(409, "payment-method-missing");
    let body = json!({"to": {"plan": starter, "interval": "month", "seats": 0}});
    let dry = format!("{SUBSCRIPTION}/change?dry_run=true");
    bob.post(&dry, &body).refused(409, "payment-method-missing");
    assert_eq!(bob.get(SUBSCRIPTION).body["change"], Value::Null);
    // Without the keys of the provider, nobody reports anything.
    bob.post("/v1/payment-providers/stripe/events", &json!({"type": "payment_intent.succeeded"}))
        .refused(404, "resource-not-found");
}

async fn payments_are_for_those_who_hold_billing(service: &'static SharedService) {
    let (acme, other) = (service.organization().await, service.organization().await);
    let method = add(&acme.admin, "sim_ok");
    let agent = acme.join("agent", "Cleo Tanaka", "agent");
    agent.get(METHODS).is(200);
    agent.get(PAYMENTS).is(200);
    agent.post(METHODS, &json!({"setup": "sim_ok"})).refused(403, "forbidden");
    agent.post(&format!("{METHODS}/setup"), &json!({})).refused(403, "forbidden");
    agent.post(&format!("{METHODS}/{method}/remove"), &json!({})).refused(403, "forbidden");
    acme.admin.get("/v1/platform/billing/payments").refused(403, "forbidden");
    let foreign = format!("/v1/organizations/{}/billing", acme.id);
    for path in ["payment-methods", "payments"] {
        other.admin.get(&format!("{foreign}/{path}")).refused(404, "organization-not-found");
    }
    let remove = format!("{foreign}/payment-methods/{method}/remove");
    other.admin.post(&remove, &json!({})).refused(404, "organization-not-found");
    other.admin.post(&format!("{METHODS}/{method}/remove"), &json!({})).refused(404, "payment-method-not-found");
}
