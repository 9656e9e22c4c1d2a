//! Billing and usage: a plan is chosen, changed and canceled in the browser; staff sells plans.

use porttask_tests::on_both_engines;
use serde_json::json;

use crate::{
    browser::Browser,
    people::complete_tax_details,
    shared::{Organization, SharedService},
};

on_both_engines!(
    a_plan_is_chosen_with_what_it_costs,
    a_subscription_is_upgraded_canceled_and_resumed,
    usage_is_shown_with_its_limits,
    staff_sells_plans_and_coupons,
    tax_details_are_entered_and_checked,
    staff_enters_the_seller,
    staff_continues_a_series_of_numbers,
    a_payment_is_confirmed_because_the_bank_asks,
    staff_issues_an_invoice_that_is_paid,
);

const CHANGE: &str = "/settings/billing/change";

/// The id of a built-in plan.
pub(crate) fn plan(service: &SharedService, code: &str) -> String {
    let plans = service.super_admin().get(&format!("/v1/platform/billing/plans?limit=200&q={code}")).is(200).body;
    let items = plans["items"].as_array().unwrap().clone();
    items.iter().find(|it| it["code"] == code).unwrap()["id"].as_str().unwrap().to_owned()
}

async fn a_plan_is_chosen_with_what_it_costs(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = Browser::of(service, &acme.email("bob"));
    bob.open("/settings/billing").shows("Trial with the limits of Professional").shows("Choose a plan");
    let form = bob.open(CHANGE).form(CHANGE).fill("plan", &plan(service, "starter")).fill("seats", "many");
    let page = bob.submit(&form, "Preview");
    assert!(page.main().contains("not possible yet"), "{}", page.main());
    let page = bob.submit(&page.form(CHANGE).fill("seats", "2"), "Preview").is(200);
    assert!(page.main().contains("It begins after the trial") && page.main().contains("59.00 EUR"), "{}", page.main());
    let page = bob.submit(&page.form(CHANGE), "Choose plan").is(200);
    assert_eq!(page.url, "/settings/billing");
    assert!(page.main().contains("Starter, monthly, 2 extra seats"), "{}", page.main());
    let withdraw = "/settings/billing/withdraw-change";
    let page = bob.submit(&bob.open(withdraw).form(withdraw), "Withdraw").is(200);
    assert!(page.main().contains("Trial with the limits"), "{}", page.main());
}

