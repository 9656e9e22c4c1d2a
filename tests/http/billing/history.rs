//! What is used by day and month, and by whom; prices beyond what is included; CSV; wrong coupon codes.

use std::time::Duration;

use porttask_tests::{Store, by, on_both_engines};
use serde_json::{Value, json};

use super::plan::{PLANS, code, plan};
use crate::{
    service::{ADMIN, Answer, PASSWORD, Service, porttask},
    shared::{Organization, SharedService},
};

on_both_engines!(
    who_used_most_is_listed_with_names,
    what_is_beyond_a_plan_has_its_price_in_advance,
    billing_is_exported_as_csv,
    wrong_coupon_codes_are_limited_for_each_organization,
    users_are_counted_day_by_day,
);

const CALLS: &str = "/v1/organizations/current/port-calls";
const USAGE: &str = "/v1/organizations/current/billing/usage";

fn anna() -> Value {
    json!({"port": {"unlocode": "BRSSZ"}, "vessel": "MSC Anna", "imo": "9074729", "eta": "2026-12-03T08:30",
        "etd": "2026-12-04T18:00"})
}

/// The lines of a CSV file, without its byte order mark.
#[track_caller]
fn lines(answer: Answer) -> Vec<String> {
    let answer = answer.is(200);
    assert!(answer.header("content-type").starts_with("text/csv"), "{answer:?}");
    answer.body.as_str().unwrap().trim_start_matches('\u{feff}').lines().map(str::to_owned).collect()
}

async fn who_used_most_is_listed_with_names(service: &'static SharedService) {
    let (acme, other) = (service.organization().await, service.organization().await);
    let agent = acme.join("cleo", "Cleo Tanaka", "agent");
    let key = json!({"name": "harbour robot", "scopes": ["operations:write"]});
    let token = acme.admin.post("/v1/organizations/current/api-keys", &key).is(201).body["token"].clone();
    for _ in 0..3 {
        agent.post(CALLS, &anna()).is(201);
    }
    for _ in 0..2 {
        service.with_token(&token).post(CALLS, &anna()).is(201);
    }
    acme.admin.post(CALLS, &anna()).is(201);
    let top = acme.admin.get(&format!("{USAGE}/top")).is(200).body;
    let used: Vec<u64> = top["items"].as_array().unwrap().iter().map(|it| it["used"].as_u64().unwrap()).collect();
    assert_eq!((used, &top["meter"]), (vec![3, 2, 1], &json!("port_calls")));
    assert_eq!((&top["items"][0]["name"], &top["items"][0]["user"]), (&json!("Cleo Tanaka"), &agent.session["user"]));
    assert_eq!((&top["items"][1]["name"], &top["items"][1]["user"]), (&json!("harbour robot"), &Value::Null));
    assert!(top["items"][1]["key"].as_str().unwrap().starts_with("key_"), "{top}");
    assert_eq!(acme.admin.get(USAGE).is(200).body["top_users"], top["items"]);
    let keys = acme.admin.get(&format!("{USAGE}/top?meter=api_calls")).is(200).body;
    assert_eq!(keys["items"], json!([]), "the day is not over");
    let earlier = acme.admin.get(&format!("{USAGE}/top?month=2026-01-15")).status;
    assert!([200, 422].contains(&earlier), "{earlier}");
    let csv = lines(acme.admin.get(&format!("{USAGE}/top?format=csv")));
    assert_eq!((csv[0].as_str(), csv.len()), ("user,key,name,used", 4));
    assert!(csv[1].ends_with(",,Cleo Tanaka,3") && csv[2].ends_with(",harbour robot,2"), "{csv:?}");
    let log = acme.admin.get("/v1/organizations/current/audit-log?action=export.usage_taken").is(200).body;
    assert_eq!(log["items"][0]["summary"], "exported who used most as CSV");
    for wrong in ["meter=users", "meter=storage_bytes", "meter=ships", "month=soon", "format=xml", "limit=3"] {
        acme.admin.get(&format!("{USAGE}/top?{wrong}")).refused(422, "invalid-fields");
    }
    refused_to_others(&acme, &other, &["/top", "/top?format=csv", "/days", "/days?format=csv", "/history?format=csv"]);
}

/// Nobody reads the usage of another organization, and nobody without the permission that of their own.
#[track_caller]
fn refused_to_others(acme: &Organization<'_>, other: &Organization<'_>, paths: &[&str]) {
    let agent = acme.join("low", "Uma Low", "agent");
    let none = json!({"permissions": {"invoices": "none", "reports": "none"}});
    let user = agent.session["user"].as_str().unwrap();
    acme.admin.patch(&format!("/v1/organizations/current/users/{user}"), &none).is(200);
    for path in paths {
        agent.get(&format!("{USAGE}{path}")).refused(403, "forbidden");
        let foreign = format!("/v1/organizations/{}/billing/usage{path}", acme.id);
        other.admin.get(&foreign).refused(404, "organization-not-found");
    }
}

