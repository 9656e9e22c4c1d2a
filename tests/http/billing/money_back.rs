//! Money that goes back: refunds that fail, payments that are taken back, the balance, and payments that are asked for twice.

use porttask_tests::{by, on_both_engines};
use serde_json::{Value, json};

use super::{
    invoice::{SOON, issued, items, keyed, organization},
    payment::add,
    plan::built_in,
};
use crate::shared::SharedService;

on_both_engines!(
    a_refund_that_fails_goes_to_the_balance,
    a_payment_is_taken_back_from_where_its_money_is,
    an_upgrade_is_charged_without_what_the_balance_pays,
    a_payment_by_hand_is_asked_for_once_with_one_key,
    a_correction_of_an_unpaid_invoice_keeps_the_debt,
);

async fn a_refund_that_fails_goes_to_the_balance(service: &'static SharedService) {
    let (acme, place) = organization(service).await;
    let (ana, bob) = (service.super_admin(), &acme.admin);
    add(bob, "sim_no_refund");
    let invoice = issued(&ana, &place, "50.00");
    by(SOON, "paid", async || bob.get(&invoice).is(200).body["status"] == "paid").await;
    let all = json!({"lines": [{"line": 1, "net": 10_000}], "reason": "goodwill", "to": "refund"});
    keyed(&ana, &format!("{invoice}/credit"), "credit", &all).is(200);
    by(SOON, "the balance", async || bob.get(&invoice).body["balance"] == 10_000).await;
    let log = "/v1/organizations/current/audit-log?action=billing_account.balance_changed";
    let says_why = |entry: &Value| entry["summary"].as_str().unwrap().ends_with("because a refund failed");
    by(SOON, "the audit log", async || items(&bob.get(log).is(200)).iter().any(says_why)).await;
    // The provider knows nothing of a transfer.
    ana.post(&format!("{place}/account/collection"), &json!({"kind": "invoice", "days": 14})).is(200);
    let transferred = issued(&ana, &place, "100.00");
    let paid = json!({"amount": 10_000, "currency": "EUR", "paid_on": "2020-01-01", "reference": "first"});
    keyed(&ana, &format!("{transferred}/mark-paid"), "paid", &paid).is(200);
    keyed(&ana, &format!("{transferred}/credit"), "refund", &all).refused(409, "not-refundable");
}

async fn a_payment_is_taken_back_from_where_its_money_is(service: &'static SharedService) {
    let (acme, place) = organization(service).await;
    let (ana, bob) = (service.super_admin(), &acme.admin);
    add(bob, "sim_ok");
    let invoice = issued(&ana, &place, "50.00");
    by(SOON, "paid", async || bob.get(&invoice).is(200).body["status"] == "paid").await;
    let payments = format!("{place}/payments");
    by(SOON, "the payment", async || items(&bob.get(&payments).is(200)).len() == 1).await;
    let payment = items(&bob.get(&payments))[0]["id"].as_str().unwrap().to_owned();
    // Some of it went to the balance with a credit note.
    let some = json!({"lines": [{"line": 1, "net": 4_000}], "reason": "goodwill", "to": "balance"});
    keyed(&ana, &format!("{invoice}/credit"), "credit", &some).is(200);
    assert_eq!(bob.get(&invoice).body["balance"], 4_000);
    let reverse = format!("{payments}/{payment}/reverse");
    keyed(&ana, &reverse, "reverse", &json!({"reason": "fraud"})).is(200);
    let shown = bob.get(&invoice).body;
    assert_eq!((&shown["due"], &shown["balance"], &shown["status"]), (&json!(6_000), &json!(0), &json!("open")));
}

