//! Payments: those of an organization, and of all for staff; and the confirmation that a bank asks for (`confirm.rs`).

pub(super) mod confirm;

use axum::{Router, http::Method, routing::get};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::payment_method::read as read_methods;
use crate::{
    Console,
    action::{Action, Inputs},
    api::Problem,
    form::{Fields, attachment},
    ui::{
        self,
        field::field,
        icon,
        list::{Asked, Column, Listing},
        money::{minor, money},
        time, words,
    },
    visit::{Answered, Visit},
};

pub(crate) fn settings() -> Router<Console> {
    Router::new()
        .route("/billing/payments", get(list))
        .route("/billing/payments/{payment}/reverse", get(reverse_form).post(reverse))
        .merge(confirm::settings())
}

pub(crate) fn routes() -> Router<Console> {
    Router::new().route(URL, get(list_all)).route("/admin/payments/export", get(export))
}

#[derive(Debug, Deserialize)]
struct Payment {
    id: String,
    organization: String,
    organization_name: Option<String>,
    target: String,
    amount: i64,
    currency: String,
    attempt: Option<u64>,
    status: String,
    code: Option<String>,
    reference: Option<String>,
    refunded: i64,
    reversed: i64,
    started_at: Timestamp,
}

const URL: &str = "/admin/payments";
const TABS: [(&str, &str); 8] = [
    ("", "All"),
    ("succeeded", "Succeeded"),
    ("failed", "Failed"),
    ("action_required", "Action required"),
    ("processing", "Processing"),
    ("unknown", "Unknown"),
    ("refunded", "Refunded"),
    ("reversed", "Reversed"),
];
const COLUMNS: [Column; 4] = [
    Column("Payment", "started_at", ""),
    Column("Status", "", ""),
    Column("Reference", "", "only-wide"),
    Column("Amount", "amount", "sum"),
];

async fn list(visit: Visit) -> Answered {
    let methods = read_methods(&visit).await?;
    let asked = Asked::of(&visit.frame.url);
    let call = visit.get("/billing/payments").query(asked.pick(&["status", "sort", "cursor"]));
    let found = call.query([("limit", "25"), ("count", "true")]).page::<Payment>().await?;
    let nothing = ui::empty("credit-card", "No payment yet", "What is charged is listed here.", html! {});
    let listing = Listing {
        name: "Payments",
        tabs: Some(("status", &TABS)),
        search: None,
        selects: &[],
        inputs: &[],
        columns: &COLUMNS,
        nothing,
        panel: None,
    };
    let content = html! {
        (ui::head("Payments", "What was charged, and what became of it.", html! { a.btn.edge href=(visit.url("/billing/payment-methods")) { "Payment methods" } }))
        @if !methods.can_pay() { (ui::note("info", "credit-card", "Nothing can be charged", html! { p { "There is no payment method that can be charged." } })) }
        (listing.render(&visit.frame, &asked, &found, |it| row(&visit, it, false)))
    };
    Ok(visit.page("Payments", &[("Billing", &visit.url("/billing")), ("Payments", "")], content))
}

async fn list_all(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let call = visit.client.get("/v1/platform/billing/payments");
    let call = call.query(asked.pick(&["status", "organization", "sort", "cursor"]));
    let found = call.query([("limit", "25"), ("count", "true")]).page::<Payment>().await?;
    let nothing = ui::empty("credit-card", "No payment yet", "What organizations pay is listed here.", html! {});
    let listing = Listing {
        name: "Payments",
        tabs: Some(("status", &TABS)),
        search: None,
        selects: &[],
        inputs: &[],
        columns: &COLUMNS,
        nothing,
        panel: None,
    };
    let export = asked.changed(&[("cursor", "")]).replacen(URL, &format!("{URL}/export"), 1);
    let export = html! { a.btn.edge data-download href=(export) { (icon("download")) "Export list" } };
    let content = html! {
        (ui::head("Payments", "What organizations were charged, and what became of it.", export))
        (listing.render(&visit.frame, &asked, &found, |it| row(&visit, it, true)))
    };
    Ok(visit.page("Payments", &[("Administration", "/admin/organizations"), ("Payments", "")], content))
}

