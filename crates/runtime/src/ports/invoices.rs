//! Port: invoices and credit notes as files.

use async_trait::async_trait;
use bytes::Bytes;

/// A rendered invoice or credit note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedInvoice {
    /// The PDF, which carries the electronic invoice.
    pub pdf: Bytes,
    /// The electronic invoice; `None` if its currency has more decimals than the standard allows.
    pub xml: Option<String>,
}

/// An invoice that cannot be rendered, also not later: its content is wrong.
#[derive(Debug, thiserror::Error)]
#[error("the invoice cannot be rendered: {0}")]
pub struct CannotRender(pub String);

/// Renders invoices and credit notes.
#[async_trait]
pub trait InvoiceRenderer: Send + Sync {
    /// Renders a document, which is given as JSON: `issued` is what the log keeps of it, `kind` is `"invoice"` or
    /// `{"credit_note": {"invoice_number", "invoice_date", "reason"}}`, `paid` is what was paid before its issue in minor
    /// units, `payment` is `"transfer"`, `{"card": {"last4"}}` or `"none"`; `logo` (Base64), `discounts` (by id: `name`,
    /// `percent`) and `countries` (`seller`, `buyer`: names) may be missing. The same document yields the same bytes. The
    /// work is done on a thread that may block.
    ///
    /// # Errors
    /// If the document is not what was described, or breaks a rule of EN 16931.
    async fn render(&self, document: Bytes) -> Result<RenderedInvoice, CannotRender>;
}
