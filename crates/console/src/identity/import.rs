//! Importing users from a CSV file: first as a dry run, then for good, with a report of each line.

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Request},
    response::Response,
    routing::get,
};
use maud::{Markup, html};
use serde::Deserialize;

use crate::{
    Console,
    api::{Page, Problem},
    form::{Upload, attachment},
    ui::{
        self,
        field::{field, tick},
        icon,
        list::{Asked, Column, Listing},
        time,
        words::{self, ROLES},
    },
    visit::{Answered, Message, Visit},
};

/// The maximum size of a file.
const MAX_BYTES: usize = 8 << 20;

pub(crate) fn settings() -> Router<Console> {
    let upload = get(show).post(start).layer(DefaultBodyLimit::max(MAX_BYTES));
    Router::new()
        .route("/users/import", upload)
        .route("/users/import/{job}", get(report))
        .route("/users/import/{job}/report", get(download))
}

#[derive(Debug, Clone, Deserialize)]
struct Job {
    id: String,
    kind: String,
    dry_run: bool,
    state: String,
    done: u64,
    total: u64,
    counts: std::collections::BTreeMap<String, u64>,
    created_at: jiff::Timestamp,
    failure: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Line {
    line: u64,
    result: String,
    invited: bool,
    not_invited: Option<String>,
    faults: Vec<Fault>,
    user: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Fault {
    field: Option<String>,
    reason: String,
}

async fn show(visit: Visit) -> Answered {
    visit.require("users:write")?;
    page(&visit, None).await
}

async fn page(visit: &Visit, problem: Option<&Problem>) -> Answered {
    let jobs = visit.get("/jobs").query([("limit", "20")]).send::<Page<Job>>().await?.body;
    let imports: Vec<&Job> = jobs.items.iter().filter(|job| job.kind == "import_users").collect();
    let roles: Vec<(&str, &str)> =
        [("", "From the file’s column “role”")].into_iter().chain(ROLES.map(|(code, name, _)| (code, name))).collect();
    let url = visit.url("/users/import");
    let content = html! {
        (ui::head("Import users", "A CSV file with the columns name, email and role, as spreadsheets write it. A dry run says what would happen, line by line.", html! {}))
        div.grid.wide {
            section.card { form.in.form method="post" action=(url) enctype="multipart/form-data" novalidate {
                (ui::hidden(&visit.frame))
                @if let Some(problem) = problem { (ui::summary(problem)) }
                (field("CSV file", "file").hint("At most 8 MB.").file(".csv,text/csv"))
                (field("Role of all", "role").optional().error(problem, "role").select(&roles))
                (tick("Send invitations", "send_invitations", true, "Otherwise they are registered, and invited later."))
                (tick("Skip unknown columns", "skip_columns", false, "Otherwise a file with other columns is refused."))
                div.row {
                    button.btn.main-act type="submit" name="step" value="preview" { (icon("eye")) "Dry run" }
                    button.btn.edge type="submit" name="step" value="confirm" { (icon("upload")) "Import" }
                }
            } }
            section.card { header { h2 { "Imports" } }
                @if imports.is_empty() { p.in.soft { "None in the last seven days." } } @else { ul.rows { @for job in imports { li {
                    div { a href=(format!("{url}/{}", job.id)) { b { @if job.dry_run { "Dry run" } @else { "Import" } } } " " (words::status(&job.state))
                        div.soft { (time::instant(&visit.frame, job.created_at)) " · " (job.done) " of " (job.total) " lines" } }
                } } } }
            }
        }
    };
    Ok(visit.page_with(problem, "Import users", &[("Users & roles", &visit.url("/users")), ("Import", "")], content))
}

async fn start(visit: Visit, request: Request) -> Answered {
    let Upload { file, fields } = Upload::read(&visit, request).await?;
    let columns = if fields.has("skip_columns") { "skip" } else { "" };
    let call = visit.client.post(visit.path("/users/import")).dry_run(fields.is_preview()).key(fields.key()).query([
        ("role", fields.text("role")),
        ("send_invitations", if fields.has("send_invitations") { "true" } else { "false" }),
        ("unknown_columns", columns),
    ]);
    match call.body("text/csv", Body::from(file)).send::<Job>().await {
        Ok(job) => Ok(visit.done(
            &visit.url(&format!("/users/import/{}", job.body.id)),
            &Message { text: "The file is being read.".to_owned(), ..Message::default() },
        )),
        Err(problem) if matches!(problem.status, 401 | 404) => Err(problem.into()),
        Err(problem) => page(&visit, Some(&problem)).await,
    }
}

const TABS: [(&str, &str); 4] =
    [("", "All lines"), ("registered", "Registered"), ("unchanged", "Unchanged"), ("rejected", "Rejected")];

async fn report(visit: Visit) -> Answered {
    let id = visit.param("job").to_owned();
    let job = visit.get(&format!("/jobs/{id}")).send::<Job>().await?.body;
    let asked = Asked::of(&visit.frame.url);
    let url = visit.url(&format!("/users/import/{id}"));
    let title = if job.dry_run { "Dry run of an import" } else { "Import" };
    let listing = Listing {
        name: "Lines",
        tabs: Some(("result", &TABS)),
        search: None,
        selects: &[],
        inputs: &[],
        columns: &[Column("Line", "", ""), Column("Result", "", ""), Column("Why", "", "only-wide")],
        nothing: ui::empty("upload", "No lines", "The file has no lines.", html! {}),
        panel: None,
    };
    let lines = match job.state.as_str() {
        "done" => {
            let call = visit
                .get(&format!("/jobs/{id}/report"))
                .query(asked.pick(&["result", "cursor"]))
                .query([("limit", "50")]);
            Some(call.send::<Page<Line>>().await.map(|answer| answer.body))
        }
        _ => None,
    };
    let content = html! {
        (ui::head(title, "", html! { @if job.state == "done" { a.btn.edge data-download href=(format!("{url}/report")) { (icon("download")) "Report as CSV" } } a.btn.edge href=(visit.url("/users/import")) { "Another file" } }))
        section.card #progress data-refresh[lines.is_none() && job.state != "failed"] { dl.facts {
            dt { "State" } dd { (words::status(&job.state)) @if let Some(failure) = &job.failure { " " (ui::sentence(failure)) } }
            dt { "Lines" } dd { (job.done) " of " (job.total) }
            @for (result, count) in &job.counts { dt { (words::words(result)) } dd { (count) } }
        }
        @if lines.is_none() && job.state != "failed" { p.in { a.btn.edge href=(url) { (icon("refresh-cw")) "Look again" } } } }
        @if let Some(lines) = lines { (listing.render(&visit.frame, &asked, &lines, |line| row(&visit, line))) }
    };
    Ok(visit.page(
        title,
        &[("Users & roles", &visit.url("/users")), ("Import", &visit.url("/users/import")), (title, "")],
        content,
    ))
}

fn row(visit: &Visit, line: &Line) -> Markup {
    let tone = if line.result == "rejected" { "bad dot" } else { "ok dot" };
    let reasons = line.faults.iter().map(|fault| match &fault.field {
        Some(field) => ui::sentence(&format!("{field}: {}", fault.reason)),
        None => ui::sentence(&fault.reason),
    });
    let reasons: Vec<String> = reasons.chain(line.not_invited.as_deref().map(ui::sentence)).collect();
    html! { tr {
        td.num { (line.line) }
        td { (words::badge(tone, &words::words(&line.result))) @if line.invited { " " (words::badge("info", "Invited")) }
            @if let Some(user) = &line.user { " " a href=(visit.url(&format!("/users/{user}"))) { "Open" } }
            span.only-narrow { (reasons.join(" ")) } }
        td.only-wide { (reasons.join(" ")) }
    } }
}

async fn download(visit: Visit) -> Answered {
    let id = visit.param("job");
    let response: Response = visit.get(&format!("/jobs/{id}/report")).query([("format", "csv")]).download().await?;
    Ok(attachment(response, "import-report.csv"))
}
