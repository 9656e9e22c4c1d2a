//! The tax report: taxes by month, the EC sales list, the threshold, and VAT ids that are checked before they are used.

use std::time::Duration;

use porttask_tests::{Store, by, on_both_engines};
use serde_json::{Value, json};

use super::account::{ACCOUNT, SELLER, lusoport, seller};
use crate::{
    service::{ADMIN, Answer, Caller, Service, porttask},
    shared::{Organization, SharedService},
};

on_both_engines!(
    taxes_are_reported_and_credited_by_month,
    what_is_wrong_with_a_tax_report_is_said,
    a_vat_id_is_checked_again_before_it_is_used,
);

const REPORT: &str = "/v1/platform/billing/tax-report";
const LIST: &str = "/v1/platform/billing/tax-report/ec-sales-list";
const SOON: Duration = Duration::from_secs(30);

/// An organization that pays by transfer, in a country in which no other test has one.
async fn organization<'a>(service: &'a SharedService, country: &str, vat_id: Option<&str>) -> Organization<'a> {
    let (acme, ana) = (service.organization().await, service.super_admin());
    ana.patch(SELLER, &seller()).is(200);
    let address = json!({"street": ["Kai 1"], "postcode": "10111", "city": "Port", "country": country});
    let account = json!({"legal_name": "Kadriorg Shipping", "address": address, "vat_id": vat_id});
    acme.admin.patch(ACCOUNT, &account).is(200);
    let collection = format!("/v1/organizations/{}/billing/account/collection", acme.id);
    ana.post(&collection, &json!({"kind": "invoice", "days": 30})).is(200);
    acme
}

fn keyed(caller: &Caller<'_>, path: &str, body: &Value) -> Answer {
    caller.send("POST", path, &[("idempotency-key", path)], Some(body))
}

/// An invoice of 200.00 by hand; its path.
fn issued(ana: &Caller<'_>, organization: &str, currency: &str) -> String {
    let place = format!("/v1/organizations/{organization}/billing/invoices");
    let line = json!({"description": "Training on site", "quantity": 2, "unit_price": "100.00",
        "from": "2026-11-01", "until": "2026-11-02"});
    let id = ana.post(&place, &json!({"currency": currency, "lines": [line]})).is(201).id().to_owned();
    let path = format!("{place}/{id}");
    keyed(ana, &format!("{path}/issue"), &json!({})).is(200);
    path
}

/// The sums of the sales to a country: documents, taxable amount and tax.
fn sums(ana: &Caller<'_>, country: &str) -> (Value, Value, Value) {
    let report = ana.get(&format!("{REPORT}?country={country}")).is(200).body;
    assert!(report["items"].as_array().unwrap().len() <= 1, "{report}");
    let it = &report["items"][0];
    (it["documents"].clone(), it["taxable"].clone(), it["tax"].clone())
}

fn lines(answer: Answer) -> Vec<String> {
    let answer = answer.is(200);
    assert!(answer.header("content-type").starts_with("text/csv"), "{answer:?}");
    answer.body.as_str().unwrap().trim_start_matches('\u{feff}').lines().map(str::to_owned).collect()
}

async fn taxes_are_reported_and_credited_by_month(service: &'static SharedService) {
    let ana = service.super_admin();
    let business = organization(service, "EE", Some("EE100931558")).await;
    let first = issued(&ana, &business.id, "EUR");
    let date = ana.get(&first).is(200).body["issued"]["issue_date"].as_str().unwrap().to_owned();
    let month = date[..7].to_owned();
    let credit = json!({"lines": [{"line": 1, "net": 5_000}], "reason": "goodwill"});
    keyed(&ana, &format!("{first}/credit"), &credit).is(200);
    // A void invoice is undone by its credit note, once.
    let void = format!("{}/void", issued(&ana, &business.id, "EUR"));
    keyed(&ana, &void, &json!({"reason": "sent twice"})).is(200);
    let is_there = || sums(&ana, "EE") == (json!(4), json!(15_000), json!(0));
    by(SOON, "the documents are in the report", async || is_there()).await;
    let report = ana.get(&format!("{REPORT}?country=EE&treatment=reverse_charge")).is(200).body;
    let item = &report["items"][0];
    assert_eq!((&item["month"], &item["category"], &item["rate"]), (&json!(month), &json!("AE"), &json!("0")));
    assert_eq!((&item["accounting_currency"], &item["accounting_taxable"]), (&json!("EUR"), &json!(15_000)));
    assert_eq!(report["totals"], json!([{"currency": "EUR", "documents": 4, "taxable": 15_000, "tax": 0}]));
    assert_eq!(ana.get(&format!("{REPORT}?country=EE&treatment=export")).is(200).body["items"], json!([]));

    // The list, also in the accounting currency.
    let listed = || ana.get(&format!("{LIST}?country=EE")).is(200).body;
    by(SOON, "the sales are listed", async || listed()["items"][0]["net"] == 15_000).await;
    let row = json!({"period": month, "country": "EE", "vat_id": "EE100931558", "currency": "EUR", "net": 15_000,
        "accounting_net": 15_000});
    assert_eq!(listed()["items"], json!([row]));
    issued(&ana, &business.id, "SEK");
    by(SOON, "the other currency is listed", async || listed()["items"].as_array().unwrap().len() == 2).await;
    let missing = json!([{"currency": "SEK", "on": date}]);
    assert_eq!((&listed()["items"][1]["accounting_net"], &listed()["missing_rates"]), (&Value::Null, &missing));
    let rate = json!({"date": date, "currency": "SEK", "rate": "0.0905", "source": "ECB"});
    ana.post(&format!("{SELLER}/exchange-rates"), &rate).is(200);
    assert_eq!((&listed()["items"][1]["accounting_net"], &listed()["missing_rates"]), (&json!(1_810), &json!([])));
    let by_quarter = ana.get(&format!("{LIST}?country=EE&period=quarter")).is(200).body;
    let quarter = format!("{}-Q{}", &date[..4], (date[5..7].parse::<u8>().unwrap() - 1) / 3 + 1);
    assert_eq!((&by_quarter["items"][0]["period"], &by_quarter["items"][0]["net"]), (&json!(quarter), &json!(15_000)));

    // CSV, which is recorded.
    let csv = lines(ana.get(&format!("{REPORT}?country=EE&format=csv")));
    assert!(csv[0].starts_with("month,country,treatment,category,rate,currency,documents,taxable,tax,"), "{csv:?}");
    assert!(csv.contains(&format!("{month},EE,reverse_charge,AE,0,EUR,4,15000,0,EUR,15000,0")), "{csv:?}");
    let csv = lines(ana.get(&format!("{LIST}?country=EE&format=csv")));
    assert!(csv.contains(&format!("{month},EE,EE100931558,SEK,20000,EUR,1810")), "{csv:?}");
    let log = ana.get("/v1/organizations/current/audit-log?action=export.tax_report_taken").is(200).body;
    assert_eq!(log["items"][0]["summary"], "exported the EC sales list by month as CSV");
    assert_eq!(log["items"][1]["summary"], "exported the tax report as CSV");

    // A consumer of another member state, without the one-stop shop: at the seller's rate, against the threshold.
    let consumer = organization(service, "MT", None).await;
    issued(&ana, &consumer.id, "EUR");
    by(SOON, "the sale is reported", async || sums(&ana, "MT") == (json!(1), json!(20_000), json!(3_800))).await;
    let report = ana.get(&format!("{REPORT}?country=MT")).is(200).body;
    assert_eq!(report["items"][0]["treatment"], "origin_below_threshold");
    let threshold = &report["threshold"];
    assert_eq!((&threshold["limit"], &threshold["currency"]), (&json!(1_000_000), &json!("EUR")));
    assert!(threshold["amount"].as_i64().unwrap() >= 20_000, "{threshold}");
    assert_eq!(ana.get(&format!("{LIST}?country=MT")).is(200).body["items"], json!([]));
}

