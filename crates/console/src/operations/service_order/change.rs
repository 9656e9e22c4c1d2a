//! Commands on a service order: asking vendors, recording answers, canceling.

use axum::http::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{
    ServiceOrder, URL,
    form::{candidates, options},
};
use crate::{
    action::Action,
    api::Problem,
    form::Fields,
    ui::field::field,
    visit::{Answered, Visit},
};

const ANSWERS: [(&str, &str); 3] =
    [("accepted", "Accepted"), ("declined", "Declined"), ("completed", "Completed: the service was provided")];

/// What a command says and does: title, lead, button, what is said when done, inputs, body, whether it can be previewed.
struct Command {
    title: String,
    lead: &'static str,
    button: &'static str,
    done: &'static str,
    inputs: Markup,
    body: Value,
    is_previewed: bool,
}

async fn command(visit: &Visit, name: &str, order: &ServiceOrder, fields: Option<&Fields>) -> Result<Command, Problem> {
    let value = |name: &str| fields.map_or("", |fields| fields.text(name)).to_owned();
    let remark = || html! { (field("Remark", "remark").optional().value(&value("remark")).input("text")) };
    let with_remark = |mut body: Value| {
        if !value("remark").is_empty() {
            body["remark"] = value("remark").into();
        }
        body
    };
    Ok(match name {
        "assign" => {
            let vendors = candidates(visit, &order.service).await;
            let choice = options(&vendors, "Choose a vendor");
            Command {
                title: format!("Ask a vendor: {}", order.title()),
                lead: "They get an email with a link to accept or decline. A former vendor is told that the order is canceled, and the link becomes void.",
                button: "Ask",
                done: "The vendor gets an email with a link to answer.",
                inputs: html! { (field("Vendor", "vendor").value(&value("vendor")).hint("Active vendors who offer the service and have an email address for orders.").select(&choice)) },
                body: if value("vendor").is_empty() { json!({}) } else { json!({"vendor": value("vendor")}) },
                is_previewed: false,
            }
        }
        "ask-again" => Command {
            title: format!("Ask again: {}", order.title()),
            lead: "The vendor gets a new link; the former one becomes void.",
            button: "Ask again",
            done: "The vendor gets an email with a new link.",
            inputs: html! {},
            body: json!({}),
            is_previewed: true,
        },
        "answer" => {
            let answer = fields.map_or("accepted", |fields| fields.text("answer"));
            Command {
                title: format!("Record an answer: {}", order.title()),
                lead: "What the vendor said otherwise, such as by telephone.",
                button: "Record",
                done: "The answer is recorded.",
                inputs: html! { (field("Answer", "answer").value(answer).select(&ANSWERS)) (remark()) },
                body: with_remark(json!({"answer": answer})),
                is_previewed: false,
            }
        }
        "start" => Command {
            title: format!("Started: {}", order.title()),
            lead: "The service is being provided.",
            button: "Set the status",
            done: "The service is in progress.",
            inputs: html! {},
            body: json!({}),
            is_previewed: true,
        },
        "cancel" => Command {
            title: format!("Cancel {}", order.title()),
            lead: "A vendor who was asked gets an email, and the link becomes void.",
            button: "Cancel the order",
            done: "The service order is canceled.",
            inputs: remark(),
            body: with_remark(json!({})),
            is_previewed: true,
        },
        _ => return Err(Problem::new(StatusCode::NOT_FOUND, "There is no such page.")),
    })
}

async fn command_action<'a>(visit: &Visit, fields: Option<&Fields>) -> Result<Action<'a>, Problem> {
    let (name, resource) =
        (visit.param("command"), visit.path(&format!("/service-orders/{}", visit.param("service_order"))));
    let order = visit.client.get(resource.clone()).send::<ServiceOrder>().await?.body;
    let Command { title, lead, button, done, inputs, body, is_previewed } =
        command(visit, name, &order, fields).await?;
    Ok(Action {
        title,
        lead: html! { (lead) },
        button,
        is_dangerous: name == "cancel",
        method: Method::POST,
        path: format!("{resource}/{name}"),
        resource,
        body,
        inputs,
        is_previewed,
        typed: None,
        back: order.url(""),
        done: done.to_owned(),
        crumbs: vec![("Service orders".to_owned(), URL.to_owned()), (order.title(), order.url(""))],
    })
}

pub(super) async fn command_form(visit: Visit) -> Answered {
    visit.require("operations:write")?;
    command_action(&visit, None).await?.show(&visit).await
}

pub(super) async fn run_command(visit: Visit, fields: Fields) -> Answered {
    command_action(&visit, Some(&fields)).await?.submit(&visit, &fields).await
}
