//! The electronic invoice of EN 16931. Comments name its business terms (BT).

use std::time::{Duration, SystemTime};

use en16931::{
    Date, DocumentKind, DocumentReference, Identifier, Invoice, InvoiceAmount, InvoiceLine, Percentage, Quantity,
    UnitPriceAmount,
    invoice::{
        Code, Contact, CreditTransfer, DocumentTotals, Item, LineAllowanceCharge, LineVat, Party, PaymentCard,
        PaymentInstructions, PaymentMeans, Period, PostalAddress, PrecedingInvoice, PriceDetails, VatBreakdown,
    },
    profiles::En16931,
    validation::profile::Validated,
};
use en16931_formats::zugferd::{EmbedOptions, Metadata, Relationship, embed};
use jiff::civil;
use porttask_domain::{
    TextEnum,
    billing::{
        Currency,
        billing_document::{Address, Buyer, Seller, TaxGroup},
        tax::Category,
    },
};

use crate::{
    RenderError,
    document::{Document, Kind, Payment},
    format,
    lines::Billed,
    sheet::{Sheet, remarks, terms},
    texts::Texts,
};

/// BT-24.
const SPECIFICATION: &str = "urn:cen.eu:en16931:2017";
/// UNTDID 1001.
const INVOICE: &str = "380";
const CREDIT_NOTE: &str = "381";
/// UNTDID 4461.
const CREDIT_TRANSFER: &str = "30";
const SEPA_CREDIT_TRANSFER: &str = "58";
const CARD: &str = "48";
/// UNTDID 5189: discount.
const DISCOUNT: &str = "95";
/// UN/ECE recommendation 20: one.
const ONE: &str = "C62";
/// EN 16931 knows no more decimals.
const DECIMALS_MAX: u32 = 2;

/// The electronic invoice of a document; `None` if its currency has more than two decimals.
pub(crate) fn electronic_invoice(
    document: &Document,
    lines: &[Billed<'_>],
) -> Result<Option<Validated<En16931>>, RenderError> {
    if document.issued.currency.exponent() > DECIMALS_MAX {
        return Ok(None);
    }
    let invoice = invoice(document, lines)?;
    Validated::new(invoice).map(Some).map_err(|rejected| RenderError::Rules {
        number: document.issued.number.clone(),
        rules: rejected
            .report()
            .fatal()
            .map(|rule| format!("{} at {}: {}", rule.rule, rule.path, rule.message))
            .collect(),
    })
}

/// Pages with the electronic invoice attached.
pub(crate) fn attached(
    pages: &[u8],
    invoice: &Validated<En16931>,
    sheet: &Sheet,
    issue_date: civil::Date,
) -> Result<Vec<u8>, RenderError> {
    let noon = issue_date.at(12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).map(|noon| noon.timestamp().as_second());
    let seconds = noon.ok().and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or_default();
    let metadata = Metadata {
        title: sheet.document_title.clone(),
        subject: sheet.document_subject.clone(),
        author: sheet.seller_name.clone(),
    };
    let options = EmbedOptions {
        relationship: Relationship::Alternative,
        metadata: Some(metadata),
        modified: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)),
    };
    Ok(embed(pages, invoice, &options)?)
}

