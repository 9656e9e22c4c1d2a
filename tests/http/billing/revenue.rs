//! The recurring revenue by month, and what is exported of invoices.

use std::time::Duration;

use jiff::{ToSpan, tz::TimeZone};
use porttask_tests::{Store, by, on_both_engines};
use serde_json::{Value, json};

use super::payment::{add, complete};
use crate::{
    service::{ADMIN, Answer, Caller, Service, porttask},
    shared::SharedService,
};

on_both_engines!(
    revenue_moves_between_the_borders_of_months,
    revenue_is_for_staff_and_explains_wrong_input,
    invoices_are_exported_as_csv_and_as_a_zip_file,
);

const MRR: &str = "/v1/platform/billing/metrics/mrr";
const SOON: Duration = Duration::from_secs(60);

/// The lines of a CSV file, without its byte order mark.
#[track_caller]
fn lines(answer: Answer) -> Vec<String> {
    let answer = answer.is(200);
    assert!(answer.header("content-type").starts_with("text/csv"), "{answer:?}");
    answer.body.as_str().unwrap().trim_start_matches('\u{feff}').lines().map(str::to_owned).collect()
}

/// The months of the only currency.
fn months(answer: &Answer) -> Vec<Value> {
    answer.body["items"][0]["months"].as_array().cloned().unwrap_or_default()
}

fn sum(months: &[Value], name: &str) -> i64 {
    months.iter().map(|it| it[name].as_i64().unwrap()).sum()
}

fn plan(ana: &Caller<'_>, code: &str) -> Value {
    let plans = ana.get("/v1/platform/billing/plans?limit=200").is(200).body;
    plans["items"].as_array().unwrap().iter().find(|it| it["code"] == code).unwrap()["id"].clone()
}

fn change(ana: &Caller<'_>, organization: &str, key: &str, plan: &str) {
    let to = json!({"to": {"plan": self::plan(ana, plan), "interval": "month", "seats": 0}});
    let path = format!("/v1/organizations/{organization}/billing/subscription/change");
    ana.send("POST", &path, &[("idempotency-key", key)], Some(&to)).is(200);
}

fn end(ana: &Caller<'_>, organization: &str) {
    ana.post(&format!("/v1/organizations/{organization}/billing/subscription/end"), &json!({})).is(200);
}

/// The months, once the present one is later than another one and ends with this revenue.
async fn reaches(service: &Service, present: &str, end: i64) -> Vec<Value> {
    // The clock has advanced, so sessions may end.
    let found = || match service.try_sign_in("ana@platform.example", crate::service::PASSWORD).status {
        201 => months(&service.ana().get(MRR)),
        _ => Vec::new(),
    };
    let is_reached = |it: &Value| it["month"].as_str() > Some(present) && it["end"] == end;
    by(SOON, "the revenue of a later month", || async { found().last().is_some_and(is_reached) }).await;
    found()
}

async fn revenue_moves_between_the_borders_of_months(store: Store) {
    let run = |arguments: &[&str]| {
        let output = porttask(&store, arguments).envs(ADMIN).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["init", "--simulated"]);
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    complete(&service.ana(), &bob);
    add(&bob, "sim_ok");
    let (beta, bea) = service.found(&store, "beta.example").await;
    complete(&service.ana(), &bea);
    add(&bea, "sim_ok");
    let ana = service.ana();
    assert!(months(&ana.get(MRR).is(200)).is_empty(), "nothing was paid in any currency");
    for organization in [&acme, &beta] {
        end(&ana, organization);
    }
    change(&ana, &acme, "begin", "starter");
    change(&ana, &beta, "begin", "professional");
    let first = ana.get(&format!("{MRR}?currency=EUR")).is(200);
    let first = months(&first).last().unwrap()["month"].as_str().unwrap().to_owned();
    run(&["clock", "advance", "40d"]);
    let found = reaches(&service, &first, 19_800).await;
    assert_eq!((sum(&found, "new"), sum(&found, "customers_new"), found.len()), (19_800, 2, 12));
    let ana = service.ana();
    change(&ana, &acme, "up", "professional");
    end(&ana, &beta);
    let second = found.last().unwrap()["month"].as_str().unwrap();
    run(&["clock", "advance", "35d"]);
    let found = reaches(&service, second, 14_900).await;
    assert_eq!((sum(&found, "expansion"), sum(&found, "churn"), sum(&found, "reactivation")), (10_000, 14_900, 0));
    for it in &found {
        let of = |name: &str| it[name].as_i64().unwrap();
        let moved = of("new") + of("reactivation") + of("expansion") - of("contraction") - of("churn");
        assert_eq!((of("start") + moved, of("arr")), (of("end"), of("end") * 12), "{it}");
        assert_eq!(it["customer_churn_bp"].is_null(), of("customers_start") == 0, "{it}");
    }
    let complete: Vec<bool> = found.iter().map(|it| it["is_complete"].as_bool().unwrap()).collect();
    assert_eq!(complete.iter().filter(|it| !**it).count(), 1, "only the present month: {complete:?}");
    let churned = found.iter().find(|it| it["churn"] != 0).unwrap();
    let ana = service.ana();
    drill_down(&ana, churned, (&acme, &beta));
    exported(&ana, &found);
    // Of a plan alone, an upgrade to it is new.
    let of_plan = ana.get(&format!("{MRR}?plan={}", plan(&ana, "professional").as_str().unwrap())).is(200);
    assert_eq!((sum(&months(&of_plan), "new"), sum(&months(&of_plan), "expansion")), (29_800, 0));
    let listed = ana.get("/v1/platform/billing/subscriptions?sort=-revenue").is(200).body;
    assert_eq!(listed["items"][0]["monthly_revenue"], 14_900);
    drop(service);
    run(&["views", "verify"]);
}

