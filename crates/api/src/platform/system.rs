//! The state of the service itself, for super admins: nodes, read models, reactors, tasks, emails.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use jiff::Timestamp;
use porttask_domain::{
    OrganizationId,
    platform::{self, task},
};
use porttask_runtime::{
    execute::{Tx, stream_of},
    lease::Holder,
    nodes::NodeRecord,
    reactors,
    tasks::{Task, TaskFilter, TaskId, TaskState},
    views::Status,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::http::{
    app::App,
    document::tagged,
    listing::Page,
    permissions::{ReadSystem, WriteSystem},
    problem::Problem,
    request::{Authorized, CommandParameters, CommandRequest, EmptyBody, Id, Params},
    response::CommandResult,
};

/// The routes of the state of the service.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("system", "The state of the service itself.")
        .routes(routes!(list_nodes))
        .routes(routes!(list_views))
        .routes(routes!(list_reactors))
        .routes(routes!(list_tasks))
        .routes(routes!(retry_task))
        .routes(routes!(get_mail))
}

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;

/// The nodes that serve.
#[derive(Serialize, ToSchema)]
pub(crate) struct SystemNodes {
    items: Vec<SystemNode>,
}

/// One run of a node.
#[derive(Serialize, ToSchema)]
pub(crate) struct SystemNode {
    /// Its name, which stays the same when it is restarted.
    #[schema(example = "admin-1:8080")]
    name: String,
    /// The id of this run.
    run: Uuid,
    /// The version of the program that it runs.
    #[schema(example = "0.2.0")]
    version: String,
    /// When it started to report, by the database's clock.
    started_at: Timestamp,
    /// When it last reported, by the database's clock: every 10 s.
    last_seen_at: Timestamp,
    /// Whether it has not reported for 30 s: it has probably stopped. After a day it is not listed any more.
    is_silent: bool,
}

impl From<NodeRecord> for SystemNode {
    fn from(record: NodeRecord) -> Self {
        let NodeRecord { holder, version, shares_documents: _, started_at, last_seen_at, is_silent } = record;
        let Holder { node: name, run } = holder;
        Self { name, run, version, started_at, last_seen_at, is_silent }
    }
}

/// The read models of this node.
#[derive(Serialize, ToSchema)]
pub(crate) struct SystemViews {
    items: Vec<SystemView>,
}

/// A read model.
#[derive(Serialize, ToSchema)]
pub(crate) struct SystemView {
    #[schema(example = "users")]
    name: &'static str,
    version: u32,
    /// How many events it is behind the log, in all partitions together.
    events_behind: u64,
    /// Where it has stopped, and why; empty if it works. It is tried again every few seconds.
    failures: Vec<ViewFailure>,
}

/// Why a read model has stopped in a partition.
#[derive(Serialize, ToSchema)]
pub(crate) struct ViewFailure {
    partition: u16,
    #[schema(example = "the fold of users_v8_g1 panicked: …")]
    reason: String,
    /// Whether it has met a damaged event: `porttask log verify` names all damage.
    met_damage: bool,
}

/// The reactors of this node.
#[derive(Serialize, ToSchema)]
pub(crate) struct SystemReactors {
    items: Vec<SystemReactor>,
}

/// A reactor, which turns events into tasks.
#[derive(Serialize, ToSchema)]
pub(crate) struct SystemReactor {
    #[schema(example = "mail")]
    name: &'static str,
    /// How many events it has not turned into tasks yet, in all partitions together.
    events_behind: u64,
    /// Tasks that are waiting or running.
    tasks_pending: u64,
    /// Tasks that failed too often: an operator can retry them.
    tasks_dead: u64,
    /// Why it is on hold until an operator releases it; null if it is not.
    held: Option<String>,
}

/// A task that an event has triggered. Tasks that are done are deleted.
#[derive(Serialize, ToSchema)]
#[schema(as = Task)]
pub(crate) struct TaskResponse {
    id: porttask_domain::TaskId,
    #[schema(example = "mail")]
    reactor: String,
    #[schema(example = "invitation")]
    kind: String,
    organization: OrganizationId,
    /// The UUID of the aggregate that it is about, such as a user.
    subject: Uuid,
    /// The UUID of the recipient: tasks of one target run one after the other.
    target: Uuid,
    state: TaskStateName,
    /// The number of attempts so far.
    attempts: u32,
    /// When it is attempted next; null while it runs, and if it is dead.
    next_attempt_at: Option<Timestamp>,
    /// Why the last attempt failed.
    last_error: Option<String>,
}

