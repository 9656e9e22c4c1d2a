//! Licences of an organization: their tokens and machines; issuing and revoking for staff.
//!
//! | file | what it owns |
//! |---|---|
//! | `act.rs` | commands that are confirmed: issue, revoke, replace, remove a machine |
//! | `all.rs` | the licences of all organizations |
//! | `signing_key.rs` | the keys that sign licences |

mod act;
mod all;
mod signing_key;

use axum::{Router, routing::get};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::{must_be_customer, subscription::feature};
use crate::{
    Console,
    ui::{
        self, icon,
        list::{Asked, Column, Listing},
        money::grouped,
        time, words,
    },
    visit::{Answered, Visit},
};

pub(crate) fn routes() -> Router<Console> {
    all::routes().merge(signing_key::routes())
}

pub(crate) fn settings() -> Router<Console> {
    Router::new()
        .route("/billing/licences", get(list))
        .route("/billing/licences/new", get(act::issue_form).post(act::issue))
        .route("/billing/licences/{licence}", get(show))
        .route("/billing/licences/{licence}/revoke", get(act::revoke_form).post(act::revoke))
        .route("/billing/licences/{licence}/replace", get(act::replace_form).post(act::replace))
        .route("/billing/licences/{licence}/activations/{activation}/remove", get(act::removal_form).post(act::remove))
}

const TABS: [(&str, &str); 4] = [("", "All"), ("active", "Active"), ("replaced", "Replaced"), ("revoked", "Revoked")];

