//! Sessions of a user: from where they are signed in, and ending them.

use axum::{
    Router,
    http::Method,
    routing::{get, post},
};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::user::User;
use crate::{
    Console,
    action::{Action, Inputs},
    api::Page,
    form::Fields,
    ui::{self, icon, time, words},
    visit::{Answered, Message, Visit},
};

pub(crate) fn settings() -> Router<Console> {
    Router::new()
        .route("/users/{user}/sessions/end", get(end_all_form).post(end_all))
        .route("/users/{user}/sessions/{session}/end", post(end))
}

#[derive(Debug, Deserialize)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) device: Option<String>,
    pub(crate) ip: Option<String>,
    pub(crate) last_used_at: Timestamp,
    pub(crate) last_used_ip: Option<String>,
    pub(crate) started_at: Timestamp,
    pub(crate) is_current: bool,
    pub(crate) is_open: bool,
    pub(crate) staff_number: Option<String>,
}

/// The open sessions of a user, as a section of their page.
pub(crate) async fn of_user(visit: &Visit, user: &User) -> Markup {
    let call = visit.get(&format!("/users/{}/sessions", user.id)).query([("open", "true")]);
    let Ok(sessions) = call.send::<Page<Session>>().await else { return html! {} };
    let base = visit.url(&format!("/users/{}/sessions", user.id));
    section(visit, &sessions.body.items, &base, visit.may("users:write"))
}

/// Sessions with buttons to end them, at addresses below `base`.
pub(crate) fn section(visit: &Visit, sessions: &[Session], base: &str, may_end: bool) -> Markup {
    let frame = &visit.frame;
    html! { section.card {
        header { h2 { "Open sessions" } @if may_end && !sessions.is_empty() { (ui::sheet_link(&format!("{base}/end"), "btn edge", "log-out", "End all…")) } }
        @if sessions.is_empty() { p.in.soft { "Not signed in anywhere." } } @else { ul.rows { @for session in sessions.iter().filter(|it| it.is_open) { li {
            div {
                b { (session.device.as_deref().unwrap_or("Unknown device")) }
                @if session.is_current { " " (words::badge("ok", "This session")) }
                @if let Some(number) = &session.staff_number { " " (words::badge("violet", &format!("Staff {number}"))) }
                div.soft { (session.last_used_ip.as_deref().or(session.ip.as_deref()).unwrap_or("unknown address")) " · used " (time::instant(frame, session.last_used_at)) " · since " (time::instant(frame, session.started_at)) }
            }
            @if may_end && !session.is_current { (ui::button(frame, &format!("{base}/{}/end", session.id), "btn edge", html! { "End" span.hide { " the session on " (session.device.as_deref().unwrap_or("an unknown device")) } })) }
        } } } }
    } }
}

async fn end(visit: Visit, fields: Fields) -> Answered {
    let (user, session) = (visit.param("user"), visit.param("session"));
    let path = visit.path(&format!("/users/{user}/sessions/{session}"));
    visit.client.call(Method::DELETE, path).key(fields.key()).send::<Option<serde_json::Value>>().await?;
    Ok(visit.done(
        &visit.url(&format!("/users/{user}")),
        &Message { text: "The session has ended.".to_owned(), ..Message::default() },
    ))
}

async fn end_all_action<'a>(visit: &Visit) -> Result<Action<'a>, crate::api::Problem> {
    let path = visit.path(&format!("/users/{}", visit.param("user")));
    let user = visit.client.get(path.clone()).send::<User>().await?.body;
    let own = visit.url(&format!("/users/{}", user.id));
    Ok(Action {
        title: format!("End all sessions of {}", user.name()),
        lead: html! { (icon("log-out")) " They must sign in again everywhere. A pending change of their address is cancelled." },
        button: "End all sessions",
        is_dangerous: true,
        method: Method::DELETE,
        path: format!("{path}/sessions"),
        resource: path,
        body: serde_json::Value::Null,
        inputs: Inputs::none(),
        is_previewed: false,
        typed: None,
        back: own.clone(),
        done: "All sessions have ended.".to_owned(),
        crumbs: vec![("Users & roles".to_owned(), visit.url("/users")), (user.name().to_owned(), own)],
    })
}

async fn end_all_form(visit: Visit) -> Answered {
    visit.require("users:write")?;
    end_all_action(&visit).await?.show(&visit).await
}

async fn end_all(visit: Visit, fields: Fields) -> Answered {
    end_all_action(&visit).await?.submit(&visit, &fields).await
}
