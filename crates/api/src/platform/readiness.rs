//! Whether a node is ready, and why not.

use std::time::{Duration, Instant};

use axum::{
    Json,
    extract::State,
    http::{Extensions, HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use porttask_runtime::{
    lease::{Holder, Lease},
    ledger::Database,
    log::LogError,
    supervise,
};
use serde::Serialize;
use tokio::{sync::Mutex, time::timeout};
use utoipa::ToSchema;

use super::metrics::{has_token, is_local};
use crate::http::app::App;

/// Maximum number of events that a read model may be behind on a ready node.
const MOST_BEHIND: u64 = 10_000;
/// How long the result of a check of the database holds: monitoring must not become a load.
const FRESH: Duration = Duration::from_millis(500);
/// How long each step of a check may take.
const PATIENCE: Duration = Duration::from_millis(900);

/// The readiness of a node.
#[derive(Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// Whether requests should be sent to this node.
    ready: bool,
    /// The reasons why not; only for callers on the same machine or with the metrics token, like `views`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = json!(["the log's database does not respond"]))]
    reasons: Option<Vec<String>>,
    /// The state of the read models.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    views: Option<Vec<ViewState>>,
}

/// The state of a read model in one partition.
#[derive(Serialize, ToSchema)]
pub(crate) struct ViewState {
    name: &'static str,
    partition: u16,
    /// How many events it is behind the log.
    events_behind: u64,
    /// Whether it has stopped because it failed; the cause is in the service's log.
    failed: bool,
    #[serde(skip)]
    met_damage: bool,
}

/// Checks that the log's database can be read and written.
pub(crate) struct DatabaseCheck {
    lease: Lease,
    name: String,
    last: Mutex<Option<(Instant, Option<&'static str>)>>,
}

impl DatabaseCheck {
    /// For the node of this name.
    pub(crate) fn new(node: &str) -> Self {
        let lease = Lease::new(Holder::new(node), Lease::MAX_DURATION);
        Self { lease, name: format!("readiness of {node}"), last: Mutex::default() }
    }

    /// Why the log's database cannot be used, if so; half a second old at most.
    async fn fault(&self, database: &dyn Database) -> Option<&'static str> {
        let mut last = self.last.lock().await;
        if let Some((_, fault)) = last.filter(|(at, _)| at.elapsed() < FRESH) {
            return fault;
        }
        let fault = self.check(database).await;
        *last = Some((Instant::now(), fault));
        fault
    }

    async fn check(&self, database: &dyn Database) -> Option<&'static str> {
        let silent = Some("the log's database does not respond");
        if !matches!(timeout(PATIENCE, database.incarnation()).await, Ok(Ok(_))) {
            return silent;
        }
        // A write that waits behind others is no fault.
        match timeout(PATIENCE, database.hold(&self.name, &self.lease)).await {
            Ok(Ok(_)) | Err(_) => None,
            Ok(Err(LogError::Full(_))) => Some("the log's storage is full"),
            Ok(Err(_)) => Some("the log's database cannot be written"),
        }
    }
}

/// Check readiness.
///
/// A node is ready when the log's database can be read and written, its clock differs from the database's by at most
/// 30 s, its background tasks work, and no read model has failed or is far behind. The reasons and the read models are
/// shown only to callers on the same machine, whose request came through no proxy, or with the metrics token.
#[utoipa::path(get, path = "/readyz", tag = "platform", operation_id = "get_readiness",
    security((), ("metrics" = [])),
    responses((status = 200, description = "The node is ready.", body = Readiness),
        (status = 503, description = "The node is not ready: send requests to another one.", body = Readiness)))]
pub(crate) async fn readyz(State(app): State<App>, extensions: Extensions, headers: HeaderMap) -> Response {
    let views: Vec<ViewState> = app
        .views
        .status()
        .into_iter()
        .map(|status| ViewState {
            name: status.name,
            partition: status.partition.0,
            events_behind: status.lag,
            failed: status.state.failure.is_some(),
            met_damage: status.state.met_damage,
        })
        .collect();
    let reasons = reasons(&app, &views).await;
    let ready = reasons.is_empty();
    let may_see =
        has_token(app.settings.metrics_token.as_deref(), &headers) || is_local(&app.settings, &extensions, &headers);
    let (reasons, views) = may_see.then_some((reasons, views)).unzip();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(Readiness { ready, reasons, views })).into_response()
}

/// Why the node is not ready.
async fn reasons(app: &App, views: &[ViewState]) -> Vec<String> {
    let mut reasons = Vec::new();
    reasons.extend(app.database_check.fault(&*app.database).await.map(str::to_owned));
    if !app.clock.is_trusted() {
        let seconds = app.clock.difference().as_secs().abs();
        reasons.push(format!("the clock of this node differs from the database's by {seconds} s"));
    }
    // A damaged event stops its readers on every node: taking nodes out of service would not help.
    let mut views = views.iter().filter(|view| !view.met_damage);
    if views.clone().any(|view| view.failed) {
        reasons.push("a read model has failed: see `views`".to_owned());
    }
    if views.any(|view| view.events_behind > MOST_BEHIND) {
        reasons.push(format!("a read model is more than {MOST_BEHIND} events behind: see `views`"));
    }
    let faults = supervise::status().into_iter().filter_map(|task| task.fault);
    reasons.extend(faults.map(|fault| format!("background task: {fault}")));
    reasons
}
