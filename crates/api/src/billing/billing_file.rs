//! The files of billing documents: the PDF and the electronic invoice, byte for byte as they were rendered.

use axum::{
    body::Body,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use porttask_app::billing::invoices::rendering::{self, Wanted};
use porttask_domain::OrganizationId;

use crate::http::{app::App, problem::Problem};

/// Which file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// The PDF.
    Pdf,
    /// The electronic invoice.
    Xml,
}

/// Sends a file; 202 while it is not rendered. One that was never rendered is from now on.
///
/// # Errors
/// If the currency has no electronic invoice, or the file is missing.
pub(super) async fn send(
    app: &App,
    organization: OrganizationId,
    stored: Option<&(String, u64, Option<String>)>,
    (number, wanted): (&str, Wanted),
    kind: FileKind,
) -> Result<Response, Problem> {
    let Some((pdf, _, xml)) = stored else {
        rendering::request(&app.database, organization, wanted).await.map_err(|error| Problem::unavailable(&error))?;
        return Ok((StatusCode::ACCEPTED, [(header::RETRY_AFTER, "2")]).into_response());
    };
    let (sha256, content_type, ending) = match (kind, xml) {
        (FileKind::Pdf, _) => (pdf, "application/pdf", "pdf"),
        (FileKind::Xml, Some(xml)) => (xml, "application/xml", "xml"),
        (FileKind::Xml, None) => return Err(Problem::not_found("electronic invoice")),
    };
    let found = app.settings.documents.blobs.open(organization, sha256).await;
    let reader = found.map_err(|error| Problem::unavailable(&error))?;
    let missing = || Problem::unavailable(&format!("the file of {number} is missing or damaged"));
    let reader = reader.ok_or_else(missing)?;
    let bytes = usize::try_from(reader.bytes()).unwrap_or(usize::MAX);
    let content = reader.read(0, bytes).await.map_err(|error| Problem::unavailable(&error))?;
    if content.len() != bytes {
        return Err(missing());
    }
    let headers = [
        (header::CONTENT_TYPE, content_type.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{number}.{ending}\"")),
        (header::ETAG, format!("\"{sha256}\"")),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((headers, Body::from(content)).into_response())
}
