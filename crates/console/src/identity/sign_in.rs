//! Signing in and out.

use axum::{
    Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use form_urlencoded::Serializer;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    Console,
    api::{Client, Problem},
    cookies::{self, Cookie},
    form::{ACTING_AS, Fields, KEY},
    ui::{self, door, field::field},
    visit::{Answered, Visit, see_other},
};

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/", get(start)).route("/sign-in", get(show).post(sign_in)).route("/sign-out", post(sign_out))
}

/// Where to go after signing in: only pages of this service.
const NEXT: &str = "next";
/// A form that was submitted when its session had ended.
const KEPT: &str = "kept";

/// What a new session consists of.
#[derive(Debug, Deserialize)]
pub(crate) struct NewSession {
    pub(crate) token: String,
    pub(crate) device_token: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    next: String,
    email: String,
}

/// The address of the sign-in page that leads back to a page.
pub(crate) fn url(next: &str) -> String {
    if next.is_empty() || next == "/" {
        return "/sign-in".to_owned();
    }
    format!("/sign-in?{}", Serializer::new(String::new()).append_pair(NEXT, next).finish())
}

/// A page of this service; anything else is `/`.
fn local(next: &str) -> &str {
    let is_local = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n']);
    if is_local { next } else { "/" }
}

async fn start(visit: Visit) -> Response {
    see_other(visit.frame.start()).into_response()
}

async fn show(State(console): State<Console>, Query(asked): Query<Asked>) -> Markup {
    page(&console, &asked.next, &asked.email, "", None)
}

/// The sign-in page in place of a page whose session has ended: what was entered in its form is kept.
pub(crate) fn again(console: &Console, url: &str, form: &str) -> Response {
    let problem =
        Problem::new(StatusCode::UNAUTHORIZED, "Your session has ended. Sign in again: what you entered is kept.");
    (StatusCode::UNAUTHORIZED, page(console, url, "", form, Some(&problem))).into_response()
}

fn page(console: &Console, next: &str, email: &str, kept: &str, problem: Option<&Problem>) -> Markup {
    let url = &console.settings.public_url;
    let is_insecure = cookies::is_plain(url) && !cookies::is_loopback(url);
    door::card(
        "Sign in",
        html! {},
        html! { form.form method="post" action="/sign-in" novalidate {
            @if is_insecure { (ui::note("warn", "lock-open", "This service needs HTTPS", html! {
                p { "Browsers keep no session on " code { (url) } ". Set PORTTASK_PUBLIC_URL to an https address, with a proxy in front." }
            })) }
            @if let Some(problem) = problem { (ui::summary(problem)) }
            input type="hidden" name=(NEXT) value=(next);
            @if !kept.is_empty() { input type="hidden" name=(KEPT) value=(kept); }
            (field("Email address", "email").value(email).complete("username").error(problem, "/email").input("email"))
            (field("Password", "password").complete("current-password").error(problem, "/password").input("password"))
            details open[problem.is_some_and(|it| it.at("/organization").is_some())] {
                summary { "I have accounts in several organizations" }
                (field("Organization", "organization").optional().hint("Its domain, such as acme.example.").error(problem, "/organization").input("text"))
            }
            button.btn.main-act type="submit" { "Sign in" }
            a href="/forgot-password" { "Forgot your password?" }
        } },
    )
}

async fn sign_in(State(console): State<Console>, parts: Parts, fields: Fields) -> Response {
    let mut body = fields.json(&["email", "organization"]);
    body.insert("password".to_owned(), fields.exact("password").into());
    if let Some(device) = console.cookies.get(&parts.headers, Cookie::Device) {
        body.insert("device_token".to_owned(), device.into());
    }
    let client = Client::new(&console, &parts, None);
    match client.post("/v1/sessions").json(&Value::Object(body)).send::<NewSession>().await {
        Ok(session) => {
            let headers = begin(&console, &session.body);
            let (next, kept) = (local(fields.text(NEXT)), fields.exact(KEPT));
            if kept.is_empty() {
                (headers, see_other(next)).into_response()
            } else {
                (headers, resume(next, kept)).into_response()
            }
        }
        Err(problem) => {
            let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let content = page(&console, fields.text(NEXT), fields.text("email"), fields.exact(KEPT), Some(&problem));
            (status, content).into_response()
        }
    }
}

/// The cookies of a new session. An impersonation of before ends.
pub(crate) fn begin(console: &Console, session: &NewSession) -> HeaderMap {
    let cookies = console.cookies;
    [
        cookies.set(Cookie::Session, &session.token),
        cookies.set(Cookie::Device, &session.device_token),
        cookies.delete(Cookie::Impersonation),
    ]
    .into_iter()
    .fold(HeaderMap::new(), |mut headers, cookie| {
        headers.append(header::SET_COOKIE, cookie);
        headers
    })
}

/// Offers to submit a form that was kept while its session had ended. Who signed in may be somebody else: the form then
/// says so, as it was rendered for the other one.
fn resume(url: &str, kept: &str) -> Markup {
    let fields = Fields::parse(kept.as_bytes());
    door::card(
        "You are signed in again",
        html! { p { "What you entered was kept, and not sent yet." } },
        html! {
            form.form method="post" action=(url) {
                @for (name, value) in fields.pairs() {
                    @if name == KEY || name == ACTING_AS || !name.is_empty() { input type="hidden" name=(name) value=(value); }
                }
                button.btn.main-act type="submit" { "Send it now" }
                a.btn.edge href=(url) { "Discard it" }
            }
        },
    )
}

async fn sign_out(State(console): State<Console>, parts: Parts) -> Answered {
    let cookies = console.cookies;
    for cookie in [Cookie::Impersonation, Cookie::Session] {
        if let Some(token) = cookies.get(&parts.headers, cookie) {
            // A session that has ended already is what is wanted.
            _ = Client::new(&console, &parts, Some(&token))
                .call(axum::http::Method::DELETE, "/v1/sessions/current")
                .response()
                .await;
        }
    }
    let mut response = see_other("/sign-in").into_response();
    for cookie in [Cookie::Impersonation, Cookie::Session, Cookie::Message] {
        response.headers_mut().append(header::SET_COOKIE, cookies.delete(cookie));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_to_pages_of_this_service_only() {
        assert_eq!(local("/settings/users?q=a"), "/settings/users?q=a");
        for foreign in ["https://evil.example", "//evil.example", "/\\evil.example", "", "/a\r\nx: y"] {
            assert_eq!(local(foreign), "/", "{foreign}");
        }
    }
}
