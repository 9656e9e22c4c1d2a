//! Invoices and credit notes: of subscriptions, by hand, settled, credited, voided, corrected.

use std::time::Duration;

use porttask_tests::{by, on_both_engines};
use serde_json::{Value, json};

use super::{
    account::{ACCOUNT, SELLER, lusoport, seller},
    payment::{add, complete},
    plan::built_in,
};
use crate::{
    service::{Answer, Caller},
    shared::{Organization, SharedService},
};

on_both_engines!(
    an_upgrade_is_invoiced_and_paid_with_its_credit,
    staff_drafts_issues_and_settles_an_invoice,
    an_invoice_is_credited_voided_and_corrected,
    a_voided_change_gives_back_what_it_had_credited,
    an_invoice_without_a_payment_method_is_past_due,
    an_invoice_is_paid_when_its_payment_is_confirmed,
    credit_notes_of_all_organizations_are_listed_and_exported,
    invoices_are_for_those_who_hold_billing,
);

pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) async fn organization(service: &SharedService) -> (Organization<'_>, String) {
    let acme = service.organization().await;
    complete(&service.super_admin(), &acme.admin);
    let end = format!("/v1/organizations/{}/billing/subscription/end", acme.id);
    service.super_admin().post(&end, &json!({})).is(200);
    let place = format!("/v1/organizations/{}/billing", acme.id);
    (acme, place)
}

pub(crate) fn keyed(caller: &Caller<'_>, path: &str, key: &str, body: &Value) -> Answer {
    caller.send("POST", path, &[("idempotency-key", key)], Some(body))
}

pub(crate) fn items(answer: &Answer) -> Vec<Value> {
    answer.body["items"].as_array().unwrap().clone()
}

/// The invoices, once there are so many with a status.
async fn invoices(admin: &Caller<'_>, place: &str, status: &str, count: usize) -> Vec<Value> {
    let path = format!("{place}/invoices?status={status}&sort=number");
    by(SOON, &path, async || items(&admin.get(&path).is(200)).len() == count).await;
    items(&admin.get(&path).is(200))
}

async fn an_upgrade_is_invoiced_and_paid_with_its_credit(service: &'static SharedService) {
    let (acme, place) = organization(service).await;
    let bob = &acme.admin;
    add(bob, "sim_ok");
    let to = |plan: &str| json!({"to": {"plan": built_in(service, plan), "interval": "month", "seats": 0}});
    let change = format!("{place}/subscription/change");
    keyed(bob, &change, "begin", &to("starter")).is(200);
    let first = invoices(bob, &place, "paid", 1).await.remove(0);
    assert_eq!((&first["kind"], &first["total"], &first["due"]), (&json!("subscription"), &json!(4_900), &json!(0)));
    keyed(bob, &change, "up", &to("professional")).is(200);
    let both = invoices(bob, &place, "paid", 2).await;
    let second = &both[1];
    assert_eq!((&second["kind"], &second["total"]), (&json!("change"), &json!(10_000)));
    let shown = bob.get(&format!("{place}/invoices/{}", second["id"].as_str().unwrap())).is(200).body;
    let lines = shown["issued"]["lines"].as_array().unwrap();
    assert_eq!((lines[0]["net"].clone(), lines[1]["net"].clone()), (json!(-4_900), json!(14_900)));
    assert_eq!(lines[0]["credits"], first["id"], "a credit names the invoice");
    assert_eq!(shown["issued"]["treatment"], "reverse_charge");
    for invoice in &both {
        let path = format!("{place}/invoices/{}", invoice["id"].as_str().unwrap());
        let again = bob.get(&format!("{path}/recalculation")).is(200).body;
        assert_eq!((&again["matches"], &again["differences"]), (&json!(true), &json!([])));
        by(SOON, "the PDF", async || bob.get(&format!("{path}/pdf")).status == 200).await;
        let pdf = bob.get(&format!("{path}/pdf"));
        assert_eq!(pdf.header("content-type"), "application/pdf");
        assert_eq!(bob.get(&format!("{path}/xml")).is(200).header("content-type"), "application/xml");
    }
    let numbers: Vec<u64> = both.iter().map(|it| number(it["number"].as_str().unwrap())).collect();
    assert!(numbers[0] < numbers[1], "{numbers:?}");
    let ana = service.super_admin();
    // What later documents build on is not voided.
    let void = format!("{place}/invoices/{}/void", first["id"].as_str().unwrap());
    let answer = keyed(&ana, &void, "void", &json!({"reason": "a test"}));
    assert!(["invoice-built-on", "line-credited"].contains(&answer.problem()), "{answer:?}");
    assert!(items(&ana.get("/v1/platform/billing/invoices?status=paid").is(200)).len() >= 2);
    // A correction takes over the credit and the payment, and what comes later is about it.
    let wrong = format!("{place}/invoices/{}", second["id"].as_str().unwrap());
    keyed(&ana, &format!("{wrong}/correct"), "correct", &json!({})).is(200);
    let three = invoices(bob, &place, "paid", 3).await;
    let correction = &three[2];
    assert_eq!((&correction["kind"], &correction["total"]), (&json!("correction"), &json!(10_000)));
    let mut more = to("professional");
    more["to"]["seats"] = json!(1);
    keyed(bob, &change, "seat", &more).is(200);
    let last = invoices(bob, &place, "paid", 4).await.remove(3);
    assert_eq!((&last["kind"], &last["total"]), (&json!("change"), &json!(900)));
    let shown = bob.get(&format!("{place}/invoices/{}", last["id"].as_str().unwrap())).is(200).body;
    assert_eq!(shown["issued"]["lines"][0]["credits"], correction["id"]);
}

