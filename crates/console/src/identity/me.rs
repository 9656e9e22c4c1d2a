//! One's own account: name, email address, password, language, sessions.

use axum::{
    Router,
    http::Method,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use jiff::tz::TimeZoneDatabase;
use maud::html;
use serde_json::{Value, json};

use super::session::{self, Session};
use crate::{
    Console,
    action::{Action, Inputs},
    api::{Page, Problem},
    cookies::Cookie,
    form::Fields,
    ui::{self, field::field, icon, words},
    visit::{Answered, Message, Visit},
};

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/me", get(show))
        .route("/me/profile", post(change_profile))
        .route("/me/password", get(password_form).post(change_password))
        .route("/me/address", get(address_form).post(change_address))
        .route("/me/sessions/end", get(end_all_form).post(end_all))
        .route("/me/sessions/{session}/end", post(end))
}

/// Languages of emails.
pub(crate) const LOCALES: [(&str, &str); 6] = [
    ("", "The organization’s"),
    ("en", "English"),
    ("de", "Deutsch"),
    ("es", "Español"),
    ("fr", "Français"),
    ("pt", "Português"),
];

/// The time zones to choose from.
fn zones() -> impl Iterator<Item = String> {
    // Entries of the database that stand for no place are no answer.
    let names = TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect::<Vec<_>>();
    names.into_iter().filter(|name| !["Etc/Unknown", "Factory"].contains(&name.as_str()))
}

async fn show(visit: Visit) -> Answered {
    page(&visit, &Fields::default(), None).await
}

async fn page(visit: &Visit, fields: &Fields, problem: Option<&Problem>) -> Answered {
    let sessions = visit.client.get("/v1/me/sessions").query([("open", "true")]).send::<Page<Session>>().await?.body;
    let (frame, me) = (&visit.frame, &visit.frame.me);
    let value = |name: &str, now: Option<&String>| match fields.has(name) {
        true => fields.text(name).to_owned(),
        false => now.cloned().unwrap_or_default(),
    };
    let (name, locale) = (value("name", me.name.as_ref()), value("locale", me.locale.as_ref()));
    let zone = value("time_zone", me.time_zone.as_ref());
    let may_change = frame.impersonation.is_none();
    let languages: Vec<(&str, &str)> = match LOCALES.iter().any(|(code, _)| *code == locale) {
        true => LOCALES.to_vec(),
        false => LOCALES.into_iter().chain([(locale.as_str(), locale.as_str())]).collect(),
    };
    let content = html! {
        (ui::head("Your account", "", html! {}))
        div.grid.wide {
            div.form {
                section.card { header { h2 { "Profile" } } (ui::form(frame, "/me/profile", html! {
                    div.in.form {
                        @if let Some(problem) = problem { (ui::summary(problem)) }
                        (field("Full name", "name").value(&name).complete("name").error(problem, "/name").input("text"))
                        (field("Language of emails", "locale").value(&locale).error(problem, "/locale").select(&languages))
                        (field("Time zone", "time_zone").value(&zone).optional().hint("Empty: that of the browser.").error(problem, "/time_zone").suggest(zones()))
                        @if may_change { div.row { button.btn.main-act type="submit" { "Save" } } }
                    }
                })) }
                (session::section(visit, &sessions.items, "/me/sessions", may_change))
            }
            div.form {
                section.card { header { h2 { "Signing in" } } dl.facts {
                    dt { "Email address" } dd { (me.email.as_deref().unwrap_or_default())
                        @if let Some(pending) = &me.pending_email { br; span.soft { "to become " (pending) " once you confirm it with the link in the email" } } }
                    dt { "Role" } dd { (words::role(&frame.role)) }
                    dt { "Organization" } dd { (frame.organization.name) }
                    dt { "Id" } dd { (ui::id(&me.id)) }
                } @if may_change { div.in.row {
                    (ui::sheet_link("/me/address", "btn edge", "mail", "Change address"))
                    (ui::sheet_link("/me/password", "btn edge", "lock", "Change password"))
                } } }
                section.card { header { h2 { "What you may do" } } ul.rows { @for right in &frame.rights { li { span { (ui::sentence(&words::right(right))) } } } } }
            }
        }
    };
    Ok(visit.page_with(problem, "Your account", &[("Your account", "")], content))
}

async fn change_profile(visit: Visit, fields: Fields) -> Answered {
    let chosen = |name: &str| match fields.text(name).trim() {
        "" => Value::Null,
        text => text.into(),
    };
    let body = json!({ "name": fields.text("name"), "locale": chosen("locale"), "time_zone": chosen("time_zone") });
    match visit.client.patch("/v1/me").json(&body).send::<Value>().await {
        Ok(_) => Ok(visit.done("/me", &Message { text: "Saved.".to_owned(), ..Message::default() })),
        Err(problem) if problem.status == 401 => Err(problem.into()),
        Err(problem) => page(&visit, &fields, Some(&problem)).await,
    }
}

