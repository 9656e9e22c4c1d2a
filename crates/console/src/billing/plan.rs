//! Plans, for staff; their versions in forms (`version.rs`).

mod version;

use axum::{Router, http::Method, response::Response, routing::get};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::subscription::feature;
use crate::{
    Console,
    action::{Action, Inputs},
    api::Problem,
    form::{Fields, attachment},
    ui::{
        self,
        field::field,
        icon,
        list::{Asked, Column, Listing},
        money::{bytes, grouped, money},
        words,
    },
    visit::{Answered, Message, Visit},
};

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route(URL, get(list))
        .route("/admin/plans/export", get(export))
        .route("/admin/plans/new", get(new_form).post(create))
        .route("/admin/plans/{plan}", get(show))
        .route("/admin/plans/{plan}/version", get(version_form).post(publish))
        .route("/admin/plans/{plan}/edit", get(edit_form).post(edit))
        .route("/admin/plans/{plan}/migrate", get(migrate_form).post(migrate))
        .route("/admin/plans/{plan}/retire", get(retire_form).post(retire))
}

const URL: &str = "/admin/plans";
const API: &str = "/v1/platform/billing/plans";
const TABS: [(&str, &str); 3] = [("", "All"), ("public", "Public"), ("private", "Private")];
/// The features that a plan can have.
pub(super) const FEATURES: [&str; 4] = ["api_keys", "invoice_billing", "custom_retention", "sso"];

#[derive(Debug, Clone, Deserialize)]
struct Plan {
    id: String,
    code: String,
    name: String,
    visibility: String,
    for_organization: Option<String>,
    retired: bool,
    offer: Option<Offer>,
}

#[derive(Debug, Clone, Deserialize)]
struct Offer {
    version: u64,
    prices: Vec<Price>,
    included_seats: u32,
    features: Vec<String>,
    prices_include_tax: bool,
    limits: Limits,
    overage: Vec<Overage>,
    trial_days: u32,
}

#[derive(Debug, Clone, Deserialize)]
struct Price {
    currency: String,
    interval: String,
    price: i64,
    seat_price: Option<i64>,
}

