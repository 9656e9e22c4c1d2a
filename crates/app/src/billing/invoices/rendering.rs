//! Renders issued invoices and credit notes, once: the files are stored by their hash and served byte for byte from then on.

use std::{io, sync::Arc};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use porttask_domain::{
    Actor, DomainEvent, Meta, OrganizationId, Source as _, TextEnum,
    billing::{
        CreditNote, Invoice, Payment, PaymentMethods,
        billing_account::Collection,
        billing_document::{CreditNoteId, InvoiceId, Issued},
        country::Country,
        credit_note, invoice,
        payment::Target,
        payment_method,
    },
    identity::Capability,
    uuid_of,
};
use porttask_runtime::{
    execute::{Executor, Request},
    ledger::Database,
    log::{LogError, RecordedEvent},
    ports::{
        blobs::BlobStore,
        invoices::{InvoiceRenderer, RenderedInvoice},
    },
    reactors::{Reactor, TaskError, TaskOutcome},
    tasks::{NewTask, Task, TaskFilter, TaskId},
};
use serde_json::{Value, json};

/// The largest logo.
const LOGO_MAX: usize = 1 << 20;
const INVOICE: &str = "render_invoice";
const CREDIT_NOTE: &str = "render_credit_note";

/// Renders documents when they are issued.
pub struct Rendering {
    executor: Arc<Executor>,
    blobs: Arc<dyn BlobStore>,
    renderer: Arc<dyn InvoiceRenderer>,
}

impl Rendering {
    /// The name of the reactor.
    pub const NAME: &'static str = "invoice_rendering";

    /// Renders with this renderer into this store.
    pub fn new(executor: Arc<Executor>, blobs: Arc<dyn BlobStore>, renderer: Arc<dyn InvoiceRenderer>) -> Self {
        Self { executor, blobs, renderer }
    }

    async fn invoice(&self, request: &Request, id: InvoiceId) -> Result<TaskOutcome, TaskError> {
        let organization = request.organization;
        let (state, _) = self.executor.load::<Invoice>(organization, id).await?;
        let Some(issued) = state.existing().and_then(|it| it.issued()) else { return Ok(TaskOutcome::Skipped) };
        if issued.pdf.is_some() {
            return Ok(TaskOutcome::Skipped);
        }
        let payment = match issued.collection {
            _ if issued.document.totals.total == 0 => json!("none"),
            Collection::Invoice { .. } => json!("transfer"),
            Collection::Automatic => self.card(organization).await?,
        };
        // What is paid after the issue is on the receipt, not on the invoice; a change is paid before.
        let mut paid = issued.settlement.from_balance;
        for (payment, held) in &issued.payments {
            let (payment, _) = self.executor.load::<Payment>(organization, *payment).await?;
            if matches!(payment.purpose(), Some((Target::Change(_), ..))) {
                paid += held;
            }
        }
        let document = self.document(&issued.document, json!("invoice"), paid, payment).await?;
        let rendered = self.rendered(document).await?;
        let (sha256, bytes, xml_sha256) = self.stored(organization, rendered).await?;
        let command = invoice::Command::StorePdf { sha256, bytes, xml_sha256 };
        self.executor.execute::<Invoice>(id, command, request).await?;
        Ok(TaskOutcome::Done)
    }

    async fn credit_note(&self, request: &Request, id: CreditNoteId) -> Result<TaskOutcome, TaskError> {
        let organization = request.organization;
        let (state, _) = self.executor.load::<CreditNote>(organization, id).await?;
        let Some(note) = state.note().filter(|_| state.pdf().is_none()) else { return Ok(TaskOutcome::Skipped) };
        let (credited, _) = self.executor.load::<Invoice>(organization, note.invoice).await?;
        let date = credited.existing().and_then(|it| it.issued()).map(|it| it.document.issue_date);
        let kind = json!({"credit_note": {
            "invoice_number": note.invoice_number,
            "invoice_date": date.unwrap_or(note.document.issue_date),
            "reason": note.reason.as_str(),
        }});
        let document = self.document(&note.document, kind, 0, json!("none")).await?;
        let rendered = self.rendered(document).await?;
        let (sha256, bytes, xml_sha256) = self.stored(organization, rendered).await?;
        let command = credit_note::Command::StorePdf { sha256, bytes, xml_sha256 };
        self.executor.execute::<CreditNote>(id, command, request).await?;
        Ok(TaskOutcome::Done)
    }

    /// The card that is charged, or a transfer.
    async fn card(&self, organization: OrganizationId) -> Result<Value, TaskError> {
        let (methods, _) = self.executor.load::<PaymentMethods>(organization, organization.into()).await?;
        let card = methods.usable().map(|(_, method)| &method.details);
        let card = card.filter(|details| details.kind == payment_method::MethodKind::Card);
        Ok(match card.map(|details| &details.last4) {
            Some(last4) => json!({"card": {"last4": last4}}),
            None => json!("transfer"),
        })
    }