async fn what_is_beyond_a_plan_has_its_price_in_advance(service: &'static SharedService) {
    let (ana, acme) = (service.super_admin(), service.organization().await);
    let mut offered = plan(&code(), "private");
    offered["offer"]["overage"] = json!([
        {"meter": "port_calls", "currency": "EUR", "unit": 2, "price_per_unit": "1.50"},
        {"meter": "storage_bytes", "currency": "EUR", "unit": 1_000, "price_per_unit": "0.10"},
    ]);
    offered["offer"]["limits"]["port_calls"] = json!(1);
    let id = ana.post(PLANS, &offered).is(201).id().to_owned();
    let path = format!("/v1/organizations/{}/billing/subscription", acme.id);
    ana.post(&format!("{path}/end"), &json!({})).is(200);
    let begin = json!({"to": {"plan": id, "interval": "month"}});
    ana.send("POST", &format!("{path}/change"), &[("idempotency-key", "begin")], Some(&begin)).is(200);
    let meter = |name: &str| {
        let usage = acme.admin.get(USAGE).is(200).body;
        usage["meters"].as_array().unwrap().iter().find(|it| it["meter"] == name).unwrap().clone()
    };
    let before = meter("port_calls");
    let price = json!({"unit": 2, "price_per_unit": "1.50", "currency": "EUR", "units": 0, "amount": 0,
        "forecast_amount": null});
    assert_eq!((&before["overage"], &before["included"], &before["limit"]), (&price, &json!(1), &Value::Null));
    for _ in 0..4 {
        acme.admin.post(CALLS, &anna()).is(201);
    }
    let after = meter("port_calls");
    assert_eq!(
        (&after["used"], &after["overage"]["units"], &after["overage"]["amount"]),
        (&json!(4), &json!(2), &json!(300))
    );
    assert_eq!(meter("storage_bytes")["overage"]["price_per_unit"], "0.10");
    assert_eq!(meter("users")["overage"], Value::Null, "it is limited");
}

async fn billing_is_exported_as_csv(service: &'static SharedService) {
    let (ana, acme) = (service.super_admin(), service.organization().await);
    acme.invite("rui", "Rui Prado", "agent");
    acme.admin.post(CALLS, &anna()).is(201);
    let days = lines(acme.admin.get(&format!("{USAGE}/days?format=csv")));
    assert_eq!(days[0], "day,port_calls,api_calls,storage_bytes,users");
    assert!(days.last().unwrap().ends_with(",1,0,0,2"), "{days:?}");
    let months = lines(acme.admin.get(&format!("{USAGE}/history?format=csv&meter=users")));
    assert_eq!(months[0], "from,until,port_calls,api_calls,storage_bytes_average,storage_bytes,users");
    assert!(months[1].ends_with(",,,,,2"), "{months:?}");
    let log = acme.admin.get("/v1/organizations/current/audit-log?action=export.usage_taken").is(200).body;
    assert_eq!(log["items"][0]["summary"], "exported the usage of months as CSV");
    assert_eq!(log["items"][1]["summary"], "exported the usage of days as CSV");
    for wrong in ["from=yesterday", "until=2026-1-1", "from=2026-02-01&until=2026-02-01", "meter=ships"] {
        acme.admin.get(&format!("{USAGE}/days?{wrong}")).refused(422, "invalid-fields");
        acme.admin.get(&format!("{USAGE}/history?{wrong}")).refused(422, "invalid-fields");
    }
    let code = code();
    let new = json!({"code": code, "name": "=Welcome", "discount": {"percent": "12.5", "duration": "once"}});
    let coupons = "/v1/platform/billing/coupons";
    ana.post(coupons, &new).is(201);
    let listed = lines(ana.get(&format!("{coupons}?format=csv&q={code}")));
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert!(listed[1].contains(&format!(",{code},'=Welcome,12.5,,,once,,all,,,,,0,false,")), "{listed:?}");
    let mut offered = plan(&code, "private");
    offered["offer"]["overage"] =
        json!([{"meter": "port_calls", "currency": "EUR", "unit": 10, "price_per_unit": "1.50"}]);
    ana.post(PLANS, &offered).is(201);
    let listed = lines(ana.get(&format!("{PLANS}?format=csv&visibility=private&q={code}")));
    let shown =
        ",Harbour,private,,false,1,\"EUR month 9900, seat 700\",5,,4,2000,,api_keys,1.50 EUR per 10 port_calls,";
    assert!(listed.len() == 2 && listed[1].contains(shown), "{listed:?}");
    let subscriptions = "/v1/platform/billing/subscriptions";
    let listed = lines(ana.get(&format!("{subscriptions}?format=csv&status=trialing")));
    assert!(listed[0].starts_with("organization,organization_name,status,plan,"), "{listed:?}");
    assert!(listed.iter().any(|line| line.starts_with(&format!("{},", acme.id))), "{listed:?}");
    let log = ana.get("/v1/organizations/current/audit-log?action=export.subscriptions_taken").is(200).body;
    assert_eq!(log["items"][0]["summary"], "exported subscriptions as CSV");
    ana.get(&format!("{subscriptions}?format=csv&limit=5")).refused(422, "invalid-fields");
    for path in [coupons, PLANS, subscriptions] {
        acme.admin.get(&format!("{path}?format=csv")).refused(403, "forbidden");
    }
}

