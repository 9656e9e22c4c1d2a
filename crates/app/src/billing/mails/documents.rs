//! What mails about documents and payments have in common: to whom they are sent, the file, what happens next.

use std::{io, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use jiff::tz::TimeZone;
use porttask_domain::{
    OrganizationId,
    billing::{
        BillingAccount, Invoice, Subscription,
        billing_account::Contact,
        billing_document::{InvoiceId, Seller},
        invoice::{IssuedInvoice, Step},
        period::local_date,
        subscription::Status,
    },
    identity::{Access, Organization, User},
};
use porttask_runtime::{
    ports::{blobs::BlobStore, mail::Attachment},
    reactors::TaskError,
    tasks::Task,
};

use super::{
    notices::{Account, Debt, DocumentLanguage, File, Message, Money, Next, letter},
    recipients::Recipients,
};
use crate::{
    billing::invoices::rendering::Rendering,
    mail::{
        Draft,
        language::{Reader, unlinked},
    },
};

/// The largest file that is attached.
const ATTACHED_MAX: u64 = 5_000_000;
/// How many bytes of a file are read at once.
const CHUNK: usize = 1 << 20;
/// The attempt at which a mail no longer waits for its file: after about five hours.
const LAST_WAIT: u32 = 15;
/// The longest pause between looking for a file.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// Who is mailed about the documents of an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    /// The billing contact; without one, the admins with access to invoices.
    Contact,
    /// The billing contact if the admins do not include it: they know from another mail.
    ContactBesideAdmins,
}

/// Loads what mails about documents say.
pub(super) struct Documents {
    pub(super) recipients: Arc<Recipients>,
    pub(super) blobs: Arc<dyn BlobStore>,
}

/// A recipient.
struct Addressee {
    name: String,
    email: String,
}

/// A page of an organization, and the language of a mail: that of a document, or of the billing account.
pub(super) struct About<'a> {
    pub(super) home: OrganizationId,
    /// Below the settings of the organization.
    pub(super) page: &'a str,
    pub(super) language: Option<&'a str>,
}

impl Documents {
    /// An issued invoice.
    pub(super) async fn invoice(
        &self,
        home: OrganizationId,
        id: InvoiceId,
    ) -> Result<Option<Box<IssuedInvoice>>, TaskError> {
        let (invoice, _) = self.recipients.executor.load::<Invoice>(home, id).await?;
        Ok(invoice.existing().and_then(|it| it.issued()).cloned().map(Box::new))
    }

    /// The subscription of an organization, and its time zone.
    pub(super) async fn subscription(&self, home: OrganizationId) -> Result<(Subscription, TimeZone), TaskError> {
        let (subscription, _) = self.recipients.executor.load::<Subscription>(home, home.into()).await?;
        let zone = subscription.time_zone();
        Ok((subscription, zone))
    }

    /// What happens next while an invoice is not paid. What does not affect the subscription is left out.
    pub(super) async fn next(&self, home: OrganizationId, issued: &IssuedInvoice) -> Result<Next, TaskError> {
        let (subscription, zone) = self.subscription(home).await?;
        let planned = |step| issued.dunning.iter().find(|it| it.step == step).map(|it| local_date(it.at, &zone));
        let charge_on = planned(Step::Charge);
        Ok(match subscription.status() {
            Some(Status::Active | Status::PastDue) => {
                Next { charge_on, read_only_on: planned(Step::BecomeReadOnly), ends_on: planned(Step::EndUnpaid) }
            }
            Some(Status::ReadOnly) => Next { charge_on, read_only_on: None, ends_on: planned(Step::EndUnpaid) },
            Some(Status::Trialing | Status::Ended) | None => Next { charge_on, read_only_on: None, ends_on: None },
        })
    }

    /// A mail to each recipient, in the language of a document or the account.
    pub(super) async fn drafts(
        &self,
        About { home, page, language }: &About<'_>,
        to: To,
        message: &Message<'_>,
        attachments: &[Attachment],
    ) -> Result<Vec<Draft>, TaskError> {
        let (home, executor) = (*home, &self.recipients.executor);
        let (account, _) = executor.load::<BillingAccount>(home, home.into()).await?;
        let profile = account.profile();
        let language = DocumentLanguage::of(language.unwrap_or(&profile.language));
        let contact = profile.contact.as_ref().and_then(addressee);
        let readers = match (contact, to) {
            (Some(contact), To::Contact) => vec![contact],
            (None, To::Contact) => self.admins(home).await?,
            (Some(contact), To::ContactBesideAdmins) => {
                let admins = self.admins(home).await?;
                let is_admin = admins.iter().any(|it| it.email.eq_ignore_ascii_case(&contact.email));
                if is_admin { Vec::new() } else { vec![contact] }
            }
            (None, To::ContactBesideAdmins) => Vec::new(),
        };
        let address = self.recipients.links.page(&format!("settings/{page}"));
        self.letters(home, readers, (language, message, &address), attachments).await
    }