async fn an_upgrade_is_charged_without_what_the_balance_pays(service: &'static SharedService) {
    let (acme, place) = organization(service).await;
    let (ana, bob) = (service.super_admin(), &acme.admin);
    let grant = |key: &str, amount: i64| {
        let granted = json!({"amount": amount, "currency": "EUR", "reason": "a courtesy"});
        keyed(&ana, &format!("{place}/account/grant-balance"), key, &granted).is(200);
    };
    grant("some", 1_000);
    add(bob, "sim_ok");
    let begin = |key: &str, plan: &str| {
        let to = json!({"to": {"plan": built_in(service, plan), "interval": "month", "seats": 0}});
        keyed(bob, &format!("{place}/subscription/change"), key, &to)
    };
    begin("begin", "starter").is(200);
    let paid = || items(&bob.get(&format!("{place}/payments?status=succeeded")).is(200));
    by(SOON, "the payment", async || paid().len() == 1).await;
    assert_eq!(paid()[0]["amount"], 3_900);
    let invoices = || items(&bob.get(&format!("{place}/invoices?status=paid")).is(200));
    by(SOON, "the invoice", async || invoices().len() == 1).await;
    let invoice = format!("{place}/invoices/{}", invoices()[0]["id"].as_str().unwrap());
    let shown = bob.get(&invoice).is(200).body;
    assert_eq!((&shown["due"], &shown["balance"]), (&json!(0), &json!(0)), "{shown}");
    // What the balance pays as a whole needs no payment.
    grant("all", 100_000);
    assert_eq!(begin("up", "professional").is(200).body["payment"], json!(null));
    assert_eq!(bob.get(&format!("{place}/subscription")).is(200).body["held"]["code"], "professional");
    assert_eq!(paid().len(), 1);
}

async fn a_payment_by_hand_is_asked_for_once_with_one_key(service: &'static SharedService) {
    let (acme, place) = organization(service).await;
    let (ana, bob) = (service.super_admin(), &acme.admin);
    add(bob, "sim_declined");
    let invoice = issued(&ana, &place, "10.00");
    let payments = || items(&bob.get(&format!("{place}/payments")).is(200));
    let are_over = |all: &[Value]| !all.is_empty() && all.iter().all(|it| it["status"] == "failed");
    by(SOON, "the charge on issue", async || are_over(&payments())).await;
    let is_by_hand = |payment: &Value| (1_000..1_000_000).contains(&payment["attempt"].as_u64().unwrap());
    let by_hand = || payments().iter().filter(|it| is_by_hand(it)).count();
    let pay = format!("{invoice}/pay");
    // The method that was added is charged as well, at any time: meanwhile, nothing else is.
    let is_declined = async |key: &str| keyed(bob, &pay, key, &json!({})).status == 402;
    by(SOON, "declined", async || is_declined("one").await).await;
    keyed(bob, &pay, "one", &json!({})).refused(402, "payment-failed");
    by(SOON, "declined again", async || is_declined("two").await).await;
    by(SOON, "the payments", async || by_hand() == 2).await;
    let other = issued(&ana, &place, "20.00");
    keyed(bob, &format!("{other}/pay"), "one", &json!({})).refused(422, "idempotency-key-reused");
}

async fn a_correction_of_an_unpaid_invoice_keeps_the_debt(service: &'static SharedService) {
    let (acme, place) = organization(service).await;
    let (ana, bob) = (service.super_admin(), &acme.admin);
    let to = json!({"to": {"plan": built_in(service, "starter"), "interval": "month", "seats": 0}});
    keyed(&ana, &format!("{place}/subscription/change"), "begin", &to).is(200);
    let wrong = issued(&ana, &place, "10.00");
    let status = || bob.get(&format!("{place}/subscription")).is(200).body["status"].clone();
    by(SOON, "past due", async || status() == "past_due").await;
    keyed(&ana, &format!("{wrong}/correct"), "correct", &json!({})).is(200);
    assert_eq!((bob.get(&wrong).body["due"].clone(), status()), (json!(0), json!("past_due")));
    let open = || items(&bob.get(&format!("{place}/invoices?status=open")));
    let new = || open().into_iter().find(|it| !wrong.ends_with(it["id"].as_str().unwrap()));
    by(SOON, "the correction", async || new().is_some()).await;
    let new = format!("{place}/invoices/{}", new().unwrap()["id"].as_str().unwrap());
    let paid = json!({"amount": 2_000, "currency": "EUR", "paid_on": "2020-01-01", "reference": "first"});
    keyed(&ana, &format!("{new}/mark-paid"), "paid", &paid).is(200);
    assert_eq!((bob.get(&new).body["due"].clone(), status()), (json!(0), json!("active")));
}
