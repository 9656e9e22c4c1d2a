//! A caller who has a right, and the organization in which they use it.

use std::{collections::HashMap, marker::PhantomData, net::IpAddr, time::Duration};

use axum::{
    RequestPartsExt,
    extract::{FromRequestParts, Path},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use jiff::Timestamp;
use porttask_app::identity::access::{AccessError, Caller};
use porttask_domain::{
    Meta, OrganizationId, SessionId,
    identity::{Access, Permissions},
};
use porttask_runtime::{
    execute::Request,
    log::{PartitionId, Position},
};

use super::Client;
use crate::http::{app::App, denials::Asker, permissions::Permission, problem::Problem};

/// How long a reader waits at most for a view to come to where they want to read.
const PATIENCE: Duration = Duration::from_secs(2);
/// The header by which a reader says what they want to see.
pub(crate) const AT_LEAST: &str = "porttask-at-least";

/// A caller who has this right.
pub(crate) struct Authorized<R> {
    pub(crate) caller: Caller,
    /// The organization that the path names; without one, the caller's own.
    pub(crate) organization: OrganizationId,
    /// Where it lives.
    pub(crate) partition: PartitionId,
    /// The caller as the actor of what they do.
    pub(crate) meta: Meta,
    token: String,
    ip: Option<IpAddr>,
    at_least: Option<Position>,
    /// What the caller is about to permit somebody.
    grants: Option<Permissions>,
    right: PhantomData<R>,
}

impl<R: Permission> FromRequestParts<App> for Authorized<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let token = bearer(&parts.headers).ok_or_else(Problem::unauthenticated)?.to_owned();
        let Ok(client) = parts.extract_with_state::<Client, _>(app).await;
        let caller = match app.access.authenticate_from(&token, client.ip, Timestamp::now()).await {
            Err(AccessError::Elsewhere(caller)) => {
                note(parts, &client.mark(caller.meta(), caller.person()), &caller);
                return Err(AccessError::Elsewhere(caller).into());
            }
            found => found?,
        };
        let meta = client.mark(caller.meta(), caller.person());
        note(parts, &meta, &caller);
        app.activity.note(&caller, client.ip, Timestamp::now());
        let path = parts.extract::<Path<HashMap<String, String>>>().await;
        let named = path.ok().and_then(|Path(names)| names.get("org").cloned());
        let organization = match named.as_deref() {
            None | Some("current") => caller.organization,
            Some(id) => id.parse().map_err(|_| Problem::not_found("organization"))?,
        };
        if !R::is_held(&caller, organization) {
            // Of organizations that are not theirs, callers learn nothing.
            return Err(match caller.organization == organization {
                true => Problem::forbidden(R::NAME),
                false => Problem::not_found("organization"),
            });
        }
        must_be_themselves::<R>(&caller)?;
        let partition = app.partition(organization).await?;
        let at_least = match parts.headers.get(AT_LEAST) {
            None => None,
            Some(position) => Some(position_of(position.to_str().unwrap_or_default())?),
        };
        let (ip, grants, right) = (client.ip, None, PhantomData);
        Ok(Self { caller, organization, partition, meta, token, ip, at_least, grants, right })
    }
}

