//! The list of port calls.

use futures_util::join;
use maud::{Markup, html};
use serde::Deserialize;

use super::{PortCall, URL};
use crate::{
    api::Page,
    form::attachment,
    ui::{
        self, icon,
        list::{Asked, Column, Listing, Select},
        time, words,
    },
    visit::{Answered, Visit},
};

const TABS: [(&str, &str); 5] = [
    ("", "All"),
    ("expected", "Expected"),
    ("in_port", "In port"),
    ("departed", "Departed"),
    ("finished", "Closed and canceled"),
];
const FILTERS: [&str; 7] = ["q", "phase", "port", "agent", "eta_from", "sort", "cursor"];

/// A user who can be responsible.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Agent {
    pub(crate) id: String,
    name: Option<String>,
}

impl Agent {
    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("Erased user")
    }

    /// A choice of them: the id and the name.
    pub(crate) fn option(&self) -> (&str, &str) {
        (&self.id, self.name())
    }
}

/// The users who can be responsible; none if they cannot be read now.
pub(crate) async fn agents(visit: &Visit) -> Vec<Agent> {
    let found = visit.get("/port-calls/agents").send::<Page<Agent>>().await;
    found.map(|answer| answer.body.items).unwrap_or_default()
}

/// The end of the day that was entered as the last one.
fn until(asked: &Asked) -> String {
    let day = asked.get("eta_until");
    let next = day.parse::<jiff::civil::Date>().and_then(jiff::civil::Date::tomorrow);
    next.map_or_else(|_| day.to_owned(), |next| next.to_string())
}

pub(super) async fn list(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let until = until(&asked);
    let call = visit.get("/port-calls").query(asked.pick(&FILTERS)).query([("eta_until", until.as_str())]);
    let call = call.query([("limit", "25"), ("count", "true")]);
    let (found, agents) = join!(call.page::<PortCall>(), agents(&visit));
    let found = found?;
    let new = html! { @if visit.may("operations:write") { a.btn.main-act href=(format!("{URL}/new")) { (icon("plus")) "New port call" } } };
    let agents: Vec<(&str, &str)> =
        [("", "Any agent")].into_iter().chain(agents.iter().map(|it| (it.id.as_str(), it.name()))).collect();
    let listing = Listing {
        name: "Port calls",
        tabs: Some(("phase", &TABS)),
        search: Some("Vessel, IMO number, voyage or port"),
        selects: &[Select { name: "agent", label: "Agent", options: &agents }],
        inputs: &[("port", "Port", "text"), ("eta_from", "ETA from", "date"), ("eta_until", "to", "date")],
        columns: &[
            Column("Vessel", "vessel", ""),
            Column("Port", "", "only-wide"),
            Column("ETA", "eta", "only-wide"),
            Column("ETD", "", "only-wide"),
            Column("Agent", "", "only-wide"),
            Column("Status", "", "only-wide"),
        ],
        nothing: ui::empty(
            "ship",
            "No port call yet",
            "A port call is a vessel at a port, from its plan until it is closed.",
            new.clone(),
        ),
        panel: None,
    };
    let export = asked.changed(&[("cursor", "")]).replacen(URL, &format!("{URL}/export"), 1);
    let actions = html! {
        a.btn.edge data-download href=(export) { (icon("download")) "Export" }
        @if visit.may("operations:write") { a.btn.edge href=(format!("{URL}/import")) { (icon("upload")) "Import" } }
        (new)
    };
    let content = html! {
        (ui::head("Port calls", "Which vessels call at which ports. Times are those of the port.", actions))
        (listing.render(&visit.frame, &asked, &found, row))
    };
    Ok(visit.page("Port calls", &[("Operations", URL), ("Port calls", "")], content))
}

fn row(it: &PortCall) -> Markup {
    let zone = &it.port.time_zone;
    html! { tr id=(it.id) {
        td { a.stretch href=(it.url("")) { b { (it.vessel) } } div.soft { "IMO " (it.imo) @if let Some(voyage) = &it.voyage { " · " (voyage) } }
            span.only-narrow { (it.port.name) ", " (time::at_port(it.eta, zone)) " " (words::status(&it.status)) } }
        td.only-wide { (it.port.name) div.soft { (it.port.unlocode) } }
        td.fit.only-wide { (time::at_port(it.eta, zone)) }
        td.fit.only-wide { (time::at_port(it.etd, zone)) }
        td.only-wide { (it.agent_name()) }
        td.fit.only-wide { (words::status(&it.status)) }
    } }
}

/// The filtered list as CSV.
pub(super) async fn export(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let until = until(&asked);
    let names: Vec<&str> = FILTERS.into_iter().filter(|name| *name != "cursor").collect();
    let call = visit.get("/port-calls").query(asked.pick(&names));
    let call = call.query([("eta_until", until.as_str()), ("format", "csv")]);
    Ok(attachment(call.download().await?, "port-calls.csv"))
}
