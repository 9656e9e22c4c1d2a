//! Mails about how invoices are paid: a request goes to the super admins, the decision to the billing contact.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::{
    OrganizationId,
    billing::{
        BillingAccount,
        billing_account::{BillingAccountId, Collection, Event},
    },
};
use porttask_runtime::{reactors::TaskError, tasks::Task};

use super::{
    documents::{About, Documents, To},
    notices::Message,
};
use crate::mail::{Draft, Mails};

/// The page of the billing account below the settings of an organization.
const PAGE: &str = "billing/account";

porttask_domain::texts! {
    /// The kinds of mail.
    pub enum Kind {
        /// To the super admins: payment by transfer was asked for.
        Requested = "invoice_billing_requested",
        /// How invoices are paid changed, or a request was refused.
        Decided = "invoice_billing_decided",
    }
}

pub(super) struct AccountMails(pub(super) Arc<Documents>);

#[async_trait]
impl Mails for AccountMails {
    type Source = Event;
    type Kind = Kind;

    fn kinds(event: &Event, _: OrganizationId) -> Vec<Kind> {
        match event {
            Event::InvoiceBillingRequested {} => vec![Kind::Requested],
            Event::CollectionChanged { .. } => vec![Kind::Decided],
            Event::ProfileChanged { .. }
            | Event::TaxIdChanged { .. }
            | Event::TaxIdChecked(_)
            | Event::BalanceChanged { .. } => Vec::new(),
        }
    }

    async fn compose(&self, kind: Kind, task: &Task, _: Timestamp) -> Result<Vec<Draft>, TaskError> {
        let (home, id) = (task.organization, BillingAccountId(task.subject));
        let (account, _) = self.0.recipients.executor.load::<BillingAccount>(home, id).await?;
        let event = self.0.recipients.recorded::<BillingAccount>(task, id).await?.map(|(event, _)| event);
        let message = match (kind, event) {
            (Kind::Requested, _) if account.has_requested_invoice_billing() => {
                return self.0.to_super_admins(home, PAGE, &Message::TransferRequested).await;
            }
            // A later change has a mail of its own.
            (Kind::Decided, Some(Event::CollectionChanged { from, to })) if to == account.collection() => {
                decision(from, to)
            }
            (Kind::Requested | Kind::Decided, _) => return Ok(Vec::new()),
        };
        let about = About { home, page: PAGE, language: None };
        self.0.drafts(&about, To::Contact, &message, &[]).await
    }
}

fn decision(from: Collection, to: Collection) -> Message<'static> {
    match (from, to) {
        (_, Collection::Invoice { days }) => Message::TransferGranted { days },
        (Collection::Automatic, Collection::Automatic) => Message::TransferRefused,
        (Collection::Invoice { .. }, Collection::Automatic) => Message::ChargedFromNowOn,
    }
}