/// The state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = TaskState)]
pub(crate) enum TaskStateName {
    /// It is or will become due.
    Pending,
    /// It is being run.
    Running,
    /// It failed too often: not attempted again until an operator retries it.
    Dead,
}

/// Filters of tasks.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SystemTaskFilter {
    /// Only tasks in this state.
    state: Option<TaskStateName>,
    /// Maximum number of tasks: 1 to 200; default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// Start of the page: `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of tasks.
type TaskPage = Page<TaskResponse>;

/// How emails leave.
#[derive(Serialize, ToSchema)]
pub(crate) struct MailTransportState {
    transport: MailTransportKind,
    /// The directory on this node that emails are written to; null if they are sent. `porttask mail last` reads them.
    #[schema(example = "/var/lib/porttask/mail")]
    folder: Option<String>,
}

/// Where emails go.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MailTransportKind {
    /// They are sent through an SMTP server.
    Smtp,
    /// They are not sent, but written to files.
    Folder,
}

impl From<TaskState> for TaskStateName {
    fn from(state: TaskState) -> Self {
        match state {
            TaskState::Waiting => Self::Pending,
            TaskState::Running => Self::Running,
            TaskState::DeadLettered => Self::Dead,
        }
    }
}

impl From<TaskStateName> for TaskState {
    fn from(state: TaskStateName) -> Self {
        match state {
            TaskStateName::Pending => Self::Waiting,
            TaskStateName::Running => Self::Running,
            TaskStateName::Dead => Self::DeadLettered,
        }
    }
}

impl From<Task> for TaskResponse {
    fn from(task: Task) -> Self {
        let state = task.state();
        let Task { id, reactor, kind, organization, subject, target, attempts, due_at, last_error, .. } = task;
        let next_attempt_at = Some(due_at).filter(|_| state == TaskState::Waiting);
        let (id, state) = (porttask_domain::TaskId(id.0), state.into());
        Self { id, reactor, kind, organization, subject, target, state, attempts, next_attempt_at, last_error }
    }
}

/// List the nodes that serve, by name.
///
/// A node that is shut down is removed at once, one that has crashed or is cut off a day later. Needs `system:read`.
#[utoipa::path(get, path = "/v1/platform/nodes", tag = "system", responses((status = 200, body = SystemNodes)))]
pub(crate) async fn list_nodes(
    State(app): State<App>,
    _: Authorized<ReadSystem>,
) -> Result<Json<SystemNodes>, Problem> {
    let nodes = app.database.nodes().await.map_err(|error| Problem::unavailable(&error))?;
    Ok(Json(SystemNodes { items: nodes.into_iter().map(SystemNode::from).collect() }))
}

/// List the read models of this node.
///
/// Needs `system:read`.
#[utoipa::path(get, path = "/v1/platform/views", tag = "system", responses((status = 200, body = SystemViews)))]
pub(crate) async fn list_views(State(app): State<App>, _: Authorized<ReadSystem>) -> Json<SystemViews> {
    let mut views: BTreeMap<&'static str, SystemView> = BTreeMap::new();
    for Status { name, version, partition, state, lag } in app.views.status() {
        let empty = || SystemView { name, version, events_behind: 0, failures: Vec::new() };
        let view = views.entry(name).or_insert_with(empty);
        view.events_behind += lag;
        let (partition, met_damage) = (partition.0, state.met_damage);
        view.failures.extend(state.failure.map(|reason| ViewFailure { partition, reason, met_damage }));
    }
    Json(SystemViews { items: views.into_values().collect() })
}

/// List the reactors of this node.
///
/// Needs `system:read`.
#[utoipa::path(get, path = "/v1/platform/reactors", tag = "system", responses((status = 200, body = SystemReactors)))]
pub(crate) async fn list_reactors(
    State(app): State<App>,
    _: Authorized<ReadSystem>,
) -> Result<Json<SystemReactors>, Problem> {
    let statuses = app.metrics.reactors().map(|reactors| reactors.status()).unwrap_or_default();
    let mut items = Vec::with_capacity(statuses.len());
    for reactors::Status { name, left, held, .. } in statuses {
        let events_behind = events_behind(&app, name).await?;
        let (tasks_pending, tasks_dead) = (left.waiting, left.dead);
        items.push(SystemReactor { name, events_behind, tasks_pending, tasks_dead, held });
    }
    Ok(Json(SystemReactors { items }))
}