#[track_caller]
fn drill_down(ana: &Caller<'_>, month: &Value, (acme, beta): (&str, &str)) {
    let path = format!("{MRR}/movements?currency=EUR&month={}", month["month"].as_str().unwrap());
    let churned = ana.get(&format!("{path}&movement=churn")).is(200).body;
    assert_eq!((&churned["total"], &churned["items"][0]["organization"]), (&json!(1), &json!(beta)));
    let it = &churned["items"][0];
    assert_eq!(
        (&it["before"], &it["after"], &it["organization_name"]),
        (&json!(14_900), &json!(0), &json!("Acme")),
        "{it}"
    );
    let all = ana.get(&path).is(200).body;
    let ids: Vec<&str> =
        all["items"].as_array().unwrap().iter().map(|it| it["organization"].as_str().unwrap()).collect();
    assert!(ids.contains(&beta) && ids.iter().all(|it| [acme, beta].contains(it)), "{all}");
    let csv = lines(ana.get(&format!("{path}&movement=churn&format=csv")));
    assert_eq!((csv.len(), csv[0].as_str()), (2, "organization,organization_name,movement,before,after,currency"));
    assert!(csv[1].ends_with(",Acme,churn,14900,0,EUR"), "{csv:?}");
}

#[track_caller]
fn exported(ana: &Caller<'_>, found: &[Value]) {
    let csv = lines(ana.get(&format!("{MRR}?format=csv")));
    assert!(csv[0].starts_with("currency,month,is_complete,start,new,") && csv.len() == found.len() + 1, "{csv:?}");
    let last = found.last().unwrap();
    let expected = format!("EUR,{},false,{},", last["month"].as_str().unwrap(), last["start"]);
    assert!(csv.last().unwrap().starts_with(&expected), "{csv:?}");
    let log = ana.get("/v1/organizations/current/audit-log?action=export.revenue_taken").is(200).body;
    assert_eq!(log["items"][0]["summary"], "exported the recurring revenue as CSV");
}

async fn revenue_is_for_staff_and_explains_wrong_input(service: &'static SharedService) {
    let (ana, acme) = (service.super_admin(), service.organization().await);
    let movements = format!("{MRR}/movements?month=2026-01&currency=EUR");
    for path in [MRR, &movements] {
        acme.admin.get(path).refused(403, "forbidden");
        assert_eq!(service.send("GET", path, &[], None).status, 401);
    }
    let none = months(&ana.get(&format!("{MRR}?currency=JPY&from=2025-01&until=2025-07")).is(200));
    assert_eq!((none.len(), &none[0]["month"], &none[5]["end"]), (6, &json!("2025-01"), &json!(0)));
    assert_eq!(none[0]["net_revenue_retention_bp"], Value::Null);
    for wrong in [
        "from=soon",
        "from=2026-13",
        "from=2026-01-01",
        "until=2999-01",
        "from=2025-06&until=2025-06",
        "from=2019-01&until=2025-01",
        "currency=EURO",
        "plan=starter",
        "format=xml",
        "month=2026-01",
    ] {
        ana.get(&format!("{MRR}?{wrong}")).refused(422, "invalid-fields");
    }
    for wrong in [
        "currency=EUR",
        "month=2026-01",
        "month=2026-1&currency=EUR",
        "month=2999-01&currency=EUR",
        "month=2026-01&currency=EUR&movement=leap",
    ] {
        ana.get(&format!("{MRR}/movements?{wrong}")).refused(422, "invalid-fields");
    }
}

