//! Mails about invoices, credit notes and payments: to whom, with which files, once each.

use std::time::Duration;

use porttask_tests::{by, on_both_engines};
use serde_json::{Value, json};

use super::{
    account::ACCOUNT,
    payment::{METHODS, add, complete},
};
use crate::{
    service::{Answer, Caller},
    shared::{Organization, SharedService},
};

on_both_engines!(
    documents_and_receipts_are_mailed_to_the_billing_contact,
    what_fails_is_mailed_once_and_charged_with_a_new_method,
    the_decision_on_paying_by_transfer_is_mailed,
);

const SOON: Duration = Duration::from_secs(30);

/// An organization with a billing contact of its own.
async fn organization(service: &SharedService) -> (Organization<'_>, String, String) {
    let acme = service.organization().await;
    complete(&service.super_admin(), &acme.admin);
    let contact = format!("accounts@{}", acme.domain);
    let change = json!({"contact": {"name": "Rui Prado", "email": contact}});
    acme.admin.patch(ACCOUNT, &change).is(200);
    let place = format!("/v1/organizations/{}/billing", acme.id);
    (acme, place, contact)
}

fn keyed(caller: &Caller<'_>, path: &str, key: &str, body: &Value) -> Answer {
    caller.send("POST", path, &[("idempotency-key", key)], Some(body))
}

/// Drafts and issues an invoice over 200.00 EUR; its path and number.
fn issued(ana: &Caller<'_>, place: &str) -> (String, String) {
    let line = json!({"description": "Training", "quantity": 2, "unit_price": "100.00",
        "from": "2026-11-01", "until": "2026-11-02"});
    let draft = json!({"currency": "EUR", "lines": [line]});
    let id = ana.post(&format!("{place}/invoices"), &draft).is(201).id().to_owned();
    let path = format!("{place}/invoices/{id}");
    keyed(ana, &format!("{path}/issue"), &format!("issue-{id}"), &json!({})).is(200);
    let number = ana.get(&path).is(200).body["issued"]["number"].as_str().unwrap().to_owned();
    (path, number)
}

/// What is in the only mail to an address with a text.
fn only(service: &SharedService, to: &str, text: &str) -> String {
    let mail = service.mail_with(&[&format!("<{to}>"), text]);
    let to = format!("<{to}>");
    let count = service.mails_with(text, 1).iter().filter(|(_, mail)| mail.contains(&to)).count();
    assert_eq!(count, 1, "{text} to {to}");
    mail
}

async fn documents_and_receipts_are_mailed_to_the_billing_contact(service: &'static SharedService) {
    let (acme, place, contact) = organization(service).await;
    let ana = service.super_admin();
    ana.post(&format!("{place}/account/collection"), &json!({"kind": "invoice", "days": 30})).is(200);
    let (path, number) = issued(&ana, &place);
    let id = path.rsplit('/').next().unwrap();
    let mail = only(service, &contact, &format!("Subject: Invoice {number}: 200.00 EUR"));
    for expected in [
        format!("/settings/billing/invoices/{id}"),
        format!("Content-Disposition: attachment; filename=\"{number}.pdf\""),
        "Content-Type: application/pdf".to_owned(),
        "IBAN DE02 1203 0000 0000 2020 51".to_owned(),
        "is attached as a PDF.".to_owned(),
    ] {
        assert!(mail.contains(&expected), "no {expected} in {mail}");
    }
    let credit = json!({"lines": [{"line": 1, "net": 5_000}], "reason": "goodwill"});
    keyed(&ana, &format!("{path}/credit"), "credit", &credit).is(200);
    let mail = only(service, &contact, &format!("for invoice {number}: 50.00 EUR"));
    assert!(mail.contains("Reason: It is a courtesy.") && mail.contains("filename=\"PT-CN-"), "{mail}");
    let paid = json!({"amount": 15_000, "currency": "EUR", "paid_on": "2026-01-02", "reference": "R-77"});
    keyed(&ana, &format!("{path}/mark-paid"), "paid", &paid).is(200);
    let mail = only(service, &contact, &format!("Subject: Receipt: 150.00 EUR for invoice {number}"));
    assert!(mail.contains("on 2 January 2026 by transfer, with the reference R-77."), "{mail}");
    assert!(mail.contains("The invoice is paid."), "{mail}");
    // In German, to the admins once there is no contact.
    acme.admin.patch(ACCOUNT, &json!({"language": "de-AT", "contact": null})).is(200);
    let (_, number) = issued(&ana, &place);
    let mail = only(service, &acme.email("bob"), &format!("Subject: Rechnung {number}: 200.00 EUR"));
    let german = ["Guten Tag Bob Fisher,", "ist als PDF angehängt.", "<html lang=\"de\">"];
    assert!(german.iter().all(|text| mail.contains(text)), "{mail}");
    let (_, other) = (service.mails_with(&number, 1), service.organization().await);
    assert!(
        service.mails_with("", 1).iter().all(|(_, mail)| !(mail.contains(&number) && mail.contains(&other.domain)))
    );
}

async fn what_fails_is_mailed_once_and_charged_with_a_new_method(service: &'static SharedService) {
    let (acme, place, contact) = organization(service).await;
    let (ana, bob) = (service.super_admin(), &acme.admin);
    let (path, number) = issued(&ana, &place);
    let (second, other) = issued(&ana, &place);
    let mail = only(service, &contact, &format!("Subject: Invoice {number}: 200.00 EUR"));
    assert!(mail.contains("There is no payment method that can be charged."), "{mail}");
    // The new method is charged at once, for the oldest only: it is declined.
    add(bob, "sim_declined");
    let mail = only(service, &contact, &format!("Subject: Payment of invoice {number} failed"));
    assert!(mail.contains("could not be charged to sim_declined ending in 0000."), "{mail}");
    assert!(mail.contains("The payment is tried again on"), "{mail}");
    let declined = bob.get("/v1/organizations/current/billing/payments").is(200).body;
    assert_eq!(declined["items"].as_array().unwrap().len(), 1, "{declined}");
    // By hand, the outcome is seen.
    keyed(bob, &format!("{path}/pay"), "pay", &json!({})).refused(402, "payment-failed");
    let good = add(bob, "sim_ok");
    bob.post(&format!("{METHODS}/{good}/make-default"), &json!({})).is(200);
    let due = |path: &str| bob.get(path).is(200).body["due"].clone();
    by(SOON, "both are paid", async || due(&path) == json!(0) && due(&second) == json!(0)).await;
    for number in [&number, &other] {
        let mail = only(service, &contact, &format!("Subject: Receipt: 200.00 EUR for invoice {number}"));
        assert!(mail.contains("from sim_ok ending in 0000."), "{mail}");
    }
    only(service, &contact, &format!("Subject: Payment of invoice {number} failed"));
}

async fn the_decision_on_paying_by_transfer_is_mailed(service: &'static SharedService) {
    let (acme, place, contact) = organization(service).await;
    let ana = service.super_admin();
    let ask = "/v1/organizations/current/billing/account/request-invoice-billing";
    acme.admin.post(ask, &json!({})).is(200);
    let page = format!("/admin/organizations/{}/billing/account", acme.id);
    let mail = service.mail_with(&["<ana@platform.example>", &page]);
    assert!(mail.contains("asks to pay by transfer"), "{mail}");
    let decide = format!("{place}/account/collection");
    ana.post(&decide, &json!({"kind": "automatic"})).is(200);
    only(service, &contact, "was refused.");
    ana.post(&decide, &json!({"kind": "invoice", "days": 14})).is(200);
    only(service, &contact, "are now paid by transfer within 14 days");
}
