//! One service order: what is ordered, and what the vendor says.

use futures_util::join;
use maud::{Markup, html};

use super::{ServiceOrder, URL};
use crate::{
    compliance::audit_log::history,
    operations::document::of_subject,
    ui::{self, icon, time, words},
    visit::{Answered, Visit},
};

pub(super) async fn show(visit: Visit) -> Answered {
    let answer = visit.get(&format!("/service-orders/{}", visit.param("service_order"))).send::<ServiceOrder>().await?;
    let (order, version) = (answer.body, answer.etag);
    let (history, documents) =
        join!(history(&visit, &order.id, order.zone()), of_subject(&visit, &order.id, order.status != "canceled"));
    let title = order.title();
    let content = html! {
        (ui::changed(&visit.frame, false))
        div.head data-version=[version] { div { h1 { (title) } p { (words::status(&order.status)) } } div.row { (actions(&visit, &order)) } }
        div.grid.wide {
            div.form {
                section.card { header { h2 { "Order" } } (facts(&visit, &order)) }
                (documents)
            }
            div.form {
                section.card { header { h2 { "Answers" } } (answers(&visit, &order)) }
                @if let Some(history) = history { (history) }
            }
        }
    };
    Ok(visit.page(&title, &[("Service orders", URL), (&title, "")], content))
}

/// What can be done: nothing that the reader may not, or that the status does not allow.
fn actions(visit: &Visit, order: &ServiceOrder) -> Markup {
    if !visit.may("operations:write") || !order.is_open() {
        return html! {};
    }
    let link = |rest: &str, class: &str, sign: &str, text: &str| ui::sheet_link(&order.url(rest), class, sign, text);
    let status = order.status.as_str();
    html! {
        @if status != "in_progress" { (link("/assign", "btn main-act", "truck", if order.vendor.is_some() { "Ask another vendor…" } else { "Ask a vendor…" })) }
        @if status == "assigned" || status == "accepted" { (link("/ask-again", "btn edge", "mail", "Ask again…")) }
        @if order.vendor.is_some() { (link("/answer", "btn edge", "check", "Record an answer…")) }
        @if status == "accepted" { (link("/start", "btn edge", "activity", "Started…")) }
        a.btn.edge href=(order.url("/edit")) { (icon("pencil")) "Change" }
        (link("/cancel", "btn edge", "circle-x", "Cancel it…"))
    }
}

fn facts(visit: &Visit, order: &ServiceOrder) -> Markup {
    html! { dl.facts {
        dt { "Port call" } dd { a href=(format!("/operations/port-calls/{}", order.port_call)) { (order.vessel()) } @if let Some(port) = &order.port_name { ", " (port) } }
        dt { "Service" } dd { (words::words(&order.service)) }
        dt { "Needed" } dd { (order.needed()) }
        dt { "Price" } dd { @if let Some(price) = &order.price { (price) } @else { "–" } }
        dt { "Details" } dd { @for line in order.details.lines() { (line) br; } }
        dt { "Vendor" } dd { @match (&order.vendor, &order.vendor_name) {
            (Some(vendor), Some(name)) => a href=(format!("/operations/vendors/{vendor}")) { (name) },
            _ => "nobody was asked yet",
        } }
        @if let Some(until) = order.answerable_until { dt { "Link" } dd { "valid until " (time::at_port(until, order.zone())) } }
        dt { "Created" } dd { (time::instant(&visit.frame, order.created_at)) }
        dt { "Id" } dd { (ui::id(&order.id)) }
    } }
}

fn answers(visit: &Visit, order: &ServiceOrder) -> Markup {
    html! { @if order.answers.is_empty() { p.in.soft { "None to the last request." } } @else { ul.rows { @for it in &order.answers { li {
        div { (words::status(&it.answer)) " " @if it.by == "vendor" { "by the vendor" } @else { "recorded by a user" }
            @if let Some(remark) = &it.remark { div.soft { (remark) } } }
        (time::instant(&visit.frame, it.answered_at))
    } } } } }
}
