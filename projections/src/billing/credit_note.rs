//! Credit notes.

use jiff::Timestamp;
use porttask_domain::{
    OrganizationId, TextEnum,
    billing::{
        billing_document::{CreditNoteId, InvoiceId},
        credit_note::{CreditReason, Event},
    },
};

use super::plan::money;
use crate::{
    Change, Index, ReadModel, Recorded,
    audit_text::{DescriptionSink, DisplayValue},
    id_columns, normalized, row, text_columns,
};

id_columns!(CreditNoteId);
text_columns!(CreditReason);

row! {
    /// A credit note.
    pub struct CreditNote {
        key {
            /// The organization.
            organization: OrganizationId,
            /// The id.
            credit_note: CreditNoteId,
        }
        row {
            /// The invoice that it credits.
            invoice: InvoiceId,
            /// The number of that invoice.
            invoice_number: String,
            /// Why.
            reason: CreditReason,
            /// The number.
            credit_note_number: String,
            /// The number, normalized for searches.
            normalized_number: String,
            /// The date of issue.
            issue_date: String,
            /// The currency.
            currency: String,
            /// Without tax, in minor units of the currency.
            net: u64,
            /// The tax.
            tax: u64,
            /// With tax.
            total: u64,
            /// How much went to the balance.
            to_balance: u64,
            /// How much is refunded.
            to_refund: u64,
            /// The SHA-256 of the PDF; empty while it is not stored.
            pdf: String,
            /// The SHA-256 of the electronic invoice; empty if there is none.
            xml: String,
            /// When it was issued.
            created_at: Timestamp,
            /// The version.
            version: u64,
        }
    }
}

/// Which credit notes are there?
pub struct CreditNotes;

impl ReadModel for CreditNotes {
    const NAME: &'static str = "credit_notes";
    const VERSION: u32 = 2;
    const INDEXES: &'static [Index] = &[
        Index { name: "by_age", columns: &["organization", "created_at", "credit_note"] },
        Index { name: "by_number", columns: &["organization", "credit_note_number", "credit_note"] },
        Index { name: "by_pdf", columns: &["organization", "pdf"] },
        Index { name: "by_xml", columns: &["organization", "xml"] },
    ];
    const CROSS_PARTITION_INDEXES: &'static [Index] = &[
        Index { name: "all_by_age", columns: &["created_at", "organization", "credit_note"] },
        Index { name: "all_by_number", columns: &["credit_note_number", "organization", "credit_note"] },
    ];
    const FULL_TEXT_COLUMNS: &'static [&'static str] = &["normalized_number"];
    type Source = Event;
    type Row = CreditNote;

    fn project(row: Option<CreditNote>, event: &Event, recorded: &Recorded) -> Change<CreditNote> {
        let amount = |amount: i64| u64::try_from(amount).unwrap_or_default();
        match (row, event) {
            (_, Event::Issued { note }) => Change::Put(CreditNote {
                organization: recorded.organization,
                credit_note: CreditNoteId(recorded.subject),
                invoice: note.invoice,
                invoice_number: note.invoice_number.clone(),
                reason: note.reason,
                credit_note_number: note.document.number.clone(),
                normalized_number: normalized(&note.document.number),
                issue_date: note.document.issue_date.to_string(),
                currency: note.document.currency.to_string(),
                net: amount(note.document.totals.net),
                tax: amount(note.document.totals.tax),
                total: amount(note.document.totals.total),
                to_balance: amount(note.to_balance),
                to_refund: amount(note.to_refund),
                pdf: String::new(),
                xml: String::new(),
                created_at: recorded.time(),
                version: recorded.version,
            }),
            (Some(row), Event::PdfStored { sha256, xml_sha256, .. }) => {
                let (pdf, xml) = (sha256.clone(), xml_sha256.clone().unwrap_or_default());
                Change::Put(CreditNote { pdf, xml, version: recorded.version, ..row })
            }
            (None, Event::PdfStored { .. }) => Change::Keep,
        }
    }
}

/// What happened, for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    match event {
        Event::Issued { note } => {
            sink.words("issued the credit note ");
            sink.value(DisplayValue::Text(&note.document.number));
            let total = money(note.document.totals.total, note.document.currency);
            sink.change("number", None, Some(DisplayValue::Filtered(&note.document.number)));
            sink.change("invoice", None, Some(DisplayValue::Filtered(&note.invoice)));
            sink.change("reason", None, Some(DisplayValue::Text(note.reason.as_str())));
            sink.change("total", None, Some(DisplayValue::Text(&total)));
        }
        Event::PdfStored { sha256, .. } => {
            sink.words("stored the PDF of the credit note");
            sink.change("sha256", None, Some(DisplayValue::Text(sha256)));
        }
    }
}
