//! A year by the simulated clock: what is due happens, and the audit log is read month by month.

use std::time::Duration;

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use porttask_tests::{Store, by, on_both_engines};
use serde_json::{Value, json};

use crate::{
    billing::account::lusoport,
    service::{ADMIN, Service, porttask},
};

on_both_engines!(a_simulated_year_is_found_month_by_month);

async fn a_simulated_year_is_found_month_by_month(store: Store) {
    let run = |arguments: &[&str]| {
        let output = porttask(&store, arguments).envs(ADMIN).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let advance = |to: Timestamp| {
        run(&["clock", "advance", "--to", &to.to_string()]);
    };
    run(&["init", "--simulated"]);
    let service = Service::start(&store);
    let month = |number: i32| -> Timestamp {
        let start: jiff::civil::Date = "2090-01-01".parse().unwrap();
        let first = start.checked_add(number.months()).unwrap();
        first.to_zoned(TimeZone::UTC).unwrap().timestamp()
    };
    let is_there = |to: Timestamp| {
        let service = &service;
        by(Duration::from_secs(20), "the node follows the clock", move || async move {
            // The session ends if the clock is followed right after it started.
            let shown = service.ana().get("/v1/me/sessions");
            if shown.status != 200 {
                return false;
            }
            let started = shown.body["items"][0]["started_at"].as_str().unwrap().parse::<Timestamp>().unwrap();
            started >= to
        })
    };
    let mut organization = String::new();
    for number in 0..12 {
        advance(month(number));
        is_there(month(number)).await;
        let ana = service.ana();
        if number == 0 {
            organization = service.create_organization(&ana, "acme.example").0;
            let plans = ana.get("/v1/platform/billing/plans?q=starter").is(200).body;
            let to = json!({"to": {"plan": plans["items"][0]["id"], "interval": "month"}});
            let path = format!("/v1/organizations/{organization}/billing/subscription/change");
            ana.send("POST", &path, &[("idempotency-key", "plan")], Some(&to)).is(200);
            // It begins after the trial, because there is a way to pay.
            let account = format!("/v1/organizations/{organization}/billing/account");
            ana.patch(&account, &lusoport()).is(200);
            ana.post(&format!("{account}/collection"), &json!({"kind": "invoice", "days": 30})).is(200);
        }
        let vendors = format!("/v1/organizations/{organization}/vendors");
        let vendor = json!({"name": format!("Vendor {number}"), "services": ["towage"]});
        ana.post(&vendors, &vendor).is(201);
    }
    advance(month(12));
    is_there(month(12)).await;
    let log = format!("/v1/organizations/{organization}/audit-log");
    let summaries = |query: &str| -> Vec<String> {
        let answer = service.ana().get(&format!("{log}{query}")).is(200);
        let text = |entry: &Value| {
            let at: Timestamp = entry["occurred_at"].as_str().unwrap().parse().unwrap();
            assert!(at >= month(0) && at < month(13), "{at}");
            let recorded: Timestamp = entry["recorded_at"].as_str().unwrap().parse().unwrap();
            assert!(recorded < month(0), "recorded at the real time: {recorded}");
            entry["summary"].as_str().unwrap().to_owned()
        };
        answer.body["items"].as_array().unwrap().iter().map(text).collect()
    };
    for number in 0..12 {
        let query = format!("?action=vendor.created&from={}&until={}", month(number), month(number + 1));
        assert_eq!(summaries(&query), [format!("created the vendor Vendor {number}")], "month {number}");
    }
    // The invitation of the first admin expired by itself, within its first month.
    let expired = format!("?action=user.link_expired&from={}&until={}", month(0), month(2));
    assert_eq!(summaries(&expired), ["the invitation expired"]);
    let next = service.ana().get("/v1/platform/timers").is(200);
    let items = next.body["items"].as_array().unwrap();
    let kinds: Vec<&Value> = items.iter().map(|it| &it["kind"]).collect();
    assert_eq!(kinds, ["billing"], "without a seller, its invoices wait: {items:?}");
    let subscription = format!("/v1/organizations/{organization}/billing/subscription");
    let goes_on = || {
        let shown = service.ana().get(&subscription).is(200).body;
        shown["period"]["ends_at"].as_str().unwrap().parse::<Timestamp>().unwrap() > month(12)
    };
    by(Duration::from_secs(30), "the subscription goes on", async || goes_on()).await;
}
