//! Port calls as CSV.

use porttask_domain::{
    Personal, TextEnum,
    compliance::export::{Command, Event, Format, PortCallSelection},
};
use porttask_projections::operations::port_call as view;

use super::bodies::{PortCallFilter, PortCallResponse, PortResponse};
use crate::http::request::{Exported, ListFormat};

impl Exported for view::PortCalls {
    const FILE: &'static str = "port-calls";
    const NAMES: &'static [&'static str] = &[
        "id",
        "reference",
        "vessel",
        "imo",
        "voyage",
        "port",
        "port_name",
        "port_country",
        "time_zone",
        "eta",
        "etd",
        "agent",
        "agent_name",
        "status",
        "created_at",
    ];

    fn format(filter: &PortCallFilter) -> ListFormat {
        filter.format
    }

    fn recorded(filter: &PortCallFilter, text: Option<Personal>) -> Command {
        let PortCallFilter { status, phase, port, agent, eta_from, eta_until, format: _ } = filter;
        let selection = PortCallSelection {
            status: *status,
            phase: *phase,
            port: port.as_ref().map(|port| port.as_str().to_owned()),
            agent: *agent,
            eta_from: eta_from.map(|from| from.0),
            eta_until: eta_until.map(|until| until.0),
            text,
        };
        Command::Take(Event::PortCallsTaken { format: Format::Csv, selection })
    }

    fn fields(call: PortCallResponse) -> Vec<String> {
        let text = |value: Option<String>| value.unwrap_or_default();
        let PortResponse { unlocode, name, country, time_zone } = call.port;
        vec![
            call.id.to_string(),
            text(call.reference),
            call.vessel,
            call.imo,
            text(call.voyage),
            unlocode,
            name,
            country,
            time_zone,
            call.eta.to_string(),
            call.etd.to_string(),
            call.agent.to_string(),
            text(call.agent_name),
            call.status.as_str().to_owned(),
            call.created_at.to_string(),
        ]
    }
}
