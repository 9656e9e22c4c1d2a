//! Subscriptions: trials, changes and their previews, cancellation, discounts, who may.

use porttask_tests::on_both_engines;
use serde_json::{Value, json};

use super::{
    payment::{add, complete},
    plan::{PLANS, built_in, code, offer, plan},
};
use crate::{
    service::{Answer, Caller},
    shared::{Organization, SharedService},
};

on_both_engines!(
    a_new_organization_is_in_a_trial_with_every_feature,
    a_plan_is_chosen_in_the_trial_and_withdrawn,
    an_upgrade_costs_what_its_preview_said,
    a_downgrade_is_scheduled_and_withdrawn,
    a_cancellation_can_be_resumed,
    a_change_below_present_use_is_refused_with_the_list,
    a_coupon_is_redeemed_once_and_at_most_as_often_as_it_allows,
    staff_extends_trials_and_adds_discounts,
    billing_is_for_those_who_hold_it,
    a_private_plan_gives_custom_terms,
    a_deactivated_organization_has_no_subscription_any_more,
);

const SUBSCRIPTION: &str = "/v1/organizations/current/billing/subscription";

fn to(plan: &str, interval: &str, seats: u32) -> Value {
    json!({"to": {"plan": plan, "interval": interval, "seats": seats}})
}

fn preview(caller: &Caller<'_>, to: &Value) -> Answer {
    caller.post(&format!("{SUBSCRIPTION}/preview"), to)
}

fn change(caller: &Caller<'_>, key: &str, to: &Value) -> Answer {
    caller.send("POST", &format!("{SUBSCRIPTION}/change"), &[("idempotency-key", key)], Some(to))
}

/// An organization whose subscription of a plan began today.
async fn subscribed<'a>(service: &'a SharedService, plan: &str) -> Organization<'a> {
    let acme = service.organization().await;
    let ana = service.super_admin();
    let path = format!("/v1/organizations/{}/billing/subscription", acme.id);
    ana.post(&format!("{path}/end"), &json!({})).is(200);
    let begin = to(plan, "month", 0);
    ana.send("POST", &format!("{path}/change"), &[("idempotency-key", "begin")], Some(&begin)).is(200);
    assert_eq!(acme.admin.get(SUBSCRIPTION).body["status"], "active");
    acme
}

async fn a_new_organization_is_in_a_trial_with_every_feature(service: &'static SharedService) {
    let acme = service.organization().await;
    let shown = acme.admin.get(SUBSCRIPTION).is(200);
    assert_eq!((&shown.body["status"], &shown.body["limits_of"]), (&json!("trialing"), &json!("Professional")));
    assert_eq!(shown.body["features"].as_array().unwrap().len(), 4);
    assert_eq!((&shown.body["held"], &shown.body["next"]["next_renewal"]), (&Value::Null, &Value::Null));
    assert_eq!(shown.header("etag"), "\"1\"");
}

async fn a_plan_is_chosen_in_the_trial_and_withdrawn(service: &'static SharedService) {
    let (acme, starter) = (service.organization().await, built_in(service, "starter"));
    let bob = &acme.admin;
    let wanted = to(&starter, "year", 2);
    let quote = preview(bob, &wanted).is(200).body;
    assert_eq!((&quote["action"], &quote["net"]), (&json!("choose"), &json!(0)), "a trial costs nothing");
    assert_eq!(quote["next_renewal"]["net"], 49_000 + 2 * 5_000);
    bob.post(&format!("{SUBSCRIPTION}/change"), &wanted).refused(422, "invalid-fields");
    assert_eq!(change(bob, "one", &wanted).is(200).body["events"], json!(["subscription.plan_chosen"]));
    assert_eq!(change(bob, "two", &wanted).is(200).body["events"], json!([]), "a repetition yields no events");
    let shown = bob.get(SUBSCRIPTION).is(200).body;
    assert_eq!((&shown["chosen"]["name"], &shown["chosen"]["seats"]), (&json!("Starter"), &json!(2)));
    assert_eq!(shown["limits_of"], "Professional", "the trial goes on");
    bob.post(&format!("{SUBSCRIPTION}/withdraw-change"), &json!({})).is(200);
    assert_eq!(bob.get(SUBSCRIPTION).body["chosen"], Value::Null);
}

