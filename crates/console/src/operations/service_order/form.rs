//! The forms by which services are ordered, and orders changed.

use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{ServiceOrder, URL};
use crate::{
    action::{conflict, outdated},
    api::{Page, Problem},
    form::{Fields, STEP, VERSION},
    operations::vendor::services,
    ui::{self, field::field, icon, time},
    visit::{Answered, Message, Visit},
};

/// A vendor who may be asked.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Candidate {
    id: String,
    name: String,
    order_email: Option<String>,
}

/// The active vendors with an email address for orders; of a service, if it is given.
///
/// # Errors
/// If they cannot be read: nobody must choose from a part of them.
pub(super) async fn candidates(visit: &Visit, service: &str) -> Result<Vec<Candidate>, Problem> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let call = visit.get("/vendors").query([("status", "active"), ("service", service), ("limit", "200")]);
        let page = call.query([("cursor", cursor.as_str())]).send::<Page<Candidate>>().await?.body;
        found.extend(page.items.into_iter().filter(|it| it.order_email.is_some()));
        match page.next_cursor {
            Some(next) => cursor = next,
            None => return Ok(found),
        }
    }
}

/// The vendors as options of a choice.
pub(super) fn options<'a>(vendors: &'a [Candidate], nobody: &'a str) -> Vec<(&'a str, &'a str)> {
    let vendors = vendors.iter().map(|it| (it.id.as_str(), it.name.as_str()));
    [("", nobody)].into_iter().chain(vendors).collect()
}

/// What the form is about, and where it leads.
struct Subject {
    title: String,
    url: String,
    back: String,
    zone: String,
    version: String,
    note: Markup,
    /// Whether a vendor can be asked at once.
    asks: bool,
}

#[derive(Debug, Deserialize)]
struct OrderedCall {
    id: String,
    vessel: String,
    port: Place,
}

#[derive(Debug, Deserialize)]
struct Place {
    name: String,
    time_zone: String,
}

async fn new_subject(visit: &Visit) -> Result<(OrderedCall, Subject), Problem> {
    let call = visit.get(&format!("/port-calls/{}", visit.param("port_call"))).send::<OrderedCall>().await?.body;
    let back = format!("/operations/port-calls/{}", call.id);
    let subject = Subject {
        title: format!("Order a service for {} at {}", call.vessel, call.port.name),
        url: format!("{back}/order"),
        back,
        zone: call.port.time_zone.clone(),
        version: String::new(),
        note: html! {},
        asks: true,
    };
    Ok((call, subject))
}

async fn page(visit: &Visit, fields: &Fields, subject: Subject, problem: Option<&Problem>) -> Response {
    // Without the vendors, the order can still be a draft.
    let vendors = if subject.asks { candidates(visit, "").await } else { Ok(Vec::new()) };
    let services = services();
    let services: Vec<(&str, &str)> = services.iter().map(|(code, name)| (*code, name.as_str())).collect();
    let input = |label: &'static str, name: &'static str, pointer: &str| {
        field(label, name).value(fields.text(name)).error(problem, pointer)
    };
    let hint = format!("Local time in {}.", subject.zone);
    let content = html! {
        (ui::head(&subject.title, "What the vendor reads.", html! {}))
        section.card { (ui::form(&visit.frame, &subject.url, html! { div.in.form {
            input type="hidden" name=(VERSION) value=(subject.version);
            @if let Some(problem) = problem { (ui::summary(problem)) }
            (subject.note)
            (input("Service", "service", "/service").select(&services))
            (field("Details", "details").value(fields.exact("details")).error(problem, "/details").area(4))
            (input("Needed", "requested_at", "/requested_at").hint(&hint).input("datetime-local"))
            div.pair {
                (input("Price", "amount", "/price/amount").optional().hint("Such as 1250.00.").input("text"))
                (input("Currency", "currency", "/price/currency").optional().hint("Such as EUR.").input("text"))
            }
            @if subject.asks {
                @match &vendors {
                    Ok(vendors) => (input("Ask this vendor at once", "vendor", "/vendor").optional().hint("Active vendors with an email address for orders.").select(&options(vendors, "Nobody yet"))),
                    Err(problem) => p.soft { "The vendors could not be loaded: " (problem.detail) },
                }
            }
            div.row {
                button.btn.main-act type="submit" name=(STEP) value="confirm" { (icon("check")) @if subject.asks { "Order" } @else { "Save" } }
                a.btn.edge href=(subject.back) { "Cancel" }
            }
        } })) }
    };
    visit.page_with(problem, &subject.title, &[("Service orders", URL), (&subject.title, "")], content)
}

