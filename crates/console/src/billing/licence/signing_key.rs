//! The keys that sign licences, for staff.

use axum::{
    Router,
    http::{Method, StatusCode},
    routing::get,
};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use crate::{
    Console,
    action::{Action, Inputs},
    api::Problem,
    form::Fields,
    ui::{self, field::field, time, words},
    visit::{Answered, Visit},
};

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route(URL, get(list))
        .route("/admin/licence-signing-keys/new", get(new_form).post(create))
        .route("/admin/licence-signing-keys/{signing_key}/activate", get(activate_form).post(activate))
        .route("/admin/licence-signing-keys/{signing_key}/retire", get(retire_form).post(retire))
}

const URL: &str = "/admin/licence-signing-keys";
const API: &str = "/v1/platform/billing/licence-signing-keys";
const REASONS: [(&str, &str); 2] =
    [("rotated", "Rotated: another key signs"), ("compromised", "Compromised: remove it at once")];

#[derive(Debug, Clone, Deserialize)]
struct LicenceSigningKey {
    id: String,
    kid: String,
    status: String,
    created_at: Timestamp,
    usable_from: Timestamp,
    activated_at: Option<Timestamp>,
    published_until: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
struct LicenceSigningKeyList {
    items: Vec<LicenceSigningKey>,
}

async fn keys(visit: &Visit) -> Result<Vec<LicenceSigningKey>, Problem> {
    Ok(visit.client.get(API).send::<LicenceSigningKeyList>().await?.body.items)
}

fn status(status: &str) -> Markup {
    match status {
        "signing" => words::badge("ok dot", "Signing"),
        "published" => words::badge("info dot", "Published"),
        "compromised" => words::badge("bad dot", "Compromised"),
        other => words::badge("dot", &words::words(other)),
    }
}

async fn list(visit: Visit) -> Answered {
    let keys = keys(&visit).await?;
    let add = ui::sheet_link("/admin/licence-signing-keys/new", "btn main-act", "plus", "New key");
    let has_signing = keys.iter().any(|key| key.status == "signing");
    let content = html! {
        (ui::head("Signing keys", "The keys that sign licences. Private halves never leave the service.", add.clone()))
        @if !has_signing { (ui::note("warn", "triangle-alert", "No key signs licences", html! { p { "Create a key and activate it: until then, no licence can be issued." } })) }
        @if keys.is_empty() { (ui::empty("key-round", "No key yet", "Licences are signed, so that installations can verify them.", add)) }
        @else { section.card { table.table { caption.hide { "Signing keys" }
            thead { tr { th scope="col" { "Key" } th scope="col" { "Status" } th.only-wide scope="col" { "Published" } th.only-wide scope="col" { "Signs since" } th.end scope="col" { span.hide { "Actions" } } } }
            tbody { @for key in &keys { (row(&visit, key)) } }
        } } }
    };
    let crumbs = [("Administration", "/admin/organizations"), ("Licences", "/admin/licences"), ("Signing keys", "")];
    Ok(visit.page("Signing keys", &crumbs, content))
}

fn row(visit: &Visit, key: &LicenceSigningKey) -> Markup {
    let is_open = ["published", "signing"].contains(&key.status.as_str());
    html! { tr id=(key.id) {
        td { code { (key.kid) } }
        td.fit { (status(&key.status)) @if let Some(until) = key.published_until { @if key.status == "retired" { br; small.soft { "verifies until " (time::instant(&visit.frame, until)) } } } }
        td.fit.soft.only-wide { (time::instant(&visit.frame, key.created_at)) }
        td.fit.soft.only-wide { (time::maybe(&visit.frame, key.activated_at, "never")) }
        td.end { div.row {
            @if key.status == "published" { (ui::sheet_link(&format!("{URL}/{}/activate", key.id), "btn edge", "check", "Activate…")) }
            @if is_open || key.status == "retired" { (ui::sheet_link(&format!("{URL}/{}/retire", key.id), "btn edge", "x", "Retire…")) }
        } }
    } }
}

/// A command on the keys.
fn action<'a>(
    (title, lead, button): (&str, Markup, &'a str),
    (path, body): (String, serde_json::Value),
    inputs: Inputs<'a>,
    done: &str,
) -> Action<'a> {
    Action {
        title: title.to_owned(),
        lead,
        button,
        is_dangerous: false,
        method: Method::POST,
        path,
        resource: String::new(),
        body,
        inputs,
        is_previewed: true,
        typed: None,
        back: URL.to_owned(),
        done: done.to_owned(),
        crumbs: vec![("Signing keys".to_owned(), URL.to_owned())],
    }
}

fn creation<'a>() -> Action<'a> {
    let lead = html! { "It is published at once, and can sign in seven days, or at once if no key signs yet." };
    let words = ("New signing key", lead, "Create key");
    action(words, (API.to_owned(), json!({})), Inputs::none(), "The key is created and published.")
}

async fn new_form(visit: Visit) -> Answered {
    visit.require("licences:write")?;
    creation().show(&visit).await
}

async fn create(visit: Visit, fields: Fields) -> Answered {
    creation().submit(&visit, &fields).await
}

/// The key in the path.
async fn known(visit: &Visit) -> Result<LicenceSigningKey, Problem> {
    let id = visit.param("signing_key");
    let found = keys(visit).await?.into_iter().find(|key| key.id == id);
    found.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "There is no such key."))
}

async fn activation<'a>(visit: &Visit) -> Result<Action<'a>, Problem> {
    let key = known(visit).await?;
    let lead = html! { "It signs licences from now on. If another one signs now, this is possible "
    (time::instant(&visit.frame, key.usable_from)) ", seven days after it was published." };
    let words = ("Activate the key", lead, "Activate key");
    let path = format!("{API}/{}/activate", key.id);
    Ok(action(words, (path, json!({})), Inputs::none(), "The key signs licences from now on."))
}

async fn activate_form(visit: Visit) -> Answered {
    visit.require("licences:write")?;
    activation(&visit).await?.show(&visit).await
}

async fn activate(visit: Visit, fields: Fields) -> Answered {
    activation(&visit).await?.submit(&visit, &fields).await
}

async fn retirement<'a>(visit: &Visit, fields: &Fields) -> Result<Action<'a>, Problem> {
    let key = known(visit).await?;
    let reason = if fields.text("reason").is_empty() { REASONS[0].0 } else { fields.text("reason") }.to_owned();
    let lead = html! { "A rotated key verifies until its last token has expired. A compromised one is removed at once: "
    "installations need the new tokens of their licences then." };
    let body = json!({ "reason": reason });
    let inputs = Inputs::new(move |problem: Option<&Problem>| {
        field("Why", "reason").value(&reason).error(problem, "/reason").select(&REASONS)
    });
    let words = ("Retire the key", lead, "Retire key");
    let action = action(words, (format!("{API}/{}/retire", key.id), body), inputs, "The key is retired.");
    Ok(Action { is_dangerous: true, is_previewed: false, ..action })
}

async fn retire_form(visit: Visit) -> Answered {
    visit.require("licences:write")?;
    retirement(&visit, &Fields::default()).await?.show(&visit).await
}

async fn retire(visit: Visit, fields: Fields) -> Answered {
    retirement(&visit, &fields).await?.submit(&visit, &fields).await
}