impl<R: Permission> Authorized<R> {
    /// From where the caller comes.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        self.ip
    }

    /// The session by which the caller is known.
    ///
    /// # Errors
    /// If it is a key.
    pub(crate) fn session(&self) -> Result<SessionId, Problem> {
        self.caller.session().ok_or_else(|| Problem::forbidden(R::NAME))
    }

    /// Something that the caller asks for, in the organization that the path names.
    pub(crate) fn request_of(&self, caller: &Caller) -> Request {
        let mut request = caller.request(self.meta.clone());
        request.organization = self.organization;
        request
    }

    /// Lets the caller permit this to somebody, if they hold it: now, and still when it is recorded. Staff of the platform
    /// hold everything.
    ///
    /// # Errors
    /// If it goes beyond what they hold.
    pub(crate) fn grant(&mut self, permissions: Permissions) -> Result<(), Problem> {
        self.grants = Some(permissions);
        self.holds_what_is_granted(&self.caller)
    }

    fn holds_what_is_granted(&self, caller: &Caller) -> Result<(), Problem> {
        let is_at_home = caller.organization == self.organization;
        match self.grants {
            // Whoever steals one makes no admins.
            Some(granted) if caller.session().is_none() && granted.administration == Access::Write => {
                let detail = "no API key makes somebody an admin: a person must";
                Err(Problem::new(StatusCode::FORBIDDEN, "beyond-own-rights", detail))
            }
            Some(granted) if is_at_home && !granted.is_within(caller.permissions) => {
                let detail = "these permissions go beyond your own: nobody grants more than they hold";
                Err(Problem::new(StatusCode::FORBIDDEN, "beyond-own-rights", detail))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The caller as they are now, if they still have the right.
    ///
    /// # Errors
    /// If they are not let in any more, or have lost the right.
    pub(crate) async fn look_again(&self, app: &App) -> Result<Caller, Problem> {
        let caller = app.access.authenticate_from(&self.token, self.ip, Timestamp::now()).await?;
        if !R::is_held(&caller, self.organization) {
            return Err(Problem::forbidden(R::NAME));
        }
        must_be_themselves::<R>(&caller)?;
        self.holds_what_is_granted(&caller)?;
        Ok(caller)
    }

    /// Waits until a view shows what the caller wants to see of the organization: what they asked for by position, or
    /// changed last.
    ///
    /// # Errors
    /// If it does not come so far in time, and the caller has asked for it.
    pub(crate) async fn catch_up(&self, app: &App, view: &str) -> Result<(), Problem> {
        self.wait(app, view, |partition| partition == self.partition).await
    }

    /// Waits until a view shows a place.
    ///
    /// # Errors
    /// If it does not come so far in time.
    pub(crate) async fn shows(&self, app: &App, view: &str, wanted: Position) -> Result<(), Problem> {
        match app.views.wait_for(view, wanted, PATIENCE).await? {
            true => Ok(()),
            false => Err(not_yet(wanted)),
        }
    }

    /// The same for a view of the whole platform.
    pub(crate) async fn catch_up_everywhere(&self, app: &App, view: &str) -> Result<(), Problem> {
        self.wait(app, view, |_| true).await
    }

    async fn wait(&self, app: &App, view: &str, is_read: impl Fn(PartitionId) -> bool) -> Result<(), Problem> {
        let last = app.last_changes.get(&self.caller.credential.id());
        for wanted in self.at_least.iter().chain(&last).filter(|wanted| is_read(wanted.partition)) {
            let is_asked = Some(*wanted) == self.at_least;
            if app.views.wait_for(view, *wanted, Duration::ZERO).await? {
                continue;
            }
            if is_asked && !is_recorded(app, *wanted).await? {
                return Err(Problem::invalid("Porttask-At-Least", format!("nothing is recorded at {wanted} yet")));
            }
            let has_come = app.views.wait_for(view, *wanted, PATIENCE).await?;
            if !has_come && is_asked {
                return Err(not_yet(*wanted));
            }
        }
        Ok(())
    }
}

/// What staff of the platform may not do while they act as somebody else.
fn must_be_themselves<R: Permission>(caller: &Caller) -> Result<(), Problem> {
    match caller.impersonator {
        Some(_) if !R::IS_IMPERSONABLE => {
            let detail = "this cannot be done while you act as somebody else: end the impersonation first";
            Err(Problem::new(StatusCode::FORBIDDEN, "not-impersonable", detail))
        }
        Some(_) | None => Ok(()),
    }
}

/// Says who asks, for what is rejected.
fn note(parts: &Parts, meta: &Meta, caller: &Caller) {
    if let Some(asker) = parts.extensions.get::<Asker>() {
        asker.is(caller.organization, caller.user, meta.clone());
    }
}

/// Whether the log has come to a position: nobody waits for what was never answered.
async fn is_recorded(app: &App, wanted: Position) -> Result<bool, Problem> {
    let known = app.database.subscribe(wanted.partition).map(|head| *head.borrow());
    if known.is_some_and(|head| head >= wanted.offset) {
        return Ok(true);
    }
    // Another node may have come further.
    let heads = app.database.heads().await.map_err(|error| Problem::unavailable(&error))?;
    let mut heads = heads.iter().map(|head| head.position);
    Ok(heads.any(|head| head.partition == wanted.partition && head.offset >= wanted.offset))
}

fn not_yet(wanted: Position) -> Problem {
    let detail = format!("the listing has not come to {wanted} yet: retry after a pause");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-yet", detail).after(1)
}

/// The token that a request brings.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn position_of(text: &str) -> Result<Position, Problem> {
    text.parse().map_err(|_| Problem::invalid("Porttask-At-Least", "must be a position, as in 0:1234"))
}
