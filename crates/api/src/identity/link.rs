//! Redeeming links that were emailed or printed, without authentication.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use porttask_app::identity::{
    links::{InvalidLink, Link, Purpose},
    passwords::{NewPassword, WeakPassword},
};
use porttask_domain::{
    Actor, Meta, OrganizationId, Personal, TextEnum, UserId,
    identity::{
        Organization, User,
        user::{Command, LinkState, Rejection},
    },
};
use porttask_runtime::execute::{ExecuteError, Outcome, Rejected, Request, Tx};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::session::NewSession;
use crate::http::{
    app::App,
    problem::Problem,
    request::{Body, Client},
    response::POSITION,
};
use crate::operations::service_order::answer::{self, LinkServiceOrder};

/// The account whose link was redeemed.
#[derive(Serialize, ToSchema)]
pub(crate) struct Account {
    organization: OrganizationId,
    user: UserId,
    /// The position of the change, for `Porttask-At-Least`.
    #[schema(example = "pos_0yXgVn4Rk1m5Z8b3cD7eF9gH2iJ4kL6mN8oP0qR2sT4")]
    position: String,
    /// A session of the user, if `sign_in` asked for one. Absent if it could not be started: then sign in.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<NewSession>,
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
                Ok(Self { organization: link.organization, user: UserId(link.subject), position, session: None })
            }
            Some(_) | None => Err(Rejected::from(used).into()),
        }
    }
}

impl Account {
    /// The position of the last change as a header.
    pub(super) fn headers(&self) -> [(&'static str, String); 1] {
        let signed_in = self.session.as_ref().and_then(NewSession::position);
        [(POSITION, signed_in.unwrap_or(&self.position).to_owned())]
    }

    /// With a session of the user, who has just set their password. The link is used up, so that a session that cannot
    /// be started is no error.
    pub(super) async fn signed_in(self, app: &App, client: &Client) -> Self {
        let Self { organization, user, .. } = self;
        let meta = client.mark(Meta::by(Actor::User { organization, user }), user);
        match app.sign_in.after_link((organization, user), meta, app.clock.now()).await {
            Ok(signed_in) => Self { session: Some(NewSession::of(app, signed_in)), ..self },
            Err(error) => {
                tracing::warn!(%error, "a session could not be started after a link was redeemed");
                self
            }
        }
    }
}

impl IntoResponse for Account {
    fn into_response(self) -> Response {
        (self.headers(), Json(self)).into_response()
    }
}

/// A link to look at.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkInspection {
    /// What follows `#token=` in the link.
    token: String,
}

/// A link: what it is for, and whether it can be used.
#[derive(Serialize, ToSchema)]
#[schema(as = Link)]
pub(crate) struct LinkResponse {
    /// `setup`, `invitation`, `password_reset`, `address_change`, `address_change_cancellation` or `vendor_response`.
    #[schema(example = "invitation")]
    purpose: &'static str,
    state: LinkState,
    /// The organization of the account.
    organization: LinkOrganization,
    /// The email address: of the account; of a change of the address the new one. Null for the first super admin, whose
    /// account does not exist yet, and unless the link is valid: an old link does not show the address of now.
    email: Option<String>,
    /// What a vendor is asked; only of a valid link for a vendor.
    #[serde(skip_serializing_if = "Option::is_none")]
    service_order: Option<LinkServiceOrder>,
    expires_at: Timestamp,
}

/// The organization of an account.
#[derive(Serialize, ToSchema)]
pub(crate) struct LinkOrganization {
    id: OrganizationId,
    name: String,
}

/// Look at a link without using it.
///
/// Anybody who has the link may: pages show with it whom the link is for, before it is used. Nothing is recorded, and the
/// link stays as it is. `state` is what using the link would meet.
#[utoipa::path(post, path = "/v1/links/inspect", tag = "invitations", security(()), request_body = LinkInspection,
    responses((status = 200, body = LinkResponse)))]
pub(crate) async fn inspect_link(
    State(app): State<App>,
    client: Client,
    Body(LinkInspection { token }): Body<LinkInspection>,
) -> Result<Json<LinkResponse>, Problem> {
    let link = app.links.decode(&token).map_err(problem)?;
    if link.purpose == Purpose::VendorResponse {
        return inspect_vendor_link(&app, &client, &link).await;
    }
    let (organization, user) = (link.organization, UserId(link.subject));
    // The organization's status is checked, as if the link was used.
    let work = move |tx: Tx| async move {
        let home: Organization = tx.read(organization).await?;
        Ok::<_, ExecuteError>((home, tx.read::<User>(user).await?))
    };
    let read = app.executor.transact(&request_of(&client, &link), work).await?.value;
    let (home, account) = read.unwrap_or_default();
    let state = link.state(&account, app.clock.now());
    let email = match link.purpose {
        Purpose::AddressChange => account.address_change().map(|(_, _, email)| email),
        Purpose::Setup
        | Purpose::Invitation
        | Purpose::PasswordReset
        | Purpose::AddressChangeCancellation
        | Purpose::VendorResponse => account.person().map(|(_, email)| email),
    };
    let email = email.filter(|_| state == LinkState::Valid).and_then(Personal::value).map(str::to_owned);
    let organization = LinkOrganization { id: organization, name: home.shown_name().unwrap_or_default().to_owned() };
    let (purpose, expires_at) = (link.purpose.as_str(), link.expires_at);
    Ok(Json(LinkResponse { purpose, state, organization, email, service_order: None, expires_at }))
}

/// A link for a vendor, who has no account.
async fn inspect_vendor_link(app: &App, client: &Client, link: &Link) -> Result<Json<LinkResponse>, Problem> {
    let (state, name, service_order) = answer::inspect(app, client, link).await?;
    let (purpose, expires_at) = (link.purpose.as_str(), link.expires_at);
    let organization = LinkOrganization { id: link.organization, name };
    Ok(Json(LinkResponse { purpose, state, organization, email: None, service_order, expires_at }))
}

fn problem(link: InvalidLink) -> Problem {
    let slug = match link {
        InvalidLink::Unknown => "link-invalid",
        InvalidLink::Expired => "link-expired",
    };
    Problem::new(StatusCode::FORBIDDEN, slug, link.to_string())
}

/// The link of a token, if it is one for this purpose.
///
/// # Errors
/// If it was not created here for this purpose, or has expired.
pub(crate) fn read(app: &App, token: &str, purpose: Purpose, now: Timestamp) -> Result<Link, Problem> {
    app.links.read(token, purpose, now).map_err(problem)
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