async fn a_subscription_is_upgraded_canceled_and_resumed(service: &'static SharedService) {
    let acme = service.organization().await;
    let (ana, bob) = (Browser::of(service, "ana@platform.example"), Browser::of(service, &acme.email("bob")));
    complete_tax_details(&service.super_admin(), &acme.admin);
    let end = format!("/admin/organizations/{acme}/billing/end");
    ana.submit(&ana.open(&end).form(&end), "End subscription").is(200);
    bob.open("/settings/billing").shows("The subscription has ended");
    let methods = "/settings/billing/payment-methods";
    let form = bob.open(CHANGE).form(CHANGE).fill("plan", &plan(service, "starter"));
    let page = bob.submit(&form, "Preview").is(200);
    assert!(page.main().contains("Add a payment method first"), "{}", page.main());
    let add = format!("{methods}/new");
    let page = bob.submit(&bob.open(&add).form(&add).fill("setup", "sim_insufficient_funds"), "Add method").is(200);
    assert!(page.main().contains("sim_insufficient_funds"), "{}", page.main());
    let form = bob.open(CHANGE).form(CHANGE).fill("plan", &plan(service, "starter"));
    let page = bob.submit(&form, "Preview").is(200);
    let page = bob.submit(&page.form(CHANGE), "Subscribe and pay").is(402);
    assert!(page.main().contains("The payment failed (insufficient_funds)"), "{}", page.main());
    bob.submit(&bob.open(&add).form(&add).fill("setup", "sim_ok"), "Add method").is(200);
    let list = bob.open(methods);
    let make_default = list.link("Make default…");
    bob.submit(&bob.open(&make_default).form(&make_default), "Make default").is(200);
    bob.open("/settings/billing/payments").shows("58.31 EUR").shows("insufficient_funds");
    ana.open("/admin/payments").shows("Acme").shows("58.31 EUR");
    let form = bob.open(CHANGE).form(CHANGE).fill("plan", &plan(service, "starter"));
    let page = bob.submit(&form, "Preview").is(200);
    assert!(page.main().contains("To pay now: 58.31 EUR"), "{}", page.main());
    let page = bob.submit(&page.form(CHANGE), "Subscribe and pay").is(200);
    assert!(page.toast().contains("Paid.") && page.main().contains("Starter, monthly"), "{}", page.main());
    until_issued(&acme, 1);
    let form = bob.open(CHANGE).form(CHANGE).fill("plan", &plan(service, "professional"));
    let page = bob.submit(&form, "Preview").is(200);
    assert!(page.main().contains("To pay now: 119.00 EUR"), "{}", page.main());
    bob.submit(&page.form(CHANGE), "Upgrade and pay").is(200).shows("Professional, monthly");
    until_issued(&acme, 2);
    let cancel = "/settings/billing/cancel";
    let page = bob.submit(
        &bob.open(cancel).shows("What will happen").form(cancel).fill("reason", "quiet"),
        "Cancel subscription",
    );
    assert!(page.main().contains("The subscription ends on"), "{}", page.main());
    let page = bob.submit(&page.form("/undo"), "Undo").is(200);
    assert!(!page.main().contains("The subscription ends on"), "{}", page.main());
    let redeem = "/settings/billing/redeem";
    let page = bob.submit(&bob.open(redeem).form(redeem).fill("code", "nothing"), "Redeem").is(409);
    assert!(page.main().contains("cannot be redeemed"), "{}", page.main());
}

/// Waits for invoices: the service bills what was paid a moment later, which changes the subscription.
fn until_issued(organization: &Organization, count: usize) {
    let is_issued = |_| {
        let list = organization.admin.get("/v1/organizations/current/billing/invoices").is(200).body;
        list["items"].as_array().unwrap().len() >= count || {
            std::thread::sleep(std::time::Duration::from_millis(50));
            false
        }
    };
    assert!((0..400).any(is_issued), "{count} invoices are not issued");
}

async fn usage_is_shown_with_its_limits(service: &'static SharedService) {
    let acme = service.organization().await;
    let call = json!({"port": {"unlocode": "BRSSZ"}, "vessel": "MSC Anna", "imo": "9074729",
        "eta": "2026-12-03T08:30", "etd": "2026-12-04T18:00"});
    acme.admin.post("/v1/organizations/current/port-calls", &call).is(201);
    acme.admin.get("/v1/organizations/current/billing/usage").is(200);
    let bob = Browser::of(service, &acme.email("bob"));
    let page = bob.open("/settings/usage").shows("1 of 500").shows("50 GB").shows("Port calls by day");
    assert!(page.text.contains("<meter") && page.text.contains("role=\"img\""), "{}", page.main());
    let page = page.shows("Users by day").shows("Who created most port calls").shows("Bob Fisher");
    for (link, name) in
        [("Export days", "usage-days.csv"), ("Export months", "usage-months.csv"), ("Export", "usage-users.csv")]
    {
        let file = bob.fetch(&page.link(link)).is(200);
        assert!(file.header("content-disposition").contains(name), "{name}");
    }
    bob.open("/settings/billing").shows("1 of 500");
}

