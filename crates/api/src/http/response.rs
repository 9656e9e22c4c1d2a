//! What a command is answered with.

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

use crate::http::{app::App, problem::Problem};

/// The header that says up to where a reader must read to see what was done.
pub(crate) const POSITION: &str = "porttask-position";

/// What was done, or in a dry run would be.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommandResult {
    /// What it was done to.
    #[schema(example = "usr_01h455vb4pex5vsknk084sn02q")]
    id: String,
    /// Its version now: the ETag for the next change.
    version: u64,
    /// What happened, in order; nothing if all was so already.
    #[schema(example = json!(["user.role_changed"]))]
    events: Vec<String>,
    /// Up to where a listing must have read to show it (`Porttask-At-Least`); absent if nothing was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "0:1234")]
    position: Option<String>,
    /// When it was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    recorded_at: Option<Timestamp>,
    /// The same request was carried out before: this is its answer.
    repeated: bool,
    /// Nothing was recorded, because it was only asked what would happen.
    dry_run: bool,
    #[serde(skip)]
    is_new: bool,
}

impl CommandResult {
    /// The answer to a command to `subject`.
    ///
    /// # Errors
    /// If what a repetition did before cannot be read.
    pub(crate) async fn of(app: &App, done: Outcome, subject: &StreamId, dry_run: bool) -> Result<Self, Problem> {
        let (stream, version) = match (done.repeated, done.position) {
            (true, Some(position)) => match recorded_at(app, position).await? {
                // Something was made together with what is its own: the id is the one that the key makes.
                (stream, _) if stream.name.category() != subject.name.category() => (subject.clone(), Version(1)),
                recorded => recorded,
            },
            _ => (subject.clone(), version_of(app, &done, subject).await?),
        };
        let own = done.events.iter().filter(|event| event.stream == stream);
        let events = own.map(|event| action(event.event_type.as_str()).to_owned());
        Ok(Self {
            id: stream.name.id().to_owned(),
            version: version.0,
            events: events.collect(),
            position: done.position.map(|position| position.to_string()),
            recorded_at: done.recorded_at,
            repeated: done.repeated,
            dry_run,
            is_new: match done.events.first() {
                Some(first) => first.version == Version(1),
                None => done.repeated && version == Version(1),
            },
        })
    }

    /// The status that says whether something new was made.
    pub(crate) fn status(&self) -> StatusCode {
        if self.is_new && !self.dry_run { StatusCode::CREATED } else { StatusCode::OK }
    }

    /// As the answer to making something new at this address.
    pub(crate) fn created(self, place: &str) -> Response {
        let (status, location) = (self.status(), format!("{place}/{}", self.id));
        let mut response = (status, self).into_response();
        if let (StatusCode::CREATED, Ok(location)) = (status, HeaderValue::from_str(&location)) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

impl CommandResult {
    /// Where it stands, for whoever reads only headers.
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

/// The strong tag of a version.
pub(crate) fn etag(version: u64) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{version}\"")).ok()
}

async fn version_of(app: &App, done: &Outcome, subject: &StreamId) -> Result<Version, Problem> {
    if let Some(event) = done.events.iter().rev().find(|event| event.stream == *subject) {
        return Ok(event.version);
    }
    let versions = app.database.versions(std::slice::from_ref(subject)).await;
    Ok(versions.map_err(|error| Problem::unavailable(&error))?.first().copied().unwrap_or_default())
}

/// What was recorded at a place.
async fn recorded_at(app: &App, position: Position) -> Result<(StreamId, Version), Problem> {
    let before = Offset(position.offset.0.saturating_sub(1));
    let events = app.database.read_partition(position.partition, before, 1).await;
    let events = events.map_err(|error| Problem::unavailable(&error))?;
    let event = events.into_iter().next().ok_or_else(|| Problem::not_found("event"))?;
    Ok((event.stream, event.version))
}

/// The address of an organization.
pub(crate) fn place_of(organization: OrganizationId) -> String {
    format!("/v1/organizations/{organization}")
}