/// The price that was entered.
fn price(fields: &Fields) -> Option<Value> {
    let (amount, currency) = (fields.text("amount"), fields.text("currency"));
    (!amount.is_empty() || !currency.is_empty()).then(|| json!({"amount": amount, "currency": currency}))
}

pub(super) async fn new_form(visit: Visit) -> Answered {
    visit.require("operations:write")?;
    let (_, subject) = new_subject(&visit).await?;
    Ok(page(&visit, &Fields::default(), subject, None).await)
}

pub(super) async fn create(visit: Visit, fields: Fields) -> Answered {
    let (call, subject) = new_subject(&visit).await?;
    let mut body = fields.json(&["service", "details", "requested_at", "vendor"]);
    body.insert("port_call".to_owned(), call.id.into());
    body.extend(price(&fields).map(|price| ("price".to_owned(), price)));
    let request = visit.client.post(visit.path("/service-orders")).key(fields.key()).json(&body.into());
    match request.send::<Value>().await {
        Ok(_) => {
            let text = match fields.text("vendor") {
                "" => "The service order is a draft: ask a vendor when you are ready.",
                _ => "The vendor gets an email with a link to answer.",
            };
            Ok(visit.done(&subject.back, &Message { text: text.to_owned(), ..Message::default() }))
        }
        Err(problem) if matches!(problem.status, 401 | 404) => Err(problem.into()),
        Err(problem) => Ok(page(&visit, &fields, subject, Some(&problem)).await),
    }
}

fn edit_subject(order: &ServiceOrder, version: &str, note: Markup) -> Subject {
    Subject {
        title: format!("Change {}", order.title()),
        url: order.url("/edit"),
        back: order.url(""),
        zone: order.zone().to_owned(),
        version: version.to_owned(),
        note,
        asks: false,
    }
}

fn values(order: &ServiceOrder) -> Vec<(&'static str, String)> {
    let price = order.price.clone();
    vec![
        ("service", order.service.clone()),
        ("details", order.details.clone()),
        ("requested_at", time::local_input(order.requested_at, order.zone())),
        ("amount", price.as_ref().map(|price| price.amount.clone()).unwrap_or_default()),
        ("currency", price.map(|price| price.currency).unwrap_or_default()),
    ]
}

/// What an amendment means for a vendor who was asked.
fn warning(order: &ServiceOrder) -> Markup {
    let title = match order.status.as_str() {
        "assigned" => "The vendor was asked",
        "accepted" | "in_progress" => "The vendor has accepted",
        _ => return html! {},
    };
    ui::note("warn", "triangle-alert", title, html! { p { "After a change, they are asked again, with a new link." } })
}

pub(super) async fn edit_form(visit: Visit) -> Answered {
    visit.require("operations:write")?;
    let answer = visit.get(&format!("/service-orders/{}", visit.param("service_order"))).send::<ServiceOrder>().await?;
    let subject = edit_subject(&answer.body, answer.etag.as_deref().unwrap_or_default(), warning(&answer.body));
    Ok(page(&visit, &Fields::with(values(&answer.body)), subject, None).await)
}

/// What was changed in the form.
fn patch(fields: &Fields, order: &ServiceOrder) -> Value {
    let now = values(order);
    let is_changed = |name: &str| {
        let entered = fields.text(name).replace("\r\n", "\n");
        now.iter().any(|(it, value)| *it == name && entered != value.trim())
    };
    let changed = ["service", "details", "requested_at"].into_iter().filter(|name| is_changed(name));
    let mut body: Map<String, Value> = changed.map(|name| (name.to_owned(), fields.text(name).into())).collect();
    if is_changed("amount") || is_changed("currency") {
        body.insert("price".to_owned(), price(fields).unwrap_or(Value::Null));
    }
    body.into()
}

pub(super) async fn save(visit: Visit, fields: Fields) -> Answered {
    let path = visit.path(&format!("/service-orders/{}", visit.param("service_order")));
    let answer = visit.client.get(path.clone()).send::<ServiceOrder>().await?;
    let (order, etag) = (&answer.body, answer.etag.as_deref().unwrap_or_default());
    match visit.client.patch(path).version(fields.version()).json(&patch(&fields, order)).send::<Value>().await {
        Ok(_) => {
            let text = "The service order is saved.".to_owned();
            Ok(visit.done(&order.url(""), &Message { text, ..Message::default() }))
        }
        Err(problem) if matches!(problem.status, 401 | 404) => Err(problem.into()),
        Err(problem) if problem.status == 412 => Ok(outdated(
            page(&visit, &fields, edit_subject(order, etag, conflict(&visit, &problem, "Save")), None).await,
        )),
        Err(problem) => {
            Ok(page(&visit, &fields, edit_subject(order, fields.version(), html! {}), Some(&problem)).await)
        }
    }
}
