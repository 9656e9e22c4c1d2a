//! Documents: the files of an organization.
//!
//! | file | what it owns |
//! |---|---|
//! | `subject.rs` | what documents belong to, and their section on its page |

mod subject;

use std::io;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, FromRequest, Multipart, Request, State, multipart::Field},
    http::{HeaderMap, Method, StatusCode, header},
    response::Response,
    routing::get,
};
use futures_util::{StreamExt, join, stream};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;

use self::subject::Subject;
pub(crate) use self::subject::of_subject;
use crate::{
    Console,
    action::{Action, Inputs},
    api::{Answer, Problem},
    form::{ACTING_AS, Fields, KEY, attachment},
    ui::{
        self,
        field::field,
        icon,
        list::{Asked, Column, Listing, Select},
        time, words,
    },
    visit::{Answered, Message, Visit},
};

const URL: &str = "/operations/documents";
const TABS: [(&str, &str); 3] = [("", "All"), ("stored", "Stored"), ("uploading", "Being uploaded")];
const TYPES: [(&str, &str); 11] = [
    ("", "Any type"),
    ("application/pdf", "PDF"),
    ("image/png", "PNG image"),
    ("image/jpeg", "JPEG image"),
    ("image/webp", "WebP image"),
    ("text/plain", "Text"),
    ("text/csv", "CSV"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "Word document"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "Excel workbook"),
    ("application/vnd.oasis.opendocument.text", "OpenDocument text"),
    ("application/octet-stream", "Other"),
];
const FILTERS: [&str; 6] = ["q", "status", "content_type", "subject", "sort", "cursor"];
/// Parts of a file that wait until they are stored.
const WAITING: usize = 4;

pub(crate) fn routes() -> Router<Console> {
    let upload = get(new_form).post(upload).layer(DefaultBodyLimit::disable());
    Router::new()
        .route("/operations/documents", get(list))
        .route("/operations/documents/new", upload)
        .route("/operations/documents/export", get(export))
        .route("/operations/documents/{document}/content", get(download))
        .route("/operations/documents/{document}/delete", get(delete_form).post(delete))
}

#[derive(Debug, Clone, Deserialize)]
struct Document {
    id: String,
    name: Option<String>,
    status: String,
    bytes: u64,
    content_type: Option<String>,
    subject: Option<String>,
    service: Option<String>,
    vessel: Option<String>,
    port_name: Option<String>,
    created_at: Timestamp,
}

#[derive(Debug, Deserialize)]
struct Uploaded {
    name: String,
}

impl Document {
    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("Erased name")
    }

    /// What it is, in a word.
    fn kind(&self) -> &'static str {
        match self.content_type.as_deref().unwrap_or_default() {
            "" => "",
            "application/pdf" => "PDF",
            "text/plain" => "Text",
            "text/csv" => "CSV",
            kind if kind.starts_with("image/") => "Image",
            kind if kind.ends_with("wordprocessingml.document") => "Word document",
            kind if kind.ends_with("spreadsheetml.sheet") => "Excel workbook",
            kind if kind.ends_with("opendocument.text") => "OpenDocument text",
            _ => "File",
        }
    }
}

/// A number of bytes in words.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{} KB", bytes.div_ceil(1_024)),
        _ => format!("{}.{} MB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20),
    }
}

