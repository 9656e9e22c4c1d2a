//! Vendors: who provides services at our ports.

use axum::{Router, http::Method, response::Response, routing::get};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Console,
    action::{Action, Inputs, conflict, outdated},
    api::{Page, Problem},
    form::{Fields, VERSION, attachment},
    ui::{
        self,
        field::field,
        icon,
        list::{Asked, Column, Listing, Select},
        words,
    },
    visit::{Answered, Message, Visit},
};

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/operations/vendors", get(list))
        .route("/operations/vendors/export", get(export))
        .route("/operations/vendors/new", get(new_form).post(save))
        .route("/operations/vendors/{vendor}", get(edit_form).post(save))
        .route("/operations/vendors/{vendor}/{command}", get(command_form).post(run_command))
}

#[derive(Debug, Clone, Deserialize)]
struct Vendor {
    id: String,
    name: String,
    services: Vec<String>,
    order_email: Option<String>,
    contacts: Vec<Contact>,
    status: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Contact {
    name: Option<String>,
    email: Option<String>,
}

/// A vendor in a choice.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Named {
    id: String,
    name: String,
}

impl Named {
    /// A choice of them: the id and the name.
    pub(super) fn option(&self) -> (&str, &str) {
        (&self.id, &self.name)
    }
}

const SERVICES: [&str; 11] = [
    "towage",
    "pilotage",
    "mooring",
    "bunkering",
    "supplies",
    "stevedoring",
    "repair",
    "waste",
    "survey",
    "crew",
    "other",
];
const TABS: [(&str, &str); 3] = [("", "All"), ("active", "Active"), ("archived", "Archived")];
const FILTERS: [&str; 5] = ["status", "service", "q", "sort", "cursor"];
const URL: &str = "/operations/vendors";

/// The services, with their names.
pub(super) fn services() -> Vec<(&'static str, String)> {
    SERVICES.into_iter().map(|code| (code, words::words(code))).collect()
}

/// All vendors by name, for a filter; none if the reader may not, or they cannot be read now.
pub(super) async fn all_named(visit: &Visit) -> Vec<Named> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    while visit.may("vendors:read") {
        let call = visit.get("/vendors").query([("limit", "200"), ("cursor", cursor.as_str())]);
        let Ok(page) = call.send::<Page<Named>>().await.map(|answer| answer.body) else { return Vec::new() };
        found.extend(page.items);
        match page.next_cursor {
            Some(next) => cursor = next,
            None => break,
        }
    }
    found
}

async fn list(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let call = visit.get("/vendors").query(asked.pick(&FILTERS));
    let call = call.query([("limit", "25"), ("count", "true")]);
    let found = call.page::<Vendor>().await?;
    let add = html! { @if visit.may("vendors:write") { (ui::sheet_link(&format!("{URL}/new"), "btn main-act", "plus", "New vendor")) } };
    let services = services();
    let services: Vec<(&str, &str)> =
        [("", "Any service")].into_iter().chain(services.iter().map(|(code, name)| (*code, name.as_str()))).collect();
    let listing = Listing {
        name: "Vendors",
        tabs: Some(("status", &TABS)),
        search: Some("Name"),
        selects: &[Select { name: "service", label: "Service", options: &services }],
        inputs: &[],
        columns: &[
            Column("Vendor", "name", ""),
            Column("Services", "", "only-wide"),
            Column("Status", "", "only-wide"),
        ],
        nothing: ui::empty("truck", "No vendor yet", "Vendors get service orders by email.", add.clone()),
        panel: None,
    };
    let export = asked.changed(&[("cursor", "")]).replacen(URL, &format!("{URL}/export"), 1);
    let actions = html! { a.btn.edge data-download href=(export) { (icon("download")) "Export" } (add) };
    let content = html! {
        (ui::head("Vendors", "Who provides services at your ports.", actions))
        (listing.render(&visit.frame, &asked, &found, row))
    };
    Ok(visit.page("Vendors", &[("Operations", URL), ("Vendors", "")], content))
}

/// The filtered list as CSV.
async fn export(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let names: Vec<&str> = FILTERS.into_iter().filter(|name| *name != "cursor").collect();
    let call = visit.get("/vendors").query(asked.pick(&names)).query([("format", "csv")]);
    Ok(attachment(call.download().await?, "vendors.csv"))
}

fn row(it: &Vendor) -> Markup {
    html! { tr id=(it.id) {
        td { div.who { (ui::face(&it.name, "")) span {
            a.stretch href=(format!("{URL}/{}", it.id)) { b { (it.name) } } small { (it.order_email.as_deref().unwrap_or_default()) }
            span.only-narrow { (words::status(&it.status)) }
        } } }
        td.only-wide { (it.services.iter().map(|it| words::words(it)).collect::<Vec<_>>().join(", ")) }
        td.fit.only-wide { (words::status(&it.status)) }
    } }
}

async fn new_form(visit: Visit) -> Answered {
    visit.require("vendors:write")?;
    Ok(form_page(&visit, None, &Fields::default(), "", &html! {}, None))
}

async fn edit_form(visit: Visit) -> Answered {
    let answer = visit.get(&format!("/vendors/{}", visit.param("vendor"))).send::<Vendor>().await?;
    let vendor = answer.body;
    let contact = |it: &Contact| {
        format!("{} <{}>", it.name.as_deref().unwrap_or_default(), it.email.as_deref().unwrap_or_default())
    };
    let own = [
        ("name", vendor.name.clone()),
        ("order_email", vendor.order_email.clone().unwrap_or_default()),
        ("contacts", vendor.contacts.iter().map(contact).collect::<Vec<_>>().join("\n")),
    ];
    let fields = Fields::with(own.into_iter().chain(vendor.services.iter().map(|it| ("services", it.clone()))));
    Ok(form_page(&visit, Some(&vendor), &fields, answer.etag.as_deref().unwrap_or_default(), &html! {}, None))
}

