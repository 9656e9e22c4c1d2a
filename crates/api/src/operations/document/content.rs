//! Downloading a document, whole or in part (RFC 9110, section 14).

use std::ops::Range;

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use porttask_domain::{
    TextEnum,
    operations::{
        Document,
        document::{Command, Content},
    },
};
use porttask_runtime::{
    execute::{self, Tx},
    ports::blobs::BlobReader,
};

use super::disposition::attachment;
use crate::http::{
    app::App,
    permissions::{Impersonable, ReadOperations},
    problem::Problem,
    request::{Authorized, Id, is_known},
};

/// Bytes that are read at a time.
const PART: usize = 256 * 1024;
/// Nothing in a document is executed.
const POLICY: &str = "sandbox; default-src 'none'";

type Reader = Authorized<Impersonable<ReadOperations>>;

/// Download the content of a document.
///
/// With `Range`, a part of it: one range of bytes. The first download of a person within an hour is recorded. Needs
/// `operations:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/documents/{document}/content", tag = "documents",
    extensions(("x-impersonable" = json!(true))),
    responses((status = 200, description = "The content", content(
            (String = "application/octet-stream"), (String = "application/pdf"), (String = "image/png"),
            (String = "image/jpeg"), (String = "image/webp"), (String = "text/plain"), (String = "text/csv"),
            (String = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
            (String = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
            (String = "application/vnd.oasis.opendocument.text"))),
        (status = 206, description = "A part of the content", content(
            (String = "application/octet-stream"), (String = "application/pdf"), (String = "image/png"),
            (String = "image/jpeg"), (String = "image/webp"), (String = "text/plain"), (String = "text/csv"),
            (String = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
            (String = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
            (String = "application/vnd.oasis.opendocument.text"))),
        (status = 416, description = "The document has no such part.", body = Problem,
            content_type = "application/problem+json")))]
pub(crate) async fn download_document(
    State(app): State<App>,
    caller: Reader,
    document: Id<Document>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = document.get()?;
    let (state, _) = app.executor.load::<Document>(caller.organization, id).await?;
    let content = state.content().ok_or_else(Id::<Document>::not_found)?;
    let etag = format!("\"{}\"", content.sha256);
    if is_known(&headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let part = match part_of(&headers, &etag, content.bytes) {
        Ok(part) => part,
        Err(()) => return Ok(unsatisfiable(content.bytes)),
    };
    let found = app.settings.documents.blobs.open(caller.organization, &content.sha256).await;
    let found = found.map_err(|error| Problem::unavailable(&error))?;
    let reader = found.filter(|reader| reader.bytes() == content.bytes);
    let missing = || Problem::unavailable(&format!("the content of the document {id} is missing or damaged"));
    let reader = reader.ok_or_else(missing)?;
    record(&app, &caller, &document).await?;
    let name = state.name().unwrap_or("document");
    Ok(response(content, name, &etag, part, reader))
}

/// Records the download; nothing that is not recorded is sent.
async fn record(app: &App, caller: &Reader, document: &Id<Document>) -> Result<(), Problem> {
    let (id, by) = (document.get()?, caller.identity.person());
    let request = execute::Request::new(caller.organization, caller.meta.clone());
    let work = move |tx: Tx| async move {
        caller.authorize(app, &tx).await?;
        Ok::<_, Problem>(tx.decide::<Document>(id, &Command::Download { by, now: tx.now() }).await?)
    };
    let outcome = app.executor.transact(&request, work).await?;
    if let Some(position) = outcome.position {
        app.last_changes.insert(caller.identity.credential.id(), position);
    }
    Ok(())
}

/// The part that is asked for; `None` for the whole. What is no single range of bytes is ignored.
///
/// # Errors
/// If there is no such part.
fn part_of(headers: &HeaderMap, etag: &str, bytes: u64) -> Result<Option<Range<u64>>, ()> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if text(header::IF_RANGE).is_some_and(|known| known != etag) {
        return Ok(None);
    }
    let range =
        text(header::RANGE).and_then(|range| range.strip_prefix("bytes=")).and_then(|range| range.split_once('-'));
    let Some((first, last)) = range else { return Ok(None) };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match (first.trim(), last.trim()) {
        ("", last) => match number(last) {
            Some(0) => Err(()),
            Some(last) => Ok(Some(bytes.saturating_sub(last)..bytes)),
            None => Ok(None),
        },
        (first, "") => match number(first) {
            Some(first) if first < bytes => Ok(Some(first..bytes)),
            Some(_) => Err(()),
            None => Ok(None),
        },
        (first, last) => match number(first).zip(number(last)) {
            Some((first, last)) if first > last => Ok(None),
            Some((first, _)) if first >= bytes => Err(()),
            Some((first, last)) => Ok(Some(first..last.saturating_add(1).min(bytes))),
            None => Ok(None),
        },
    }
}

fn unsatisfiable(bytes: u64) -> Response {
    let detail = format!("The document has {bytes} bytes.");
    let mut response = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range-not-satisfiable", detail).into_response();
    insert(&mut response, header::CONTENT_RANGE, &format!("bytes */{bytes}"));
    response
}

fn response(
    content: &Content,
    name: &str,
    etag: &str,
    part: Option<Range<u64>>,
    reader: Box<dyn BlobReader>,
) -> Response {
    let status = if part.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let range = part.as_ref().map(|part| format!("bytes {}-{}/{}", part.start, part.end - 1, content.bytes));
    let part = part.unwrap_or(0..content.bytes);
    let length = (part.end - part.start).to_string();
    // Whoever compresses it asks once more after its end.
    let body = Body::from_stream(stream::unfold((reader, part), next).fuse());
    let mut response = (status, body).into_response();
    response.headers_mut().insert(header::CONTENT_DISPOSITION, attachment(name));
    for (name, value) in [
        (header::CONTENT_TYPE, content.content_type.as_str()),
        (header::CONTENT_LENGTH, &length),
        (header::ETAG, etag),
        (header::ACCEPT_RANGES, "bytes"),
        (header::CACHE_CONTROL, "private, no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        insert(&mut response, name, value);
    }
    if let Some(range) = range {
        insert(&mut response, header::CONTENT_RANGE, &range);
    }
    response
}

fn insert(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// The next bytes of a part. A failure aborts the connection, so that what was sent is not taken for the whole.
async fn next(
    (reader, part): (Box<dyn BlobReader>, Range<u64>),
) -> Option<(std::io::Result<Bytes>, (Box<dyn BlobReader>, Range<u64>))> {
    let left = part.end - part.start;
    if left == 0 {
        return None;
    }
    let most = usize::try_from(left).unwrap_or(PART).min(PART);
    let bytes = match reader.read(part.start, most).await {
        Ok(bytes) if bytes.is_empty() => Err(std::io::ErrorKind::UnexpectedEof.into()),
        bytes => bytes,
    };
    let read = bytes.as_ref().map_or(left, |bytes| bytes.len() as u64);
    if let Err(error) = &bytes {
        tracing::error!(%error, "the download of a document was aborted");
    }
    Some((bytes, (reader, part.start + read..part.end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_of_bytes_is_answered() {
        let part = |range: &str, if_range: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, range.parse().unwrap());
            if_range.map(|tag| headers.insert(header::IF_RANGE, tag.parse().unwrap()));
            part_of(&headers, "\"a\"", 10)
        };
        for (range, expected) in [
            ("bytes=0-0", Ok(Some(0..1))),
            ("bytes=2-", Ok(Some(2..10))),
            ("bytes=2-99", Ok(Some(2..10))),
            ("bytes=-3", Ok(Some(7..10))),
            ("bytes=-99", Ok(Some(0..10))),
            ("bytes=10-", Err(())),
            ("bytes=10-12", Err(())),
            ("bytes=-0", Err(())),
            ("bytes=3-2", Ok(None)),
            ("bytes=0-1,3-4", Ok(None)),
            ("bytes=x-", Ok(None)),
            ("pages=1-2", Ok(None)),
        ] {
            assert_eq!(part(range, None), expected, "{range}");
        }
        assert_eq!(part("bytes=2-", Some("\"a\"")), Ok(Some(2..10)));
        assert_eq!(part("bytes=2-", Some("\"b\"")), Ok(None), "the content has changed");
    }
}
