//! Renders an issued invoice or credit note: a PDF/A-3b for people and archives, which carries the electronic invoice of
//! EN 16931 (Factur-X) for programs. The same document yields the same bytes.
//!
//! Rendering takes CPU time, up to a second for long documents: call it on a thread that may block.

mod colour;
mod document;
mod format;
mod lines;
mod printable;
mod sheet;
mod texts;
mod typesetting;
mod xml;

pub use document::{Countries, DiscountText, Document, Kind, Payment};

/// A rendered document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The PDF/A-3b.
    pub pdf: Vec<u8>,
    /// The electronic invoice that it carries, as UN/CEFACT CII; `None` if the currency has more than two decimals, which
    /// EN 16931 cannot express.
    pub xml: Option<String>,
}

/// Why a document cannot be rendered. Rendering it again cannot succeed.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// It breaks rules of EN 16931.
    #[error("{number} cannot be an electronic invoice: {}", rules.join("; "))]
    Rules {
        /// Its number.
        number: String,
        /// The rules, each with where it is broken.
        rules: Vec<String>,
    },
    /// An amount or a date is beyond what EN 16931 can express.
    #[error("{0} is too large or too small for an electronic invoice")]
    OutOfRange(&'static str),
    /// It cannot be laid out.
    #[error("the pages cannot be laid out: {0}")]
    Layout(String),
    /// The electronic invoice cannot be attached to the pages.
    #[error("the electronic invoice cannot be attached: {0}")]
    Attachment(#[from] en16931_formats::zugferd::EmbedError),
}

/// Renders a document.
///
/// # Errors
/// If it breaks a rule of EN 16931, or cannot be laid out.
pub fn render(document: &Document) -> Result<Rendered, RenderError> {
    let lines = lines::billed(document);
    let electronic = xml::electronic_invoice(document, &lines)?;
    let sheet = sheet::sheet(document, &lines, electronic.is_some());
    let pages = typesetting::pages(&sheet, document)?;
    let Some(electronic) = electronic else { return Ok(Rendered { pdf: pages, xml: None }) };
    let pdf = xml::attached(&pages, &electronic, &sheet, document.issued.issue_date)?;
    let xml = en16931_formats::write(&electronic, en16931_formats::Syntax::Cii).xml;
    Ok(Rendered { pdf, xml: Some(xml) })
}
