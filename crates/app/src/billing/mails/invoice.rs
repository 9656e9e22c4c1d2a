//! Mails about invoices: issued, paid, and not paid. What no longer applies is not mailed.

use async_trait::async_trait;
use jiff::{Timestamp, civil::Date};
use porttask_domain::{
    OrganizationId,
    billing::{
        Invoice, Payment, PaymentMethods,
        billing_account::Collection,
        billing_document::InvoiceId,
        invoice::{Event, IssuedInvoice, Step},
        payment::{PaymentId, Target},
        period::local_date,
        settlement::State,
        subscription::Status,
    },
};
use porttask_runtime::{reactors::TaskError, tasks::Task};
use std::sync::Arc;

use super::{
    documents::{About, Documents, To, account, debt, page},
    notices::{InvoiceIssued, Message, Money, Pay, Receipt, Reminder, Way},
};
use crate::mail::{Draft, Mails};

porttask_domain::texts! {
    /// The kinds of mail.
    pub enum Kind {
        /// It was issued.
        Issued = "invoice_issued",
        /// A payment arrived.
        Paid = "invoice_paid",
        /// A step to collect it was carried out.
        Dunned = "invoice_dunned",
    }
}

pub(super) struct InvoiceMails(pub(super) Arc<Documents>);

#[async_trait]
impl Mails for InvoiceMails {
    type Source = Event;
    type Kind = Kind;

    fn kinds(event: &Event, _: OrganizationId) -> Vec<Kind> {
        match event {
            Event::Issued { document, .. } if document.totals.total > 0 => vec![Kind::Issued],
            Event::PaymentRecorded { .. } => vec![Kind::Paid],
            Event::Dunned { .. } => vec![Kind::Dunned],
            Event::Drafted { .. }
            | Event::DraftChanged { .. }
            | Event::DraftDiscarded {}
            | Event::Issued { .. }
            | Event::BalanceApplied { .. }
            | Event::PaymentReversed { .. }
            | Event::Credited { .. }
            | Event::BuiltOn { .. }
            | Event::CreditReturned { .. }
            | Event::Voided { .. }
            | Event::MarkedUncollectible { .. }
            | Event::PdfStored { .. } => Vec::new(),
        }
    }

    async fn compose(&self, _: Kind, task: &Task, now: Timestamp) -> Result<Vec<Draft>, TaskError> {
        let (home, id) = (task.organization, InvoiceId(task.subject));
        let recorded = self.0.recipients.recorded::<Invoice>(task, id).await?;
        let (Some((event, recorded_at)), Some(issued)) = (recorded, self.0.invoice(home, id).await?) else {
            return Ok(Vec::new());
        };
        match event {
            Event::Issued { .. } => self.issued(task, &issued).await,
            Event::PaymentRecorded { payment, amount, surplus, due, reference, paid_on } => {
                let (_, zone) = self.0.subscription(home).await?;
                let on = paid_on.unwrap_or_else(|| local_date(recorded_at, &zone));
                self.paid(task, &issued, (payment, reference), (amount, surplus, due), on).await
            }
            Event::Dunned { step, stage, .. } => self.dunned(task, &issued, step, stage, now).await,
            Event::Drafted { .. }
            | Event::DraftChanged { .. }
            | Event::DraftDiscarded {}
            | Event::BalanceApplied { .. }
            | Event::PaymentReversed { .. }
            | Event::Credited { .. }
            | Event::BuiltOn { .. }
            | Event::CreditReturned { .. }
            | Event::Voided { .. }
            | Event::MarkedUncollectible { .. }
            | Event::PdfStored { .. } => Ok(Vec::new()),
        }
    }
}

impl InvoiceMails {
    async fn issued(&self, task: &Task, issued: &IssuedInvoice) -> Result<Vec<Draft>, TaskError> {
        let home = task.organization;
        let document = &issued.document;
        let pdf = issued.pdf.as_ref().map(|(sha256, bytes, _)| (sha256.as_str(), *bytes));
        let (file, attachments) = self.0.file(task, &document.number, pdf).await?;
        let (methods, _) = self.0.recipients.executor.load::<PaymentMethods>(home, home.into()).await?;
        let pay = match (issued.settlement.state, issued.collection) {
            (State::Paid, _) if issued.settlement.credited < issued.settlement.total => Pay::Paid,
            _ if issued.due() == 0 => Pay::Nothing,
            (_, Collection::Invoice { .. }) => {
                Pay::Transfer { until: document.due_date, account: account(&document.seller) }
            }
            (_, Collection::Automatic) => match methods.usable() {
                Some((_, method)) => Pay::Charge { method: &method.details.last4 },
                None => Pay::NoMethod { next: self.0.next(home, issued).await? },
            },
        };
        let replaced = match issued.replaces {
            Some(id) => self.0.invoice(home, id).await?,
            None => None,
        };
        let message = Message::Invoice(InvoiceIssued {
            number: &document.number,
            total: Money(document.totals.total, document.currency),
            due: Money(issued.due(), document.currency),
            replaces: replaced.as_ref().map(|it| it.document.number.as_str()),
            pay,
            file,
        });
        self.send(task, issued, To::Contact, (&message, &attachments)).await
    }

