//! The invoices for which a subscription is past due or read-only, with the way to pay them.

use maud::{Markup, html};
use serde::Deserialize;

use super::Subscription;
use crate::{
    api::{Page, Problem},
    ui::{self, money::money},
    visit::Visit,
};

/// The most invoices that the note names.
const MOST: &str = "5";

/// An invoice that is not paid.
#[derive(Debug, Deserialize)]
pub(super) struct Unpaid {
    id: String,
    number: Option<String>,
    due_date: Option<String>,
    currency: String,
    due: i64,
}

/// Whether the subscription waits for the payment of an invoice. After a trial without a plan, nothing is held.
pub(super) fn is_unpaid(it: &Subscription) -> bool {
    it.status == "past_due" || (it.status == "read_only" && it.held.is_some())
}

/// The open invoices, the first due first; none of a subscription that waits for none.
///
/// # Errors
/// If the invoices cannot be read.
pub(super) async fn read(visit: &Visit, it: &Subscription) -> Result<Vec<Unpaid>, Problem> {
    if !is_unpaid(it) {
        return Ok(Vec::new());
    }
    let call = visit.get("/billing/invoices").query([("status", "open"), ("sort", "due_date"), ("limit", MOST)]);
    let found = call.send::<Page<Unpaid>>().await?.body.items;
    Ok(found.into_iter().filter(|invoice| invoice.due > 0).collect())
}

/// That an invoice is not paid, what follows, and the open invoices.
pub(super) fn note(visit: &Visit, it: &Subscription, invoices: &[Unpaid]) -> Markup {
    let may_pay = visit.may("billing:write");
    let url = |invoice: &Unpaid| visit.url(&format!("/billing/invoices/{}", invoice.id));
    let (tone, sign, text) = match it.status.as_str() {
        "read_only" => ("bad", "lock", "Until it is paid, you can only read, export and write tickets."),
        _ => ("warn", "triangle-alert", "Pay it before you upgrade, and before the subscription becomes read-only."),
    };
    let content = html! {
        p { (text) }
        @if !invoices.is_empty() { ul { @for invoice in invoices { li {
            a href=(url(invoice)) { "Invoice " (invoice.number.as_deref().unwrap_or(&invoice.id)) }
            ": " (money(invoice.due, &invoice.currency)) " due" @if let Some(date) = &invoice.due_date { " on " (date) }
            @if may_pay { " " a href=(format!("{}/pay", url(invoice))) data-sheet { "Pay…" } }
        } } } }
        @else { p { a href=(visit.url("/billing/invoices?status=open")) { "Open invoices" } } }
    };
    ui::note(tone, sign, "An invoice is unpaid", content)
}
