//! What is declared to tax authorities: sales by month and tax, and sales to businesses that account for the tax
//! themselves. Documents count in the month of their own date of issue, credit notes negatively. A void invoice is undone
//! by its credit note alone.

use porttask_domain::{
    TextEnum,
    billing::{
        billing_document::{AccountingTax, Issued, TaxGroup},
        credit_note, invoice, issue,
        seller::ExchangeRate,
        tax::{Category, Treatment},
        vat_rate::tax_country,
    },
};

use crate::{Change, Index, Key, ReadModel, Recorded, Value, row, text_columns};

text_columns!(Category, Treatment);

porttask_domain::sources! {
    /// The documents that are declared.
    pub enum Source {
        Invoice(invoice::Event),
        CreditNote(credit_note::Event),
    }
}

row! {
    /// Sales of a month with the same tax, by the organizations of a partition. Amounts are minor units.
    pub struct TaxedSales {
        key {
            /// The month of issue in the seller's time zone: `2026-11`.
            month: String,
            /// The country of the buyer; that of France for Monaco.
            country: String,
            /// How they are taxed.
            treatment: Treatment,
            /// The category.
            category: Category,
            /// The rate in percent.
            rate: String,
            /// The currency of the documents.
            currency: String,
            /// The seller's accounting currency, where a document states its tax in it; otherwise empty.
            accounting_currency: String,
        }
        row {
            /// How many documents.
            documents: u64,
            /// Without tax.
            taxable: i64,
            /// The tax.
            tax: i64,
            /// Without tax, in the accounting currency.
            accounting_taxable: i64,
            /// The tax in the accounting currency.
            accounting_tax: i64,
        }
    }
}

/// What was sold in which month, under which tax?
pub struct TaxReport;

impl ReadModel for TaxReport {
    const NAME: &'static str = "tax_report";
    const VERSION: u32 = 1;
    const INDEXES: &'static [Index] = &[];
    type Source = Source<'static>;
    type Row = TaxedSales;

    fn keys(event: Source<'_>, _: &Recorded) -> Vec<Key> {
        let Some((document, _)) = issued(event) else { return Vec::new() };
        document.groups.iter().map(|group| sales_key(document, group)).collect()
    }

    fn project(_: Option<TaxedSales>, _: Source<'_>, _: &Recorded) -> Change<TaxedSales> {
        Change::Keep
    }

    fn project_at(key: &Key, row: Option<TaxedSales>, event: Source<'_>, _: &Recorded) -> Change<TaxedSales> {
        let Some((document, sign)) = issued(event) else { return Change::Keep };
        let Some(index) = document.groups.iter().position(|group| sales_key(document, group) == *key) else {
            return Change::Keep;
        };
        let group = &document.groups[index];
        let (accounting_taxable, accounting_tax) = in_accounting_currency(document, index);
        let row = row.unwrap_or_else(|| nothing_sold(document, group));
        Change::Put(TaxedSales {
            documents: row.documents + 1,
            taxable: row.taxable.saturating_add(sign * group.taxable),
            tax: row.tax.saturating_add(sign * group.amount),
            accounting_taxable: row.accounting_taxable.saturating_add(sign * accounting_taxable),
            accounting_tax: row.accounting_tax.saturating_add(sign * accounting_tax),
            ..row
        })
    }
}

row! {
    /// Sales to a VAT id on a date of issue whose buyer accounts for the tax, by the organizations of a partition.
    pub struct EcSale {
        key {
            /// The date of issue in the seller's time zone: `2026-11-27`.
            issue_date: String,
            /// The VAT id of the buyer; empty once the buyer was erased.
            vat_id: String,
            /// The country of the buyer.
            country: String,
            /// The currency of the documents.
            currency: String,
        }
        row {
            /// Without tax, in minor units.
            net: i64,
        }
    }
}

/// What was sold to which VAT id under reverse charge?
pub struct EcSales;

impl ReadModel for EcSales {
    const NAME: &'static str = "ec_sales";
    const VERSION: u32 = 1;
    const INDEXES: &'static [Index] = &[];
    type Source = Source<'static>;
    type Row = EcSale;

    fn keys(event: Source<'_>, _: &Recorded) -> Vec<Key> {
        let reported = issued(event).map(|(document, _)| document);
        let reported = reported.filter(|document| reverse_charge(document).next().is_some());
        reported.map(sale_key).into_iter().collect()
    }

