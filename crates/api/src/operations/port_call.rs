//! The port calls of an organization.
//!
//! | file | what it owns |
//! |---|---|
//! | `bodies.rs` | port calls in requests and responses |
//! | `status.rs` | statuses: reached, taken back, canceled, reopened |
//! | `agent.rs` | the users who can be responsible |
//! | `import.rs` | importing port calls from a file |
//! | `exported.rs` | port calls as CSV |

mod agent;
mod bodies;
mod exported;
mod import;
mod status;

use axum::{extract::State, response::Response};
use jiff::tz::TimeZone;
use porttask_app::operations::{port_calls::usage_month, service_orders::cancel_orders};
use porttask_domain::{
    OrganizationId,
    operations::{
        PortCall,
        port::Port,
        port_call::{Command, Phase},
    },
};
use porttask_projections::{ColumnType, operations::port_call as view};
use porttask_runtime::{
    execute::{Tx, stream_of},
    views::Condition,
};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::{
    agent::must_be_agent,
    bodies::{EndedPortCall, NewPortCallBody, PortCallFilter, PortCallPage, PortCallPatch, PortCallResponse},
};
use crate::http::{
    app::App,
    document::tagged,
    listing::Sort,
    permissions::{Impersonable, ManageOperations, ReadOperations, WriteOperations},
    problem::Problem,
    request::{Authorized, CommandParameters, CommandRequest, EmptyBody, Id, List, ListParameters, Listed, Resource},
    response::CommandResult,
};

/// Schemas that only parameters refer to.
#[derive(OpenApi)]
#[openapi(components(schemas(Phase)))]
struct Schemas;

/// The routes of port calls.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("port calls", "Calls of vessels at ports.")
        .merge(OpenApiRouter::with_openapi(Schemas::openapi()))
        .routes(routes!(create_port_call, list_port_calls))
        .routes(routes!(agent::list_port_call_agents))
        .routes(routes!(import::import_port_calls))
        .routes(routes!(get_port_call, change_port_call, delete_port_call))
        .routes(routes!(status::change_port_call_status))
        .routes(routes!(status::revert_port_call_status))
        .routes(routes!(status::cancel_port_call))
        .routes(routes!(status::reopen_port_call))
}

impl Listed for view::PortCalls {
    type Item = PortCallResponse;
    type Filter = PortCallFilter;
    const SORTS: &'static [Sort] = &[
        ("eta", &["eta", "port_call"]),
        ("created_at", &["created_at", "port_call"]),
        ("vessel", &["normalized_vessel", "port_call"]),
    ];

    fn conditions(filter: PortCallFilter) -> Result<Vec<Condition>, Problem> {
        let PortCallFilter { status, phase, port, agent, eta_from, eta_until, format: _ } = filter;
        let of_phase = |phase: Phase| phase.statuses().map(|status| status.to_value()).collect();
        let conditions = [
            status.map(|status| Condition::Equal("status", status.to_value())),
            phase.map(|phase| Condition::OneOf("status", of_phase(phase))),
            port.map(|port| Condition::Equal("port", port.as_str().to_owned().to_value())),
            agent.map(|agent| Condition::Equal("agent", agent.to_value())),
            eta_from.map(|from| Condition::AtLeast("eta", from.0.to_value())),
            eta_until.map(|until| Condition::Below("eta", until.0.to_value())),
        ];
        Ok(conditions.into_iter().flatten().collect())
    }

    async fn complete(
        app: &App,
        organization: OrganizationId,
        items: Vec<PortCallResponse>,
    ) -> Result<Vec<PortCallResponse>, Problem> {
        agent::named(app, organization, items).await
    }
}

/// Create a port call.
///
/// It counts for the calendar month of now, in the time zone of the organization. Needs `operations:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/port-calls", tag = "port calls", params(CommandParameters),
    request_body = NewPortCallBody, responses((status = 201, body = CommandResult)))]
