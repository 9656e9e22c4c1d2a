//! Billing accounts and the seller: who is billed, who bills, VAT ids, rates, and who may.

use porttask_tests::on_both_engines;
use serde_json::{Value, json};

use crate::shared::SharedService;

on_both_engines!(
    a_billing_account_is_entered_and_its_vat_id_checked,
    what_is_wrong_with_a_billing_account_is_said,
    billing_accounts_are_for_those_who_hold_billing,
    staff_grants_balance_and_invoice_billing,
    the_seller_is_entered_by_super_admins,
    a_series_goes_on_behind_what_was_sent_out,
);

pub(crate) const ACCOUNT: &str = "/v1/organizations/current/billing/account";
pub(crate) const SELLER: &str = "/v1/platform/billing/seller";

/// A business in another member state than the seller: it accounts for the tax itself.
pub(crate) fn lusoport() -> Value {
    json!({
        "legal_name": "Lusoport Lda.",
        "address": {"street": ["Rua da Alfândega 1"], "postcode": "1100-148", "city": "Lisboa", "country": "PT"},
        "vat_id": "pt 501 964 843",
        "contact": {"name": "Ana Souza", "email": "ana@lusoport.example"},
    })
}

/// A complete seller.
pub(crate) fn seller() -> Value {
    json!({
        "legal_name": "PortTask GmbH",
        "address": {"street": ["Am Sandtorkai 30"], "postcode": "20457", "city": "Hamburg", "country": "DE"},
        "vat_id": "DE 123 456 788",
        "iban": "DE02 1203 0000 0000 2020 51",
        "zone": "Europe/Berlin",
        "accounting_currency": "EUR",
    })
}

async fn a_billing_account_is_entered_and_its_vat_id_checked(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let empty = bob.get(ACCOUNT).is(200);
    assert_eq!((&empty.body["missing"], empty.header("etag")), (&json!(["legal_name", "address"]), "\"0\""));
    assert_eq!(empty.body["vat_id_status"], "missing");
    let preview = bob.patch(&format!("{ACCOUNT}?dry_run=true"), &lusoport()).is(200);
    assert_eq!(preview.body["events"], json!(["billing_account.profile_changed", "billing_account.tax_id_changed"]));
    let first = [("if-match", "\"0\"")];
    let changed = bob.send("PATCH", ACCOUNT, &first, Some(&lusoport())).is(200);
    bob.send("PATCH", ACCOUNT, &first, Some(&json!({"language": "pt"}))).refused(412, "outdated");
    let shown = bob.get(ACCOUNT).is(200);
    assert_eq!((&shown.body["vat_id"], &shown.body["vat_id_status"]), (&json!("PT501964843"), &json!("valid")));
    assert_eq!(shown.body["vat_id_check"]["source"], "checksum");
    assert_eq!((&shown.body["missing"], &shown.body["collection"]["kind"]), (&json!([]), &json!("automatic")));
    assert_eq!(changed.body["version"], shown.body["version"], "the check is part of the change");
    let tag = shown.header("etag").to_owned();
    let moved = json!({"address": {"city": "Porto", "postcode": "4000-001"}, "purchase_order": "PO-7"});
    bob.send("PATCH", ACCOUNT, &[("if-match", &tag)], Some(&moved)).is(200);
    assert_eq!(bob.get(ACCOUNT).body["address"]["street"], json!(["Rua da Alfândega 1"]), "it is kept");
    assert_eq!(bob.patch(ACCOUNT, &moved).is(200).body["events"], json!([]), "a repetition yields no events");
    let checked = bob.post(&format!("{ACCOUNT}/check-tax-id"), &json!({})).is(200);
    assert_eq!(checked.body["events"], json!(["billing_account.tax_id_checked"]));
    let person = json!({"vat_id": null, "is_business": false, "legal_name": "Rui Prado"});
    bob.patch(ACCOUNT, &person).is(200);
    assert_eq!(bob.get(ACCOUNT).body["legal_name"], "Rui Prado");
    bob.post(&format!("{ACCOUNT}/check-tax-id"), &json!({})).refused(409, "no-vat-id");
    let log = bob.get("/v1/organizations/current/audit-log?action=billing_account.tax_id_checked").is(200);
    assert_eq!(log.body["items"][0]["summary"], "checked the VAT id PT501964843, which is valid");
}