    async fn document(&self, issued: &Issued, kind: Value, paid: i64, payment: Value) -> Result<Value, TaskError> {
        let logo = match &issued.seller.logo {
            Some(sha256) => self.logo(sha256).await.map_err(temporary)?,
            None => None,
        };
        let name = |code: &str| Country::with(code).map_or_else(|| code.to_owned(), |it| it.name.to_string());
        let countries = json!({
            "seller": name(&issued.seller.address.country), "buyer": name(&issued.buyer.address.country),
        });
        let mut document = json!({
            "issued": issued, "kind": kind, "paid": paid, "payment": payment, "countries": countries,
        });
        if let (Some(logo), Some(document)) = (logo, document.as_object_mut()) {
            document.insert("logo".to_owned(), STANDARD.encode(logo).into());
        }
        Ok(document)
    }

    async fn logo(&self, sha256: &str) -> io::Result<Option<Bytes>> {
        match self.blobs.open(OrganizationId::PLATFORM, sha256).await? {
            Some(reader) => reader.read(0, LOGO_MAX).await.map(Some),
            None => Ok(None),
        }
    }

    async fn rendered(&self, document: Value) -> Result<RenderedInvoice, TaskError> {
        let document = serde_json::to_vec(&document).map_err(temporary)?;
        self.renderer.render(document.into()).await.map_err(|error| TaskError::Permanent(error.to_string()))
    }

    async fn stored(
        &self,
        organization: OrganizationId,
        rendered: RenderedInvoice,
    ) -> Result<(String, u64, Option<String>), TaskError> {
        let pdf = self.store(organization, rendered.pdf).await.map_err(temporary)?;
        let xml = match rendered.xml {
            Some(xml) => Some(self.store(organization, xml.into()).await.map_err(temporary)?.0),
            None => None,
        };
        Ok((pdf.0, pdf.1, xml))
    }

    async fn store(&self, organization: OrganizationId, content: Bytes) -> io::Result<(String, u64)> {
        let mut writer = self.blobs.begin(organization).await?;
        writer.write(content).await?;
        let blob = writer.finish().await?;
        Ok((blob.sha256, blob.bytes))
    }
}

/// A billing document whose files are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// An invoice.
    Invoice(InvoiceId),
    /// A credit note.
    CreditNote(CreditNoteId),
}

/// How many tasks of an organization are looked through for one that renders a document already.
const MOST_TASKS: usize = 500;

/// Sees to it that a document without files is rendered: one that the reactor has passed over, such as those of a year that a
/// demonstration begins with. A task that waits already is enough.
///
/// # Errors
/// If the log's database fails.
pub async fn request(
    database: &Arc<dyn Database>,
    organization: OrganizationId,
    wanted: Wanted,
) -> Result<(), LogError> {
    let (kind, subject) = match wanted {
        Wanted::Invoice(id) => (INVOICE, id.0),
        Wanted::CreditNote(id) => (CREDIT_NOTE, id.0),
    };
    let filter = TaskFilter { organization: Some(organization), ..TaskFilter::default() };
    let tasks = database.tasks(&filter, None, MOST_TASKS).await?;
    if tasks.iter().any(|task| task.reactor == Rendering::NAME && task.subject == subject) {
        return Ok(());
    }
    let Some(partition) = database.partition_of(organization).await? else { return Ok(()) };
    let cursors = database.cursors(Rendering::NAME).await?;
    // A reactor that has not begun yet begins at the first event.
    let Some(cursor) = cursors.iter().find(|cursor| cursor.position.partition == partition) else { return Ok(()) };
    let id = TaskId::generate();
    let task = NewTask { id, organization, kind, subject, number: 0, target: subject, due_at: None };
    // The cursor stays where it is. If it moved meanwhile, the next request asks again.
    database.schedule(Rendering::NAME, cursor, cursor, &[task]).await.map(drop)
}

fn temporary(error: impl ToString) -> TaskError {
    TaskError::Temporary(error.to_string())
}

#[async_trait]
impl Reactor for Rendering {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    /// What was issued before also gets its files.
    fn begins_at_the_first_event(&self) -> bool {
        true
    }

    fn covers(&self, category: &str) -> bool {
        invoice::Event::covers(category) || credit_note::Event::covers(category)
    }

    fn tasks(&self, event: &DomainEvent, recorded: &RecordedEvent) -> Vec<NewTask> {
        let kind = match event {
            DomainEvent::Invoice(invoice::Event::Issued { .. }) => INVOICE,
            DomainEvent::CreditNote(credit_note::Event::Issued { .. }) => CREDIT_NOTE,
            _ => return Vec::new(),
        };
        let Some(subject) = uuid_of(recorded.stream.name.id()) else { return Vec::new() };
        vec![NewTask {
            id: TaskId::generate(),
            organization: recorded.stream.organization,
            kind,
            subject,
            number: recorded.version.0,
            target: subject,
            due_at: None,
        }]
    }

    async fn run(&self, task: &Task) -> Result<TaskOutcome, TaskError> {
        let request = Request::new(task.organization, Meta::by(Actor::System)).needing(Capability::Settle);
        match task.kind.as_str() {
            INVOICE => self.invoice(&request, InvoiceId(task.subject)).await,
            CREDIT_NOTE => self.credit_note(&request, CreditNoteId(task.subject)).await,
            // Recorded by a newer version of the program, which will run again.
            kind => Err(TaskError::Temporary(format!("this version does not know the task kind {kind:?}"))),
        }
    }
}
