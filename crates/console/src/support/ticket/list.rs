//! Lists of tickets: of an organization, and of all of them.

use maud::{Markup, html};

use super::{Ticket, staff};
use crate::{
    form::attachment,
    ui::{
        self, icon,
        list::{Asked, Column, Listing, Select},
        time, words,
    },
    visit::{Answered, Visit},
};

const TABS: [(&str, &str); 3] = [("", "All"), ("open", "Open"), ("resolved", "Resolved")];
const KIND_FILTER: [(&str, &str); 3] = [("", "Support and billing"), ("support", "Support"), ("billing", "Billing")];
const ESCALATED_FILTER: [(&str, &str); 3] =
    [("", "Escalated or not"), ("true", "Escalated"), ("false", "Not escalated")];
const SELECTS: [Select<'static>; 2] = [
    Select { name: "kind", label: "Kind", options: &KIND_FILTER },
    Select { name: "escalated", label: "Escalation", options: &ESCALATED_FILTER },
];
const ALL_URL: &str = "/admin/tickets";

pub(super) async fn list(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let call = visit.get("/tickets").query(asked.pick(&["status", "kind", "escalated", "q", "sort", "cursor"]));
    let found = call.query([("limit", "25"), ("count", "true")]).page::<Ticket>().await?;
    let url = visit.url("/tickets");
    let new = html! { @if visit.may("tickets:write") { (ui::sheet_link(&format!("{url}/new"), "btn main-act", "plus", "New ticket")) } };
    let listing = Listing {
        name: "Tickets",
        tabs: Some(("status", &TABS)),
        search: Some("Subject"),
        selects: &SELECTS,
        inputs: &[],
        columns: &[
            Column("Ticket", "number", ""),
            Column("Kind", "", "only-wide"),
            Column("Status", "", "only-wide"),
            Column("Last activity", "last_activity_at", "only-wide"),
        ],
        nothing: ui::empty("ticket", "No ticket yet", "Ask PortTask’s staff a question, or about a bill.", new.clone()),
        panel: None,
    };
    let actions =
        html! { a.btn.edge data-download href=(export_url(&asked, &url)) { (icon("download")) "Export" } (new) };
    let row = |ticket: &Ticket| {
        row(
            &visit,
            ticket,
            &format!("{url}/{}", ticket.id),
            html! { td.only-wide { (words::words(&ticket.kind)) } },
            "",
        )
    };
    let content = html! {
        (ui::head("Tickets", "Questions to PortTask’s staff, and about billing.", actions))
        (listing.render(&visit.frame, &asked, &found, row))
    };
    Ok(visit.page("Tickets", &[("Settings", &visit.url("/general")), ("Tickets", "")], content))
}

fn export_url(asked: &Asked, url: &str) -> String {
    asked.changed(&[("cursor", "")]).replacen(url, &format!("{url}/export"), 1)
}

fn row(visit: &Visit, ticket: &Ticket, url: &str, column: Markup, of: &str) -> Markup {
    html! { tr id=(ticket.id) {
        td { div.who { span {
            a.stretch href=(url) { b { (ticket.title()) } }
            small { @if !of.is_empty() { (of) " · " } (ticket.messages) @if ticket.messages == 1 { " message" } @else { " messages" } }
            span.only-narrow { (ticket.badges()) }
        } } }
        (column)
        td.fit.only-wide { (ticket.badges()) }
        td.fit.soft.only-wide { (time::instant(&visit.frame, ticket.last_activity_at)) }
    } }
}

/// The filtered list as CSV.
pub(super) async fn export(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let call = visit.get("/tickets").query(asked.pick(&["status", "kind", "escalated", "q", "sort"]));
    Ok(attachment(call.query([("format", "csv")]).download().await?, "tickets.csv"))
}

/// The tickets of all organizations.
pub(super) async fn all(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let names = ["organization", "status", "kind", "escalated", "assignee", "q", "sort", "cursor"];
    let call = visit.client.get("/v1/tickets").query(asked.pick(&names));
    let found = call.query([("limit", "25"), ("count", "true")]).page::<Ticket>().await?;
    let staff = staff(&visit).await;
    let assignees: Vec<(&str, &str)> =
        [("", "Anybody’s")].into_iter().chain(staff.iter().map(|(id, name)| (id.as_str(), name.as_str()))).collect();
    let selects = [
        Select { name: "kind", label: "Kind", options: &KIND_FILTER },
        Select { name: "escalated", label: "Escalation", options: &ESCALATED_FILTER },
        Select { name: "assignee", label: "Assignee", options: &assignees },
    ];
    let listing = Listing {
        name: "Tickets of all organizations",
        tabs: Some(("status", &TABS)),
        search: Some("Subject"),
        selects: &selects,
        inputs: &[("organization", "Organization’s id", "text")],
        columns: &[
            Column("Ticket", "", ""),
            Column("Assignee", "", "only-wide"),
            Column("Status", "", "only-wide"),
            Column("Last activity", "last_activity_at", "only-wide"),
        ],
        nothing: ui::empty("ticket", "No ticket yet", "Organizations open tickets in their settings.", html! {}),
        panel: None,
    };
    let row = |ticket: &Ticket| {
        let url = format!("/admin/organizations/{}/tickets/{}", ticket.organization, ticket.id);
        let assignee = ticket.assignee.as_ref().map(|person| person.shown(&staff));
        let assignee = html! { td.soft.only-wide { (assignee.as_deref().unwrap_or("nobody")) } };
        row(&visit, ticket, &url, assignee, ticket.organization_name.as_deref().unwrap_or_default())
    };
    let export = html! { a.btn.edge data-download href=(export_url(&asked, ALL_URL)) { (icon("download")) "Export" } };
    let content = html! {
        (ui::head("Tickets", "What organizations ask. What you open is recorded in their audit logs.", export))
        (listing.render(&visit.frame, &asked, &found, row))
    };
    Ok(visit.page("Tickets", &[("Administration", "/admin/organizations"), ("Tickets", "")], content))
}

/// The filtered list of all organizations as CSV.
pub(super) async fn export_all(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let names = ["organization", "status", "kind", "escalated", "assignee", "q", "sort"];
    let call = visit.client.get("/v1/tickets").query(asked.pick(&names)).query([("format", "csv")]);
    Ok(attachment(call.download().await?, "tickets.csv"))
}
