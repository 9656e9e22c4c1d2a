//! Tickets in requests and responses.

use jiff::Timestamp;
use porttask_domain::{
    OrganizationId, Reason, UserId,
    support::ticket::{Author, Command, Status, TicketId, TicketKind, TicketSubject, TicketText},
};
use porttask_projections::{ColumnType, support::ticket as view};
use porttask_runtime::views::Condition;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::people::TicketPerson;
use crate::http::{
    listing::Page,
    problem::Problem,
    request::{ListFormat, nullable},
};

/// A ticket.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ticket)]
pub(crate) struct TicketResponse {
    pub(super) id: TicketId,
    pub(super) organization: OrganizationId,
    /// The number within the organization: 1, 2, 3, …
    pub(super) number: u64,
    pub(super) kind: TicketKind,
    /// The subject; null once it was erased.
    pub(super) subject: Option<String>,
    pub(super) status: Status,
    pub(super) opened_by: TicketPerson,
    /// Who asks and gets the emails: who opened it, or to whom it was handed over when that user was deactivated.
    pub(super) requester: TicketPerson,
    pub(super) opened_at: Timestamp,
    /// When something was last written or done.
    pub(super) last_activity_at: Timestamp,
    /// The number of texts: the first and all replies.
    pub(super) messages: u64,
    /// Whether it is escalated and not resolved.
    pub(super) escalated: bool,
    /// The last escalation; null if there was none.
    pub(super) escalation: Option<TicketEscalation>,
    /// The member of the staff to whom it is assigned; null if there is none.
    pub(super) assignee: Option<TicketPerson>,
    /// When it was resolved; null if it is open.
    pub(super) resolved_at: Option<Timestamp>,
    /// The version: the ETag.
    pub(super) version: u64,
}

/// An escalation of a ticket.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct TicketEscalation {
    pub(super) escalated_at: Timestamp,
    /// By when staff has to reply, or had to.
    pub(super) response_due_at: Timestamp,
    /// When staff replied; null if nobody has.
    pub(super) responded_at: Option<Timestamp>,
    /// Whether staff has not replied in time.
    pub(super) response_missed: bool,
}

/// A page of tickets.
pub(super) type TicketPage = Page<TicketResponse>;

impl From<view::Ticket> for TicketResponse {
    fn from(row: view::Ticket) -> Self {
        let escalation = row.escalated_at.zip(row.response_due_at).map(|(escalated_at, response_due_at)| {
            let (responded_at, response_missed) = (row.responded_at, row.response_missed);
            TicketEscalation { escalated_at, response_due_at, responded_at, response_missed }
        });
        Self {
            id: row.ticket,
            organization: row.organization,
            number: row.ticket_number,
            kind: row.kind,
            subject: row.subject,
            status: row.status,
            opened_by: Author { user: row.opened_by, side: row.opened_side }.into(),
            requester: Author { user: row.requester, side: row.opened_side }.into(),
            opened_at: row.opened_at,
            last_activity_at: row.last_activity_at,
            messages: row.messages,
            escalated: row.escalated,
            escalation,
            assignee: row.assignee.map(TicketPerson::staff),
            resolved_at: row.resolved_at,
            version: row.version,
        }
    }
}

impl TicketResponse {
    /// Whoever it names.
    pub(super) fn people(&mut self) -> impl Iterator<Item = &mut TicketPerson> {
        [&mut self.opened_by, &mut self.requester].into_iter().chain(self.assignee.as_mut())
    }
}

/// Filters of tickets.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct TicketFilter {
    /// Only tickets with this status.
    pub(super) status: Option<Status>,
    /// Only tickets of this kind.
    pub(super) kind: Option<TicketKind>,
    /// Only tickets that are escalated and not resolved; with `false`, only others.
    pub(super) escalated: Option<bool>,
    /// `json` (default) is in pages; `csv` contains all rows, without `limit`, `cursor` and `count`. That they were exported
    /// is recorded in the audit log.
    #[serde(default)]
    pub(super) format: ListFormat,
}

impl TicketFilter {
    pub(super) fn conditions(&self) -> Vec<Condition> {
        conditions(self.status, self.kind, self.escalated)
    }
}

/// The filters that all listings of tickets share, as conditions.
pub(super) fn conditions(status: Option<Status>, kind: Option<TicketKind>, escalated: Option<bool>) -> Vec<Condition> {
    let status = status.map(|status| Condition::Equal("status", status.to_value()));
    let kind = kind.map(|kind| Condition::Equal("kind", kind.to_value()));
    let escalated = escalated.map(|escalated| Condition::Equal("escalated", escalated.to_value()));
    [status, kind, escalated].into_iter().flatten().collect()
}

/// A ticket to be opened.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTicket {
    kind: TicketKind,
    /// One line.
    #[schema(value_type = String, max_length = 200, example = "No invoice since May")]
    subject: TicketSubject,
    /// One or several lines.
    #[schema(value_type = String, max_length = 10_000, example = "The last invoice that we have is of April.")]
    text: TicketText,
}

impl NewTicket {
    pub(super) fn command(&self, number: u64, by: Author) -> Command {
        let (kind, subject, text) = (self.kind, self.subject.clone(), self.text.clone());
        Command::Open { number, kind, subject, text, by }
    }
}

/// A reply to a ticket.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewReply {
    /// One or several lines.
    #[schema(value_type = String, max_length = 10_000, example = "You find it under Settings, Billing.")]
    pub(super) text: TicketText,
}

/// An escalation of a ticket.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEscalation {
    /// Why it is urgent; shown in the ticket.
    #[schema(value_type = String, max_length = 500, example = "The vessel sails today.")]
    pub(super) reason: Reason,
}

/// To whom a ticket is assigned.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assignment {
    /// An active super admin; null for nobody.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<UserId>, required = true)]
    assignee: Option<Option<UserId>>,
}

impl Assignment {
    /// # Errors
    /// If it is left out.
    pub(super) fn assignee(&self) -> Result<Option<UserId>, Problem> {
        self.assignee.ok_or_else(|| Problem::invalid("/assignee", "is required; null means nobody"))
    }
}
