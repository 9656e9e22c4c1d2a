//! Invoices: drafts of super admins, what was issued, and how it is settled.
//!
//! What was issued never changes: it is paid, credited or voided. `settlement.rs` has the arithmetic of that.

mod event;
mod existing;

use jiff::{Timestamp, civil::Date};

pub use self::event::{CreditedLine, Dunning, Event, InvoiceKind, ManualLine, Step};
pub use self::existing::{Existing, IssuedInvoice};
use super::{
    Currency,
    billing_account::Collection,
    billing_document::{CreditNoteId, InvoiceId, Issued, NAME_MAX},
    payment::PaymentId,
    settlement::{Refusal, Target},
};
use crate::{Aggregate, Kind, Reason};

/// The most lines that a super admin can draft.
pub const MAX_LINES: usize = 200;

/// Commands on an invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Draft it by hand.
    Draft {
        /// The currency.
        currency: Currency,
        /// The lines.
        lines: Vec<ManualLine>,
    },
    /// Change the draft.
    ChangeDraft {
        /// The lines.
        lines: Vec<ManualLine>,
    },
    /// Discard the draft.
    DiscardDraft,
    /// Issue it.
    Issue {
        /// Why.
        kind: InvoiceKind,
        /// How it is collected.
        collection: Collection,
        /// What it says.
        document: Box<Issued>,
        /// What happens while it is not paid.
        dunning: Vec<Dunning>,
        /// The invoice that it replaces.
        replaces: Option<InvoiceId>,
    },
    /// Pay from the balance of the organization.
    ApplyBalance {
        /// How much.
        amount: i64,
        /// The balance.
        balance: i64,
    },
    /// Record a payment that arrived.
    RecordPayment {
        /// The payment.
        payment: PaymentId,
        /// How much.
        amount: i64,
    },
    /// Record a transfer.
    MarkPaid {
        /// The payment.
        payment: PaymentId,
        /// How much.
        amount: i64,
        /// Its reference.
        reference: String,
        /// Its date.
        paid_on: Date,
        /// Whether another transfer may have the same reference.
        allow_duplicate: bool,
        /// The current date in the seller's zone.
        today: Date,
    },
    /// Record that a payment was taken back.
    ReversePayment {
        /// The payment.
        payment: PaymentId,
        /// How much.
        amount: i64,
    },
    /// Credit lines.
    Credit {
        /// The credit note.
        credit_note: CreditNoteId,
        /// How much with tax.
        amount: i64,
        /// Which lines.
        lines: Vec<CreditedLine>,
        /// Where what was paid goes.
        to: Target,
    },
    /// A later invoice credits lines.
    BuildOn {
        /// The later invoice.
        invoice: InvoiceId,
        /// Which lines.
        lines: Vec<CreditedLine>,
    },
    /// A later invoice that credits lines was credited itself: they can be credited again.
    ReturnCredit {
        /// The later invoice.
        invoice: InvoiceId,
        /// The credit note over the later invoice.
        credit_note: CreditNoteId,
        /// Which lines.
        lines: Vec<CreditedLine>,
    },
    /// Void it by a credit note over what is left.
    Void {
        /// The credit note.
        credit_note: CreditNoteId,
        /// Why.
        reason: Reason,
    },
    /// No longer expect it to be paid.
    MarkUncollectible {
        /// Why.
        reason: String,
        /// The current date in the seller's zone.
        today: Date,
    },
    /// Carry out the next step of collection.
    Dun {
        /// The current time.
        now: Timestamp,
    },
    /// Record its PDF.
    StorePdf {
        /// The SHA-256 of the file.
        sha256: String,
        /// Its length.
        bytes: u64,
        /// The SHA-256 of the e-invoice in it.
        xml_sha256: Option<String>,
    },
}

