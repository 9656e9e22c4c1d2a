//! Internal notes of the platform's staff on tickets, of which organizations learn nothing.

use axum::{Json, extract::State, response::Response};
use jiff::Timestamp;
use porttask_domain::{
    OrganizationId, UserId,
    support::{
        Ticket, TicketNote,
        ticket::TicketText,
        ticket_note::{Command, TicketNoteId},
    },
};
use porttask_projections::{
    ColumnType, ReadModel,
    support::{ticket::Tickets, ticket_note as view},
};
use porttask_runtime::{
    execute::Tx,
    log::PartitionId,
    views::{Condition, Direction, Query},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{
    app::App,
    listing::Page,
    permissions::ManageTickets,
    problem::Problem,
    request::{Authorized, CommandParameters, CommandRequest, Id},
    response::{CommandResult, place_of},
};

/// The routes of notes.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(add_ticket_note, list_ticket_notes))
}

/// Maximum notes of a ticket that are returned.
const MAX_NOTES: usize = 200;

/// An internal note on a ticket.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TicketNote)]
pub(crate) struct TicketNoteResponse {
    id: TicketNoteId,
    /// The super admin who wrote it.
    author: UserId,
    /// The text; null once it was erased.
    text: Option<String>,
    created_at: Timestamp,
}

/// A page of notes.
type TicketNotePage = Page<TicketNoteResponse>;

impl From<view::TicketNote> for TicketNoteResponse {
    fn from(row: view::TicketNote) -> Self {
        Self { id: row.note, author: row.author, text: row.text, created_at: row.created_at }
    }
}

/// An internal note to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTicketNote {
    /// One or several lines.
    #[schema(value_type = String, max_length = 10_000, example = "Their accountant calls back tomorrow.")]
    text: TicketText,
}

/// Add an internal note to a ticket.
///
/// It is recorded in the platform's organization: that of the ticket does not learn of it. Needs `tickets:manage`.
#[utoipa::path(post, path = "/v1/organizations/{org}/tickets/{ticket}/notes", tag = "tickets",
    params(CommandParameters), request_body = NewTicketNote, responses((status = 201, body = CommandResult)))]
pub(crate) async fn add_ticket_note(
    State(app): State<App>,
    ticket: Id<Ticket>,
    request: CommandRequest<ManageTickets, NewTicketNote>,
) -> Result<Response, Problem> {
    let (organization, ticket) = (request.caller.organization, ticket.get()?);
    let place = format!("{}/tickets/{ticket}/notes", place_of(organization));
    let (note, request) = (request.new_id(&app), request.in_the_platform());
    let (text, by) = (&request.body.text, request.caller.identity.user);
    let work = move |tx: Tx| async move {
        if tx.read_in::<Ticket>(organization, ticket).await?.status().is_none() {
            return Err(Id::<Ticket>::not_found());
        }
        let command = Command::Add { organization, ticket, by, text: text.clone() };
        Ok(tx.decide_new::<TicketNote>(note, &command).await?)
    };
    Ok(request.run::<TicketNote, _>(&app, note, work).await?.created(&place))
}

/// List the internal notes on a ticket, the latest first.
///
/// Returns at most 200. Needs `tickets:manage`.
#[utoipa::path(get, path = "/v1/organizations/{org}/tickets/{ticket}/notes", tag = "tickets",
    responses((status = 200, body = TicketNotePage)))]
pub(crate) async fn list_ticket_notes(
    State(app): State<App>,
    caller: Authorized<ManageTickets>,
    ticket: Id<Ticket>,
) -> Result<Json<TicketNotePage>, Problem> {
    let ticket = ticket.get()?;
    caller.catch_up_everywhere(&app, Tickets::NAME).await?;
    caller.catch_up_everywhere(&app, view::TicketNotes::NAME).await?;
    let row = caller.row::<Tickets>(&app, &[ticket.to_value()]).await?;
    row.ok_or_else(Id::<Ticket>::not_found)?;
    let conditions = vec![
        Condition::Equal("organization", OrganizationId::PLATFORM.to_value()),
        Condition::Equal("ticket", ticket.to_value()),
    ];
    let query = Query {
        partition: PartitionId::PLATFORM,
        conditions,
        sort: vec!["created_at", "note"],
        direction: Direction::Descending,
        limit: MAX_NOTES,
        ..Query::default()
    };
    // Reads by staff are recorded in the organization, with the ids of what is shown: not with those of notes.
    let rows = app.views.rows::<view::TicketNotes>(&query).await?;
    let items = rows.into_iter().map(TicketNoteResponse::from).collect();
    Ok(Json(Page { items, next_cursor: None, total: None }))
}
