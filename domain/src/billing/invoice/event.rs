//! Events of an invoice.

use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::billing::{
    Currency,
    billing_account::Collection,
    billing_document::{CreditNoteId, InvoiceId, Issued},
    payment::PaymentId,
};

crate::texts! {
    /// Why an invoice is issued.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = InvoiceKind))]
    pub enum InvoiceKind {
        /// A period of a subscription began.
        Subscription = "subscription",
        /// A usage month inside a yearly period ended.
        Usage = "usage",
        /// A subscription changed inside a period.
        Change = "change",
        /// A super admin drafted it.
        Manual = "manual",
        /// It replaces an invoice with other data of the buyer.
        Correction = "correction",
    }

    /// A step to collect an invoice that is not paid.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = DunningStep))]
    pub enum Step {
        /// The default payment method is charged again.
        Charge = "charge",
        /// The organization is reminded.
        Remind = "remind",
        /// The organization becomes read-only.
        BecomeReadOnly = "become_read_only",
        /// The subscription ends, and the invoice is uncollectible.
        EndUnpaid = "end_unpaid",
    }
}

/// A step that is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dunning {
    /// What happens.
    pub step: Step,
    /// When.
    pub at: Timestamp,
}

/// A line that a super admin drafts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ManualLine {
    /// What it is for; up to 200 characters.
    pub description: String,
    /// How many, 1 to 1,000,000.
    pub quantity: i64,
    /// The price of one as a decimal number of the currency, without tax.
    #[serde(with = "rust_decimal::serde::str")]
    #[cfg_attr(feature = "schema", schema(value_type = String, example = "120.00"))]
    pub unit_price: Decimal,
    /// The first date.
    #[cfg_attr(feature = "schema", schema(value_type = String, format = Date))]
    pub from: Date,
    /// The date after the last one.
    #[cfg_attr(feature = "schema", schema(value_type = String, format = Date))]
    pub until: Date,
}

/// How much of a line is credited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreditedLine {
    /// The line's id.
    pub line: u32,
    /// How much without tax, in minor units.
    pub net: i64,
}

/// Events of an invoice. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// A super admin drafted it.
    #[serde(rename = "invoice.drafted.v1")]
    Drafted {
        /// The currency.
        currency: Currency,
        /// The lines.
        lines: Vec<ManualLine>,
    },
    /// The draft changed.
    #[serde(rename = "invoice.draft_changed.v1")]
    DraftChanged {
        /// The lines as they were.
        from: Vec<ManualLine>,
        /// The lines as they are.
        to: Vec<ManualLine>,
    },
    /// The draft was discarded.
    #[serde(rename = "invoice.draft_discarded.v1")]
    DraftDiscarded {},
    /// It was issued.
    #[serde(rename = "invoice.issued.v1")]
    Issued {
        /// Why.
        kind: InvoiceKind,
        /// How it is collected.
        collection: Collection,
        /// What it says.
        document: Box<Issued>,
        /// What happens while it is not paid.
        dunning: Vec<Dunning>,
        /// The invoice that it replaces.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<InvoiceId>,
    },
    /// The balance of the organization paid for some of it.
    #[serde(rename = "invoice.balance_applied.v1")]
    BalanceApplied {
        /// How much.
        amount: i64,
        /// What is due after it.
        due: i64,
    },
    /// A payment arrived.
    #[serde(rename = "invoice.payment_recorded.v1")]
    PaymentRecorded {
        /// The payment.
        payment: PaymentId,
        /// How much arrived.
        amount: i64,
        /// How much of it was above what was due, and went to the balance.
        surplus: i64,
        /// What is due after it.
        due: i64,
        /// The reference of a transfer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
        /// The date of a transfer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        paid_on: Option<Date>,
    },
    /// A payment was taken back.
    #[serde(rename = "invoice.payment_reversed.v1")]
    PaymentReversed {
        /// The payment.
        payment: PaymentId,
        /// How much.
        amount: i64,
        /// What is due after it.
        due: i64,
    },
    /// A credit note credits lines of it.
    #[serde(rename = "invoice.credited.v1")]
    Credited {
        /// The credit note.
        credit_note: CreditNoteId,
        /// How much with tax.
        amount: i64,
        /// Which lines.
        lines: Vec<CreditedLine>,
        /// How much went to the balance.
        to_balance: i64,
        /// How much is refunded.
        to_refund: i64,
        /// What is due after it.
        due: i64,
    },
    /// A later invoice credits lines of it.
    #[serde(rename = "invoice.built_on.v1")]
    BuiltOn {
        /// The later invoice.
        invoice: InvoiceId,
        /// Which lines.
        lines: Vec<CreditedLine>,
    },
    /// A later invoice that credited lines of it was credited itself: they can be credited again.
    #[serde(rename = "invoice.credit_returned.v1")]
    CreditReturned {
        /// The later invoice.
        invoice: InvoiceId,
        /// The credit note over the later invoice.
        credit_note: CreditNoteId,
        /// Which lines.
        lines: Vec<CreditedLine>,
    },
    /// It was voided by a credit note over what was left of it.
    #[serde(rename = "invoice.voided.v1")]
    Voided {
        /// The credit note.
        credit_note: CreditNoteId,
        /// Why.
        reason: String,
        /// How much went back to the balance.
        to_balance: i64,
    },
    /// It is no longer expected to be paid.
    #[serde(rename = "invoice.marked_uncollectible.v1")]
    MarkedUncollectible {
        /// Why.
        reason: String,
    },
    /// A step to collect it was carried out.
    #[serde(rename = "invoice.dunned.v1")]
    Dunned {
        /// Which.
        step: Step,
        /// The how manieth of its kind: 1, 2, …
        stage: u32,
        /// What is still planned.
        rest: Vec<Dunning>,
    },
    /// Its PDF was stored.
    #[serde(rename = "invoice.pdf_stored.v1")]
    PdfStored {
        /// The SHA-256 of the file, in hexadecimal.
        sha256: String,
        /// Its length.
        bytes: u64,
        /// The SHA-256 of the e-invoice in it; none for currencies with three decimals.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        xml_sha256: Option<String>,
    },
}