async fn password_form(visit: Visit) -> Answered {
    Ok(password_page(&visit, None))
}

fn password_page(visit: &Visit, problem: Option<&Problem>) -> Response {
    let sheet = ui::sheet(
        "Change password",
        html! { "Your other sessions end, and so does a pending change of your address." },
        ui::sheet_form(
            &visit.frame,
            "/me/password",
            html! {
                div.in {
                    @if let Some(problem) = problem { (ui::summary(problem)) }
                    input type="text" name="username" hidden readonly autocomplete="username" value=(visit.frame.me.email.as_deref().unwrap_or_default());
                    (field("Current password", "current_password").complete("current-password").error(problem, "/current_password").input("password"))
                    (field("New password", "new_password").complete("new-password").hint("At least 12 characters. A sentence is fine.").error(problem, "/new_password").input("password"))
                }
                footer { a.btn.edge href="/me" data-close { "Cancel" } button.btn.main-act type="submit" { "Change password" } }
            },
        ),
    );
    visit.page_with(problem, "Change password", &[("Your account", "/me"), ("Change password", "")], sheet)
}

async fn change_password(visit: Visit, fields: Fields) -> Answered {
    let body =
        json!({ "current_password": fields.exact("current_password"), "new_password": fields.exact("new_password") });
    match visit.client.post("/v1/me/password").key(fields.key()).json(&body).send::<Value>().await {
        Ok(_) => Ok(visit.done(
            "/me",
            &Message {
                text: "Your password is changed; your other sessions have ended.".to_owned(),
                ..Message::default()
            },
        )),
        Err(problem) if problem.status == 401 => Err(problem.into()),
        Err(problem) => Ok(password_page(&visit, Some(&problem))),
    }
}

async fn address_form(visit: Visit) -> Answered {
    Ok(address_page(&visit, &Fields::default(), None))
}

fn address_page(visit: &Visit, fields: &Fields, problem: Option<&Problem>) -> Response {
    let sheet = ui::sheet(
        "Change email address",
        html! { "The new address gets an email with a link to confirm it; the present one is told, and can cancel." },
        ui::sheet_form(
            &visit.frame,
            "/me/address",
            html! {
                div.in {
                    @if let Some(problem) = problem { (ui::summary(problem)) }
                    (field("New email address", "email").value(fields.text("email")).complete("email").error(problem, "/email").input("email"))
                    (field("Current password", "current_password").complete("current-password").error(problem, "/current_password").input("password"))
                }
                footer { a.btn.edge href="/me" data-close { "Cancel" } button.btn.main-act type="submit" { (icon("mail")) "Send the link" } }
            },
        ),
    );
    visit.page_with(problem, "Change email address", &[("Your account", "/me"), ("Change email address", "")], sheet)
}

async fn change_address(visit: Visit, fields: Fields) -> Answered {
    let body = json!({ "email": fields.text("email"), "current_password": fields.exact("current_password") });
    match visit.client.post("/v1/me/address").key(fields.key()).json(&body).send::<Value>().await {
        Ok(_) => {
            let text =
                format!("A link was sent to {}. Your address stays as it is until you confirm.", fields.text("email"));
            Ok(visit.done("/me", &Message { text, ..Message::default() }))
        }
        Err(problem) if problem.status == 401 => Err(problem.into()),
        Err(problem) => Ok(address_page(&visit, &fields, Some(&problem))),
    }
}

async fn end(visit: Visit, fields: Fields) -> Answered {
    let path = format!("/v1/me/sessions/{}", visit.param("session"));
    visit.client.call(Method::DELETE, path).key(fields.key()).send::<Option<Value>>().await?;
    Ok(visit.done("/me", &Message { text: "The session has ended.".to_owned(), ..Message::default() }))
}

fn end_all_action<'a>() -> Action<'a> {
    Action {
        title: "End all your sessions".to_owned(),
        lead: html! { "You must sign in again everywhere, also here." },
        button: "End all sessions",
        is_dangerous: true,
        method: Method::DELETE,
        path: "/v1/me/sessions".to_owned(),
        resource: String::new(),
        body: Value::Null,
        inputs: Inputs::none(),
        is_previewed: false,
        typed: None,
        back: "/me".to_owned(),
        done: "All your sessions have ended.".to_owned(),
        crumbs: vec![("Your account".to_owned(), "/me".to_owned())],
    }
}

async fn end_all_form(visit: Visit) -> Answered {
    end_all_action().show(&visit).await
}

async fn end_all(visit: Visit, fields: Fields) -> Answered {
    let action = end_all_action();
    if fields.is_preview() {
        return action.submit(&visit, &fields).await;
    }
    match action.run(&visit, &fields).await {
        Ok(_) => {
            let gone = visit.console.cookies.delete(Cookie::Session);
            Ok(([("set-cookie", gone)], visit.redirect("/sign-in")).into_response())
        }
        Err(problem) => action.failed(&visit, &fields, &problem).await,
    }
}
