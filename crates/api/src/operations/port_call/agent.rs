//! The users who can be responsible for port calls.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use porttask_app::operations::port_calls::{AGENT_ROLES, can_be_agent};
use porttask_domain::{OrganizationId, UserId, identity::user::Status};
use porttask_projections::{ColumnType, ReadModel, identity::user as view};
use porttask_runtime::{
    execute::Tx,
    views::{Condition, Query},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::bodies::PortCallResponse;
use crate::http::{
    app::App,
    listing::Page,
    permissions::{Impersonable, ReadOperations},
    problem::Problem,
    request::Authorized,
};

/// Maximum number of users who are listed.
const MOST: usize = 1_000;

/// Rejects users who cannot be responsible.
///
/// # Errors
/// If the user is not an active Admin or Agent of the organization.
pub(super) async fn must_be_agent(tx: &Tx, agent: UserId) -> Result<(), Problem> {
    match can_be_agent(tx, agent).await? {
        true => Ok(()),
        false => {
            let detail = "must be an active user of the organization with the role Admin or Agent";
            Err(Problem::invalid("/agent", detail))
        }
    }
}

/// A user who can be responsible for port calls.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PortCallAgent)]
pub(crate) struct AgentResponse {
    id: UserId,
    /// The full name; null once it was erased.
    name: Option<String>,
}

/// The users who can be responsible.
type AgentPage = Page<AgentResponse>;

/// List the users who can be responsible for port calls.
///
/// Active Admins and Agents of the organization: at most 1,000, by name. Needs `operations:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/port-calls/agents", tag = "port calls",
    extensions(("x-impersonable" = json!(true))), responses((status = 200, body = AgentPage)))]
pub(crate) async fn list_port_call_agents(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadOperations>>,
) -> Result<Json<AgentPage>, Problem> {
    caller.catch_up(&app, view::Users::NAME).await?;
    let conditions = vec![
        Condition::Equal("organization", caller.organization.to_value()),
        Condition::Equal("status", Status::Active.to_value()),
        Condition::OneOf("role", AGENT_ROLES.iter().map(ColumnType::to_value).collect()),
    ];
    let (partition, sort) = (caller.partition, vec!["normalized_name", "user"]);
    let query = Query { partition, conditions, sort, limit: MOST, ..Query::default() };
    let rows = app.views.rows::<view::Users>(&query).await?;
    let items: Vec<AgentResponse> =
        rows.into_iter().map(|row| AgentResponse { id: row.user, name: row.name }).collect();
    caller.shows_items(&items);
    Ok(Json(Page { items, next_cursor: None, total: None }))
}

/// Port calls with the names of those who are responsible.
pub(super) async fn named(
    app: &App,
    organization: OrganizationId,
    items: Vec<PortCallResponse>,
) -> Result<Vec<PortCallResponse>, Problem> {
    let mut agents: Vec<UserId> = items.iter().map(|item| item.agent).collect();
    agents.sort_unstable();
    agents.dedup();
    if agents.is_empty() {
        return Ok(items);
    }
    let (partition, limit) = (app.partition(organization).await?, agents.len());
    let conditions = vec![
        Condition::Equal("organization", organization.to_value()),
        Condition::OneOf("user", agents.iter().map(ColumnType::to_value).collect()),
    ];
    let query = Query { partition, conditions, limit, ..Query::default() };
    let rows = app.views.rows::<view::Users>(&query).await?;
    let names: BTreeMap<UserId, Option<String>> = rows.into_iter().map(|row| (row.user, row.name)).collect();
    let named = |item: PortCallResponse| {
        let agent_name = names.get(&item.agent).cloned().flatten();
        PortCallResponse { agent_name, ..item }
    };
    Ok(items.into_iter().map(named).collect())
}