async fn invoices_are_exported_as_csv_and_as_a_zip_file(service: &'static SharedService) {
    let (ana, acme, other) = (service.super_admin(), service.organization().await, service.organization().await);
    complete(&ana, &acme.admin);
    add(&acme.admin, "sim_ok");
    end(&ana, &acme.id);
    // What the organization chooses itself is paid at once.
    let to = json!({"to": {"plan": plan(&ana, "starter"), "interval": "month", "seats": 0}});
    let begin = "/v1/organizations/current/billing/subscription/change";
    acme.admin.send("POST", begin, &[("idempotency-key", "begin")], Some(&to)).is(200);
    let place = format!("/v1/organizations/{}/billing", acme.id);
    let list = format!("{place}/invoices");
    let is_rendered = async || acme.admin.get(&list).is(200).body["items"][0]["has_pdf"] == true;
    by(SOON, "an invoice with its PDF", is_rendered).await;
    let invoice = acme.admin.get(&list).is(200).body["items"][0].clone();
    let (number, issued) = (invoice["number"].as_str().unwrap(), invoice["issue_date"].as_str().unwrap());
    let csv = lines(acme.admin.get(&format!("{list}?format=csv")));
    assert!(csv.len() == 2 && csv[0].starts_with("id,organization,status,kind,number,"), "{csv:?}");
    assert!(csv[1].contains(number), "{csv:?}");
    assert_eq!(lines(acme.admin.get(&format!("{place}/credit-notes?format=csv"))).len(), 1);
    let all = lines(ana.get(&format!("/v1/platform/billing/invoices?organization={}&format=csv", acme.id)));
    assert!(all.len() == 2 && all[0].starts_with("id,organization,organization_name,"), "{all:?}");
    let date: jiff::civil::Date = issued.parse().unwrap();
    let range = format!("from={}&until={}", date.saturating_sub(1.day()), date.saturating_add(1.day()));
    let zip = acme.admin.get(&format!("{list}.zip?{range}")).is(200);
    assert_eq!(zip.header("content-type"), "application/zip");
    let content = zip.body.as_str().unwrap();
    assert!(content.starts_with("PK") && content.contains(&format!("{number}.pdf")), "{}", content.len());
    assert!(!content.contains("missing.txt"));
    for (action, summary) in [
        ("export.invoices_taken", "exported invoices as CSV".to_owned()),
        ("export.credit_notes_taken", "exported credit notes as CSV".to_owned()),
        (
            "export.billing_files_taken",
            format!("exported the files of invoices and credit notes from {}", &range[5..15]),
        ),
    ] {
        let log = acme.admin.get(&format!("/v1/organizations/current/audit-log?action={action}")).is(200).body;
        assert!(log["items"][0]["summary"].as_str().unwrap().starts_with(&summary), "{log}");
    }
    let today = jiff::Timestamp::now().to_zoned(TimeZone::UTC).date();
    for wrong in [
        String::new(),
        "from=2026-01-01".to_owned(),
        "from=soon&until=2026-01-01".to_owned(),
        format!("from={today}&until={today}"),
        "from=2001-01-01&until=2002-01-01".to_owned(),
    ] {
        acme.admin.get(&format!("{list}.zip?{wrong}")).refused(422, "invalid-fields");
    }
    other.admin.get(&format!("{list}.zip?{range}")).refused(404, "organization-not-found");
    let agent = acme.join("low", "Uma Low", "agent");
    let none = json!({"permissions": {"invoices": "none"}});
    let user = agent.session["user"].as_str().unwrap();
    acme.admin.patch(&format!("/v1/organizations/current/users/{user}"), &none).is(200);
    for path in [format!("{list}.zip?{range}"), format!("{list}?format=csv")] {
        agent.get(&path).refused(403, "forbidden");
    }
}
