//! Billing by staff: versions of plans, private plans, licences, drafts, and what is owed.

use porttask_tests::on_both_engines;
use serde_json::{Value, json};

use crate::{
    billing::{plan, soon},
    browser::Browser,
    people::complete_tax_details,
    shared::{Organization, SharedService},
};

on_both_engines!(
    an_unpaid_invoice_is_named_with_the_way_to_pay_it,
    a_subscription_that_is_past_due_is_migrated,
    a_licence_is_issued_shown_replaced_and_revoked,
    a_version_that_is_published_in_the_form_loses_nothing,
    staff_gives_a_private_plan_and_chooses_dates,
    a_draft_with_many_lines_is_edited,
    staff_finds_who_owes_and_what_was_paid_for,
);

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

/// Leaves an invoice unpaid: there is no payment method to charge.
fn become_past_due(service: &SharedService, organization: &Organization<'_>) -> String {
    let invoice = draft(service, organization, 1);
    let billing = format!("/v1/organizations/{organization}/billing");
    let (staff, issue) = (service.super_admin(), format!("{billing}/invoices/{invoice}/issue"));
    staff.send("POST", &issue, &[("idempotency-key", "issue")], Some(&json!({}))).is(200);
    let subscription = format!("{billing}/subscription");
    assert!(soon(&|| organization.admin.get(&subscription).is(200).body["status"] == "past_due"));
    invoice
}

async fn an_unpaid_invoice_is_named_with_the_way_to_pay_it(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = Browser::of(service, &acme.email("bob"));
    subscribe(service, &acme, &plan(service, "starter"));
    let invoice = become_past_due(service, &acme);
    let page = bob.open("/settings/billing").shows("An invoice is unpaid").shows("Past due").shows("119.00 EUR due");
    assert!(!page.main().contains("The trial is over"), "{}", page.main());
    assert_eq!(page.link("Pay…"), format!("/settings/billing/invoices/{invoice}/pay"));
    let cancel = page.link("Cancel subscription…");
    let page = bob.submit(&bob.open(&cancel).form(&cancel), "Cancel subscription").is(200);
    assert!(page.main().contains("The subscription ends on"), "{}", page.main());
    let staff = Browser::of(service, "ana@platform.example");
    assert!(soon(&|| staff.open("/admin/subscriptions?status=past_due").main().contains("Past due")));
}

async fn a_subscription_that_is_past_due_is_migrated(service: &'static SharedService) {
    let acme = service.organization().await;
    let (ana, bob) = (Browser::of(service, "ana@platform.example"), Browser::of(service, &acme.email("bob")));
    let plan = private_plan(service);
    subscribe(service, &acme, &plan);
    become_past_due(service, &acme);
    let (version, migrate) = (format!("/admin/plans/{plan}/version"), format!("/admin/plans/{plan}/migrate"));
    ana.submit(&ana.open(&version).form(&version).fill("month", "109"), "Publish version").is(200);
    let page = ana.open(&migrate).shows("Schedules the move of 1 subscription");
    let page = ana.submit(&page.form(&migrate), "Migrate").is(200);
    assert!(page.toast().contains("Scheduled to move: 1. Unchanged: 0."), "{}", page.toast());
    let page = bob.open("/settings/billing").shows("by a move to version 2");
    assert!(!page.main().contains("Withdraw…"), "it cannot be withdrawn: {}", page.main());
    // Whoever continues after the last organization finds no more.
    let page = ana.open(&format!("{migrate}?after={}", acme.id)).shows("Nothing: it is so already.");
    let page = ana.submit(&page.form(&migrate), "Migrate").is(200);
    assert!(page.toast().contains("Scheduled to move: 0. Unchanged: 0."), "{}", page.toast());
}

