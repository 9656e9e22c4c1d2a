//! Sessions as they are listed: from where, how long, how they ended.

use std::{collections::HashMap, time::Duration};

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
};
use jiff::Timestamp;
use porttask_app::identity::credential_activity::{CredentialActivity, LastUse};
use porttask_domain::{
    Actor, Meta, OrganizationId, SessionId, UserId,
    identity::{Organization, session::Ending},
};
use porttask_projections::{
    ColumnType, ReadModel, Value,
    identity::{session as view, user as user_view},
};
use porttask_runtime::{
    log::Offset,
    views::{self, Condition, Direction},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    http::device::device,
    http::{
        app::App,
        listing::Page,
        permissions::{Impersonable, Permission, ReadUsers, SignedIn, is_staff},
        problem::Problem,
        request::Authorized,
    },
    identity::user::{self, user_in},
};

/// How long it may take until the list has come to now.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most sessions that are listed.
const MOST: usize = 200;

/// A session.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct Shown {
    #[schema(value_type = String)]
    id: SessionId,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// When it ended before its time.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// How it ended before its time; null while it is open, and if its time was over.
    #[schema(value_type = Option<EndedBy>)]
    ended_by: Option<EndedBy>,
    /// Whether it can be used now.
    is_open: bool,
    /// When it was last used, to the minute.
    #[schema(value_type = String, format = DateTime)]
    last_used_at: Timestamp,
    /// The address from which it was last used; absent if it is not known, or was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "203.0.113.7")]
    last_used_ip: Option<String>,
    /// The address from which it began; absent once it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "203.0.113.7")]
    ip: Option<String>,
    /// The device from which it began; absent once it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Firefox 128 on Linux")]
    device: Option<String>,
    /// Whether it is the one that asks.
    is_current: bool,
    /// The number of somebody of the platform's staff who acts as the user in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "482193077")]
    staff_number: Option<String>,
}

/// Which sessions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SessionFilter {
    /// Only those that can be used now; with `false`, only those that cannot.
    open: Option<bool>,
}

/// How a session ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndedBy {
    /// Its user signed out.
    SignOut,
    /// It was revoked.
    Revocation,
    /// All sessions of its user ended: by a new password, a deactivation, or because somebody wanted it.
    AllOfUser,
    /// Its organization was suspended.
    Suspension,
    /// Nobody used it for too long.
    Idleness,
}

/// What ended all sessions at once, as far as a listing needs it.
struct Endings<'a> {
    user: user_view::User,
    organization_session_epoch: u64,
    uses: &'a CredentialActivity,
}

impl Endings<'_> {
    /// How a session ended, and when if that is known.
    fn of(&self, row: &view::Session, last_used_at: Timestamp, now: Timestamp) -> Option<(EndedBy, Option<Timestamp>)> {
        match (row.ended_by, row.ended_at) {
            (Some(Ending::SignOut), at) => return Some((EndedBy::SignOut, at)),
            (Some(Ending::Revocation), at) => return Some((EndedBy::Revocation, at)),
            (None, _) => {}
        }
        let user_view::User { session_epoch, kept_session, sessions_ended_at, .. } = &self.user;
        if row.user_session_epoch != *session_epoch && *kept_session != Some(row.session) {
            // Which of several times it was, the row does not say: the last is right for those that were open till then.
            let at = sessions_ended_at.filter(|_| row.user_session_epoch + 1 == *session_epoch);
            return Some((EndedBy::AllOfUser, at));
        }
        if row.organization_session_epoch != self.organization_session_epoch {
            return Some((EndedBy::Suspension, None));
        }
        (now < row.expires_at && self.uses.is_over(last_used_at, now)).then_some((EndedBy::Idleness, None))
    }
}

impl Shown {
    fn new(
        row: view::Session,
        began: Option<&Meta>,
        last_use: Option<LastUse>,
        endings: &Endings<'_>,
        (current, now): (Option<SessionId>, Timestamp),
    ) -> Self {
        let ip = began.and_then(|meta| meta.ip.as_ref()?.value()).map(str::to_owned);
        // Whoever begins one, uses it.
        let LastUse { at: last_used_at, ip: last_used_ip } =
            last_use.unwrap_or_else(|| LastUse { at: row.started_at, ip: ip.clone() });
        let last_used_ip = last_used_ip.filter(|_| began.is_some());
        let ended = endings.of(&row, last_used_at, now);
        let view::Session { session, started_at, expires_at, .. } = row;
        let device = began.and_then(|meta| meta.user_agent.as_ref()?.value()).and_then(device);
        let (ended_at, ended_by) = (ended.and_then(|it| it.1), ended.map(|it| it.0));
        let is_open = ended.is_none() && now < expires_at;
        let is_current = Some(session) == current;
        Self {
            id: session,
            started_at,
            expires_at,
            ended_at,
            ended_by,
            is_open,
            last_used_at,
            last_used_ip,
            ip,
            device,
            is_current,
            staff_number: None,
        }
    }
}

