//! The tickets of an organization, and of all organizations.

mod all;
mod bodies;
mod entry;
mod exported;
mod people;

use axum::{extract::State, response::Response};
use porttask_app::{identity::access::Caller, support::escalations::response_due_at};
use porttask_domain::{
    OrganizationId,
    identity::{Role, User, user},
    support::{
        Ticket, TicketNumbers,
        ticket::{Author, Command, Side},
        ticket_number::{self, TicketNumbersId},
    },
};
use porttask_projections::{ColumnType, support::ticket as view};
use porttask_runtime::{
    execute::{Tx, stream_of},
    views::Condition,
};
use serde_json::json;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::bodies::{Assignment, NewEscalation, NewReply, NewTicket, TicketFilter, TicketPage, TicketResponse};
use crate::http::{
    app::App,
    changes::Undo,
    document::tagged,
    listing::Sort,
    permissions::{Impersonable, ManageTickets, ReadTickets, WriteTickets},
    problem::Problem,
    request::{Authorized, CommandParameters, CommandRequest, EmptyBody, Id, List, ListParameters, Listed, Resource},
    response::{CommandResult, place_of},
};

/// The routes of tickets.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("tickets", "Support requests and billing inquiries of an organization.")
        .routes(routes!(open_ticket, list_tickets))
        .routes(routes!(get_ticket))
        .routes(routes!(entry::list_ticket_entries))
        .routes(routes!(reply_to_ticket))
        .routes(routes!(escalate_ticket))
        .routes(routes!(assign_ticket))
        .routes(routes!(resolve_ticket))
        .routes(routes!(reopen_ticket))
        .routes(routes!(all::list_all_tickets))
}

impl Listed for view::Tickets {
    type Item = TicketResponse;
    type Filter = TicketFilter;
    const SORTS: &'static [Sort] =
        &[("-last_activity_at", &["last_activity_at", "ticket"]), ("number", &["ticket_number", "ticket"])];

    fn conditions(filter: TicketFilter) -> Result<Vec<Condition>, Problem> {
        Ok(filter.conditions())
    }

    async fn complete(
        app: &App,
        organization: OrganizationId,
        mut items: Vec<TicketResponse>,
    ) -> Result<Vec<TicketResponse>, Problem> {
        people::complete(app, organization, items.iter_mut().flat_map(TicketResponse::people).collect()).await?;
        Ok(items)
    }
}

/// For whom a caller acts: users of the platform's own organization are its staff.
fn author(caller: &Caller) -> Author {
    let is_staff = caller.organization == OrganizationId::PLATFORM;
    Author { user: caller.user, side: if is_staff { Side::Staff } else { Side::Organization } }
}

/// Open a ticket.
///
/// It gets the next number of the organization, and the super admins are notified by email. Needs `tickets:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/tickets", tag = "tickets", params(CommandParameters),
    request_body = NewTicket, responses((status = 201, body = CommandResult)))]
pub(crate) async fn open_ticket(
    State(app): State<App>,
    request: CommandRequest<WriteTickets, NewTicket>,
) -> Result<Response, Problem> {
    let (ticket, numbers) = (request.new_id(&app), TicketNumbersId::from(request.caller.organization));
    let (body, by) = (&request.body, author(&request.caller.identity));
    let work = move |tx: Tx| async move {
        let is_new = tx.read::<Ticket>(ticket).await?.status().is_none();
        let number = tx.read::<TicketNumbers>(numbers).await?.next();
        tx.decide::<Ticket>(ticket, &body.command(number, by)).await?;
        if is_new {
            tx.decide::<TicketNumbers>(numbers, &ticket_number::Command::Take { ticket }).await?;
        }
        Ok(())
    };
    request.create_with::<Ticket, _>(&app, ticket, work).await
}

/// List tickets.
///
/// Needs `tickets:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/tickets", tag = "tickets",
    extensions(("x-impersonable" = json!(true))), params(ListParameters<view::Tickets>),
    responses((status = 200, description = "The tickets", content(
        (TicketPage = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list_tickets(
    State(app): State<App>,
    tickets: List<Impersonable<ReadTickets>, view::Tickets>,
) -> Result<Response, Problem> {
    tickets.answer(&app).await
}

/// Get a ticket.
///
/// Needs `tickets:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/tickets/{ticket}", tag = "tickets",
    extensions(("x-impersonable" = json!(true))), responses((status = 200, body = TicketResponse)))]
pub(crate) async fn get_ticket(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadTickets>>,
    ticket: Id<Ticket>,
) -> Result<Resource<TicketResponse>, Problem> {
    caller.get::<view::Tickets>(&app, &[ticket.get()?.to_value()], Id::<Ticket>::not_found).await
}

/// Reply to a ticket.
///
/// A reply by staff meets the response target of an escalation, and is notified by email to the requester; one by the
/// organization, to the assignee, or to all super admins if there is none. Needs `tickets:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/tickets/{ticket}/reply", tag = "tickets",
    params(CommandParameters), request_body = NewReply, responses((status = 200, body = CommandResult)))]
