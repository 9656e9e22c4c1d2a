//! Lists of service orders.

use maud::{Markup, html};

use super::{ServiceOrder, URL};
use crate::{
    api::Page,
    ui::{
        self,
        list::{Asked, Column, Listing},
        words,
    },
    visit::{Answered, Visit},
};

const TABS: [(&str, &str); 8] = [
    ("", "All"),
    ("draft", "Draft"),
    ("assigned", "Asked"),
    ("accepted", "Accepted"),
    ("declined", "Declined"),
    ("in_progress", "In progress"),
    ("completed", "Completed"),
    ("canceled", "Canceled"),
];

pub(super) async fn list(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let call = visit.get("/service-orders").query(asked.pick(&["status", "vendor", "port_call", "sort", "cursor"]));
    let found = call.query([("limit", "25"), ("count", "true")]).page::<ServiceOrder>().await?;
    let listing = Listing {
        name: "Service orders",
        tabs: Some(("status", &TABS)),
        search: None,
        selects: &[],
        inputs: &[],
        columns: &[
            Column("Service", "", ""),
            Column("Vendor", "", "only-wide"),
            Column("Needed", "requested_at", "only-wide"),
            Column("Price", "", "only-wide"),
            Column("Status", "", "only-wide"),
        ],
        nothing: ui::empty(
            "package",
            "No service order yet",
            "Services are ordered on the page of a port call.",
            html! {},
        ),
        panel: None,
    };
    let content = html! {
        (ui::head("Service orders", "What vendors are asked to do. Times are those of the port.", html! {}))
        (listing.render(&visit.frame, &asked, &found, row))
    };
    Ok(visit.page("Service orders", &[("Operations", "/operations/port-calls"), ("Service orders", "")], content))
}

fn row(it: &ServiceOrder) -> Markup {
    html! { tr id=(it.id) {
        td { a.stretch href=(it.url("")) { b { (words::words(&it.service)) } }
            div.soft { (it.vessel()) @if let Some(port) = &it.port_name { ", " (port) } }
            span.only-narrow { (it.vendor_name.as_deref().unwrap_or("No vendor")) " " (words::status(&it.status)) } }
        td.only-wide { (it.vendor_name.as_deref().unwrap_or("–")) }
        td.fit.only-wide { (it.needed()) }
        td.fit.only-wide { @if let Some(price) = &it.price { (price) } @else { "–" } }
        td.fit.only-wide { (words::status(&it.status)) }
    } }
}

/// The service orders of a port call, as a section of its page.
pub(crate) async fn of_port_call(visit: &Visit, port_call: &str, is_open: bool) -> Markup {
    let call = visit.get("/service-orders").query([("port_call", port_call), ("limit", "100")]);
    let orders = call.send::<Page<ServiceOrder>>().await.map(|answer| answer.body.items).unwrap_or_default();
    let add = format!("/operations/port-calls/{port_call}/order");
    html! { section.card { header { h2 { "Service orders" }
        @if is_open && visit.may("operations:write") { a.btn.edge href=(add) { (ui::icon("plus")) "Order a service" } } }
        @if orders.is_empty() { p.in.soft { "None." } } @else { ul.rows { @for it in &orders { li {
            div { a href=(format!("{URL}/{}", it.id)) { b { (words::words(&it.service)) } } " " (words::status(&it.status))
                div.soft { (it.vendor_name.as_deref().unwrap_or("No vendor yet")) " · " (it.needed()) } }
        } } } }
    } }
}
