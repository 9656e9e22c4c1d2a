//! Subscriptions of all organizations, for staff.

use axum::{Router, routing::get};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use crate::{
    Console,
    form::attachment,
    ui::{
        self, icon,
        list::{Asked, Column, Listing},
        money::money,
        time, words,
    },
    visit::{Answered, Visit},
};

pub(crate) fn routes() -> Router<Console> {
    Router::new().route(URL, get(list)).route("/admin/subscriptions/export", get(export))
}

#[derive(Debug, Deserialize)]
struct Subscription {
    organization: String,
    organization_name: Option<String>,
    status: String,
    plan_code: Option<String>,
    plan_version: Option<u64>,
    interval: Option<String>,
    seats: u64,
    currency: Option<String>,
    monthly_revenue: i64,
    next_at: Option<Timestamp>,
    next_on: Option<String>,
    scheduled_plan: Option<String>,
    canceled_from: Option<String>,
}

const URL: &str = "/admin/subscriptions";
/// A request for invoices that are paid by transfer.
#[derive(Debug, Deserialize)]
struct Request {
    organization: String,
    organization_name: Option<String>,
}

const TABS: [(&str, &str); 6] = [
    ("", "All"),
    ("trialing", "Trialing"),
    ("active", "Active"),
    ("past_due", "Past due"),
    ("read_only", "Read-only"),
    ("ended", "Ended"),
];

async fn list(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let call = visit.client.get("/v1/platform/billing/subscriptions");
    let call =
        call.query(asked.pick(&["status", "plan", "sort", "cursor"])).query([("limit", "25"), ("count", "true")]);
    let found = call.page::<Subscription>().await?;
    let call = visit.client.get("/v1/platform/billing/invoice-billing-requests");
    let requests = call
        .query([("sort", "requested_at"), ("limit", "25")])
        .page::<Request>()
        .await?
        .map_or_else(|_| Vec::new(), |page| page.items);
    let listing = Listing {
        name: "Subscriptions",
        tabs: Some(("status", &TABS)),
        search: None,
        selects: &[],
        inputs: &[],
        columns: &[
            Column("Organization", "", ""),
            Column("Status", "", "only-wide"),
            Column("Plan", "", ""),
            Column("A month", "revenue", "sum"),
            Column("Next", "renewal", "only-wide"),
        ],
        nothing: ui::empty("receipt", "No subscription yet", "Every new organization starts with a trial.", html! {}),
        panel: None,
    };
    let export = asked.changed(&[("cursor", "")]).replacen(URL, &format!("{URL}/export"), 1);
    let export = html! { a.btn.edge data-download href=(export) { (icon("download")) "Export list" } };
    let content = html! {
        (ui::head("Subscriptions", "Who holds which plan, and until when.", export))
        (requests_note(&requests))
        (listing.render(&visit.frame, &asked, &found, |it| row(&visit, it)))
    };
    Ok(visit.page("Subscriptions", &[("Administration", "/admin/organizations"), ("Subscriptions", "")], content))
}

/// The filtered list as CSV.
async fn export(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let call = visit.client.get("/v1/platform/billing/subscriptions").query(asked.pick(&["status", "plan", "sort"]));
    Ok(attachment(call.query([("format", "csv")]).download().await?, "subscriptions.csv"))
}

/// The organizations that ask to pay by transfer.
fn requests_note(requests: &[Request]) -> Markup {
    html! { @if !requests.is_empty() {
        (ui::note("info", "mail", "Requests to pay by transfer", html! { ul { @for it in requests { li {
            a href=(format!("/admin/organizations/{}/billing/account", it.organization)) { (it.organization_name.as_deref().unwrap_or(&it.organization)) }
        } } } }))
    } }
}

fn row(visit: &Visit, it: &Subscription) -> Markup {
    let name = it.organization_name.as_deref().unwrap_or(&it.organization);
    html! { tr id=(it.organization) {
        td { a.stretch href=(format!("/admin/organizations/{}/billing", it.organization)) { b { (name) } }
            span.only-narrow { (words::status(&it.status)) } }
        td.fit.only-wide { (words::status(&it.status)) }
        td { @match &it.plan_code {
            Some(code) => { (words::words(code)) @if let Some(version) = it.plan_version { small.soft.only-wide { " v" (version) } }
                @if it.interval.as_deref() == Some("year") { small.soft.only-wide { " yearly" } }
                @if it.seats > 0 { small.soft.only-wide { " +" (it.seats) } } }
            None => span.soft { "none" },
        }
        @if let Some(next) = &it.scheduled_plan { small.soft { " then " (words::words(next)) } }
        @if let Some(date) = &it.canceled_from { " " span.tag.warn { "ends " (date) } } }
        td.sum { @match &it.currency { Some(currency) if it.monthly_revenue > 0 => (money(it.monthly_revenue, currency)), _ => span.soft { "–" } } }
        td.fit.soft.only-wide { @match (&it.next_on, it.next_at) {
            (Some(date), Some(at)) => span title=(date) { (time::instant(&visit.frame, at)) },
            _ => "–",
        } }
    } }
}