/// Why a command on an invoice is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It does not exist.
    #[error("no such invoice")]
    NotFound,
    /// It is not a draft.
    #[error("the invoice is issued or discarded: it cannot be changed; credit it instead")]
    NotDraft,
    /// It is a draft.
    #[error("the invoice is a draft: issue it first")]
    NotIssued,
    /// A line is not valid.
    #[error("line {0}: {1}")]
    Line(usize, &'static str),
    /// It has no lines, or too many.
    #[error("an invoice has 1 to 200 lines")]
    LineCount,
    /// A date is not allowed.
    #[error("{0}")]
    Date(&'static str),
    /// The reference was used before.
    #[error("a transfer with this reference is recorded for this invoice: set `allow_duplicate` if it is another one")]
    DuplicateReference,
    /// There is no such payment.
    #[error("the invoice has no such payment, or less is left of it")]
    NoPayment,
    /// Less was paid with the payment provider than is to be refunded.
    #[error("less was paid by card than is to be refunded: credit it to the balance")]
    NotRefundable,
    /// A line does not exist.
    #[error("the invoice has no line {0}")]
    NoLine(u32),
    /// Less is left of a line.
    #[error("less is left of line {0} to be credited")]
    LineCredited(u32),
    /// Less of a line was credited than is returned.
    #[error("less of line {0} was credited than is returned")]
    NotCredited(u32),
    /// Another document credits its lines.
    #[error("another document credits lines of this invoice: credit what is left of it instead")]
    BuiltOn,
    /// A rule of settlement.
    #[error(transparent)]
    Settlement(#[from] Refusal),
    /// An amount is too large.
    #[error("the amount is too large")]
    TooLarge,
    /// The VAT id is being checked.
    #[error("the VAT id of the buyer is being checked: try again later")]
    TaxPending,
    /// A tax rate is not known.
    #[error("the tax rate of the buyer's country is not known: a super admin has to set it")]
    NoTaxRate,
    /// An exchange rate is missing.
    #[error(
        "the exchange rate of the last seven days to the accounting currency is missing: a super admin has to set it"
    )]
    NoExchangeRate,
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound | Self::NoPayment => Kind::NotFound,
            Self::Line(..)
            | Self::LineCount
            | Self::Date(_)
            | Self::NoLine(_)
            | Self::TooLarge
            | Self::Settlement(Refusal::AmountNotPositive) => Kind::Invalid,
            Self::NotDraft
            | Self::NotIssued
            | Self::DuplicateReference
            | Self::LineCredited(_)
            | Self::NotCredited(_)
            | Self::BuiltOn
            | Self::TaxPending
            | Self::NoTaxRate
            | Self::NoExchangeRate
            | Self::NotRefundable
            | Self::Settlement(_) => Kind::Conflict,
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::NotFound => "invoice-not-found",
            Self::NotDraft => "invoice-not-draft",
            Self::NotIssued => "invoice-not-issued",
            Self::Line(..) => "invalid-line",
            Self::LineCount => "invalid-lines",
            Self::Date(_) => "invalid-date",
            Self::DuplicateReference => "duplicate-reference",
            Self::NoPayment => "payment-not-found",
            Self::NotRefundable => "not-refundable",
            Self::NoLine(_) => "line-not-found",
            Self::LineCredited(_) => "line-credited",
            Self::NotCredited(_) => "line-not-credited",
            Self::BuiltOn => "invoice-built-on",
            Self::Settlement(refusal) => refusal.slug(),
            Self::TaxPending => "vat-id-pending",
            Self::NoTaxRate => "tax-rate-missing",
            Self::NoExchangeRate => "exchange-rate-missing",
            Self::TooLarge => "amount-too-large",
        }
    }
}

/// The state of an invoice.
#[derive(Debug, Clone, Default)]
pub struct Invoice(Option<Box<Existing>>);

impl Invoice {
    /// The invoice; `None` if it does not exist.
    pub fn existing(&self) -> Option<&Existing> {
        self.0.as_deref()
    }
}

fn must_be_valid(lines: &[ManualLine]) -> Result<(), Rejection> {
    if lines.is_empty() || lines.len() > MAX_LINES {
        return Err(Rejection::LineCount);
    }
    for (index, line) in lines.iter().enumerate() {
        let at = |what| Err(Rejection::Line(index + 1, what));
        match line {
            _ if crate::text::line(&line.description, NAME_MAX).is_err() => {
                return at("the description must have 1 to 200 characters");
            }
            _ if !(1..=1_000_000).contains(&line.quantity) => return at("the quantity must be 1 to 1,000,000"),
            _ if line.unit_price.is_sign_negative() => return at("the price must not be negative"),
            _ if line.until <= line.from => return at("`until` must be after `from`"),
            _ => {}
        }
    }
    Ok(())
}

impl Aggregate for Invoice {
    const CATEGORY: &'static str = "invoice";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = InvoiceId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match (&self.0, command) {
            (Some(existing), command) => existing.decide(command),
            (None, Command::Draft { currency, lines }) => {
                must_be_valid(lines)?;
                if lines.iter().any(|line| existing::gross(line, *currency).is_none()) {
                    return Err(Rejection::TooLarge);
                }
                Ok(vec![Event::Drafted { currency: *currency, lines: lines.clone() }])
            }
            (None, Command::Issue { .. }) => Existing::default().decide(command),
            (None, _) => Err(Rejection::NotFound),
        }
    }

    fn evolve(&mut self, event: &Event) {
        self.0.get_or_insert_default().evolve(event);
    }
}

#[cfg(test)]
mod tests;
