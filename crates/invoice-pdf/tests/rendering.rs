//! Every kind of document becomes a PDF, and the electronic invoice in it states the amounts of the document.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../examples/kinds/documents.rs"]
mod documents;

use en16931::{
    Invoice,
    invoice::{InvoiceLine, PaymentMeans},
};
use en16931_formats::zugferd::{Limits, extract};
use porttask_domain::{Personal, UserId, billing::billing_document::Name};
use porttask_invoice_pdf::{Document, RenderError, Rendered, render};

fn kind(name: &str) -> Document {
    documents::all().into_iter().find(|(known, _)| *known == name).unwrap().1
}

/// The electronic invoice in the PDF of a document.
fn electronic(document: &Document) -> Invoice {
    let Rendered { pdf, xml } = render(document).unwrap();
    let attached = extract(&pdf, &Limits::default()).unwrap();
    assert_eq!(String::from_utf8(attached.xml).unwrap(), xml.unwrap());
    en16931_formats::read(&pdf).unwrap().invoice
}

fn text(value: impl ToString) -> String {
    value.to_string()
}

fn line(line: &InvoiceLine) -> [String; 3] {
    [text(line.quantity), text(line.price.net_price), text(line.net_amount)]
}

fn lines(invoice: &Invoice) -> Vec<[String; 3]> {
    invoice.lines.iter().map(line).collect()
}

/// Without tax, the tax, with tax, paid, due.
fn totals(invoice: &Invoice) -> [String; 5] {
    let totals = &invoice.totals;
    [totals.taxable_total, totals.vat_total.unwrap(), totals.gross_total, totals.paid.unwrap_or_default(), totals.due]
        .map(text)
}

#[test]
fn every_kind_becomes_a_pdf_with_an_electronic_invoice() {
    for (name, document) in documents::all() {
        let rendered = render(&document).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(rendered.pdf.starts_with(b"%PDF-1.7"), "{name}");
        assert_eq!(rendered.xml.is_some(), document.issued.currency.exponent() <= 2, "{name}");
        assert!(rendered.xml.is_none_or(|xml| xml.contains(&document.issued.number)), "{name}");
    }
}

#[test]
fn the_same_document_yields_the_same_bytes() {
    let (one, other) = (kind("logo"), kind("chinese"));
    let first = render(&one).unwrap();
    assert_ne!(render(&other).unwrap(), first);
    assert_eq!(render(&one).unwrap(), first);
    let elsewhere = std::thread::scope(|scope| scope.spawn(|| render(&one)).join().unwrap());
    assert_eq!(elsewhere.unwrap(), first);
}

#[test]
fn a_document_is_the_same_after_it_was_stored() {
    for (name, document) in documents::all() {
        let stored = serde_json::to_vec(&document).unwrap();
        assert_eq!(serde_json::from_slice::<Document>(&stored).unwrap(), document, "{name}");
    }
}

#[test]
fn a_standard_invoice_states_quantities_prices_and_totals() {
    let invoice = electronic(&kind("seats"));
    assert_eq!(lines(&invoice), [["1", "49", "49.00"], ["7", "9.9", "69.30"]].map(|it| it.map(text)));
    assert_eq!(totals(&invoice), ["118.30", "22.48", "140.78", "0.00", "140.78"]);
    assert_eq!(invoice.type_code.unwrap().as_str(), "380");
    assert_eq!(invoice.due_date.unwrap().to_string(), "2026-12-01");
    let period = invoice.invoicing_period.unwrap();
    assert_eq!([period.start.unwrap(), period.end.unwrap()].map(text), ["2026-11-01", "2026-11-30"]);
    let payment = invoice.payment.unwrap();
    assert_eq!(payment.means_code.as_ref().unwrap().as_str(), "58");
    assert_eq!(payment.account_identifier(), Some("DE02120300000000202051"));
    assert_eq!(payment.remittance_information.as_deref(), Some("PT-2026-000417"));
}

#[test]
fn parts_of_a_period_have_quantity_one_and_credits_minus_one() {
    let invoice = electronic(&kind("prorated_change"));
    let expected =
        [["-1", "23.52", "-23.52"], ["-1", "36.96", "-36.96"], ["1", "132.8", "119.52"], ["1", "36.96", "36.96"]];
    assert_eq!(lines(&invoice), expected.map(|line| line.map(text)));
    assert_eq!(invoice.lines[2].allowances[0].amount.to_string(), "13.28");
    assert!(invoice.lines[0].allowances.is_empty());
    assert_eq!(invoice.lines[0].item.description.as_deref(), Some("16 of 30 days"));
    assert_eq!(totals(&invoice), ["96.00", "18.24", "114.24", "114.24", "0.00"]);
    let Some(PaymentMeans::Card(card)) = invoice.payment.unwrap().means else { panic!("it was paid with a card") };
    assert_eq!(card.primary_account_number.as_deref(), Some("4242"));
}

#[test]
fn discounts_are_allowances_with_their_reason() {
    let invoice = electronic(&kind("discount"));
    let allowances = &invoice.lines[0].allowances;
    let stated = allowances.iter().map(|it| (text(it.amount), it.percentage.map(text), it.reason.clone().unwrap()));
    let expected = [
        ("20.00".to_owned(), Some("20".to_owned()), "Discount SPRING20 (20 % off)".to_owned()),
        ("5.00".to_owned(), None, "Discount WELCOME5".to_owned()),
    ];
    assert_eq!(stated.collect::<Vec<_>>(), expected);
    assert!(allowances.iter().all(|it| it.reason_code.as_ref().unwrap().as_str() == "95"));
    assert_eq!(line(&invoice.lines[0]), ["1", "100", "75.00"]);
}

