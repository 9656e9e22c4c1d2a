//! The pages that links in emails open: the first super admin, an invitation, a new password, a new address.
//!
//! The token stands behind `#`, where no server sees it: a script moves it into the form. Without a script, or where a mail
//! program cut the link, the token or the whole link is pasted. Before anything is done, the page says for which
//! organization and address the link is, and what to do if it is used up.

use axum::{
    Router,
    extract::State,
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::sign_in::{self, NewSession};
use crate::{
    Console,
    api::{Client, Problem},
    form::{Fields, STEP},
    operations::vendor_response,
    ui::{
        self, door,
        field::{field, tick},
    },
    visit::see_other,
};

/// A page that redeems links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Setup,
    Invitation,
    PasswordReset,
    AddressChange,
    Cancellation,
}

const PURPOSES: [Purpose; 5] =
    [Purpose::Setup, Purpose::Invitation, Purpose::PasswordReset, Purpose::AddressChange, Purpose::Cancellation];

impl Purpose {
    const fn path(self) -> &'static str {
        match self {
            Self::Setup => "/setup",
            Self::Invitation => "/invitation",
            Self::PasswordReset => "/password-reset",
            Self::AddressChange => "/address-change",
            Self::Cancellation => "/address-change-cancellation",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Setup => "Create the first super admin",
            Self::Invitation => "Accept your invitation",
            Self::PasswordReset => "Set a new password",
            Self::AddressChange => "Confirm your new email address",
            Self::Cancellation => "Keep your email address",
        }
    }

    const fn button(self) -> &'static str {
        match self {
            Self::Setup => "Create and sign in",
            Self::Invitation => "Accept and sign in",
            Self::PasswordReset => "Set the password and sign in",
            Self::AddressChange => "Confirm the address",
            Self::Cancellation => "Cancel the change",
        }
    }

    /// The operation that redeems the link.
    const fn operation(self) -> &'static str {
        match self {
            Self::Setup => "/v1/setup",
            Self::Invitation => "/v1/invitations/accept",
            Self::PasswordReset => "/v1/password-resets/complete",
            Self::AddressChange => "/v1/address-changes/confirm",
            Self::Cancellation => "/v1/address-changes/cancel",
        }
    }

    const fn has_password(self) -> bool {
        matches!(self, Self::Setup | Self::Invitation | Self::PasswordReset)
    }
}

pub(crate) fn routes() -> Router<Console> {
    PURPOSES.into_iter().fold(Router::new(), |router, purpose| {
        let show = move || async move { ask(purpose, None) };
        let submit = move |State(console): State<Console>, parts: Parts, fields: Fields| async move {
            submitted(purpose, &console, &parts, &fields).await
        };
        router.route(purpose.path(), get(show).post(submit))
    })
}

/// A link whose `#` was encoded on its way: the page, with the token filled in.
pub(crate) fn pasted(path: &str, token: &str) -> Response {
    let purpose = PURPOSES.into_iter().find(|purpose| purpose.path() == path);
    if path == vendor_response::PATH {
        return vendor_response::ask(token, None).into_response();
    }
    match purpose {
        Some(purpose) => with_token(purpose, token, None).into_response(),
        None => see_other("/").into_response(),
    }
}

/// What a link is for.
#[derive(Debug, Deserialize)]
struct Link {
    state: String,
    organization: Option<Organization>,
    email: Option<String>,
    expires_at: Timestamp,
}

#[derive(Debug, Deserialize)]
struct Organization {
    name: String,
}

/// The token in what was pasted: the token itself, or a whole link.
pub(crate) fn token_of(pasted: &str) -> &str {
    let rest = pasted.rsplit_once("token=").map_or(pasted, |(_, token)| token);
    rest.trim().trim_matches(['<', '>', '"', '\''])
}

/// Asks for the token. With a script it is filled in and submitted at once.
fn ask(purpose: Purpose, problem: Option<&Problem>) -> Markup {
    with_token(purpose, "", problem)
}