/// A licence, as the API shows it.
#[derive(Debug, Clone, Deserialize)]
struct Licence {
    id: String,
    organization: String,
    /// In the list of all organizations.
    organization_name: Option<String>,
    kind: String,
    status: String,
    expired: bool,
    not_before: Timestamp,
    expires_at: Timestamp,
    features: Vec<String>,
    limits: Option<Limits>,
    max_activations: u64,
    used_activations: u64,
    activations: Vec<Activation>,
    reseller: Option<String>,
    kid: Option<String>,
    replaced_by: Option<String>,
    reason: Option<String>,
    token: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Limits {
    users: Option<u64>,
    port_calls: Option<u64>,
    storage_bytes: Option<u64>,
    api_calls: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
struct Activation {
    id: String,
    machine: String,
    activated_at: Timestamp,
}

/// The status of a licence, as a badge.
fn badge(status: &str, is_expired: bool) -> Markup {
    if is_expired && status == "active" { words::badge("warn dot", "Expired") } else { words::status(status) }
}

async fn list(visit: Visit) -> Answered {
    must_be_customer(&visit)?;
    let asked = Asked::of(&visit.frame.url);
    let call = visit.get("/billing/licences").query(asked.pick(&["status", "kind", "sort", "cursor"]));
    let found = call.query([("limit", "25"), ("count", "true")]).page::<Licence>().await?;
    let url = visit.url("/billing/licences");
    let add = html! { @if visit.may("licences:write") {
        (ui::sheet_link(&format!("{url}/new"), "btn main-act", "plus", "Issue a licence…"))
    } };
    let listing = Listing {
        name: "Licences",
        tabs: Some(("status", &TABS)),
        search: None,
        selects: &[],
        inputs: &[],
        columns: &[
            Column("Licence", "created_at", ""),
            Column("Status", "", "only-wide"),
            Column("Machines", "", "sum"),
            Column("Until", "expires_at", "only-wide"),
        ],
        nothing: ui::empty("file-key", "No licence yet", "Licences permit installations to run.", add.clone()),
        panel: None,
    };
    let content = html! {
        (ui::head("Licences", "What permits your installations to run.", add))
        (listing.render(&visit.frame, &asked, &found, |it| row(&visit, it, &format!("{url}/{}", it.id), None)))
    };
    let crumbs = [("Billing", &*visit.url("/billing")), ("Licences", "")];
    Ok(visit.page("Licences", &crumbs, content))
}

/// A line of a list, with the name of the organization where there are several.
fn row(visit: &Visit, it: &Licence, url: &str, of: Option<&str>) -> Markup {
    html! { tr id=(it.id) {
        td { a.stretch href=(url) { b { @match of { Some(of) => (of), None => (words::words(&it.kind)) } } }
            br; small.soft { @if of.is_some() { (words::words(&it.kind)) " · " } @if let Some(reseller) = &it.reseller { (reseller) " · " } (it.id) }
            span.only-narrow { br; (badge(&it.status, it.expired)) } }
        td.fit.only-wide { (badge(&it.status, it.expired)) }
        td.sum { (it.used_activations) " of " (it.max_activations) }
        td.fit.soft.only-wide { (time::instant(&visit.frame, it.expires_at)) }
    } }
}

async fn show(visit: Visit) -> Answered {
    must_be_customer(&visit)?;
    let it = visit.get(&format!("/billing/licences/{}", visit.param("licence"))).send::<Licence>().await?.body;
    let url = visit.url(&format!("/billing/licences/{}", it.id));
    let is_active = it.status == "active";
    let actions = html! { @if is_active && visit.may("licences:write") {
        (ui::sheet_link(&format!("{url}/replace"), "btn edge", "refresh-cw", "Replace…"))
        (ui::sheet_link(&format!("{url}/revoke"), "btn edge", "x", "Revoke…"))
    } };
    let content = html! {
        (ui::head(&format!("{} licence", words::words(&it.kind)), "", actions))
        div.grid.wide {
            div.form { (facts(&visit, &it)) (token_card(&it)) }
            div.form { (machines_card(&visit, &it, &url)) }
        }
    };
    let (billing, licences) = (visit.url("/billing"), visit.url("/billing/licences"));
    let crumbs = [("Billing", &*billing), ("Licences", &*licences), (&*it.id, "")];
    Ok(visit.page("Licence", &crumbs, content))
}

fn facts(visit: &Visit, it: &Licence) -> Markup {
    let features = it.features.iter().map(|it| feature(it)).collect::<Vec<_>>().join(", ");
    let limits = it.limits.as_ref().map(|it| {
        [("Users", it.users), ("Port calls", it.port_calls), ("Bytes", it.storage_bytes), ("API calls", it.api_calls)]
    });
    html! { section.card { header { h2 { "Licence" } (badge(&it.status, it.expired)) } dl.facts {
        dt { "From" } dd { (time::instant(&visit.frame, it.not_before)) }
        dt { "Until" } dd { (time::instant(&visit.frame, it.expires_at)) }
        @if let Some(reseller) = &it.reseller { dt { "Sold by" } dd { (reseller) } }
        @if let Some(reason) = &it.reason { dt { "Revoked because" } dd { (reason) } }
        @if let Some(by) = &it.replaced_by { dt { "Replaced by" } dd { a href=(visit.url(&format!("/billing/licences/{by}"))) { (ui::id(by)) } } }
        dt { "Features" } dd { @if features.is_empty() { span.soft { "none beyond the basic ones" } } @else { (features) } }
        @for (name, limit) in limits.into_iter().flatten() { dt { (name) } dd { @match limit { Some(limit) => (grouped(limit)), None => span.soft { "no limit" } } } }
        @if let Some(kid) = &it.kid { dt { "Signing key" } dd { code { (kid) } } }
        dt { "Id" } dd { (ui::id(&it.id)) }
    } } }
}

fn token_card(it: &Licence) -> Markup {
    html! { @if let Some(token) = &it.token { section.card { header { h2 { "Token" } } div.in.form {
        p.soft { "Store it where the installation runs. Whoever has it can use one of its machines." }
        div.field { label for="f-token" { "Token" } textarea #f-token rows="6" readonly spellcheck="false" { (token) }
            div.row { button.btn.edge.need-js type="button" data-copy=(token) { (icon("copy")) "Copy" } } }
    } } } }
}

fn machines_card(visit: &Visit, it: &Licence, url: &str) -> Markup {
    let may_remove = visit.may("billing:write");
    html! { section.card { header { h2 { "Machines" } span.soft { (it.used_activations) " of " (it.max_activations) } }
        @if it.activations.is_empty() { p.in.soft { "It is not activated anywhere." } } @else { table.table { caption.hide { "Machines" }
            thead { tr { th scope="col" { "Machine" } th scope="col" { "Since" } @if may_remove { th.end scope="col" { span.hide { "Actions" } } } } }
            tbody { @for machine in &it.activations { tr {
                td { code title=(machine.machine) { (machine.machine.get(..12).unwrap_or_default()) "…" } }
                td { (time::instant(&visit.frame, machine.activated_at)) }
                @if may_remove { td.end { (ui::sheet_link(&format!("{url}/activations/{}/remove", machine.id), "btn edge", "x", "Remove…")) } }
            } } }
        } }
    } }
}
