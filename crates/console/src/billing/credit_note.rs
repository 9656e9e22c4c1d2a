//! Credit notes: those of an organization, and of all for staff (`all.rs`).

mod all;

use axum::{Router, routing::get};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    invoice::{
        document::{self, Issued},
        file,
    },
    must_be_customer,
};
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
        .route("/billing/credit-notes", get(list))
        .route("/billing/credit-notes/export", get(export))
        .route("/billing/credit-notes/{note}", get(show))
        .route("/billing/credit-notes/{note}/pdf", get(pdf))
        .route("/billing/credit-notes/{note}/xml", get(xml))
}

pub(crate) fn routes() -> Router<Console> {
    all::routes()
}

const PATH: &str = "/billing/credit-notes";

/// A credit note in a list.
#[derive(Debug, Deserialize)]
struct CreditNote {
    id: String,
    organization: String,
    organization_name: Option<String>,
    invoice: String,
    invoice_number: String,
    reason: String,
    number: String,
    issue_date: String,
    currency: String,
    total: i64,
}

#[derive(Debug, Deserialize)]
struct CreditNoteDetail {
    id: String,
    invoice: String,
    invoice_number: String,
    reason: String,
    issued: Issued,
    to_due: i64,
    to_balance: i64,
    to_refund: i64,
    has_pdf: bool,
}

async fn list(visit: Visit) -> Answered {
    must_be_customer(&visit)?;
    let asked = Asked::of(&visit.frame.url);
    let call = visit.get("/billing/credit-notes").query(asked.pick(&["q", "invoice", "reason", "sort", "cursor"]));
    let found = call.query([("limit", "25"), ("count", "true")]).page::<CreditNote>().await?;
    let listing = Listing {
        name: "Credit notes",
        tabs: None,
        search: Some("Number"),
        selects: &[],
        inputs: &[],
        columns: &[
            Column("Credit note", "number", ""),
            Column("Invoice", "", "only-wide"),
            Column("Reason", "", "only-wide"),
            Column("Total", "", "sum"),
        ],
        nothing: ui::empty("receipt", "No credit note yet", "What is credited of invoices is listed here.", html! {}),
        panel: None,
    };
    let export = asked.changed(&[("cursor", "")]).replacen(PATH, &format!("{PATH}/export"), 1);
    let content = html! {
        (ui::head("Credit notes", "What was credited of invoices.", html! { a.btn.edge data-download href=(export) { (icon("download")) "Export list" } a.btn.edge href=(visit.url("/billing/invoices")) { "Invoices" } }))
        (listing.render(&visit.frame, &asked, &found, |it| row(&visit, it)))
    };
    Ok(visit.page("Credit notes", &[("Billing", &visit.url("/billing")), ("Credit notes", "")], content))
}

/// The filtered list as CSV.
async fn export(visit: Visit) -> Answered {
    must_be_customer(&visit)?;
    let asked = Asked::of(&visit.frame.url);
    let call = visit.get("/billing/credit-notes").query(asked.pick(&["q", "invoice", "reason", "sort"]));
    Ok(attachment(call.query([("format", "csv")]).download().await?, "credit-notes.csv"))
}

fn row(visit: &Visit, it: &CreditNote) -> Markup {
    html! { tr id=(it.id) {
        td { a.stretch href=(visit.url(&format!("{PATH}/{}", it.id))) { b { (it.number) } } br; small.soft { (it.issue_date) } }
        td.only-wide.soft { (it.invoice_number) }
        td.only-wide.soft { (words::words(&it.reason)) }
        td.sum { (money(it.total, &it.currency)) }
    } }
}

async fn read(visit: &Visit) -> Result<CreditNoteDetail, Problem> {
    let path = format!("/billing/credit-notes/{}", visit.param("note"));
    Ok(visit.get(&path).send::<CreditNoteDetail>().await?.body)
}

async fn show(visit: Visit) -> Answered {
    let it = read(&visit).await?;
    let url = visit.url(&format!("{PATH}/{}", it.id));
    let files = html! { @if it.has_pdf {
        a.btn.edge data-download href=(format!("{url}/pdf")) { (icon("download")) "PDF" }
        a.btn.edge data-download href=(format!("{url}/xml")) { (icon("download")) "XML" }
    } };
    let (number, currency) = (&*it.issued.number, &*it.issued.currency);
    let content = html! {
        (ui::head(&format!("Credit note {number}"), "", files))
        div.grid.wide {
            div.form { (document::lines(&visit, &it.issued)) (document::totals(&it.issued)) (document::parties(&it.issued)) }
            div.form { section.card { header { h2 { "Credit" } } dl.facts {
                dt { "Invoice" } dd { a href=(visit.url(&format!("/billing/invoices/{}", it.invoice))) { (it.invoice_number) } }
                dt { "Reason" } dd { (words::words(&it.reason)) }
                dt { "Issued" } dd { (it.issued.issue_date) }
                @for (name, amount) in [("Lowers what is due by", it.to_due), ("To the balance", it.to_balance), ("Refunded", it.to_refund)] {
                    @if amount != 0 { dt { (name) } dd { (money(amount, currency)) } }
                }
                dt { "Id" } dd { (ui::id(&it.id)) }
                @if visit.may("audit_log:read") { dt { "History" } dd { a href=(visit.url(&format!("/audit-log?target={}", it.id))) { "Audit log" } } }
            } } }
        }
    };
    let (billing, list) = (visit.url("/billing"), visit.url(PATH));
    let crumbs = [("Billing", &*billing), ("Credit notes", &*list), (number, "")];
    Ok(visit.page(&format!("Credit note {number}"), &crumbs, content))
}

async fn pdf(visit: Visit) -> Answered {
    download(&visit, "pdf").await
}

async fn xml(visit: Visit) -> Answered {
    download(&visit, "xml").await
}

async fn download(visit: &Visit, kind: &str) -> Answered {
    let it = read(visit).await?;
    let path = visit.path(&format!("/billing/credit-notes/{}/{kind}", it.id));
    file(visit, &path, &format!("{}.{kind}", it.issued.number)).await
}