fn with_token(purpose: Purpose, token: &str, problem: Option<&Problem>) -> Markup {
    ask_for(purpose.title(), purpose.path(), token, problem)
}

/// The page of a link that asks for its token.
pub(crate) fn ask_for(title: &str, path: &str, token: &str, problem: Option<&Problem>) -> Markup {
    let lead = html! { p { "Paste the link from the email, or the line with its code." } };
    door::card(
        title,
        lead,
        html! { form.form method="post" action=(path) data-token novalidate {
            @if let Some(problem) = problem { (ui::summary(problem)) }
            (field("Link or code", "token").value(token).error(problem, "/token").input("text"))
            button.btn.main-act type="submit" name=(STEP) value="inspect" { "Continue" }
        } },
    )
}

async fn submitted(purpose: Purpose, console: &Console, parts: &Parts, fields: &Fields) -> Response {
    let client = Client::new(console, parts, None);
    let token = token_of(fields.text("token"));
    let link = match client.post("/v1/links/inspect").json(&json!({ "token": token })).send::<Link>().await {
        Ok(link) => link.body,
        Err(problem) => return answered(&problem, ask(purpose, Some(&problem))),
    };
    if link.state != "valid" {
        return (StatusCode::GONE, ended(purpose, &link)).into_response();
    }
    if fields.text(STEP) != "confirm" {
        return confirm(purpose, console, token, &link, fields, None).into_response();
    }
    let mut body = fields.json(&["name", "email"]);
    body.insert("token".to_owned(), token.into());
    if purpose.has_password() {
        body.insert("password".to_owned(), fields.exact("password").into());
        body.insert("sign_in".to_owned(), true.into());
    }
    if fields.has("revoke_api_keys") {
        body.insert("revoke_api_keys".to_owned(), true.into());
    }
    match client.post(purpose.operation()).json(&Value::Object(body)).send::<Value>().await {
        Ok(answer) => done(purpose, console, &link, &answer.body),
        Err(problem) => answered(&problem, confirm(purpose, console, token, &link, fields, Some(&problem))),
    }
}

fn answered(problem: &Problem, page: Markup) -> Response {
    (StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), page).into_response()
}

/// Says what the link does, and asks for what is needed.
fn confirm(
    purpose: Purpose,
    console: &Console,
    token: &str,
    link: &Link,
    fields: &Fields,
    problem: Option<&Problem>,
) -> Markup {
    let email = link.email.as_deref().unwrap_or_default();
    let lead = html! { p {
        @if let Some(organization) = &link.organization { b { (organization.name) } }
        @if !email.is_empty() { @if link.organization.is_some() { ", " } (email) }
    } };
    let (name, address) = (fields.text("name"), fields.text("email"));
    door::card(
        purpose.title(),
        lead,
        html! { form.form method="post" action=(purpose.path()) novalidate {
            @if let Some(problem) = problem { (ui::summary(problem)) }
            input type="hidden" name="token" value=(token);
            @match purpose {
                Purpose::Setup => {
                    (field("Your name", "name").value(name).complete("name").error(problem, "/name").input("text"))
                    (field("Your email address", "email").value(address).complete("username").hint("With this address you sign in.").error(problem, "/email").input("email"))
                }
                // For password managers: whose password it is.
                Purpose::Invitation | Purpose::PasswordReset => input type="text" name="username" hidden readonly autocomplete="username" value=(email);,
                Purpose::AddressChange => p { "From now on you sign in with " b { (email) } ". Your other sessions stay open." },
                Purpose::Cancellation => p { "The change of your email address is cancelled, and you keep " b { (email) } ". If you did not ask for the change, set a new password afterwards." },
            }
            @if purpose.has_password() {
                (field("New password", "password").complete("new-password").hint("At least 12 characters. A sentence is fine.").error(problem, "/password").input("password"))
            }
            @if purpose == Purpose::PasswordReset {
                (tick("Revoke my API keys", "revoke_api_keys", fields.has("revoke_api_keys"), "If somebody else knew your password. Programs that use them stop working."))
            }
            @if purpose == Purpose::Setup { (first_steps(console)) }
            button.btn.main-act type="submit" name=(STEP) value="confirm" { (purpose.button()) }
        } },
    )
}