async fn what_is_wrong_with_a_tax_report_is_said(service: &'static SharedService) {
    let (ana, acme) = (service.super_admin(), service.organization().await);
    for query in [
        "from=2026-13",
        "from=2026-1",
        "from=2026-11-01",
        "from=2026-05&until=2026-05",
        "from=2024-01&until=2026-02",
        "country=ee",
        "country=XX",
        "format=xml",
        "month=2026-11",
    ] {
        for path in [REPORT, LIST] {
            let refused = ana.get(&format!("{path}?{query}"));
            assert_eq!((refused.status, refused.problem()), (422, "invalid-fields"), "{path}?{query}: {refused:?}");
        }
    }
    ana.get(&format!("{REPORT}?treatment=free")).refused(422, "invalid-fields");
    ana.get(&format!("{LIST}?period=week")).refused(422, "invalid-fields");
    ana.get(&format!("{LIST}?period=quarter&from=2026-02")).refused(422, "invalid-fields");
    ana.get(&format!("{LIST}?period=quarter&from=2026-01&until=2026-06")).refused(422, "invalid-fields");
    let agent = acme.join("agent", "Cleo Tanaka", "agent");
    for path in [REPORT.to_owned(), LIST.to_owned(), format!("{REPORT}?format=csv"), format!("{LIST}?format=csv")] {
        acme.admin.get(&path).refused(403, "forbidden");
        agent.get(&path).refused(403, "forbidden");
    }
}

async fn a_vat_id_is_checked_again_before_it_is_used(store: Store) {
    let run = |arguments: &[&str]| {
        let output = porttask(&store, arguments).envs(ADMIN).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["init", "--simulated"]);
    let service = Service::start(&store);
    let (acme, _) = service.create_organization(&service.ana(), "acme.example");
    service.ana().patch(SELLER, &seller()).is(200);
    let account = format!("/v1/organizations/{acme}/billing/account");
    service.ana().patch(&account, &lusoport()).is(200);
    let checked_at = || service.ana().get(&account).is(200).body["vat_id_check"]["checked_at"].clone();
    let first = checked_at();
    issued(&service.ana(), &acme, "EUR");
    assert_eq!(checked_at(), first, "a check is good for 90 days");
    run(&["clock", "advance", "91d"]);
    let has_advanced = || {
        let shown = service.try_sign_in("ana@platform.example", crate::service::PASSWORD);
        shown.status == 201 && service.ana().get(REPORT).body["as_of"].as_str() > first.as_str()
    };
    let is_far = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    by(Duration::from_secs(60), "the clock has advanced", async || {
        has_advanced() && {
            let as_of = service.ana().get(REPORT).body["as_of"].as_str().map(is_far);
            as_of.is_some_and(|now| now.duration_since(is_far(first.as_str().unwrap())).as_hours() >= 90 * 24)
        }
    })
    .await;
    let draft = issued(&service.ana(), &acme, "EUR");
    assert!(checked_at().as_str() > first.as_str(), "it is checked again");
    assert_eq!(service.ana().get(&draft).is(200).body["issued"]["treatment"], "reverse_charge");
    let log = format!("/v1/organizations/{acme}/audit-log?action=billing_account.tax_id_checked");
    assert_eq!(service.ana().get(&log).is(200).body["items"].as_array().unwrap().len(), 2);
}