async fn an_upgrade_costs_what_its_preview_said(service: &'static SharedService) {
    let (starter, professional) = (built_in(service, "starter"), built_in(service, "professional"));
    let acme = subscribed(service, &starter).await;
    let bob = &acme.admin;
    let mut wanted = to(&professional, "month", 1);
    add(bob, "sim_ok");
    assert_eq!(preview(bob, &wanted).body["waits_for"], "billing-account-incomplete");
    change(bob, "early", &wanted).refused(409, "billing-account-incomplete");
    complete(&service.super_admin(), bob);
    let quote = preview(bob, &wanted).is(200).body;
    assert_eq!(quote["action"], "upgrade");
    assert_eq!(quote["documents"][0]["tax"]["treatment"], "reverse_charge");
    // The first period begins tomorrow, so a change today is billed in full.
    assert_eq!(quote["net"], 14_900 + 900 - 4_900);
    wanted["quote"] = json!("0".repeat(64));
    change(bob, "wrong", &wanted).refused(409, "quote-changed");
    wanted["quote"] = quote["digest"].clone();
    let changed = change(bob, "up", &wanted).is(200);
    assert_eq!(changed.body["payment"], "succeeded", "{changed:?}");
    let log = bob.get("/v1/organizations/current/audit-log?action=subscription.terms_changed").is(200);
    let entry = &log.body["items"][0];
    assert_eq!(entry["summary"], "upgraded the subscription to Professional, monthly, 1 extra seat");
    let net = entry["changes"].as_array().unwrap().iter().find(|it| it["field"] == "net").unwrap();
    assert_eq!(net["to"], "109.00 EUR");
    let again = change(bob, "up", &wanted).is(200);
    assert_eq!(again.body["repeated"], true);
    assert_eq!(bob.get(SUBSCRIPTION).body["held"]["code"], "professional");
    let dollars = json!({"to": {"plan": professional, "interval": "month", "seats": 1, "currency": "USD"}});
    preview(bob, &dollars).refused(422, "invalid-fields");
}

async fn a_downgrade_is_scheduled_and_withdrawn(service: &'static SharedService) {
    let (starter, professional) = (built_in(service, "starter"), built_in(service, "professional"));
    let acme = subscribed(service, &professional).await;
    let bob = &acme.admin;
    let wanted = to(&starter, "month", 0);
    assert_eq!(change(bob, "down", &wanted).is(200).body["events"], json!(["subscription.change_scheduled"]));
    let shown = bob.get(SUBSCRIPTION).is(200).body;
    assert_eq!(
        (&shown["held"]["code"], &shown["scheduled"]["to"]["code"]),
        (&json!("professional"), &json!("starter"))
    );
    assert_eq!(shown["scheduled"]["effective"], shown["period"]["until"]);
    assert_eq!(shown["next"]["next_renewal"]["net"], 4_900);
    let with_date = json!({"to": wanted["to"], "effective": "2026-12-05"});
    change(bob, "date", &with_date).refused(422, "invalid-fields");
    assert_eq!(
        change(bob, "stay", &to(&professional, "month", 0)).is(200).body["events"],
        json!(["subscription.change_withdrawn"])
    );
}

async fn a_cancellation_can_be_resumed(service: &'static SharedService) {
    let acme = subscribed(service, &built_in(service, "starter")).await;
    let bob = &acme.admin;
    let cancel = |body: Value| bob.post(&format!("{SUBSCRIPTION}/cancel"), &body);
    cancel(json!({"on": "2026-12-05"})).refused(422, "invalid-fields");
    let canceled = cancel(json!({"reason": "too quiet"})).is(200);
    assert_eq!(canceled.body["undo"]["path"], format!("/v1/organizations/{}/billing/subscription/resume", acme.id));
    assert_eq!(cancel(json!({})).is(200).body["events"], json!([]));
    let shown = bob.get(SUBSCRIPTION).is(200).body;
    assert_eq!((&shown["canceled_from"], &shown["next"]["next_renewal"]), (&shown["period"]["until"], &Value::Null));
    bob.post(&format!("{SUBSCRIPTION}/resume"), &json!({})).is(200);
    assert_eq!(bob.get(SUBSCRIPTION).body["canceled_from"], Value::Null);
    let new = service.organization().await;
    new.admin.post(&format!("{SUBSCRIPTION}/cancel"), &json!({})).refused(409, "subscription-not-active");
}

