//! Billing by staff: versions of plans, private plans, licences, drafts, and what is owed.

use porttask_tests::on_both_engines;
use serde_json::{Value, json};

use crate::{
    billing::{plan, soon},
    browser::Browser,
    people::complete_tax_details,
    shared::{Organization, SharedService},
};

on_both_engines!(an_unpaid_invoice_is_named_with_the_way_to_pay_it,);

/// Begins a subscription without a payment.
fn subscribe(service: &SharedService, organization: &Organization<'_>, plan: &str) {
    let staff = service.super_admin();
    complete_tax_details(&staff, &organization.admin);
    let subscription = format!("/v1/organizations/{organization}/billing/subscription");
    staff.post(&format!("{subscription}/end"), &json!({})).is(200);
    let to = json!({"to": {"plan": plan, "interval": "month"}});
    staff.send("POST", &format!("{subscription}/change"), &[("idempotency-key", "begin")], Some(&to)).is(200);
}

/// Drafts an invoice with lines of 100 each.
fn draft(service: &SharedService, organization: &Organization<'_>, lines: usize) -> String {
    let line = |number: usize| {
        json!({"description": format!("Training {number}"), "quantity": 1, "unit_price": "100.00", "from": "2026-11-02",
            "until": "2026-11-03"})
    };
    let lines: Vec<Value> = (1..=lines).map(line).collect();
    let path = format!("/v1/organizations/{organization}/billing/invoices");
    service.super_admin().post(&path, &json!({"currency": "EUR", "lines": lines})).is(201).id().to_owned()
}

async fn an_unpaid_invoice_is_named_with_the_way_to_pay_it(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = Browser::of(service, &acme.email("bob"));
    subscribe(service, &acme, &plan(service, "starter"));
    let invoice = draft(service, &acme, 1);
    let issue = format!("/v1/organizations/{acme}/billing/invoices/{invoice}/issue");
    service.super_admin().send("POST", &issue, &[("idempotency-key", "issue")], Some(&json!({}))).is(200);
    // There is no payment method to charge.
    assert!(soon(&|| bob.open("/settings/billing").main().contains("An invoice is unpaid")));
    let page = bob.open("/settings/billing").shows("Past due").shows("119.00 EUR due");
    assert!(!page.main().contains("The trial is over"), "{}", page.main());
    assert_eq!(page.link("Pay…"), format!("/settings/billing/invoices/{invoice}/pay"));
    let cancel = page.link("Cancel subscription…");
    let page = bob.submit(&bob.open(&cancel).form(&cancel), "Cancel subscription").is(200);
    assert!(page.main().contains("The subscription ends on"), "{}", page.main());
    let staff = Browser::of(service, "ana@platform.example");
    assert!(soon(&|| staff.open("/admin/subscriptions?status=past_due").main().contains("Past due")));
}
