//! The credit notes of all organizations, for staff.

use axum::{Router, routing::get};
use maud::{Markup, html};

use super::CreditNote;
use crate::{
    Console,
    form::attachment,
    ui::{
        self, icon,
        list::{Asked, Column, Listing, Select},
        money::money,
        words,
    },
    visit::{Answered, Visit},
};

pub(super) fn routes() -> Router<Console> {
    Router::new().route(URL, get(list)).route("/admin/credit-notes/export", get(export))
}

const URL: &str = "/admin/credit-notes";
const API: &str = "/v1/platform/billing/credit-notes";
const REASONS: [(&str, &str); 5] = [
    ("", "Any reason"),
    ("change", "Change"),
    ("cancellation", "Cancellation"),
    ("goodwill", "Goodwill"),
    ("error", "Error"),
];

async fn list(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let call = visit.client.get(API).query(asked.pick(&["q", "reason", "organization", "sort", "cursor"]));
    let found = call.query([("limit", "25"), ("count", "true")]).page::<CreditNote>().await?;
    let selects = [Select { name: "reason", label: "Reason", options: &REASONS }];
    let listing = Listing {
        name: "Credit notes",
        tabs: None,
        search: Some("Number"),
        selects: &selects,
        inputs: &[("organization", "Organization (id)", "text")],
        columns: &[
            Column("Credit note", "number", ""),
            Column("Invoice", "", "only-wide"),
            Column("Reason", "", "only-wide"),
            Column("Issued", "created_at", "only-wide"),
            Column("Total", "", "sum"),
        ],
        nothing: ui::empty("receipt", "No credit note yet", "What is credited of invoices is listed here.", html! {}),
        panel: None,
    };
    let export = asked.changed(&[("cursor", "")]).replacen(URL, &format!("{URL}/export"), 1);
    let actions = html! {
        a.btn.edge data-download href=(export) { (icon("download")) "Export list" }
        a.btn.edge href="/admin/invoices" { "Invoices" }
    };
    let content = html! {
        (ui::head("Credit notes", "What organizations were credited of invoices.", actions))
        (listing.render(&visit.frame, &asked, &found, row))
    };
    Ok(visit.page("Credit notes", &[("Administration", "/admin/organizations"), ("Credit notes", "")], content))
}

/// The filtered list as CSV.
async fn export(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let call =
        visit.client.get(API).query(asked.pick(&["q", "reason", "organization", "sort"])).query([("format", "csv")]);
    Ok(attachment(call.download().await?, "credit-notes.csv"))
}

fn row(it: &CreditNote) -> Markup {
    let billing = format!("/admin/organizations/{}/billing", it.organization);
    let organization = it.organization_name.as_deref().unwrap_or(&it.organization);
    html! { tr id=(it.id) {
        td { a href=(format!("{billing}/credit-notes/{}", it.id)) { b { (it.number) } }
            br; small.soft { (organization) span.only-narrow { " · " (it.issue_date) } } }
        td.only-wide { a href=(format!("{billing}/invoices/{}", it.invoice)) { (it.invoice_number) } }
        td.only-wide.soft { (words::words(&it.reason)) }
        td.fit.soft.only-wide { (it.issue_date) }
        td.sum { (money(it.total, &it.currency)) }
    } }
}