async fn list(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let call = visit.get("/documents").query(asked.pick(&FILTERS));
    let found = call.query([("limit", "25"), ("count", "true")]).page::<Document>().await?;
    let add = html! { @if visit.may("operations:write") { (ui::sheet_link(&format!("{URL}/new"), "btn main-act", "upload", "Upload")) } };
    let listing = Listing {
        name: "Documents",
        tabs: Some(("status", &TABS)),
        search: Some("Name"),
        selects: &[Select { name: "content_type", label: "Type", options: &TYPES }],
        inputs: &[],
        columns: &[
            Column("Document", "name", ""),
            Column("Belongs to", "", "only-wide"),
            Column("Size", "bytes", "only-wide"),
            Column("Uploaded", "created_at", "only-wide"),
            Column("", "", "end"),
        ],
        nothing: ui::empty("file-key", "No document yet", "Bills of lading, crew lists, certificates.", add.clone()),
        panel: None,
    };
    let export = asked.changed(&[("cursor", "")]).replacen(URL, &format!("{URL}/export"), 1);
    let actions = html! { a.btn.edge data-download href=(export) { (icon("download")) "Export list" } (add) };
    let content = html! {
        (ui::head("Documents", "Files of your organization. Who downloads one is recorded.", actions))
        (listing.render(&visit.frame, &asked, &found, |document| row(&visit, document)))
    };
    Ok(visit.page("Documents", &[("Operations", URL), ("Documents", "")], content))
}

fn row(visit: &Visit, document: &Document) -> Markup {
    let url = format!("{URL}/{}", document.id);
    let is_stored = document.status == "stored";
    html! { tr id=(document.id) {
        td { div.who { span {
            @if is_stored { a data-download href=(format!("{url}/content")) { b { (document.name()) } } } @else { b { (document.name()) } }
            small { (document.kind()) span.only-narrow { " " (size(document.bytes)) } }
        } } }
        td.only-wide { (document.belonging()) }
        td.fit.only-wide { @if is_stored { (size(document.bytes)) } @else { (words::status(&document.status)) } }
        td.fit.soft.only-wide { (time::instant(&visit.frame, document.created_at)) }
        td.end { @if is_stored && visit.may("operations:write") { (ui::sheet_link(&format!("{url}/delete"), "btn edge", "trash-2", "Delete…")) } }
    } }
}

/// The filtered list as CSV.
async fn export(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let names: Vec<&str> = FILTERS.into_iter().filter(|name| *name != "cursor").collect();
    let call = visit.get("/documents").query(asked.pick(&names)).query([("format", "csv")]);
    Ok(attachment(call.download().await?, "documents.csv"))
}

async fn new_form(visit: Visit) -> Answered {
    visit.require("operations:write")?;
    Ok(form(&visit, &Subject::of_form(&visit), None))
}

fn form(visit: &Visit, subject: &Subject, problem: Option<&Problem>) -> Response {
    let sheet = ui::sheet(
        "Upload a document",
        html! { "Everybody in your organization can download it." },
        // Not by a script, which would hold the file in memory.
        html! { form method="post" action=(subject.form()) enctype="multipart/form-data" novalidate {
            (ui::hidden(&visit.frame))
            div.in {
                @if let Some(problem) = problem { (ui::summary(problem)) }
                (field("File", "file").error(problem, "/file").file(""))
            }
            footer {
                a.btn.edge href=(subject.page()) data-close { "Cancel" }
                button.btn.main-act type="submit" { (icon("upload")) "Upload" }
            }
        } },
    );
    visit.page_with(problem, "Upload a document", &[("Documents", URL), ("Upload a document", "")], sheet)
}

/// A part of a file, or that it broke off.
type Part = Result<Bytes, io::Error>;

/// What precedes the file in the form.
#[derive(Debug, Default)]
struct Before {
    key: String,
    acting_as: String,
}

async fn upload(State(console): State<Console>, visit: Visit, request: Request) -> Answered {
    let length = length(request.headers());
    let no_form = |_| Problem::new(StatusCode::BAD_REQUEST, "This is no form with a file.");
    let mut parts = Multipart::from_request(request, &console).await.map_err(no_form)?;
    let mut before = Before::default();
    while let Some(part) = parts.next_field().await.map_err(broken)? {
        match part.name().unwrap_or_default() {
            KEY => before.key = part.text().await.map_err(broken)?,
            ACTING_AS => before.acting_as = part.text().await.map_err(broken)?,
            "file" => return pass_on(&visit, &before, part, &length).await,
            _ => {}
        }
    }
    let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Choose a file.");
    Ok(form(&visit, &Subject::of_form(&visit), Some(&problem)))
}

