//! The PDFs of a range of dates as a ZIP file, document by document.

use std::{
    collections::VecDeque,
    io::{Seek, SeekFrom, Write},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    body::{Body, Bytes},
    extract::State,
    response::Response,
};
use futures_util::{StreamExt, stream};
use jiff::civil::Date;
use porttask_domain::compliance::export::{BillingFileSelection, Command, Event};
use porttask_projections::{
    ColumnType, ReadModel,
    billing::{
        credit_note::{CreditNote, CreditNotes},
        invoice::{Invoice, Invoices},
    },
};
use porttask_runtime::views::{Condition, Query};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

use super::super::usage::date_of;
use crate::http::{
    app::App,
    permissions::{Impersonable, ReadBilling},
    problem::Problem,
    request::{Aborted, Authorized, Params, attachment_of, record},
};

/// How many documents a file contains at most.
const MOST: usize = 500;
/// The file in it that names the documents whose PDF it lacks.
const MISSING: &str = "missing.txt";

/// Which range.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ArchiveParameters {
    /// Only documents that were issued on this date or later.
    #[param(value_type = String, format = Date)]
    from: String,
    /// Only documents that were issued before this date.
    #[param(value_type = String, format = Date)]
    until: String,
}

impl ArchiveParameters {
    fn range(&self) -> Result<(Date, Date), Problem> {
        let (from, until) = (date_of("from", &self.from)?, date_of("until", &self.until)?);
        match from < until {
            true => Ok((from, until)),
            false => Err(Problem::invalid("until", "must be after `from`")),
        }
    }
}

/// A document of the range.
#[derive(Debug, Serialize)]
struct Document {
    id: String,
    number: String,
    issue_date: String,
    /// The SHA-256 of its PDF; empty while it is not rendered.
    pdf: String,
}

impl From<Invoice> for Document {
    fn from(row: Invoice) -> Self {
        let (id, number) = (row.invoice.to_string(), row.invoice_number);
        Self { id, number, issue_date: row.issue_date, pdf: row.pdf }
    }
}

impl From<CreditNote> for Document {
    fn from(row: CreditNote) -> Self {
        let (id, number) = (row.credit_note.to_string(), row.credit_note_number);
        Self { id, number, issue_date: row.issue_date, pdf: row.pdf }
    }
}

type Reader = Authorized<Impersonable<ReadBilling>>;

/// Download the PDFs of invoices and credit notes as a ZIP file.
///
/// At most 500 documents of a range of dates of issue. `missing.txt` in it names those whose PDF is not rendered yet. That
/// they were exported is recorded in the audit log. Needs `billing:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/billing/invoices.zip", tag = "invoices",
    extensions(("x-impersonable" = json!(true))), params(ArchiveParameters),
    responses((status = 200, description = "The ZIP file", content_type = "application/zip")))]
pub(crate) async fn get_invoice_archive(
    State(app): State<App>,
    caller: Reader,
    Params(parameters): Params<ArchiveParameters>,
) -> Result<Response, Problem> {
    let (from, until) = parameters.range()?;
    let mut documents: VecDeque<Document> = issued::<Invoices>(&app, &caller, (from, until), "invoice").await?;
    documents.extend(issued::<CreditNotes>(&app, &caller, (from, until), "credit_note").await?);
    if documents.is_empty() {
        return Err(Problem::invalid("from", "no invoice or credit note was issued in this range"));
    }
    if documents.len() > MOST {
        let detail = format!("the range has more than {MOST} documents: choose a shorter one");
        return Err(Problem::invalid("until", detail));
    }
    let command = Command::Take(Event::BillingFilesTaken { selection: BillingFileSelection { from, until } });
    let position = record(&app, &caller, &command).await?;
    let token = app.positions.seal(caller.identity.organization, position);
    caller.shows_items(documents.make_contiguous());
    let name = format!("invoices-{from}-{until}-{}.zip", caller.organization);
    let sink = Sink::default();
    let archive =
        Archive { app, caller, documents, missing: Vec::new(), writer: Some(ZipWriter::new(sink.clone())), sink };
    let body = Body::from_stream(stream::unfold(archive, Archive::next).fuse());
    Ok(attachment_of(body, "application/zip", &name, &token))
}

