//! What invoices and credit notes have in common: who sells and who buys, lines, groups of tax, totals. An issued document
//! keeps all of it, so that later changes of settings, prices or rates do not touch it. Amounts are minor units of its
//! currency; of credits they are negative.

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{
    Currency,
    coupon::DiscountId,
    tax::{Category, Treatment},
    terms::Meter,
};
use crate::{Personal, text};

crate::ids! {
    /// An invoice.
    InvoiceId = "inv";
    /// A credit note.
    CreditNoteId = "crn";
}

/// The version of the arithmetic by which documents are calculated.
pub const RULES: u32 = 1;

/// A name or a line of an address: of a business in the open, of a person sealed under their key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Name {
    /// Of a business.
    Open(String),
    /// Of a person; erased after the retention of invoices.
    Personal(Personal),
}

impl Name {
    /// The text; `None` once it was erased.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Open(text) => Some(text),
            Self::Personal(personal) => personal.value(),
        }
    }
}

/// A postal address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// Street and number, building, post-office box: one to three lines.
    pub street: Vec<Name>,
    /// The postcode; empty if the country has none.
    pub postcode: String,
    /// The city.
    pub city: String,
    /// The state or province, if the country writes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The country: ISO 3166-1, two letters.
    pub country: String,
}

/// Who issues a document, as of its issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seller {
    /// The legal name.
    pub legal_name: String,
    /// The address.
    pub address: Address,
    /// The VAT id under which the document is issued.
    pub vat_id: String,
    /// The number in a commercial register.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_number: Option<String>,
    /// The IBAN of the account for transfers, without spaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iban: Option<String>,
    /// The BIC of its bank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bic: Option<String>,
    /// The email address for questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The phone number for questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// The SHA-256 of the logo, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo: Option<String>,
    /// The colour of headings: `#rrggbb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accent_colour: Option<String>,
}

/// Who is billed, as of the issue of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Buyer {
    /// The legal name.
    pub legal_name: Name,
    /// The address.
    pub address: Address,
    /// Whether it is a business.
    pub is_business: bool,
    /// The VAT id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vat_id: Option<String>,
    /// The number of the buyer's purchase order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase_order: Option<String>,
    /// The language of the document: a BCP 47 tag.
    pub language: String,
}

crate::texts! {
    /// What a line of a billing document is for.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = BillingLineKind))]
    pub enum LineKind {
        /// The plan.
        Base = "base",
        /// Extra seats.
        Seats = "seats",
        /// Use beyond what is included.
        Overage = "overage",
        /// Use of a month that was billed before it was known.
        LateUsage = "late_usage",
        /// Described by a super admin.
        Manual = "manual",
    }
}

/// What a discount takes off a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineDiscount {
    /// The discount.
    pub discount: DiscountId,
    /// The amount.
    pub amount: i64,
}

/// How a line is taxed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineTax {
    /// The category.
    pub category: Category,
    /// The rate in percent.
    #[serde(with = "rust_decimal::serde::str")]
    pub rate: Decimal,
    /// Why there is no tax, as VATEX codes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The line of an invoice that a line credits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credited {
    /// The invoice.
    pub invoice: InvoiceId,
    /// The line's id.
    pub line: u32,
}

/// Where a line comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LineSource {
    /// An event: its stream and the version that it gave the stream.
    Event {
        /// The stream, such as `sub_…`.
        stream: String,
        /// The version.
        version: u64,
    },
    /// Metered events.
    Usage {
        /// The meter.
        meter: Meter,
        /// The first date of the usage month.
        from: Date,
        /// The date after the last one.
        until: Date,
        /// What was counted.
        count: u64,
        /// What was included.
        included: u64,
        /// What was billed before; none of it but for late use.
        #[serde(default, skip_serializing_if = "is_zero")]
        billed: u64,
    },
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A line of an issued document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its number in the document: 1, 2, …
    pub id: u32,
    /// What it is for.
    pub kind: LineKind,
    /// The plan's name; empty for a line by hand.
    pub plan: String,
    /// The plan's version; 0 for a line by hand.
    pub version: u32,
    /// What a line by hand is for; empty otherwise, because it is written in the language of the document.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The first date.
    pub from: Date,
    /// The date after the last one.
    pub until: Date,
    /// How many days of the period it is for.
    pub days: i64,
    /// How many days the period has.
    pub of_days: i64,
    /// How many; part of a period is one, a credit is negative.
    pub quantity: i64,
    /// The price of one, in minor units, possibly with a fraction.
    #[serde(with = "rust_decimal::serde::str")]
    pub unit_price: Decimal,
    /// Before discounts.
    pub gross: i64,
    /// What discounts take off.
    pub discount: i64,
    /// After discounts, without tax.
    pub net: i64,
    /// Which discounts take off how much.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discounts: Vec<LineDiscount>,
    /// How it is taxed.
    pub tax: LineTax,
    /// The line that it credits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credits: Option<Credited>,
    /// The events from which it follows.
    pub sources: Vec<LineSource>,
}

/// The lines of a document with one category and rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaxGroup {
    /// How they are taxed.
    pub tax: LineTax,
    /// Their sum without tax.
    pub taxable: i64,
    /// The tax.
    pub amount: i64,
}

/// The tax in the seller's accounting currency, if the document is in another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountingTax {
    /// The accounting currency.
    pub currency: Currency,
    /// The tax in it.
    pub amount: i64,
    /// How much of the accounting currency one unit of the document's currency is.
    #[serde(with = "rust_decimal::serde::str")]
    pub rate: Decimal,
    /// The date of the rate.
    pub on: Date,
    /// Who published it.
    pub source: String,
}

/// The totals of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Without tax.
    pub net: i64,
    /// The tax.
    pub tax: i64,
    /// With tax.
    pub total: i64,
}

/// What an issued invoice or credit note says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issued {
    /// The number, such as `PT-2026-000001`.
    pub number: String,
    /// The date of issue, in the seller's zone.
    pub issue_date: Date,
    /// The date until which an invoice is to be paid; that of issue for a credit note.
    pub due_date: Date,
    /// The currency of all amounts.
    pub currency: Currency,
    /// Who issues it.
    pub seller: Box<Seller>,
    /// Who is billed.
    pub buyer: Box<Buyer>,
    /// How it is taxed.
    pub treatment: Treatment,
    /// Whether prices included the tax.
    pub prices_include_tax: bool,
    /// Its lines.
    pub lines: Vec<Line>,
    /// Its groups of tax.
    pub groups: Vec<TaxGroup>,
    /// The tax in the accounting currency, if that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounting_tax: Option<AccountingTax>,
    /// Its totals.
    pub totals: Totals,
    /// The version of the arithmetic.
    pub rules: u32,
}

impl Issued {
    /// The first date and the date after the last one of all lines.
    pub fn dates(&self) -> Option<(Date, Date)> {
        Some((self.lines.iter().map(|line| line.from).min()?, self.lines.iter().map(|line| line.until).max()?))
    }
}

/// The longest legal name or line of an address, in characters.
pub const NAME_MAX: usize = 200;

/// A name or a line of an address without spaces around it.
///
/// # Errors
/// If it is empty, too long, or has characters that cannot be printed.
pub fn parsed_name(value: &str) -> Result<String, crate::InvalidText> {
    text::line(value, NAME_MAX)
}