async fn a_change_below_present_use_is_refused_with_the_list(service: &'static SharedService) {
    let acme = service.organization().await;
    for number in 0..3 {
        acme.invite(&format!("user{number}"), "Cleo Tanaka", "agent");
    }
    let starter = built_in(service, "starter");
    let quote = preview(&acme.admin, &to(&starter, "month", 0)).is(200).body;
    assert_eq!(quote["over_limit"], json!([{"meter": "users", "limit": 3, "used": 4}]));
    let refused = change(&acme.admin, "small", &to(&starter, "month", 0)).refused(409, "over-limit");
    assert!(refused.body["detail"].as_str().unwrap().contains("4 of 3 users"), "{refused:?}");
    change(&acme.admin, "seats", &to(&starter, "month", 1)).is(200);
}

async fn a_coupon_is_redeemed_once_and_at_most_as_often_as_it_allows(service: &'static SharedService) {
    let (ana, code) = (service.super_admin(), code());
    let coupon = json!({"code": code, "name": "Welcome", "redemption": {"max_redemptions": 2},
        "discount": {"percent": "50", "duration": "once"}});
    let coupons = "/v1/platform/billing/coupons";
    let id = ana.post(coupons, &coupon).is(201).id().to_owned();
    ana.post(coupons, &coupon).refused(409, "coupon-code-taken");
    let redeem = |acme: &Organization<'_>, code: &str| {
        acme.admin.post(&format!("{SUBSCRIPTION}/discounts"), &json!({"code": code}))
    };
    let all = [service.organization().await, service.organization().await, service.organization().await];
    redeem(&all[0], "nothing").refused(409, "coupon-not-redeemable");
    redeem(&all[0], &code.to_uppercase()).is(200);
    redeem(&all[0], &code).refused(409, "coupon-not-redeemable");
    redeem(&all[1], &code).is(200);
    redeem(&all[2], &code).refused(409, "coupon-not-redeemable");
    let shown = ana.get(&format!("{coupons}/{id}")).is(200).body;
    assert_eq!((&shown["redemptions"], &shown["discount"]["percent"]), (&json!(2), &json!("50")));
    let starter = built_in(service, "starter");
    assert_eq!(preview(&all[0].admin, &to(&starter, "month", 0)).body["next_renewal"]["net"], 2_450);
    for wrong in [
        json!({"percent": "0", "duration": "once"}),
        json!({"percent": "10", "amount": 5, "duration": "once"}),
        json!({"percent": "10", "duration": "periods"}),
        json!({"amount": 5, "currency": "XXX", "duration": "once"}),
    ] {
        let coupon = json!({"code": super::plan::code(), "name": "X", "discount": wrong});
        assert_eq!(ana.post(coupons, &coupon).status, 422, "{wrong}");
    }
    ana.post(&format!("{coupons}/{id}/retire"), &json!({})).is(200);
    all[0].admin.get(coupons).refused(403, "forbidden");
}

async fn staff_extends_trials_and_adds_discounts(service: &'static SharedService) {
    let (ana, acme) = (service.super_admin(), service.organization().await);
    let path = format!("/v1/organizations/{}/billing/subscription", acme.id);
    let until = (jiff::Zoned::now().date() + jiff::Span::new().days(40)).to_string();
    let extend = json!({"until": until, "reason": "a pilot"});
    acme.admin.post(&format!("{path}/extend-trial"), &extend).refused(403, "forbidden");
    ana.post(&format!("{path}/extend-trial"), &extend).is(200);
    assert_eq!(ana.post(&format!("{path}/extend-trial"), &extend).is(200).body["events"], json!([]));
    assert_eq!(acme.admin.get(SUBSCRIPTION).body["trial_until"], until);
    let discount = json!({"amount": 1_000, "currency": "EUR", "duration": "forever"});
    acme.admin.post(&format!("{path}/discounts/add"), &discount).refused(403, "forbidden");
    ana.post(&format!("{path}/discounts/add"), &discount).is(200);
    let shown = acme.admin.get(SUBSCRIPTION).is(200).body;
    let id = shown["discounts"][0]["id"].as_str().unwrap();
    ana.post(&format!("{path}/discounts/{id}/remove"), &json!({})).is(200);
    ana.post(&format!("{path}/change-zone"), &json!({"time_zone": "Mars/Olympus"})).refused(422, "invalid-fields");
    ana.post(&format!("{path}/change-zone"), &json!({"time_zone": "Asia/Tokyo"})).is(200);
    let listed = ana.get("/v1/platform/billing/subscriptions?status=trialing&limit=200&sort=-created_at").is(200);
    let items = listed.body["items"].as_array().unwrap();
    let own = items.iter().find(|it| it["organization"] == acme.id.as_str()).unwrap();
    assert_eq!(own["next_on"], until);
    acme.admin.get("/v1/platform/billing/subscriptions").refused(403, "forbidden");
}