async fn what_is_wrong_with_a_billing_account_is_said(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    for (member, value, problem) in [
        ("vat_id", json!("PT501964844"), "invalid-fields"),
        ("vat_id", json!("EU826010755"), "invalid-fields"),
        ("vat_id", json!("DE136695976"), "vat-id-country-mismatch"),
        ("legal_name", json!("\n"), "invalid-setting"),
        ("legal_name", json!("x".repeat(201)), "invalid-setting"),
        ("language", json!("xx"), "invalid-fields"),
        ("is_business", json!(null), "invalid-fields"),
        ("is_business", json!(false), "vat-id-of-a-person"),
        ("contact", json!({"name": "Ana", "email": "x"}), "invalid-fields"),
        ("balance", json!(100), "invalid-fields"),
    ] {
        let mut body = lusoport();
        body[member] = value;
        bob.patch(ACCOUNT, &body).refused(422, problem);
    }
    for (member, value) in [("country", json!("XX")), ("city", json!("")), ("postcode", json!(null))] {
        let mut body = lusoport();
        body["address"][member] = value;
        let refused = bob.patch(ACCOUNT, &body);
        refused.refused(422, "invalid-setting");
    }
    bob.patch(ACCOUNT, &json!({"vat_id": "PT501964843"})).refused(422, "invalid-setting");
    assert_eq!(bob.get(ACCOUNT).body["version"], 0);
}

async fn billing_accounts_are_for_those_who_hold_billing(service: &'static SharedService) {
    let (acme, other) = (service.organization().await, service.organization().await);
    let agent = acme.join("agent", "Cleo Tanaka", "agent");
    agent.get(ACCOUNT).is(200);
    agent.patch(ACCOUNT, &lusoport()).refused(403, "forbidden");
    agent.post(&format!("{ACCOUNT}/check-tax-id"), &json!({})).refused(403, "forbidden");
    agent.post(&format!("{ACCOUNT}/request-invoice-billing"), &json!({})).refused(403, "forbidden");
    let foreign = format!("/v1/organizations/{}/billing/account", acme.id);
    other.admin.get(&foreign).refused(404, "organization-not-found");
    other.admin.patch(&foreign, &lusoport()).refused(404, "organization-not-found");
    let grant = json!({"amount": 100, "currency": "EUR", "reason": "x"});
    acme.admin.post(&format!("{ACCOUNT}/grant-balance"), &grant).refused(403, "forbidden");
    acme.admin.post(&format!("{ACCOUNT}/collection"), &json!({"kind": "automatic"})).refused(403, "forbidden");
    acme.admin.get(SELLER).refused(403, "forbidden");
    acme.admin.patch(SELLER, &json!({"phone": "1"})).refused(403, "forbidden");
    acme.admin.get("/v1/platform/billing/invoice-billing-requests").refused(403, "forbidden");
}

