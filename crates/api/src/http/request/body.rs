//! JSON bodies and their validation errors.

use std::collections::{BTreeSet, VecDeque};

use axum::{
    body::{Bytes, to_bytes},
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use serde_path_to_error::{Error, Path, Segment};
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::http::{
    app::App,
    problem::{FieldError, Problem},
};

/// Some programs put it in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Maximum size of a body.
const MAX_BYTES: usize = 64 * 1024;

/// The body of a request that needs no authentication.
pub(crate) struct Body<T>(pub(crate) T);

/// No body, or an empty object.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EmptyBody {}

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read(app, body).await?;
        parse(&parts.headers, &bytes).map(Self)
    }
}

/// Reads a body.
pub(super) async fn read(app: &App, body: axum::body::Body) -> Result<Bytes, Problem> {
    read_at_most(app, body, MAX_BYTES).await
}

/// Reads a body of at most this size, within half of the request timeout.
pub(crate) async fn read_at_most(app: &App, body: axum::body::Body, most: usize) -> Result<Bytes, Problem> {
    let patience = app.settings.connections.request_timeout / 2;
    let slow = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "body-timeout", "The body did not arrive in time.");
    let read = timeout(patience, to_bytes(body, most)).await.map_err(slow)?;
    read.map_err(|error| match is_too_large(&error) {
        true => {
            let detail = format!("The body must have at most {most} bytes.");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail)
        }
        false => Problem::new(StatusCode::BAD_REQUEST, "body-incomplete", "The body did not arrive completely."),
    })
}

fn is_too_large(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>())
}

/// Parses a body.
pub(super) fn parse<T: DeserializeOwned>(headers: &HeaderMap, bytes: &[u8]) -> Result<T, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = media == "application/json" || media == "application/merge-patch+json";
    if !is_json && !bytes.is_empty() {
        let detail = "Send JSON with the header `Content-Type: application/json`.";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail));
    }
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    // serde would also accept the values of the fields in an array, without names.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::invalid("", "must be an object"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        if error.inner().is_data() {
            return Problem::invalid_fields(faults::<T>(bytes, error));
        }
        // The parser reports null instead of a word as an error of syntax.
        let value = serde_json::from_slice::<Value>(bytes).ok();
        if let Some(error) = value.and_then(|value| serde_path_to_error::deserialize::<_, T>(&value).err()) {
            return Problem::invalid_fields(faults::<T>(bytes, error));
        }
        let detail = format!("The body is not valid JSON: {}.", without_value(&error.into_inner().to_string()));
        Problem::new(StatusCode::BAD_REQUEST, "malformed-json", detail)
    })?;
    let detail = "The body has trailing characters after the JSON value.";
    json.end().map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "malformed-json", detail))?;
    Ok(parsed)
}

/// Values that members of most types accept, to find further faults behind a missing one.
const PLACEHOLDERS: [&str; 11] = [
    "\"x\"",
    "\"x@x.example\"",
    "0",
    "1",
    "true",
    "[]",
    "{}",
    "\"2026-11-27T00:00:00Z\"",
    // A UN/LOCODE, an IMO number, and the id of a port call.
    "\"BRSSZ\"",
    "\"9074729\"",
    "\"call_00000000000000000000000000\"",
];
/// Maximum number of values to try for a missing member, and of members to try them for.
const MAX_PLACEHOLDERS: usize = 16;
const MAX_FILLINGS: usize = 20;
/// Maximum number of validation errors in a response.
const MAX_FAULTS: usize = 100;

/// All validation errors of a body. The parser stops at the first, so invalid parts are removed and the rest reparsed.
fn faults<T: DeserializeOwned>(bytes: &[u8], first: Error<serde_json::Error>) -> Vec<FieldError> {
    let Ok(mut rest) = serde_json::from_slice::<Value>(bytes) else {
        // For example a duplicate member.
        return vec![FieldError { pointer: pointer(first.path(), &BTreeSet::new()), detail: detail(first.inner()) }];
    };
    let mut left_out = BTreeSet::new();
    let (mut errors, mut fillings) = (Vec::new(), 0);
    let mut error = Some(first);
    while let Some(fault) = error
        && errors.len() < MAX_FAULTS
    {
        let place = pointer(fault.path(), &left_out);
        let message = fault.inner().to_string();
        let missing = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
        if !missing.is_some_and(|name| left_out.contains(&format!("{place}/{}", escaped(name)))) {
            errors.push(match missing {
                Some(name) => {
                    FieldError { pointer: format!("{place}/{}", escaped(name)), detail: "is required".to_owned() }
                }
                None => FieldError { pointer: place.clone(), detail: detail(fault.inner()) },
            });
        }
        error = match missing {
            // The parser gets past a missing member only if there is one.
            Some(name) if fillings < MAX_FILLINGS => {
                fillings += 1;
                match fill::<T>(&mut rest, fault.path(), name) {
                    Some(next) => next,
                    None => break,
                }
            }
            None if leave_out(&mut rest, fault.path()) => {
                left_out.insert(place);
                serde_path_to_error::deserialize::<_, T>(&rest).err()
            }
            Some(_) | None => break,
        };
    }
    errors
}