async fn billing_is_for_those_who_hold_it(service: &'static SharedService) {
    let (acme, other) = (service.organization().await, service.organization().await);
    let agent = acme.join("agent", "Cleo Tanaka", "agent");
    agent.get(SUBSCRIPTION).is(200);
    change(&agent, "a", &to(&built_in(service, "starter"), "month", 0)).refused(403, "forbidden");
    let none = json!({"permissions": {"invoices": "none", "reports": "none"}});
    acme.admin
        .patch(&format!("/v1/organizations/current/users/{}", agent.session["user"].as_str().unwrap()), &none)
        .is(200);
    agent.get(SUBSCRIPTION).refused(403, "forbidden");
    agent.get("/v1/organizations/current/billing/usage").refused(403, "forbidden");
    let auditor = acme.join("auditor", "Rui Prado", "auditor");
    auditor.get(SUBSCRIPTION).is(200);
    change(&auditor, "a", &to(&built_in(service, "starter"), "month", 0)).refused(403, "forbidden");
    let foreign = format!("/v1/organizations/{}/billing/subscription", acme.id);
    other.admin.get(&foreign).refused(404, "organization-not-found");
    other.admin.post(&format!("{foreign}/cancel"), &json!({})).refused(404, "organization-not-found");
}

async fn a_private_plan_gives_custom_terms(service: &'static SharedService) {
    let ana = service.super_admin();
    let private = ana.post(PLANS, &plan(&code(), "private")).is(201).id().to_owned();
    let acme = subscribed(service, &private).await;
    let shown = acme.admin.get(SUBSCRIPTION).is(200).body;
    assert_eq!((&shown["held"]["price"], &shown["features"]), (&json!(9_900), &json!(["api_keys"])));
    ana.post(&format!("{PLANS}/{private}/versions"), &offer(12_000)).is(200);
    let more = preview(&acme.admin, &to(&private, "month", 2)).is(200).body;
    assert_eq!(more["next_renewal"]["net"], 9_900 + 1_400, "the version that is held stays");
    let migrate = |query: &str| ana.post(&format!("{PLANS}/{private}/migrate{query}"), &json!({}));
    acme.admin.post(&format!("{PLANS}/{private}/migrate"), &json!({})).refused(403, "forbidden");
    let shown = |answer: Answer| (answer.body["scheduled"].clone(), answer.body["unchanged"].clone());
    assert_eq!(shown(migrate("?dry_run=true").is(200)), (json!(1), json!(0)));
    assert_eq!(acme.admin.get(SUBSCRIPTION).body["scheduled"], Value::Null, "a dry run records nothing");
    assert_eq!(shown(migrate("").is(200)), (json!(1), json!(0)));
    assert_eq!(shown(migrate("").is(200)), (json!(0), json!(1)), "a repetition has no effect");
    let planned = acme.admin.get(SUBSCRIPTION).is(200).body;
    assert_eq!(
        (&planned["scheduled"]["cause"], &planned["scheduled"]["to"]["plan_version"]),
        (&json!("migration"), &json!(2))
    );
    assert!(planned["scheduled"]["effective"].as_str() >= planned["period"]["until"].as_str());
}

async fn a_deactivated_organization_has_no_subscription_any_more(service: &'static SharedService) {
    let starter = built_in(service, "starter");
    let (ana, acme) = (service.super_admin(), subscribed(service, &starter).await);
    let path = format!("/v1/organizations/{}", acme.id);
    ana.post(&format!("{path}/suspend"), &json!({"reason": "unpaid"})).is(200);
    assert_eq!(ana.get(&format!("{path}/billing/subscription")).body["status"], "active", "it goes on being billed");
    ana.post(&format!("{path}/deactivate"), &json!({"reason": "the contract is over"})).is(200);
    assert_eq!(ana.get(&format!("{path}/billing/subscription")).body["status"], "ended");
    let begin = [("idempotency-key", "again")];
    let again =
        ana.send("POST", &format!("{path}/billing/subscription/change"), &begin, Some(&to(&starter, "month", 0)));
    again.refused(409, "organization-deactivated");
    ana.post(&format!("{path}/billing/subscription/extend-trial"), &json!({"until": "2026-12-31", "reason": "x"}))
        .refused(409, "organization-deactivated");
}