    async fn send(
        &self,
        task: &Task,
        issued: &IssuedInvoice,
        to: To,
        (message, attachments): (&Message<'_>, &[porttask_runtime::ports::mail::Attachment]),
    ) -> Result<Vec<Draft>, TaskError> {
        let (page, language) = (page(InvoiceId(task.subject)), issued.document.buyer.language.as_str());
        let about = About { home: task.organization, page: &page, language: Some(language) };
        self.0.drafts(&about, to, message, attachments).await
    }

    async fn paid(
        &self,
        task: &Task,
        issued: &IssuedInvoice,
        (payment, reference): (PaymentId, Option<String>),
        (amount, surplus, due): (i64, i64, i64),
        on: Date,
    ) -> Result<Vec<Draft>, TaskError> {
        let (home, currency) = (task.organization, issued.document.currency);
        let executor = &self.0.recipients.executor;
        let (charged, _) = executor.load::<Payment>(home, payment).await?;
        let (methods, _) = executor.load::<PaymentMethods>(home, home.into()).await?;
        let method = charged.method().and_then(|method| methods.current_or_removed(method));
        let way = match (&reference, method) {
            (Some(reference), _) => Way::Transfer { reference },
            (None, Some(method)) => Way::Method { brand: &method.details.brand, last4: &method.details.last4 },
            (None, None) => Way::Other,
        };
        let money = |minor| Money(minor, currency);
        let (amount, due, surplus) = (money(amount), money(due), money(surplus));
        let message = Message::Receipt(Receipt { number: &issued.document.number, amount, on, way, due, surplus });
        self.send(task, issued, To::Contact, (&message, &[])).await
    }

    async fn dunned(
        &self,
        task: &Task,
        issued: &IssuedInvoice,
        step: Step,
        stage: u32,
        now: Timestamp,
    ) -> Result<Vec<Draft>, TaskError> {
        let home = task.organization;
        let Some(debt) = debt(issued) else { return Ok(Vec::new()) };
        let (subscription, zone) = self.0.subscription(home).await?;
        let next = self.0.next(home, issued).await?;
        let (to, message) = match step {
            // What is charged has a mail of its own if it fails.
            Step::Charge if self.is_charged(home, InvoiceId(task.subject), stage).await? => return Ok(Vec::new()),
            Step::Charge => (To::Contact, Message::NoMethod(debt, next)),
            Step::Remind => {
                let until = issued.document.due_date;
                let days_overdue = (local_date(now, &zone) - until).get_days();
                let account = account(&issued.document.seller);
                (To::Contact, Message::Reminder(debt, Reminder { until, days_overdue, account, next }))
            }
            // Admins are mailed what happens to the subscription.
            Step::BecomeReadOnly if subscription.status() == Some(Status::ReadOnly) => {
                (To::ContactBesideAdmins, Message::ReadOnly(debt, next))
            }
            Step::EndUnpaid if subscription.status() == Some(Status::Ended) => {
                (To::ContactBesideAdmins, Message::Ended(debt))
            }
            Step::BecomeReadOnly | Step::EndUnpaid => return Ok(Vec::new()),
        };
        self.send(task, issued, to, (&message, &[])).await
    }

    /// Whether a step to charge an invoice led, or will lead, to a payment.
    async fn is_charged(&self, home: OrganizationId, invoice: InvoiceId, stage: u32) -> Result<bool, TaskError> {
        let executor = &self.0.recipients.executor;
        let (methods, _) = executor.load::<PaymentMethods>(home, home.into()).await?;
        let id = PaymentId::of(Target::Invoice(invoice.0), 1 + stage);
        let (payment, _) = executor.load::<Payment>(home, id).await?;
        Ok(methods.usable().is_some() || payment.status().is_some())
    }
}