#[derive(Debug, Clone, Deserialize)]
struct Limits {
    users: Option<u64>,
    port_calls: Option<u64>,
    storage_bytes: Option<u64>,
    api_calls: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
struct Overage {
    meter: String,
    currency: String,
    unit: u64,
    price_per_unit: String,
}

impl Offer {
    fn price(&self) -> String {
        self.prices
            .first()
            .map_or_else(String::new, |it| format!("{} a {}", money(it.price, &it.currency), it.interval))
    }
}

async fn list(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let call = visit.client.get(API).query(asked.pick(&["visibility", "q", "sort", "cursor"]));
    let found = call.query([("limit", "25"), ("count", "true")]).page::<Plan>().await?;
    let add = ui::sheet_link("/admin/plans/new", "btn main-act", "plus", "New plan");
    let listing = Listing {
        name: "Plans",
        tabs: Some(("visibility", &TABS)),
        search: Some("Name or code"),
        selects: &[],
        inputs: &[],
        columns: &[
            Column("Plan", "name", ""),
            Column("Visibility", "", "only-wide"),
            Column("Version", "", "only-wide"),
            Column("Price", "", "sum"),
        ],
        nothing: ui::empty("badge-check", "No plan yet", "Organizations choose among public plans.", add.clone()),
        panel: None,
    };
    let row = |it: &Plan| {
        html! { tr id=(it.id) {
            td { a.stretch href=(format!("{URL}/{}", it.id)) { b { (it.name) } } br; small.soft { (it.code) } @if it.retired { " " (words::badge("bad dot", "Retired")) } }
            td.fit.only-wide { (words::words(&it.visibility)) @if it.for_organization.is_some() { small.soft { " for one" } } }
            td.fit.only-wide { @match &it.offer { Some(offer) => (offer.version), None => "–" } }
            td.sum { (it.offer.as_ref().map(Offer::price).unwrap_or_default()) }
        } }
    };
    let export = asked.changed(&[("cursor", "")]).replacen(URL, &format!("{URL}/export"), 1);
    let actions = html! { a.btn.edge data-download href=(export) { (icon("download")) "Export list" } (add) };
    let content = html! {
        (ui::head("Plans", "What the platform sells, in versions that never change.", actions))
        (listing.render(&visit.frame, &asked, &found, row))
    };
    Ok(visit.page("Plans", &[("Administration", "/admin/organizations"), ("Plans", "")], content))
}

/// The filtered list as CSV.
async fn export(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let call = visit.client.get(API).query(asked.pick(&["visibility", "q", "sort"])).query([("format", "csv")]);
    Ok(attachment(call.download().await?, "plans.csv"))
}

async fn read(visit: &Visit) -> Result<(Plan, String), Problem> {
    let answer = visit.client.get(format!("{API}/{}", visit.param("plan"))).send::<Plan>().await?;
    Ok((answer.body, answer.etag.unwrap_or_default()))
}

async fn show(visit: Visit) -> Answered {
    let (plan, _) = read(&visit).await?;
    let url = |rest: &str| format!("{URL}/{}/{rest}", plan.id);
    let acts = html! { @if !plan.retired {
        (ui::sheet_link(&url("version"), "btn main-act", "plus", "New version"))
        (ui::sheet_link(&url("edit"), "btn edge", "pencil", "Edit…"))
        (ui::sheet_link(&url("migrate"), "btn edge", "arrow-right", "Migrate…"))
        (ui::sheet_link(&url("retire"), "btn edge", "x", "Retire…"))
    } };
    let limit = |limit: Option<u64>| limit.map_or_else(|| "no limit".to_owned(), grouped);
    let content = html! {
        (ui::head(&plan.name, "", acts))
        div.grid.wide {
            section.card { header { h2 { "Plan" } @if plan.retired { (words::badge("bad dot", "Retired")) } } dl.facts {
                dt { "Code" } dd { (plan.code) }
                dt { "Visibility" } dd { (words::words(&plan.visibility)) }
                @if let Some(organization) = &plan.for_organization { dt { "Only for" } dd { a href=(format!("/admin/organizations/{organization}")) { (ui::id(organization)) } } }
                dt { "Id" } dd { (ui::id(&plan.id)) }
                dt { "Subscriptions" } dd { a href=(format!("/admin/subscriptions?plan={}", plan.id)) { "Show" } }
            } }
            @if let Some(offer) = &plan.offer { section.card { header { h2 { "Version " (offer.version) } } dl.facts {
                @for price in &offer.prices { dt { "Price a " (price.interval) } dd { (money(price.price, &price.currency)) @if let Some(seat) = price.seat_price { ", extra seat " (money(seat, &price.currency)) } } }
                @if offer.prices_include_tax { dt { "Tax" } dd { "included in the prices" } }
                dt { "Included users" } dd { (offer.included_seats) }
                @if let Some(users) = offer.limits.users { dt { "Users" } dd { (grouped(users)) } }
                dt { "Port calls a month" } dd { (limit(offer.limits.port_calls)) }
                dt { "Storage" } dd { (offer.limits.storage_bytes.map_or_else(|| "no limit".to_owned(), bytes)) }
                dt { "API calls a month" } dd { (limit(offer.limits.api_calls)) }
                dt { "Features" } dd { (offer.features.iter().map(|it| feature(it)).collect::<Vec<_>>().join(", ")) @if offer.features.is_empty() { "none" } }
                @for over in &offer.overage { dt { "Beyond " (words::words(&over.meter)) } dd { (over.price_per_unit) " " (over.currency) " for each " (if over.meter == "storage_bytes" { bytes(over.unit) } else { grouped(over.unit) }) } }
                dt { "Trial" } dd { (offer.trial_days) " days" }
            } } }
        }
    };
    Ok(visit.page(&plan.name, &[("Plans", URL), (&plan.name, "")], content))
}

/// A dialog with a form.
fn dialog(
    visit: &Visit,
    (title, button, url): (&str, &str, &str),
    content: Markup,
    problem: Option<&Problem>,
    back: &str,
) -> Response {
    let sheet = ui::sheet(
        title,
        html! {},
        ui::sheet_form(
            &visit.frame,
            url,
            html! {
                div.in { @if let Some(problem) = problem { (ui::summary(problem)) } (content) }
                footer {
                    a.btn.edge href=(back) data-close { "Cancel" }
                    button.btn.main-act type="submit" name="step" value="confirm" { (icon("check")) (button) }
                }
            },
        ),
    );
    visit.page_with(problem, title, &[("Plans", URL), (title, "")], sheet)
}

fn new_page(visit: &Visit, fields: &Fields, problem: Option<&Problem>) -> Response {
    let content = html! {
        div.pair {
            (field("Code", "code").value(fields.text("code")).hint("Such as harbour-2027.").error(problem, "/code").input("text"))
            (field("Name", "name").value(fields.text("name")).error(problem, "/name").input("text"))
        }
        div.pair {
            (field("Visibility", "visibility").value(fields.text("visibility")).select(&[("public", "public: all can choose it"), ("private", "private: staff gives it")]))
            (field("Only for the organization", "for_organization").value(fields.text("for_organization")).optional().hint("Its id.").error(problem, "/for_organization").input("text"))
        }
        (version::inputs(fields, problem, "/offer"))
    };
    dialog(visit, ("New plan", "Create plan", "/admin/plans/new"), content, problem, URL)
}

async fn new_form(visit: Visit) -> Answered {
    visit.require("plans:write")?;
    let first = [("currency", "EUR"), ("included_seats", "1"), ("trial_days", "14")];
    Ok(new_page(&visit, &Fields::with(first.map(|(name, value)| (name, value.to_owned()))), None))
}

async fn create(visit: Visit, fields: Fields) -> Answered {
    let mut body = Value::Object(fields.json(&["code", "name", "visibility", "for_organization"]));
    body["offer"] = version::body(&fields, &Value::Null);
    match visit.client.post(API).key(fields.key()).json(&body).send::<Value>().await {
        Ok(_) => {
            let text = format!("{} is created.", fields.text("name"));
            Ok(visit.done(URL, &Message { text, ..Message::default() }))
        }
        Err(problem) if problem.status == 401 => Err(problem.into()),
        Err(problem) => Ok(new_page(&visit, &fields, Some(&problem))),
    }
}

async fn version_form(visit: Visit) -> Answered {
    visit.require("plans:write")?;
    let (plan, _) = read(&visit).await?;
    let fields = plan.offer.as_ref().map(version::fields_of).unwrap_or_default();
    Ok(version_page(&visit, &plan, &fields, None))
}

fn version_page(visit: &Visit, plan: &Plan, fields: &Fields, problem: Option<&Problem>) -> Response {
    let url = format!("{URL}/{}/version", plan.id);
    let content = html! {
        p.soft { "New subscriptions get it. Present ones keep theirs." }
        (version::inputs(fields, problem, ""))
    };
    dialog(visit, ("New version", "Publish version", &url), content, problem, &format!("{URL}/{}", plan.id))
}

async fn publish(visit: Visit, fields: Fields) -> Answered {
    let (plan, _) = read(&visit).await?;
    let before = visit.client.get(format!("{API}/{}", plan.id)).send::<Value>().await?.body;
    let call = visit.client.post(format!("{API}/{}/versions", plan.id)).key(fields.key());
    match call.json(&version::body(&fields, &before["offer"])).send::<Value>().await {
        Ok(_) => {
            let text = "The version is published.".to_owned();
            Ok(visit.done(&format!("{URL}/{}", plan.id), &Message { text, ..Message::default() }))
        }
        Err(problem) if matches!(problem.status, 401 | 404) => Err(problem.into()),
        Err(problem) => Ok(version_page(&visit, &plan, &fields, Some(&problem))),
    }
}

fn edition<'a>(plan: &Plan, fields: Option<&Fields>) -> Action<'a> {
    let of = |name: &str, now: &str| fields.map_or(now, |fields| fields.text(name)).to_owned();
    let (name, visibility) = (of("name", &plan.name), of("visibility", &plan.visibility));
    let path = format!("{API}/{}", plan.id);
    Action {
        title: format!("Edit {}", plan.name),
        lead: html! { "Prices and limits change with a new version." },
        button: "Save",
        is_dangerous: false,
        method: Method::PATCH,
        path: path.clone(),
        resource: path,
        body: json!({ "name": name, "visibility": visibility }),
        inputs: Inputs::new(move |problem| {
            html! {
                (field("Name", "name").value(&name).error(problem, "/name").input("text"))
                (field("Visibility", "visibility").value(&visibility).error(problem, "/visibility").select(&[("public", "public: all can choose it"), ("private", "private: staff gives it")]))
            }
        }),
        is_previewed: false,
        typed: None,
        back: format!("{URL}/{}", plan.id),
        done: "Saved.".to_owned(),
        crumbs: vec![("Plans".to_owned(), URL.to_owned())],
    }
}

async fn edit_form(visit: Visit) -> Answered {
    visit.require("plans:write")?;
    let (plan, _) = read(&visit).await?;
    edition(&plan, None).show(&visit).await
}

async fn edit(visit: Visit, fields: Fields) -> Answered {
    let (plan, _) = read(&visit).await?;
    edition(&plan, Some(&fields)).submit(&visit, &fields).await
}

async fn retirement<'a>(visit: &Visit) -> Result<Action<'a>, Problem> {
    let (plan, _) = read(visit).await?;
    let path = format!("{API}/{}", plan.id);
    Ok(Action {
        title: format!("Retire {}", plan.name),
        lead: html! { "It is sold no longer. Who holds it keeps it." },
        button: "Retire",
        is_dangerous: true,
        method: Method::POST,
        path: format!("{path}/retire"),
        resource: path,
        body: json!({}),
        inputs: Inputs::none(),
        is_previewed: true,
        typed: None,
        back: format!("{URL}/{}", plan.id),
        done: format!("{} is retired.", plan.name),
        crumbs: vec![("Plans".to_owned(), URL.to_owned())],
    })
}

async fn retire_form(visit: Visit) -> Answered {
    visit.require("plans:write")?;
    retirement(&visit).await?.show(&visit).await
}

async fn retire(visit: Visit, fields: Fields) -> Answered {
    retirement(&visit).await?.submit(&visit, &fields).await
}

/// What became of a migration.
#[derive(Debug, Deserialize)]
struct Migrated {
    scheduled: u64,
    unchanged: u64,
    /// The last organization, if there are more.
    next: Option<String>,
}

/// A migration of the organizations after one; of the first ones, if it is empty.
async fn migration<'a>(visit: &Visit, after: &str) -> Result<Action<'a>, Problem> {
    let (plan, _) = read(visit).await?;
    let after = after.to_owned();
    Ok(Action {
        title: format!("Migrate subscriptions of {}", plan.name),
        lead: html! { "They move to the last version at a border of their periods: after 30 days' notice, or at the next one if it is cheaper. At most 1,000 at a time; then you can continue." },
        button: "Migrate",
        is_dangerous: true,
        method: Method::POST,
        path: format!("{API}/{}/migrate", plan.id),
        resource: String::new(),
        body: if after.is_empty() { json!({}) } else { json!({ "after": after }) },
        inputs: Inputs::new(
            move |_| html! { @if !after.is_empty() { input type="hidden" name="after" value=(after); } },
        ),
        is_previewed: true,
        typed: None,
        back: format!("{URL}/{}", plan.id),
        done: String::new(),
        crumbs: vec![("Plans".to_owned(), URL.to_owned())],
    })
}

async fn migrate_form(visit: Visit) -> Answered {
    visit.require("plans:write")?;
    migration(&visit, Asked::of(&visit.frame.url).get("after")).await?.show(&visit).await
}

async fn migrate(visit: Visit, fields: Fields) -> Answered {
    let action = migration(&visit, fields.text("after")).await?;
    if fields.is_preview() {
        return action.submit(&visit, &fields).await;
    }
    let call = visit.client.post(action.path.clone()).key(fields.key()).json(&action.body);
    match call.send::<Migrated>().await {
        Ok(answer) => {
            let Migrated { scheduled, unchanged, next } = answer.body;
            let done = format!("Scheduled to move: {}. Unchanged: {}.", grouped(scheduled), grouped(unchanged));
            let (text, to) = match next {
                None => (done, action.back),
                Some(next) => (format!("{done} There are more."), format!("{}/migrate?after={next}", action.back)),
            };
            Ok(visit.done(&to, &Message { text, ..Message::default() }))
        }
        Err(problem) => action.failed(&visit, &fields, &problem).await,
    }
}
