//! Uploading a document: the bytes are claimed, received, hashed and stored, and only then kept.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderName, StatusCode},
    response::{AppendHeaders, IntoResponse, Response},
};
use futures_util::StreamExt;
use jiff::Timestamp;
use porttask_app::operations::documents::{UnusableSubject, check_subject};
use porttask_domain::{
    Capability,
    operations::{
        Document, PortCall, ServiceOrder,
        document::{Command, ContentType, DocumentId, DocumentName, Status, Subject},
    },
};
use porttask_runtime::{
    execute::{self, Outcome, Tx},
    ports::blobs::Blob,
    supervise::once,
};
use tokio::time::timeout;

use super::{
    bodies::{UploadParameters, UploadedDocument},
    disposition::name_in,
};
use crate::http::{
    app::App,
    permissions::WriteOperations,
    problem::Problem,
    request::{Authorized, Id, StreamedUpload, reached_limit},
    response::{POSITION, created, place_of},
};

/// Upload a document.
///
/// The body is the file itself, with its size in `Content-Length`. What the file is, is judged by its first bytes, whatever
/// `Content-Type` says. A repetition with the same `Idempotency-Key` must send the same file; it takes over from an upload
/// that is still in progress. It can belong to a port call or a service order. Needs `operations:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/documents", tag = "documents", params(UploadParameters),
    request_body(content = String, content_type = "application/octet-stream", description = "The file"),
    responses((status = 201, body = UploadedDocument)))]
pub(crate) async fn upload_document(
    State(app): State<App>,
    upload: StreamedUpload<WriteOperations, UploadParameters>,
) -> Result<Response, Problem> {
    if upload.announced == 0 {
        return Err(empty());
    }
    let (document, name, subject) = (upload.new_id(&app), name_of(&upload), upload.parameters.subject()?);
    let StreamedUpload { caller, announced, body, share: _share, .. } = upload;
    let now = app.clock.now();
    let command = Command::StartUpload { document, name: name.clone(), bytes: announced, subject, now };
    start(&app, &caller, document, subject, &command).await?;
    let attempt = Attempt::new(&app, &caller, document, now);
    let received = receive(&app, &caller, body, announced, &name).await;
    let stored = match received {
        Ok((blob, content_type)) => store(&app, &caller, document, blob, content_type).await,
        Err(problem) => Err(problem),
    };
    let (blob, content_type, outcome) = match stored {
        Ok(stored) => stored,
        Err(problem) => {
            attempt.fail().await;
            return Err(problem);
        }
    };
    attempt.end();
    let position = outcome.position.map(|it| app.positions.seal(caller.identity.organization, it));
    let header = position.clone().map(|it| [(HeaderName::from_static(POSITION), it)]);
    let Blob { sha256, bytes } = blob;
    let (name, repeated) = (name.as_str().to_owned(), outcome.events.is_empty());
    let uploaded = UploadedDocument { id: document, name, bytes, sha256, content_type, subject, repeated, position };
    let place = format!("{}/documents/{document}", place_of(caller.organization));
    Ok(created(StatusCode::CREATED, &place, (header.map(AppendHeaders), Json(uploaded))).into_response())
}

fn name_of(upload: &StreamedUpload<WriteOperations, UploadParameters>) -> DocumentName {
    let given = upload.parameters.name.clone().or_else(|| name_in(&upload.headers));
    DocumentName::new(given.as_deref().unwrap_or_default())
}

fn empty() -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "document-empty", "The document is empty.")
}

/// Starts an upload, for something that can have documents.
async fn start(
    app: &App,
    caller: &Authorized<WriteOperations>,
    document: DocumentId,
    subject: Option<Subject>,
    command: &Command,
) -> Result<Outcome, Problem> {
    transact(app, caller, move |tx| async move {
        let former = tx.read::<Document>(document).await?.status();
        tx.decide::<Document>(document, command).await?;
        // A repetition succeeds, whatever has become of the subject.
        let is_new = former.is_none_or(|status| status == Status::Failed);
        match subject.filter(|_| is_new) {
            Some(subject) => must_be_usable(&tx, subject).await,
            None => Ok(()),
        }
    })
    .await
}