/// What was issued in a range, the oldest first: one more than is allowed, at most.
async fn issued<M: ReadModel>(
    app: &App,
    caller: &Reader,
    (from, until): (Date, Date),
    id: &'static str,
) -> Result<VecDeque<Document>, Problem>
where
    Document: From<M::Row>,
{
    caller.catch_up(app, M::NAME).await?;
    let conditions = vec![
        Condition::Equal("organization", caller.organization.to_value()),
        Condition::AtLeast("issue_date", from.to_string().to_value()),
        Condition::Below("issue_date", until.to_string().to_value()),
    ];
    let sort = vec!["organization", "created_at", id];
    let query = Query { partition: caller.partition, conditions, sort, limit: MOST + 1, ..Query::default() };
    Ok(app.views.rows::<M>(&query).await?.into_iter().map(Document::from).collect())
}

/// A ZIP file while it is written.
struct Archive {
    app: App,
    caller: Reader,
    /// What is not in it yet.
    documents: VecDeque<Document>,
    /// What it says about the documents that it lacks.
    missing: Vec<String>,
    /// `None` once it is finished.
    writer: Option<ZipWriter<Sink>>,
    sink: Sink,
}

impl Archive {
    /// The next bytes; `None` after the last.
    async fn next(mut self) -> Option<(Result<Bytes, Aborted>, Self)> {
        self.writer.as_ref()?;
        let bytes = match self.caller.authenticate_again(&self.app).await {
            Err(_) => Err(Aborted::Unauthorized),
            Ok(()) => self.bytes().await.map_err(|error| {
                tracing::error!(%error, "an export of invoices was aborted");
                Aborted::Unreadable
            }),
        };
        if bytes.is_err() {
            self.writer = None;
        }
        Some((bytes, self))
    }

    async fn bytes(&mut self) -> Result<Bytes, zip::result::ZipError> {
        while let Some(document) = self.documents.pop_front() {
            let Some(content) = self.content(&document).await else {
                let Document { number, issue_date, .. } = document;
                self.missing
                    .push(format!("{number} of {issue_date}: its PDF is not available yet. Download it later.\r\n"));
                continue;
            };
            let complete = self.add(&format!("{}.pdf", document.number), &document.issue_date, &content)?;
            if !complete.is_empty() {
                return Ok(complete);
            }
        }
        if !self.missing.is_empty() {
            let text = self.missing.concat();
            self.missing = Vec::new();
            let today = self.app.clock.now().to_zoned(jiff::tz::TimeZone::UTC).date();
            self.add(MISSING, &today.to_string(), text.as_bytes())?;
        }
        if let Some(writer) = self.writer.take() {
            writer.finish()?;
        }
        Ok(self.sink.take(usize::MAX))
    }

