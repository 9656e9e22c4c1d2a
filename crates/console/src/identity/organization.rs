//! Organizations: the general settings of one, and all of them for staff.

use std::collections::BTreeMap;

use axum::{Router, http::Method, response::Response, routing::get};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::me::LOCALES;
use crate::{
    Console,
    action::{Action, conflict},
    api::{Page, Problem},
    form::{Fields, VERSION},
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
    Router::new().route("/general", get(general).post(save))
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

const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const BRANDING: [&str; 4] = ["display_name", "logo", "primary_colour", "secondary_colour"];

/// The intervals of a day as they are entered: `08:00-12:00, 13:00-17:00`.
fn intervals(hours: Option<&Vec<Hours>>) -> String {
    let hours = hours.into_iter().flatten().map(|it| format!("{}-{}", it.opens, it.closes));
    hours.collect::<Vec<_>>().join(", ")
}

/// What was entered for a day: intervals, or null if it is closed.
fn day_of(text: &str) -> Value {
    let intervals = text.split([',', ';']).map(str::trim).filter(|it| !it.is_empty());
    let interval = |text: &str| {
        let (opens, closes) = text.split_once(['-', '–']).unwrap_or((text, ""));
        json!({ "opens": opens.trim(), "closes": closes.trim() })
    };
    match intervals.map(interval).collect::<Vec<_>>() {
        intervals if intervals.is_empty() => Value::Null,
        intervals => intervals.into(),
    }
}

/// The settings as the fields of their form.
fn fields_of(organization: &Organization) -> Fields {
    let Organization { name, locale, branding, business_hours, .. } = organization.clone();
    let text = Option::unwrap_or_default;
    let own = [
        ("name", name),
        ("locale", locale),
        ("display_name", text(branding.display_name)),
        ("logo", text(branding.logo)),
        ("primary_colour", text(branding.primary_colour)),
        ("secondary_colour", text(branding.secondary_colour)),
        ("time_zone", business_hours.time_zone),
    ];
    Fields::with(own.into_iter().chain(DAYS.map(|day| (day, intervals(business_hours.days.get(day))))))
}

async fn general(visit: Visit) -> Answered {
    let answer = visit.get("").send::<Organization>().await?;
    let fields = fields_of(&answer.body);
    Ok(general_page(&visit, &answer.body, &fields, answer.etag.as_deref().unwrap_or_default(), &html! {}, None))
}

fn general_page(
    visit: &Visit,
    now: &Organization,
    fields: &Fields,
    version: &str,
    note: &Markup,
    problem: Option<&Problem>,
) -> Response {
    let may_write = visit.may("organization:write");
    let input = |label: &'static str, name: &'static str, pointer: &str| {
        field(label, name).value(fields.text(name)).error(problem, pointer)
    };
    let locale = fields.text("locale");
    let known = LOCALES.iter().skip(1).copied();
    let languages: Vec<(&str, &str)> = match LOCALES.iter().any(|(code, _)| *code == locale) {
        true => known.collect(),
        false => known.chain([(locale, locale)]).collect(),
    };
    let day_names: Vec<String> = DAYS.iter().map(|day| words::words(day)).collect();
    let content = html! {
        (ui::head("General", "Who you are here, and when you work.", html! {}))
        div.grid.wide {
            section.card { (ui::form(&visit.frame, &visit.url("/general"), html! {
                input type="hidden" name=(VERSION) value=(version);
                fieldset.in.form disabled[!may_write] {
                    legend.hide { "Settings of the organization" }
                    @if let Some(problem) = problem { (ui::summary(problem)) }
                    (note)
                    (input("Name", "name", "/name").input("text"))
                    (input("Language of emails", "locale", "/locale").hint("For users who have not chosen one.").select(&languages))
                    h2 { "Branding" }
                    (input("Display name", "display_name", "/branding/display_name").optional().hint("Shown instead of the name.").input("text"))
                    (input("Logo", "logo", "/branding/logo").optional().hint("An https address.").input("url"))
                    div.pair {
                        (input("Primary colour", "primary_colour", "/branding/primary_colour").optional().hint("#rrggbb").input("text"))
                        (input("Secondary colour", "secondary_colour", "/branding/secondary_colour").optional().hint("#rrggbb").input("text"))
                    }
                    h2 { "Business hours" }
                    (input("Time zone", "time_zone", "/business_hours/time_zone").hint("Such as Europe/Lisbon.").input("text"))
                    p.soft { "Intervals such as 08:00-12:00, 13:00-17:00. One may end on the next day, as 22:00-06:00. Empty: closed." }
                    @for (day, name) in DAYS.iter().zip(&day_names) {
                        (field(name, day).value(fields.text(day)).optional().error(problem, &format!("/business_hours/days/{day}")).input("text"))
                    }
                    @if may_write { div.row { button.btn.main-act type="submit" name="step" value="confirm" { "Save" } } }
                }
            })) }
            div.form {
                section.card { header { h2 { "Organization" } (words::status(&now.status)) } dl.facts {
                    dt { "Domain" } dd { (now.domain) }
                    dt { "Plan" } dd { (now.plan.as_deref().map_or_else(|| "none".to_owned(), words::words)) }
                    @if let Some(end) = now.trial_ends_at { dt { "Trial ends" } dd { (time::instant(&visit.frame, end)) } }
                    dt { "Created" } dd { (time::instant(&visit.frame, now.created_at)) }
                    dt { "Id" } dd { (ui::id(&now.id)) }
                } }
                (branding_preview(fields))
            }
        }
    };
    visit.page_with(problem, "General", &[("Settings", &visit.url("/general")), ("General", "")], content)
}

/// How the name and the colours look, drawn without inline styles.
fn branding_preview(fields: &Fields) -> Markup {
    let is_colour =
        |text: &str| text.len() == 7 && text.starts_with('#') && text[1..].bytes().all(|it| it.is_ascii_hexdigit());
    let colours =
        ["primary_colour", "secondary_colour"].map(|name| fields.text(name)).into_iter().filter(|it| is_colour(it));
    let name =
        [fields.text("display_name"), fields.text("name")].into_iter().find(|it| !it.is_empty()).unwrap_or_default();
    html! { section.card { header { h2 { "Preview" } } div.in.form {
        b { (name) }
        div.row { @for colour in colours { svg width="64" height="28" role="img" aria-label=(colour) { rect width="64" height="28" rx="6" fill=(colour) {} } } }
    } } }
}

async fn save(visit: Visit, fields: Fields) -> Answered {
    let now = visit.get("").send::<Organization>().await?;
    let optional = |name: &str| match fields.text(name) {
        "" => Value::Null,
        text => text.into(),
    };
    let branding: Map<String, Value> = BRANDING.into_iter().map(|name| (name.to_owned(), optional(name))).collect();
    let days: Map<String, Value> = DAYS.into_iter().map(|day| (day.to_owned(), day_of(fields.text(day)))).collect();
    let body = json!({
        "name": fields.text("name"), "locale": fields.text("locale"), "branding": branding,
        "business_hours": { "time_zone": fields.text("time_zone"), "days": days },
    });
    match visit.client.patch(visit.path("")).version(fields.version()).json(&body).send::<Value>().await {
        Ok(_) => Ok(visit.done(&visit.url("/general"), &Message { text: "Saved.".to_owned(), ..Message::default() })),
        Err(problem) if matches!(problem.status, 401 | 404) => Err(problem.into()),
        Err(problem) if problem.status == 412 => {
            let note = conflict(&visit, &problem, "Save");
            Ok(general_page(&visit, &now.body, &fields, now.etag.as_deref().unwrap_or_default(), &note, None))
        }
        Err(problem) => Ok(general_page(&visit, &now.body, &fields, fields.version(), &html! {}, Some(&problem))),
    }
}

const TABS: [(&str, &str); 4] =
    [("", "All"), ("active", "Active"), ("suspended", "Suspended"), ("deactivated", "Deactivated")];

async fn list(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let call = visit.client.get("/v1/organizations").query(asked.pick(&["status", "q", "sort", "cursor"]));
    let found =
        call.query([("limit", "25"), ("count", "true")]).send::<Page<Organization>>().await.map(|answer| answer.body);
    if let Err(problem) = &found
        && matches!(problem.status, 401 | 403)
    {
        return Err(problem.clone().into());
    }
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
    };
    let row = |it: &Organization| {
        html! { tr id=(it.id) {
            td { div.who { (ui::face(&it.name, "")) span { a.stretch href=(format!("/admin/organizations/{}", it.id)) { b { (it.name) } } small { (it.domain) } span.only-narrow { (words::status(&it.status)) } } } }
            td.fit.only-wide { (words::status(&it.status)) }
            td.fit.only-wide { (it.plan.as_deref().map_or_else(|| "–".to_owned(), words::words)) @if let Some(end) = it.trial_ends_at.filter(|end| *end > visit.frame.now) { div.soft { "trial ends " (time::instant(&visit.frame, end)) } } }
            td.fit.soft.only-wide { (time::instant(&visit.frame, it.created_at)) }
            td.end { div.over {
                button.btn.icon type="button" popovertarget=(format!("menu-{}", it.id)) aria-label=(format!("Actions for {}", it.name)) { (icon("ellipsis")) }
                div.menu id=(format!("menu-{}", it.id)) popover hx-boost:inherited="false" { (actions(&visit, it)) }
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
        _ => return Err(Problem::new(axum::http::StatusCode::NOT_FOUND, "There is no such page.")),
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
        inputs: field("Reason", "reason").value(&reason).hint("It is recorded, and they can read it.").input("text"),
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
    Action {
        title: format!("Invitation limits of {}", it.name),
        lead: html! { "Empty: what the operator has set for all." },
        button: "Save",
        is_dangerous: false,
        method: Method::PATCH,
        path: visit.path("/invitation-quota"),
        resource: visit.path(""),
        body: json!({ "per_day": number("per_day"), "imports_per_day": number("imports_per_day") }),
        inputs: html! {
            (field("Invitations per day", "per_day").optional().value(&text("per_day")).input("number"))
            (field("Invitations by imports per day", "imports_per_day").optional().value(&text("imports_per_day")).input("number"))
        },
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
    command_action(&visit, None).await?.show(&visit).await
}

async fn run_command(visit: Visit, fields: Fields) -> Answered {
    command_action(&visit, Some(&fields)).await?.submit(&visit, &fields).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_several_intervals_or_is_closed() {
        assert_eq!(
            day_of("08:00-12:00, 13:00 – 17:00"),
            json!([{"opens": "08:00", "closes": "12:00"}, {"opens": "13:00", "closes": "17:00"}])
        );
        assert_eq!(day_of(" "), Value::Null);
        let hours = vec![Hours { opens: "22:00".to_owned(), closes: "06:00".to_owned() }];
        assert_eq!(intervals(Some(&hours)), "22:00-06:00");
    }
}