/// Puts a value into the place of a missing member that the parser accepts, so that it gets on to the next fault: returns
/// that one, if there is one. `None` if no value is accepted.
fn fill<T: DeserializeOwned>(body: &mut Value, path: &Path, name: &str) -> Option<Option<Error<serde_json::Error>>> {
    let segments: Vec<&Segment> = path.iter().collect();
    let mut untried = VecDeque::from(PLACEHOLDERS.map(placeholder));
    let mut tried = 0;
    while let Some(value) = untried.pop_front().filter(|_| tried < MAX_PLACEHOLDERS) {
        tried += 1;
        let Some(Value::Object(members)) = value_at(body, &segments) else { return None };
        members.insert(name.to_owned(), value);
        let Some(next) = serde_path_to_error::deserialize::<_, T>(&*body).err() else { return Some(None) };
        let place: Vec<String> = next.path().iter().map(Segment::to_string).collect();
        let is_here = place.len() > segments.len() && place[segments.len()] == name;
        if !is_here {
            return Some(Some(next));
        }
        // The message names the variants of an enumeration.
        let message = next.inner().to_string();
        let expected = message.strip_prefix("unknown variant ").and_then(|rest| rest.split_once(", expected "));
        if let Some(variant) = expected.and_then(|(_, variants)| variants.split('`').nth(1)) {
            untried.push_front(Value::String(variant.to_owned()));
        }
    }
    None
}

fn placeholder(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}

fn value_at<'a>(body: &'a mut Value, segments: &[&Segment]) -> Option<&'a mut Value> {
    segments.iter().try_fold(body, |parent, segment| match segment {
        Segment::Seq { index } => parent.get_mut(index),
        Segment::Map { key } => parent.get_mut(key),
        Segment::Enum { .. } | Segment::Unknown => None,
    })
}

/// Removes the value at a path. Returns whether it was found.
fn leave_out(body: &mut Value, path: &Path) -> bool {
    let segments: Vec<&Segment> = path.iter().collect();
    let Some((last, parents)) = segments.split_last() else { return false };
    let parent = value_at(body, parents);
    match (parent, last) {
        (Some(Value::Object(members)), Segment::Map { key }) => members.remove(key).is_some(),
        (Some(Value::Array(items)), Segment::Seq { index }) if *index < items.len() => {
            items.remove(*index);
            true
        }
        _ => false,
    }
}

/// A path as a JSON pointer (RFC 6901) into the original body: removed items have shifted the indices after them.
fn pointer(path: &Path, left_out: &BTreeSet<String>) -> String {
    let mut pointer = String::new();
    for segment in path.iter() {
        let name = match segment {
            Segment::Seq { index } => {
                let places = (0..).filter(|place| !left_out.contains(&format!("{pointer}/{place}")));
                places.into_iter().nth(*index).unwrap_or(*index).to_string()
            }
            Segment::Map { key } => escaped(key),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&name);
    }
    pointer
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn detail(error: &serde_json::Error) -> String {
    without_value(&error.to_string())
}

/// The message of serde without the invalid value, which may be a secret in the wrong field.
pub(super) fn without_value(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or_default();
    if let Some((_, rest)) = message.strip_prefix("invalid ").and_then(|rest| rest.split_once(", expected ")) {
        return format!("must be {}", in_json(rest));
    }
    if let Some((_, rest)) = message.strip_prefix("unknown variant ").and_then(|rest| rest.split_once(", expected ")) {
        return format!("must be {rest}");
    }
    if let Some((_, rest)) = message.strip_prefix("unknown field ").and_then(|rest| rest.split_once(", ")) {
        return format!("unknown field: {rest}");
    }
    message.to_owned()
}

/// What serde expects, in the words of JSON.
fn in_json(expected: &str) -> String {
    let word = expected.split(' ').next().unwrap_or_default();
    match word {
        "struct" | "a" if expected.starts_with("struct ") || expected == "a map" => "an object".to_owned(),
        "internally" | "adjacently" | "map" => "an object".to_owned(),
        "tuple" | "a" if expected.starts_with("tuple ") || expected == "a sequence" => "an array".to_owned(),
        "enum" => "one of the documented values".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative and not too large".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number that is not too large".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "unit" => "null".to_owned(),
        _ => expected.to_owned(),
    }
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
            (r#"{}"#, "invalid-fields", "\"pointer\":\"/name\",\"detail\":\"is required\""),
            (r#"{"name":"Ana","inner":3}"#, "invalid-fields", "must be an object"),
            ("\u{feff}{\"name\":\"Ana\",\"secret\":1}", "invalid-fields", "unknown field"),
            (r#"{"name":"#, "malformed-json", "not valid JSON"),
            (r#"{"name":"Ana"} {}"#, "malformed-json", "trailing"),
            (r#" ["Ana"]"#, "invalid-fields", "an object"),
        ] {
            let (actual, told) = parsed(json).unwrap_err();
            assert_eq!(actual, slug, "{json}: {told}");
            assert!(told.contains(pointer) && !told.contains("5555"), "{json}: {told}");
        }
        let (_, told) = parsed(r#"{"name":"Ana","inner":{"number":"hunter2"}}"#).unwrap_err();
        assert!(!told.contains("hunter2"), "{told}");
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Crew {
        captain: Person,
        people: Vec<Person>,
    }

    #[test]
    fn all_faults_of_a_body_are_reported_at_once() {
        let body = r#"{"captain": {"name": 1, "rank": 2}, "ship": "Aurora", "people":
            [{"name": "Ana"}, {"name": 2}, 3, {"name": "Rui", "inner": {"number": -1}}, {}]}"#;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        let problem = serde_json::to_value(parse::<Crew>(&headers, body.as_bytes()).unwrap_err()).unwrap();
        let mut pointers: Vec<&str> =
            problem["errors"].as_array().unwrap().iter().map(|it| it["pointer"].as_str().unwrap()).collect();
        pointers.sort_unstable();
        let expected = [
            "/captain/name",
            "/captain/rank",
            "/people/1/name",
            "/people/2",
            "/people/3/inner/number",
            "/people/4/name",
        ];
        for pointer in expected {
            assert!(pointers.contains(&pointer), "{pointer}: {problem:#}");
        }
    }
}
