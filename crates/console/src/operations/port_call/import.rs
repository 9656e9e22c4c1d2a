//! Importing port calls from a CSV file, with a report of each line.

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Request},
    response::Response,
    routing::get,
};
use maud::{Markup, html};
use serde::Deserialize;

use super::URL;
use crate::{
    Console,
    api::Problem,
    form::{STEP, Upload},
    ui::{
        self,
        field::{field, tick},
        icon, words,
    },
    visit::{Answered, Visit},
};

/// The maximum size of a file.
const MAX_BYTES: usize = 4 << 20;
const COLUMNS: &str = "A CSV file with the columns vessel, imo, port, eta and etd, and optionally reference, voyage and agent. A \
                       dry run says what would happen, line by line.";

pub(super) fn routes() -> Router<Console> {
    let upload = get(show).post(start).layer(DefaultBodyLimit::max(MAX_BYTES));
    Router::new().route("/operations/port-calls/import", upload)
}

#[derive(Debug, Deserialize)]
struct PortCallImport {
    dry_run: bool,
    created: u64,
    unchanged: u64,
    rejected: u64,
    lines: Vec<Line>,
}

#[derive(Debug, Deserialize)]
struct Line {
    line: u64,
    result: String,
    port_call: Option<String>,
    faults: Vec<Fault>,
}

#[derive(Debug, Deserialize)]
struct Fault {
    field: Option<String>,
    reason: String,
}

async fn show(visit: Visit) -> Answered {
    visit.require("operations:write")?;
    Ok(page(&visit, None, None))
}

fn page(visit: &Visit, problem: Option<&Problem>, report: Option<&PortCallImport>) -> Response {
    let url = format!("{URL}/import");
    let content = html! {
        (ui::head("Import port calls", COLUMNS, html! {}))
        section.card { form.in.form method="post" action=(url) enctype="multipart/form-data" novalidate {
            (ui::hidden(&visit.frame))
            @if let Some(problem) = problem { (ui::summary(problem)) }
            (field("CSV file", "file").hint("At most 1,000 lines. Times without an offset are those of the port.").file(".csv,text/csv"))
            (tick("Skip unknown columns", "skip_columns", false, "Otherwise a file with other columns is refused."))
            div.row {
                button.btn.main-act type="submit" name=(STEP) value="preview" { (icon("eye")) "Dry run" }
                button.btn.edge type="submit" name=(STEP) value="confirm" { (icon("upload")) "Import" }
            }
        } }
        @if let Some(report) = report { (shown(report)) }
    };
    visit.page_with(problem, "Import port calls", &[("Port calls", URL), ("Import", "")], content)
}

fn shown(report: &PortCallImport) -> Markup {
    let PortCallImport { dry_run, created, unchanged, rejected, lines } = report;
    html! { section.card {
        header { h2 { @if *dry_run { "Dry run: nothing was recorded" } @else { "Import" } } }
        dl.facts {
            dt { @if *dry_run { "Would be created" } @else { "Created" } } dd { (created) }
            dt { "Unchanged" } dd { (unchanged) }
            dt { "Rejected" } dd { (rejected) }
        }
        table.table {
            caption.hide { "Lines" }
            thead { tr { th scope="col" { "Line" } th scope="col" { "Result" } th scope="col" { "Why" } } }
            tbody { @for line in lines { tr {
                td.num { (line.line) }
                td { (words::badge(if line.result == "rejected" { "bad dot" } else { "ok dot" }, &words::words(&line.result)))
                    @if let Some(call) = &line.port_call { " " a href=(format!("{URL}/{call}")) { "Open" } } }
                td { (reasons(line)) }
            } } }
        }
    } }
}

fn reasons(line: &Line) -> String {
    let reason = |fault: &Fault| match &fault.field {
        Some(field) => ui::sentence(&format!("{field}: {}", fault.reason)),
        None => ui::sentence(&fault.reason),
    };
    line.faults.iter().map(reason).collect::<Vec<_>>().join(" ")
}

async fn start(visit: Visit, request: Request) -> Answered {
    let Upload { file, fields } = Upload::read(&visit, request).await?;
    let columns = if fields.has("skip_columns") { "skip" } else { "" };
    let call = visit.client.post(visit.path("/port-calls/import")).dry_run(fields.is_preview());
    let call = call.query([("unknown_columns", columns)]);
    match call.body("text/csv", Body::from(file)).send::<PortCallImport>().await {
        Ok(report) => Ok(page(&visit, None, Some(&report.body))),
        Err(problem) if matches!(problem.status, 401 | 404) => Err(problem.into()),
        Err(problem) => Ok(page(&visit, Some(&problem), None)),
    }
}