async fn a_licence_is_issued_shown_replaced_and_revoked(service: &'static SharedService) {
    let acme = service.organization().await;
    let (ana, bob) = (Browser::of(service, "ana@platform.example"), Browser::of(service, &acme.email("bob")));
    let keys = "/admin/licence-signing-keys";
    let new = "/admin/licence-signing-keys/new";
    let page = ana.submit(&ana.open(new).form(new), "Create key").is(200);
    assert_eq!(page.url, keys);
    let all = service.super_admin().get("/v1/platform/billing/licence-signing-keys").is(200).body;
    let items = all["items"].as_array().unwrap().clone();
    if items.iter().all(|key| key["status"] != "signing") {
        let activate = format!("{keys}/{}/activate", items[0]["id"].as_str().unwrap());
        ana.submit(&ana.open(&activate).form(&activate), "Activate key").is(200).shows("Signing");
    }
    let issue = format!("/admin/organizations/{acme}/billing/licences/new");
    let page = ana.open(&issue);
    assert_eq!((page.value_of("users").as_str(), page.value_of("storage_gb").as_str()), ("10", "50"), "of the plan");
    let form = page.form(&issue).fill("activations", "2").fill("users", "7");
    let page = ana.submit(&form, "Issue licence").is(422);
    assert!(page.main().contains("has its own"), "{}", page.main());
    let form = page.form(&issue).fill("kind", "partner").fill("first_day", "2026-01-01").fill("last_day", "2034-12-31");
    let page = ana.submit(&form, "Issue licence").is(422);
    assert_eq!(page.value_of("users"), "7", "what was entered is kept");
    let page = ana.submit(&page.form(&issue).fill("reseller", "Harbour IT"), "Issue licence").is(200);
    assert!(page.main().contains("Harbour IT") && page.main().contains("0 of 2"), "{}", page.main());
    ana.open("/admin/licences?kind=partner").shows("Partner");
    bob.open("/settings/billing").shows("Licences");
    bob.open("/settings/billing/licences").shows("Harbour IT");
    let licences = bob_licences(&acme);
    let licence = &licences[0];
    let shown = acme.admin.get(&format!("/v1/organizations/current/billing/licences/{licence}")).is(200).body;
    let limits = json!({"users": 7, "port_calls": 500, "storage_bytes": 50_000_000_000_u64, "api_calls": 10_000});
    assert_eq!(shown["limits"], limits, "what was not changed is that of the plan");
    assert_eq!(shown["features"].as_array().unwrap().len(), 4);
    assert!(shown["not_before"].as_str().unwrap().starts_with("2026-01-01T00:00:00"), "{shown}");
    bob.open(&format!("/settings/billing/licences/{licence}")).shows("1 Jan 2035").shows("Token");
    let replace = format!("/admin/organizations/{acme}/billing/licences/{licence}/replace");
    ana.submit(&ana.open(&replace).form(&replace), "Replace licence").is(200).shows("Replaced");
    let licence = bob_licences(&acme).into_iter().find(|it| it != licence).unwrap();
    let revoke = format!("/admin/organizations/{acme}/billing/licences/{licence}/revoke");
    let form = ana.open(&revoke).form(&revoke).fill("reason", "The contract has ended.");
    ana.submit(&form, "Revoke licence").is(200).shows("The contract has ended.");
    let page = bob.open(&format!("/settings/billing/licences/{licence}")).shows("Revoked");
    assert!(!page.main().contains("Store it where"), "{}", page.main());
}