pub(crate) async fn reply_to_ticket(
    State(app): State<App>,
    ticket: Id<Ticket>,
    request: CommandRequest<WriteTickets, NewReply>,
) -> Result<CommandResult, Problem> {
    let (ticket, reply) = (ticket.get()?, request.new_id(&app));
    let (text, by) = (&request.body.text, author(&request.caller.identity));
    let work = move |tx: Tx| async move {
        let command = Command::Reply { reply, text: text.clone(), by, now: tx.now() };
        Ok(tx.decide::<Ticket>(ticket, &command).await?)
    };
    request.run::<Ticket, _>(&app, ticket, work).await
}

/// Escalate a ticket.
///
/// Staff has to reply within some business hours of the organization, by `response_due_at` of the ticket. The super admins
/// are notified by email, and again if there was no reply by then. Only the organization can escalate. Needs
/// `tickets:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/tickets/{ticket}/escalate", tag = "tickets",
    params(CommandParameters), request_body = NewEscalation, responses((status = 200, body = CommandResult)))]
pub(crate) async fn escalate_ticket(
    State(app): State<App>,
    ticket: Id<Ticket>,
    request: CommandRequest<WriteTickets, NewEscalation>,
) -> Result<CommandResult, Problem> {
    let (ticket, organization, period) = (ticket.get()?, request.caller.organization, app.settings.ticket_response);
    let (reason, by) = (&request.body.reason, author(&request.caller.identity));
    let work = move |tx: Tx| async move {
        let response_due_at = response_due_at(&tx, organization, period).await?;
        let command = Command::Escalate { reason: reason.clone(), by, response_due_at };
        Ok(tx.decide::<Ticket>(ticket, &command).await?)
    };
    request.run::<Ticket, _>(&app, ticket, work).await
}

/// Assign a ticket to a super admin, or to nobody.
///
/// Needs `tickets:manage`.
#[utoipa::path(post, path = "/v1/organizations/{org}/tickets/{ticket}/assign", tag = "tickets",
    params(CommandParameters), request_body = Assignment, responses((status = 200, body = CommandResult)))]
pub(crate) async fn assign_ticket(
    State(app): State<App>,
    ticket: Id<Ticket>,
    request: CommandRequest<ManageTickets, Assignment>,
) -> Result<CommandResult, Problem> {
    let (ticket, organization, to) = (ticket.get()?, request.caller.organization, request.body.assignee()?);
    let subject = stream_of::<Ticket>(organization, ticket)?;
    let work = move |tx: Tx| async move {
        if let Some(user) = to {
            must_be_super_admin(&tx.read_in::<User>(OrganizationId::PLATFORM, user).await?)?;
        }
        let before = tx.read::<Ticket>(ticket).await?.assignee();
        tx.decide::<Ticket>(ticket, &Command::Assign { to }).await?;
        Ok::<_, Problem>(before)
    };
    let outcome = request.transact(&app, &subject, work).await?;
    let result = CommandResult::of(&app, &outcome, (&subject, request.viewer()), request.dry_run).await?;
    let before = outcome.value.flatten();
    Ok(result.undone_by(|ticket| {
        let path = format!("{}/tickets/{ticket}/assign", place_of(organization));
        Undo::post_with(path, json!({"assignee": before}))
    }))
}

fn must_be_super_admin(user: &User) -> Result<(), Problem> {
    match (user.status(), user.role()) {
        (Some(user::Status::Active), Some(Role::SuperAdmin)) => Ok(()),
        _ => Err(Problem::invalid("/assignee", "must be an active super admin")),
    }
}

/// Resolve a ticket.
///
/// The requester is notified by email. Needs `tickets:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/tickets/{ticket}/resolve", tag = "tickets",
    params(CommandParameters), request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn resolve_ticket(
    State(app): State<App>,
    ticket: Id<Ticket>,
    request: CommandRequest<WriteTickets, EmptyBody>,
) -> Result<CommandResult, Problem> {
    let (ticket, by) = (ticket.get()?, author(&request.caller.identity));
    let work =
        move |tx: Tx| async move { Ok(tx.decide::<Ticket>(ticket, &Command::Resolve { by, now: tx.now() }).await?) };
    let result = request.run::<Ticket, _>(&app, ticket, work).await?;
    let place = place_of(request.caller.organization);
    Ok(result.undone_by(|ticket| Undo::post(format!("{place}/tickets/{ticket}/reopen"))))
}

/// Reopen a ticket.
///
/// If the organization reopens it, the assignee is notified by email, or all super admins if there is none. Needs
/// `tickets:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/tickets/{ticket}/reopen", tag = "tickets",
    params(CommandParameters), request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn reopen_ticket(
    State(app): State<App>,
    ticket: Id<Ticket>,
    request: CommandRequest<WriteTickets, EmptyBody>,
) -> Result<CommandResult, Problem> {
    let by = author(&request.caller.identity);
    let result = request.change::<Ticket>(&app, &ticket, Command::Reopen { by }).await?;
    let place = place_of(request.caller.organization);
    Ok(result.undone_by(|ticket| Undo::post(format!("{place}/tickets/{ticket}/resolve"))))
}