async fn staff_grants_balance_and_invoice_billing(service: &'static SharedService) {
    let (acme, ana) = (service.organization().await, service.super_admin());
    let path = format!("/v1/organizations/{}/billing/account", acme.id);
    let asked = acme.admin.post(&format!("{ACCOUNT}/request-invoice-billing"), &json!({})).is(200);
    assert_eq!(asked.body["events"], json!(["billing_account.invoice_billing_requested"]), "a trial has every feature");
    let requests = "/v1/platform/billing/invoice-billing-requests?limit=200";
    let is_listed_now = || {
        let listed = ana.get(requests).is(200);
        listed.body["items"].as_array().unwrap().iter().any(|it| it["organization"] == acme.id.as_str())
    };
    // A change by another organization is shown a moment later.
    let becomes = |expected: bool| {
        let is_so = |_| {
            is_listed_now() == expected || {
                std::thread::sleep(std::time::Duration::from_millis(50));
                false
            }
        };
        (0..200).any(is_so)
    };
    assert!(becomes(true));
    for body in [json!({"kind": "invoice"}), json!({"kind": "automatic", "days": 3}), json!({"kind": "cash"})] {
        ana.post(&format!("{path}/collection"), &body).refused(422, "invalid-fields");
    }
    let long = json!({"kind": "invoice", "days": 181});
    ana.post(&format!("{path}/collection"), &long).refused(422, "invalid-setting");
    ana.post(&format!("{path}/collection"), &json!({"kind": "invoice", "days": 30})).is(200);
    let shown = acme.admin.get(ACCOUNT).is(200).body;
    assert_eq!(shown["collection"], json!({"kind": "invoice", "days": 30}));
    assert_eq!(shown["invoice_billing_requested"], false);
    assert!(becomes(false));
    let grant = |key: &str, amount: i64| {
        let body = json!({"amount": amount, "currency": "EUR", "reason": "an outage of two days"});
        ana.send("POST", &format!("{path}/grant-balance"), &[("idempotency-key", key)], Some(&body))
    };
    ana.post(&format!("{path}/grant-balance"), &json!({"amount": 1, "currency": "EUR", "reason": "x"}))
        .refused(422, "invalid-fields");
    grant("one", 5_000).is(200);
    assert_eq!(grant("one", 5_000).is(200).body["repeated"], true);
    grant("two", -5_001).refused(409, "balance-too-low");
    grant("three", 0).refused(422, "invalid-fields");
    assert_eq!(acme.admin.get(ACCOUNT).body["balances"], json!([{"amount": 5_000, "currency": "EUR"}]));
    let starter = super::plan::built_in(service, "starter");
    let subscription = format!("/v1/organizations/{}/billing/subscription", acme.id);
    ana.post(&format!("{subscription}/end"), &json!({})).is(200);
    let begin = json!({"to": {"plan": starter, "interval": "month", "seats": 0}});
    ana.send("POST", &format!("{subscription}/change"), &[("idempotency-key", "begin")], Some(&begin)).is(200);
    let refused = acme.admin.post(&format!("{ACCOUNT}/request-invoice-billing"), &json!({}));
    refused.refused(403, "feature-not-in-plan");
}

