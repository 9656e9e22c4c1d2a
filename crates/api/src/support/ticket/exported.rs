//! Tickets as CSV.

use jiff::Timestamp;
use porttask_domain::{
    Personal, TextEnum,
    compliance::export::{Command, Event, Format, TicketSelection},
};
use porttask_projections::support::ticket as view;

use super::{
    bodies::{TicketFilter, TicketResponse},
    people::TicketPerson,
};
use crate::http::request::{Exported, ListFormat};

/// The header line.
pub(super) const NAMES: [&str; 16] = [
    "id",
    "number",
    "kind",
    "subject",
    "status",
    "opened_by",
    "opened_at",
    "last_activity_at",
    "messages",
    "escalated_at",
    "response_due_at",
    "responded_at",
    "response_missed",
    "assignee",
    "resolved_at",
    "requester",
];

impl Exported for view::Tickets {
    const FILE: &'static str = "tickets";
    const NAMES: &'static [&'static str] = &NAMES;

    fn format(filter: &TicketFilter) -> ListFormat {
        filter.format
    }

    fn recorded(filter: &TicketFilter, text: Option<Personal>) -> Command {
        let TicketFilter { status, kind, escalated, format: _ } = *filter;
        let selection = TicketSelection { status, kind, escalated, text, ..TicketSelection::default() };
        Command::Take(Event::TicketsTaken { format: Format::Csv, selection })
    }

    fn fields(ticket: TicketResponse) -> Vec<String> {
        fields(ticket)
    }
}

/// The fields of a line.
pub(super) fn fields(ticket: TicketResponse) -> Vec<String> {
    let time = |value: Option<Timestamp>| value.map(|it| it.to_string()).unwrap_or_default();
    let escalation = ticket.escalation.as_ref();
    vec![
        ticket.id.to_string(),
        ticket.number.to_string(),
        ticket.kind.as_str().to_owned(),
        ticket.subject.unwrap_or_default(),
        ticket.status.as_str().to_owned(),
        ticket.opened_by.shown(),
        ticket.opened_at.to_string(),
        ticket.last_activity_at.to_string(),
        ticket.messages.to_string(),
        time(escalation.map(|it| it.escalated_at)),
        time(escalation.map(|it| it.response_due_at)),
        time(escalation.and_then(|it| it.responded_at)),
        escalation.map(|it| it.response_missed.to_string()).unwrap_or_default(),
        ticket.assignee.as_ref().map(TicketPerson::shown).unwrap_or_default(),
        time(ticket.resolved_at),
        ticket.requester.shown(),
    ]
}
