//! The change of the plan: what it costs is shown before the button, by the function that decides it.

use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{payment::confirm, payment_method::read as read_methods},
    Quote, Subscription, feature, lines,
};
use crate::{
    api::Problem,
    form::{Fields, STEP},
    ui::{self, icon, money::money, sentence, words},
    visit::{Answered, Message, Visit},
};

#[derive(Debug, Clone, Deserialize)]
struct Plans {
    items: Vec<Plan>,
}

#[derive(Debug, Clone, Deserialize)]
struct Plan {
    id: String,
    name: String,
    visibility: String,
    current: bool,
    offer: Option<Offer>,
    held_offer: Option<Offer>,
}

#[derive(Debug, Clone, Deserialize)]
struct Offer {
    prices: Vec<Price>,
    included_seats: u32,
    features: Vec<String>,
    limits: Limits,
}

#[derive(Debug, Clone, Deserialize)]
struct Price {
    currency: String,
    interval: String,
    price: i64,
    seat_price: Option<i64>,
}

#[derive(Debug, Clone, Deserialize)]
struct Limits {
    port_calls: Option<u64>,
    storage_bytes: Option<u64>,
    api_calls: Option<u64>,
}

impl Plan {
    fn offer(&self) -> Option<&Offer> {
        self.held_offer.as_ref().or(self.offer.as_ref())
    }

    /// What it offers, in a line.
    fn in_words(&self, interval: &str) -> String {
        let Some(offer) = self.offer() else { return String::new() };
        let price = offer.prices.iter().find(|price| price.interval == interval).or(offer.prices.first());
        let price = price.map(|it| format!("{} a {}", money(it.price, &it.currency), it.interval));
        let seats = price_of_seat(offer, interval);
        let limit = |limit: Option<u64>, noun: &str| match limit {
            Some(0) => None,
            Some(limit) => Some(format!("{} {noun}", ui::money::grouped(limit))),
            None => Some(format!("unlimited {noun}")),
        };
        let storage = offer.limits.storage_bytes.map(|it| format!("{} of documents", ui::money::bytes(it)));
        let features = offer.features.iter().map(|it| feature(it));
        let parts = [
            (self.visibility == "private").then(|| "Private".to_owned()),
            price,
            Some(format!("{} users", offer.included_seats)),
            seats,
            limit(offer.limits.port_calls, "port calls a month"),
            storage,
            limit(offer.limits.api_calls, "API calls a month"),
        ];
        parts.into_iter().flatten().chain(features).collect::<Vec<_>>().join(" · ")
    }
}

fn price_of_seat(offer: &Offer, interval: &str) -> Option<String> {
    let price = offer.prices.iter().find(|price| price.interval == interval)?;
    Some(format!("extra seats {} each", money(price.seat_price?, &price.currency)))
}

pub(in crate::billing) async fn form(visit: Visit) -> Answered {
    visit.require("billing:write")?;
    let (plans, now) = read(&visit).await?;
    let known = now.held.as_ref().or(now.chosen.as_ref());
    let first = plans.items.iter().find(|plan| !plan.current && plan.visibility != "private").or(plans.items.first());
    let fields = Fields::with([
        ("plan", known.map(|it| it.plan.clone()).or(first.map(|it| it.id.clone())).unwrap_or_default()),
        ("interval", known.map_or_else(|| "month".to_owned(), |it| it.interval.clone())),
        ("seats", known.map_or_else(|| "0".to_owned(), |it| it.seats.to_string())),
    ]);
    let quote = preview(&visit, &fields).await;
    page(&visit, &plans, &fields, quote, None).await
}

async fn read(visit: &Visit) -> Result<(Plans, Subscription), Problem> {
    let plans = visit.get("/billing/plans").send::<Plans>().await?.body;
    Ok((plans, visit.get("/billing/subscription").send::<Subscription>().await?.body))
}

