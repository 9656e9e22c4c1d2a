//! An authenticated caller with a permission, and the organization of the request.

use std::{collections::HashMap, marker::PhantomData, net::IpAddr, time::Duration};

use axum::{
    RequestPartsExt,
    extract::{FromRequestParts, Path},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
};
use porttask_app::identity::access::{AccessError, Caller, Credential};
use porttask_domain::{
    Meta, OrganizationId, SessionId,
    identity::{Access, Permissions},
};
use porttask_runtime::{
    execute::Tx,
    log::{PartitionId, Position},
};

use super::Client;
use crate::http::{app::App, denials::Asker, permissions::Permission, problem::Problem};

/// How long a read waits for a view to reach the requested position.
const PATIENCE: Duration = Duration::from_secs(2);
/// The request header with the position that the response must include.
pub(crate) const AT_LEAST: &str = "porttask-at-least";
/// The request header of requests that no person asked for, such as a page that is read again because something has
/// changed: they do not count as use of the session.
const BACKGROUND: &str = "porttask-background";

/// An authenticated caller who holds this permission.
pub(crate) struct Authorized<R> {
    /// The caller.
    pub(crate) identity: Caller,
    /// The organization in the path; without one, the caller's own.
    pub(crate) organization: OrganizationId,
    /// Its partition.
    pub(crate) partition: PartitionId,
    /// Event metadata, with the caller as the actor.
    pub(crate) meta: Meta,
    /// Notes what is shown, for the record of reads by staff.
    pub(super) asker: Asker,
    token: String,
    ip: Option<IpAddr>,
    at_least: Option<Position>,
    /// The permissions that the caller is about to grant.
    grants: Option<Permissions>,
    right: PhantomData<R>,
}

impl<R: Permission> FromRequestParts<App> for Authorized<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let token = bearer(&parts.headers).ok_or_else(Problem::unauthenticated)?.to_owned();
        let Ok(client) = parts.extract_with_state::<Client, _>(app).await;
        let caller = match app.access.authenticate_from(&token, client.ip, app.clock.now()).await {
            Err(AccessError::Elsewhere(caller)) => {
                note(parts, &client.mark(caller.meta(), caller.person()), &caller);
                return Err(AccessError::Elsewhere(caller).into());
            }
            found => found?,
        };
        let meta = client.mark(caller.meta(), caller.person());
        note(parts, &meta, &caller);
        if R::IS_USE && !is_background(&parts.headers)? {
            app.activity.note(&caller, client.ip, app.clock.now());
        }
        meter(parts, app, &caller).await?;
        let path = parts.extract::<Path<HashMap<String, String>>>().await;
        let named = path.ok().and_then(|Path(names)| names.get("org").cloned());
        let organization = match named.as_deref() {
            None | Some("current") => caller.organization,
            Some(id) => id.parse().map_err(|_| Problem::not_found("organization"))?,
        };
        if !R::is_held(&caller, organization) {
            // Do not reveal to tenants whether other organizations exist.
            return Err(match [organization, OrganizationId::PLATFORM].contains(&caller.organization) {
                true => Problem::forbidden(R::NAME),
                false => Problem::not_found("organization"),
            });
        }
        must_be_themselves::<R>(&caller)?;
        let partition = app.partition(organization).await?;
        let at_least = match parts.headers.get(AT_LEAST) {
            None => None,
            Some(position) => Some(position_of(app, &caller, position.to_str().unwrap_or_default())?),
        };
        let asker = parts.extensions.get::<Asker>().cloned().unwrap_or_default();
        // Searches over all organizations have no other one in their path.
        if caller.organization == OrganizationId::PLATFORM && (named.is_none() || organization != caller.organization) {
            asker.reads(organization);
        }
        let (ip, grants, right) = (client.ip, None, PhantomData);
        Ok(Self { identity: caller, organization, partition, meta, asker, token, ip, at_least, grants, right })
    }
}