    fn project(row: Option<EcSale>, event: Source<'_>, _: &Recorded) -> Change<EcSale> {
        let Some((document, sign)) = issued(event) else { return Change::Keep };
        let net: i64 = reverse_charge(document).map(|group| sign * group.taxable).sum();
        let row = row.unwrap_or_else(|| EcSale {
            issue_date: document.issue_date.to_string(),
            vat_id: vat_id(document).to_owned(),
            country: country(document).to_owned(),
            currency: document.currency.to_string(),
            net: 0,
        });
        Change::Put(EcSale { net: row.net.saturating_add(net), ..row })
    }
}

/// The document that an event issued, and the sign of its amounts.
fn issued(event: Source<'_>) -> Option<(&Issued, i64)> {
    match event {
        Source::Invoice(event) => match event {
            invoice::Event::Issued { document, .. } => Some((document, 1)),
            invoice::Event::Drafted { .. }
            | invoice::Event::DraftChanged { .. }
            | invoice::Event::DraftDiscarded {}
            | invoice::Event::BalanceApplied { .. }
            | invoice::Event::PaymentRecorded { .. }
            | invoice::Event::PaymentReversed { .. }
            | invoice::Event::Credited { .. }
            | invoice::Event::BuiltOn { .. }
            | invoice::Event::CreditReturned { .. }
            | invoice::Event::Voided { .. }
            | invoice::Event::MarkedUncollectible { .. }
            | invoice::Event::Dunned { .. }
            | invoice::Event::PdfStored { .. } => None,
        },
        Source::CreditNote(event) => match event {
            credit_note::Event::Issued { note } => Some((&note.document, -1)),
            credit_note::Event::PdfStored { .. } => None,
        },
    }
}

fn country(document: &Issued) -> &str {
    tax_country(&document.buyer.address.country)
}

/// The VAT id of the buyer; empty if there is none, or the buyer was erased.
fn vat_id(document: &Issued) -> &str {
    let is_known = document.buyer.legal_name.text().is_some();
    document.buyer.vat_id.as_deref().filter(|_| is_known).unwrap_or_default()
}

fn reverse_charge(document: &Issued) -> impl Iterator<Item = &TaxGroup> {
    document.groups.iter().filter(|group| group.tax.category == Category::ReverseCharge)
}

fn nothing_sold(document: &Issued, group: &TaxGroup) -> TaxedSales {
    let date = document.issue_date;
    TaxedSales {
        month: format!("{:04}-{:02}", date.year(), date.month()),
        country: country(document).to_owned(),
        treatment: document.treatment,
        category: group.tax.category,
        rate: group.tax.rate.normalize().to_string(),
        currency: document.currency.to_string(),
        accounting_currency: document.accounting_tax.as_ref().map(|it| it.currency.to_string()).unwrap_or_default(),
        documents: 0,
        taxable: 0,
        tax: 0,
        accounting_taxable: 0,
        accounting_tax: 0,
    }
}

fn sales_key(document: &Issued, group: &TaxGroup) -> Key {
    let it = nothing_sold(document, group);
    let (treatment, category) = (it.treatment.as_str().to_owned(), it.category.as_str().to_owned());
    [it.month, it.country, treatment, category, it.rate, it.currency, it.accounting_currency].map(Value::Text).to_vec()
}

fn sale_key(document: &Issued) -> Key {
    let (date, currency) = (document.issue_date.to_string(), document.currency.to_string());
    [date, vat_id(document).to_owned(), country(document).to_owned(), currency].map(Value::Text).to_vec()
}

/// The taxable amount and the tax of a group in the accounting currency, by the rate that the document states. The taxes
/// of all groups add up to the stated one: the last group takes what is left by rounding.
fn in_accounting_currency(document: &Issued, index: usize) -> (i64, i64) {
    let Some(stated) = &document.accounting_tax else { return (0, 0) };
    let converted = |amount: i64| convert(amount, document, stated);
    let taxable = converted(document.groups[index].taxable);
    if index + 1 < document.groups.len() {
        return (taxable, converted(document.groups[index].amount));
    }
    let others: i64 = document.groups[..index].iter().map(|group| converted(group.amount)).sum();
    (taxable, stated.amount - others)
}

fn convert(amount: i64, document: &Issued, stated: &AccountingTax) -> i64 {
    let rate = ExchangeRate { rate: stated.rate, on: stated.on, source: stated.source.clone() };
    issue::accounting_tax(amount, document.currency, stated.currency, &rate).map_or(0, |converted| converted.amount)
}

#[cfg(test)]
mod tests;