/// The terms that were entered.
fn wanted(fields: &Fields) -> Value {
    let seats: Value = fields.text("seats").parse::<u32>().map_or_else(|_| fields.text("seats").into(), Value::from);
    let seats = if fields.text("seats").is_empty() { json!(0) } else { seats };
    json!({ "plan": fields.text("plan"), "interval": fields.text("interval"), "seats": seats })
}

/// The change that was entered; a date of cheaper terms is for staff.
fn change(fields: &Fields) -> Value {
    let mut body = json!({ "to": wanted(fields) });
    if !fields.text("effective").is_empty() {
        body["effective"] = fields.text("effective").into();
    }
    body
}

async fn preview(visit: &Visit, fields: &Fields) -> Result<Quote, Problem> {
    let call = visit.client.post(visit.path("/billing/subscription/preview"));
    Ok(call.json(&change(fields)).send::<Quote>().await?.body)
}

pub(in crate::billing) async fn submit(visit: Visit, fields: Fields) -> Answered {
    let (plans, _) = read(&visit).await?;
    if fields.is_preview() {
        let quote = preview(&visit, &fields).await;
        return page(&visit, &plans, &fields, quote, None).await;
    }
    let mut body = change(&fields);
    body["quote"] = fields.text("quote").into();
    let call = visit.client.post(visit.path("/billing/subscription/change")).key(fields.key());
    match call.json(&body).send::<Value>().await {
        Ok(answer) => {
            let has_to_be_confirmed = answer.body["payment"] == "action_required";
            let change = answer.body["change"].as_str().filter(|_| has_to_be_confirmed);
            if let Some(change) = change
                && let Some(page) = confirm::page_of(&visit, change).await?
            {
                return Ok(visit.redirect(&page));
            }
            let text = match answer.body["payment"].as_str() {
                Some("action_required") => "Confirm the payment with your bank: the change happens then.",
                Some("pending") => "The change happens as soon as the payment is confirmed.",
                Some(_) => "Paid. The new plan holds from today.",
                None => "The subscription is changed.",
            };
            Ok(visit.done(&visit.url("/billing"), &Message { text: text.to_owned(), ..Message::default() }))
        }
        Err(problem) if problem.status == 401 => Err(problem.into()),
        Err(problem) => {
            let quote = preview(&visit, &fields).await;
            page(&visit, &plans, &fields, quote, Some(&problem)).await
        }
    }
}

async fn page(
    visit: &Visit,
    plans: &Plans,
    fields: &Fields,
    quote: Result<Quote, Problem>,
    problem: Option<&Problem>,
) -> Answered {
    // What needs a payment method says so before the button; staff charges nothing.
    let is_charged = quote.as_ref().is_ok_and(|quote| quote.net > 0) && !visit.may("billing:administer");
    let is_missing = is_charged && !read_methods(visit).await?.can_pay();
    let url = visit.url("/billing/change");
    let interval = fields.text("interval");
    let descriptions: Vec<String> = plans.items.iter().map(|plan| plan.in_words(interval)).collect();
    let options: Vec<(&str, &str, &str)> = plans
        .items
        .iter()
        .zip(&descriptions)
        .map(|(plan, description)| (plan.id.as_str(), plan.name.as_str(), description.as_str()))
        .collect();
    let current = plans.items.iter().find(|plan| plan.current).map_or("", |plan| plan.id.as_str());
    let button = quote.as_ref().ok().and_then(button);
    let sheet = ui::sheet(
        "Change plan",
        html! { "An upgrade holds from today and is paid at once. A downgrade holds from the next period." },
        ui::sheet_form(
            &visit.frame,
            &url,
            html! {
                div.in hx-post=(url) hx-trigger="change" hx-include="closest form" hx-sync="this:replace" hx-target="#effect"
                    hx-select="#effect" hx-swap="outerMorph" hx-vals=(format!(r#"{{"{STEP}":"preview"}}"#)) {
                    @if let Some(problem) = problem { (ui::summary(problem)) }
                    (ui::field::choices("Plan", "plan", &options, fields.text("plan"), current))
                    div.pair {
                        (ui::field::field("Paid", "interval").value(interval).error(problem, "/to/interval").select(&[("month", "every month"), ("year", "every year")]))
                        (ui::field::field("Extra seats", "seats").value(fields.text("seats")).optional().error(problem, "/to/seats").input("number"))
                    }
                    @if visit.may("billing:administer") {
                        (ui::field::field("First day of cheaper terms", "effective").value(fields.text("effective")).optional().hint("The next period if empty. Inside the period, what was paid is credited.").error(problem, "/effective").input("date"))
                    }
                    div #effect aria-live="polite" {
                        (effect(&quote))
                        @if is_missing { (method_missing(visit)) }
                    }
                }
                footer {
                    a.btn.edge href=(visit.url("/billing")) data-close { "Cancel" }
                    button.btn.edge.no-js type="submit" name=(STEP) value="preview" { "Preview" }
                    button.btn.main-act type="submit" name=(STEP) value="confirm" { (icon("check")) (button.unwrap_or("Change plan")) }
                }
            },
        ),
    );
    let crumbs = [("Billing", visit.url("/billing"))];
    let crumbs = [(crumbs[0].0, crumbs[0].1.as_str()), ("Change plan", "")];
    let response: Response = visit.page_with(problem, "Change plan", &crumbs, sheet);
    Ok(response)
}

