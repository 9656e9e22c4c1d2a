//! The thread of a ticket.

use axum::{Json, extract::State};
use jiff::Timestamp;
use porttask_domain::{
    OrganizationId,
    support::{Ticket, ticket::Author},
};
use porttask_projections::{
    ColumnType,
    support::{
        ticket::Tickets,
        ticket_entry::{self as view, EntryKind},
    },
};
use porttask_runtime::views::Condition;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::people::{self, TicketPerson};
use crate::http::{
    app::App,
    listing::{Page, Sort},
    permissions::{Impersonable, ReadTickets},
    problem::Problem,
    request::{Id, List, ListParameters, Listed},
};

/// An entry in the thread of a ticket.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TicketEntry)]
pub(crate) struct TicketEntryResponse {
    /// The version of the ticket with this entry. Changes that are not shown in the thread leave gaps.
    version: u64,
    #[schema(value_type = String, example = "reply", pattern = "^(opened|reply|escalated|response_missed|handed_over|resolved|reopened)$")]
    kind: EntryKind,
    /// Who wrote or did it, or to whom the ticket was handed over; null for the platform itself.
    author: Option<TicketPerson>,
    /// What was written: the text, or the reason of an escalation. Null if nothing was, or once it was erased.
    text: Option<String>,
    occurred_at: Timestamp,
}

/// A page of entries.
type TicketEntryPage = Page<TicketEntryResponse>;

impl From<view::TicketEntry> for TicketEntryResponse {
    fn from(row: view::TicketEntry) -> Self {
        let author = row.author.zip(row.side).map(|(user, side)| Author { user, side }.into());
        Self { version: row.version, kind: row.kind, author, text: row.text, occurred_at: row.occurred_at }
    }
}

/// There are no filters of entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct TicketEntryFilter {}

impl Listed for view::TicketEntries {
    type Item = TicketEntryResponse;
    type Filter = TicketEntryFilter;
    const SORTS: &'static [Sort] = &[("version", &["version"])];

    fn conditions(_: TicketEntryFilter) -> Result<Vec<Condition>, Problem> {
        Ok(Vec::new())
    }

    async fn complete(
        app: &App,
        organization: OrganizationId,
        mut items: Vec<TicketEntryResponse>,
    ) -> Result<Vec<TicketEntryResponse>, Problem> {
        let authors = items.iter_mut().filter_map(|item| item.author.as_mut()).collect();
        people::complete(app, organization, authors).await?;
        Ok(items)
    }
}

/// List what was written in a ticket, and what happened to it.
///
/// Oldest first, unless sorted otherwise. Needs `tickets:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/tickets/{ticket}/entries", tag = "tickets",
    extensions(("x-impersonable" = json!(true))), params(ListParameters<view::TicketEntries>),
    responses((status = 200, body = TicketEntryPage)))]
pub(crate) async fn list_ticket_entries(
    State(app): State<App>,
    ticket: Id<Ticket>,
    entries: List<Impersonable<ReadTickets>, view::TicketEntries>,
) -> Result<Json<TicketEntryPage>, Problem> {
    let id = ticket.get()?.to_value();
    entries.page_of::<Tickets>(&app, ("ticket", id), Id::<Ticket>::not_found).await
}
