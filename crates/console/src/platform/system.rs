//! System health: whether the read models agree with the log, what waits, and what failed.

use axum::{Router, routing::get};
use futures_util::join;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use crate::{
    Console,
    api::Page,
    ui::{self, time, words},
    visit::{Answered, Visit},
};

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/admin/system", get(show))
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

#[derive(Debug, Deserialize)]
struct Failed {
    items: Vec<FailedTimer>,
}

async fn show(visit: Visit) -> Answered {
    let (timers, failures) = join!(
        visit.client.get("/v1/platform/timers").query([("limit", "20")]).send::<Page<Timer>>(),
        visit.client.get("/v1/platform/timer-failures").send::<Failed>(),
    );
    let (timers, failures) = (timers?.body, failures?.body);
    let content = html! {
        (ui::head("System health", "Whether the service keeps up, and what failed.", html! {}))
        (failed(&visit, &failures.items))
        (due(&visit, &timers.items))
    };
    Ok(visit.page("System health", &[("Administration", "/admin/organizations"), ("System health", "")], content))
}

fn failed(visit: &Visit, failures: &[FailedTimer]) -> Markup {
    html! { @if !failures.is_empty() { section.card { header { h2 { "Timers that failed" } } table.table {
        caption.hide { "Timers that failed" }
        thead { tr { th scope="col" { "Timer" } th.only-wide scope="col" { "Organization" } th scope="col" { "Error" } th.end scope="col" { "Next attempt" } } }
        tbody { @for it in failures { tr {
            td { (words::words(&it.kind)) div.soft { (it.attempts) " attempts" } } td.only-wide { (ui::id(&it.organization)) }
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