async fn wrong_coupon_codes_are_limited_for_each_organization(service: &'static SharedService) {
    let (ana, acme, other) = (service.super_admin(), service.organization().await, service.organization().await);
    let new = |code: &str| json!({"code": code, "name": "Welcome", "discount": {"percent": "5", "duration": "once"}});
    let codes: Vec<String> = (0..3).map(|_| code()).collect();
    for code in &codes {
        ana.post("/v1/platform/billing/coupons", &new(code)).is(201);
    }
    let redeem = |acme: &Organization<'_>, code: &str, query: &str| {
        let path = format!("/v1/organizations/current/billing/subscription/discounts{query}");
        acme.admin.post(&path, &json!({"code": code}))
    };
    let dry = "?dry_run=true";
    redeem(&acme, &codes[0], dry).is(200);
    redeem(&acme, &codes[0], "").is(200);
    for wrong in 0..9 {
        redeem(&acme, &format!("guess-{wrong}"), if wrong % 2 == 0 { dry } else { "" })
            .refused(409, "coupon-not-redeemable");
    }
    redeem(&acme, "no code at all!", "").refused(409, "coupon-not-redeemable");
    redeem(&acme, &codes[1], "").is(200);
    redeem(&acme, &codes[1], "").refused(409, "coupon-not-redeemable");
    let refused = redeem(&acme, &codes[2], dry).refused(429, "too-many-attempts");
    let seconds: u32 = refused.header("retry-after").parse().unwrap();
    assert!((3_000..=3_601).contains(&seconds), "{seconds}");
    redeem(&acme, &codes[2], "").refused(429, "too-many-attempts");
    redeem(&other, &codes[2], "").is(200);
}

async fn users_are_counted_day_by_day(store: Store) {
    let run = |arguments: &[&str]| {
        let output = porttask(&store, arguments).envs(ADMIN).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["init", "--simulated"]);
    let service = Service::start(&store);
    let (organization, user) = service.create_organization(&service.ana(), "acme.example");
    service.accept(&store, &organization, &user).await.is(200);
    let bob = || service.sign_in("bob@acme.example");
    let users = "/v1/organizations/current/users";
    let invite = |name: &str| {
        let user = json!({"name": "Cleo Tanaka", "email": format!("{name}@acme.example"), "role": "agent"});
        bob().post(users, &user).is(201).id().to_owned()
    };
    let first = invite("cleo");
    run(&["clock", "advance", "1d"]);
    reaches_day(&service, 2).await;
    bob().post(&format!("{users}/{first}/deactivate"), &json!({})).is(200);
    run(&["clock", "advance", "1d"]);
    reaches_day(&service, 3).await;
    // Taken and given back on one day.
    let short = invite("dan");
    bob().post(&format!("{users}/{short}/revoke-invitation"), &json!({})).is(200);
    bob().post(&format!("{users}/{first}/reactivate"), &json!({})).is(200);
    invite("eve");
    let bob = bob();
    let days = bob.get(&format!("{USAGE}/days?meter=users")).is(200).body;
    let days: Vec<&Value> = days["items"].as_array().unwrap().iter().collect();
    let counts: Vec<u64> = days.iter().map(|it| it["users"].as_u64().unwrap()).collect();
    assert_eq!(counts, [2, 1, 3], "{days:?}");
    assert_eq!(days[0].as_object().unwrap().len(), 2, "the other meters are left out");
    let usage = bob.get(USAGE).is(200).body;
    assert_eq!(usage["days"].as_array().unwrap().last().unwrap()["users"], 3);
    let month = bob.get(&format!("{USAGE}/history?meter=users")).is(200).body["items"][0].clone();
    assert_eq!((&month["users"], month.get("port_calls")), (&json!(3), None), "{month}");
    let (from, until) = (days[1]["day"].as_str().unwrap(), days[2]["day"].as_str().unwrap());
    let one = bob.get(&format!("{USAGE}/days?from={from}&until={until}")).is(200).body;
    assert_eq!((one["items"].as_array().unwrap().len(), &one["items"][0]["users"]), (1, &json!(1)));
}

/// Waits until the clock of the service has advanced: sessions may end meanwhile.
async fn reaches_day(service: &Service, day: usize) {
    by(Duration::from_secs(30), "the clock has advanced", || async {
        if service.try_sign_in("bob@acme.example", PASSWORD).status != 201 {
            return false;
        }
        let days = service.sign_in("bob@acme.example").get(&format!("{USAGE}/days"));
        days.status == 200 && days.body["items"].as_array().unwrap().len() >= day
    })
    .await;
}