/// How many events are after the cursors of a reactor.
async fn events_behind(app: &App, reactor: &str) -> Result<u64, Problem> {
    let cursors = app.database.cursors(reactor).await.map_err(|error| Problem::unavailable(&error))?;
    let heads = app.database.heads().await.map_err(|error| Problem::unavailable(&error))?;
    let behind = |head: porttask_runtime::log::Position| {
        let cursor = cursors.iter().find(|cursor| cursor.position.partition == head.partition);
        head.offset.0.saturating_sub(cursor.map_or(0, |cursor| cursor.position.offset.0))
    };
    Ok(heads.into_iter().map(|head| behind(head.position)).sum())
}

/// List tasks, the oldest first.
///
/// Needs `system:read`.
#[utoipa::path(get, path = "/v1/platform/tasks", tag = "system", params(SystemTaskFilter),
    responses((status = 200, body = TaskPage)))]
pub(crate) async fn list_tasks(
    State(app): State<App>,
    _: Authorized<ReadSystem>,
    Params(SystemTaskFilter { state, limit, cursor }): Params<SystemTaskFilter>,
) -> Result<Json<TaskPage>, Problem> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if limit == 0 || limit > MAX_LIMIT {
        return Err(Problem::invalid("limit", format!("must be 1 to {MAX_LIMIT}")));
    }
    let wrong = |_| Problem::invalid("cursor", "is not a cursor of this listing: start without it");
    let after = cursor.as_deref().map(str::parse).transpose().map_err(wrong)?.map(TaskId);
    let filter = TaskFilter { state: state.map(TaskState::from), organization: None };
    let tasks = app.database.tasks(&filter, after, limit + 1).await;
    let mut tasks = tasks.map_err(|error| Problem::unavailable(&error))?;
    let is_last = tasks.len() <= limit;
    tasks.truncate(limit);
    let next_cursor = tasks.last().filter(|_| !is_last).map(|task| task.id.0.to_string());
    Ok(Json(Page { items: tasks.into_iter().map(TaskResponse::from).collect(), next_cursor, total: None }))
}

/// Retry a dead-lettered task.
///
/// It is due again, with all attempts. A task that is not dead-lettered is left as it is. The retry is an entry of the
/// platform's audit trail. Needs `system:write`.
#[utoipa::path(post, path = "/v1/platform/tasks/{task}/retry", tag = "system", params(CommandParameters),
    request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn retry_task(
    State(app): State<App>,
    id: Id<platform::Task>,
    request: CommandRequest<WriteSystem, EmptyBody>,
) -> Result<CommandResult, Problem> {
    let id = id.get()?;
    let found = app.database.task(TaskId(id.0)).await.map_err(|error| Problem::unavailable(&error))?;
    let task = found.ok_or_else(Id::<platform::Task>::not_found)?;
    let (is_dead, epoch, command) = (task.is_dead_lettered, task.epoch, &retry_of(task));
    let subject = stream_of::<platform::Task>(request.caller.organization, id)?;
    let work = move |tx: Tx| async move {
        if is_dead {
            tx.decide::<platform::Task>(id, command).await?;
        }
        Ok::<_, Problem>(())
    };
    let outcome = request.transact(&app, &subject, work).await?;
    let (recorded, _) = app.executor.load::<platform::Task>(request.caller.organization, id).await?;
    // Also when a request is repeated whose first attempt ended in between.
    if recorded.is_retried(epoch) && !request.dry_run {
        app.database.retry(TaskId(id.0), epoch).await.map_err(|error| Problem::unavailable(&error))?;
    }
    CommandResult::of(&app, &outcome, (&subject, request.viewer()), request.dry_run).await
}

/// The command that records its retry.
fn retry_of(Task { reactor, kind, organization, epoch, .. }: Task) -> task::Command {
    task::Command::Retry { reactor, kind, organization, epoch }
}

/// Get how emails leave.
///
/// Needs `system:read`.
#[utoipa::path(get, path = "/v1/platform/mail", tag = "system", responses((status = 200, body = MailTransportState)))]
pub(crate) async fn get_mail(State(app): State<App>, _: Authorized<ReadSystem>) -> Json<MailTransportState> {
    let folder = app.settings.mail_folder.clone();
    let transport = if folder.is_some() { MailTransportKind::Folder } else { MailTransportKind::Smtp };
    Json(MailTransportState { transport, folder })
}
