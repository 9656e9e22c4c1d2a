//! The audit log: who did what, when, from where. Of an organization, and of what the platform did in all of them.

use axum::{Router, response::Response, routing::get};
use jiff::{Timestamp, tz::TimeZone};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    Console,
    action::{Change, changed},
    api::{Page, Problem},
    form::{Fields, attachment},
    ui::{
        self,
        field::field,
        icon,
        list::{Asked, Listing, Select},
        time, words,
    },
    visit::{Answered, Frame, Visit},
};

pub(crate) fn settings() -> Router<Console> {
    Router::new().route("/audit-log", get(list)).route("/audit-log/export", get(export_form).post(export))
}

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/admin/audit-log", get(platform))
        .route("/admin/audit-log/export", get(export_form).post(export))
}

/// An entry of the audit log.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Entry {
    id: String,
    occurred_at: Timestamp,
    action: String,
    actor: Party,
    impersonator: Option<Impersonator>,
    target: Party,
    summary: String,
    changes: Vec<Change>,
    ip: Option<String>,
    device: Option<String>,
    session: Option<String>,
    request_id: Option<String>,
    #[serde(default)]
    organization: Option<String>,
}

/// Who did it, or what it was done to.
#[derive(Debug, Clone, Deserialize)]
struct Party {
    kind: String,
    id: Option<String>,
    name: Option<String>,
    #[serde(default)]
    staff_number: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Impersonator {
    name: Option<String>,
    staff_number: String,
}

impl Party {
    fn name(&self) -> String {
        match (&self.name, &self.staff_number, self.kind.as_str()) {
            (Some(name), _, _) => name.clone(),
            (None, Some(number), _) => format!("PortTask staff {number}"),
            (None, None, "system") => "PortTask".to_owned(),
            (None, None, "operator") => "Operator".to_owned(),
            (None, None, kind) => words::words(kind),
        }
    }
}

const ACTIONS: [(&str, &str); 14] = [
    ("", "Any action"),
    ("user", "Users"),
    ("session", "Sessions"),
    ("organization", "Organization"),
    ("api_key", "API keys"),
    ("port_call", "Port calls"),
    ("service_order", "Service orders"),
    ("vendor", "Vendors"),
    ("document", "Documents"),
    ("ticket", "Tickets"),
    ("subscription", "Subscription"),
    ("usage", "Usage"),
    ("denial", "Denied requests"),
    ("staff_access", "Access by staff"),
];
const FILTERS: [&str; 10] =
    ["q", "action", "actor", "target", "session", "request", "ip", "organization", "cursor", "sort"];

/// A bound that is entered as a day, in the reader's zone.
fn bound(frame: &Frame, day: &str, is_end: bool) -> String {
    let Ok(date) = day.parse::<jiff::civil::Date>() else { return day.to_owned() };
    let date = if is_end { date.tomorrow().unwrap_or(date) } else { date };
    date.to_zoned(frame.zone.clone()).map_or_else(|_| day.to_owned(), |zoned| zoned.timestamp().to_string())
}

/// A page of the audit log: its title, where it is, and whether its words can be searched.
struct Log {
    title: &'static str,
    lead: &'static str,
    path: String,
    url: String,
    parent: (&'static str, String),
    has_search: bool,
}

async fn list(visit: Visit) -> Answered {
    let log = Log {
        title: "Audit log",
        lead: "Everything that was done, by whom and from where. Entries cannot be changed.",
        path: visit.path("/audit-log"),
        url: visit.url("/audit-log"),
        parent: ("Settings", visit.url("/general")),
        has_search: true,
    };
    page(&visit, log).await
}

async fn platform(visit: Visit) -> Answered {
    let log = Log {
        title: "Platform audit log",
        lead: "What the platform’s staff did, in any organization.",
        path: "/v1/platform/audit-log".to_owned(),
        url: "/admin/audit-log".to_owned(),
        parent: ("Administration", visit.frame.start().to_owned()),
        has_search: false,
    };
    page(&visit, log).await
}

async fn page(visit: &Visit, log: Log) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let (from, until) = (bound(&visit.frame, asked.get("from"), false), bound(&visit.frame, asked.get("until"), true));
    let call = visit.client.get(log.path).query(asked.pick(&FILTERS));
    let call = call.query([("from", from.as_str()), ("until", until.as_str()), ("limit", "50")]);
    let found = call.page::<Entry>().await?;
    let days_asked = [("from", "From", "date"), ("until", "Until", "date")];
    let with_organization = [("organization", "Organization", "text"), days_asked[0], days_asked[1]];
    let listing = Listing {
        name: "Entries",
        tabs: None,
        search: log.has_search.then_some("Words in the entry"),
        selects: &[Select { name: "action", label: "Action", options: &ACTIONS }],
        inputs: if log.has_search { &days_asked } else { &with_organization },
        columns: &[],
        nothing: ui::empty("scroll-text", "Nothing was done yet", "Whatever is done appears here.", html! {}),
        panel: None,
    };
    let export = asked.changed(&[("cursor", "")]).replacen(&log.url, &format!("{}/export", log.url), 1);
    let content = html! {
        (ui::head(log.title, log.lead, ui::sheet_link(&export, "btn edge", "download", "Export…")))
        (narrowed(&asked))
        (listing.surround(&visit.frame, &asked, &found, |page| days(visit, &page.items)))
    };
    Ok(visit.page(log.title, &[(log.parent.0, &log.parent.1), (log.title, "")], content))
}

/// The filters that have no field, with links to remove them.
fn narrowed(asked: &Asked) -> Markup {
    let set = ["actor", "target", "session", "request", "ip"].into_iter().filter(|name| !asked.get(name).is_empty());
    let set: Vec<&str> = set.collect();
    html! { @if !set.is_empty() { div.row { @for name in set { span.tag { (words::words(name)) ": " (asked.get(name))
    a href=(asked.with(name, "")) aria-label=(format!("Remove the filter {name}")) { (icon("x")) } } } } } }
}

/// Entries by day, in the reader's zone.
fn days(visit: &Visit, entries: &[Entry]) -> Markup {
    let frame = &visit.frame;
    let mut days: Vec<(String, Vec<&Entry>)> = Vec::new();
    for entry in entries {
        let day = time::day(frame, entry.occurred_at);
        match days.last_mut().filter(|(last, _)| *last == day) {
            Some((_, entries)) => entries.push(entry),
            None => days.push((day, vec![entry])),
        }
    }
    html! { @for (day, entries) in days {
        h2.day { (day) " " span { "times in " (time::zone(frame)) } }
        ol.log { @for entry in entries { (item(visit, entry)) } }
    } }
}

fn item(visit: &Visit, entry: &Entry) -> Markup {
    let (frame, actor) = (&visit.frame, entry.actor.name());
    let by = entry.impersonator.as_ref();
    let by = by.map(|by| by.name.clone().unwrap_or_else(|| format!("PortTask staff {}", by.staff_number)));
    html! { li id=(entry.id) { details {
        summary {
            span.when { (time::clock(frame, entry.occurred_at)) }
            (ui::face(&actor, ""))
            span.what {
                b { (actor) } @if let Some(by) = by { " " span.soft { "by " (by) } } " " (entry.summary)
                @if entry.target.id != entry.actor.id { @if let Some(name) = &entry.target.name { " · " (name) } }
                small { (entry.action) @if let Some(ip) = &entry.ip { " · " (ip) } @if let Some(device) = &entry.device { " · " (device) } }
            }
            (icon("chevron-down"))
        }
        div.more { (more(frame, entry)) }
    } } }
}

/// What an entry says beside its sentence, with links to what belongs to it.
fn more(frame: &Frame, entry: &Entry) -> Markup {
    let asked = Asked::of(&frame.url);
    // The platform's log can be narrowed to an actor only.
    let is_platform = frame.url.starts_with("/admin/audit-log");
    let link = |name: &str, value: &str, text: &str| {
        html! { @if !is_platform || name == "actor" { " " a href=(asked.with(name, value)) { (text) } } }
    };
    html! {
        @if !entry.changes.is_empty() { dl.facts { @for change in &entry.changes { dt { (words::words(&change.field)) } dd { (changed(&frame.zone, change)) } } } }
        dl.facts {
            dt { "When" } dd { (time::instant(frame, entry.occurred_at)) }
            @if let Some(id) = &entry.actor.id { dt { "Actor" } dd { (ui::id(id)) (link("actor", id, "what else they did")) } }
            @if let Some(id) = &entry.target.id { dt { "Target" } dd { (ui::id(id)) (link("target", id, "its history")) } }
            @if let Some(id) = &entry.organization { dt { "Organization" } dd {
                @if frame.may("organizations:read") { a href=(format!("/admin/organizations/{id}")) { code { (id) } } } @else { (ui::id(id)) }
            } }
            @if let Some(id) = &entry.session { dt { "Session" } dd { (ui::id(id)) (link("session", id, "all of it")) } }
            @if let Some(id) = &entry.request_id { dt { "Request" } dd { (ui::id(id)) (link("request", id, "all of it")) } }
            @if let Some(ip) = &entry.ip { dt { "IP address" } dd { (ip) (link("ip", ip, "all from there")) } }
            dt { "Entry" } dd { (ui::id(&entry.id)) " " a href=(format!("#{}", entry.id)) { "Link to this entry" } }
        }
    }
}

/// The latest entries about something at a port, as a section of its page, with times of the port; `None` if the reader may
/// not read them.
pub(crate) async fn history(visit: &Visit, id: &str, zone: &str) -> Option<Markup> {
    if !visit.may("audit_log:read") {
        return None;
    }
    let found = visit.get("/audit-log").query([("target", id), ("limit", "6")]).send::<Page<Entry>>().await;
    let all = visit.url(&format!("/audit-log?target={id}"));
    Some(html! { section.card { header { h2 { "History" } a href=(all) { "All" } }
        @match found {
            Ok(answer) => (trail(&visit.frame, &time::of_port(zone), &answer.body.items)),
            Err(problem) => p.in.soft { "It could not be loaded: " (problem.detail) },
        }
    } })
}

/// The latest entries about something, beside it; changed times are in a time zone.
pub(crate) fn trail(frame: &Frame, zone: &TimeZone, entries: &[Entry]) -> Markup {
    html! { ol.trail { @for entry in entries { li { span class=(if entry.action.contains("deactiv") { "pin bad" } else { "pin" }) {} div {
        b { (entry.actor.name()) } " " (entry.summary)
        @for change in &entry.changes { @if change.from.is_some() { div { (words::words(&change.field)) ": " (changed(zone, change)) } } }
        small { (time::instant(frame, entry.occurred_at)) @if let Some(device) = &entry.device { " · " (device) } }
    } } } } }
}

async fn export_form(visit: Visit) -> Answered {
    let is_platform = visit.frame.url.starts_with("/admin/audit-log");
    visit.require(if is_platform { "platform_audit_log:read" } else { "audit_log:read" })?;
    Ok(export_page(&visit, None))
}

fn export_page(visit: &Visit, problem: Option<&Problem>) -> Response {
    let url = visit.frame.url.split('?').next().unwrap_or_default();
    let (back, asked) = (url.trim_end_matches("/export").to_owned(), Asked::of(&visit.frame.url));
    let kept: Vec<&str> =
        FILTERS.into_iter().chain(["from", "until"]).filter(|name| !asked.get(name).is_empty()).collect();
    let lead = html! { @if kept.is_empty() { "All entries. " } @else { "The entries with your filters. " } "That you exported is recorded." };
    // Without htmx: the answer is a file.
    let sheet = ui::sheet(
        "Export",
        lead,
        html! { form method="post" action=(url) data-download {
            (ui::hidden(&visit.frame))
            @for name in kept { input type="hidden" name=(name) value=(asked.get(name)); }
            div.in { @if let Some(problem) = problem { (ui::summary(problem)) }
                (field("Format", "format").value("csv").select(&[("csv", "CSV, for spreadsheets"), ("json", "JSON, one entry a line")])) }
            footer { a.btn.edge href=(back) data-close { "Cancel" } button.btn.main-act type="submit" { (icon("download")) "Export" } }
        } },
    );
    visit.page_with(problem, "Export", &[("Audit log", &back), ("Export", "")], sheet)
}

async fn export(visit: Visit, fields: Fields) -> Answered {
    let is_platform = visit.frame.url.starts_with("/admin/audit-log");
    let path = if is_platform { "/v1/platform/audit-log/export".to_owned() } else { visit.path("/audit-log/export") };
    let names: Vec<&str> = FILTERS.into_iter().filter(|name| !matches!(*name, "cursor" | "sort")).collect();
    let mut selection: Map<String, Value> = fields.json(&names);
    for (name, is_end) in [("from", false), ("until", true)] {
        if !fields.text(name).is_empty() {
            selection.insert(name.to_owned(), bound(&visit.frame, fields.text(name), is_end).into());
        }
    }
    let mut body = fields.json(&["format"]);
    if !selection.is_empty() {
        body.insert("selection".to_owned(), Value::Object(selection));
    }
    let name = if fields.text("format") == "json" { "audit-log.jsonl" } else { "audit-log.csv" };
    match visit.client.post(path).key(fields.key()).json(&Value::Object(body)).download().await {
        Ok(response) => Ok(attachment(response, name)),
        Err(problem) if matches!(problem.status, 401 | 404) => Err(problem.into()),
        Err(problem) => Ok(export_page(&visit, Some(&problem))),
    }
}
