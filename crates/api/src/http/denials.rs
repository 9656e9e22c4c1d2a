//! Records denied requests of authenticated callers, and reads while impersonating a user, for the audit log.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use porttask_app::compliance::denial_log::{Denied, What};
use porttask_domain::{Actor, Meta, OrganizationId, UserId};
use utoipa::openapi::{OpenApi, PathItem, path::Operation};

use crate::http::{app::App, problem::Problem};

/// The caller of a request, once authenticated.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asker(Arc<OnceLock<Known>>);

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

    /// Whether the caller is authenticated.
    pub(crate) fn is_known(&self) -> bool {
        self.0.get().is_some()
    }

    /// The id of the user or API key, once authenticated.
    pub(crate) fn id(&self) -> Option<String> {
        self.0.get().map(|known| match known.meta.actor {
            Actor::User { user, .. } => user.to_string(),
            Actor::ApiKey { key, .. } => key.to_string(),
            Actor::Operator | Actor::System | Actor::Anonymous => known.user.to_string(),
        })
    }

    /// Sets the caller.
    pub(crate) fn is(&self, organization: OrganizationId, user: UserId, meta: Meta) {
        // A request has one caller: later calls have no effect.
        _ = self.0.set(Known { organization, user, meta });
    }
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
/// read while impersonating a user is recorded before it is answered.
pub(crate) async fn record(
    State((app, operations)): State<(App, Operations)>,
    mut request: Request,
    next: Next,
) -> Response {
    let asker = Asker::of(&mut request);
    let is_reading = request.method().is_safe();
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let operation = path.and_then(|path| operations.name(request.method().as_str(), &path).cloned());
    let response = next.run(request).await;
    let is_refusal = matches!(
        response.status(),
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS
    );
    if let (true, Some(known), Some(operation), Some(problem)) =
        (is_refusal, asker.0.get(), operation.clone(), response.extensions().get::<Problem>())
    {
        let Known { organization, user, meta } = known.clone();
        let problem = problem.slug().to_owned();
        let what = What::Operation { operation, problem };
        app.denial_log.record(Denied { organization, user, what, meta }, app.clock.now());
    }
    if let (true, true, Some(known), Some(operation)) = (
        is_reading,
        response.status().is_success(),
        asker.0.get().filter(|it| it.meta.impersonator.is_some()),
        operation,
    ) {
        let Known { organization, user, meta } = known.clone();
        let what = What::StaffAccess { operation };
        if !app.denial_log.record_first(Denied { organization, user, what, meta }, app.clock.now()).await {
            let detail = "Access by staff could not be recorded, so nothing is shown. Retry after a pause.";
            return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-recorded", detail).after(1).into_response();
        }
    }
    response
}