impl<R: Permission> Authorized<R> {
    /// The caller's IP address.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        self.ip
    }

    /// Notes items that are shown to the caller: reads by staff are recorded with their ids.
    pub(crate) fn shows_items<T: serde::Serialize>(&self, items: &[T]) {
        self.asker.saw(items);
    }

    /// Whether the organization of the request is the caller's own.
    pub(crate) fn is_at_home(&self) -> bool {
        self.identity.organization == self.organization
    }

    /// The caller's session.
    ///
    /// # Errors
    /// If the caller is an API key.
    pub(crate) fn session(&self) -> Result<SessionId, Problem> {
        self.identity.session().ok_or_else(|| Problem::forbidden(R::NAME))
    }

    /// Checks that the caller holds the permissions they grant: now, and again if their state changes before the
    /// append. Callers from the platform may grant any in other organizations.
    ///
    /// # Errors
    /// If the permissions exceed the caller's own, or an API key grants administration.
    pub(crate) fn grant(&mut self, permissions: Permissions) -> Result<(), Problem> {
        self.grants = Some(permissions);
        self.holds(&self.identity, permissions)
    }

    fn holds(&self, caller: &Caller, granted: Permissions) -> Result<(), Problem> {
        let is_at_home = caller.organization == self.organization;
        // A stolen key must not be able to create admins.
        if caller.session().is_none() && granted.administration == Access::Write {
            return Err(beyond_own("API keys cannot grant write access to administration. A user must do this."));
        }
        match is_at_home && !granted.is_within(caller.permissions) {
            true => Err(beyond_own("You cannot grant permissions that exceed your own.")),
            false => Ok(()),
        }
    }

    /// Authenticates the caller again, and checks the permission again.
    ///
    /// # Errors
    /// If the credential is no longer accepted, or the permission was lost.
    pub(crate) async fn authenticate_again(&self, app: &App) -> Result<(), Problem> {
        let caller = app.access.authenticate_from(&self.token, self.ip, app.clock.now()).await?;
        self.check(&caller)
    }

    /// Identifies the caller in a unit of work, and checks the permission on the state that the append expects.
    ///
    /// # Errors
    /// If the credential is no longer accepted, or the permission was lost.
    pub(crate) async fn authorize(&self, app: &App, tx: &Tx) -> Result<(), Problem> {
        let caller = app.access.identify_again(tx, &self.token, self.ip).await?;
        self.check(&caller)
    }

    /// Checks that a caller holds the permissions of an account or API key to which they give access again, by a new
    /// secret, an invitation or a reactivation. Callers from the platform may do so in other organizations.
    ///
    /// # Errors
    /// If the permissions exceed the caller's own.
    pub(crate) async fn may_give_access(&self, app: &App, tx: &Tx, held: Option<Permissions>) -> Result<(), Problem> {
        let caller = app.access.identify_again(tx, &self.token, self.ip).await?;
        let is_at_home = caller.organization == self.organization && caller.scopes.is_none();
        match held.is_some_and(|held| is_at_home && !held.is_within(caller.permissions)) {
            true => Err(beyond_own("You cannot give access with permissions that exceed your own.")),
            false => Ok(()),
        }
    }

    /// The part of some permissions that the caller may grant.
    ///
    /// # Errors
    /// If the credential is no longer accepted.
    pub(crate) async fn grantable(&self, app: &App, tx: &Tx, wanted: Permissions) -> Result<Permissions, Problem> {
        let caller = app.access.identify_again(tx, &self.token, self.ip).await?;
        let is_at_home = caller.organization == self.organization;
        Ok(if is_at_home { wanted.narrowed_to(caller.permissions) } else { wanted })
    }

    /// Whether the caller also holds another permission, on the state that the append expects.
    ///
    /// # Errors
    /// If the credential is no longer accepted.
    pub(crate) async fn also_holds<P: Permission>(&self, app: &App, tx: &Tx) -> Result<bool, Problem> {
        let caller = app.access.identify_again(tx, &self.token, self.ip).await?;
        Ok(P::is_held(&caller, self.organization) && must_be_themselves::<P>(&caller).is_ok())
    }

    fn check(&self, caller: &Caller) -> Result<(), Problem> {
        if !R::is_held(caller, self.organization) {
            return Err(Problem::forbidden(R::NAME));
        }
        must_be_themselves::<R>(caller)?;
        self.grants.map_or(Ok(()), |granted| self.holds(caller, granted))
    }

    /// Waits until a view includes the position that the caller requires, and the caller's own last change, if they
    /// are in the partition of the organization.
    ///
    /// # Errors
    /// If the required position is not reached in time.
    pub(crate) async fn catch_up(&self, app: &App, view: &str) -> Result<(), Problem> {
        self.wait(app, view, |partition| partition == self.partition).await
    }

    /// Waits until a view has reached a position.
    ///
    /// # Errors
    /// If it is not reached in time.
    pub(crate) async fn shows(&self, app: &App, view: &str, wanted: Position) -> Result<(), Problem> {
        match app.views.wait_for(view, wanted, PATIENCE).await? {
            true => Ok(()),
            false => Err(not_yet()),
        }
    }

    /// The same in all partitions, for listings across organizations.
    pub(crate) async fn catch_up_everywhere(&self, app: &App, view: &str) -> Result<(), Problem> {
        self.wait(app, view, |_| true).await
    }

    async fn wait(&self, app: &App, view: &str, is_read: impl Fn(PartitionId) -> bool) -> Result<(), Problem> {
        let last = app.last_changes.get(&self.identity.credential.id());
        for wanted in self.at_least.iter().chain(&last).filter(|wanted| is_read(wanted.partition)) {
            let is_asked = Some(*wanted) == self.at_least;
            if app.views.wait_for(view, *wanted, Duration::ZERO).await? {
                continue;
            }
            let has_come = app.views.wait_for(view, *wanted, PATIENCE).await?;
            if !has_come && is_asked {
                return Err(not_yet());
            }
        }
        Ok(())
    }
}

