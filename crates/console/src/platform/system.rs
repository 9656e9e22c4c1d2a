//! System health: whether the read models agree with the log, what waits, and what failed.

use axum::{
    Router,
    response::Response,
    routing::{get, post},
};
use futures_util::join;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    Console,
    action::count,
    api::{Page, Problem},
    form::Fields,
    ui::{self, time, words},
    visit::{Answered, Message, Visit},
};

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/admin/system", get(show)).route("/admin/system/tasks/{task}/retry", post(retry))
}

#[derive(Debug, Deserialize)]
struct Items<T> {
    items: Vec<T>,
}

#[derive(Debug, Deserialize)]
struct Node {
    name: String,
    version: String,
    started_at: Timestamp,
    last_seen_at: Timestamp,
    is_silent: bool,
}

#[derive(Debug, Deserialize)]
struct View {
    name: String,
    events_behind: u64,
    failures: Vec<ViewFailure>,
}

#[derive(Debug, Deserialize)]
struct ViewFailure {
    reason: String,
    met_damage: bool,
}

#[derive(Debug, Deserialize)]
struct Reactor {
    name: String,
    events_behind: u64,
    tasks_pending: u64,
    tasks_dead: u64,
    held: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Task {
    id: String,
    organization: String,
    reactor: String,
    kind: String,
    attempts: u64,
    last_error: Option<String>,
    next_attempt_at: Option<Timestamp>,
    state: String,
}

#[derive(Debug, Deserialize)]
struct Mail {
    transport: String,
    folder: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Timer {
    organization: String,
    subject: String,
    kind: String,
    due_at: Timestamp,
    lane: Option<String>,
}

#[derive(Debug, Deserialize)]
struct FailedTimer {
    organization: String,
    kind: String,
    attempts: u64,
    error: String,
    retry_at: Timestamp,
}

async fn read<T: DeserializeOwned>(visit: &Visit, path: &str, query: &[(&str, &str)]) -> Result<T, Problem> {
    Ok(visit.client.get(path).query(query.iter().copied()).send::<T>().await?.body)
}

async fn show(visit: Visit) -> Answered {
    let (nodes, views, reactors, dead, pending, mail, timers, failures) = join!(
        read::<Items<Node>>(&visit, "/v1/platform/nodes", &[]),
        read::<Items<View>>(&visit, "/v1/platform/views", &[]),
        read::<Items<Reactor>>(&visit, "/v1/platform/reactors", &[]),
        read::<Page<Task>>(&visit, "/v1/platform/tasks", &[("state", "dead"), ("limit", "50")]),
        read::<Page<Task>>(&visit, "/v1/platform/tasks", &[("state", "pending"), ("limit", "20")]),
        read::<Mail>(&visit, "/v1/platform/mail", &[]),
        read::<Page<Timer>>(&visit, "/v1/platform/timers", &[("limit", "20")]),
        read::<Items<FailedTimer>>(&visit, "/v1/platform/timer-failures", &[]),
    );
    let (views, reactors, mail) = (views?.items, reactors?.items, mail?);
    let content = html! {
        (ui::head("System health", "Whether the service keeps up, what waits, and what failed.", html! { a.btn.edge href="/admin/system" { (ui::icon("refresh-cw")) "Look again" } }))
        (summary(&views, &reactors, &mail))
        (tasks(&visit, "Failed tasks", &dead?.items))
        (failed(&visit, &failures?.items))
        div.grid {
            (read_models(&views))
            (reactors_table(&reactors))
        }
        (nodes_table(&visit, &nodes?.items))
        (tasks(&visit, "Waiting tasks", &pending?.items))
        (due(&visit, &timers?.items))
    };
    Ok(visit.page("System health", &[("Administration", "/admin/organizations"), ("System health", "")], content))
}

/// The state in four figures.
fn summary(views: &[View], reactors: &[Reactor], mail: &Mail) -> Markup {
    let behind = views.iter().map(|it| it.events_behind).max().unwrap_or_default();
    let (waiting, dead) =
        (reactors.iter().map(|it| it.tasks_pending).sum::<u64>(), reactors.iter().map(|it| it.tasks_dead).sum::<u64>());
    let failed = views.iter().filter(|it| !it.failures.is_empty()).count() as u64;
    let figure = |name: &str, value: String, is_good: bool, text: &str| {
        html! { div.card { div.stat {
            span.k { (name) } span.v { (value) } span class=(if is_good { "d up" } else { "d down" }) { (text) }
        } } }
    };
    html! { div.grid {
        (figure("Read models", count(behind, "event"), failed == 0, if failed == 0 { "behind, none failed" } else { "behind, some failed" }))
        (figure("Waiting tasks", waiting.to_string(), true, "to be done"))
        (figure("Failed tasks", dead.to_string(), dead == 0, if dead == 0 { "nothing to do" } else { "to be retried" }))
        (figure("Email", words::words(&mail.transport), mail.folder.is_none(), mail.folder.as_deref().unwrap_or("is sent")))
    } }
}

fn nodes_table(visit: &Visit, nodes: &[Node]) -> Markup {
    html! { section.card { header { h2 { "Nodes" } } table.table { caption.hide { "Nodes" }
        thead { tr { th scope="col" { "Name" } th scope="col" { "State" } th.only-wide scope="col" { "Version" } th.only-wide scope="col" { "Started" } th.end scope="col" { "Last seen" } } }
        tbody { @for it in nodes { tr {
            td { (it.name) } td.fit { (words::status(if it.is_silent { "silent" } else { "running" })) }
            td.only-wide { (it.version) } td.only-wide { (time::instant(&visit.frame, it.started_at)) }
            td.end { (time::instant(&visit.frame, it.last_seen_at)) }
        } } }
    } } }
}

fn read_models(views: &[View]) -> Markup {
    html! { section.card { header { h2 { "Read models" } } table.table { caption.hide { "Read models" }
        thead { tr { th scope="col" { "Name" } th scope="col" { "State" } th.end scope="col" { "Behind" } } }
        tbody { @for it in views { tr {
            td { (words::words(&it.name)) @for failure in &it.failures { div.soft { (failure.reason) @if failure.met_damage { " It has met damage: " code { "porttask log verify" } " names all." } } } }
            td.fit { @if !it.failures.is_empty() { (words::status("failed")) } @else if it.events_behind == 0 { (words::status("current")) } @else { (words::status("behind")) } }
            td.end.num { (it.events_behind) }
        } } }
    } } }
}

fn reactors_table(reactors: &[Reactor]) -> Markup {
    html! { section.card { header { h2 { "Reactors" } } table.table { caption.hide { "Reactors" }
        thead { tr { th scope="col" { "Name" } th.end scope="col" { "Behind" } th.end scope="col" { "Waiting" } th.end scope="col" { "Failed" } } }
        tbody { @for it in reactors { tr {
            td { (words::words(&it.name)) @if let Some(held) = &it.held { div.soft { (ui::sentence(held)) } } }
            td.end.num { (it.events_behind) } td.end.num { (it.tasks_pending) } td.end.num { (it.tasks_dead) }
        } } }
    } } }
}

fn tasks(visit: &Visit, title: &str, tasks: &[Task]) -> Markup {
    html! { @if !tasks.is_empty() { section.card { header { h2 { (title) } } table.table { caption.hide { (title) }
        thead { tr { th scope="col" { "Task" } th.only-wide scope="col" { "Organization" } th scope="col" { "Last error" } th.end scope="col" { "Next attempt" } } }
        tbody { @for it in tasks { tr {
            td { (words::words(&it.kind)) div.soft { (words::words(&it.reactor)) ", " (count(it.attempts, "attempt")) } }
            td.only-wide { a href=(format!("/admin/organizations/{}", it.organization)) { code { (it.organization) } } }
            td { (it.last_error.as_deref().unwrap_or("none")) }
            td.end { @if it.state == "dead" && visit.may("system:write") {
                (ui::button(&visit.frame, &format!("/admin/system/tasks/{}/retry", it.id), "btn edge", html! { "Retry" }))
            } @else { (time::maybe(&visit.frame, it.next_attempt_at, "now")) } }
        } } }
    } } } }
}

fn failed(visit: &Visit, failures: &[FailedTimer]) -> Markup {
    html! { @if !failures.is_empty() { section.card { header { h2 { "Failed timers" } } table.table { caption.hide { "Failed timers" }
        thead { tr { th scope="col" { "Timer" } th.only-wide scope="col" { "Organization" } th scope="col" { "Error" } th.end scope="col" { "Next attempt" } } }
        tbody { @for it in failures { tr {
            td { (words::words(&it.kind)) div.soft { (count(it.attempts, "attempt")) } } td.only-wide { (ui::id(&it.organization)) }
            td { (it.error) } td.end { (time::instant(&visit.frame, it.retry_at)) }
        } } }
    } } } }
}

fn due(visit: &Visit, timers: &[Timer]) -> Markup {
    html! { section.card { header { h2 { "Due next" } }
        @if timers.is_empty() { p.in.soft { "Nothing is planned." } } @else { table.table { caption.hide { "Timers that are due next" }
            thead { tr { th scope="col" { "Timer" } th.only-wide scope="col" { "Organization" } th.only-wide scope="col" { "About" } th.end scope="col" { "Due" } } }
            tbody { @for it in timers { tr {
                td { (words::words(&it.kind)) @if let Some(lane) = &it.lane { div.soft { "lane " (lane) } } }
                td.only-wide { a href=(format!("/admin/organizations/{}", it.organization)) { code { (it.organization) } } }
                td.only-wide { (ui::id(&it.subject)) } td.end { (time::instant(&visit.frame, it.due_at)) }
            } } } } }
    } }
}

async fn retry(visit: Visit, fields: Fields) -> Result<Response, crate::failure::Failure> {
    let path = format!("/v1/platform/tasks/{}/retry", visit.param("task"));
    visit.client.post(path).key(fields.key()).json(&json!({})).send::<Value>().await?;
    Ok(visit.done("/admin/system", &Message { text: "The task is attempted again.".to_owned(), ..Message::default() }))
}