fn broken(error: axum::extract::multipart::MultipartError) -> Problem {
    Problem::new(error.status(), "The file was not sent completely.")
}

/// The size of the form, which is a little more than that of the file in it.
fn length(headers: &HeaderMap) -> String {
    headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// Passes the file on to the API while it is being received.
async fn pass_on(visit: &Visit, before: &Before, mut file: Field<'_>, length: &str) -> Answered {
    if before.acting_as != visit.frame.me.id {
        let detail = "The page was opened as somebody else. Nothing was uploaded.";
        return Err(Problem::new(StatusCode::CONFLICT, detail).into());
    }
    let (name, subject) = (file.file_name().unwrap_or_default().to_owned(), Subject::of_form(visit));
    let (sender, receiver) = mpsc::channel::<Part>(WAITING);
    let call = visit.client.post(visit.path("/documents")).query([("name", name.as_str())]).query(subject.parameter());
    let call = call.key(&before.key);
    let call = call.header(header::CONTENT_LENGTH, length);
    let call = call
        .body("application/octet-stream", Body::from_stream(stream::unfold(receiver, next).fuse()))
        .send::<Uploaded>();
    let pump = async move {
        loop {
            let part = match file.chunk().await {
                Ok(Some(part)) => Ok(part),
                Ok(None) => return,
                Err(error) => Err(io::Error::other(error)),
            };
            let is_over = part.is_err();
            // The API does not want the rest.
            if sender.send(part).await.is_err() || is_over {
                return;
            }
        }
    };
    let (answer, ()): (Result<Answer<Uploaded>, Problem>, ()) = join!(call, pump);
    match answer {
        Ok(Answer { body: Uploaded { name }, .. }) => {
            Ok(visit.done(&subject.page(), &Message { text: format!("{name} is uploaded."), ..Message::default() }))
        }
        Err(problem) if matches!(problem.status, 401 | 403 | 404) => Err(problem.into()),
        Err(problem) => Ok(form(visit, &subject, Some(&problem))),
    }
}

/// The next part of a file.
async fn next(mut parts: mpsc::Receiver<Part>) -> Option<(Part, mpsc::Receiver<Part>)> {
    parts.recv().await.map(|part| (part, parts))
}

/// The content, as the API answers it.
async fn download(visit: Visit, headers: HeaderMap) -> Answered {
    let call = visit.get(&format!("/documents/{}/content", visit.param("document")));
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok()).unwrap_or_default();
    let mut response = call.header(header::RANGE, range).download().await?;
    // The next user of this browser must not find it.
    response.headers_mut().remove(header::CACHE_CONTROL);
    Ok(response)
}

async fn delete_action<'a>(visit: &Visit) -> Result<Action<'a>, Problem> {
    let path = visit.path(&format!("/documents/{}", visit.param("document")));
    let document = visit.client.get(path.clone()).send::<Document>().await?.body;
    Ok(Action {
        title: format!("Delete {}", document.name()),
        lead: html! { "It can no longer be downloaded. That it existed stays in the audit log." },
        button: "Delete",
        is_dangerous: true,
        method: Method::DELETE,
        path: path.clone(),
        resource: path,
        body: Value::Null,
        inputs: Inputs::none(),
        is_previewed: true,
        typed: None,
        back: URL.to_owned(),
        done: format!("{} is deleted.", document.name()),
        crumbs: vec![("Documents".to_owned(), URL.to_owned())],
    })
}

async fn delete_form(visit: Visit) -> Answered {
    visit.require("operations:write")?;
    delete_action(&visit).await?.show(&visit).await
}

async fn delete(visit: Visit, fields: Fields) -> Answered {
    delete_action(&visit).await?.submit(&visit, &fields).await
}
