//! What is done with a ticket: open it, reply, escalate, resolve, reopen; for staff: assign it, and add internal notes.

use axum::{
    http::{Method, StatusCode},
    response::Response,
};
use maud::html;
use serde_json::{Value, json};

use super::{KINDS, Ticket, staff};
use crate::{
    action::{Action, Effect, Inputs},
    api::Problem,
    failure::Failure,
    form::Fields,
    ui::{
        self,
        field::{choices, field},
        icon,
    },
    visit::{Answered, Message, Visit},
};

pub(super) async fn new_form(visit: Visit) -> Answered {
    visit.require("tickets:write")?;
    Ok(new_page(&visit, &Fields::default(), None))
}

fn new_page(visit: &Visit, fields: &Fields, problem: Option<&Problem>) -> Response {
    let (url, kind) = (visit.url("/tickets/new"), fields.text("kind"));
    let sheet = ui::sheet(
        "New ticket",
        html! { "PortTask’s staff is notified, and you get an email when they reply." },
        ui::sheet_form(
            &visit.frame,
            &url,
            html! {
                div.in {
                    @if let Some(problem) = problem { (ui::summary(problem)) }
                    (choices("Kind", "kind", &KINDS, if kind.is_empty() { "support" } else { kind }, ""))
                    (field("Subject", "subject").value(fields.text("subject")).error(problem, "/subject").input("text"))
                    (field("Text", "text").value(fields.exact("text")).error(problem, "/text").area(8))
                }
                footer {
                    a.btn.edge href=(visit.url("/tickets")) data-close { "Cancel" }
                    button.btn.main-act type="submit" { (icon("check")) "Open ticket" }
                }
            },
        ),
    );
    let crumbs = [("Tickets", visit.url("/tickets")), ("New ticket", String::new())];
    visit.page_with(problem, "New ticket", &crumbs.each_ref().map(|(text, url)| (*text, url.as_str())), sheet)
}

pub(super) async fn open(visit: Visit, fields: Fields) -> Answered {
    let body = json!({"kind": fields.text("kind"), "subject": fields.text("subject"), "text": fields.exact("text")});
    let call = visit.client.post(visit.path("/tickets")).key(fields.key()).json(&body);
    match call.send::<Effect>().await {
        Ok(answer) => {
            let text = "The ticket is open. You get an email when staff replies.".to_owned();
            Ok(visit.done(&visit.url(&format!("/tickets/{}", answer.body.id)), &Message { text, ..Message::default() }))
        }
        Err(problem) if matches!(problem.status, 401 | 403 | 404) => Err(problem.into()),
        Err(problem) => Ok(new_page(&visit, &fields, Some(&problem))),
    }
}

/// What a command needs and does.
struct Act {
    title: &'static str,
    lead: &'static str,
    button: &'static str,
    done: &'static str,
    right: &'static str,
    /// The field that is entered, and its label.
    entered: Option<(&'static str, &'static str)>,
}

fn act(command: &str) -> Option<Act> {
    let act = |title, lead, button, done, right, entered| Some(Act { title, lead, button, done, right, entered });
    let (write, manage) = ("tickets:write", "tickets:manage");
    match command {
        "reply" => {
            act("Reply to", "Both sides see it.", "Reply", "Your reply is sent.", write, Some(("text", "Reply")))
        }
        "escalate" => act(
            "Escalate",
            "Staff has to reply within some of your business hours. By when is shown in the ticket.",
            "Escalate",
            "The ticket is escalated.",
            write,
            Some(("reason", "Reason")),
        ),
        "resolve" => act("Resolve", "It can be reopened.", "Resolve", "The ticket is resolved.", write, None),
        "reopen" => act("Reopen", "Both sides can reply again.", "Reopen", "The ticket is open again.", write, None),
        "assign" => {
            act("Assign", "The assignee is shown to both sides.", "Assign", "The ticket is assigned.", manage, None)
        }
        "note" => act(
            "Add a note to",
            "Only staff sees it.",
            "Add note",
            "The note is added.",
            manage,
            Some(("text", "Note")),
        ),
        _ => None,
    }
}

async fn action<'a>(visit: &Visit, fields: Option<&Fields>) -> Result<Action<'a>, Problem> {
    let command = visit.param("command");
    let Some(Act { title, lead, button, done, entered, right: _ }) = act(command) else {
        return Err(Problem::new(StatusCode::NOT_FOUND, "There is no such page."));
    };
    let path = visit.path(&format!("/tickets/{}", visit.param("ticket")));
    let ticket = visit.client.get(path.clone()).send::<Ticket>().await?.body;
    let url = visit.url(&format!("/tickets/{}", ticket.id));
    let text = |name: &str| fields.map_or("", |fields| fields.exact(name)).to_owned();
    let assignee = fields.map_or_else(
        || ticket.assignee.as_ref().map(|person| person.id.clone()).unwrap_or_default(),
        |fields| fields.text("assignee").to_owned(),
    );
    let (body, inputs) = match (command, entered) {
        ("assign", _) => {
            let staff = staff(visit).await;
            let body = json!({"assignee": if assignee.is_empty() { Value::Null } else { assignee.as_str().into() }});
            let inputs = Inputs::new(move |problem| {
                let staff = staff.iter().map(|(id, name)| (id.as_str(), name.as_str()));
                let options: Vec<(&str, &str)> = [("", "Nobody")].into_iter().chain(staff).collect();
                field("Assignee", "assignee").value(&assignee).error(problem, "/assignee").select(&options)
            });
            (body, inputs)
        }
        (_, Some((name, label))) => {
            let value = text(name);
            let body = json!({name: value.trim()});
            let inputs = Inputs::new(move |problem| {
                field(label, name).value(&value).error(problem, &format!("/{name}")).area(5)
            });
            (body, inputs)
        }
        (_, None) => (json!({}), Inputs::none()),
    };
    let operation = if command == "note" { "notes" } else { command };
    // Both sides may write at the same time.
    let is_text = entered.is_some();
    Ok(Action {
        title: format!("{title} ticket #{}", ticket.number),
        lead: html! { (lead) },
        button,
        is_dangerous: false,
        method: Method::POST,
        path: format!("{path}/{operation}"),
        resource: if is_text { String::new() } else { path },
        body,
        inputs,
        is_previewed: !is_text,
        typed: None,
        back: url.clone(),
        done: done.to_owned(),
        crumbs: vec![("Tickets".to_owned(), visit.url("/tickets")), (ticket.title(), url)],
    })
}

/// Refuses a page for what the reader may not do.
fn require(visit: &Visit) -> Result<(), Failure> {
    act(visit.param("command")).map_or(Ok(()), |act| visit.require(act.right))
}

pub(super) async fn form(visit: Visit) -> Answered {
    require(&visit)?;
    action(&visit, None).await?.show(&visit).await
}

pub(super) async fn run(visit: Visit, fields: Fields) -> Answered {
    require(&visit)?;
    action(&visit, Some(&fields)).await?.submit(&visit, &fields).await
}