pub(crate) async fn create_port_call(
    State(app): State<App>,
    request: CommandRequest<WriteOperations, NewPortCallBody>,
) -> Result<Response, Problem> {
    let (port_call, body) = (request.new_id(&app), &request.body);
    let (port, agent) = (&body.port.resolve()?, body.agent.unwrap_or(request.caller.identity.user));
    let work = move |tx: Tx| async move {
        must_be_agent(&tx, agent).await?;
        let create = body.command(port, agent, usage_month(&tx).await?);
        Ok(tx.decide_new::<PortCall>(port_call, &create).await?)
    };
    request.create_with::<PortCall, _>(&app, port_call, work).await
}

/// List port calls.
///
/// Needs `operations:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/port-calls", tag = "port calls",
    extensions(("x-impersonable" = json!(true))), params(ListParameters<view::PortCalls>),
    responses((status = 200, description = "The port calls", content(
        (PortCallPage = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list_port_calls(
    State(app): State<App>,
    port_calls: List<Impersonable<ReadOperations>, view::PortCalls>,
) -> Result<Response, Problem> {
    port_calls.answer(&app).await
}

/// Get a port call.
///
/// Needs `operations:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/port-calls/{port_call}", tag = "port calls",
    extensions(("x-impersonable" = json!(true))), responses((status = 200, body = PortCallResponse)))]
pub(crate) async fn get_port_call(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadOperations>>,
    port_call: Id<PortCall>,
) -> Result<Resource<PortCallResponse>, Problem> {
    caller.get::<view::PortCalls>(&app, &[port_call.get()?.to_value()], Id::<PortCall>::not_found).await
}

/// Change a port call's vessel, voyage, times, port or agent.
///
/// Not once it is closed or canceled; the port only while it is planned. Needs `operations:write`.
#[utoipa::path(patch, path = "/v1/organizations/{org}/port-calls/{port_call}", tag = "port calls",
    params(CommandParameters),
    request_body(content = PortCallPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn change_port_call(
    State(app): State<App>,
    port_call: Id<PortCall>,
    request: CommandRequest<WriteOperations, PortCallPatch>,
) -> Result<CommandResult, Problem> {
    let (port_call, body) = (port_call.get()?, &request.body);
    let port = &body.port.as_ref().map(bodies::PortBody::resolve).transpose()?;
    let work = move |tx: Tx| async move {
        let state = tx.read::<PortCall>(port_call).await?;
        if let Some(agent) = body.agent.filter(|agent| state.agent().is_some_and(|former| former != *agent)) {
            must_be_agent(&tx, agent).await?;
        }
        let zone = port.as_ref().or(state.port()).map_or(TimeZone::UTC, Port::zone);
        Ok(tx.decide_all::<PortCall>(port_call, &body.commands(port.as_ref(), &zone)).await?)
    };
    request.run::<PortCall, _>(&app, port_call, work).await
}

/// Delete a port call.
///
/// It leaves the listings; its history stays in the audit log, and it still counts for its month. Its open service orders are
/// canceled. It must be planned or canceled, unless the caller holds `operations:manage`. Needs `operations:write`.
#[utoipa::path(delete, path = "/v1/organizations/{org}/port-calls/{port_call}", tag = "port calls",
    params(CommandParameters), responses((status = 200, body = EndedPortCall)))]
pub(crate) async fn delete_port_call(
    State(app): State<App>,
    port_call: Id<PortCall>,
    request: CommandRequest<WriteOperations, EmptyBody>,
) -> Result<EndedPortCall, Problem> {
    let (app, port_call, caller) = (&app, port_call.get()?, &request.caller);
    let subject = stream_of::<PortCall>(caller.organization, port_call)?;
    let work = move |tx: Tx| async move {
        let in_any_status = caller.also_holds::<ManageOperations>(app, &tx).await?;
        tx.decide::<PortCall>(port_call, &Command::Delete { in_any_status }).await?;
        Ok::<_, Problem>(cancel_orders(&tx, port_call, None).await?)
    };
    let outcome = request.transact(app, &subject, work).await?;
    let result = CommandResult::of(app, &outcome, (&subject, request.viewer()), request.dry_run).await?;
    Ok(EndedPortCall { result, service_orders: outcome.value.unwrap_or_default() })
}
