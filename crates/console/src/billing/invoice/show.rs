//! One invoice: what it says, and what became of it.

use axum::http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    PATH,
    document::{self, Issued},
    file,
};
use crate::{
    api::Problem,
    billing::payment::confirm,
    ui::{self, icon, money::money, time, words},
    visit::{Answered, Visit},
};

#[derive(Debug, Deserialize)]
pub(super) struct InvoiceDetail {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) currency: Option<String>,
    pub(super) lines: Option<Vec<DraftLine>>,
    kind: Option<String>,
    payment_days: Option<u16>,
    pub(super) issued: Option<Issued>,
    pub(super) due: i64,
    is_overdue: bool,
    paid: i64,
    from_balance: i64,
    credited: i64,
    payments: Vec<Paid>,
    credit_notes: Vec<String>,
    replaces: Option<String>,
    collection: Vec<Planned>,
    has_pdf: bool,
}

/// A line of a draft.
#[derive(Debug, Deserialize)]
pub(super) struct DraftLine {
    pub(super) description: String,
    pub(super) quantity: i64,
    pub(super) unit_price: String,
    pub(super) from: String,
    pub(super) until: String,
}

#[derive(Debug, Deserialize)]
struct Paid {
    payment: String,
    amount: i64,
}

#[derive(Debug, Deserialize)]
struct Planned {
    step: String,
    at: Timestamp,
}

#[derive(Debug, Deserialize)]
struct Recalculation {
    rules: u32,
    matches: bool,
    differences: Vec<Difference>,
}

#[derive(Debug, Deserialize)]
struct Difference {
    place: String,
    issued: String,
    calculated: String,
}

impl InvoiceDetail {
    /// Its number, or that it has none yet.
    pub(super) fn name(&self) -> String {
        self.issued.as_ref().map_or_else(|| "Draft".to_owned(), |it| it.number.clone())
    }

    pub(super) fn currency(&self) -> &str {
        self.currency.as_deref().unwrap_or("EUR")
    }
}

/// The path of the invoice of the page in the API.
pub(super) fn resource(visit: &Visit) -> String {
    visit.path(&format!("/billing/invoices/{}", visit.param("invoice")))
}

pub(super) async fn read(visit: &Visit) -> Result<InvoiceDetail, Problem> {
    Ok(visit.client.get(resource(visit)).send::<InvoiceDetail>().await?.body)
}

pub(super) async fn show(visit: Visit) -> Answered {
    let it = read(&visit).await?;
    let (name, url) = (it.name(), visit.url(&format!("{PATH}/{}", it.id)));
    let confirmation = if it.due > 0 { confirm::page_of(&visit, &it.id).await? } else { None };
    let content = html! {
        (ui::head(&format!("Invoice {name}"), "", actions(&visit, &it, &url, confirmation.is_some())))
        @if let Some(page) = &confirmation { (confirm::note(page)) }
        @match &it.issued {
            Some(issued) => { div.grid.wide {
                div.form { (document::lines(&visit, issued)) (document::totals(issued)) (document::parties(issued)) }
                div.form { (facts(&visit, &it)) (payments(&visit, &it)) (collection(&visit, &it)) (staff(&visit, &it, &url)) }
            } }
            None => { (facts(&visit, &it)) (draft(&it)) (staff(&visit, &it, &url)) }
        }
    };
    let (billing, list) = (visit.url("/billing"), visit.url(PATH));
    Ok(visit.page(&format!("Invoice {name}"), &[("Billing", &billing), ("Invoices", &list), (&name, "")], content))
}

fn actions(visit: &Visit, it: &InvoiceDetail, url: &str, is_in_flight: bool) -> Markup {
    html! { @if it.issued.is_some() {
        @if it.has_pdf {
            a.btn.edge data-download href=(format!("{url}/pdf")) { (icon("download")) "PDF" }
            a.btn.edge data-download href=(format!("{url}/xml")) { (icon("download")) "XML" }
        }
        a.btn.edge href=(format!("{url}/recalculation")) { (icon("rotate-ccw")) "Recalculate" }
        // One payment of it at a time.
        @if it.due > 0 && !is_in_flight && visit.may("billing:write") { (ui::sheet_link(&format!("{url}/pay"), "btn main-act", "credit-card", "Pay…")) }
    } }
}

fn facts(visit: &Visit, it: &InvoiceDetail) -> Markup {
    let currency = it.currency();
    html! { section.card { header { h2 { "State" } (words::status(&it.status)) } dl.facts {
        @if let Some(kind) = &it.kind { dt { "Kind" } dd { (words::words(kind)) } }
        @if let Some(issued) = &it.issued {
            dt { "Issued" } dd { (issued.issue_date) }
            dt { "Due on" } dd { (issued.due_date) }
            dt { "Paid by" } dd { @match it.payment_days { Some(days) => { "transfer within " (days) " days" } None => "payment method" } }
            dt { "Total" } dd { (money(issued.total, currency)) }
            @for (name, amount) in [("Paid", it.paid), ("From balance", it.from_balance), ("Credited", it.credited)] {
                @if amount != 0 { dt { (name) } dd { (money(amount, currency)) } }
            }
            dt { "Due" } dd { b { (money(it.due, currency)) } }
        }
        @if let Some(id) = &it.replaces { dt { "Replaces" } dd { a href=(visit.url(&format!("{PATH}/{id}"))) { code { (id) } } } }
        dt { "Id" } dd { (ui::id(&it.id)) }
        @if visit.may("audit_log:read") { dt { "History" } dd { a href=(visit.url(&format!("/audit-log?target={}", it.id))) { "Audit log" } } }
    } } }
}

