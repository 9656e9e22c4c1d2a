//! The invoices of all organizations, and what is due, for staff.

use axum::{Router, routing::get};
use maud::html;
use serde::Deserialize;

use super::{COLUMNS, Invoice, TABS, row};
use crate::{
    Console,
    api::Call,
    form::attachment,
    ui::{
        self, icon,
        list::{Asked, Listing},
        money::money,
    },
    visit::{Answered, Visit},
};

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/admin/invoices", get(list))
        .route("/admin/invoices/export", get(export))
        .route("/admin/receivables", get(receivables))
}

const URL: &str = "/admin/invoices";
const FILTERS: [&str; 7] = ["q", "status", "organization", "issued_from", "issued_until", "overdue_on", "sort"];

/// A call for what is asked for.
fn asked_for<'a>(visit: &'a Visit, asked: &Asked) -> Call<'a> {
    let call = visit.client.get("/v1/platform/billing/invoices").query(asked.pick(&FILTERS));
    call.query([("currency", &*asked.get("currency").to_uppercase())])
}

async fn list(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let call = asked_for(&visit, &asked).query(asked.pick(&["cursor"]));
    let found = call.query([("limit", "25"), ("count", "true")]).page::<Invoice>().await?;
    let listing = Listing {
        name: "Invoices",
        tabs: Some(("status", &TABS)),
        search: Some("Number"),
        selects: &[],
        inputs: &[
            ("organization", "Organization (id)", "text"),
            ("currency", "Currency", "text"),
            ("issued_from", "Issued from", "date"),
            ("issued_until", "Issued before", "date"),
            ("overdue_on", "Unpaid and due before", "date"),
        ],
        columns: &COLUMNS,
        nothing: ui::empty("receipt", "No invoice yet", "What organizations are billed is listed here.", html! {}),
        panel: None,
    };
    let shown = |it: &Invoice| {
        let list = format!("/admin/organizations/{}/billing/invoices", it.organization);
        row(&list, it, Some(it.organization_name.as_deref().unwrap_or(&it.organization)))
    };
    let export = asked.changed(&[("cursor", "")]).replacen(URL, &format!("{URL}/export"), 1);
    let actions = html! {
        a.btn.edge data-download href=(export) { (icon("download")) "Export list" }
        a.btn.edge href="/admin/credit-notes" { "Credit notes" }
        a.btn.edge href="/admin/receivables" { "Receivables" }
    };
    let content = html! {
        (ui::head("Invoices", "What organizations were billed.", actions))
        (listing.render(&visit.frame, &asked, &found, shown))
    };
    Ok(visit.page("Invoices", &[("Administration", "/admin/organizations"), ("Invoices", "")], content))
}

/// The filtered list as CSV.
async fn export(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    Ok(attachment(asked_for(&visit, &asked).query([("format", "csv")]).download().await?, "invoices.csv"))
}

#[derive(Debug, Deserialize)]
struct ReceivablesByAge {
    on: String,
    items: Vec<Receivables>,
}

#[derive(Debug, Deserialize)]
struct Receivables {
    currency: String,
    invoices: u64,
    current: i64,
    days_1_30: i64,
    days_31_60: i64,
    days_61_90: i64,
    days_over_90: i64,
    total: i64,
}

async fn receivables(visit: Visit) -> Answered {
    let found = visit.client.get("/v1/platform/billing/receivables").send::<ReceivablesByAge>().await?.body;
    let open = |it: &Receivables| format!("{URL}?status=open&currency={}&sort=due_date", it.currency);
    let overdue = |it: &Receivables| format!("{URL}?currency={}&overdue_on={}&sort=due_date", it.currency, found.on);
    let columns = ["Not overdue", "1 to 30 days", "31 to 60 days", "61 to 90 days", "Over 90 days"];
    let content = html! {
        (ui::head("Receivables", &format!("What is due of open invoices on {}, by how long it is overdue.", found.on), html! { a.btn.edge href=(URL) { "Invoices" } }))
        section.card { @if found.items.is_empty() { p.in.soft { "Nothing is due." } } @else { table.table {
            caption.hide { "Receivables by currency and age" }
            thead { tr { th scope="col" { "Currency" } @for name in columns { th.sum.only-wide scope="col" { (name) } } th.sum scope="col" { "Total" } } }
            tbody { @for it in &found.items { tr {
                td { b { (it.currency) } br; small.soft {
                    a href=(open(it)) { (it.invoices) @if it.invoices == 1 { " invoice" } @else { " invoices" } }
                    @if it.total > it.current { " · " a href=(overdue(it)) { "Overdue" } } } }
                @for amount in [it.current, it.days_1_30, it.days_31_60, it.days_61_90, it.days_over_90] { td.sum.only-wide { (money(amount, &it.currency)) } }
                td.sum { b { (money(it.total, &it.currency)) } }
            } } }
        } } }
    };
    Ok(visit.page("Receivables", &[("Administration", "/admin/organizations"), ("Receivables", "")], content))
}