async fn staff_sells_plans_and_coupons(service: &'static SharedService) {
    let ana = Browser::of(service, "ana@platform.example");
    let new = "/admin/plans/new";
    let code = format!("h{}", porttask_runtime::new_id::<porttask_domain::UserId>().0.simple());
    let form = ana.open(new).form(new).fill("code", &code).fill("name", "Zanzibar").fill("visibility", "private");
    let page = ana.submit(&form.fill("month", "cheap"), "Create plan").is(422);
    assert_eq!(page.value_of("name"), "Zanzibar", "what was entered is kept");
    let form = page.form(new).fill("month", "79.50").fill("month_seat", "7").fill("port_calls", "40");
    ana.submit(&form, "Create plan").is(200);
    let list = ana.open(&format!("/admin/plans?q={code}")).shows("79.50 EUR a month");
    let url = list.link("Zanzibar");
    let page = ana.open(&url).shows("79.50 EUR").shows("extra seat 7.00 EUR").shows("no limit");
    let version = format!("{url}/version");
    assert_eq!(page.link("New version"), version);
    let page = ana.submit(&ana.open(&version).form(&version).fill("month", "99"), "Publish version").is(200);
    assert!(page.main().contains("Version 2") && page.main().contains("99.00 EUR"), "{}", page.main());
    let retire = format!("{url}/retire");
    ana.submit(&ana.open(&retire).form(&retire), "Retire").is(200).shows("Retired");
    let new = "/admin/coupons/new";
    let form = ana.open(new).form(new).fill("code", &code).fill("name", "Welcome").fill("percent", "15");
    let page = ana.submit(&form.fill("max_redemptions", "0"), "Create coupon").is(422);
    ana.submit(&page.form(new).fill("max_redemptions", "9"), "Create coupon").is(200);
    ana.open(&format!("/admin/coupons?q={code}")).shows("15% once").shows("0 of 9");
    ana.open("/admin/subscriptions?status=trialing").shows("Acme");
}

async fn tax_details_are_entered_and_checked(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = Browser::of(service, &acme.email("bob"));
    let account = "/settings/billing/account";
    bob.open("/settings/billing").shows("Tax details are missing").shows("legal name, address");
    let form = bob.open(account).form(account).fill("legal_name", "Lusoport Lda.").fill("street", "Rua 1\nPorta B");
    let form = form.fill("postcode", "1100-148").fill("city", "Lisboa").fill("country", "PT");
    let page = bob.submit(&form.fill("vat_id", "PT501964844"), "Save").is(422);
    assert_eq!(page.value_of("legal_name"), "Lusoport Lda.", "what was entered is kept");
    let page = bob.submit(&page.form(account).fill("vat_id", "pt 501 964 843"), "Save").is(200);
    assert!(page.toast().contains("VAT id PT501964843: valid"), "{}", page.toast());
    assert_eq!(page.value_of("vat_id"), "PT501964843");
    let check = "/settings/billing/account/check-tax-id";
    bob.submit(&bob.open(check).form(check), "Check").is(200).shows("by its check digits");
    let request = "/settings/billing/account/request-invoice-billing";
    bob.submit(&bob.open(request).form(request), "Send request").is(200).shows("payment by transfer");
    let ana = Browser::of(service, "ana@platform.example");
    // A change by another organization is shown a moment later.
    let is_shown = |_| {
        let page = ana.open("/admin/subscriptions");
        page.main().contains("Requests to pay by transfer") || {
            std::thread::sleep(std::time::Duration::from_millis(50));
            false
        }
    };
    assert!((0..200).any(is_shown));
    let collection = format!("/admin/organizations/{acme}/billing/account/collection");
    let form = ana.open(&collection).form(&collection).fill("kind", "invoice").fill("days", "30");
    ana.submit(&form, "Change").is(200).shows("by transfer within 30 days");
    let grant = format!("/admin/organizations/{acme}/billing/account/grant-balance");
    let form = ana.open(&grant).form(&grant).fill("amount", "12.50").fill("currency", "EUR").fill("reason", "outage");
    ana.submit(&form, "Grant balance").is(200).shows("12.50 EUR");
}