/// List a user's sessions, the latest first.
///
/// At most two hundred. Needs `users:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/users/{user}/sessions", tag = "sessions",
    operation_id = "list_sessions", extensions(("x-impersonable" = json!(true))), params(("org" = String, Path), ("user" = String, Path), SessionFilter),
    responses((status = 200, body = Page<Shown>)))]
pub(crate) async fn list_sessions(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadUsers>>,
    Path((_, user)): Path<(String, String)>,
    filter: Result<Query<SessionFilter>, QueryRejection>,
) -> Result<Json<Page<Shown>>, Problem> {
    of_user(&app, &caller, user_in(&user)?, filter).await
}

/// List one's own sessions, the latest first.
///
/// At most two hundred.
#[utoipa::path(get, path = "/v1/me/sessions", tag = "sessions", operation_id = "list_my_sessions", extensions(("x-impersonable" = json!(true))),
    params(SessionFilter), responses((status = 200, body = Page<Shown>)))]
pub(crate) async fn list_my_sessions(
    State(app): State<App>,
    caller: Authorized<Impersonable<SignedIn>>,
    filter: Result<Query<SessionFilter>, QueryRejection>,
) -> Result<Json<Page<Shown>>, Problem> {
    of_user(&app, &caller, caller.caller.user, filter).await
}

async fn of_user<R: Permission>(
    app: &App,
    caller: &Authorized<R>,
    user: UserId,
    filter: Result<Query<SessionFilter>, QueryRejection>,
) -> Result<Json<Page<Shown>>, Problem> {
    let Query(filter) = filter.map_err(|error| Problem::invalid("query", error.body_text()))?;
    // Also the session that was begun just now, and what ended others.
    for view in [view::Sessions::NAME, user_view::Users::NAME] {
        app.views.catch_up(view, PATIENCE).await?;
    }
    let row = user::row(app, caller, user).await?.ok_or_else(|| Problem::not_found("user"))?;
    let (organization, _) = app.executor.load::<Organization>(caller.organization, caller.organization).await?;
    // The sessions of the platform end with nothing but themselves and their users.
    let is_platform = caller.organization == OrganizationId::PLATFORM;
    let organization_session_epoch = if is_platform { 0 } else { organization.session_epoch() };
    let endings = Endings { user: row, organization_session_epoch, uses: &app.activity };
    let of_user = [("organization", caller.organization.to_value()), ("user", Value::Id(user.0))];
    let conditions = of_user.map(|(column, value)| Condition::Equal(column, value)).into();
    let (sort, direction) = (vec!["started_at", "session"], Direction::Descending);
    let partition = caller.partition;
    let query = views::Query { partition, conditions, sort, direction, limit: MOST, ..views::Query::default() };
    let rows = app.views.rows::<view::Sessions>(&query).await?;
    let offsets: Vec<Offset> = rows.iter().map(|row| Offset(row.offset)).collect();
    let events =
        app.database.read_at(caller.partition, &offsets).await.map_err(|error| Problem::unavailable(&error))?;
    let metas = app.vault.metas(&events).await.map_err(|error| Problem::unavailable(&error))?;
    let metas: HashMap<u64, Meta> = events.iter().map(|event| event.position.offset.0).zip(metas).collect();
    let ids: Vec<_> = rows.iter().map(|row| row.session.0).collect();
    let uses = app.activity.of(caller.organization, &ids).await;
    let mut uses = uses.map_err(|error| Problem::unavailable(&error))?;
    let seen_by = (caller.caller.session(), Timestamp::now());
    let items = rows.into_iter().map(|row| {
        let last_use = uses.remove(&row.session.0);
        let began = metas.get(&row.offset);
        let staff = began.and_then(|meta| staff_in(caller.organization, meta));
        // From where the platform's staff works is no business of others.
        let is_hidden = staff.is_some() && !is_staff(&caller.caller);
        let shown = Shown::new(row, began.filter(|_| !is_hidden), last_use, &endings, seen_by);
        Shown { staff_number: staff.map(|user| app.staff_numbers.of(user)), ..shown }
    });
    let items = items.filter(|it| filter.open.is_none_or(|open| it.is_open == open)).collect();
    Ok(Json(Page { items, next_cursor: None }))
}

/// Who of the platform's staff has begun a session of somebody else.
fn staff_in(organization: OrganizationId, began: &Meta) -> Option<UserId> {
    match began.actor {
        Actor::User { organization: home, user } if home != organization => Some(user),
        Actor::User { .. } | Actor::ApiKey { .. } | Actor::Operator | Actor::System | Actor::Anonymous => None,
    }
}
