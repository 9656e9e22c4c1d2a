//! Records denied requests of authenticated callers, and reads by the platform's staff, for the audit log.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use porttask_app::{
    billing::metering::Metered,
    compliance::denial_log::{Denied, What},
};
use porttask_domain::{
    Actor, Meta, OrganizationId, TextEnum, UserId,
    compliance::staff_access::{Area, MOST_IDS},
    uuid_of,
};
use serde::Serialize;
use utoipa::openapi::{OpenApi, PathItem, path::Operation};

use crate::http::{app::App, problem::Problem};

/// The caller of a request, once authenticated, and what was shown to them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asker(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    known: OnceLock<Known>,
    /// The caller of the page that calls an operation in process.
    page: Option<Asker>,
    /// The other organization of which a caller from the platform reads; the platform's own for all of them.
    organization: OnceLock<OrganizationId>,
    /// The first ids of what was shown to such a caller.
    ids: Mutex<Vec<String>>,
    /// Whether a command shows the state of what it would change.
    shows_state: AtomicBool,
    /// Counts the request if it is answered.
    metered: OnceLock<Metered>,
}

#[derive(Debug, Clone)]
struct Known {
    organization: OrganizationId,
    user: UserId,
    meta: Meta,
}

impl Asker {
    /// The caller of this request.
    pub(crate) fn of(request: &mut Request) -> Self {
        request.extensions_mut().get_or_insert_default::<Self>().clone()
    }

    /// The caller of an operation that this request for a page calls in process.
    pub(crate) fn of_page(&self) -> Self {
        Self(Arc::new(Inner { page: Some(self.clone()), ..Inner::default() }))
    }

    /// Whether the caller is authenticated.
    pub(crate) fn is_known(&self) -> bool {
        self.0.known.get().is_some()
    }

    /// The id of the user or API key, once authenticated.
    pub(crate) fn id(&self) -> Option<String> {
        self.0.known.get().map(|known| match known.meta.actor {
            Actor::User { user, .. } => user.to_string(),
            Actor::ApiKey { key, .. } => key.to_string(),
            Actor::Operator | Actor::System | Actor::Anonymous => known.user.to_string(),
        })
    }

    /// Sets the caller.
    pub(crate) fn is(&self, organization: OrganizationId, user: UserId, meta: Meta) {
        if let Some(page) = &self.0.page {
            page.is(organization, user, meta.clone());
        }
        // A request has one caller: later calls have no effect.
        _ = self.0.known.set(Known { organization, user, meta });
    }

    /// Sets what counts the request if it is answered.
    pub(crate) fn is_metered(&self, metered: Metered) {
        _ = self.0.metered.set(metered);
    }

    /// Counts the request, unless it was refused by a limit or failed.
    pub(crate) fn answered(&self, status: StatusCode, now: Timestamp) {
        if let Some(metered) = self.0.metered.get()
            && status != StatusCode::TOO_MANY_REQUESTS
            && !status.is_server_error()
        {
            metered.count(now);
        }
    }

    /// Sets the other organization of which a caller from the platform reads.
    pub(crate) fn reads(&self, organization: OrganizationId) {
        _ = self.0.organization.set(organization);
    }

    /// Notes that the response to a command shows the state of its resource, like a read.
    pub(crate) fn shows_state(&self) {
        self.0.shows_state.store(true, Ordering::Relaxed);
    }

    /// Notes the ids of items that are shown.
    pub(crate) fn saw<T: Serialize>(&self, items: &[T]) {
        if self.0.organization.get().is_none() {
            return;
        }
        let id = |item| serde_json::to_value(item).ok()?.get("id")?.as_str().map(str::to_owned);
        let mut ids = self.0.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.extend(items.iter().take(MOST_IDS).filter_map(id));
    }

