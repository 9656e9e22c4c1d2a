//! `porttask invoices`: verification. And the renderer of invoices and credit notes, on a thread that may block.

use async_trait::async_trait;
use bytes::Bytes;
use jiff::civil::Date;
use porttask_app::billing::invoices::{
    issuing,
    verifying::{self, Difference},
};
use porttask_domain::{
    Actor, DomainEvent, Meta, OrganizationId, Reason,
    billing::{
        Invoice, Seller,
        billing_document::InvoiceId,
        invoice,
        number::{parse, printed},
        seller::SellerId,
    },
    identity::Capability,
    uuid_of,
};
use porttask_invoice_pdf::{Document, render};
use porttask_runtime::{
    execute::{Request, Tx},
    log::Offset,
    ports::invoices::{CannotRender, InvoiceRenderer, RenderedInvoice},
};

use crate::{error::Error, node::Node, storage::StorageArgs};

/// Events that are read at a time.
const PAGE: usize = 1_000;

/// Renders with the crate `porttask-invoice-pdf`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PdfRenderer;

#[async_trait]
impl InvoiceRenderer for PdfRenderer {
    async fn render(&self, document: Bytes) -> Result<RenderedInvoice, CannotRender> {
        let rendered = tokio::task::spawn_blocking(move || {
            let document: Document = serde_json::from_slice(&document).map_err(|error| error.to_string())?;
            render(&document).map_err(|error| error.to_string())
        });
        let rendered = rendered.await.map_err(|error| CannotRender(error.to_string()))?.map_err(CannotRender)?;
        Ok(RenderedInvoice { pdf: rendered.pdf.into(), xml: rendered.xml })
    }
}

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Calculate issued invoices again from the events that their lines name, and compare each line, group and total.
    ///
    /// Fails if anything differs.
    Verify {
        /// Verify all invoices of the log.
        #[arg(long, required_unless_present = "number")]
        all: bool,
        /// Only the invoice with this number, such as PT-2026-000001.
        #[arg(long, conflicts_with = "all")]
        number: Option<String>,
    },
    /// Continue a series of numbers behind the last one that was sent out, after a restore from a backup.
    ///
    /// A backup does not know the invoices and credit notes that were issued after it. Before the service starts again,
    /// name the last number of each series that was sent out, so that none is assigned twice. A series never goes back. It
    /// is recorded in the audit log, with the operator as actor.
    ContinueSeries {
        /// The last number that was sent out, such as PT-2026-000041 or PT-CN-2026-000003.
        last_number: String,
        /// Why.
        #[arg(long, default_value = "restored from a backup")]
        reason: String,
    },
}

impl Command {
    pub(crate) async fn run(self, storage: &StorageArgs) -> Result<(), Error> {
        match self {
            Self::Verify { number, .. } => Self::verify(number, storage).await,
            Self::ContinueSeries { last_number, reason } => continue_series(&last_number, &reason, storage).await,
        }
    }

    async fn verify(number: Option<String>, storage: &StorageArgs) -> Result<(), Error> {
        let node = Node::open(storage).await?;
        let executor = node.executor();
        let (mut verified, mut faults) = (0_u64, 0_u64);
        for head in node.database.heads().await? {
            let mut after = Offset::START;
            loop {
                let page = node.database.read_partition(head.position.partition, after, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = last.position.offset;
                for (recorded, event) in page.iter().zip(node.vault.domain_events(&page).await?) {
                    let DomainEvent::Invoice(invoice::Event::Issued { document, .. }) = event else { continue };
                    if number.as_ref().is_some_and(|number| *number != document.number) {
                        continue;
                    }
                    let Some(id) = uuid_of(recorded.stream.name.id()).map(InvoiceId) else { continue };
                    let organization = recorded.stream.organization;
                    let (state, _) = executor.load::<Invoice>(organization, id).await?;
                    let Some(issued) = state.existing().and_then(|it| it.issued()) else { continue };
                    verified += 1;
                    for Difference { place, issued, calculated } in
                        verifying::differences(&executor, organization, id, issued).await?
                    {
                        faults += 1;
                        println!("{} ({id}): {place} was issued as {issued} and is {calculated}", document.number);
                    }
                }
            }
        }
        match (verified, faults) {
            (0, _) if number.is_some() => Err("there is no invoice with this number".to_owned().into()),
            (_, 0) => {
                println!("{verified} invoices verified: OK");
                Ok(())
            }
            _ => Err(format!("{faults} differences in {verified} invoices").into()),
        }
    }
}

/// Records that a series goes on behind a number that was sent out.
async fn continue_series(last_number: &str, reason: &str, storage: &StorageArgs) -> Result<(), Error> {
    let parsed = parse(last_number.trim());
    let (prefix, year, after) =
        parsed.ok_or_else(|| format!("{last_number}: must be a number of a document, such as PT-2026-000041"))?;
    let reason = &Reason::new(reason).map_err(|error| format!("--reason: {error}"))?;
    let node = Node::open(storage).await?;
    let executor = node.executor();
    let (seller, _) = executor.load::<Seller>(OrganizationId::PLATFORM, SellerId::PLATFORM).await?;
    if ![seller.invoice_prefix(), seller.credit_note_prefix()].iter().any(|present| present == prefix) {
        let (invoices, credit_notes) = (seller.invoice_prefix(), seller.credit_note_prefix());
        let hint = "if the prefix was changed after the backup, change it in the profile of the seller first";
        return Err(format!("{last_number}: the prefixes are {invoices} and {credit_notes}; {hint}").into());
    }
    let meta = Meta::by(Actor::Operator);
    let request = Request::new(OrganizationId::PLATFORM, meta).needing(Capability::Settle);
    let work = move |tx: Tx| async move { issuing::continue_series(&tx, prefix, year, after, reason.clone()).await };
    let outcome = executor.transact(&request, work).await.map_err(|error| format!("{last_number}: {error}"))?;
    let next = printed(prefix, Date::constant(year, 1, 1), after + 1);
    match outcome.events.is_empty() {
        true => println!("The series was at {last_number} already; its next number is {next}."),
        false => println!("The next number of the series is {next}. It was recorded in the audit log."),
    }
    Ok(())
}
