//! Undoing a change, by the operation that the API named with it.

use axum::{
    Router,
    http::{Method, StatusCode},
    routing::post,
};
use serde_json::Value;

use crate::{
    Console,
    api::Problem,
    form::Fields,
    visit::{Answered, Message, Visit},
};

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/undo", post(undo))
}

async fn undo(visit: Visit, fields: Fields) -> Answered {
    let unknown = || Problem::new(StatusCode::BAD_REQUEST, "This cannot be undone.");
    let method = match fields.text("method") {
        "POST" => Method::POST,
        "PATCH" => Method::PATCH,
        "DELETE" => Method::DELETE,
        _ => return Err(unknown().into()),
    };
    let path = fields.text("path");
    if !path.starts_with("/v1/organizations/") || path.contains("..") {
        return Err(unknown().into());
    }
    let body: Value = serde_json::from_str(fields.exact("body")).unwrap_or(Value::Null);
    let call = visit.client.call(method, path).version(fields.version()).key(fields.key());
    let call = if body.is_null() { call } else { call.json(&body) };
    call.send::<Value>().await?;
    let back = fields.text("back");
    let back = if back.starts_with('/') && !back.starts_with("//") { back } else { "/" };
    Ok(visit.done(back, &Message { text: "Undone.".to_owned(), ..Message::default() }))
}