fn bob_licences(acme: &Organization<'_>) -> Vec<String> {
    let found = acme.admin.get("/v1/organizations/current/billing/licences").is(200).body;
    found["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

/// A private plan for any organization, with everything that a version can have.
fn private_plan(service: &SharedService) -> String {
    let code = format!("h{}", porttask_runtime::new_id::<porttask_domain::UserId>().0.simple());
    let price = |currency: &str, interval: &str, price: u64| json!({"currency": currency, "interval": interval, "price": price, "seat_price": null});
    let over = |meter: &str, currency: &str, unit: u64| json!({"meter": meter, "currency": currency, "unit": unit, "price_per_unit": "0.25"});
    let offer = json!({
        "prices": [price("EUR", "month", 9_900), price("USD", "month", 11_900), price("USD", "year", 119_000)],
        "included_seats": 1, "prices_include_tax": true, "features": ["sso"], "trial_days": 30,
        "limits": {"users": 40, "port_calls": 20, "storage_bytes": 500_000_000, "api_calls": null},
        "overage": [over("port_calls", "EUR", 1), over("storage_bytes", "USD", 1_000_000_000)],
    });
    let plan = json!({"code": code, "name": format!("Agreed {code}"), "visibility": "private", "offer": offer});
    let (staff, plans) = (service.super_admin(), "/v1/platform/billing/plans");
    let id = staff.post(plans, &plan).is(201).id().to_owned();
    // From here on, it is listed.
    staff.get(plans).is(200);
    id
}

async fn a_version_that_is_published_in_the_form_loses_nothing(service: &'static SharedService) {
    let ana = Browser::of(service, "ana@platform.example");
    let plan = private_plan(service);
    let shown =
        || service.super_admin().get(&format!("/v1/platform/billing/plans/{plan}")).is(200).body["offer"].clone();
    let before = shown();
    let version = format!("/admin/plans/{plan}/version");
    let page = ana.open(&version);
    assert_eq!(page.value_of("storage_gb"), "0.5");
    let form = page.form(&version).fill("month", "109").fill("port_calls_overage", "cheap");
    let page = ana.submit(&form, "Publish version").is(422);
    assert_eq!(page.value_of("month"), "109", "what was entered is kept");
    let form = page.form(&version).fill("port_calls_overage", "0.30");
    ana.submit(&form, "Publish version").is(200).shows("Version 2").shows("119.00 USD").shows("1 GB");
    let mut expected = before;
    expected["version"] = json!(2);
    expected["prices"][0]["price"] = json!(10_900);
    expected["overage"][0]["price_per_unit"] = json!("0.30");
    assert_eq!(shown(), expected);
}

async fn staff_gives_a_private_plan_and_chooses_dates(service: &'static SharedService) {
    let (acme, beta) = (service.organization().await, service.organization().await);
    let (ana, bob) = (Browser::of(service, "ana@platform.example"), Browser::of(service, &acme.email("bob")));
    let private = private_plan(service);
    let own = bob.open("/settings/billing/change");
    assert!(!own.text.contains(&private) && !own.text.contains("name=\"effective\""), "{}", own.main());
    let change = format!("/admin/organizations/{acme}/billing/change");
    let page = ana.submit(&ana.open(&change).form(&change).fill("plan", &private), "Preview").is(200);
    let page = ana.submit(&page.form(&change), "Choose plan").is(200);
    assert!(page.main().contains("Agreed") && page.main().contains("99.00 EUR"), "{}", page.main());
    bob.open("/settings/billing").shows("Agreed");

    subscribe(service, &beta, &plan(service, "professional"));
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(10 * 24);
    let date = later.to_zoned(jiff::tz::TimeZone::UTC).date().to_string();
    let change = format!("/admin/organizations/{beta}/billing/change");
    let form = ana.open(&change).form(&change).fill("plan", &plan(service, "starter")).fill("effective", &date);
    let page = ana.submit(&form, "Preview").is(200).shows(&format!("It holds from {date}"));
    ana.submit(&page.form(&change), "Schedule downgrade").is(200).shows(&format!("from {date}"));
    let cancel = format!("/admin/organizations/{beta}/billing/cancel");
    let form = ana.open(&cancel).form(&cancel).fill("on", &date);
    ana.submit(&form, "Cancel subscription").is(200).shows(&format!("The subscription ends on {date}"));
}

async fn a_draft_with_many_lines_is_edited(service: &'static SharedService) {
    let acme = service.organization().await;
    let ana = Browser::of(service, "ana@platform.example");
    complete_tax_details(&service.super_admin(), &acme.admin);
    let invoice = draft(service, &acme, 7);
    let edit = format!("/admin/organizations/{acme}/billing/invoices/{invoice}/edit");
    let form = ana.open(&edit).form(&edit).fill("unit_price_7", "107.00").fill("description_10", "Travel");
    let form = form.fill("quantity_10", "1").fill("unit_price_10", "12.50").fill("from_10", "2026-11-02");
    ana.submit(&form.fill("last_day_10", "2026-11-02"), "Save").is(200).shows("107.00 EUR").shows("12.50 EUR");
    let path = format!("/v1/organizations/{acme}/billing/invoices/{invoice}");
    let lines = service.super_admin().get(&path).is(200).body["lines"].as_array().unwrap().clone();
    assert_eq!((lines.len(), &lines[6]["unit_price"]), (8, &json!("107.00")));
}

async fn staff_finds_who_owes_and_what_was_paid_for(service: &'static SharedService) {
    let acme = service.organization().await;
    let ana = Browser::of(service, "ana@platform.example");
    complete_tax_details(&service.super_admin(), &acme.admin);
    acme.admin.post("/v1/organizations/current/billing/payment-methods", &json!({"setup": "sim_declined"})).is(200);
    let invoice = draft(service, &acme, 1);
    let issue = format!("/v1/organizations/{acme}/billing/invoices/{invoice}/issue");
    service.super_admin().send("POST", &issue, &[("idempotency-key", "issue")], Some(&json!({}))).is(200);
    let payments = format!("/admin/payments?organization={}&status=failed", acme.id);
    assert!(soon(&|| ana.open(&payments).main().contains("119.00 EUR")));
    let page = ana.open(&payments);
    assert_eq!(page.link("Invoice"), format!("/admin/organizations/{acme}/billing/invoices/{invoice}"));
    let file = ana.fetch(&page.link("Export list")).is(200);
    assert!(file.header("content-disposition").contains("payments.csv") && file.text.contains(&invoice));
    for status in ["action_required", "refunded"] {
        ana.open(&format!("/admin/payments?organization={}&status={status}", acme.id)).shows("Nothing matches");
    }
    let page = ana.open("/admin/receivables");
    let open = page.document.all("a").find(|link| link.get("href").contains("status=open&currency=EUR")).unwrap();
    ana.open(open.get("href")).shows("Open").shows("EUR due");
    let owed = format!("/admin/invoices?organization={}&currency=eur", acme.id);
    assert!(soon(&|| ana.open(&owed).main().contains("119.00 EUR due")));
    ana.open(&format!("{owed}&issued_from=2000-01-01&overdue_on=2999-01-01")).shows("119.00 EUR due");
    ana.open(&format!("{owed}&overdue_on=2000-01-01")).shows("Nothing matches");
    ana.open(&format!("{owed}&issued_until=2000-01-01")).shows("Nothing matches");
}
