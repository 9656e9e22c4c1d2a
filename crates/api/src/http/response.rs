//! The result of a command.

use axum::{
    Json,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use porttask_domain::OrganizationId;
use porttask_projections::compliance::description::action;
use porttask_runtime::{
    execute::Outcome,
    log::{Offset, Position, StreamId, Version},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::{
    app::App,
    changes::{FieldChange, Undo, changes},
    problem::Problem,
};

/// The response header with the position of a change, for `Porttask-At-Least`.
pub(crate) const POSITION: &str = "porttask-position";

/// The result of a command, or in a dry run what it would be.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommandResult {
    /// The id of the changed resource.
    #[schema(example = "usr_01h455vb4pex5vsknk084sn02q")]
    id: String,
    /// Its current version: the ETag for the next change.
    version: u64,
    /// The recorded events, in order; empty if the command had already taken effect.
    #[schema(example = json!(["user.role_changed"]))]
    events: Vec<String>,
    /// The changed fields of the resource, as in its entries in the audit log, each once.
    changes: Vec<FieldChange>,
    /// The request that undoes the change, if there is one; absent if nothing changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    undo: Option<Undo>,
    /// The position of the change, for `Porttask-At-Least`; absent if nothing was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "pos_0yXgVn4Rk1m5Z8b3cD7eF9gH2iJ4kL6mN8oP0qR2sT4")]
    position: Option<String>,
    /// When it was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    recorded_at: Option<Timestamp>,
    /// Whether the same request was executed before: this is the result of then.
    repeated: bool,
    /// Whether this is a dry run: nothing was recorded.
    dry_run: bool,
    #[serde(skip)]
    is_new: bool,
}

impl CommandResult {
    /// The result of a command on `subject`, for a caller from the organization `viewer`.
    ///
    /// # Errors
    /// If the event of the first execution cannot be read.
    pub(crate) async fn of<T>(
        app: &App,
        outcome: &Outcome<T>,
        (subject, viewer): (&StreamId, OrganizationId),
        dry_run: bool,
    ) -> Result<Self, Problem> {
        let (stream, version) = match (outcome.repeated, outcome.position) {
            (true, Some(position)) => match recorded_at(app, position).await? {
                // It was created together with other aggregates: its id is derived from the idempotency key.
                (stream, _) if stream.name.category() != subject.name.category() => (subject.clone(), Version(1)),
                recorded => recorded,
            },
            _ => (subject.clone(), version_of(app, outcome, subject).await?),
        };
        let own = || outcome.events.iter().filter(|event| event.stream == stream);
        let events = own().map(|event| action(event.event_type.as_str()).to_owned());
        Ok(Self {
            id: stream.name.id().to_owned(),
            version: version.0,
            events: events.collect(),
            changes: changes(own()),
            undo: None,
            position: outcome.position.map(|position| app.positions.seal(viewer, position)),
            recorded_at: outcome.recorded_at,
            repeated: outcome.repeated,
            dry_run,
            is_new: match outcome.events.first() {
                Some(first) => first.version == Version(1),
                None => outcome.repeated && version == Version(1),
            },
        })
    }

    /// The result of what followed in another append.
    #[must_use]
    pub(crate) fn at(self, position: String, version: u64) -> Self {
        Self { position: Some(position), version, ..self }
    }

    /// The same result, for a resource that has no stream of its own.
    #[must_use]
    pub(crate) fn about(self, id: impl std::fmt::Display) -> Self {
        Self { id: id.to_string(), is_new: self.is_change(), ..self }
    }

    /// With the request that undoes it, if something changed. What a dry run would create has no path.
    #[must_use]
    pub(crate) fn undone_by(self, undo: impl FnOnce(&str) -> Undo) -> Self {
        let is_missing = self.dry_run && self.is_new;
        let is_there = self.is_change() && !is_missing;
        Self { undo: is_there.then(|| undo(&self.id)), ..self }
    }

    /// Whether something changed, or in a dry run would.
    pub(crate) fn is_change(&self) -> bool {
        !self.events.is_empty()
    }

    /// Whether the same request was executed before.
    pub(crate) fn is_repeated(&self) -> bool {
        self.repeated
    }

    /// 201 if something was created.
    pub(crate) fn status(&self) -> StatusCode {
        if self.is_new && !self.dry_run { StatusCode::CREATED } else { StatusCode::OK }
    }

    /// The response to a creation in this collection.
    pub(crate) fn created(self, collection: &str) -> Response {
        let (status, place) = (self.status(), format!("{collection}/{}", self.id));
        created(status, &place, self)
    }
}

/// A response to a creation, with the `Location` of the new resource.
pub(crate) fn created(status: StatusCode, place: &str, body: impl IntoResponse) -> Response {
    let mut response = (status, body).into_response();
    if let (StatusCode::CREATED | StatusCode::ACCEPTED, Ok(place)) = (status, HeaderValue::from_str(place)) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

impl CommandResult {
    /// The version (`ETag`) and position as headers.
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(position) = self.position.as_ref().and_then(|it| HeaderValue::from_str(it).ok()) {
            headers.insert(HeaderName::from_static(POSITION), position);
        }
        if !self.dry_run
            && let Some(tag) = etag(self.version)
        {
            headers.insert(header::ETAG, tag);
        }
        headers
    }
}

impl IntoResponse for CommandResult {
    fn into_response(self) -> Response {
        (self.headers(), Json(self)).into_response()
    }
}

/// The strong ETag of a version.
pub(crate) fn etag(version: u64) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{version}\"")).ok()
}

async fn version_of<T>(app: &App, outcome: &Outcome<T>, subject: &StreamId) -> Result<Version, Problem> {
    if let Some(event) = outcome.events.iter().rev().find(|event| event.stream == *subject) {
        return Ok(event.version);
    }
    let versions = app.database.versions(std::slice::from_ref(subject)).await;
    Ok(versions.map_err(|error| Problem::unavailable(&error))?.first().copied().unwrap_or_default())
}

/// The stream and version of the event at a position.
async fn recorded_at(app: &App, position: Position) -> Result<(StreamId, Version), Problem> {
    let before = Offset(position.offset.0.saturating_sub(1));
    let events = app.database.read_partition(position.partition, before, 1).await;
    let events = events.map_err(|error| Problem::unavailable(&error))?;
    let event = events.into_iter().next().ok_or_else(|| Problem::not_found("event"))?;
    Ok((event.stream, event.version))
}

/// The path of an organization.
pub(crate) fn place_of(organization: OrganizationId) -> String {
    format!("/v1/organizations/{organization}")
}
