//! What the pages say: texts only, which the template places.

use porttask_domain::billing::{
    billing_document::{Address, Issued, TaxGroup},
    tax::Category,
};
use serde::Serialize;

use crate::{
    colour,
    document::{Document, Kind, Payment},
    format::{self, money},
    lines::Billed,
    texts::{Texts, fill},
};

/// The content of the pages.
#[derive(Debug, Serialize)]
pub(crate) struct Sheet {
    pub(crate) language: &'static str,
    pub(crate) title: &'static str,
    pub(crate) number: String,
    pub(crate) document_title: String,
    pub(crate) document_subject: String,
    pub(crate) accent: String,
    pub(crate) accent_text: String,
    pub(crate) seller_name: String,
    /// Name and address in one line, above the buyer's.
    pub(crate) sender: String,
    pub(crate) buyer_name: String,
    pub(crate) buyer_address: Vec<String>,
    pub(crate) facts: Vec<Fact>,
    pub(crate) due: Due,
    pub(crate) columns: Columns,
    pub(crate) rows: Vec<Row>,
    pub(crate) totals: Vec<Total>,
    pub(crate) notes: Vec<String>,
    pub(crate) payment: PaymentBox,
    /// Small print below everything else.
    pub(crate) electronic: String,
    /// Columns at the bottom of each page.
    pub(crate) footer: [Vec<String>; 3],
}

/// A value with its label.
#[derive(Debug, Serialize)]
pub(crate) struct Fact {
    label: &'static str,
    value: String,
}

/// What is to be paid.
#[derive(Debug, Serialize)]
pub(crate) struct Due {
    label: &'static str,
    amount: String,
    note: String,
}

/// The heads of the table.
#[derive(Debug, Serialize)]
pub(crate) struct Columns {
    description: &'static str,
    quantity: &'static str,
    unit_price: &'static str,
    rate: &'static str,
    net: String,
}

/// A line.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    position: String,
    name: String,
    details: Vec<String>,
    quantity: String,
    unit_price: String,
    rate: String,
    amount: String,
    discounts: Vec<Discount>,
}

/// What is taken off a line.
#[derive(Debug, Serialize)]
pub(crate) struct Discount {
    text: String,
    amount: String,
}

/// A line below the table.
#[derive(Debug, Serialize)]
pub(crate) struct Total {
    label: String,
    note: String,
    amount: String,
    is_strong: bool,
}

/// How it is paid.
#[derive(Debug, Default, Serialize)]
pub(crate) struct PaymentBox {
    title: String,
    rows: Vec<Fact>,
}