fn draft(it: &InvoiceDetail) -> Markup {
    html! { @if let Some(lines) = &it.lines { section.card { header { h2 { "Lines" } } table.table { caption.hide { "Lines" }
        thead { tr { th scope="col" { "What" } th.only-wide scope="col" { "Dates" } th.sum scope="col" { "Price" } } }
        tbody { @for line in lines { tr {
            td { (line.description) } td.only-wide.soft { (line.from) " until " (line.until) }
            td.sum { (line.quantity) " × " (line.unit_price) " " (it.currency()) }
        } } }
    } } } }
}

fn payments(visit: &Visit, it: &InvoiceDetail) -> Markup {
    html! { section.card { header { h2 { "Payments and credit notes" } }
        @if it.payments.is_empty() && it.credit_notes.is_empty() { p.in.soft { "None." } } @else { ul.rows {
            @for paid in &it.payments { li { a href=(visit.url("/billing/payments")) { "Payment " code { (paid.payment) } } span { (money(paid.amount, it.currency())) } } }
            @for note in &it.credit_notes { li { a href=(visit.url(&format!("/billing/credit-notes/{note}"))) { "Credit note " code { (note) } } } }
        } }
    } }
}

fn collection(visit: &Visit, it: &InvoiceDetail) -> Markup {
    html! { @if !it.collection.is_empty() { section.card { header { h2 { "Planned" } } ul.rows {
        @for planned in &it.collection { li { span { (step(&planned.step)) } (time::instant(&visit.frame, planned.at)) } }
    } } } }
}

fn step(code: &str) -> String {
    match code {
        "charge" => "The payment method is charged".to_owned(),
        "remind" => "A reminder is mailed".to_owned(),
        "become_read_only" => "The organization becomes read-only".to_owned(),
        "end_unpaid" => "The subscription ends".to_owned(),
        code => words::words(code),
    }
}

fn staff(visit: &Visit, it: &InvoiceDetail, url: &str) -> Markup {
    let link = |command: &str, sign, text| ui::sheet_link(&format!("{url}/{command}"), "btn edge", sign, text);
    let is_open = it.status == "open";
    html! { @if visit.may("billing:administer") && !["discarded", "void"].contains(&it.status.as_str()) {
        section.card { header { h2 { "For staff" } } div.in.row {
            @if it.lines.is_some() {
                (link("edit", "pencil", "Edit…")) (link("issue", "check", "Issue…")) (link("discard", "trash-2", "Discard…"))
            } @else {
                @if it.due > 0 { (link("mark-paid", "check", "Record a transfer…")) }
                (link("credit", "rotate-ccw", "Credit…"))
                (link("correct", "refresh-cw", "Correct…"))
                @if is_open { (link("void", "x", "Void…")) }
                @if is_open && it.is_overdue { (link("mark-uncollectible", "circle-x", "Mark uncollectible…")) }
            }
        } }
    } }
}

pub(super) async fn pdf(visit: Visit) -> Answered {
    download(&visit, "pdf").await
}

pub(super) async fn xml(visit: Visit) -> Answered {
    download(&visit, "xml").await
}

async fn download(visit: &Visit, kind: &str) -> Answered {
    let it = read(visit).await?;
    file(visit, &format!("{}/{kind}", resource(visit)), &format!("{}.{kind}", it.name())).await
}

pub(super) async fn recalculation(visit: Visit) -> Answered {
    let it = read(&visit).await?;
    if it.issued.is_none() {
        return Err(Problem::new(StatusCode::CONFLICT, "Only an issued invoice can be recalculated.").into());
    }
    let found = visit.client.get(format!("{}/recalculation", resource(&visit))).send::<Recalculation>().await?.body;
    let name = it.name();
    let (list, url) = (visit.url(PATH), visit.url(&format!("{PATH}/{}", it.id)));
    let lead = format!("From the events that its lines name, with version {} of the rules.", found.rules);
    let content = html! {
        (ui::head(&format!("Recalculation of {name}"), &lead, html! { a.btn.edge href=(url) { "Invoice" } }))
        @if found.matches { (ui::note("ok", "circle-check", "It matches", html! { p { "Each line, each group of tax and the totals are what was issued." } })) }
        @else {
            (ui::note("bad", "circle-alert", "It does not match", html! { p { "What differs is listed below." } }))
            section.card { table.table { caption.hide { "Differences" }
                thead { tr { th scope="col" { "Where" } th.sum scope="col" { "Issued" } th.sum scope="col" { "Calculated" } } }
                tbody { @for it in &found.differences { tr { td { code { (it.place) } } td.sum { (it.issued) } td.sum { (it.calculated) } } } }
            } }
        }
    };
    Ok(visit.page(
        &format!("Recalculation of {name}"),
        &[("Invoices", &list), (&name, &url), ("Recalculation", "")],
        content,
    ))
}
