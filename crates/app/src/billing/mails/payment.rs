//! Mails about payments of invoices that failed, or that the payer has to confirm. What is charged by a person who sees the
//! outcome is not mailed.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use porttask_domain::{
    OrganizationId,
    billing::{
        Payment, PaymentMethods,
        billing_document::InvoiceId,
        payment::{Event, PaymentId, Status, Target},
    },
};
use porttask_runtime::{reactors::TaskError, tasks::Task};

use super::{
    documents::{About, Documents, To, debt, page},
    notices::{ChargeFailed, Message, Why},
};
use crate::{
    billing::invoices::collecting::is_by_hand,
    mail::{Draft, Mails},
};

/// How long a person sees the outcome of a payment.
const SEEN: SignedDuration = SignedDuration::from_mins(5);

porttask_domain::texts! {
    /// The kinds of mail.
    pub enum Kind {
        /// It failed.
        Failed = "payment_failed",
        /// The payer has to confirm it.
        ConfirmationRequired = "payment_confirmation_required",
    }
}

pub(super) struct PaymentMails(pub(super) Arc<Documents>);

#[async_trait]
impl Mails for PaymentMails {
    type Source = Event;
    type Kind = Kind;

    fn kinds(event: &Event, _: OrganizationId) -> Vec<Kind> {
        match event {
            Event::Failed { .. } => vec![Kind::Failed],
            Event::ActionRequired {} => vec![Kind::ConfirmationRequired],
            Event::Started { .. }
            | Event::OutcomeUnknown {}
            | Event::Succeeded { .. }
            | Event::RecordedManually { .. }
            | Event::RefundStarted { .. }
            | Event::Refunded { .. }
            | Event::RefundFailed { .. }
            | Event::Reversed { .. } => Vec::new(),
        }
    }

    async fn compose(&self, kind: Kind, task: &Task, _: Timestamp) -> Result<Vec<Draft>, TaskError> {
        let (home, id) = (task.organization, PaymentId(task.subject));
        let executor = &self.0.recipients.executor;
        let (payment, _) = executor.load::<Payment>(home, id).await?;
        let Some((Target::Invoice(invoice), ..)) = payment.purpose() else { return Ok(Vec::new()) };
        let Some((_, recorded_at)) = self.0.recipients.recorded::<Payment>(task, id).await? else {
            return Ok(Vec::new());
        };
        let is_seen = payment.attempt().is_some_and(is_by_hand)
            && payment.started_at().is_some_and(|started| recorded_at.duration_since(started) < SEEN);
        let Some(issued) = self.0.invoice(home, InvoiceId(invoice)).await? else { return Ok(Vec::new()) };
        let Some(debt) = debt(&issued).filter(|_| !is_seen) else { return Ok(Vec::new()) };
        let (methods, _) = executor.load::<PaymentMethods>(home, home.into()).await?;
        let charged = payment.method().and_then(|method| methods.current_or_removed(method));
        let message = match (kind, payment.failure(), payment.status()) {
            (Kind::Failed, Some((code, _)), _) => {
                let method = charged.map(|it| (it.details.brand.as_str(), it.details.last4.as_str()));
                let next = self.0.next(home, &issued).await?;
                Message::ChargeFailed(debt, ChargeFailed { method, why: Why::of(code), next })
            }
            (Kind::ConfirmationRequired, _, Some(Status::ActionRequired)) => Message::ConfirmationRequired(debt),
            (Kind::Failed | Kind::ConfirmationRequired, ..) => return Ok(Vec::new()),
        };
        let (page, language) = (page(InvoiceId(invoice)), issued.document.buyer.language.as_str());
        let about = About { home, page: &page, language: Some(language) };
        self.0.drafts(&about, To::Contact, &message, &[]).await
    }
}
