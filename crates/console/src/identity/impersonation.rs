//! Acting as a user, for troubleshooting: with a reason, for at most an hour, recorded with both identities.

use axum::{
    Router,
    extract::State,
    http::{Method, header, request::Parts},
    response::{IntoResponse, Response},
    routing::post,
};
use maud::html;
use serde_json::{Value, json};

use crate::{
    Console,
    action::{Action, Inputs},
    api::Client,
    cookies::Cookie,
    form::Fields,
    ui::field::field,
    visit::{Answered, Visit, see_other},
};

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/impersonation/end", post(end))
}

/// The reason and the duration.
pub(crate) fn inputs<'a>(fields: Option<&Fields>) -> Inputs<'a> {
    let text = |name: &str, otherwise: &str| fields.map_or(otherwise, |fields| fields.text(name)).to_owned();
    let (reason, minutes) = (text("reason", ""), text("minutes", "30"));
    let choices = [("15", "15 minutes"), ("30", "30 minutes"), ("60", "An hour")];
    Inputs::new(move |problem| {
        html! {
            (field("Reason", "reason").value(&reason).hint("Such as a ticket’s number. It is recorded, and they can read it.").error(problem, "/reason").input("text"))
            (field("For at most", "minutes").value(&minutes).error(problem, "/minutes").select(&choices))
        }
    })
}

/// The request body.
pub(crate) fn body(fields: Option<&Fields>) -> Value {
    let text = |name: &str| fields.map_or("", |fields| fields.text(name)).to_owned();
    json!({ "reason": text("reason"), "minutes": text("minutes").parse::<u32>().unwrap_or(30) })
}

/// Begins: the token is kept in a cookie of its own, so that ending leads back to one's own session.
pub(crate) async fn begin(visit: &Visit, action: Action<'_>, fields: &Fields) -> Answered {
    match action.run(visit, fields).await {
        Ok(effect) => {
            let token = effect.token.unwrap_or_default();
            let cookie = visit.console.cookies.set(Cookie::Impersonation, &token);
            Ok(([(header::SET_COOKIE, cookie)], visit.redirect("/")).into_response())
        }
        Err(problem) => action.failed(visit, fields, &problem).await,
    }
}

/// Ends the impersonation, and leads back to one's own session.
async fn end(State(console): State<Console>, parts: Parts) -> Response {
    if let Some(token) = console.cookies.get(&parts.headers, Cookie::Impersonation) {
        let client = Client::new(&console, &parts, Some(&token));
        // It may have ended already.
        _ = client.call(Method::DELETE, "/v1/sessions/current").response().await;
    }
    let gone = console.cookies.delete(Cookie::Impersonation);
    ([(header::SET_COOKIE, gone)], see_other("/admin/users")).into_response()
}
