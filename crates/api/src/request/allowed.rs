//! A caller who has a right, and the organization in which they use it.

use std::{collections::HashMap, marker::PhantomData, time::Duration};

use axum::{
    RequestPartsExt,
    extract::{FromRequestParts, Path},
    http::{StatusCode, header, request::Parts},
};
use jiff::Timestamp;
use porttask_app::{
    access::Caller,
    execute::Request,
    log::{PartitionId, Position},
};
use porttask_domain::{Meta, OrganizationId};

use super::Client;
use crate::{app::App, problem::Problem, rights::Right};

/// How long a reader waits at most for a view to come to where they want to read.
const PATIENCE: Duration = Duration::from_secs(2);
/// The header by which a reader says what they want to see.
pub(crate) const AT_LEAST: &str = "porttask-at-least";

/// A caller who has this right.
pub(crate) struct Allowed<R> {
    pub(crate) caller: Caller,
    /// The organization that the path names; without one, the caller's own.
    pub(crate) organization: OrganizationId,
    /// Where it lives.
    pub(crate) partition: PartitionId,
    pub(crate) client: Client,
    token: String,
    at_least: Option<Position>,
    right: PhantomData<R>,
}

impl<R: Right> FromRequestParts<App> for Allowed<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let token = bearer(parts).ok_or_else(Problem::unauthenticated)?.to_owned();
        let caller = app.access.authenticate(&token, Timestamp::now()).await?;
        let Ok(client) = parts.extract_with_state::<Client, _>(app).await;
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
        let partition = app.partition(organization).await?;
        let at_least = match parts.headers.get(AT_LEAST) {
            None => None,
            Some(position) => Some(position_of(position.to_str().unwrap_or_default())?),
        };
        Ok(Self { caller, organization, partition, client, token, at_least, right: PhantomData })
    }
}

impl<R: Right> Allowed<R> {
    /// The caller as the actor of what they do.
    pub(crate) fn meta(&self) -> Meta {
        self.client.mark(self.caller.meta(), self.caller.user)
    }

    /// Something that the caller asks for, in the organization that the path names.
    pub(crate) fn request_of(&self, caller: &Caller) -> Request {
        let mut request = caller.request(self.meta());
        request.organization = self.organization;
        request
    }

    /// The caller as they are now, if they still have the right.
    ///
    /// # Errors
    /// If they are not let in any more, or have lost the right.
    pub(crate) async fn look_again(&self, app: &App) -> Result<Caller, Problem> {
        let caller = app.access.authenticate(&self.token, Timestamp::now()).await?;
        if R::is_held(&caller, self.organization) { Ok(caller) } else { Err(Problem::forbidden(R::NAME)) }
    }

    /// Waits until a view shows what the caller wants to see of the organization: what they asked for by position, or
    /// changed last.
    ///
    /// # Errors
    /// If it does not come so far in time, and the caller has asked for it.
    pub(crate) async fn catch_up(&self, app: &App, view: &str) -> Result<(), Problem> {
        self.wait(app, view, |partition| partition == self.partition).await
    }

    /// The same for a view of the whole platform.
    pub(crate) async fn catch_up_everywhere(&self, app: &App, view: &str) -> Result<(), Problem> {
        self.wait(app, view, |_| true).await
    }

    async fn wait(&self, app: &App, view: &str, is_read: impl Fn(PartitionId) -> bool) -> Result<(), Problem> {
        let last = app.last_changes.get(&self.caller.session);
        for wanted in self.at_least.iter().chain(&last).filter(|wanted| is_read(wanted.partition)) {
            let has_come = app.views.wait_for(view, *wanted, PATIENCE).await?;
            if !has_come && Some(*wanted) == self.at_least {
                let detail = format!("the listing has not come to {wanted} yet: retry after a pause");
                return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-yet", detail).after(1));
            }
        }
        Ok(())
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn position_of(text: &str) -> Result<Position, Problem> {
    text.parse().map_err(|_| Problem::invalid("Porttask-At-Least", "must be a position, as in 0:1234"))
}
