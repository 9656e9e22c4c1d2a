//! Lists of service orders.

use futures_util::join;
use maud::{Markup, html};

use super::{ServiceOrder, URL};
use crate::{
    api::{Found, Page},
    form::attachment,
    operations::vendor::{all_named, services},
    ui::{
        self, icon,
        list::{Asked, Column, Listing, Select},
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

const FILTERS: [&str; 7] = ["q", "status", "service", "vendor", "port_call", "sort", "cursor"];

pub(super) async fn list(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let call = visit.get("/service-orders").query(asked.pick(&FILTERS)).query([("limit", "25"), ("count", "true")]);
    let (found, vendors) = join!(call.page::<ServiceOrder>(), all_named(&visit));
    let found = found?;
    let vendors: Vec<(&str, &str)> =
        [("", "Any vendor")].into_iter().chain(vendors.iter().map(|it| it.option())).collect();
    let services = services();
    let services: Vec<(&str, &str)> =
        [("", "Any service")].into_iter().chain(services.iter().map(|(code, name)| (*code, name.as_str()))).collect();
    let listing = Listing {
        name: "Service orders",
        tabs: Some(("status", &TABS)),
        search: Some("Service or details"),
        selects: &[
            Select { name: "service", label: "Service", options: &services },
            Select { name: "vendor", label: "Vendor", options: &vendors },
        ],
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
    let export = asked.changed(&[("cursor", "")]).replacen(URL, &format!("{URL}/export"), 1);
    let actions = html! { a.btn.edge data-download href=(export) { (icon("download")) "Export" } };
    let content = html! {
        (ui::head("Service orders", "What vendors are asked to do. Times are those of the port.", actions))
        (narrowed(&asked, &found))
        (listing.render(&visit.frame, &asked, &found, row))
    };
    Ok(visit.page("Service orders", &[("Operations", "/operations/port-calls"), ("Service orders", "")], content))
}

/// The port call to which the list is narrowed, with a link to it and one to all orders.
fn narrowed(asked: &Asked, found: &Found<ServiceOrder>) -> Markup {
    let call = asked.get("port_call");
    let of = |page: &Page<ServiceOrder>| page.items.first().map(|it| it.vessel().to_owned());
    let name = found.as_ref().ok().and_then(of).unwrap_or_else(|| call.to_owned());
    html! { @if !call.is_empty() { div.row { span.tag { "Port call: " (name)
    a href=(asked.with("port_call", "")) aria-label="Remove the filter port call" { (icon("x")) } } } } }
}

/// The filtered list as CSV.
pub(super) async fn export(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let names: Vec<&str> = FILTERS.into_iter().filter(|name| *name != "cursor").collect();
    let call = visit.get("/service-orders").query(asked.pick(&names)).query([("format", "csv")]);
    Ok(attachment(call.download().await?, "service-orders.csv"))
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
    // As many as a port call can have.
    let call = visit.get("/service-orders").query([("port_call", port_call), ("limit", "200")]);
    let found = call.send::<Page<ServiceOrder>>().await.map(|answer| answer.body);
    let all = Asked::of(URL).with("port_call", port_call);
    let add = format!("/operations/port-calls/{port_call}/order");
    html! { section.card { header { h2 { "Service orders" }
        @if is_open && visit.may("operations:write") { a.btn.edge href=(add) { (icon("plus")) "Order a service" } } }
        @match found {
            Err(problem) => p.in.soft { "They could not be loaded: " (problem.detail) },
            Ok(page) if page.items.is_empty() => p.in.soft { "None." },
            Ok(page) => {
                ul.rows { @for it in &page.items { li data-version=(it.version) {
                    div { a href=(it.url("")) { b { (words::words(&it.service)) } } " " (words::status(&it.status))
                        div.soft { (it.vendor_name.as_deref().unwrap_or("No vendor yet")) " · " (it.needed()) } }
                } } }
                @if page.next_cursor.is_some() { p.in { a href=(all) { "All service orders" } } }
            }
        }
    } }
}
