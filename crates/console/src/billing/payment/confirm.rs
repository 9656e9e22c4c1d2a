//! The confirmation of a payment: the payer's bank asks for it, and the payer answers with the payment provider. With
//! Stripe, its script shows what the bank asks; with the simulator, a button stands for it.

use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::payment_method::{PaymentMethods, read as read_methods, simulated, with_stripe},
    Payment,
};
use crate::{
    Console,
    api::{Page, Problem},
    form::Fields,
    ui::{self, icon, money::money},
    visit::{Answered, Message, Visit},
};

pub(super) fn settings() -> Router<Console> {
    Router::new()
        .route("/billing/payments/{payment}/confirm", get(form).post(confirm))
        .route("/billing/payments/{payment}/confirmation", post(begin))
}

const TITLE: &str = "Your bank asks for a confirmation";

/// What became of a payment that had to be confirmed.
#[derive(Debug, Deserialize)]
struct PaymentConfirmation {
    status: String,
}

/// The address of the page on which the payment of an invoice or of a change is confirmed; `None` if no payment of it has to
/// be, or the reader may not.
///
/// # Errors
/// If the payments cannot be read.
pub(in crate::billing) async fn page_of(visit: &Visit, target: &str) -> Result<Option<String>, Problem> {
    if !visit.may("billing:write") {
        return Ok(None);
    }
    // Of what is owed, one payment at a time is in flight, so there are few.
    let call = visit.get("/billing/payments").query([("status", "action_required"), ("limit", "200")]);
    let found = call.send::<Page<Payment>>().await?.body.items;
    Ok(found.into_iter().find(|it| it.target == target).map(|it| url(visit, &it.id)))
}

/// The address of the page on which a payment is confirmed.
pub(super) fn url(visit: &Visit, payment: &str) -> String {
    visit.url(&format!("/billing/payments/{payment}/confirm"))
}

/// That a payment has to be confirmed, with the way to its page.
pub(in crate::billing) fn note(url: &str) -> Markup {
    let content = html! { p { "It is paid once that is confirmed. " a href=(url) { "Confirm the payment" } } };
    ui::note("warn", "credit-card", TITLE, content)
}

/// The path of the payment of the page in the API.
fn resource(visit: &Visit) -> String {
    visit.path(&format!("/billing/payments/{}", visit.param("payment")))
}

async fn read(visit: &Visit) -> Result<(Payment, PaymentMethods), Problem> {
    let payment = visit.client.get(resource(visit)).send::<Payment>().await?.body;
    Ok((payment, read_methods(visit).await?))
}

/// Whether it is for an invoice, and not for a change of the plan.
pub(super) fn is_of_invoice(it: &Payment) -> bool {
    it.target.starts_with("inv_")
}

/// The page of what is paid.
fn back(visit: &Visit, it: &Payment) -> String {
    match is_of_invoice(it) {
        true => visit.url(&format!("/billing/invoices/{}", it.target)),
        false => visit.url("/billing"),
    }
}

async fn form(visit: Visit) -> Answered {
    visit.require("billing:write")?;
    let (it, methods) = read(&visit).await?;
    if it.status != "action_required" {
        return Err(Problem::new(StatusCode::CONFLICT, "This payment does not wait for a confirmation.").into());
    }
    Ok(page(&visit, &it, &methods, None))
}