fn method_missing(visit: &Visit) -> Markup {
    let url = visit.url("/billing/payment-methods");
    ui::note(
        "warn",
        "credit-card",
        "Add a payment method first",
        html! { p { "This is paid at once, and there is no payment method that can be charged. " a href=(url) { "Payment methods" } } },
    )
}

/// What the button says: the act.
fn button(quote: &Quote) -> Option<&'static str> {
    Some(match quote.action.as_str() {
        "choose" => "Choose plan",
        "activate" => "Subscribe and pay",
        "upgrade" => "Upgrade and pay",
        "downgrade" => "Schedule downgrade",
        _ => return None,
    })
}

/// What the change leads to.
fn effect(quote: &Result<Quote, Problem>) -> Markup {
    let quote = match quote {
        Ok(quote) => quote,
        Err(problem) => {
            let details = problem.errors.iter().map(|error| sentence(&error.detail)).collect::<Vec<_>>();
            let text = if details.is_empty() { sentence(&problem.detail) } else { details.join(" ") };
            return ui::note("bad", "circle-alert", "This is not possible yet", html! { p { (text) } });
        }
    };
    let currency = quote.currency.as_deref().unwrap_or_default();
    html! {
        input type="hidden" name="quote" value=(quote.digest);
        div.effect { h2 { (icon("eye")) "What will happen" } ul.list {
            @match quote.action.as_str() {
                "none" => li { (icon("info")) span { "Nothing: you hold this already." } },
                "withdraw" => li { (icon("arrow-right")) span { "The scheduled change is withdrawn." } },
                "choose" => li { (icon("arrow-right")) span { "It begins after the trial, on " (quote.effective) ". Nothing is paid before." } },
                _ => li { (icon("arrow-right")) span { "It holds from " (quote.effective) "." } },
            }
            @if quote.net != 0 { li { (icon("credit-card")) span { b { "To pay now: " (money(quote.total.max(0), currency)) } @if quote.waits_for.is_some() { ", without tax." } @else { ", with tax." } } } }
            @if let Some(renewal) = &quote.next_renewal { li { (icon("clock")) span { "Then " (money(renewal.total(), currency)) " on " (renewal.on) "." } } }
            @for it in &quote.over_limit { li { (icon("triangle-alert")) span { "You use " (it.used) " of " (it.limit) " " (words::words(&it.meter)) ": free some, or buy seats." } } }
        }
        @for document in &quote.documents { (lines(&document.lines, currency, document.net)) }
        }
    }
}