#[test]
fn a_credit_note_states_positive_amounts_and_its_invoice() {
    let mut document = kind("credit_note");
    let invoice = electronic(&document);
    assert_eq!(invoice.type_code.as_ref().unwrap().as_str(), "381");
    assert_eq!(totals(&invoice), ["45.93", "8.73", "54.66", "0.00", "54.66"]);
    assert_eq!(lines(&invoice), [["1", "26.13", "26.13"], ["2", "9.9", "19.80"]].map(|it| it.map(text)));
    let credited = &invoice.preceding_invoices[0];
    assert_eq!(
        (credited.reference.as_str(), text(credited.issue_date.unwrap())),
        ("PT-2026-000417", text("2026-11-01"))
    );
    assert!(invoice.notes.iter().any(|note| note.note.as_deref().unwrap().contains("ended early by agreement")));
    assert_eq!(invoice.due_date, None);
    // Written with positive amounts, it is the same.
    let issued = &mut document.issued;
    for line in &mut issued.lines {
        (line.quantity, line.gross, line.net) = (-line.quantity, -line.gross, -line.net);
    }
    for group in &mut issued.groups {
        (group.taxable, group.amount) = (-group.taxable, -group.amount);
    }
    let totals = &mut issued.totals;
    (totals.net, totals.tax, totals.total) = (-totals.net, -totals.tax, -totals.total);
    assert_eq!(render(&document).unwrap(), render(&kind("credit_note")).unwrap());
}

#[test]
fn without_tax_the_reason_is_stated() {
    for (name, category, code) in [("reverse_charge", "AE", "VATEX-EU-AE"), ("export", "G", "VATEX-EU-G")] {
        let invoice = electronic(&kind(name));
        let group = &invoice.vat_breakdown[0];
        assert_eq!((group.category.as_str(), text(group.rate.unwrap())), (category, text("0")));
        assert_eq!(group.exemption_reason_code.as_ref().unwrap().as_str(), code);
        assert!(group.exemption_reason.is_some() && group.tax_amount.is_zero());
    }
    let invoice = electronic(&kind("reverse_charge"));
    assert_eq!(invoice.buyer.vat_identifier.as_deref(), Some("NL004495445B01"));
    assert_eq!(electronic(&kind("destination")).vat_breakdown[0].category.as_str(), "S");
}

#[test]
fn each_rate_is_a_group() {
    let invoice = electronic(&kind("two_rates"));
    let groups =
        invoice.vat_breakdown.iter().map(|it| [text(it.rate.unwrap()), text(it.taxable_amount), text(it.tax_amount)]);
    assert_eq!(
        groups.collect::<Vec<_>>(),
        [["16", "-60.48", "-9.68"], ["19", "156.48", "29.73"]].map(|it| it.map(text))
    );
    assert_eq!(totals(&invoice), ["96.00", "20.05", "116.05", "116.05", "0.00"]);
}

#[test]
fn tax_is_also_stated_in_the_accounting_currency() {
    let invoice = electronic(&kind("accounting_currency"));
    assert_eq!(invoice.currency.unwrap().as_str(), "USD");
    assert_eq!(invoice.vat_accounting_currency.unwrap().as_str(), "EUR");
    assert_eq!(text(invoice.totals.vat_total_accounting.unwrap()), "9.68");
    assert_eq!(invoice.payment.unwrap().means_code.unwrap().as_str(), "30");
}

#[test]
fn what_was_paid_before_lowers_what_is_due() {
    assert_eq!(totals(&electronic(&kind("partly_paid"))), ["49.00", "9.31", "58.31", "20.00", "38.31"]);
    assert_eq!(totals(&electronic(&kind("zero_total"))), ["0.00"; 5]);
    assert_eq!(totals(&electronic(&kind("jpy"))), ["12300.00", "2337.00", "14637.00", "0.00", "14637.00"]);
}

#[test]
fn prices_with_tax_are_stated_without_it() {
    let invoice = electronic(&kind("inclusive_prices"));
    let stated =
        lines(&invoice).into_iter().map(|[quantity, price, net]| (quantity, price.parse::<f64>().unwrap(), net));
    assert_eq!(stated.collect::<Vec<_>>(), [(text("1"), 44.62, text("44.62")), (text("1"), 30.0, text("30.00"))]);
    assert_eq!(totals(&invoice), ["74.62", "14.18", "88.80", "0.00", "88.80"]);
}

#[test]
fn an_overage_has_its_price_with_all_decimals() {
    let invoice = electronic(&kind("overage"));
    assert_eq!(line(&invoice.lines[1]), ["12345", "0.0025", "30.86"]);
}

#[test]
fn a_name_that_was_erased_is_marked() {
    let mut document = kind("destination");
    let erased = serde_json::to_string(&Personal::identity(UserId(uuid::Uuid::from_u128(7)), "Jeanne Moreau")).unwrap();
    let erased = erased.replace("\"Jeanne Moreau\"", "null");
    document.issued.buyer.legal_name = Name::Personal(serde_json::from_str(&erased).unwrap());
    assert_eq!(electronic(&document).buyer.name.as_deref(), Some("(erased)"));
}

#[test]
fn what_breaks_a_rule_is_refused_with_the_rule() {
    let mut document = kind("reverse_charge");
    document.issued.buyer.vat_id = None;
    let Err(RenderError::Rules { number, rules }) = render(&document) else { panic!("reverse charge needs a VAT id") };
    assert_eq!(number, "PT-2026-000417");
    assert!(rules.iter().any(|rule| rule.starts_with("BR-AE-")), "{rules:?}");
    let mut document = kind("standard");
    document.issued.totals.total += 1;
    assert!(render(&document).unwrap_err().to_string().contains("BR-CO-15"));
}