async fn staff_enters_the_seller(service: &'static SharedService) {
    let ana = Browser::of(service, "ana@platform.example");
    let seller = "/admin/seller";
    let form = ana.open(seller).form(seller).fill("legal_name", "PortTask GmbH").fill("street", "Am Sandtorkai 30");
    let form = form.fill("postcode", "20457").fill("city", "Hamburg").fill("country", "DE");
    let form = form.fill("vat_id", "DE123456788").fill("zone", "Europe/Berlin").fill("accounting_currency", "EUR");
    let page = ana.submit(&form.fill("iban", "DE00"), "Save").is(422);
    let page = ana.submit(&page.form(seller).fill("iban", "DE02120300000000202051"), "Save").is(200);
    assert!(!page.main().contains("Billing waits"), "{}", page.main());
    let rate = "/admin/seller/exchange-rates";
    let form = ana.open(rate).form(rate).fill("date", "2020-01-02").fill("currency", "USD").fill("rate", "0.8612");
    ana.submit(&form.fill("source", "ECB"), "Set exchange rate").is(200).shows("0.8612");
    let add = "/admin/seller/add-registration";
    let form = ana.open(add).form(add).fill("country", "CH").fill("scheme", "local").fill("from", "2026-01-01");
    let page = ana.submit(&form.fill("registered_vat_id", "CHE107787578IVA"), "Add registration").is(422);
    let page = ana.submit(&page.form(add).fill("registered_vat_id", "CHE107787577IVA"), "Add registration").is(200);
    assert!(page.main().contains("Switzerland"), "{}", page.main());
    let remove = "/admin/seller/remove-registration";
    let form = ana.open(remove).form(remove).fill("country", "CH").fill("scheme", "local");
    ana.submit(&form, "Remove registration").is(200).shows("None but the VAT id");
}

async fn staff_continues_a_series_of_numbers(service: &'static SharedService) {
    let ana = Browser::of(service, "ana@platform.example");
    let list = "/admin/seller/series";
    assert_eq!(ana.open("/admin/seller").link("Number series"), list);
    // Of the year before, which no other test counts.
    let series = service.super_admin().get("/v1/platform/billing/seller/series").is(200).body["items"][3].clone();
    ana.open(list).shows("Credit note").shows(series["next_number"].as_str().unwrap());
    let dialog = format!("{list}/{}/continue", series["id"].as_str().unwrap());
    let fill = |number: &str| ana.open(&dialog).form(&dialog).fill("last_number", number).fill("reason", "Monday");
    let page = ana.submit(&fill("0"), "Continue series").is(422);
    assert!(page.error_of("last_number").contains("from 1 to"), "{}", page.main());
    assert_eq!(page.value_of("reason"), "Monday", "what was entered is kept");
    let page = ana.submit(&page.form(&dialog).fill("last_number", "41").fill("reason", ""), "Continue series").is(422);
    assert!(!page.error_of("reason").is_empty(), "{}", page.main());
    let page = ana.submit(&page.form(&dialog).fill("reason", "Monday"), "Continue series").is(200);
    assert!(page.toast().contains("is continued") && page.main().contains("-000042"), "{}", page.main());
    let page = ana.submit(&fill("40"), "Continue series").is(409);
    assert!(page.error_of("last_number").contains("never go back"), "{}", page.main());
    let acme = service.organization().await;
    Browser::of(service, &acme.email("bob")).get(list).is(403);
}

/// Whether something is so within seconds.
pub(crate) fn soon(what: &dyn Fn() -> bool) -> bool {
    let is_so = |_| {
        what() || {
            std::thread::sleep(std::time::Duration::from_millis(100));
            false
        }
    };
    (0..200).any(is_so)
}

