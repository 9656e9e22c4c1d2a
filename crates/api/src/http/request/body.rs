//! JSON bodies, with what is wrong with them.

use axum::{
    body::{Bytes, to_bytes},
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::http::{app::App, problem::Problem};

/// The largest body.
const MAX_BYTES: usize = 64 * 1024;

/// The body of a request that nobody need be signed in for.
pub(crate) struct Body<T>(pub(crate) T);

/// No body, or an empty object.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read(app, body).await?;
        parse(&parts.headers, &bytes).map(Self)
    }
}

/// The bytes of a body.
pub(super) async fn read(app: &App, body: axum::body::Body) -> Result<Bytes, Problem> {
    read_at_most(app, body, MAX_BYTES).await
}

/// The bytes of a body of this size. They may take half of the time that the request may take.
pub(super) async fn read_at_most(app: &App, body: axum::body::Body, most: usize) -> Result<Bytes, Problem> {
    let patience = app.settings.connections.request_timeout / 2;
    let slow = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "body-timeout", "the body did not arrive in time");
    let read = timeout(patience, to_bytes(body, most)).await.map_err(slow)?;
    let detail = format!("a body must have at most {most} bytes, and arrive whole");
    read.map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail))
}

/// What a body says.
pub(super) fn parse<T: DeserializeOwned>(headers: &HeaderMap, bytes: &[u8]) -> Result<T, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = media == "application/json" || media == "application/merge-patch+json";
    if !is_json && !bytes.is_empty() {
        let detail = "send JSON, with the header Content-Type: application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail));
    }
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    // Members in an array, without their names, would do for serde.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::invalid("", "must be an object"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let is_syntax = !error.inner().is_data();
        let pointer = pointer(error.path());
        let detail = without_value(&error.into_inner().to_string());
        match is_syntax {
            true => Problem::new(StatusCode::BAD_REQUEST, "malformed-json", format!("the body is no JSON: {detail}")),
            false => Problem::invalid(pointer, detail),
        }
    })?;
    let malformed = |_| Problem::new(StatusCode::BAD_REQUEST, "malformed-json", "something follows the JSON");
    json.end().map_err(malformed)?;
    Ok(parsed)
}

/// A path as a JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let segments = path.iter().filter_map(|segment| match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { variant } => Some(variant.clone()),
        Segment::Unknown => None,
    });
    segments.map(|segment| format!("/{segment}")).collect()
}

/// What serde says, without the value that it repeats: it may be a secret in the wrong field.
fn without_value(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or_default();
    if let Some((_, rest)) = message.strip_prefix("invalid ").and_then(|rest| rest.split_once(", expected ")) {
        return format!("must be {rest}");
    }
    if let Some((_, rest)) = message.strip_prefix("unknown variant ").and_then(|rest| rest.split_once(", expected ")) {
        return format!("must be {rest}");
    }
    if let Some((_, rest)) = message.strip_prefix("unknown field ").and_then(|rest| rest.split_once(", ")) {
        return format!("this field is not known: {rest}");
    }
    message.to_owned()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Person {
        name: String,
        #[serde(default)]
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        number: u8,
    }

    fn parsed(json: &str) -> Result<Person, (String, String)> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        let told = |problem: Problem| (problem.slug().to_owned(), serde_json::to_string(&problem).unwrap());
        parse(&headers, json.as_bytes()).map_err(told)
    }

    #[test]
    fn what_is_wrong_with_a_body_is_said_with_its_place_and_without_its_value() {
        assert_eq!(parsed(r#"{"name":"Ana"}"#), Ok(Person { name: "Ana".to_owned(), inner: None }));
        for (json, slug, pointer) in [
            (r#"{"name":5555}"#, "invalid-fields", "/name"),
            (r#"{"name":"Ana","inner":{"number":"secret"}}"#, "invalid-fields", "/inner/number"),
            (r#"{"name":"Ana","inner":{"number":300}}"#, "invalid-fields", "/inner/number"),
            (r#"{"name":"Ana","secret":1}"#, "invalid-fields", "\"pointer\":\""),
            (r#"{}"#, "invalid-fields", "name"),
            (r#"{"name":"#, "malformed-json", "no JSON"),
            (r#"{"name":"Ana"} {}"#, "malformed-json", "follows"),
            (r#" ["Ana"]"#, "invalid-fields", "an object"),
        ] {
            let (actual, told) = parsed(json).unwrap_err();
            assert_eq!(actual, slug, "{json}: {told}");
            assert!(told.contains(pointer) && !told.contains("5555"), "{json}: {told}");
        }
        let (_, told) = parsed(r#"{"name":"Ana","inner":{"number":"hunter2"}}"#).unwrap_err();
        assert!(!told.contains("hunter2"), "{told}");
    }
}