/// The count of a number such as `PT-2026-000001`.
fn number(text: &str) -> u64 {
    text.rsplit('-').next().unwrap().parse().unwrap()
}

fn line(price: &str) -> Value {
    json!({"description": "Training on site", "quantity": 2, "unit_price": price,
        "from": "2026-11-01", "until": "2026-11-02"})
}

/// An invoice that staff drafted and issued; its path.
pub(crate) fn issued(ana: &Caller<'_>, place: &str, price: &str) -> String {
    let draft = json!({"currency": "EUR", "lines": [line(price)]});
    let id = ana.post(&format!("{place}/invoices"), &draft).is(201).id().to_owned();
    let path = format!("{place}/invoices/{id}");
    keyed(ana, &format!("{path}/issue"), &format!("issue-{id}"), &json!({})).is(200);
    path
}

async fn staff_drafts_issues_and_settles_an_invoice(service: &'static SharedService) {
    let (acme, place) = organization(service).await;
    let (ana, bob) = (service.super_admin(), &acme.admin);
    ana.post(&format!("{place}/account/collection"), &json!({"kind": "invoice", "days": 30})).is(200);
    for wrong in [json!([]), json!([line("-1.00")]), json!([{"description": "x"}])] {
        let draft = json!({"currency": "EUR", "lines": wrong});
        assert_eq!(ana.post(&format!("{place}/invoices"), &draft).status, 422, "{draft}");
    }
    let draft = json!({"currency": "EUR", "lines": [line("100.00")]});
    let id = ana.post(&format!("{place}/invoices"), &draft).is(201).id().to_owned();
    let path = format!("{place}/invoices/{id}");
    ana.patch(&path, &json!({"lines": [line("150.00")]})).is(200);
    ana.post(&format!("{path}/issue"), &json!({})).refused(422, "invalid-fields");
    keyed(&ana, &format!("{path}/issue"), "issue", &json!({})).is(200);
    let shown = bob.get(&path).is(200).body;
    assert_eq!((&shown["status"], &shown["due"], &shown["payment_days"]), (&json!("open"), &json!(30_000), &json!(30)));
    ana.patch(&path, &json!({"lines": [line("1.00")]})).refused(409, "invoice-not-draft");
    ana.post(&format!("{path}/discard"), &json!({})).refused(409, "invoice-not-draft");
    let paid = |key: &str, amount: i64, reference: &str, on: &str| {
        let body = json!({"amount": amount, "currency": "EUR", "paid_on": on, "reference": reference});
        keyed(&ana, &format!("{path}/mark-paid"), key, &body)
    };
    paid("one", 10_000, "first", "2020-01-01").is(200);
    paid("one", 10_000, "first", "2020-01-01").is(200);
    paid("two", 10_000, "first", "2020-01-01").refused(409, "duplicate-reference");
    paid("three", 10_000, "third", "2090-01-01").refused(422, "invalid-date");
    assert_eq!(bob.get(&path).body["due"], 20_000);
    paid("four", 25_000, "last", "2020-01-01").is(200);
    let shown = bob.get(&path).body;
    assert_eq!((&shown["status"], &shown["due"], &shown["balance"]), (&json!("paid"), &json!(0), &json!(5_000)));
    // The balance pays the next one.
    let next = issued(&ana, &place, "100.00");
    let shown = bob.get(&next).body;
    assert_eq!((&shown["from_balance"], &shown["due"], &shown["balance"]), (&json!(5_000), &json!(15_000), &json!(0)));
    assert_eq!(bob.get(&format!("{next}/recalculation")).is(200).body["matches"], true);
    // Numbers are assigned in the platform's organization, whose audit log shows who did it.
    let assigned = ana.get("/v1/platform/audit-log?action=series.number_assigned").is(200).body;
    assert!(assigned["items"][0]["summary"].as_str().unwrap().starts_with("assigned the number"), "{assigned}");
    let summary = &bob.get("/v1/organizations/current/audit-log?action=invoice.issued").is(200).body["items"][0];
    assert!(summary["summary"].as_str().unwrap().starts_with("issued the invoice PT-"), "{summary}");
}