async fn a_payment_is_confirmed_because_the_bank_asks(service: &'static SharedService) {
    let acme = service.organization().await;
    let (ana, bob) = (Browser::of(service, "ana@platform.example"), Browser::of(service, &acme.email("bob")));
    let staff = service.super_admin();
    complete_tax_details(&staff, &acme.admin);
    staff.post(&format!("/v1/organizations/{acme}/billing/subscription/end"), &json!({})).is(200);
    acme.admin.post("/v1/organizations/current/billing/payment-methods", &json!({"setup": "sim_action"})).is(200);
    let asks = "Your bank asks for a confirmation";
    let form = bob.open(CHANGE).form(CHANGE).fill("plan", &plan(service, "starter"));
    let page = bob.submit(&form, "Preview").is(200);
    let page = bob.submit(&page.form(CHANGE), "Subscribe and pay").is(200).shows(asks).shows("58.31 EUR");
    let confirm = page.url.clone();
    assert!(confirm.starts_with("/settings/billing/payments/pay_") && confirm.ends_with("/confirm"), "{confirm}");
    assert_eq!(bob.open("/settings/billing").shows(asks).link("Confirm the payment"), confirm);
    assert_eq!(bob.open("/settings/billing/payments").shows("Action required").link("Confirm"), confirm);
    let page = bob.submit(&page.form(&confirm), "Confirm payment").is(200);
    assert_eq!((page.url.as_str(), page.toast().contains("Paid.")), ("/settings/billing", true), "{}", page.toast());
    assert!(page.main().contains("Starter, monthly"), "{}", page.main());
    bob.get(&confirm).is(409);
    // What is charged on issue is confirmed later.
    let invoices = format!("/v1/organizations/{acme}/billing/invoices");
    let line = json!({"description": "Training", "quantity": 1, "unit_price": "100.00", "from": "2026-11-02",
        "until": "2026-11-03"});
    let id = staff.post(&invoices, &json!({"currency": "EUR", "lines": [line]})).is(201).id().to_owned();
    let issue = format!("{invoices}/{id}/issue");
    staff.send("POST", &issue, &[("idempotency-key", "issue")], Some(&json!({}))).is(200);
    let own = format!("/settings/billing/invoices/{id}");
    assert!(soon(&|| bob.open(&own).main().contains(asks)));
    let page = bob.open(&own);
    assert!(!page.main().contains("Pay…"), "{}", page.main());
    let confirm = page.link("Confirm the payment");
    let of_staff = confirm.replacen("/settings", &format!("/admin/organizations/{acme}"), 1);
    let page = ana.open(&of_staff).shows("Only the organization can confirm");
    assert!(page.forms().iter().all(|form| form.action != of_staff), "{}", page.main());
    let page = bob.submit(&bob.open(&confirm).form(&confirm), "Confirm payment").is(200);
    assert_eq!((page.url.as_str(), page.toast().contains("Paid.")), (own.as_str(), true), "{}", page.toast());
    assert!(!page.main().contains(asks), "{}", page.main());
}

/// The number of the only credit note of an organization.
fn credit_note_number(acme: &Organization<'_>) -> String {
    let found = acme.admin.get("/v1/organizations/current/billing/credit-notes").is(200).body;
    found["items"][0]["number"].as_str().unwrap().to_owned()
}

