//! Redeeming links that were emailed or printed, without authentication.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use porttask_app::identity::{
    links::{InvalidLink, Link, Purpose},
    passwords::{NewPassword, WeakPassword},
};
use porttask_domain::{
    Actor, Meta, OrganizationId, UserId,
    identity::{
        Organization, User,
        user::{Command, Rejection},
    },
};
use porttask_runtime::execute::{Outcome, Rejected, Request, Tx};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::{app::App, problem::Problem, request::Client, response::POSITION};

/// The account whose link was redeemed.
#[derive(Serialize, ToSchema)]
pub(crate) struct Account {
    organization: OrganizationId,
    user: UserId,
    /// The position of the change, for `Porttask-At-Least`.
    #[schema(example = "pos_0yXgVn4Rk1m5Z8b3cD7eF9gH2iJ4kL6mN8oP0qR2sT4")]
    position: String,
}

impl Account {
    /// The account of a link, unless the link was used before: then this rejection.
    ///
    /// # Errors
    /// The rejection.
    pub(super) fn of(app: &App, link: &Link, outcome: &Outcome, used: Rejection) -> Result<Self, Problem> {
        match outcome.position {
            Some(position) if !outcome.events.is_empty() => {
                let position = app.positions.seal(link.organization, position);
                Ok(Self { organization: link.organization, user: UserId(link.subject), position })
            }
            Some(_) | None => Err(Rejected::from(used).into()),
        }
    }
}

impl Account {
    /// The position as a header.
    pub(super) fn headers(&self) -> [(&'static str, String); 1] {
        [(POSITION, self.position.clone())]
    }
}

impl IntoResponse for Account {
    fn into_response(self) -> Response {
        (self.headers(), Json(self)).into_response()
    }
}

/// The link of a token, if it is one for this purpose.
///
/// # Errors
/// If it was not created here for this purpose, or has expired.
pub(super) fn read(app: &App, token: &str, purpose: Purpose, now: Timestamp) -> Result<Link, Problem> {
    app.links.read(token, purpose, now).map_err(|link| {
        let slug = match link {
            InvalidLink::Unknown => "link-invalid",
            InvalidLink::Expired => "link-expired",
        };
        Problem::new(StatusCode::FORBIDDEN, slug, link.to_string())
    })
}

/// Sets the password in the append that redeems the link, which succeeds once: after that, this rejection.
///
/// # Errors
/// If the password or the link is rejected, or the request fails.
pub(super) async fn redeem(
    app: &App,
    client: &Client,
    link: &Link,
    (password, own): (&str, &[String]),
    commands: &[Command],
    used: Rejection,
) -> Result<Account, Problem> {
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let password = NewPassword::new(password, &own).map_err(|it| Problem::invalid("/password", it.to_string()))?;
    let (organization, user) = (link.organization, UserId(link.subject));
    let is_reset = link.purpose == Purpose::PasswordReset;
    if is_reset && app.passwords.is_right(Some((organization, user)), password.reveal()).await? {
        return Err(Problem::invalid("/password", WeakPassword::Current.to_string()));
    }
    let secret = &app.passwords.secret(organization, user, password).await?;
    let work = move |tx: Tx| async move {
        tx.secret(secret.clone());
        tx.decide_all::<User>(user, commands).await
    };
    let outcome = app.executor.transact(&request_of(client, link), work).await?;
    Account::of(app, link, &outcome, used)
}

/// A request by the user whom a link is for.
pub(super) fn request_of(client: &Client, link: &Link) -> Request {
    let (organization, user) = (link.organization, UserId(link.subject));
    Request::new(organization, client.mark(Meta::by(Actor::User { organization, user }), user))
}

/// Words that a user's password must not be made of: name and email address, and those of the organization.
///
/// # Errors
/// If the organization cannot be read.
pub(super) async fn own_words(app: &App, organization: OrganizationId, user: &User) -> Result<Vec<String>, Problem> {
    let (home, _) = app.executor.load::<Organization>(organization, organization).await?;
    let own = user.person().map(|(name, email)| [name.value(), email.value()]).unwrap_or_default();
    let own = own.into_iter().chain([home.name(), home.shown_name(), home.domain()]);
    Ok(own.flatten().map(str::to_owned).collect())
}