    /// What is recorded about a read by staff: while impersonating a user, or of an organization that is not theirs.
    fn read(&self, path: &str, operation: &str, target: Option<String>) -> Option<Denied> {
        let Known { organization, user, meta } = self.0.known.get()?.clone();
        if meta.impersonator.is_some() {
            let what = What::StaffAccess { operation: operation.to_owned() };
            return Some(Denied { organization, user, what, ids: Vec::new(), meta });
        }
        let is_command = self.0.shows_state.load(Ordering::Relaxed);
        // What a command shows is of the organization itself, if of none of its parts.
        let area = area(path).or(is_command.then_some(Area::Organization))?;
        let organization = *self.0.organization.get()?;
        let mut ids = self.0.ids.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if ids.is_empty() {
            ids.extend(target.filter(|it| *it != organization.to_string()));
        }
        Some(Denied { organization, user, what: What::StaffRead { area }, ids, meta })
    }
}

/// What part of an organization is read at a path: that of the last segment that names one.
pub(crate) fn area(path: &str) -> Option<Area> {
    if path == "/v1/platform/users" {
        return Some(Area::Search);
    }
    if path == "/v1/tickets" {
        return Some(Area::Tickets);
    }
    let parts = path.strip_prefix("/v1/organizations/{org}")?;
    let named = |segment: &str| Area::from_text(&segment.replace('-', "_"));
    let part = parts.rsplit('/').find_map(named);
    part.or_else(|| ["", "/invitation-quota"].contains(&parts).then_some(Area::Organization))
}

/// The public id that a request is about: the last one in its path.
fn target(pattern: &str, path: &str) -> Option<String> {
    let segments = pattern.rsplit('/').zip(path.rsplit('/'));
    let mut values = segments.filter(|(pattern, _)| pattern.starts_with('{')).map(|(_, value)| value);
    values.find(|value| uuid_of(value).is_some()).map(str::to_owned)
}

/// Operation ids, by method and path.
#[derive(Clone)]
pub(crate) struct Operations(Arc<HashMap<(String, String), String>>);

impl Operations {
    /// The operations of a document.
    pub(crate) fn of(document: &OpenApi) -> Self {
        let mut names = HashMap::new();
        for (path, item) in &document.paths.paths {
            let PathItem { get, put, post, delete, patch, .. } = item;
            for (method, operation) in
                [("GET", get), ("PUT", put), ("POST", post), ("DELETE", delete), ("PATCH", patch)]
            {
                if let Some(Operation { operation_id: Some(name), .. }) = operation {
                    names.insert((method.to_owned(), path.clone()), name.clone());
                }
            }
        }
        Self(Arc::new(names))
    }

    fn name(&self, method: &str, path: &str) -> Option<&String> {
        // HEAD is the same operation as GET.
        let method = if method == "HEAD" { "GET" } else { method };
        self.0.get(&(method.to_owned(), path.to_owned()))
    }
}

/// Records requests that are forbidden, not found, in conflict or over a limit; malformed requests are not recorded. A
/// read by staff is recorded before it is answered, also what a dry run or an outdated command shows.
pub(crate) async fn record(
    State((app, operations)): State<(App, Operations)>,
    mut request: Request,
    next: Next,
) -> Response {
    let asker = Asker::of(&mut request);
    let is_reading = request.method().is_safe();
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    let target = target(&path, request.uri().path());
    let operation = operations.name(request.method().as_str(), &path).cloned();
    let response = next.run(request).await;
    let Some(operation) = operation else { return response };
    let is_refusal = matches!(
        response.status(),
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS
    );
    if let (true, Some(known), Some(problem)) =
        (is_refusal, asker.0.known.get(), response.extensions().get::<Problem>())
    {
        let Known { organization, user, meta } = known.clone();
        let problem = problem.slug().to_owned();
        let what = What::Operation { operation: operation.clone(), problem, target: target.clone() };
        app.denial_log.record(Denied { organization, user, what, ids: Vec::new(), meta }, app.clock.now());
    }
    let is_shown = asker.0.shows_state.load(Ordering::Relaxed);
    if (is_shown || (is_reading && response.status().is_success()))
        && let Some(read) = asker.read(&path, &operation, target)
        && !app.denial_log.record_first(read, app.clock.now()).await
    {
        let detail = "Access by staff could not be recorded, so nothing is shown. Retry after a pause.";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-recorded", detail).after(1).into_response();
    }
    response
}