    /// A mail to each super admin about an organization.
    pub(super) async fn to_super_admins(
        &self,
        home: OrganizationId,
        page: &str,
        message: &Message<'_>,
    ) -> Result<Vec<Draft>, TaskError> {
        let mut readers = Vec::new();
        for user in self.recipients.accounts.super_admins().await? {
            let (account, _) = self.recipients.executor.load::<User>(OrganizationId::PLATFORM, user).await?;
            readers.extend(person(&account));
        }
        let address = self.recipients.links.page(&format!("admin/organizations/{home}/{page}"));
        self.letters(home, readers, (DocumentLanguage::English, message, &address), &[]).await
    }

    async fn letters(
        &self,
        home: OrganizationId,
        readers: Vec<Addressee>,
        (language, message, address): (DocumentLanguage, &Message<'_>, &str),
        attachments: &[Attachment],
    ) -> Result<Vec<Draft>, TaskError> {
        let (organization, _) = self.recipients.executor.load::<Organization>(home, home).await?;
        let shown_name = unlinked(organization.shown_name().unwrap_or("PortTask"));
        let draft = |Addressee { name, email }: Addressee| {
            let reader = Reader { name: &name, organization: &shown_name, time_zone: "UTC" };
            let letter = letter(language, message, &reader, address);
            let (language, attachments) = (language.tag(), attachments.to_vec());
            Draft { to_name: name, to_address: email, language, letter, attachments }
        };
        Ok(readers.into_iter().map(draft).collect())
    }

    /// The admins with access to invoices.
    async fn admins(&self, home: OrganizationId) -> Result<Vec<Addressee>, TaskError> {
        let mut admins = Vec::new();
        for user in self.recipients.accounts.all_admins(home).await? {
            let (account, _) = self.recipients.executor.load::<User>(home, user).await?;
            if account.rights().is_some_and(|(_, permissions)| permissions.invoices >= Access::Read) {
                admins.extend(person(&account));
            }
        }
        Ok(admins)
    }

    /// The stored file of a document, to be attached.
    ///
    /// # Errors
    /// If it is not rendered yet and may still be, or cannot be read.
    pub(super) async fn file(
        &self,
        task: &Task,
        number: &str,
        pdf: Option<(&str, u64)>,
    ) -> Result<(File, Vec<Attachment>), TaskError> {
        let Some((sha256, bytes)) = pdf else {
            if task.attempts >= LAST_WAIT || self.is_dead(task).await? {
                return Ok((File::Missing, Vec::new()));
            }
            let pause = Duration::from_secs(1 << task.attempts.min(12)).min(LONGEST_PAUSE);
            return Err(TaskError::NotYet { what: "the PDF of the document", delay: pause });
        };
        if bytes > ATTACHED_MAX {
            return Ok((File::TooLarge, Vec::new()));
        }
        let content = self.read(task.organization, sha256).await;
        let content = content.map_err(|error| TaskError::Temporary(format!("a PDF cannot be read: {error}")))?;
        Ok(match content {
            Some(content) => {
                let file = Attachment { name: format!("{number}.pdf"), media_type: "application/pdf", content };
                (File::Attached, vec![file])
            }
            None => (File::Missing, Vec::new()),
        })
    }

    /// Whether the rendering of the document of a task has been given up.
    async fn is_dead(&self, task: &Task) -> Result<bool, TaskError> {
        let tasks = self.recipients.executor.database().tasks_of(task.organization, &[task.subject]).await?;
        Ok(tasks.iter().any(|it| it.reactor == Rendering::NAME && it.is_dead_lettered))
    }

    async fn read(&self, organization: OrganizationId, sha256: &str) -> io::Result<Option<Bytes>> {
        let Some(reader) = self.blobs.open(organization, sha256).await? else { return Ok(None) };
        let mut content = BytesMut::new();
        loop {
            let part = reader.read(content.len() as u64, CHUNK).await?;
            if part.is_empty() {
                return Ok(Some(content.freeze()));
            }
            content.extend_from_slice(&part);
        }
    }
}

fn addressee(contact: &Contact) -> Option<Addressee> {
    let (name, email) = contact.name.value().zip(contact.email.value())?;
    Some(Addressee { name: name.to_owned(), email: email.to_owned() })
}

fn person(account: &User) -> Option<Addressee> {
    let (name, email) = account.person().filter(|_| account.rights().is_some())?;
    let (name, email) = name.value().zip(email.value())?;
    Some(Addressee { name: name.to_owned(), email: email.to_owned() })
}

/// The account to which an invoice is transferred.
pub(super) fn account(seller: &Seller) -> Option<Account<'_>> {
    let Seller { legal_name, iban, bic, .. } = seller;
    Some(Account { holder: legal_name, iban: iban.as_deref()?, bic: bic.as_deref() })
}

/// What is due of an invoice; `None` if nothing is.
pub(super) fn debt(issued: &IssuedInvoice) -> Option<Debt<'_>> {
    let due = Money(issued.due(), issued.document.currency);
    (issued.due() > 0).then_some(Debt { number: &issued.document.number, due })
}

/// The page of an invoice below the settings.
pub(super) fn page(invoice: InvoiceId) -> String {
    format!("billing/invoices/{invoice}")
}
