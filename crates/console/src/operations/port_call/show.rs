//! One port call: its facts, its statuses, and what can be done with it.

use futures_util::join;
use maud::{Markup, html};

use super::{PortCall, URL};
use crate::{
    compliance::audit_log::history,
    operations::{document::of_subject, service_order::of_port_call},
    ui::{self, icon, time, words},
    visit::{Answered, Visit},
};

pub(super) async fn show(visit: Visit) -> Answered {
    let answer = visit.get(&format!("/port-calls/{}", visit.param("port_call"))).send::<PortCall>().await?;
    let (call, version) = (answer.body, answer.etag);
    let (history, orders, documents) = join!(
        history(&visit, &call.id, &call.port.time_zone),
        of_port_call(&visit, &call.id, call.next().is_some()),
        of_subject(&visit, &call.id, call.status != "canceled")
    );
    let title = call.title();
    let content = html! {
        (ui::changed(&visit.frame, false))
        div.head data-version=[version] { div { h1 { (title) } p { (words::status(&call.status)) } } div.row { (actions(&visit, &call)) } }
        div.grid.wide {
            div.form {
                section.card { header { h2 { "Port call" } } (facts(&visit, &call)) }
                section.card { header { h2 { "Statuses" } } (timeline(&visit, &call)) }
                (orders)
                (documents)
            }
            @if let Some(history) = history { (history) }
        }
    };
    Ok(visit.page(&title, &[("Port calls", URL), (&title, "")], content))
}

/// What can be done: nothing that the reader may not, or that the status does not allow.
fn actions(visit: &Visit, call: &PortCall) -> Markup {
    let link = |rest: &str, class: &str, sign: &str, text: &str| ui::sheet_link(&call.url(rest), class, sign, text);
    let (next, has_step) = (call.next(), call.statuses.len() > 1);
    html! {
        @if visit.may("operations:write") {
            @if let Some(next) = next { (link("/status", "btn main-act", "check", &format!("{}…", words::words(next)))) }
            @if next.is_some() {
                @if has_step { (link("/revert-status", "btn edge", "rotate-ccw", "Take back…")) }
                a.btn.edge href=(call.url("/edit")) { (icon("pencil")) "Change" }
                (link("/cancel", "btn edge", "circle-x", "Cancel it…"))
            }
            @if next.is_none() && visit.may("operations:manage") { (link("/reopen", "btn edge", "rotate-ccw", "Reopen…")) }
            @if visit.may("operations:manage") || matches!(call.status.as_str(), "planned" | "canceled") {
                (link("/delete", "btn edge", "trash-2", "Delete…"))
            }
        }
    }
}

fn facts(visit: &Visit, call: &PortCall) -> Markup {
    let zone = &call.port.time_zone;
    html! { dl.facts {
        dt { "Vessel" } dd { (call.vessel) br; span.soft { "IMO " (call.imo) } }
        dt { "Voyage" } dd { (call.voyage.as_deref().unwrap_or("–")) }
        @if let Some(reference) = &call.reference { dt { "Reference" } dd { (reference) } }
        dt { "Port" } dd { (call.port.name) ", " (call.port.country) br; span.soft { (call.port.unlocode) " · " (zone) } }
        dt { "ETA" } dd { (time::at_port(call.eta, zone)) }
        dt { "ETD" } dd { (time::at_port(call.etd, zone)) }
        dt { "Agent" } dd { @if visit.may("users:read") { a href=(visit.url(&format!("/users/{}", call.agent))) { (call.agent_name()) } } @else { (call.agent_name()) } }
        dt { "Created" } dd { (time::instant(&visit.frame, call.created_at)) }
        dt { "Id" } dd { (ui::id(&call.id)) }
    } }
}

fn timeline(visit: &Visit, call: &PortCall) -> Markup {
    html! { ul.rows { @for reached in &call.statuses { li {
        div { (words::status(&reached.status)) @if let Some(remark) = &reached.remark { div.soft { (remark) } } }
        @match reached.occurred_at { Some(at) => (time::at_port(at, &call.port.time_zone)), None => (time::instant(&visit.frame, call.created_at)) }
    } } } }
}
