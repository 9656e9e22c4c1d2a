//! Commands on a service order: asking vendors, recording answers, canceling.

use axum::http::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{
    ServiceOrder, URL,
    form::{candidates, options},
};
use crate::{
    action::{Action, Inputs},
    api::Problem,
    form::Fields,
    ui::field::field,
    visit::{Answered, Visit},
};

const ANSWERS: [(&str, &str); 3] =
    [("accepted", "Accepted"), ("declined", "Declined"), ("completed", "Completed: the service was provided")];

/// What a command says and does: title, lead, button, what is said when done, inputs, body, whether it can be previewed.
struct Command<'a> {
    title: String,
    lead: &'static str,
    button: &'static str,
    done: &'static str,
    inputs: Inputs<'a>,
    body: Value,
    is_previewed: bool,
}

/// The input of a remark.
fn remark_input(value: &str, problem: Option<&Problem>) -> Markup {
    field("Remark", "remark").optional().value(value).error(problem, "/remark").input("text")
}

async fn command<'a>(
    visit: &Visit,
    name: &str,
    order: &ServiceOrder,
    fields: Option<&Fields>,
) -> Result<Command<'a>, Problem> {
    let value = |name: &str| fields.map_or("", |fields| fields.text(name)).to_owned();
    let remark = value("remark");
    let with_remark = |mut body: Value| {
        if !value("remark").is_empty() {
            body["remark"] = value("remark").into();
        }
        body
    };
    Ok(match name {
        "assign" => {
            let vendors = candidates(visit, &order.service).await?;
            let vendor = value("vendor");
            let body = if vendor.is_empty() { json!({}) } else { json!({"vendor": vendor}) };
            Command {
                title: format!("Ask a vendor: {}", order.title()),
                lead: "They get an email with a link to accept or decline. A former vendor is told that the order is canceled, and the link becomes void.",
                button: "Ask",
                done: "The vendor gets an email with a link to answer.",
                inputs: Inputs::new(move |problem| {
                    let hint = "Active vendors who offer the service and have an email address for orders.";
                    let vendor = field("Vendor", "vendor").value(&vendor).hint(hint);
                    vendor.error(problem, "/vendor").select(&options(&vendors, "Choose a vendor"))
                }),
                body,
                is_previewed: false,
            }
        }
        "ask-again" => Command {
            title: format!("Ask again: {}", order.title()),
            lead: "The vendor gets a new link; the former one becomes void.",
            button: "Ask again",
            done: "The vendor gets an email with a new link.",
            inputs: Inputs::none(),
            body: json!({}),
            is_previewed: true,
        },
        "answer" => {
            let answer = fields.map_or("accepted", |fields| fields.text("answer")).to_owned();
            let body = with_remark(json!({"answer": answer}));
            Command {
                title: format!("Record an answer: {}", order.title()),
                lead: "What the vendor said otherwise, such as by telephone.",
                button: "Record",
                done: "The answer is recorded.",
                inputs: Inputs::new(move |problem| {
                    html! {
                        (field("Answer", "answer").value(&answer).error(problem, "/answer").select(&ANSWERS))
                        (remark_input(&remark, problem))
                    }
                }),
                body,
                is_previewed: false,
            }
        }
        "start" => Command {
            title: format!("Started: {}", order.title()),
            lead: "The service is being provided.",
            button: "Set the status",
            done: "The service is in progress.",
            inputs: Inputs::none(),
            body: json!({}),
            is_previewed: true,
        },
        "cancel" => Command {
            title: format!("Cancel {}", order.title()),
            lead: "A vendor who was asked gets an email, and the link becomes void.",
            button: "Cancel the order",
            done: "The service order is canceled.",
            inputs: Inputs::new(move |problem| remark_input(&remark, problem)),
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
