//! Commands on a port call: its statuses, and deleting it.

use axum::http::{Method, StatusCode};
use maud::html;
use serde_json::{Map, Value, json};

use super::{PortCall, URL};
use crate::{
    action::{Action, Inputs},
    api::Problem,
    form::Fields,
    ui::{field::field, words},
    visit::{Answered, Visit},
};

fn right(command: &str) -> &'static str {
    if command == "reopen" { "operations:manage" } else { "operations:write" }
}

/// When it was reached, and a remark.
fn step_inputs<'a>(call: &PortCall, fields: Option<&Fields>) -> Inputs<'a> {
    let value = |name: &str| fields.map_or("", |fields| fields.text(name)).to_owned();
    let (occurred_at, remark) = (value("occurred_at"), value("remark"));
    let hint = format!("Local time in {}. Empty: now.", call.port.time_zone);
    Inputs::new(move |problem| {
        let when = field("When", "occurred_at").optional().value(&occurred_at).hint(&hint);
        let remark = field("Remark", "remark").optional().value(&remark);
        html! {
            (when.error(problem, "/occurred_at").input("datetime-local"))
            (remark.error(problem, "/remark").input("text"))
        }
    })
}

fn step_body(fields: Option<&Fields>) -> Map<String, Value> {
    fields.map(|fields| fields.json(&["occurred_at", "remark"])).unwrap_or_default()
}

/// What a command says and does: title, lead, button, what is said when done, inputs, body.
struct Command<'a> {
    title: String,
    lead: &'static str,
    button: &'static str,
    done: String,
    inputs: Inputs<'a>,
    body: Value,
}

fn command<'a>(name: &str, call: &PortCall, fields: Option<&Fields>) -> Result<Command<'a>, Problem> {
    let impossible = |detail: &str| Problem::new(StatusCode::CONFLICT, detail);
    let (vessel, now) = (&call.vessel, words::words(&call.status));
    Ok(match name {
        "status" => {
            let next =
                call.next().ok_or_else(|| impossible("The port call is closed or canceled: no status follows."))?;
            let mut body = step_body(fields);
            body.insert("status".to_owned(), next.into());
            Command {
                title: format!("{}: {}", words::words(next), call.title()),
                lead: "The next status. It can be taken back as long as the port call is open.",
                button: "Set the status",
                done: format!("{vessel}: {}.", words::words(next)),
                inputs: step_inputs(call, fields),
                body: body.into(),
            }
        }
        "revert-status" if call.statuses.len() < 2 || call.next().is_none() => {
            return Err(impossible("There is no status to take back."));
        }
        "revert-status" => Command {
            title: format!("Take back {now}"),
            lead: "For a status that was set by mistake. The audit log keeps both.",
            button: "Take back",
            done: format!("{vessel}: {now} is taken back."),
            inputs: Inputs::none(),
            body: json!({"status": call.status}),
        },
        "cancel" => Command {
            title: format!("Cancel {}", call.title()),
            lead: "It does not take place. An admin can reopen it.",
            button: "Cancel the port call",
            done: format!("The port call of {vessel} is canceled."),
            inputs: step_inputs(call, fields),
            body: step_body(fields).into(),
        },
        "reopen" => Command {
            title: format!("Reopen {}", call.title()),
            lead: "It has its former status again.",
            button: "Reopen",
            done: format!("The port call of {vessel} is open again."),
            inputs: Inputs::none(),
            body: json!({}),
        },
        "delete" => Command {
            title: format!("Delete {}", call.title()),
            lead: "It leaves the lists. Its history stays in the audit log, and it still counts for its month.",
            button: "Delete",
            done: format!("The port call of {vessel} is deleted."),
            inputs: Inputs::none(),
            body: Value::Null,
        },
        _ => return Err(Problem::new(StatusCode::NOT_FOUND, "There is no such page.")),
    })
}

async fn command_action<'a>(visit: &Visit, fields: Option<&Fields>) -> Result<Action<'a>, Problem> {
    let (name, resource) = (visit.param("command"), visit.path(&format!("/port-calls/{}", visit.param("port_call"))));
    let call = visit.client.get(resource.clone()).send::<PortCall>().await?.body;
    let Command { title, lead, button, done, inputs, body } = command(name, &call, fields)?;
    let is_deletion = name == "delete";
    Ok(Action {
        title,
        lead: html! { (lead) },
        button,
        is_dangerous: matches!(name, "cancel" | "delete"),
        method: if is_deletion { Method::DELETE } else { Method::POST },
        path: if is_deletion { resource.clone() } else { format!("{resource}/{name}") },
        resource,
        body,
        inputs,
        is_previewed: true,
        typed: None,
        back: if is_deletion { URL.to_owned() } else { call.url("") },
        done,
        crumbs: vec![("Port calls".to_owned(), URL.to_owned()), (call.title(), call.url(""))],
    })
}

pub(super) async fn command_form(visit: Visit) -> Answered {
    visit.require(right(visit.param("command")))?;
    command_action(&visit, None).await?.show(&visit).await
}

pub(super) async fn run_command(visit: Visit, fields: Fields) -> Answered {
    command_action(&visit, Some(&fields)).await?.submit(&visit, &fields).await
}