async fn an_invoice_is_credited_voided_and_corrected(service: &'static SharedService) {
    let (acme, place) = organization(service).await;
    let (ana, bob) = (service.super_admin(), &acme.admin);
    ana.post(&format!("{place}/account/collection"), &json!({"kind": "invoice", "days": 14})).is(200);
    let credited = issued(&ana, &place, "50.00");
    let credit = |key: &str, net: i64| {
        let body = json!({"lines": [{"line": 1, "net": net}], "reason": "goodwill"});
        keyed(&ana, &format!("{credited}/credit"), key, &body)
    };
    credit("one", 4_000).is(200);
    credit("two", 7_000).refused(409, "line-credited");
    credit("three", 6_000).is(200);
    let shown = bob.get(&credited).body;
    assert_eq!((&shown["due"], &shown["credited"], &shown["status"]), (&json!(0), &json!(10_000), &json!("void")));
    let voided = || items(&bob.get(&format!("{place}/invoices?status=void")));
    by(SOON, "void in the list as well", async || {
        voided().iter().any(|it| credited.ends_with(it["id"].as_str().unwrap()))
    })
    .await;
    let notes = format!("{place}/credit-notes");
    by(SOON, &notes, async || items(&bob.get(&notes).is(200)).len() == 2).await;
    let note = items(&bob.get(&format!("{notes}?sort=number")))[0].clone();
    assert!(note["number"].as_str().unwrap().starts_with("PT-CN-"), "{note}");
    let note = format!("{notes}/{}", note["id"].as_str().unwrap());
    assert_eq!(bob.get(&note).is(200).body["to_due"], 4_000);
    by(SOON, "the PDF", async || bob.get(&format!("{note}/pdf")).status == 200).await;

    let voided = issued(&ana, &place, "20.00");
    let reason = json!({"reason": "sent twice"});
    keyed(&ana, &format!("{voided}/void"), "void", &reason).is(200);
    assert_eq!(bob.get(&voided).body["status"], "void");
    assert_eq!(keyed(&ana, &format!("{voided}/void"), "again", &reason).is(200).body["events"], json!([]));

    let wrong = issued(&ana, &place, "30.00");
    bob.patch(ACCOUNT, &json!({"purchase_order": "PO-9", "legal_name": "Lusoport SA"})).is(200);
    keyed(&ana, &format!("{wrong}/correct"), "correct", &json!({})).is(200);
    assert_eq!(bob.get(&wrong).body["due"], 0);
    // The list is a moment behind: it may still show the one that was replaced.
    let new = || items(&bob.get(&format!("{place}/invoices?status=open"))).into_iter().map(|it| it["id"].clone());
    let is_new = |id: &Value| !wrong.ends_with(id.as_str().unwrap());
    by(SOON, "the correction", async || new().any(|id| is_new(&id))).await;
    let open = new().find(is_new).unwrap();
    let shown = bob.get(&format!("{place}/invoices/{}", open.as_str().unwrap())).body;
    assert_eq!((&shown["issued"]["buyer"]["legal_name"], &shown["due"]), (&json!("Lusoport SA"), &json!(6_000)));
    assert!(wrong.ends_with(shown["replaces"].as_str().unwrap()));
    ana.post(&format!("{wrong}/mark-uncollectible"), &reason).refused(409, "invoice-not-open");
    let receivables = ana.get("/v1/platform/billing/receivables").is(200).body;
    assert!(receivables["items"].as_array().unwrap().iter().any(|it| it["currency"] == "EUR"), "{receivables}");
}