async fn the_seller_is_entered_by_super_admins(service: &'static SharedService) {
    let ana = service.super_admin();
    let tag = ana.get(SELLER).is(200).header("etag").to_owned();
    ana.send("PATCH", SELLER, &[("if-match", &tag)], Some(&seller())).is(200);
    let shown = ana.get(SELLER).is(200).body;
    assert_eq!((&shown["missing"], &shown["iban"]), (&json!([]), &json!("DE02120300000000202051")));
    assert_eq!((&shown["prefix"], &shown["credit_note_prefix"]), (&json!("PT"), &json!("PT-CN")));
    for body in [json!({"iban": "DE02120300000000202052"}), json!({"prefix": "pt"}), json!({"zone": null})] {
        ana.patch(SELLER, &body).refused(422, "invalid-fields");
    }
    ana.patch(SELLER, &json!({"vat_id": "PT501964843"})).refused(422, "vat-id-country-mismatch");
    let registrations = format!("{SELLER}/registrations");
    let swiss = json!({"country": "CH", "scheme": "local", "vat_id": "CHE-107.787.577 IVA", "from": "2026-01-01"});
    ana.post(&registrations, &swiss).is(200);
    let other = json!({"country": "CH", "scheme": "local", "vat_id": "CHE-391.313.291 MWST", "from": "2026-01-01"});
    ana.post(&registrations, &other).refused(409, "registration-exists");
    assert_eq!(ana.get(SELLER).body["registrations"][0]["vat_id"], "CHE107787577IVA");
    ana.post(&format!("{registrations}/remove"), &json!({"country": "CH", "scheme": "local"})).is(200);
    assert_eq!(ana.get(SELLER).body["registrations"], json!([]));
    let rate = |rate: &str, from: &str| {
        ana.post(&format!("{SELLER}/tax-rates"), &json!({"country": "AQ", "rate": rate, "from": from}))
    };
    rate("7.5", "2020-01-01").refused(422, "rate-in-the-past");
    rate("seven", "2090-01-01").refused(422, "invalid-fields");
    rate("101", "2090-01-01").refused(422, "invalid-rate");
    rate("7.5", "2090-01-01").is(200);
    assert_eq!(ana.get(SELLER).body["tax_rates"], json!([{"country": "AQ", "rate": "7.5", "from": "2090-01-01"}]));
    let rates = format!("{SELLER}/exchange-rates");
    let dollar = |date: &str| json!({"date": date, "currency": "USD", "rate": "0.8612", "source": "ECB"});
    ana.post(&rates, &dollar("2020-01-01")).is(200);
    ana.post(&rates, &dollar("2020-01-02")).is(200);
    ana.post(&rates, &dollar("2090-01-01")).refused(422, "invalid-rate");
    let listed = ana.get(&format!("{rates}?currency=USD")).is(200).body;
    assert_eq!(
        (&listed["items"][0]["date"], &listed["items"][1]["date"]),
        (&json!("2020-01-02"), &json!("2020-01-01"))
    );
    ana.get(&format!("{SELLER}/logo")).refused(404, "logo-not-found");
    let logo =
        |bytes: &[u8]| ana.upload(&format!("{SELLER}/logo"), &[("content-type", "application/octet-stream")], bytes);
    logo(b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>").is(200);
    assert_eq!(ana.get(SELLER).body["logo"]["content_type"], "image/svg+xml");
    logo(b"GIF89a").refused(422, "unsupported-image");
    // It is refused by its size alone, so the connection may close while it is sent.
    let large = vec![b' '; 200 * 1024 + 1];
    if let Some(refused) = ana.send_bytes("POST", &format!("{SELLER}/logo"), "application/octet-stream", &large) {
        refused.refused(413, "body-too-large");
    }
    ana.post(&format!("{SELLER}/logo/remove"), &json!({})).is(200);
    assert_eq!(ana.get(SELLER).body["logo"], Value::Null);
}

async fn a_series_goes_on_behind_what_was_sent_out(service: &'static SharedService) {
    let (ana, acme) = (service.super_admin(), service.organization().await);
    let path = format!("{SELLER}/series");
    let listed = || ana.get(&path).is(200).body["items"].as_array().unwrap().clone();
    // Of the year before, which no other test counts.
    let (series, year) = (listed()[3].clone(), listed()[3]["year"].as_i64().unwrap());
    assert_eq!((&series["kind"], &series["prefix"]), (&json!("credit_note"), &json!("PT-CN")));
    assert_eq!((&series["last_number"], &series["last_issue_date"]), (&json!(0), &Value::Null));
    let go_on = |caller: &crate::service::Caller<'_>, id: &str, key: &str, body: &Value| {
        caller.send("POST", &format!("{path}/{id}/continue"), &[("idempotency-key", key)], Some(body))
    };
    let id = series["id"].as_str().unwrap();
    let to = |number: u64| json!({"last_number": number, "reason": "restored the backup of Monday"});
    ana.post(&format!("{path}/{id}/continue"), &to(41)).refused(422, "invalid-fields");
    go_on(&ana, id, "zero", &to(0)).refused(422, "series-number");
    go_on(&ana, id, "huge", &to(1_000_000_000)).refused(422, "series-number");
    go_on(&ana, id, "silent", &json!({"last_number": 41})).refused(422, "invalid-fields");
    go_on(&ana, "srs_00000000000000000000000001", "none", &to(41)).refused(404, "series-not-found");
    go_on(&ana, id, "first", &to(41)).is(200);
    go_on(&ana, id, "again", &to(41)).is(200);
    go_on(&ana, id, "back", &to(40)).refused(409, "series-backwards");
    let series = listed()[3].clone();
    assert_eq!((&series["last_number"], &series["next_number"]), (&json!(41), &json!(format!("PT-CN-{year}-000042"))));
    let log = ana.get("/v1/organizations/current/audit-log?action=series.continued").is(200).body;
    let summary = log["items"][0]["summary"].as_str().unwrap();
    assert!(summary.contains("PT-CN") && summary.ends_with(": restored the backup of Monday"), "{summary}");
    acme.admin.get(&path).refused(403, "forbidden");
    go_on(&acme.admin, id, "foreign", &to(50)).refused(403, "forbidden");
}
