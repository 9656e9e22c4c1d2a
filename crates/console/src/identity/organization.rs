//! Organizations: all of them, for staff. The settings of one are in `general.rs`.

mod general;

use std::collections::BTreeMap;

use axum::{
    Router,
    http::{Method, StatusCode},
    response::Response,
    routing::get,
};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Console,
    action::{Action, Inputs},
    api::Problem,
    form::Fields,
    ui::{
        self,
        field::field,
        icon,
        list::{Asked, Column, Listing},
        time, words,
    },
    visit::{Answered, Message, Visit, see_other},
};

pub(crate) fn settings() -> Router<Console> {
    Router::new().route("/general", get(general::general).post(general::save))
}

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/settings", get(|| async { see_other("/settings/general") }))
        .route("/admin", get(|| async { see_other("/admin/organizations") }))
        .route("/admin/organizations", get(list))
        .route("/admin/organizations/new", get(new_form).post(create))
        .route("/admin/organizations/{org}", get(show))
        .route("/admin/organizations/{org}/{command}", get(command_form).post(run_command))
}

#[derive(Debug, Clone, Deserialize)]
struct Organization {
    id: String,
    name: String,
    domain: String,
    status: String,
    plan: Option<String>,
    trial_ends_at: Option<Timestamp>,
    created_at: Timestamp,
    locale: String,
    branding: Branding,
    business_hours: BusinessHours,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Branding {
    display_name: Option<String>,
    logo: Option<String>,
    primary_colour: Option<String>,
    secondary_colour: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct BusinessHours {
    time_zone: String,
    days: BTreeMap<String, Vec<Hours>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Hours {
    opens: String,
    closes: String,
}

const TABS: [(&str, &str); 4] =
    [("", "All"), ("active", "Active"), ("suspended", "Suspended"), ("deactivated", "Deactivated")];

async fn list(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let call = visit.client.get("/v1/organizations").query(asked.pick(&["status", "q", "sort", "cursor"]));
    let found = call.query([("limit", "25"), ("count", "true")]).page::<Organization>().await?;
    let listing = Listing {
        name: "Organizations",
        tabs: Some(("status", &TABS)),
        search: Some("Name or domain"),
        selects: &[],
        inputs: &[],
        columns: &[
            Column("Organization", "name", ""),
            Column("Status", "", "only-wide"),
            Column("Plan", "", "only-wide"),
            Column("Created", "created_at", "only-wide"),
            Column("", "", "end"),
        ],
        nothing: ui::empty(
            "building-2",
            "Create the first organization",
            "Its first admin gets an invitation by email.",
            html! { (ui::sheet_link("/admin/organizations/new", "btn main-act", "plus", "New organization")) },
        ),
        panel: None,
    };
    let row = |it: &Organization| {
        html! { tr id=(it.id) {
            td { div.who { (ui::face(&it.name, "")) span { a.stretch href=(format!("/admin/organizations/{}", it.id)) { b { (it.name) } } small { (it.domain) } span.only-narrow { (words::status(&it.status)) } } } }
            td.fit.only-wide { (words::status(&it.status)) }
            td.fit.only-wide { (it.plan.as_deref().map_or_else(|| "–".to_owned(), words::words)) @if let Some(end) = it.trial_ends_at.filter(|end| *end > visit.frame.now) { div.soft { "trial ends " (time::instant(&visit.frame, end)) } } }
            td.fit.soft.only-wide { (time::instant(&visit.frame, it.created_at)) }
            td.end { div.over {
                button.btn.icon type="button" popovertarget=(format!("menu-{}", it.id)) aria-label=(format!("Actions for {}", it.name)) { (icon("ellipsis")) }
                div.menu id=(format!("menu-{}", it.id)) popover { (actions(&visit, it)) }
            } }
        } }
    };
    let content = html! {
        (ui::head("Organizations", "Who works with PortTask.", html! { @if visit.may("organizations:write") { (ui::sheet_link("/admin/organizations/new", "btn main-act", "plus", "New organization")) } }))
        (listing.render(&visit.frame, &asked, &found, row))
    };
    Ok(visit.page("Organizations", &[("Administration", "/admin/organizations"), ("Organizations", "")], content))
}

fn actions(visit: &Visit, it: &Organization) -> Markup {
    let url = |rest: &str| format!("/admin/organizations/{}{rest}", it.id);
    html! {
        a href=(url("")) { (icon("building-2")) "Open" }
        a href=(url("/users")) { (icon("users")) "Users" }
        a href=(url("/audit-log")) { (icon("scroll-text")) "Audit log" }
        @if visit.may("organizations:write") {
            (ui::sheet_link(&url("/invitation-quota"), "", "mail", "Invitation limits…"))
            hr;
            @if it.status == "active" { (ui::sheet_link(&url("/suspend"), "bad", "lock", "Suspend…")) }
            @if it.status != "active" { (ui::sheet_link(&url("/reactivate"), "", "rotate-ccw", "Reactivate…")) }
            @if it.status != "deactivated" { (ui::sheet_link(&url("/deactivate"), "bad", "circle-x", "Deactivate…")) }
        }
    }
}

async fn show(visit: Visit) -> Answered {
    let it = visit.get("").send::<Organization>().await?.body;
    let content = html! {
        div.head { div.who { (ui::face(&it.name, "big")) div { h1 { (it.name) } p { (words::status(&it.status)) } } }
            div.row { button.btn.edge type="button" popovertarget="actions" { "Actions" (icon("chevron-down")) } div.menu #actions popover { (actions(&visit, &it)) } } }
        section.card { header { h2 { "Organization" } } dl.facts {
            dt { "Domain" } dd { (it.domain) }
            dt { "Plan" } dd { (it.plan.as_deref().map_or_else(|| "none".to_owned(), words::words)) }
            @if let Some(end) = it.trial_ends_at { dt { "Trial ends" } dd { (time::instant(&visit.frame, end)) } }
            dt { "Time zone" } dd { (it.business_hours.time_zone) }
            dt { "Created" } dd { (time::instant(&visit.frame, it.created_at)) }
            dt { "Id" } dd { (ui::id(&it.id)) }
        } }
        div.grid { @for (rest, sign, name, text) in [
            ("/general", "settings", "General", "Name, branding, business hours"), ("/users", "users", "Users & roles", "Who has access, and to what"),
            ("/integrations", "plug", "Integrations", "API keys"), ("/audit-log", "scroll-text", "Audit log", "Who did what, when, from where"),
        ] { a.card.link href=(visit.url(rest)) { (icon(sign)) span { b { (name) } small { (text) } } } } }
    };
    Ok(visit.page(&it.name, &[("Organizations", "/admin/organizations"), (&it.name, "")], content))
}

async fn new_form(visit: Visit) -> Answered {
    visit.require("organizations:write")?;
    Ok(new_page(&visit, &Fields::default(), None))
}

fn new_page(visit: &Visit, fields: &Fields, problem: Option<&Problem>) -> Response {
    let sheet = ui::sheet(
        "New organization",
        html! { "Its first admin gets an email with an invitation." },
        ui::sheet_form(
            &visit.frame,
            "/admin/organizations/new",
            html! {
                div.in {
                    @if let Some(problem) = problem { (ui::summary(problem)) }
                    (field("Name", "name").value(fields.text("name")).error(problem, "/name").input("text"))
                    (field("Domain", "domain").value(fields.text("domain")).hint("Such as acme.example: it cannot be changed.").error(problem, "/domain").input("text"))
                    (field("First admin", "first_admin-name").value(fields.text("first_admin-name")).hint("Full name").error(problem, "/first_admin/name").input("text"))
                    (field("Their email address", "first_admin-email").value(fields.text("first_admin-email")).error(problem, "/first_admin/email").input("email"))
                }
                footer { a.btn.edge href="/admin/organizations" data-close { "Cancel" } button.btn.main-act type="submit" { (icon("plus")) "Create" } }
            },
        ),
    );
    visit.page_with(
        problem,
        "New organization",
        &[("Organizations", "/admin/organizations"), ("New organization", "")],
        sheet,
    )
}

#[derive(Debug, Deserialize)]
struct Created {
    id: String,
}

async fn create(visit: Visit, fields: Fields) -> Answered {
    let body = json!({
        "name": fields.text("name"), "domain": fields.text("domain"),
        "first_admin": { "name": fields.text("first_admin-name"), "email": fields.text("first_admin-email") },
    });
    match visit.client.post("/v1/organizations").key(fields.key()).json(&body).send::<Created>().await {
        Ok(answer) => {
            let email = fields.text("first_admin-email");
            let mut text = format!("{} is created, and {email} invited.", fields.text("name"));
            if let Some(folder) = &visit.console.settings.mail_folder {
                text += &format!(" Emails stay in {folder}: porttask mail last --to {email}");
            }
            Ok(visit.done(
                &format!("/admin/organizations/{}/users", answer.body.id),
                &Message { text, ..Message::default() },
            ))
        }
        Err(problem) if problem.status == 401 => Err(problem.into()),
        Err(problem) => Ok(new_page(&visit, &fields, Some(&problem))),
    }
}

async fn command_action<'a>(visit: &Visit, fields: Option<&Fields>) -> Result<Action<'a>, Problem> {
    let it = visit.get("").send::<Organization>().await?.body;
    let name = visit.param("command").to_owned();
    let reason = fields.map_or("", |fields| fields.text("reason")).to_owned();
    let (title, lead, button, done) = match name.as_str() {
        "suspend" => {
            ("Suspend", "Nobody can sign in until it is reactivated. Their data stays.", "Suspend", "is suspended.")
        }
        "reactivate" => ("Reactivate", "Its users can sign in again.", "Reactivate", "is active again."),
        "deactivate" => (
            "Deactivate",
            "The contract has ended: nobody can sign in any more, and API keys stop.",
            "Deactivate",
            "is deactivated.",
        ),
        "invitation-quota" => return Ok(quota_action(visit, &it, fields)),
        _ => return Err(Problem::new(StatusCode::NOT_FOUND, "There is no such page.")),
    };
    Ok(Action {
        title: format!("{title} {}", it.name),
        lead: html! { (lead) },
        button,
        is_dangerous: name != "reactivate",
        method: Method::POST,
        path: visit.path(&format!("/{name}")),
        resource: visit.path(""),
        body: json!({ "reason": reason }),
        inputs: Inputs::new(move |problem| {
            let field = field("Reason", "reason").value(&reason).hint("It is recorded, and they can read it.");
            field.error(problem, "/reason").input("text")
        }),
        is_previewed: false,
        typed: (name == "deactivate").then(|| it.name.clone()),
        back: format!("/admin/organizations/{}", it.id),
        done: format!("{} {done}", it.name),
        crumbs: vec![
            ("Organizations".to_owned(), "/admin/organizations".to_owned()),
            (it.name.clone(), format!("/admin/organizations/{}", it.id)),
        ],
    })
}

fn quota_action<'a>(visit: &Visit, it: &Organization, fields: Option<&Fields>) -> Action<'a> {
    let text = |name: &str| fields.map_or("", |fields| fields.text(name)).to_owned();
    let number = |name: &str| text(name).parse::<u32>().map_or(Value::Null, Value::from);
    let (per_day, imports) = (text("per_day"), text("imports_per_day"));
    Action {
        title: format!("Invitation limits of {}", it.name),
        lead: html! { "Empty: what the operator has set for all." },
        button: "Save",
        is_dangerous: false,
        method: Method::PATCH,
        path: visit.path("/invitation-quota"),
        resource: visit.path(""),
        body: json!({ "per_day": number("per_day"), "imports_per_day": number("imports_per_day") }),
        inputs: Inputs::new(move |problem| {
            html! {
                (field("Invitations per day", "per_day").optional().value(&per_day).error(problem, "/per_day").input("number"))
                (field("Invitations by imports per day", "imports_per_day").optional().value(&imports).error(problem, "/imports_per_day").input("number"))
            }
        }),
        is_previewed: false,
        typed: None,
        back: format!("/admin/organizations/{}", it.id),
        done: "Saved.".to_owned(),
        crumbs: vec![
            ("Organizations".to_owned(), "/admin/organizations".to_owned()),
            (it.name.clone(), format!("/admin/organizations/{}", it.id)),
        ],
    }
}

async fn command_form(visit: Visit) -> Answered {
    visit.require("organizations:write")?;
    command_action(&visit, None).await?.show(&visit).await
}

async fn run_command(visit: Visit, fields: Fields) -> Answered {
    command_action(&visit, Some(&fields)).await?.submit(&visit, &fields).await
}