async fn an_invoice_without_a_payment_method_is_past_due(service: &'static SharedService) {
    let (acme, place) = organization(service).await;
    let (ana, bob) = (service.super_admin(), &acme.admin);
    let to = json!({"to": {"plan": built_in(service, "starter"), "interval": "month", "seats": 0}});
    // Staff needs no payment for a change; nothing is billed before its first period begins.
    keyed(&ana, &format!("{place}/subscription/change"), "begin", &to).is(200);
    let invoice = issued(&ana, &place, "10.00");
    let status = || bob.get(&format!("{place}/subscription")).is(200).body["status"].clone();
    by(SOON, "past due", async || status() == "past_due").await;
    keyed(bob, &format!("{invoice}/pay"), "none", &json!({})).refused(409, "payment-method-missing");
    add(bob, "sim_declined");
    // It is charged at once with the new default method, and again by hand.
    let payments = || items(&bob.get("/v1/organizations/current/billing/payments").is(200));
    by(SOON, "declined", async || payments().iter().any(|it| it["status"] == "failed")).await;
    keyed(bob, &format!("{invoice}/pay"), "declined", &json!({})).refused(402, "payment-failed");
    add(bob, "sim_ok");
    let methods = items(&bob.get("/v1/organizations/current/billing/payment-methods"));
    let good = methods.iter().find(|it| it["brand"] == "sim_ok").unwrap()["id"].as_str().unwrap().to_owned();
    let place_of = format!("/v1/organizations/current/billing/payment-methods/{good}/make-default");
    bob.post(&place_of, &json!({})).is(200);
    by(SOON, "paid", async || (bob.get(&invoice).body["due"].clone(), status()) == (json!(0), json!("active"))).await;
    by(SOON, "the payment", async || payments().iter().any(|it| it["status"] == "succeeded")).await;
    let payments = payments();
    assert_eq!(payments.len(), 3);
    // The payer's bank takes it back: the invoice is open again.
    let good = payments.iter().find(|it| it["status"] == "succeeded").unwrap()["id"].as_str().unwrap();
    let reverse = format!("{place}/payments/{good}/reverse");
    keyed(&ana, &reverse, "reverse", &json!({"amount": 2_000, "reason": "fraud"})).is(200);
    assert_eq!((bob.get(&invoice).body["due"].clone(), status()), (json!(2_000), json!("past_due")));
}

async fn an_invoice_is_paid_when_its_payment_is_confirmed(service: &'static SharedService) {
    // In its trial, so that an agent can be invited.
    let (acme, other) = (service.organization().await, service.organization().await);
    let (ana, bob, place) = (service.super_admin(), &acme.admin, format!("/v1/organizations/{}/billing", acme.id));
    complete(&ana, bob);
    add(bob, "sim_action");
    let invoice = issued(&ana, &place, "10.00");
    // It is charged on issue, while nobody is there to confirm it.
    let asked = format!("{place}/payments?status=action_required");
    by(SOON, "the question of the bank", async || items(&bob.get(&asked).is(200)).len() == 1).await;
    let payment = items(&bob.get(&asked)).remove(0);
    assert!(invoice.ends_with(payment["target"].as_str().unwrap()), "{payment}");
    keyed(bob, &format!("{invoice}/pay"), "pay", &json!({})).refused(409, "payment-in-flight");
    let path = format!("{place}/payments/{}", payment["id"].as_str().unwrap());
    let (confirm, simulate) = (format!("{path}/confirm"), format!("{path}/simulate-confirmation"));
    let waiting = bob.post(&confirm, &json!({})).is(202).body;
    assert_eq!((&waiting["id"], &waiting["status"]), (&payment["id"], &json!("action_required")));
    let secret = waiting["client_secret"].as_str().unwrap();
    for listed in [bob.get(&asked), bob.get(&path), bob.get("/v1/organizations/current/audit-log")] {
        assert!(!listed.is(200).body.to_string().contains(secret), "only who confirms it gets it");
    }
    assert_eq!(ana.post(&confirm, &json!({})).is(202).body["client_secret"], Value::Null);
    let agent = acme.join("agent", "Cleo Tanaka", "agent");
    let own = path.replacen(&acme.id, "current", 1);
    for (command, path) in [("confirm", &confirm), ("simulate-confirmation", &simulate)] {
        agent.post(path, &json!({})).refused(403, "forbidden");
        other.admin.post(path, &json!({})).refused(404, "organization-not-found");
        other.admin.post(&format!("{own}/{command}"), &json!({})).refused(404, "payment-not-found");
    }
    let paid = bob.post(&simulate, &json!({})).is(200).body;
    assert_eq!((&paid["status"], &paid["client_secret"]), (&json!("succeeded"), &Value::Null));
    assert_eq!(bob.post(&confirm, &json!({})).is(200).body, paid, "a repetition says what became of it");
    assert_eq!(bob.get(&invoice).is(200).body["due"], 0);
}