/// What whoever sets up the service should know.
fn first_steps(console: &Console) -> Markup {
    html! {
        @if let Some((file, fingerprint)) = &console.settings.master_key {
            (ui::note("info", "key-round", "Keep the master key", html! { p {
                "Without it, nothing in the database can be read. It is in " code { (file.display()) } ", fingerprint " code { (fingerprint) } ": copy it to a safe place."
            } }))
        }
        @if let Some(folder) = &console.settings.mail_folder {
            (ui::note("info", "mail", "Emails stay in a folder", html! { p {
                "Until a mail server is set in porttask.toml, emails stay in " code { (folder) } "."
            } }))
        }
    }
}

/// What to do with a link that is no longer valid.
fn ended(purpose: Purpose, link: &Link) -> Markup {
    let (what, next) = match (link.state.as_str(), purpose) {
        ("used", Purpose::Setup) => ("It was used: the platform has a super admin.", "/sign-in"),
        ("used", Purpose::Invitation) => ("It was used: you have a password already.", "/sign-in"),
        ("used", _) => ("It was used already.", "/sign-in"),
        ("replaced", Purpose::PasswordReset) => {
            ("A newer link was sent. Use the latest email, or ask for another one.", "/forgot-password")
        }
        ("replaced", _) => ("A newer link was sent. Use the latest email.", "/sign-in"),
        ("revoked", Purpose::Invitation) => ("It was withdrawn. Ask an admin of your organization.", "/sign-in"),
        ("revoked", _) => ("It was withdrawn.", "/sign-in"),
        (_, Purpose::PasswordReset) => ("It has expired. Ask for another one.", "/forgot-password"),
        (_, Purpose::Invitation) => ("It has expired. Ask an admin of your organization to send it again.", "/sign-in"),
        (_, Purpose::Setup) => ("It has expired. `porttask init` prints a new one.", "/sign-in"),
        (_, Purpose::AddressChange | Purpose::Cancellation) => {
            ("It has expired. Sign in and change your address again.", "/sign-in")
        }
    };
    let text = if next == "/sign-in" { "Sign in" } else { "Ask for another link" };
    let organization = link.organization.as_ref().map(|organization| organization.name.as_str());
    door::card(
        "This link cannot be used",
        html! { @if let Some(name) = organization { p { b { (name) } } } },
        html! { div.form {
            p { (what) }
            p.soft { "It was valid until " time datetime=(link.expires_at) { (link.expires_at.strftime("%-d %b %Y, %H:%M")) " UTC" } "." }
            a.btn.main-act href=(next) { (text) }
        } },
    )
}

/// Signs in where the API offers a session, or says what was done.
fn done(purpose: Purpose, console: &Console, link: &Link, answer: &Value) -> Response {
    if let Ok(session) = serde_json::from_value::<NewSession>(answer["session"].clone()) {
        let next = if purpose == Purpose::Setup { "/admin/organizations" } else { "/" };
        return (sign_in::begin(console, &session), see_other(next)).into_response();
    }
    let text = match purpose {
        Purpose::AddressChange => "The new address is confirmed. You sign in with it from now on.",
        Purpose::Cancellation => "The change is cancelled: your address stays as it is.",
        Purpose::Setup | Purpose::Invitation | Purpose::PasswordReset => "Your password is set. You can sign in now.",
    };
    let email = link.email.as_deref().unwrap_or_default();
    let mut query = form_urlencoded::Serializer::new(String::new());
    let url = format!("/sign-in?{}", query.append_pair("email", email).finish());
    door::card("Done", html! {}, html! { div.form { p { (text) } a.btn.main-act href=(url) { "Sign in" } } })
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_or_a_whole_link_may_be_pasted() {
        for pasted in
            ["abc-_1", " <https://x.example/invitation#token=abc-_1> ", "https://x.example/setup%23token=abc-_1"]
        {
            assert_eq!(token_of(pasted), "abc-_1", "{pasted}");
        }
    }
}
