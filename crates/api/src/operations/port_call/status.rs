//! Statuses of port calls: reached, taken back, canceled, reopened.

use axum::extract::State;
use jiff::{Timestamp, tz::TimeZone};
use porttask_app::operations::service_orders::cancel_orders;
use porttask_domain::operations::{
    PortCall,
    port::Port,
    port_call::{Command, PortCallId, Status, Step},
};
use porttask_runtime::execute::{Tx, stream_of};
use serde_json::{Map, Value, json};

use super::bodies::{Cancellation, EndedPortCall, PortCallStatusChange, StatusReversion};
use crate::http::{
    app::App,
    changes::Undo,
    permissions::{ManageOperations, Permission, WriteOperations},
    problem::Problem,
    request::{CommandParameters, CommandRequest, EmptyBody, Id},
    response::{CommandResult, place_of},
};

/// Set the next status of a port call.
///
/// One after the other: `planned`, `confirmed`, `arrived`, `alongside`, `departed`, `closed`. Needs `operations:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/port-calls/{port_call}/status", tag = "port calls",
    params(CommandParameters), request_body = PortCallStatusChange, responses((status = 200, body = CommandResult)))]
pub(crate) async fn change_port_call_status(
    State(app): State<App>,
    port_call: Id<PortCall>,
    request: CommandRequest<WriteOperations, PortCallStatusChange>,
) -> Result<CommandResult, Problem> {
    let PortCallStatusChange { status, occurred_at, remark } = &request.body;
    let to = Status::from(*status);
    let command = |zone: &TimeZone, now| {
        let occurred_at = occurred_at.map(|time| time.at(zone));
        Command::ChangeStatus { to, occurred_at, remark: remark.clone(), now }
    };
    let (result, _) = change(&app, &request, port_call.get()?, command).await?;
    Ok(match to.is_final() {
        true => reopened(&request, result),
        false => result.undone_by(|id| Undo::post_with(place(&request, id, "revert-status"), json!({"status": to}))),
    })
}

/// Take back the current status of a port call, which was set by mistake.
///
/// It has the status before again. Not once it is closed or canceled: then an admin can reopen it. Needs
/// `operations:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/port-calls/{port_call}/revert-status", tag = "port calls",
    params(CommandParameters), request_body = StatusReversion, responses((status = 200, body = CommandResult)))]
pub(crate) async fn revert_port_call_status(
    State(app): State<App>,
    port_call: Id<PortCall>,
    request: CommandRequest<WriteOperations, StatusReversion>,
) -> Result<CommandResult, Problem> {
    let status = request.body.status.into();
    let (result, before) = change(&app, &request, port_call.get()?, |_, _| Command::RevertStatus { status }).await?;
    Ok(again(&request, result, before))
}

/// Cancel a port call.
///
/// In any status but the last. Its open service orders are canceled with it. Needs `operations:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/port-calls/{port_call}/cancel", tag = "port calls",
    params(CommandParameters), request_body = Cancellation, responses((status = 200, body = EndedPortCall)))]
pub(crate) async fn cancel_port_call(
    State(app): State<App>,
    port_call: Id<PortCall>,
    request: CommandRequest<WriteOperations, Cancellation>,
) -> Result<EndedPortCall, Problem> {
    let (port_call, Cancellation { occurred_at, remark }) = (port_call.get()?, &request.body);
    let subject = stream_of::<PortCall>(request.caller.organization, port_call)?;
    let work = move |tx: Tx| async move {
        let zone = tx.read::<PortCall>(port_call).await?.port().map_or(TimeZone::UTC, Port::zone);
        let occurred_at = occurred_at.map(|time| time.at(&zone));
        let (remark, now) = (remark.clone(), tx.now());
        let cancel = Command::ChangeStatus { to: Status::Canceled, occurred_at, remark: remark.clone(), now };
        tx.decide::<PortCall>(port_call, &cancel).await?;
        Ok::<_, Problem>(cancel_orders(&tx, port_call, remark.as_ref()).await?)
    };
    let outcome = request.transact(&app, &subject, work).await?;
    let result = CommandResult::of(&app, &outcome, (&subject, request.viewer()), request.dry_run).await?;
    let service_orders = outcome.value.unwrap_or_default();
    Ok(EndedPortCall { result: reopened(&request, result), service_orders })
}

/// Reopen a port call that was closed or canceled.
///
/// It has its former status again. Needs `operations:manage`.
#[utoipa::path(post, path = "/v1/organizations/{org}/port-calls/{port_call}/reopen", tag = "port calls",
    params(CommandParameters), request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn reopen_port_call(
    State(app): State<App>,
    port_call: Id<PortCall>,
    request: CommandRequest<ManageOperations, EmptyBody>,
) -> Result<CommandResult, Problem> {
    let (result, before) = change(&app, &request, port_call.get()?, |_, _| Command::Reopen).await?;
    Ok(again(&request, result, before))
}

/// Executes a command that depends on the time zone of the port and the current time; its result, and the status before.
async fn change<P: Permission, B>(
    app: &App,
    request: &CommandRequest<P, B>,
    port_call: PortCallId,
    command: impl Fn(&TimeZone, Timestamp) -> Command,
) -> Result<(CommandResult, Option<Step>), Problem> {
    let (subject, command) = (stream_of::<PortCall>(request.caller.organization, port_call)?, &command);
    let work = move |tx: Tx| async move {
        let before = tx.read::<PortCall>(port_call).await?;
        let zone = before.port().map_or(TimeZone::UTC, Port::zone);
        tx.decide::<PortCall>(port_call, &command(&zone, tx.now())).await?;
        Ok::<_, Problem>(before.step().cloned())
    };
    let outcome = request.transact(app, &subject, work).await?;
    let result = CommandResult::of(app, &outcome, (&subject, request.viewer()), request.dry_run).await?;
    Ok((result, outcome.value.flatten()))
}

/// The path of a command on a port call.
fn place<P: Permission, B>(request: &CommandRequest<P, B>, id: &str, command: &str) -> String {
    format!("{}/port-calls/{id}/{command}", place_of(request.caller.organization))
}

/// A result that is undone by reopening the port call, if the caller may.
fn reopened<P: Permission, B>(request: &CommandRequest<P, B>, result: CommandResult) -> CommandResult {
    match ManageOperations::is_held(&request.caller.identity, request.caller.organization) {
        true => result.undone_by(|id| Undo::post(place(request, id, "reopen"))),
        false => result,
    }
}

/// A result that is undone by setting the former status again.
fn again<P: Permission, B>(
    request: &CommandRequest<P, B>,
    result: CommandResult,
    before: Option<Step>,
) -> CommandResult {
    let Some(Step { status, occurred_at, remark }) = before else { return result };
    let is_cancellation = status == Status::Canceled;
    let members = [
        ("status", (!is_cancellation).then(|| json!(status))),
        ("occurred_at", occurred_at.map(|at| json!(at))),
        ("remark", remark.map(Value::from)),
    ];
    let members: Map<String, Value> =
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    let command = if is_cancellation { "cancel" } else { "status" };
    result.undone_by(|id| Undo::post_with(place(request, id, command), members.into()))
}
