//! Invoices: those of an organization, and of all for staff.
//!
//! | file | what it owns |
//! |---|---|
//! | `document.rs` | what an issued document says: parties, lines, tax |
//! | `show.rs` | one invoice, its files, its recalculation |
//! | `act.rs` | commands that are confirmed: payment, and those of staff |
//! | `draft.rs` | drafts of staff |
//! | `all.rs` | the invoices of all organizations, and what is due |

mod act;
mod all;
pub(super) mod document;
mod draft;
mod show;

use axum::{
    Router,
    http::{StatusCode, header},
    routing::get,
};
use maud::{Markup, html};
use serde::Deserialize;

use super::must_be_customer;
use crate::{
    Console,
    api::Problem,
    form::attachment,
    ui::{
        self, icon,
        list::{Asked, Column, Listing},
        money::money,
        words,
    },
    visit::{Answered, Visit},
};

pub(crate) fn settings() -> Router<Console> {
    Router::new()
        .route("/billing/invoices", get(list))
        .route("/billing/invoices/new", get(draft::new_form).post(draft::create))
        .route("/billing/invoices/export", get(export))
        .route("/billing/invoices/archive", get(archive))
        .route("/billing/invoices/{invoice}", get(show::show))
        .route("/billing/invoices/{invoice}/pdf", get(show::pdf))
        .route("/billing/invoices/{invoice}/xml", get(show::xml))
        .route("/billing/invoices/{invoice}/recalculation", get(show::recalculation))
        .route("/billing/invoices/{invoice}/edit", get(draft::form).post(draft::change))
        .route("/billing/invoices/{invoice}/{command}", get(act::form).post(act::run))
}

pub(crate) fn routes() -> Router<Console> {
    all::routes()
}

const PATH: &str = "/billing/invoices";
const TABS: [(&str, &str); 6] = [
    ("", "All"),
    ("open", "Open"),
    ("paid", "Paid"),
    ("draft", "Drafts"),
    ("void", "Void"),
    ("uncollectible", "Uncollectible"),
];
const COLUMNS: [Column<'_>; 4] = [
    Column("Invoice", "number", ""),
    Column("Status", "", "only-wide"),
    Column("Due", "due_date", "only-wide"),
    Column("Total", "total", "sum"),
];

/// An invoice in a list.
#[derive(Debug, Deserialize)]
struct Invoice {
    id: String,
    organization: String,
    organization_name: Option<String>,
    status: String,
    number: Option<String>,
    issue_date: Option<String>,
    due_date: Option<String>,
    currency: String,
    total: i64,
    due: i64,
    has_pdf: bool,
}

async fn list(visit: Visit) -> Answered {
    must_be_customer(&visit)?;
    let asked = Asked::of(&visit.frame.url);
    let call = visit.get("/billing/invoices").query(asked.pick(&["q", "status", "sort", "cursor"]));
    let found = call.query([("limit", "25"), ("count", "true")]).page::<Invoice>().await?;
    let listing = Listing {
        name: "Invoices",
        tabs: Some(("status", &TABS)),
        search: Some("Number"),
        selects: &[],
        inputs: &[],
        columns: &COLUMNS,
        nothing: ui::empty("receipt", "No invoice yet", "What is billed is listed here.", html! {}),
        panel: None,
    };
    let export = asked.changed(&[("cursor", "")]).replacen(PATH, &format!("{PATH}/export"), 1);
    let actions = html! {
        a.btn.edge data-download href=(export) { (icon("download")) "Export list" }
        a.btn.edge href=(visit.url("/billing/credit-notes")) { "Credit notes" }
        @if visit.may("billing:administer") { (ui::sheet_link(&visit.url("/billing/invoices/new"), "btn main-act", "plus", "Draft an invoice…")) }
    };
    let content = html! {
        (ui::head("Invoices", "What was billed, and what is due.", actions))
        (listing.render(&visit.frame, &asked, &found, |it| row(&visit.url(PATH), it, None)))
        (archive_form(&visit))
    };
    Ok(visit.page("Invoices", &[("Billing", &visit.url("/billing")), ("Invoices", "")], content))
}

/// The filtered list as CSV.
async fn export(visit: Visit) -> Answered {
    must_be_customer(&visit)?;
    let asked = Asked::of(&visit.frame.url);
    let call = visit.get("/billing/invoices").query(asked.pick(&["q", "status", "sort"]));
    Ok(attachment(call.query([("format", "csv")]).download().await?, "invoices.csv"))
}

/// The PDFs of a range of dates.
async fn archive(visit: Visit) -> Answered {
    must_be_customer(&visit)?;
    let asked = Asked::of(&visit.frame.url);
    let call = visit.get("/billing/invoices.zip").query(asked.pick(&["from", "until"]));
    let response = call.download().await.map_err(Problem::explained)?;
    Ok(attachment(response, &format!("invoices-{}-{}.zip", asked.get("from"), asked.get("until"))))
}

fn archive_form(visit: &Visit) -> Markup {
    html! { section.card { header { h2 { "All PDFs of a range" } }
        form.in.row method="get" action=(visit.url("/billing/invoices/archive")) {
            span.typed { label for="archive-from" { "Issued from" } input #archive-from name="from" type="date" required; }
            span.typed { label for="archive-until" { "Before" } input #archive-until name="until" type="date" required; }
            button.btn.edge type="submit" { (icon("download")) "Download ZIP" }
        }
        p.in.soft { "Invoices and credit notes, at most 500. What is not rendered yet is named in a text file." }
    } }
}

/// A line of a list, with the name of the organization where there are several.
fn row(list: &str, it: &Invoice, of: Option<&str>) -> Markup {
    let url = format!("{list}/{}", it.id);
    let number = it.number.as_deref().unwrap_or("Draft");
    html! { tr id=(it.id) {
        td { a href=(url) { b { (number) } }
            @if it.has_pdf { " " a.soft data-download href=(format!("{url}/pdf")) aria-label=(format!("PDF of {number}")) { (icon("download")) "PDF" } }
            br; small.soft { @if let Some(of) = of { (of) " · " } (it.issue_date.as_deref().unwrap_or("not issued")) }
            span.only-narrow { br; (words::status(&it.status)) } }
        td.fit.only-wide { (words::status(&it.status)) }
        td.fit.soft.only-wide { (it.due_date.as_deref().unwrap_or("–")) }
        td.sum { (money(it.total, &it.currency)) @if it.due > 0 { br; small.soft { (money(it.due, &it.currency)) " due" } } }
    } }
}

/// A file of a document; the API answers 202 while it is being made.
pub(super) async fn file(visit: &Visit, path: &str, name: &str) -> Answered {
    let mut response = visit.client.get(path).download().await?;
    if response.status() == StatusCode::ACCEPTED {
        let detail = "The file is being made. Open it again in a few seconds.";
        return Err(Problem::new(StatusCode::CONFLICT, detail).into());
    }
    // The next user of this browser must not find it.
    response.headers_mut().remove(header::CACHE_CONTROL);
    Ok(attachment(response, name))
}