fn invoice(document: &Document, lines: &[Billed<'_>]) -> Result<Invoice, RenderError> {
    let (issued, texts) = (&document.issued, document.texts());
    let (kind, code) = match document.kind {
        Kind::Invoice => (DocumentKind::Invoice, INVOICE),
        Kind::CreditNote { .. } => (DocumentKind::CreditNote, CREDIT_NOTE),
    };
    let mut invoice =
        Invoice::builder(SPECIFICATION, &issued.number, date(issued.issue_date)?, code, issued.currency.code()).build(); // BT-1, 2, 3, 5, 24
    invoice.kind = kind;
    invoice.due_date = (kind == DocumentKind::Invoice).then(|| date(issued.due_date)).transpose()?; // BT-9
    invoice.payment_terms = terms(document); // BT-20
    invoice.buyer_reference.clone_from(&issued.buyer.purchase_order); // BT-10
    invoice.purchase_order_reference = issued.buyer.purchase_order.as_deref().map(DocumentReference::new); // BT-13
    invoice.notes = remarks(document).into_iter().map(en16931::invoice::InvoiceNote::new).collect(); // BT-22
    if let Kind::CreditNote { invoice_number, invoice_date, .. } = &document.kind {
        let reference = DocumentReference::new(invoice_number); // BT-25
        invoice.preceding_invoices = vec![PrecedingInvoice { reference, issue_date: Some(date(*invoice_date)?) }]; // BT-26
    }
    invoice.seller = seller(&issued.seller);
    invoice.buyer = buyer(&issued.buyer, issued.groups.iter().any(is_reverse_charge), texts);
    invoice.invoicing_period = issued.dates().map(|(from, until)| period(from, until)).transpose()?; // BT-73, 74
    invoice.payment = payment(document);
    let groups = issued.groups.iter().map(|group| vat_breakdown(group, document));
    invoice.vat_breakdown = groups.collect::<Result<_, _>>()?;
    invoice.lines = lines.iter().map(|line| invoice_line(line, issued.currency)).collect::<Result<_, _>>()?;
    invoice.totals = totals(document, lines)?;
    // BT-6, 111
    let accounting = issued.accounting_tax.as_ref().filter(|it| it.currency.exponent() <= DECIMALS_MAX);
    if let Some(tax) = accounting.filter(|it| it.currency != issued.currency) {
        invoice.vat_accounting_currency = Some(Code::new(tax.currency.code()));
        let tax = amount(tax.currency, tax.amount.saturating_mul(document.sign()))?;
        invoice.totals.vat_total_accounting = Some(tax);
    }
    Ok(invoice)
}

fn is_reverse_charge(group: &TaxGroup) -> bool {
    group.tax.category == Category::ReverseCharge
}

/// An amount in minor units.
fn amount(currency: Currency, minor: i64) -> Result<InvoiceAmount, RenderError> {
    let factor = 10_i64.pow(DECIMALS_MAX - currency.exponent().min(DECIMALS_MAX));
    minor.checked_mul(factor).map(InvoiceAmount::from_minor_units).ok_or(RenderError::OutOfRange("an amount"))
}

fn date(date: civil::Date) -> Result<Date, RenderError> {
    Date::parse(&date.to_string()).map_err(|_| RenderError::OutOfRange("a date"))
}

fn period(from: civil::Date, until: civil::Date) -> Result<Period, RenderError> {
    Ok(Period { start: Some(date(from)?), end: Some(date(format::last_day(from, until))?) })
}

fn seller(seller: &Seller) -> Party {
    let mut party = Party::new(&seller.legal_name, address(&seller.address, "")).with_vat_identifier(&seller.vat_id); // BT-27, 31, 35–40
    party.legal_registration = seller.registration_number.as_ref().map(Identifier::new); // BT-30
    party.contact = Contact { name: None, phone: seller.phone.clone(), email: seller.email.clone() }; // BT-42, 43
    party
}

fn buyer(buyer: &Buyer, is_reverse_charge: bool, texts: &Texts) -> Party {
    let name = buyer.legal_name.text().unwrap_or(texts.erased);
    let mut party = Party::new(name, address(&buyer.address, texts.erased)); // BT-44, 50–55
    let country = match buyer.address.country.as_str() {
        "GR" => "EL",
        country => country,
    };
    // BT-48: where nobody asks for it, only in the form that the standard prescribes.
    let vat_id = buyer.vat_id.as_ref().filter(|id| is_reverse_charge || id.starts_with(country));
    party.vat_identifier = vat_id.cloned();
    party
}

fn address(address: &Address, erased: &str) -> PostalAddress {
    let line = |index: usize| address.street.get(index).map(|line| line.text().unwrap_or(erased).to_owned());
    PostalAddress {
        line1: line(0),
        line2: line(1),
        line3: line(2),
        city: Some(address.city.clone()).filter(|city| !city.is_empty()),
        post_code: Some(address.postcode.clone()).filter(|postcode| !postcode.is_empty()),
        subdivision: address.region.clone(),
        country: Some(Code::new(&address.country)),
    }
}

/// BT-81 to 87.
fn payment(document: &Document) -> Option<PaymentInstructions> {
    let issued = &document.issued;
    let (code, means) = match &document.payment {
        Payment::Transfer if document.is_credit_note() => return None,
        Payment::Transfer => {
            let account = CreditTransfer {
                account_identifier: Some(issued.seller.iban.clone()?),
                account_name: Some(issued.seller.legal_name.clone()),
                provider_identifier: issued.seller.bic.clone(),
            };
            let code = if issued.currency.code() == "EUR" { SEPA_CREDIT_TRANSFER } else { CREDIT_TRANSFER };
            (code, PaymentMeans::CreditTransfer(vec![account]))
        }
        Payment::Card { last4 } => {
            let card = PaymentCard { primary_account_number: Some(last4.clone()), holder_name: None };
            (CARD, PaymentMeans::Card(card))
        }
        Payment::None => return None,
    };
    Some(PaymentInstructions {
        means_code: Some(Code::new(code)),
        means_text: None,
        remittance_information: Some(issued.number.clone()),
        means: Some(means),
    })
}

/// BT-116 to 121.
fn vat_breakdown(group: &TaxGroup, document: &Document) -> Result<VatBreakdown, RenderError> {
    let (currency, sign, texts) = (document.issued.currency, document.sign(), document.texts());
    let reason = match group.tax.category {
        Category::Standard | Category::Zero => None,
        Category::Exempt => Some(texts.exempt),
        Category::ReverseCharge => Some(texts.reverse_charge),
        Category::Export => Some(texts.export),
    };
    let code = match group.tax.category {
        Category::Standard | Category::Zero => None,
        Category::Exempt => group.tax.reason.as_deref(),
        Category::ReverseCharge => Some(group.tax.reason.as_deref().unwrap_or("VATEX-EU-AE")),
        Category::Export => Some(group.tax.reason.as_deref().unwrap_or("VATEX-EU-G")),
    };
    Ok(VatBreakdown {
        taxable_amount: amount(currency, group.taxable.saturating_mul(sign))?,
        tax_amount: amount(currency, group.amount.saturating_mul(sign))?,
        category: Code::new(group.tax.category.as_str()),
        rate: Some(Percentage::new(group.tax.rate.normalize())),
        exemption_reason: reason.map(str::to_owned),
        exemption_reason_code: code.map(Code::new),
    })
}

/// BT-126 to 154.
fn invoice_line(billed: &Billed<'_>, currency: Currency) -> Result<InvoiceLine, RenderError> {
    let line = billed.line;
    let allowance = |allowance: &crate::lines::Allowance| {
        let base = allowance.percent.map(|(_, base)| amount(currency, base)).transpose()?; // BT-137
        Ok(LineAllowanceCharge {
            amount: amount(currency, allowance.amount)?, // BT-136
            base_amount: base,
            percentage: allowance.percent.map(|(percent, _)| Percentage::new(percent)), // BT-138
            reason: Some(allowance.text.clone()),                                       // BT-139
            reason_code: Some(Code::new(DISCOUNT)),                                     // BT-140
        })
    };
    let description = Some(billed.details.join("; ")).filter(|it| !it.is_empty());
    Ok(InvoiceLine {
        id: line.id.to_string(),
        note: None,
        order_line_reference: None,
        accounting_reference: None,
        object_identifier: None,
        quantity: Quantity::new(billed.quantity.into()),
        unit_code: Code::new(ONE),
        net_amount: amount(currency, billed.net)?,
        period: Some(period(line.from, line.until)?),
        allowances: billed.allowances.iter().map(allowance).collect::<Result<_, RenderError>>()?,
        charges: Vec::new(),
        price: PriceDetails { net_price: UnitPriceAmount::new(billed.price), ..PriceDetails::default() },
        vat: LineVat {
            category: Code::new(line.tax.category.as_str()),
            rate: Some(Percentage::new(line.tax.rate.normalize())),
        },
        item: Item { name: Some(billed.name.clone()), description, ..Item::default() },
    })
}

/// BT-106 to 115.
fn totals(document: &Document, lines: &[Billed<'_>]) -> Result<DocumentTotals, RenderError> {
    let (totals, currency, sign) = (&document.issued.totals, document.issued.currency, document.sign());
    let signed = |minor: i64| amount(currency, minor.saturating_mul(sign));
    let sum = lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(line.net));
    let paid = document.paid();
    Ok(DocumentTotals {
        line_total: amount(currency, sum.ok_or(RenderError::OutOfRange("the sum of the lines"))?)?,
        taxable_total: signed(totals.net)?,
        vat_total: Some(signed(totals.tax)?),
        gross_total: signed(totals.total)?,
        paid: (paid != 0).then(|| amount(currency, paid)).transpose()?,
        due: amount(currency, document.due())?,
        ..DocumentTotals::default()
    })
}
