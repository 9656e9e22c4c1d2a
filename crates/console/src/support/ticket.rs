//! Tickets: what an organization asks, and what the platform's staff answers.

mod act;
mod list;
mod show;

use std::collections::BTreeMap;

use axum::{Router, routing::get};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use crate::{
    Console,
    api::Page,
    identity::user::User,
    ui::{time, words},
    visit::Visit,
};

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/admin/tickets", get(list::all)).route("/admin/tickets/export", get(list::export_all))
}

pub(crate) fn settings() -> Router<Console> {
    Router::new()
        .route("/tickets", get(list::list))
        .route("/tickets/export", get(list::export))
        .route("/tickets/new", get(act::new_form).post(act::open))
        .route("/tickets/{ticket}", get(show::show))
        .route("/tickets/{ticket}/{command}", get(act::form).post(act::run))
}

/// What tickets are about.
const KINDS: [(&str, &str, &str); 2] = [
    ("support", "Support", "A question or a problem."),
    ("billing", "Billing", "The subscription, an invoice or a payment."),
];

#[derive(Debug, Clone, Deserialize)]
struct Ticket {
    id: String,
    organization: String,
    number: u64,
    kind: String,
    subject: Option<String>,
    status: String,
    opened_by: Person,
    requester: Person,
    opened_at: Timestamp,
    last_activity_at: Timestamp,
    messages: u64,
    escalated: bool,
    escalation: Option<Escalation>,
    assignee: Option<Person>,
    organization_name: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Person {
    id: String,
    side: String,
    name: Option<String>,
    staff_number: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Escalation {
    response_due_at: Timestamp,
    responded_at: Option<Timestamp>,
    response_missed: bool,
}

impl Ticket {
    /// `#12 No invoice`.
    fn title(&self) -> String {
        format!("#{} {}", self.number, self.subject.as_deref().unwrap_or("Erased subject"))
    }

    /// Its status, and that it is escalated.
    fn badges(&self) -> Markup {
        let is_missed = self.escalation.as_ref().is_some_and(|it| it.response_missed && it.responded_at.is_none());
        html! { (words::status(&self.status))
        @if self.escalated { " " (words::badge(if is_missed { "bad" } else { "warn" }, "Escalated")) } }
    }
}

impl Person {
    /// The name; of the staff, the number that organizations see, or the name for colleagues.
    fn shown(&self, staff: &BTreeMap<String, String>) -> String {
        let number = || self.staff_number.as_ref().map(|number| format!("PortTask staff {number}"));
        let colleague = || staff.get(&self.id).filter(|_| self.side == "staff").cloned();
        self.name.clone().or_else(colleague).or_else(number).unwrap_or_else(|| "Erased user".to_owned())
    }
}

impl Escalation {
    /// By when staff has to reply, or what became of it.
    fn shown(&self, visit: &Visit) -> Markup {
        let due = time::instant(&visit.frame, self.response_due_at);
        html! { @match self.responded_at {
            Some(at) => { "Staff replied " (time::instant(&visit.frame, at)) @if self.response_missed { ", after " (due) } }
            None if self.response_missed => { "A reply was due " (due) }
            None => { "Staff replies by " (due) }
        } }
    }
}

/// The names of the super admins, for one of them.
async fn staff(visit: &Visit) -> BTreeMap<String, String> {
    if !visit.may("super_admins:read") {
        return BTreeMap::new();
    }
    let call = visit.client.get("/v1/platform/super-admins").query([("status", "active"), ("limit", "200")]);
    let users = call.send::<Page<User>>().await.map(|answer| answer.body.items).unwrap_or_default();
    users
        .into_iter()
        .filter(|user| user.role == "super_admin")
        .map(|user| (user.id.clone(), user.name().to_owned()))
        .collect()
}
