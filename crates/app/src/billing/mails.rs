//! The mails of the module: to the admins of an organization about shares of limits that are reached and what happens to its
//! subscription; to its billing contact about invoices, credit notes and payments.
//!
//! | file | what it owns |
//! |---|---|
//! | `recipients.rs` | the admins, and the event of a task |
//! | `subscription.rs`, `usage.rs` | which events of subscriptions and usage trigger which mails |
//! | `texts.rs`, `english.rs` | their text |
//! | `documents.rs` | the billing contact, the attached file, what happens next |
//! | `invoice.rs`, `credit_note.rs`, `payment.rs`, `account.rs` | which events of these trigger which mails |
//! | `notices.rs` | their text, in the languages of documents |

mod account;
mod credit_note;
mod documents;
mod english;
mod invoice;
mod notices;
mod payment;
mod recipients;
mod subscription;
mod texts;
mod usage;

use std::sync::Arc;

use porttask_runtime::{execute::Executor, ports::blobs::BlobStore, vault::Vault};

use self::{
    account::AccountMails, credit_note::CreditNoteMails, documents::Documents, invoice::InvoiceMails,
    payment::PaymentMails, recipients::Recipients, subscription::SubscriptionMails, usage::UsageMails,
};
use crate::{
    identity::{accounts::Accounts, links::Links},
    mail::{AnyMails, boxed},
};

/// All mails of the module; `blobs` has the files of invoices and credit notes.
pub fn mails(
    executor: Arc<Executor>,
    vault: Arc<Vault>,
    links: Links,
    accounts: Accounts,
    blobs: Arc<dyn BlobStore>,
) -> Vec<Box<dyn AnyMails>> {
    let recipients = Arc::new(Recipients { executor, vault, links, accounts });
    let documents = Arc::new(Documents { recipients: Arc::clone(&recipients), blobs });
    vec![
        boxed(UsageMails(Arc::clone(&recipients))),
        boxed(SubscriptionMails(recipients)),
        boxed(InvoiceMails(Arc::clone(&documents))),
        boxed(CreditNoteMails(Arc::clone(&documents))),
        boxed(PaymentMails(Arc::clone(&documents))),
        boxed(AccountMails(documents)),
    ]
}
