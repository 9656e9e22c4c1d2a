//! Mails about credit notes.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::{
    OrganizationId,
    billing::{CreditNote, billing_document::CreditNoteId, credit_note::Event},
};
use porttask_runtime::{reactors::TaskError, tasks::Task};

use super::{
    documents::{About, Documents, To},
    notices::{CreditNoteIssued, Message, Money},
};
use crate::mail::{Draft, Mails};

porttask_domain::texts! {
    /// The kinds of mail.
    pub enum Kind {
        /// It was issued.
        Issued = "credit_note_issued",
    }
}

pub(super) struct CreditNoteMails(pub(super) Arc<Documents>);

#[async_trait]
impl Mails for CreditNoteMails {
    type Source = Event;
    type Kind = Kind;

    fn kinds(event: &Event, _: OrganizationId) -> Vec<Kind> {
        match event {
            Event::Issued { note } if note.document.totals.total > 0 => vec![Kind::Issued],
            Event::Issued { .. } | Event::PdfStored { .. } => Vec::new(),
        }
    }

    async fn compose(&self, kind: Kind, task: &Task, _: Timestamp) -> Result<Vec<Draft>, TaskError> {
        let Kind::Issued = kind;
        let (home, id) = (task.organization, CreditNoteId(task.subject));
        let (state, _) = self.0.recipients.executor.load::<CreditNote>(home, id).await?;
        let Some(note) = state.note() else { return Ok(Vec::new()) };
        let document = &note.document;
        let pdf = state.pdf().map(|(sha256, bytes, _)| (sha256.as_str(), *bytes));
        let (file, attachments) = self.0.file(task, &document.number, pdf).await?;
        let money = |minor| Money(minor, document.currency);
        let message = Message::CreditNote(CreditNoteIssued {
            number: &document.number,
            invoice: &note.invoice_number,
            total: money(document.totals.total),
            reason: note.reason,
            to_due: money(note.to_due),
            to_balance: money(note.to_balance),
            to_refund: money(note.to_refund),
            file,
        });
        let page = format!("billing/credit-notes/{id}");
        let about = About { home, page: &page, language: Some(&document.buyer.language) };
        self.0.drafts(&about, To::Contact, &message, &attachments).await
    }
}