async fn staff_issues_an_invoice_that_is_paid(service: &'static SharedService) {
    let acme = service.organization().await;
    let (ana, bob) = (Browser::of(service, "ana@platform.example"), Browser::of(service, &acme.email("bob")));
    complete_tax_details(&service.super_admin(), &acme.admin);
    let list = format!("/admin/organizations/{acme}/billing/invoices");
    let new = format!("{list}/new");
    let form = ana.open(&new).form(&new).fill("description_1", "Training").fill("quantity_1", "2");
    let form = form.fill("from_1", "2026-11-02").fill("last_day_1", "2026-11-03").fill("unit_price_1", "dear");
    let page = ana.submit(&form, "Draft invoice").is(422);
    assert_eq!(page.value_of("description_1"), "Training", "what was entered is kept");
    let page = ana.submit(&page.form(&new).fill("unit_price_1", "400.00"), "Draft invoice").is(200);
    assert!(page.main().contains("2 × 400.00 EUR"), "{}", page.main());
    let url = page.url.clone();
    assert!(url.starts_with(&format!("{list}/inv_")), "{url}");
    let edit = format!("{url}/edit");
    let form = ana.open(&edit).form(&edit);
    let page = ana.submit(&form.fill("unit_price_1", "450.00"), "Save").is(200);
    assert!(page.main().contains("2026-11-02 until 2026-11-04"), "{}", page.main());
    let issue = format!("{url}/issue");
    let page = ana.submit(&ana.open(&issue).form(&issue), "Issue invoice").is(200);
    assert!(page.main().contains("1,071.00 EUR") && page.main().contains("Acme Ports GmbH"), "{}", page.main());
    let credit = format!("{url}/credit");
    let page = ana.submit(&ana.open(&credit).form(&credit).fill("line_1", "100"), "Issue credit note").is(200);
    assert!(page.main().contains("952.00 EUR"), "{}", page.main());
    let own = format!("/settings/billing/invoices/{}", url.rsplit('/').next().unwrap());
    bob.open("/settings/billing").shows("Invoices");
    bob.open("/settings/billing/invoices?status=open").shows("1,071.00 EUR").shows("952.00 EUR due");
    let page = bob.open(&own).shows("Training").shows("Credit note");
    let id = own.rsplit('/').next().unwrap();
    let shown = acme.admin.get(&format!("/v1/organizations/current/billing/invoices/{id}")).is(200).body;
    let note = page.link(&format!("Credit note {}", shown["credit_notes"][0].as_str().unwrap()));
    bob.open(&note).shows("Lowers what is due by").shows("119.00 EUR");
    bob.open("/settings/billing/credit-notes").shows("119.00 EUR");
    let number = credit_note_number(&acme);
    let all = "/admin/credit-notes";
    assert!(soon(&|| ana.open(&format!("{all}?q={number}")).main().contains("119.00 EUR")));
    let page = ana.open(&format!("{all}?organization={}&reason=error", acme.id)).shows("Acme").shows(&number);
    let file = ana.fetch(&page.link("Export list")).is(200);
    assert!(file.header("content-disposition").contains("credit-notes.csv") && file.text.contains(&number));
    ana.open(&page.link(&number)).shows("Lowers what is due by");
    let page = ana.open(&format!("{all}?q={number}"));
    let file = ana.fetch(&page.link("Export list")).is(200);
    assert!(file.text.contains("organization_name") && file.text.contains(&number), "{}", file.text);
    ana.open(&format!("{all}?organization=acme")).shows("The list could not be loaded");
    bob.open(&format!("{own}/recalculation")).shows("It matches");
    let pay = format!("{own}/pay");
    bob.submit(&bob.open(&pay).form(&pay), "Pay").is(409);
    let add = "/settings/billing/payment-methods/new";
    bob.submit(&bob.open(add).form(add).fill("setup", "sim_declined"), "Add method").is(200);
    // What is open is charged at once.
    assert!(soon(&|| bob.open("/settings/billing/payments").main().contains("card_declined")));
    bob.submit(&bob.open(&pay).shows("952.00 EUR is due").form(&pay), "Pay").is(402);
    bob.submit(&bob.open(add).form(add).fill("setup", "sim_ok"), "Add method").is(200);
    let methods = "/v1/organizations/current/billing/payment-methods";
    let known = acme.admin.get(methods).is(200).body;
    let good = known["items"].as_array().unwrap().iter().find(|it| it["brand"] == "sim_ok").unwrap()["id"].clone();
    acme.admin.post(&format!("{methods}/{}/make-default", good.as_str().unwrap()), &json!({})).is(200);
    assert!(soon(&|| !bob.open(&own).main().contains("Pay…")), "it is paid");
    // A change by another organization is shown a moment later.
    let is_shown = |_| {
        let page = ana.open("/admin/invoices?status=paid");
        page.main().contains("1,071.00 EUR") || {
            std::thread::sleep(std::time::Duration::from_millis(50));
            false
        }
    };
    assert!((0..200).any(is_shown));
    ana.open("/admin/receivables").shows("Receivables");
    let report = "/admin/tax-report";
    let page = ana.open(&format!("{report}?country=DE&period=quarter")).shows("Domestic").shows("Germany").shows("19%");
    page.shows("Threshold of article 59c").shows("EC sales list");
    ana.open(&format!("{report}?from=2026-05&last=2026-01")).shows("This cannot be shown").shows("must be after");
    ana.open(&format!("{report}?treatment=export&from=2020-01&last=2020-12")).shows("No invoice or credit note");
}