async fn credit_notes_of_all_organizations_are_listed_and_exported(service: &'static SharedService) {
    // In its trial, so that somebody else can be invited.
    let (acme, ana) = (service.organization().await, service.super_admin());
    complete(&ana, &acme.admin);
    let place = format!("/v1/organizations/{}/billing", acme.id);
    let low = acme.join("low", "Uma Low", "read_only");
    ana.post(&format!("{place}/account/collection"), &json!({"kind": "invoice", "days": 14})).is(200);
    let credited = issued(&ana, &place, "50.00");
    for (key, reason) in [("one", "goodwill"), ("two", "error")] {
        let credit = json!({"lines": [{"line": 1, "net": 1_000}], "reason": reason});
        keyed(&ana, &format!("{credited}/credit"), key, &credit).is(200);
    }
    let all = "/v1/platform/billing/credit-notes";
    let of_acme = format!("{all}?organization={}&sort=number", acme.id);
    by(SOON, all, async || items(&ana.get(&of_acme).is(200)).len() == 2).await;
    let found = items(&ana.get(&of_acme));
    assert_eq!((&found[0]["organization_name"], &found[1]["reason"]), (&json!("Acme"), &json!("error")));
    let number = |note: &Value| note["number"].as_str().unwrap().to_owned();
    assert!(number(&found[0]) < number(&found[1]), "{found:?}");
    let first = ana.get(&format!("{of_acme}&limit=1&count=true")).is(200).body;
    assert_eq!((&first["total"], &first["items"][0]["id"]), (&json!(2), &found[0]["id"]));
    let next = first["next_cursor"].as_str().unwrap();
    ana.get(&format!("{all}?sort=number&cursor={next}")).refused(422, "invalid-fields");
    let invoice = credited.rsplit('/').next().unwrap();
    for (query, expected) in [
        (format!("{of_acme}&limit=1&cursor={next}"), &found[1..]),
        (format!("{of_acme}&reason=goodwill"), &found[..1]),
        (format!("{all}?q={}", number(&found[1])), &found[1..]),
        (format!("{all}?sort=number&invoice={invoice}"), &found[..]),
    ] {
        // What else is shown changes when the PDF is rendered.
        let numbers = |notes: &[Value]| notes.iter().map(number).collect::<Vec<_>>();
        assert_eq!(numbers(&items(&ana.get(&query).is(200))), numbers(expected), "{query}");
    }
    let invoice = found[0]["invoice_number"].as_str().unwrap().to_lowercase();
    assert_eq!(items(&ana.get(&format!("/v1/platform/billing/invoices?q={invoice}")).is(200)).len(), 1);
    let csv = ana.get(&format!("{all}?format=csv&q={}", number(&found[0]))).is(200);
    assert!(csv.header("content-type").starts_with("text/csv"), "{csv:?}");
    let csv = csv.body.as_str().unwrap();
    let lines: Vec<&str> = csv.trim_start_matches('\u{feff}').lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("id,organization,organization_name,invoice,"), "{lines:?}");
    assert!(lines[1].contains(&format!("{},Acme,", acme.id)) && lines[1].contains(&number(&found[0])), "{lines:?}");
    let log = ana.get("/v1/organizations/current/audit-log?action=export.credit_notes_taken").is(200).body;
    assert_eq!(log["items"][0]["summary"], "exported credit notes as CSV");
    let csv = ana.get(&format!("{of_acme}&format=csv")).is(200);
    assert_eq!(csv.body.as_str().unwrap().lines().count(), 3);
    for wrong in ["sort=total", "reason=whim", "organization=acme", "invoice=1", "limit=0", "format=xml", "status=paid"]
    {
        ana.get(&format!("{all}?{wrong}")).refused(422, "invalid-fields");
    }
    low.get(all).refused(403, "forbidden");
    assert_eq!(service.send("GET", all, &[], None).status, 401);
}