/// Whether a client says that nobody asked for this request.
fn is_background(headers: &HeaderMap) -> Result<bool, Problem> {
    match headers.get(BACKGROUND).map(HeaderValue::as_bytes) {
        None => Ok(false),
        Some(b"true") => Ok(true),
        Some(_) => Err(Problem::invalid("Porttask-Background", "must be true, or absent")),
    }
}

fn beyond_own(detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "beyond-own-rights", detail)
}

/// Rejects operations that are not available while impersonating a user.
fn must_be_themselves<R: Permission>(caller: &Caller) -> Result<(), Problem> {
    match caller.impersonator {
        Some(_) if !R::IS_IMPERSONABLE => {
            let detail = "This operation is not available while you impersonate a user. End the impersonation first.";
            Err(Problem::new(StatusCode::FORBIDDEN, "not-impersonable", detail))
        }
        Some(_) | None => Ok(()),
    }
}

/// Registers the caller, for the record of denied requests.
fn note(parts: &Parts, meta: &Meta, caller: &Caller) {
    if let Some(asker) = parts.extensions.get::<Asker>() {
        asker.is(caller.organization, caller.user, meta.clone());
    }
}

/// Counts a request with an API key of an organization, if it is answered.
async fn meter(parts: &Parts, app: &App, caller: &Caller) -> Result<(), Problem> {
    let Credential::Key { key, .. } = caller.credential else { return Ok(()) };
    if caller.organization == OrganizationId::PLATFORM {
        return Ok(());
    }
    let metered = app.metering.admit(caller.organization, key).await;
    let metered = metered.map_err(|error| Problem::not_admitted(error, app.clock.now()))?;
    if let Some(asker) = parts.extensions.get::<Asker>() {
        asker.is_metered(metered);
    }
    Ok(())
}

fn not_yet() -> Problem {
    let detail = "The listing does not show your change yet. Retry after a pause.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-yet", detail).after(1)
}

/// The bearer token of a request.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn position_of(app: &App, caller: &Caller, text: &str) -> Result<Position, Problem> {
    let position = app.positions.unseal(caller.organization, text);
    position.map_err(|error| Problem::invalid("Porttask-At-Least", error.to_string()))
}