    /// The PDF of a document; `None` if it is not stored.
    async fn content(&self, document: &Document) -> Option<Bytes> {
        if document.pdf.is_empty() {
            return None;
        }
        let (blobs, number) = (&self.app.settings.documents.blobs, &document.number);
        let found = blobs.open(self.caller.organization, &document.pdf).await;
        let read = match found {
            Ok(Some(reader)) => {
                let bytes = usize::try_from(reader.bytes()).unwrap_or(usize::MAX);
                reader.read(0, bytes).await.map(|content| Some(content).filter(|it| it.len() == bytes))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        match read {
            Ok(Some(content)) => Some(content),
            Ok(None) => {
                tracing::error!(%number, "the PDF is missing or damaged");
                None
            }
            Err(error) => {
                tracing::error!(%number, %error, "the PDF cannot be read");
                None
            }
        }
    }

    /// Adds a file, and takes the bytes of those before it, which are complete then.
    fn add(&mut self, name: &str, date: &str, content: &[u8]) -> Result<Bytes, zip::result::ZipError> {
        let Some(writer) = &mut self.writer else { return Ok(Bytes::new()) };
        let before = self.sink.position();
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        writer.start_file(name.replace(['/', '\\'], "-"), options.last_modified_time(time_of(date)))?;
        writer.write_all(content)?;
        Ok(self.sink.take(before))
    }
}

fn time_of(date: &str) -> DateTime {
    let parts = date.parse::<Date>().ok().and_then(|date| {
        let (year, month, day) =
            (date.year().try_into().ok()?, date.month().try_into().ok()?, date.day().try_into().ok()?);
        DateTime::from_date_and_time(year, month, day, 0, 0, 0).ok()
    });
    parts.unwrap_or_default()
}

/// Bytes that are written and not sent yet. The writer goes back to the header of a file when it is complete, so what is
/// taken must end before that.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Unsent>>);

#[derive(Default)]
struct Unsent {
    bytes: Vec<u8>,
    /// How many bytes were taken.
    taken: usize,
    /// Where it is written, from the beginning of the file.
    at: usize,
}

impl Sink {
    fn with<T>(&self, change: impl FnOnce(&mut Unsent) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn position(&self) -> usize {
        self.with(|it| it.at)
    }

    /// Takes the bytes before a position.
    fn take(&self, before: usize) -> Bytes {
        self.with(|it| {
            let count = before.saturating_sub(it.taken).min(it.bytes.len());
            it.taken += count;
            it.bytes.drain(..count).collect::<Vec<u8>>().into()
        })
    }
}

impl Write for Sink {
    fn write(&mut self, new: &[u8]) -> std::io::Result<usize> {
        self.with(|it| {
            let start = it.at.checked_sub(it.taken).ok_or(std::io::ErrorKind::InvalidInput)?;
            let end = start + new.len();
            it.bytes.resize(it.bytes.len().max(end), 0);
            it.bytes[start..end].copy_from_slice(new);
            it.at += new.len();
            Ok(new.len())
        })
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Seek for Sink {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.with(|it| {
            let end = (it.taken + it.bytes.len()) as u64;
            let at = match to {
                SeekFrom::Start(at) => Some(at),
                SeekFrom::End(by) => end.checked_add_signed(by),
                SeekFrom::Current(by) => (it.at as u64).checked_add_signed(by),
            };
            let at = at.and_then(|at| usize::try_from(at).ok()).filter(|at| *at >= it.taken);
            it.at = at.ok_or(std::io::ErrorKind::InvalidInput)?;
            Ok(it.at as u64)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use zip::ZipArchive;

    use super::*;

    #[test]
    fn a_file_that_is_sent_in_parts_is_a_zip_file() {
        let (sink, mut sent) = (Sink::default(), Vec::new());
        let mut writer = ZipWriter::new(sink.clone());
        for (name, content) in [("a.pdf", vec![1; 70_000]), ("b.pdf", vec![2; 3]), ("c.pdf", Vec::new())] {
            let before = sink.position();
            let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
            writer.start_file(name, options.last_modified_time(time_of("2026-11-27"))).unwrap();
            writer.write_all(&content).unwrap();
            let complete = sink.take(before);
            assert_eq!(complete.is_empty(), name == "a.pdf", "all before the last file is sent");
            sent.extend_from_slice(&complete);
        }
        writer.finish().unwrap();
        sent.extend_from_slice(&sink.take(usize::MAX));
        let mut archive = ZipArchive::new(Cursor::new(sent)).unwrap();
        let mut read = Vec::new();
        archive.by_name("a.pdf").unwrap().read_to_end(&mut read).unwrap();
        assert_eq!((read, archive.len()), (vec![1; 70_000], 3));
        assert_eq!(archive.by_name("b.pdf").unwrap().last_modified().map(|at| at.day()), Some(27));
    }
}