/// The filtered list of all organizations as CSV.
async fn export(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let call = visit.client.get("/v1/platform/billing/payments").query(asked.pick(&["status", "organization", "sort"]));
    Ok(attachment(call.query([("format", "csv")]).download().await?, "payments.csv"))
}

fn row(visit: &Visit, it: &Payment, is_of_all: bool) -> Markup {
    let can_reverse = visit.may("billing:administer") && it.status == "succeeded";
    let can_confirm = !is_of_all && visit.may("billing:write") && it.status == "action_required";
    let billing = match is_of_all {
        true => format!("/admin/organizations/{}/billing", it.organization),
        false => visit.url("/billing"),
    };
    let below = format!("{billing}/payments");
    html! { tr id=(it.id) {
        td {
            @if is_of_all { a href=(below) { b { (it.organization_name.as_deref().unwrap_or(&it.organization)) } } br; }
            small.soft { (time::instant(&visit.frame, it.started_at)) @if let Some(attempt) = it.attempt.filter(|it| *it > 1) { ", attempt " (attempt) }
                " · " @if confirm::is_of_invoice(it) { a href=(format!("{billing}/invoices/{}", it.target)) { "Invoice" } } @else { a href=(billing) { "Change of the plan" } } }
        }
        td { (words::status(&it.status)) @if let Some(code) = &it.code { br; small.soft { (code) } }
            @if can_confirm { br; a href=(confirm::url(visit, &it.id)) { "Confirm" } } }
        td.only-wide.soft { (it.reference.as_deref().unwrap_or("–"))
            @if can_reverse { " " (ui::sheet_link(&format!("{below}/{}/reverse", it.id), "btn edge", "rotate-ccw", "Chargeback…")) } }
        td.sum { (money(it.amount, &it.currency))
            @if it.refunded > 0 { br; small.soft { (money(it.refunded, &it.currency)) " refunded" } }
            @if it.reversed > 0 { br; small.soft { (money(it.reversed, &it.currency)) " reversed" } } }
    } }
}

async fn reversal<'a>(visit: &Visit, fields: Option<&Fields>) -> Result<Action<'a>, Problem> {
    let resource = visit.path(&format!("/billing/payments/{}", visit.param("payment")));
    let payment = visit.client.get(resource.clone()).send::<Payment>().await?.body;
    let of = |name: &str| fields.map_or("", |fields| fields.text(name)).to_owned();
    let (amount, reason) = (of("amount"), of("reason"));
    let mut body = json!({ "reason": reason });
    if !amount.is_empty() {
        body["amount"] = minor(&amount, &payment.currency).map_or_else(|| amount.clone().into(), Into::into);
    }
    let inputs = move |problem: Option<&Problem>| {
        html! {
            (field("Amount", "amount").value(&amount).optional().hint("All that is left, if empty.").error(problem, "/amount").input("text"))
            (field("Why", "reason").value(&reason).error(problem, "/reason").input("text"))
        }
    };
    Ok(Action {
        title: "Record a chargeback".to_owned(),
        lead: html! { "The payer's bank took the payment of " (money(payment.amount, &payment.currency)) " back." },
        button: "Record chargeback",
        is_dangerous: true,
        method: Method::POST,
        path: format!("{resource}/reverse"),
        resource,
        body,
        inputs: Inputs::new(inputs),
        is_previewed: false,
        typed: None,
        back: visit.url("/billing/payments"),
        done: "The chargeback is recorded.".to_owned(),
        crumbs: vec![
            ("Billing".to_owned(), visit.url("/billing")),
            ("Payments".to_owned(), visit.url("/billing/payments")),
        ],
    })
}

async fn reverse_form(visit: Visit) -> Answered {
    visit.require("billing:administer")?;
    reversal(&visit, None).await?.show(&visit).await
}

async fn reverse(visit: Visit, fields: Fields) -> Answered {
    reversal(&visit, Some(&fields)).await?.submit(&visit, &fields).await
}