async fn invoices_are_for_those_who_hold_billing(service: &'static SharedService) {
    let (acme, place) = organization(service).await;
    let other = service.organization().await;
    let ana = service.super_admin();
    ana.patch(SELLER, &seller()).is(200);
    other.admin.patch(ACCOUNT, &lusoport()).is(200);
    ana.post(&format!("{place}/account/collection"), &json!({"kind": "invoice", "days": 14})).is(200);
    let invoice = issued(&ana, &place, "10.00");
    let id = invoice.rsplit('/').next().unwrap();
    let foreign = format!("/v1/organizations/current/billing/invoices/{id}");
    for path in [foreign.clone(), format!("{foreign}/pdf"), format!("{foreign}/recalculation")] {
        other.admin.get(&path).refused(404, "invoice-not-found");
    }
    keyed(&other.admin, &format!("{foreign}/pay"), "pay", &json!({})).refused(404, "invoice-not-found");
    for (name, body) in [
        ("issue", json!({})),
        ("void", json!({"reason": "x"})),
        ("correct", json!({})),
        ("credit", json!({"lines": [{"line": 1, "net": 1}], "reason": "error"})),
    ] {
        assert_eq!(keyed(&acme.admin, &format!("{invoice}/{name}"), name, &body).status, 403, "{name}");
    }
    assert_eq!(acme.admin.post(&format!("{place}/invoices"), &json!({"currency": "EUR", "lines": []})).status, 403);
    assert_eq!(acme.admin.get("/v1/platform/billing/invoices").status, 403);
    assert_eq!(acme.admin.get("/v1/platform/billing/receivables").status, 403);
    acme.admin.get("/v1/platform/billing/credit-notes").refused(403, "forbidden");
}

async fn a_voided_change_gives_back_what_it_had_credited(service: &'static SharedService) {
    let (acme, place) = organization(service).await;
    let (ana, bob) = (service.super_admin(), &acme.admin);
    ana.post(&format!("{place}/account/collection"), &json!({"kind": "invoice", "days": 14})).is(200);
    let to = |plan: &str| json!({"to": {"plan": built_in(service, plan), "interval": "month", "seats": 0}});
    let change = format!("{place}/subscription/change");
    // What staff changes is not charged first. The period is billed before the upgrade that credits it.
    keyed(&ana, &change, "begin", &to("starter")).is(200);
    keyed(&ana, &change, "up", &to("professional")).is(200);
    let both = invoices(bob, &place, "open", 2).await;
    let path = |invoice: &Value| format!("{place}/invoices/{}", invoice["id"].as_str().unwrap());
    let (first, second) = (path(&both[0]), path(&both[1]));
    let void = |path: &str, key: &str| keyed(&ana, &format!("{path}/void"), key, &json!({"reason": "a mistake"}));
    void(&first, "early").refused(409, "invoice-built-on");
    void(&second, "change").is(200);
    let log = "/v1/organizations/current/audit-log?action=invoice.credit_returned";
    by(SOON, log, async || items(&bob.get(log).is(200)).len() == 1).await;
    void(&second, "change").is(200);
    // Nothing builds on the first any more.
    let credit = json!({"lines": [{"line": 1, "net": 4_900}], "reason": "goodwill"});
    keyed(&ana, &format!("{first}/credit"), "credit", &credit).is(200);
    assert_eq!(bob.get(&first).is(200).body["status"], "void");
}