fn form_page(
    visit: &Visit,
    vendor: Option<&Vendor>,
    fields: &Fields,
    version: &str,
    note: &Markup,
    problem: Option<&Problem>,
) -> Response {
    let may_write = visit.may("vendors:write");
    let may_change = may_write && vendor.is_none_or(|it| it.status == "active");
    let title = vendor.map_or("New vendor", |it| it.name.as_str());
    let url = vendor.map_or_else(|| format!("{URL}/new"), |it| format!("{URL}/{}", it.id));
    let lead = html! { @if let Some(it) = vendor { (words::status(&it.status)) } };
    let sheet = ui::sheet(
        title,
        lead,
        ui::sheet_form(
            &visit.frame,
            &url,
            html! {
                input type="hidden" name=(VERSION) value=(version);
                fieldset.in disabled[!may_change] { legend.hide { "Vendor" }
                    @if let Some(problem) = problem { (ui::summary(problem)) }
                    (note)
                    (field("Name", "name").value(fields.text("name")).error(problem, "/name").input("text"))
                    (field("Email address for orders", "order_email").optional().value(fields.text("order_email")).error(problem, "/order_email").input("email"))
                    fieldset.ticks { legend { "Services" } @for service in SERVICES { label {
                        input type="checkbox" name="services" value=(service) checked[fields.all("services").any(|it| it == service)]; " " (words::words(service))
                    } } }
                    (field("Contacts", "contacts").optional().value(fields.exact("contacts")).hint("One a line, such as Ana Souza <ana@tugs.example>").error(problem, "/contacts").area(3))
                }
                footer {
                    @if let Some(it) = vendor.filter(|_| may_write) {
                        @if it.status == "active" { (ui::sheet_link(&format!("{url}/archive"), "btn edge", "package", "Archive…")) }
                        @else { (ui::sheet_link(&format!("{url}/restore"), "btn edge", "rotate-ccw", "Restore…")) }
                    }
                    a.btn.edge href=(URL) data-close { "Cancel" }
                    @if may_change { button.btn.main-act type="submit" name="step" value="confirm" { (icon("check")) "Save" } }
                }
            },
        ),
    );
    visit.page_with(problem, title, &[("Vendors", URL), (title, "")], sheet)
}

/// The request body of what was entered.
fn body(fields: &Fields) -> Value {
    let contacts = fields.exact("contacts").lines().map(str::trim).filter(|line| !line.is_empty());
    let contact = |line: &str| {
        let (name, email) = line.split_once('<').unwrap_or(("", line));
        json!({ "name": name.trim(), "email": email.trim_end_matches('>').trim() })
    };
    let email = fields.text("order_email");
    json!({
        "name": fields.text("name"),
        "services": fields.all("services").collect::<Vec<_>>(),
        "order_email": if email.is_empty() { Value::Null } else { email.into() },
        "contacts": contacts.map(contact).collect::<Vec<_>>(),
    })
}

async fn save(visit: Visit, fields: Fields) -> Answered {
    let (id, path) = (visit.param("vendor"), visit.path("/vendors"));
    let call = match id {
        "" => visit.client.post(path).key(fields.key()),
        id => visit.client.patch(format!("{path}/{id}")).version(fields.version()),
    };
    let problem = match call.json(&body(&fields)).send::<Value>().await {
        Ok(_) => {
            let text = format!("{} is saved.", fields.text("name"));
            return Ok(visit.done(URL, &Message { text, ..Message::default() }));
        }
        Err(problem) => problem,
    };
    let now = if id.is_empty() { None } else { Some(visit.get(&format!("/vendors/{id}")).send::<Vendor>().await?) };
    let version = now.as_ref().and_then(|it| it.etag.clone()).unwrap_or_default();
    let vendor = now.map(|it| it.body);
    match problem.status {
        401 | 404 => Err(problem.into()),
        412 => {
            let note = conflict(&visit, &problem, "Save");
            Ok(outdated(form_page(&visit, vendor.as_ref(), &fields, &version, &note, None)))
        }
        _ => Ok(form_page(&visit, vendor.as_ref(), &fields, fields.version(), &html! {}, Some(&problem))),
    }
}

async fn command_action<'a>(visit: &Visit) -> Result<Action<'a>, Problem> {
    let path = visit.path(&format!("/vendors/{}", visit.param("vendor")));
    let vendor = visit.client.get(path.clone()).send::<Vendor>().await?.body;
    let (title, lead, button, done) = match visit.param("command") {
        "archive" => ("Archive", "They get no more orders. Their history stays.", "Archive", "is archived."),
        "restore" => ("Restore", "They can get orders again.", "Restore", "is active again."),
        _ => return Err(Problem::new(axum::http::StatusCode::NOT_FOUND, "There is no such page.")),
    };
    Ok(Action {
        title: format!("{title} {}", vendor.name),
        lead: html! { (lead) },
        button,
        is_dangerous: button == "Archive",
        method: Method::POST,
        path: format!("{path}/{}", visit.param("command")),
        resource: path,
        body: json!({}),
        inputs: Inputs::none(),
        is_previewed: true,
        typed: None,
        back: URL.to_owned(),
        done: format!("{} {done}", vendor.name),
        crumbs: vec![("Vendors".to_owned(), URL.to_owned()), (vendor.name.clone(), format!("{URL}/{}", vendor.id))],
    })
}

async fn command_form(visit: Visit) -> Answered {
    visit.require("vendors:write")?;
    command_action(&visit).await?.show(&visit).await
}

async fn run_command(visit: Visit, fields: Fields) -> Answered {
    command_action(&visit).await?.submit(&visit, &fields).await
}
