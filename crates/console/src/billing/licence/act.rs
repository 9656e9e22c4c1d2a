//! Commands on licences that are confirmed.

use axum::http::{Method, StatusCode};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{plan::FEATURES, usage::Usage},
    Licence, feature, must_be_customer,
};
use crate::{
    action::{Action, Inputs},
    api::Problem,
    form::Fields,
    ui::{
        field::field,
        icon,
        money::{bytes_of, gigabytes},
        sentence, words,
    },
    visit::{Answered, Visit},
};

const KINDS: [(&str, &str); 4] = [
    ("subscription", "Subscription: follows the paid period"),
    ("trial", "Trial: 14 days, once"),
    ("enterprise", "Enterprise: as agreed"),
    ("partner", "Partner: sold by a reseller"),
];

/// The fields of limits, with the meter of each, which is its member in the API.
const LIMITS: [(&str, &str); 4] =
    [("users", "users"), ("port_calls", "port_calls"), ("storage_gb", "storage_bytes"), ("api_calls", "api_calls")];

#[derive(Debug, Deserialize)]
struct Subscription {
    features: Vec<String>,
}

/// What the subscription permits, as the values of the form.
async fn of_plan(visit: &Visit) -> Result<Fields, Problem> {
    let subscription = visit.get("/billing/subscription").send::<Subscription>().await?.body;
    let usage = visit.get("/billing/usage").send::<Usage>().await?.body;
    let limit = |meter: &str| usage.meters.iter().find(|it| it.meter == meter).and_then(|it| it.limit.or(it.included));
    let limits = LIMITS.map(|(name, meter)| {
        let value = limit(meter).map(|it| if name == "storage_gb" { gigabytes(it) } else { it.to_string() });
        (name, value.unwrap_or_default())
    });
    Ok(Fields::with(limits.into_iter().chain(subscription.features.into_iter().map(|it| ("features", it)))))
}

/// The features that are ticked.
fn features(fields: &Fields) -> Vec<&'static str> {
    FEATURES.into_iter().filter(|code| fields.all("features").any(|it| it == *code)).collect()
}

/// All limits: one that is left out would be none. What is no number is sent as it is, and refused by the API.
fn limits(fields: &Fields) -> Value {
    let limit = |name: &str| match fields.text(name) {
        "" => Value::Null,
        text if name == "storage_gb" => bytes_of(text).map_or_else(|| text.into(), Value::from),
        text => text.parse::<u64>().map_or_else(|_| text.into(), Value::from),
    };
    LIMITS.into_iter().map(|(name, member)| (member, limit(name))).collect()
}

/// What is entered, as the API takes it. Limits and features that are those of the plan are left out.
fn body(fields: &Fields, plan: &Fields) -> Value {
    let kind = if fields.text("kind").is_empty() { KINDS[0].0 } else { fields.text("kind") };
    let mut body = json!({ "kind": kind });
    let number = |name: &str| {
        let text = fields.text(name);
        text.parse::<u64>().map_or_else(|_| Value::from(text), Value::from)
    };
    if !fields.text("activations").is_empty() {
        body["activations"] = number("activations");
    }
    if !fields.text("reseller").is_empty() {
        body["reseller"] = fields.text("reseller").into();
    }
    if limits(fields) != limits(plan) {
        body["limits"] = limits(fields);
    }
    if features(fields) != features(plan) {
        body["features"] = features(fields).into();
    }
    if !fields.text("first_day").is_empty() {
        body["not_before"] = fields.text("first_day").into();
    }
    let last = fields.text("last_day");
    if !last.is_empty() {
        // Until the end of the day that was entered.
        let next = last.parse::<jiff::civil::Date>().ok().and_then(|day| day.tomorrow().ok());
        body["expires_at"] = next.map_or_else(|| last.to_owned(), |next| next.to_string()).into();
    }
    body
}

fn issuance<'a>(visit: &Visit, fields: &Fields, plan: &Fields) -> Action<'a> {
    let (entered, back) = (fields.clone(), visit.url("/billing/licences"));
    let inputs = Inputs::new(move |problem: Option<&Problem>| {
        html! {
            (field("Kind", "kind").value(entered.text("kind")).error(problem, "/kind").select(&KINDS))
            div.pair {
                (field("Machines", "activations").value(entered.text("activations")).optional().hint("1 if empty.").error(problem, "/activations").input("number"))
                (field("Reseller", "reseller").value(entered.text("reseller")).optional().hint("Of partner licences.").error(problem, "/reseller").input("text"))
            }
            div.pair {
                (field("First day", "first_day").value(entered.text("first_day")).optional().hint("Today if empty. Of enterprise and partner licences.").error(problem, "/not_before").input("date"))
                (field("Last day", "last_day").value(entered.text("last_day")).optional().hint("Of enterprise and partner licences.").error(problem, "/expires_at").input("date"))
            }
            (terms(&entered, problem))
        }
    });
    Action {
        title: "Issue a licence".to_owned(),
        lead: html! { "The organization finds its token under Billing, Licences." },
        button: "Issue licence",
        is_dangerous: false,
        method: Method::POST,
        path: visit.path("/billing/licences"),
        resource: String::new(),
        body: body(fields, plan),
        inputs,
        is_previewed: false,
        typed: None,
        back: back.clone(),
        done: "The licence is issued.".to_owned(),
        crumbs: vec![("Licences".to_owned(), back)],
    }
}

