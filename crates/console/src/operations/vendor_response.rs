//! The page that the link in an email to a vendor opens: what is ordered, and the answer.
//!
//! As on the pages of other links, the token stands behind `#`, and a script moves it into the form.

use axum::{
    Router,
    extract::State,
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::service_order::Price;
use crate::{
    Console,
    api::{Client, Problem},
    form::{Fields, STEP},
    identity::link::{ask_for, token_of},
    ui::{self, door, field::field, time, words},
};

pub(crate) const PATH: &str = "/vendor-response";
const TITLE: &str = "Answer an order";

pub(crate) fn routes() -> Router<Console> {
    let show = || async { ask("", None) };
    let submit = |State(console): State<Console>, parts: Parts, fields: Fields| async move {
        submitted(&console, &parts, &fields).await
    };
    Router::new().route("/vendor-response", get(show).post(submit))
}

/// The page that asks for the token, with what was pasted.
pub(crate) fn ask(token: &str, problem: Option<&Problem>) -> Markup {
    ask_for(TITLE, PATH, token, problem)
}

/// What a link is for.
#[derive(Debug, Deserialize)]
struct Link {
    state: String,
    organization: Organization,
    service_order: Option<Asked>,
    expires_at: Timestamp,
}

#[derive(Debug, Deserialize)]
struct Organization {
    name: String,
}

/// What is ordered.
#[derive(Debug, Deserialize)]
struct Asked {
    vessel: String,
    imo: String,
    port_name: String,
    time_zone: String,
    eta: Timestamp,
    etd: Timestamp,
    service: String,
    details: String,
    requested_at: Timestamp,
    price: Option<Price>,
    status: String,
}

async fn submitted(console: &Console, parts: &Parts, fields: &Fields) -> Response {
    let client = Client::new(console, parts, None);
    let token = token_of(fields.text("token"));
    let link = match client.post("/v1/links/inspect").json(&json!({ "token": token })).send::<Link>().await {
        Ok(link) => link.body,
        Err(problem) => return answered(&problem, ask("", Some(&problem))),
    };
    let Some(asked) = link.service_order.as_ref().filter(|_| link.state == "valid") else {
        return (StatusCode::GONE, ended(&link)).into_response();
    };
    if fields.text(STEP) != "confirm" {
        return order(token, &link, asked, fields, None).into_response();
    }
    let mut body = fields.json(&["answer", "remark"]);
    body.insert("token".to_owned(), token.into());
    match client.post("/v1/vendor-responses").json(&Value::Object(body)).send::<Value>().await {
        Ok(_) => done(fields.text("answer"), &link).into_response(),
        Err(problem) => answered(&problem, order(token, &link, asked, fields, Some(&problem))),
    }
}

fn answered(problem: &Problem, page: Markup) -> Response {
    (StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), page).into_response()
}

/// What is ordered, and the answers that are possible now.
fn order(token: &str, link: &Link, asked: &Asked, fields: &Fields, problem: Option<&Problem>) -> Markup {
    let answers: &[(&str, &str)] = match asked.status.as_str() {
        "assigned" => &[("accepted", "We accept"), ("declined", "We decline")],
        _ => &[("completed", "The service was provided")],
    };
    let zone = &asked.time_zone;
    let lead =
        html! { p { b { (link.organization.name) } " orders " (words::words(&asked.service).to_lowercase()) "." } };
    door::card(
        TITLE,
        lead,
        html! {
            dl.facts {
                dt { "Vessel" } dd { (asked.vessel) br; span.soft { "IMO " (asked.imo) } }
                dt { "Port" } dd { (asked.port_name) }
                dt { "Expected" } dd { (time::at_port(asked.eta, zone)) " to " (time::at_port(asked.etd, zone)) }
                dt { "Needed" } dd { (time::at_port(asked.requested_at, zone)) }
                @if let Some(price) = &asked.price { dt { "Price" } dd { (price) } }
                dt { "Details" } dd { @for line in asked.details.lines() { (line) br; } }
            }
            @if asked.status != "assigned" { p { "You have accepted." } }
            form.form method="post" action=(PATH) novalidate {
                @if let Some(problem) = problem { (ui::summary(problem)) }
                input type="hidden" name="token" value=(token);
                (field("Your answer", "answer").value(fields.text("answer")).error(problem, "/answer").select(answers))
                (field("Remark", "remark").optional().value(fields.text("remark")).error(problem, "/remark").input("text"))
                button.btn.main-act type="submit" name=(STEP) value="confirm" { "Send the answer" }
            }
        },
    )
}

fn done(answer: &str, link: &Link) -> Markup {
    let name = &link.organization.name;
    let (title, text) = match answer {
        "accepted" => {
            ("You have accepted", "Open the link in the email again to report that the service was provided.")
        }
        "declined" => ("You have declined", "There is nothing more to do."),
        _ => ("The service was provided", "Thank you. There is nothing more to do."),
    };
    door::card(title, html! { p { b { (name) } " is told." } }, html! { p { (text) } })
}

/// What to do with a link that is no longer valid.
fn ended(link: &Link) -> Markup {
    let text = match link.state.as_str() {
        "used" => "The order was answered already.",
        "replaced" => "A newer link was sent. Use the latest email.",
        "expired" => "It has expired.",
        _ => "The order was withdrawn.",
    };
    door::card(
        "This link cannot be used",
        html! { p { b { (link.organization.name) } } },
        html! { div.form {
            p { (text) }
            p.soft { "It was valid until " time datetime=(link.expires_at) { (link.expires_at.strftime("%-d %b %Y, %H:%M")) " UTC" } "." }
        } },
    )
}
