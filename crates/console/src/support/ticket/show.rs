//! One ticket: its thread, and what can be done with it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::{Person, Ticket, staff};
use crate::{
    api::Page,
    form::STEP,
    ui::{self, field::field, icon, list::Asked, time, words},
    visit::{Answered, Visit},
};

#[derive(Debug, Deserialize)]
struct Entry {
    kind: String,
    author: Option<Person>,
    text: Option<String>,
    occurred_at: Timestamp,
}

#[derive(Debug, Deserialize)]
struct Note {
    author: String,
    text: Option<String>,
    created_at: Timestamp,
}

pub(super) async fn show(visit: Visit) -> Answered {
    let path = format!("/tickets/{}", visit.param("ticket"));
    let ticket = visit.get(&path).send::<Ticket>().await?.body;
    let asked = Asked::of(&visit.frame.url);
    let entries = visit.get(&format!("{path}/entries")).query(asked.pick(&["cursor"])).query([("limit", "100")]);
    let entries = entries.send::<Page<Entry>>().await?.body;
    let staff = staff(&visit).await;
    let notes = match visit.may("tickets:manage") {
        true => Some(visit.get(&format!("{path}/notes")).send::<Page<Note>>().await?.body.items),
        false => None,
    };
    let url = visit.url(&path);
    let content = html! {
        div.head { div { h1 { (ticket.title()) } p { (ticket.badges()) " " (words::words(&ticket.kind)) } } div.row { (actions(&visit, &ticket, &url)) } }
        div.grid.wide {
            div.form {
                section.card aria-label="Thread" { ul.thread { @for entry in &entries.items { (entry_of(&visit, entry, &staff)) } }
                    @if let Some(next) = &entries.next_cursor { div.foot { span {} a.btn.edge rel="next" href=(asked.changed(&[("cursor", next)])) { "Later messages" (icon("chevron-right")) } } } }
                @if visit.may("tickets:write") && ticket.status == "open" { (reply(&visit, &url)) }
            }
            div.form {
                section.card { header { h2 { "Ticket" } } (facts(&visit, &ticket, &staff)) }
                @if let Some(notes) = &notes { (internal(&visit, notes, &url, &staff)) }
            }
        }
    };
    let title = ticket.title();
    Ok(visit.page(
        &title,
        &[("Settings", &visit.url("/general")), ("Tickets", &visit.url("/tickets")), (&title, "")],
        content,
    ))
}

fn actions(visit: &Visit, ticket: &Ticket, url: &str) -> Markup {
    let (is_open, is_staff) = (ticket.status == "open", visit.frame.is_staff());
    let awaits_staff = ticket.escalated && ticket.escalation.as_ref().is_some_and(|it| it.responded_at.is_none());
    html! {
        @if visit.may("tickets:manage") { (ui::sheet_link(&format!("{url}/assign"), "btn edge", "user-cog", "Assign…")) }
        @if visit.may("tickets:write") {
            @if is_open && !is_staff && !awaits_staff { (ui::sheet_link(&format!("{url}/escalate"), "btn edge", "flag", "Escalate…")) }
            @if is_open { (ui::sheet_link(&format!("{url}/resolve"), "btn edge", "circle-check", "Resolve…")) }
            @else { (ui::sheet_link(&format!("{url}/reopen"), "btn edge", "rotate-ccw", "Reopen…")) }
        }
    }
}

fn facts(visit: &Visit, ticket: &Ticket, staff: &BTreeMap<String, String>) -> Markup {
    html! { dl.facts {
        dt { "Opened" } dd { (time::instant(&visit.frame, ticket.opened_at)) " by " (ticket.opened_by.shown(staff)) }
        @if ticket.requester.id != ticket.opened_by.id { dt { "Handed over" } dd { "to " (ticket.requester.shown(staff)) ", who gets the emails" } }
        @if let Some(escalation) = ticket.escalation.as_ref().filter(|_| ticket.escalated) { dt { "Escalation" } dd { (escalation.shown(visit)) } }
        dt { "Assignee" } dd { (ticket.assignee.as_ref().map_or_else(|| "nobody".to_owned(), |person| person.shown(staff))) }
        dt { "Id" } dd { (ui::id(&ticket.id)) }
        @if visit.may("audit_log:read") { dt { "History" } dd { a href=(visit.url(&format!("/audit-log?target={}", ticket.id))) { "Audit log" } } }
    } }
}

fn entry_of(visit: &Visit, entry: &Entry, staff: &BTreeMap<String, String>) -> Markup {
    let author = entry.author.as_ref().map(|person| person.shown(staff));
    let done = match entry.kind.as_str() {
        "opened" => "opened the ticket",
        "reply" => "replied",
        "escalated" => "escalated the ticket",
        "handed_over" => "took the ticket over",
        "resolved" => "resolved the ticket",
        "reopened" => "reopened the ticket",
        _ => "Staff has not replied in time",
    };
    html! { li {
        div.who { (ui::face(author.as_deref().unwrap_or_default(), "")) span {
            b { @if let Some(author) = &author { (author) " " } (done) }
            small { (time::instant(&visit.frame, entry.occurred_at)) }
        } }
        @match (&entry.text, entry.kind.as_str()) {
            (Some(text), _) => p.prose { (text) },
            (None, "opened" | "reply" | "escalated") => p.soft { "The text was erased." },
            (None, _) => {}
        }
    } }
}

fn reply(visit: &Visit, url: &str) -> Markup {
    html! { section.card aria-label="Reply" { (ui::form(&visit.frame, &format!("{url}/reply"), html! { div.in.form {
        (field("Reply", "text").id("f-reply").area(5))
        div.row { button.btn.main-act type="submit" name=(STEP) value="confirm" { (icon("check")) "Reply" } }
    } })) } }
}

fn internal(visit: &Visit, notes: &[Note], url: &str, staff: &BTreeMap<String, String>) -> Markup {
    let name = |note: &Note| staff.get(&note.author).cloned().unwrap_or_else(|| "Former super admin".to_owned());
    html! { section.card { header { h2 { "Internal notes" } (ui::sheet_link(&format!("{url}/note"), "btn edge", "plus", "Add note")) }
        @if notes.is_empty() { p.in.soft { "None. The organization does not see them." } }
        @else { ul.thread { @for note in notes { li {
            div.who { span { b { (name(note)) } small { (time::instant(&visit.frame, note.created_at)) } } }
            p.prose { (note.text.as_deref().unwrap_or("The text was erased.")) }
        } } } }
    } }
}
