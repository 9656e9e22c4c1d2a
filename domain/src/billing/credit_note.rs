//! Credit notes: they credit lines of an invoice, or void it.

use serde::{Deserialize, Serialize};

use super::billing_document::{CreditNoteId, InvoiceId, Issued};
use crate::{Aggregate, Kind};

crate::texts! {
    /// Why something is credited.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = CreditReason))]
    pub enum CreditReason {
        /// The subscription changed.
        Change = "change",
        /// The invoice was voided, or the subscription canceled.
        Cancellation = "cancellation",
        /// A courtesy.
        Goodwill = "goodwill",
        /// The invoice was wrong.
        Error = "error",
    }
}

/// Commands on a credit note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Issue it.
    Issue(Box<IssuedNote>),
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

/// What a credit note says, and where its amount goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuedNote {
    /// The invoice that it credits.
    pub invoice: InvoiceId,
    /// The number of that invoice.
    pub invoice_number: String,
    /// Why.
    pub reason: CreditReason,
    /// What it says: quantities and amounts are positive.
    pub document: Issued,
    /// How much lowers what is due.
    pub to_due: i64,
    /// How much goes to the balance of the organization.
    pub to_balance: i64,
    /// How much is refunded.
    pub to_refund: i64,
}

/// Events of a credit note. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// It was issued.
    #[serde(rename = "credit_note.issued.v1")]
    Issued {
        /// What it says.
        note: Box<IssuedNote>,
    },
    /// Its PDF was stored.
    #[serde(rename = "credit_note.pdf_stored.v1")]
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

/// Why a command on a credit note is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It does not exist.
    #[error("no such credit note")]
    NotFound,
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        Kind::NotFound
    }

    fn slug(&self) -> &'static str {
        "credit-note-not-found"
    }
}

/// The state of a credit note.
#[derive(Debug, Clone, Default)]
pub struct CreditNote {
    note: Option<Box<IssuedNote>>,
    pdf: Option<(String, u64, Option<String>)>,
}

impl CreditNote {
    /// What was issued; `None` if it does not exist.
    pub fn note(&self) -> Option<&IssuedNote> {
        self.note.as_deref()
    }

    /// The hash and the length of its PDF, and the hash of the e-invoice.
    pub fn pdf(&self) -> Option<&(String, u64, Option<String>)> {
        self.pdf.as_ref()
    }
}

impl Aggregate for CreditNote {
    const CATEGORY: &'static str = "credit_note";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = CreditNoteId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match (&self.note, command) {
            (Some(_), Command::Issue(_)) => Ok(vec![]),
            (None, Command::Issue(note)) => Ok(vec![Event::Issued { note: note.clone() }]),
            (None, Command::StorePdf { .. }) => Err(Rejection::NotFound),
            (Some(_), Command::StorePdf { .. }) if self.pdf.is_some() => Ok(vec![]),
            (Some(_), Command::StorePdf { sha256, bytes, xml_sha256 }) => {
                let (sha256, bytes, xml_sha256) = (sha256.clone(), *bytes, xml_sha256.clone());
                Ok(vec![Event::PdfStored { sha256, bytes, xml_sha256 }])
            }
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Issued { note } => self.note = Some(note.clone()),
            Event::PdfStored { sha256, bytes, xml_sha256 } => {
                self.pdf = Some((sha256.clone(), *bytes, xml_sha256.clone()));
            }
        }
    }
}
