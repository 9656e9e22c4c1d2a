//! The tickets of all organizations.

use std::collections::BTreeMap;

use axum::{extract::State, response::Response};
use porttask_domain::{
    OrganizationId, Personal, UserId,
    compliance::export::{Command, Event, Format, TicketSelection},
    support::ticket::{Status, TicketKind},
};
use porttask_projections::{
    Change, ColumnType, EventOf, Index, ReadModel, Recorded,
    identity::organization::Organizations,
    support::ticket::{Ticket, Tickets},
};
use porttask_runtime::views::Condition;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    bodies::{TicketResponse, conditions},
    exported::{self, NAMES},
    people,
};
use crate::http::{
    app::App,
    listing::{Page, Sort},
    permissions::ManageTickets,
    problem::Problem,
    request::{Exported, List, ListFormat, ListParameters, Listed},
};

/// The same read model as [`Tickets`], listed for all organizations.
pub(crate) struct AllTickets;

impl ReadModel for AllTickets {
    const NAME: &'static str = Tickets::NAME;
    const VERSION: u32 = Tickets::VERSION;
    const INDEXES: &'static [Index] = Tickets::INDEXES;
    const FULL_TEXT_COLUMNS: &'static [&'static str] = Tickets::FULL_TEXT_COLUMNS;
    type Source = <Tickets as ReadModel>::Source;
    type Row = Ticket;

    fn project(row: Option<Ticket>, event: EventOf<'_, Self>, recorded: &Recorded) -> Change<Ticket> {
        Tickets::project(row, event, recorded)
    }
}

/// A ticket, with name and domain of its organization.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FoundTicket {
    #[serde(flatten)]
    ticket: TicketResponse,
    #[schema(example = "Acme Ports")]
    organization_name: Option<String>,
    #[schema(example = "acme.example")]
    organization_domain: Option<String>,
}

impl From<Ticket> for FoundTicket {
    fn from(row: Ticket) -> Self {
        Self { ticket: row.into(), organization_name: None, organization_domain: None }
    }
}

/// A page of tickets of any organizations.
type FoundTicketPage = Page<FoundTicket>;

/// Filters of the tickets of all organizations.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct AllTicketsFilter {
    /// Only tickets of this organization.
    organization: Option<OrganizationId>,
    /// Only tickets with this status.
    status: Option<Status>,
    /// Only tickets of this kind.
    kind: Option<TicketKind>,
    /// Only tickets that are escalated and not resolved; with `false`, only others.
    escalated: Option<bool>,
    /// Only tickets that are assigned to this super admin.
    assignee: Option<UserId>,
    /// `json` (default) is in pages; `csv` contains all rows, without `limit`, `cursor` and `count`. That they were exported
    /// is recorded in the audit log.
    #[serde(default)]
    format: ListFormat,
}

impl Listed for AllTickets {
    type Item = FoundTicket;
    type Filter = AllTicketsFilter;
    const SORTS: &'static [Sort] = &[
        ("-last_activity_at", &["last_activity_at", "organization", "ticket"]),
        ("opened_at", &["opened_at", "organization", "ticket"]),
    ];
    const IS_OF_THE_PLATFORM: bool = true;

    fn conditions(filter: AllTicketsFilter) -> Result<Vec<Condition>, Problem> {
        let AllTicketsFilter { organization, status, kind, escalated, assignee, format: _ } = filter;
        let organization = organization.map(|it| Condition::Equal("organization", it.to_value()));
        let assignee = assignee.map(|it| Condition::Equal("assignee", it.to_value()));
        Ok(organization.into_iter().chain(assignee).chain(conditions(status, kind, escalated)).collect())
    }

    async fn complete(app: &App, _: OrganizationId, mut items: Vec<FoundTicket>) -> Result<Vec<FoundTicket>, Problem> {
        let mut by_organization: BTreeMap<OrganizationId, Vec<&mut FoundTicket>> = BTreeMap::new();
        for item in &mut items {
            by_organization.entry(item.ticket.organization).or_default().push(item);
        }
        for (organization, mut items) in by_organization {
            let partition = app.partition(organization).await?;
            let key = [("organization", organization.to_value())];
            let row = app.views.row::<Organizations>(partition, key).await?;
            let (name, domain) = row.map(|row| (row.name, row.domain)).unzip();
            for item in &mut items {
                (item.organization_name, item.organization_domain) = (name.clone(), domain.clone());
            }
            let people = items.into_iter().flat_map(|item| item.ticket.people()).collect();
            people::complete(app, organization, people).await?;
        }
        Ok(items)
    }
}

impl Exported for AllTickets {
    const FILE: &'static str = "tickets";
    const NAMES: &'static [&'static str] = &{
        let mut names = [""; NAMES.len() + 2];
        names[0] = "organization";
        names[1] = "organization_name";
        let mut index = 0;
        while index < NAMES.len() {
            names[index + 2] = NAMES[index];
            index += 1;
        }
        names
    };

    fn format(filter: &AllTicketsFilter) -> ListFormat {
        filter.format
    }

    fn recorded(filter: &AllTicketsFilter, text: Option<Personal>) -> Command {
        let AllTicketsFilter { organization, status, kind, escalated, assignee, format: _ } = *filter;
        let selection = TicketSelection { organization, kind, status, escalated, assignee, text };
        Command::Take(Event::TicketsTaken { format: Format::Csv, selection })
    }

    fn fields(FoundTicket { ticket, organization_name, .. }: FoundTicket) -> Vec<String> {
        let of = [ticket.organization.to_string(), organization_name.unwrap_or_default()];
        of.into_iter().chain(exported::fields(ticket)).collect()
    }
}

/// List the tickets of all organizations.
///
/// Needs `tickets:manage`.
#[utoipa::path(get, path = "/v1/tickets", tag = "tickets", params(ListParameters<AllTickets>),
    responses((status = 200, description = "The tickets", content(
        (FoundTicketPage = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list_all_tickets(
    State(app): State<App>,
    tickets: List<ManageTickets, AllTickets>,
) -> Result<Response, Problem> {
    tickets.answer(&app).await
}