/// The content of the pages of a document.
pub(crate) fn sheet(document: &Document, lines: &[Billed<'_>], is_electronic: bool) -> Sheet {
    let (issued, texts) = (&document.issued, document.texts());
    let title = if document.is_credit_note() { texts.credit_note } else { texts.invoice };
    let (accent, accent_text) = colour::accents(issued.seller.accent_colour.as_deref());
    let seller_name = issued.seller.legal_name.clone();
    let seller_address = address(&issued.seller.address, &document.countries.seller, texts);
    Sheet {
        language: texts.language,
        title,
        number: issued.number.clone(),
        document_title: format!("{title} {}", issued.number),
        document_subject: format!("{title} {}, {}, {seller_name}", issued.number, format::date(issued.issue_date)),
        accent,
        accent_text,
        sender: std::iter::once(&seller_name).chain(&seller_address).cloned().collect::<Vec<_>>().join(" · "),
        buyer_name: issued.buyer.legal_name.text().unwrap_or(texts.erased).to_owned(),
        buyer_address: address(&issued.buyer.address, &document.countries.buyer, texts),
        facts: facts(document),
        due: due(document),
        columns: Columns {
            description: texts.description,
            quantity: texts.quantity,
            unit_price: texts.unit_price,
            rate: texts.rate,
            net: fill(texts.net_amount, &[("currency", issued.currency.code())]),
        },
        rows: lines.iter().map(|line| row(line, issued)).collect(),
        totals: totals(document),
        notes: notes(document),
        payment: payment(document),
        electronic: if is_electronic { electronic(document) } else { String::new() },
        footer: footer(issued, seller_address, texts),
        seller_name,
    }
}

/// The terms of payment (BT-20); `None` if nothing is due.
pub(crate) fn terms(document: &Document) -> Option<String> {
    let (texts, date) = (document.texts(), format::date(document.issued.due_date));
    if document.is_credit_note() {
        return Some(texts.credit_note_terms.to_owned());
    }
    (document.due() > 0).then(|| match &document.payment {
        Payment::Card { last4 } => fill(texts.charged_to_card, &[("last4", last4)]),
        Payment::Transfer | Payment::None => fill(texts.payable_by, &[("date", &date)]),
    })
}

/// The notes of the electronic invoice (BT-22).
pub(crate) fn remarks(document: &Document) -> Vec<String> {
    let texts = document.texts();
    let period =
        document.issued.dates().map(|(from, until)| format!("{}: {}", texts.period, format::dates(from, until)));
    let reason = document.reason().map(|reason| format!("{}: {reason}", texts.reason));
    period.into_iter().chain(reason).chain(notes(document)).collect()
}

/// What the law wants to be said, and how amounts came about.
fn notes(document: &Document) -> Vec<String> {
    let (issued, texts) = (&document.issued, document.texts());
    let has = |category| issued.groups.iter().any(|group| group.tax.category == category);
    let mut notes = Vec::new();
    notes.extend(has(Category::ReverseCharge).then(|| texts.reverse_charge_note.to_owned()));
    notes.extend(has(Category::Export).then(|| texts.export_note.to_owned()));
    notes.extend(issued.prices_include_tax.then(|| texts.inclusive_note.to_owned()));
    if let Some(tax) = &issued.accounting_tax {
        let (from, to) = (issued.currency.code(), tax.currency.code());
        let amount = money(tax.currency, tax.amount.saturating_mul(document.sign()));
        let tax_in = fill(texts.tax_in, &[("currency", to), ("amount", &amount)]);
        let (rate, date) = (format::rate(tax.rate), format::date(tax.on));
        let values = [("from", from), ("rate", &*rate), ("to", to), ("source", &*tax.source), ("date", &*date)];
        notes.push(format!("{tax_in} ({})", fill(texts.exchange, &values)));
    }
    notes
}

fn address(address: &Address, country: &str, texts: &Texts) -> Vec<String> {
    let street = address.street.iter().map(|line| line.text().unwrap_or(texts.erased).to_owned());
    let city = format!("{} {}", address.postcode, address.city);
    let country = if country.is_empty() { &address.country } else { country };
    let rest = [city, address.region.clone().unwrap_or_default(), country.to_owned()];
    street.chain(rest).map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

fn facts(document: &Document) -> Vec<Fact> {
    let (issued, texts) = (&document.issued, document.texts());
    let mut facts = Vec::new();
    let mut add = |label, value: Option<String>| facts.extend(value.map(|value| Fact { label, value }));
    match &document.kind {
        Kind::Invoice => add(texts.number, Some(issued.number.clone())),
        Kind::CreditNote { invoice_number, invoice_date, .. } => {
            add(texts.credit_note_number, Some(issued.number.clone()));
            let date = format::date(*invoice_date);
            add(texts.credited_invoice, Some(fill(texts.invoice_of, &[("number", invoice_number), ("date", &date)])));
        }
    }
    add(texts.issue_date, Some(format::date(issued.issue_date)));
    add(texts.due_date, (document.due() > 0 && !document.is_credit_note()).then(|| format::date(issued.due_date)));
    add(texts.period, issued.dates().map(|(from, until)| format::dates(from, until)));
    add(texts.purchase_order, issued.buyer.purchase_order.clone());
    add(texts.your_vat_id, issued.buyer.vat_id.clone());
    add(texts.reason, document.reason());
    facts
}

fn due(document: &Document) -> Due {
    let (texts, currency) = (document.texts(), document.issued.currency);
    let label = if document.is_credit_note() { texts.amount_credited } else { texts.amount_due };
    let note = match document.due() {
        _ if document.is_credit_note() => String::new(),
        0 if document.total() > 0 => texts.is_paid.to_owned(),
        0 => texts.nothing_due.to_owned(),
        _ => terms(document).unwrap_or_default(),
    };
    Due { label, amount: money(currency, document.due()), note }
}

fn row(billed: &Billed<'_>, issued: &Issued) -> Row {
    let (line, currency) = (billed.line, issued.currency);
    let details = std::iter::once(format::dates(line.from, line.until)).chain(billed.details.iter().cloned());
    let discounts = billed.allowances.iter();
    Row {
        position: line.id.to_string(),
        name: billed.name.clone(),
        details: details.collect(),
        quantity: format::count(billed.quantity),
        unit_price: format::price(currency, billed.price),
        rate: format!("{}\u{a0}%", format::rate(line.tax.rate)),
        amount: format::amount(currency, billed.gross),
        discounts: discounts
            .map(|it| Discount { text: it.text.clone(), amount: format::amount(currency, it.amount.saturating_neg()) })
            .collect(),
    }
}

fn totals(document: &Document) -> Vec<Total> {
    let (issued, texts, sign) = (&document.issued, document.texts(), document.sign());
    let money = |minor: i64| money(issued.currency, minor);
    let row =
        |label: String, note: String, minor: i64, is_strong| Total { label, note, amount: money(minor), is_strong };
    let plain = |label: &str, minor, is_strong| row(label.to_owned(), String::new(), minor, is_strong);
    let group = |group: &TaxGroup| {
        let on = fill(texts.tax_on, &[("taxable", &money(group.taxable.saturating_mul(sign)))]);
        let reason = match group.tax.category {
            Category::Standard | Category::Zero => None,
            Category::Exempt => Some(texts.exempt),
            Category::ReverseCharge => Some(texts.reverse_charge),
            Category::Export => Some(texts.export),
        };
        let note = reason.map(|reason| format!("{on}, {reason}")).unwrap_or(on);
        let label = fill(texts.tax, &[("rate", &format::rate(group.tax.rate))]);
        row(label, note, group.amount.saturating_mul(sign), false)
    };
    let mut totals = vec![plain(texts.net_total, issued.totals.net.saturating_mul(sign), false)];
    totals.extend(issued.groups.iter().map(group));
    totals.push(plain(texts.total, document.total(), true));
    if document.paid() > 0 {
        totals.push(plain(texts.paid, -document.paid(), false));
        totals.push(plain(texts.amount_due, document.due(), true));
    }
    totals
}

fn payment(document: &Document) -> PaymentBox {
    let (issued, texts) = (&document.issued, document.texts());
    let said = |title: String| PaymentBox { title, rows: Vec::new() };
    if document.is_credit_note() {
        return said(texts.credit_note_terms.to_owned());
    }
    match (&document.payment, &issued.seller.iban) {
        (Payment::Card { last4 }, _) if document.total() > 0 => {
            let text = if document.due() > 0 { texts.charged_to_card } else { texts.paid_by_card };
            said(fill(text, &[("last4", last4)]))
        }
        (Payment::Transfer, Some(iban)) if document.due() > 0 => {
            let row = |label, value: &str| Fact { label, value: value.to_owned() };
            let mut rows = vec![row(texts.account_holder, &issued.seller.legal_name), row("IBAN", &format::iban(iban))];
            rows.extend(issued.seller.bic.as_deref().map(|bic| row("BIC", bic)));
            rows.push(row(texts.reference, &issued.number));
            PaymentBox { title: texts.bank_transfer.to_owned(), rows }
        }
        (Payment::Card { .. } | Payment::Transfer | Payment::None, _) => PaymentBox::default(),
    }
}

/// That the electronic invoice is attached; what it says of an amount without decimals, which it writes with two.
fn electronic(document: &Document) -> String {
    let (texts, currency) = (document.texts(), document.issued.currency);
    if currency.exponent() > 0 {
        return texts.electronic_invoice.to_owned();
    }
    let amount = format!("{}.00", money(currency, document.due()));
    format!("{} {}", texts.electronic_invoice, fill(texts.electronic_amount, &[("amount", &amount)]))
}

fn footer(issued: &Issued, address: Vec<String>, texts: &Texts) -> [Vec<String>; 3] {
    let seller = &issued.seller;
    let labelled = |label: &str, value: Option<&String>| value.map(|value| format!("{label} {value}"));
    let mut first = vec![seller.legal_name.clone()];
    first.extend(address);
    let second = [
        labelled(texts.vat_id, Some(&seller.vat_id)),
        labelled(texts.registration_number, seller.registration_number.as_ref()),
    ];
    let iban = seller.iban.as_deref().map(|iban| format!("IBAN {}", format::iban(iban)));
    let third = [seller.email.clone(), seller.phone.clone(), iban, labelled("BIC", seller.bic.as_ref())];
    [first, second.into_iter().flatten().collect(), third.into_iter().flatten().collect()]
}
