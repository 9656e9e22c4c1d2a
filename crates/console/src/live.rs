//! Says that something has changed, never what: the page then asks again, with the permissions of its reader.

use axum::{Router, extract::State, http::request::Parts, response::Response, routing::get};

use crate::{Console, api::Client, api::Problem, failure::Failure};

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/live", get(live))
}

/// The API's stream of positions, with the session of the cookie.
async fn live(State(console): State<Console>, parts: Parts) -> Result<Response, Failure> {
    let Some(token) = console.cookies.token(&parts.headers) else {
        return Err(Problem::new(axum::http::StatusCode::FORBIDDEN, "Nobody is signed in.").into());
    };
    let client = Client::new(&console, &parts, Some(&token));
    let response = client.get("/v1/events/positions").download().await;
    // An ended session closes the stream; browsers would follow a redirect to the sign-in page.
    response.map_err(|problem| match problem.status {
        401 => Problem::new(axum::http::StatusCode::FORBIDDEN, "The session has ended.").into(),
        _ => problem.into(),
    })
}