/// The inputs of limits and features.
fn terms(entered: &Fields, problem: Option<&Problem>) -> Markup {
    let limit = |label: &'static str, name: &'static str, meter: &str, kind: &str| {
        let input = field(label, name).value(entered.text(name)).optional();
        input.error(problem, &format!("/limits/{meter}")).input(kind)
    };
    let error = |pointer: &str| {
        let text = problem.and_then(|it| it.at(pointer)).map(sentence);
        html! { @if let Some(text) = text { span.error { (icon("circle-alert")) span { (text) } } } }
    };
    html! {
        fieldset.form #f-limits { legend { b { "Limits" } }
            p.soft { "Those of the plan, unless you change one: then all that are entered here hold. Empty: no limit. Of enterprise and partner licences." }
            (error("/limits"))
            div.pair { (limit("Users", "users", "users", "number")) (limit("Port calls a month", "port_calls", "port_calls", "number")) }
            div.pair { (limit("Storage in GB", "storage_gb", "storage_bytes", "text")) (limit("API calls a month", "api_calls", "api_calls", "number")) }
        }
        fieldset.ticks #f-features { legend { "Features" } (error("/features")) @for code in FEATURES { label {
            input type="checkbox" name="features" value=(code) checked[entered.all("features").any(|it| it == code)]; " " (feature(code))
        } } }
    }
}

pub(super) async fn issue_form(visit: Visit) -> Answered {
    visit.require("licences:write")?;
    must_be_customer(&visit)?;
    let plan = of_plan(&visit).await?;
    issuance(&visit, &plan, &plan).show(&visit).await
}

pub(super) async fn issue(visit: Visit, fields: Fields) -> Answered {
    let plan = of_plan(&visit).await?;
    issuance(&visit, &fields, &plan).submit(&visit, &fields).await
}

/// A command on the licence in the path.
async fn on_licence<'a>(visit: &Visit, fields: &Fields, command: &str) -> Result<Action<'a>, Problem> {
    let resource = visit.path(&format!("/billing/licences/{}", visit.param("licence")));
    let it = visit.client.get(resource.clone()).send::<Licence>().await?.body;
    let list = visit.url("/billing/licences");
    let back = format!("{list}/{}", it.id);
    let kind = words::words(&it.kind).to_lowercase();
    let reason = fields.text("reason").to_owned();
    let is_revocation = command == "revoke";
    let entered = reason.clone();
    let inputs = Inputs::new(move |problem: Option<&Problem>| {
        html! { @if is_revocation { (field("Why", "reason").value(&entered).hint("Public: it is in the revocation list.").error(problem, "/reason").input("text")) } }
    });
    Ok(Action {
        title: format!("{} the {kind} licence", if is_revocation { "Revoke" } else { "Replace" }),
        lead: html! { @if is_revocation { "Installations stop when they learn of it, at the latest when their lease ends." }
        @else { "Another token takes its place, and this one is revoked. Its machines must be activated again." } },
        button: if is_revocation { "Revoke licence" } else { "Replace licence" },
        is_dangerous: true,
        method: Method::POST,
        path: format!("{resource}/{command}"),
        resource: if is_revocation { resource } else { String::new() },
        body: if is_revocation { json!({ "reason": reason }) } else { json!({}) },
        inputs,
        is_previewed: !is_revocation,
        typed: None,
        back: if is_revocation { back } else { list.clone() },
        done: if is_revocation { "The licence is revoked." } else { "The licence is replaced." }.to_owned(),
        crumbs: vec![("Licences".to_owned(), list)],
    })
}

pub(super) async fn revoke_form(visit: Visit) -> Answered {
    visit.require("licences:write")?;
    on_licence(&visit, &Fields::default(), "revoke").await?.show(&visit).await
}

pub(super) async fn revoke(visit: Visit, fields: Fields) -> Answered {
    on_licence(&visit, &fields, "revoke").await?.submit(&visit, &fields).await
}

pub(super) async fn replace_form(visit: Visit) -> Answered {
    visit.require("licences:write")?;
    on_licence(&visit, &Fields::default(), "replace").await?.show(&visit).await
}

pub(super) async fn replace(visit: Visit, fields: Fields) -> Answered {
    on_licence(&visit, &fields, "replace").await?.submit(&visit, &fields).await
}

async fn removal<'a>(visit: &Visit) -> Result<Action<'a>, Problem> {
    let resource = visit.path(&format!("/billing/licences/{}", visit.param("licence")));
    let it = visit.client.get(resource.clone()).send::<Licence>().await?.body;
    let id = visit.param("activation");
    let known = it.activations.iter().find(|machine| machine.id == id);
    let machine = known.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "There is no such machine."))?;
    let list = visit.url("/billing/licences");
    Ok(Action {
        title: "Remove a machine".to_owned(),
        lead: html! { "The licence can be activated elsewhere at once. On " code { (machine.machine) } ", it works until its lease ends, at most 30 days." },
        button: "Remove machine",
        is_dangerous: true,
        method: Method::POST,
        path: format!("{resource}/activations/{id}/remove"),
        resource,
        body: json!({}),
        inputs: Inputs::none(),
        is_previewed: true,
        typed: None,
        back: format!("{list}/{}", it.id),
        done: "The machine is removed.".to_owned(),
        crumbs: vec![("Licences".to_owned(), list)],
    })
}

pub(super) async fn removal_form(visit: Visit) -> Answered {
    visit.require("billing:write")?;
    removal(&visit).await?.show(&visit).await
}

pub(super) async fn remove(visit: Visit, fields: Fields) -> Answered {
    removal(&visit).await?.submit(&visit, &fields).await
}