/// Rejects what can have no documents.
async fn must_be_usable(tx: &Tx, subject: Subject) -> Result<(), Problem> {
    match check_subject(tx, subject).await? {
        Ok(()) => Ok(()),
        Err(UnusableSubject::NotFound) => Err(match subject {
            Subject::PortCall(_) => Id::<PortCall>::not_found(),
            Subject::ServiceOrder(_) => Id::<ServiceOrder>::not_found(),
        }),
        Err(fault @ (UnusableSubject::PortCallCanceled | UnusableSubject::ServiceOrderCanceled)) => {
            Err(Problem::new(StatusCode::CONFLICT, "document-subject-canceled", fault.to_string()))
        }
    }
}

/// Executes a unit of work of an authorized caller.
async fn transact<F: Future<Output = Result<(), Problem>>>(
    app: &App,
    caller: &Authorized<WriteOperations>,
    body: impl Fn(Tx) -> F,
) -> Result<Outcome, Problem> {
    let request = execute::Request::new(caller.organization, caller.meta.clone()).needing_subscription(true);
    let body = &body;
    let work = move |tx: Tx| async move {
        caller.authorize(app, &tx).await?;
        body(tx).await
    };
    let outcome = match app.executor.transact(&request, work).await {
        Err(problem) => return Err(reached_limit(app, caller.organization, problem).await),
        Ok(outcome) => outcome,
    };
    if let Some(position) = outcome.position {
        app.last_changes.insert(caller.identity.credential.id(), position);
    }
    Ok(outcome)
}

/// Receives a content, part by part.
async fn receive(
    app: &App,
    caller: &Authorized<WriteOperations>,
    body: Body,
    announced: u64,
    name: &DocumentName,
) -> Result<(Blob, ContentType), Problem> {
    let unavailable = |error| Problem::unavailable(&error);
    let patience = app.settings.connections.request_timeout / 2;
    let slow = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "body-timeout", "The body did not arrive in time.");
    let mut writer = app.settings.documents.blobs.begin(caller.organization).await.map_err(unavailable)?;
    let (mut parts, mut start, mut received) = (body.into_data_stream(), Vec::new(), 0);
    while let Some(part) = timeout(patience, parts.next()).await.map_err(slow)? {
        let part = part.map_err(|_| incomplete())?;
        received += part.len() as u64;
        if received > announced {
            return Err(incomplete());
        }
        let missing = ContentType::SNIFFED_BYTES - start.len();
        start.extend_from_slice(&part[..part.len().min(missing)]);
        writer.write(part).await.map_err(unavailable)?;
    }
    if received == 0 {
        return Err(empty());
    }
    let blob = writer.finish().await.map_err(unavailable)?;
    Ok((blob, ContentType::sniff(&start, name.as_str())))
}

fn incomplete() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "body-incomplete", "The body did not arrive completely.")
}

/// Keeps what was received.
async fn store(
    app: &App,
    caller: &Authorized<WriteOperations>,
    document: DocumentId,
    blob: Blob,
    content_type: ContentType,
) -> Result<(Blob, ContentType, Outcome), Problem> {
    let command = &Command::Store { sha256: blob.sha256.clone(), bytes: blob.bytes, content_type };
    let keep = move |tx: Tx| async move { Ok(tx.decide::<Document>(document, command).await?) };
    let outcome = transact(app, caller, keep).await?;
    Ok((blob, content_type, outcome))
}

/// An upload in progress. One that is dropped, because the client has gone, fails; that of a node that was killed, in time.
/// One that a retry took over ends without a trace.
struct Attempt(Option<Failing>);

struct Failing {
    app: App,
    request: execute::Request,
    document: DocumentId,
    started_at: Timestamp,
}

impl Attempt {
    fn new(app: &App, caller: &Authorized<WriteOperations>, document: DocumentId, started_at: Timestamp) -> Self {
        let request = execute::Request::new(caller.organization, caller.meta.clone()).needing(Capability::Settle);
        Self(Some(Failing { app: app.clone(), request, document, started_at }))
    }

    /// The upload has succeeded.
    fn end(mut self) {
        self.0 = None;
    }

    /// The upload has failed.
    async fn fail(mut self) {
        if let Some(failing) = self.0.take() {
            failing.fail().await;
        }
    }
}

impl Failing {
    async fn fail(self) {
        let Self { app, request, document, started_at } = self;
        let command = Command::FailUpload { started_at };
        if let Err(error) = app.executor.execute::<Document>(document, command, &request).await {
            tracing::warn!(%error, "a failed upload could not be recorded: it expires within an hour");
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(failing) = self.0.take() {
            once("failed upload", failing.fail()).detach();
        }
    }
}
