//! What an issued document says.

use maud::{Markup, html};
use serde::Deserialize;

use crate::{
    ui::{money::money, words},
    visit::Visit,
};

#[derive(Debug, Deserialize)]
pub(crate) struct Issued {
    pub(crate) number: String,
    pub(crate) issue_date: String,
    pub(crate) due_date: String,
    pub(crate) currency: String,
    pub(crate) seller: IssuedTo,
    pub(crate) buyer: IssuedTo,
    pub(crate) treatment: String,
    pub(crate) lines: Vec<IssuedLine>,
    pub(crate) groups: Vec<TaxGroup>,
    pub(crate) net: i64,
    pub(crate) tax: i64,
    pub(crate) total: i64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct IssuedTo {
    pub(crate) legal_name: String,
    pub(crate) address: IssuedAddress,
    pub(crate) vat_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct IssuedAddress {
    pub(crate) street: Vec<String>,
    pub(crate) postcode: String,
    pub(crate) city: String,
    pub(crate) country: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct IssuedLine {
    pub(crate) id: u32,
    pub(crate) kind: String,
    pub(crate) plan: String,
    pub(crate) plan_version: u32,
    pub(crate) description: String,
    pub(crate) from: String,
    pub(crate) until: String,
    pub(crate) days: i64,
    pub(crate) of_days: i64,
    pub(crate) quantity: i64,
    pub(crate) unit_price: String,
    pub(crate) discount: i64,
    pub(crate) net: i64,
    pub(crate) sources: Vec<Source>,
}

/// Where a line comes from.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Source {
    Event { stream: String, version: u64 },
    Usage { meter: String, count: u64, included: u64 },
}

#[derive(Debug, Deserialize)]
pub(crate) struct TaxGroup {
    pub(crate) tax: TaxOfGroup,
    pub(crate) taxable: i64,
    pub(crate) amount: i64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TaxOfGroup {
    pub(crate) category: String,
    pub(crate) rate: String,
    pub(crate) reason: Option<String>,
}

impl IssuedLine {
    /// What it is for.
    pub(crate) fn title(&self) -> String {
        let what = match self.kind.as_str() {
            "manual" => self.description.clone(),
            "base" => format!("{}, version {}", self.plan, self.plan_version),
            kind => format!("{}, {}", words::words(kind), self.plan),
        };
        if self.quantity < 0 { format!("Credit: {what}") } else { what }
    }
}

/// A price in minor units, possibly with a fraction of one.
fn price(minor: &str, currency: &str) -> String {
    let (whole, part) = minor.split_once('.').unwrap_or((minor, ""));
    let Ok(whole) = whole.parse() else { return minor.to_owned() };
    let text = money(whole, currency);
    match (part.is_empty(), text.split_once(' ')) {
        (false, Some((number, code))) if number.contains('.') => format!("{number}{part} {code}"),
        (false, Some((number, code))) => format!("{number}.{part} {code}"),
        _ => text,
    }
}

/// The seller and the buyer, as of the issue.
pub(crate) fn parties(issued: &Issued) -> Markup {
    html! { section.card { header { h2 { "Seller and buyer" } } dl.facts {
        @for (name, it) in [("Seller", &issued.seller), ("Buyer", &issued.buyer)] {
            dt { (name) } dd {
                @if it.legal_name.is_empty() { span.soft { "erased" } } @else { b { (it.legal_name) } }
                @for line in &it.address.street { br; (line) }
                br; (it.address.postcode) " " (it.address.city) br; (it.address.country)
                @if let Some(id) = &it.vat_id { br; span.soft { "VAT id " (id) } }
            }
        }
        dt { "Tax" } dd { (words::words(&issued.treatment)) }
    } } }
}

/// The lines, with what is taken off them.
pub(crate) fn lines(visit: &Visit, issued: &Issued) -> Markup {
    let currency = &*issued.currency;
    html! { section.card { header { h2 { "Lines" } } table.table { caption.hide { "Lines" }
        thead { tr { th scope="col" { "What" } th.only-wide scope="col" { "Price" } th.only-wide.sum scope="col" { "Discount" } th.sum scope="col" { "Net" } } }
        tbody { @for it in &issued.lines { tr {
            td { (it.title()) br; small.soft { (it.from) " until " (it.until)
                    @if it.days != it.of_days { ", " (it.days) " of " (it.of_days) " days" } }
                @for source in &it.sources { br; (source_of(visit, source)) } }
            td.only-wide { (it.quantity.abs()) " × " (price(&it.unit_price, currency)) }
            td.only-wide.sum { @if it.discount == 0 { "–" } @else { (money(-it.discount, currency)) } }
            td.sum { (money(it.net, currency)) }
        } } }
    } } }
}

/// What a line follows from, as far as the audit log has it.
fn source_of(visit: &Visit, source: &Source) -> Markup {
    html! { small.soft { @match source {
        Source::Event { stream, version } => {
            "From "
            @if visit.may("audit_log:read") { a href=(visit.url(&format!("/audit-log?target={stream}"))) { code { (stream) } } } @else { code { (stream) } }
            ", version " (version)
        }
        Source::Usage { meter, count, included } => { (words::words(meter)) ": " (count) " counted, " (included) " included" }
    } } }
}

/// The tax by rate, and the totals.
pub(crate) fn totals(issued: &Issued) -> Markup {
    let currency = &*issued.currency;
    html! { section.card { header { h2 { "Totals" } } table.table { caption.hide { "Tax by rate, and totals" }
        thead { tr { th scope="col" { "Tax" } th.sum scope="col" { "Taxable" } th.sum scope="col" { "Amount" } } }
        tbody {
            @for it in &issued.groups { tr {
                td { (it.tax.rate) "%, category " (it.tax.category) @if let Some(reason) = &it.tax.reason { " " small.soft { (reason) } } }
                td.sum { (money(it.taxable, currency)) } td.sum { (money(it.amount, currency)) }
            } }
            tr { td { "Without and with tax" } td.sum { (money(issued.net, currency)) } td.sum { b { (money(issued.total, currency)) } } }
        }
    } p.in.soft { "Tax: " (money(issued.tax, currency)) "." } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_keep_fractions_of_minor_units() {
        assert_eq!(price("1250", "EUR"), "12.50 EUR");
        assert_eq!(price("1250.5", "EUR"), "12.505 EUR");
        assert_eq!(price("3.25", "JPY"), "3.25 JPY");
    }
}