fn page(visit: &Visit, it: &Payment, methods: &PaymentMethods, problem: Option<&Problem>) -> Response {
    let is_over = problem.is_some_and(|problem| problem.status == 402);
    // Only those whose card it is can answer, and only where the question can be shown.
    let can_confirm = visit.frame.scope.is_own() && methods.can_confirm() && !is_over;
    let key = methods.publishable_key.as_deref().filter(|_| can_confirm);
    let text =
        html! { @if let Some(problem) = problem { (ui::summary(problem)) } @else { (question(visit, methods)) } };
    let lead = format!("{} are paid once it is confirmed.", money(it.amount, &it.currency));
    let content = html! {
        (ui::head(TITLE, &lead, html! {}))
        @if methods.is_simulated() { (simulated()) }
        section.card {
            @if can_confirm { (answer(visit, it, key, &text)) }
            @else { div.in.form { (text) div.row { (back_link(visit, it)) } } }
        }
    };
    let (billing, payments) = (visit.url("/billing"), visit.url("/billing/payments"));
    let crumbs = [("Billing", billing.as_str()), ("Payments", &payments), ("Confirm", "")];
    match key {
        Some(_) => with_stripe(|scripts| visit.page_with(problem, TITLE, &crumbs, html! { (content) (scripts) })),
        None => visit.page_with(problem, TITLE, &crumbs, content),
    }
}

/// The button with which the payer answers. With a key, the script asks for what it confirms the payment with, shows the
/// question of the bank, and sends the form when it is answered.
fn answer(visit: &Visit, it: &Payment, key: Option<&str>, text: &Markup) -> Markup {
    let confirmation = key.map(|_| visit.url(&format!("/billing/payments/{}/confirmation", it.id)));
    html! {
        form.in.form method="post" action=(url(visit, &it.id)) data-payment-key=[key] data-payment-confirmation=[confirmation] {
            (ui::hidden(&visit.frame))
            (text)
            @if key.is_some() {
                noscript { p { "Payments are confirmed with JavaScript, which this browser does not run." } }
                div.field { span.error role="alert" data-payment-error {} }
            }
            div.row {
                button.btn.main-act type="submit" disabled[key.is_some()] { (icon("check")) "Confirm payment" }
                (back_link(visit, it))
            }
        }
    }
}

fn back_link(visit: &Visit, it: &Payment) -> Markup {
    let name = if is_of_invoice(it) { "Invoice" } else { "Billing" };
    html! { a.btn.edge href=(back(visit, it)) { (name) } }
}

/// What is asked, of whom.
fn question(visit: &Visit, methods: &PaymentMethods) -> Markup {
    html! { p {
        @if !visit.frame.scope.is_own() { "Only the organization can confirm its payments." }
        @else if methods.is_simulated() { "The button stands for the question of the bank." }
        @else if methods.can_confirm() { "Your bank asks in a window of its own. This service learns only whether it was confirmed." }
        @else { "Payments cannot be confirmed here: use the app or the page of your bank, or pay with another method." }
    } }
}

/// Returns what the script confirms the payment with. Nothing of it is in a page.
async fn begin(visit: Visit) -> Answered {
    let call = visit.client.post(format!("{}/confirm", resource(&visit)));
    Ok(axum::Json(call.json(&json!({})).send::<Value>().await?.body).into_response())
}

async fn confirm(visit: Visit, _: Fields) -> Answered {
    let (it, methods) = read(&visit).await?;
    let command = if methods.is_simulated() { "simulate-confirmation" } else { "confirm" };
    let call = visit.client.post(format!("{}/{command}", resource(&visit))).json(&json!({}));
    let done = |text: &str| visit.done(&back(&visit, &it), &Message { text: text.to_owned(), ..Message::default() });
    match call.send::<PaymentConfirmation>().await.map(|answer| answer.body.status) {
        Ok(status) if status == "action_required" => {
            let problem = Problem::new(StatusCode::CONFLICT, "Your bank has not confirmed the payment yet.");
            Ok(page(&visit, &it, &methods, Some(&problem)))
        }
        Ok(status) if ["processing", "unknown"].contains(&status.as_str()) => {
            Ok(done("It is paid as soon as the confirmation has arrived."))
        }
        Ok(_) => Ok(done("Paid.")),
        Err(problem) if matches!(problem.status, 401 | 403 | 404) => Err(problem.into()),
        Err(problem) => Ok(page(&visit, &it, &methods, Some(&problem))),
    }
}
