//! Plans, for staff.

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
        money::{bytes, grouped, input, minor, money},
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
    limits: Limits,
    overage: Vec<Overage>,
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
                dt { "Included users" } dd { (offer.included_seats) }
                dt { "Port calls a month" } dd { (limit(offer.limits.port_calls)) }
                dt { "Storage" } dd { (offer.limits.storage_bytes.map_or_else(|| "no limit".to_owned(), bytes)) }
                dt { "API calls a month" } dd { (limit(offer.limits.api_calls)) }
                dt { "Features" } dd { (offer.features.iter().map(|it| feature(it)).collect::<Vec<_>>().join(", ")) @if offer.features.is_empty() { "none" } }
                @for over in &offer.overage { dt { "Beyond " (words::words(&over.meter)) } dd { (over.price_per_unit) " " (over.currency) " for each " (over.unit) } }
            } } }
        }
    };
    Ok(visit.page(&plan.name, &[("Plans", URL), (&plan.name, "")], content))
}

/// The fields of a version, as the form has them.
fn fields_of(offer: &Offer) -> Vec<(&'static str, String)> {
    let currency = offer.prices.first().map_or("EUR", |price| price.currency.as_str());
    let of =
        |interval: &str| offer.prices.iter().find(|price| price.interval == interval && price.currency == currency);
    let amount = |it: Option<i64>| it.map(|it| input(it, currency)).unwrap_or_default();
    let number = |it: Option<u64>| it.map(|it| it.to_string()).unwrap_or_default();
    let mut fields = vec![
        ("currency", currency.to_owned()),
        ("month", amount(of("month").map(|it| it.price))),
        ("month_seat", amount(of("month").and_then(|it| it.seat_price))),
        ("year", amount(of("year").map(|it| it.price))),
        ("year_seat", amount(of("year").and_then(|it| it.seat_price))),
        ("included_seats", offer.included_seats.to_string()),
        ("port_calls", number(offer.limits.port_calls)),
        ("storage_gb", number(offer.limits.storage_bytes.map(|it| it / 1_000_000_000))),
        ("api_calls", number(offer.limits.api_calls)),
    ];
    fields.extend(offer.features.iter().map(|feature| ("features", feature.clone())));
    fields
}

/// The content of a version, as it was entered. What is no number is sent as it is, and refused by the API.
fn version_body(fields: &Fields) -> Value {
    let currency = fields.text("currency").to_uppercase();
    let amount = |name: &str| -> Value {
        match fields.text(name) {
            "" => Value::Null,
            text => minor(text, &currency).map_or_else(|| text.into(), Value::from),
        }
    };
    let number = |name: &str, by: u64| -> Value {
        match fields.text(name) {
            "" => Value::Null,
            text => text.parse::<u64>().map_or_else(|_| text.into(), |it| it.saturating_mul(by).into()),
        }
    };
    let price = |interval: &str, seat: &str| json!({ "currency": currency, "interval": interval, "price": amount(interval), "seat_price": amount(seat) });
    let prices = [("month", "month_seat"), ("year", "year_seat")];
    let prices = prices.into_iter().filter(|(interval, _)| !fields.text(interval).is_empty());
    json!({
        "prices": prices.map(|(interval, seat)| price(interval, seat)).collect::<Vec<_>>(),
        "included_seats": number("included_seats", 1),
        "features": fields.all("features").collect::<Vec<_>>(),
        "limits": {
            "port_calls": number("port_calls", 1), "storage_bytes": number("storage_gb", 1_000_000_000),
            "api_calls": number("api_calls", 1),
        },
    })
}

fn version_inputs(fields: &Fields, problem: Option<&Problem>, below: &str) -> Markup {
    let at = |name: &str| format!("{below}/{name}");
    let input = |label: &'static str, name: &'static str| field(label, name).value(fields.text(name)).optional();
    html! {
        (field("Currency", "currency").value(fields.text("currency")).error(problem, &at("currency")).input("text"))
        div.pair {
            (input("Price a month", "month").error(problem, &at("prices")).input("text"))
            (input("Extra seat a month", "month_seat").input("text"))
        }
        div.pair {
            (input("Price a year", "year").input("text"))
            (input("Extra seat a year", "year_seat").input("text"))
        }
        div.pair {
            (field("Included users", "included_seats").value(fields.text("included_seats")).error(problem, &at("included_seats")).input("number"))
            (input("Port calls a month", "port_calls").hint("Empty: no limit.").error(problem, &at("limits/port_calls")).input("number"))
        }
        div.pair {
            (input("Storage in GB", "storage_gb").hint("Empty: no limit.").error(problem, &at("limits/storage_bytes")).input("number"))
            (input("API calls a month", "api_calls").hint("Empty: no limit.").error(problem, &at("limits/api_calls")).input("number"))
        }
        fieldset.ticks { legend { "Features" } @for code in FEATURES { label {
            input type="checkbox" name="features" value=(code) checked[fields.all("features").any(|it| it == code)]; " " (feature(code))
        } } }
    }
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
        (version_inputs(fields, problem, "/offer"))
    };
    dialog(visit, ("New plan", "Create plan", "/admin/plans/new"), content, problem, URL)
}

async fn new_form(visit: Visit) -> Answered {
    visit.require("plans:write")?;
    Ok(new_page(&visit, &Fields::with([("currency", "EUR".to_owned()), ("included_seats", "1".to_owned())]), None))
}

async fn create(visit: Visit, fields: Fields) -> Answered {
    let mut body = Value::Object(fields.json(&["code", "name", "visibility", "for_organization"]));
    body["offer"] = version_body(&fields);
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
    let fields = Fields::with(plan.offer.as_ref().map(fields_of).unwrap_or_default());
    Ok(version_page(&visit, &plan, &fields, None))
}

fn version_page(visit: &Visit, plan: &Plan, fields: &Fields, problem: Option<&Problem>) -> Response {
    let url = format!("{URL}/{}/version", plan.id);
    let content = html! {
        p.soft { "New subscriptions get it. Present ones keep theirs." }
        (version_inputs(fields, problem, ""))
    };
    dialog(visit, ("New version", "Publish version", &url), content, problem, &format!("{URL}/{}", plan.id))
}

async fn publish(visit: Visit, fields: Fields) -> Answered {
    let (plan, _) = read(&visit).await?;
    let call = visit.client.post(format!("{API}/{}/versions", plan.id)).key(fields.key());
    match call.json(&version_body(&fields)).send::<Value>().await {
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

async fn migration<'a>(visit: &Visit) -> Result<Action<'a>, Problem> {
    let (plan, _) = read(visit).await?;
    Ok(Action {
        title: format!("Migrate subscriptions of {}", plan.name),
        lead: html! { "They move to the last version at a border of their periods: after 30 days' notice, or at the next one if it is cheaper. At most 1,000 at a time." },
        button: "Migrate",
        is_dangerous: true,
        method: Method::POST,
        path: format!("{API}/{}/migrate", plan.id),
        resource: String::new(),
        body: json!({}),
        inputs: Inputs::none(),
        is_previewed: true,
        typed: None,
        back: format!("{URL}/{}", plan.id),
        done: "The subscriptions are scheduled to move.".to_owned(),
        crumbs: vec![("Plans".to_owned(), URL.to_owned())],
    })
}

async fn migrate_form(visit: Visit) -> Answered {
    visit.require("plans:write")?;
    migration(&visit).await?.show(&visit).await
}

async fn migrate(visit: Visit, fields: Fields) -> Answered {
    migration(&visit).await?.submit(&visit, &fields).await
}
