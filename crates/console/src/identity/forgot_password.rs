//! Asking for a link to set a new password.

use axum::{
    Router,
    extract::State,
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
    routing::get,
};
use maud::{Markup, html};
use serde_json::Value;

use crate::{
    Console,
    api::{Client, Problem},
    form::Fields,
    ui::{self, door, field::field},
};

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/forgot-password", get(show).post(ask))
}

async fn show() -> Markup {
    page("", None)
}

fn page(email: &str, problem: Option<&Problem>) -> Markup {
    let lead = html! { p { "You get an email with a link, if there is an account with this address." } };
    door::card(
        "Forgot your password?",
        lead,
        html! { form.form method="post" action="/forgot-password" novalidate {
            @if let Some(problem) = problem { (ui::summary(problem)) }
            (field("Email address", "email").value(email).complete("username").error(problem, "/email").input("email"))
            button.btn.main-act type="submit" { "Send the link" }
            a href="/sign-in" { "Back to sign-in" }
        } },
    )
}

/// Answers alike whether there is an account or not.
async fn ask(State(console): State<Console>, parts: Parts, fields: Fields) -> Response {
    let client = Client::new(&console, &parts, None);
    let body = Value::Object(fields.json(&["email"]));
    match client.post("/v1/password-resets").json(&body).send::<Value>().await {
        // Accepted, not done: whoever asks again and again is limited.
        Ok(_) => (StatusCode::ACCEPTED, door::card("Look into your inbox", html! {}, html! { div.form {
            p { "If there is an account with this address, an email with a link is on its way. The link is valid for an hour." }
            @if let Some(folder) = &console.settings.mail_folder {
                (ui::note("info", "mail", "Emails stay on the server", html! { p {
                    "No mail server is configured. Whoever runs the service finds the email in " code { (folder) }
                    ", or with " code { "porttask mail last --to " (fields.text("email")) } "."
                } }))
            }
            a.btn.edge href="/sign-in" { "Back to sign-in" }
        } })).into_response(),
        Err(problem) => {
            let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, page(fields.text("email"), Some(&problem))).into_response()
        }
    }
}
