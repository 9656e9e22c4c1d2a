//! What mails about invoices, credit notes and payments say, in the languages of these documents.

mod english;
mod german;

use std::fmt;

use jiff::civil::Date;
use porttask_domain::billing::{Currency, credit_note::CreditReason};

use crate::mail::{
    language::Reader,
    letter::{Letter, Paragraph},
};

/// A language of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DocumentLanguage {
    English,
    German,
}

impl DocumentLanguage {
    /// The language in which a document with this BCP 47 tag is written: German, otherwise English.
    pub(super) fn of(tag: &str) -> Self {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        if primary.eq_ignore_ascii_case("de") { Self::German } else { Self::English }
    }

    /// Its BCP 47 tag.
    pub(super) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }
}

/// An amount in minor units of a currency. Displayed in a form that no reader takes for another one: `1234.50 EUR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Money(pub(super) i64, pub(super) Currency);

impl Money {
    const fn is_positive(self) -> bool {
        self.0 > 0
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.1.decimal(self.0), self.1.code())
    }
}

/// Whether the file of a document is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum File {
    /// It is.
    Attached,
    /// It is too large: it is behind the link.
    TooLarge,
    /// It could not be made yet.
    Missing,
}

/// An account for transfers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account<'a> {
    pub(super) holder: &'a str,
    pub(super) iban: &'a str,
    pub(super) bic: Option<&'a str>,
}

/// How an invoice is paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pay<'a> {
    /// It is paid.
    Paid,
    /// Nothing is due: it was credited.
    Nothing,
    /// By transfer.
    Transfer { until: Date, account: Option<Account<'a>> },
    /// A payment method is charged.
    Charge { method: &'a str },
    /// There is no payment method that can be charged.
    NoMethod { next: Next },
}

/// What happens next if an invoice is not paid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Next {
    /// The payment method is charged again.
    pub(super) charge_on: Option<Date>,
    /// The organization becomes read-only.
    pub(super) read_only_on: Option<Date>,
    /// The subscription ends.
    pub(super) ends_on: Option<Date>,
}

/// How money arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way<'a> {
    /// From a payment method, such as `visa ending in 4242`.
    Method { brand: &'a str, last4: &'a str },
    /// By transfer.
    Transfer { reference: &'a str },
    /// It is not known any more.
    Other,
}

/// Why a payment method was not charged, in the words of a payer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    InsufficientFunds,
    Expired,
    /// Lost, stolen, or blocked for another reason.
    Blocked,
    NotConfirmed,
    /// The provider did not carry it out.
    Technical,
    Declined,
}

impl Why {
    /// The reason behind the code of a provider.
    pub(super) fn of(code: &str) -> Self {
        match code {
            "insufficient_funds" | "card_velocity_exceeded" | "withdrawal_count_limit_exceeded" => {
                Self::InsufficientFunds
            }
            "expired_card" | "invalid_expiry_month" | "invalid_expiry_year" => Self::Expired,
            "stolen_card" | "lost_card" | "pickup_card" | "restricted_card" | "fraudulent" => Self::Blocked,
            "expired" | "authentication_required" | "payment_intent_authentication_failure" => Self::NotConfirmed,
            "never_arrived" | "processing_error" | "issuer_not_available" | "reenter_transaction" => Self::Technical,
            _ => Self::Declined,
        }
    }
}

/// An invoice was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InvoiceIssued<'a> {
    pub(super) number: &'a str,
    pub(super) total: Money,
    pub(super) due: Money,
    /// The number of the invoice that it replaces.
    pub(super) replaces: Option<&'a str>,
    pub(super) pay: Pay<'a>,
    pub(super) file: File,
}

/// A credit note was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CreditNoteIssued<'a> {
    pub(super) number: &'a str,
    /// The number of the invoice that it credits.
    pub(super) invoice: &'a str,
    pub(super) total: Money,
    pub(super) reason: CreditReason,
    pub(super) to_due: Money,
    pub(super) to_balance: Money,
    pub(super) to_refund: Money,
    pub(super) file: File,
}

/// Money arrived for an invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Receipt<'a> {
    pub(super) number: &'a str,
    pub(super) amount: Money,
    pub(super) on: Date,
    pub(super) way: Way<'a>,
    /// What is still due.
    pub(super) due: Money,
    /// What was paid beyond what was due.
    pub(super) surplus: Money,
}

/// A charge failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChargeFailed<'a> {
    /// The brand and the last four digits of what was charged.
    pub(super) method: Option<(&'a str, &'a str)>,
    pub(super) why: Why,
    pub(super) next: Next,
}

/// An invoice is due soon, or overdue for some days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reminder<'a> {
    pub(super) until: Date,
    pub(super) days_overdue: i32,
    pub(super) account: Option<Account<'a>>,
    pub(super) next: Next,
}

/// What an invoice is about that is not paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Debt<'a> {
    /// Its number.
    pub(super) number: &'a str,
    pub(super) due: Money,
}

/// The content of a mail, independent of language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message<'a> {
    /// An invoice was issued.
    Invoice(InvoiceIssued<'a>),
    /// A credit note was issued.
    CreditNote(CreditNoteIssued<'a>),
    /// Money arrived.
    Receipt(Receipt<'a>),
    /// A charge failed.
    ChargeFailed(Debt<'a>, ChargeFailed<'a>),
    /// The payer has to confirm a charge.
    ConfirmationRequired(Debt<'a>),
    /// There is no payment method that can be charged.
    NoMethod(Debt<'a>, Next),
    /// An invoice is due soon, or overdue.
    Reminder(Debt<'a>, Reminder<'a>),
    /// The organization is read-only because of an invoice.
    ReadOnly(Debt<'a>, Next),
    /// The subscription ended because of an invoice.
    Ended(Debt<'a>),
    /// To super admins: an organization asks to pay by transfer.
    TransferRequested,
    /// Invoices are paid by transfer from now on.
    TransferGranted {
        /// Within how many days.
        days: u16,
    },
    /// The request was refused.
    TransferRefused,
    /// Invoices are charged from now on.
    ChargedFromNowOn,
}

/// A mail in a language; `address` is the page that it is about.
pub(super) fn letter(language: DocumentLanguage, message: &Message<'_>, reader: &Reader<'_>, address: &str) -> Letter {
    let texts = match language {
        DocumentLanguage::English => english::texts(message, reader.organization),
        DocumentLanguage::German => german::texts(message, reader.organization),
    };
    let greeting = match language {
        DocumentLanguage::English => format!("Hello {},", reader.name),
        DocumentLanguage::German => format!("Guten Tag {},", reader.name),
    };
    let mut paragraphs = vec![Paragraph::Text(greeting)];
    paragraphs.extend(texts.paragraphs.into_iter().map(Paragraph::Text));
    paragraphs.push(Paragraph::Link { label: texts.label, address: address.to_owned() });
    Letter { subject: texts.subject, paragraphs }
}

/// The texts of a mail.
struct Texts {
    subject: String,
    paragraphs: Vec<String>,
    /// The label of the link.
    label: &'static str,
}

/// An IBAN in groups of four.
fn iban(iban: &str) -> String {
    let characters: Vec<char> = iban.chars().filter(|it| !it.is_whitespace()).collect();
    characters.chunks(4).map(String::from_iter).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
