//! Sessions in responses: origin, last use, end.

use std::{collections::HashMap, time::Duration};

use axum::Json;
use jiff::Timestamp;
use porttask_app::identity::credential_activity::{CredentialActivity, LastUse};
use porttask_domain::{
    Actor, Meta, OrganizationId, SessionId, UserId,
    identity::{Organization, session::Ending},
};
use porttask_projections::{
    ColumnType, ReadModel,
    identity::{session as view, user as user_view},
};
use porttask_runtime::{
    log::Offset,
    views::{self, Condition, Direction},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    http::{
        app::App,
        device::device,
        listing::Page,
        permissions::{Permission, is_staff},
        problem::Problem,
        request::Authorized,
    },
    identity::user,
};

/// How long to wait until the read models have caught up.
const CATCH_UP: Duration = Duration::from_secs(2);
/// Maximum number of sessions in a response.
const MAX_SESSIONS: usize = 200;

/// A session.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionResponse {
    id: SessionId,
    started_at: Timestamp,
    expires_at: Timestamp,
    /// When it ended before its expiry.
    ended_at: Option<Timestamp>,
    /// How it ended before its expiry; null while it is open, and if it has expired.
    ended_by: Option<EndedBy>,
    /// Whether it can be used now.
    is_open: bool,
    /// When it was last used, to the minute.
    last_used_at: Timestamp,
    /// The IP address from which it was last used; absent if it is not known, or was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "203.0.113.7")]
    last_used_ip: Option<String>,
    /// The IP address from which it was started; absent once it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "203.0.113.7")]
    ip: Option<String>,
    /// The device from which it was started; absent once it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Firefox 128 on Linux")]
    device: Option<String>,
    /// Whether it is the session of this request.
    is_current: bool,
    /// The number of the member of the platform's staff who acts as the user in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "482193077")]
    staff_number: Option<String>,
}

/// A page of sessions.
pub(super) type SessionPage = Page<SessionResponse>;

/// Filters of sessions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SessionFilter {
    /// Only sessions that can be used now; with `false`, only those that cannot.
    open: Option<bool>,
}

/// How a session ended before its expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndedBy {
    /// The user signed out.
    SignOut,
    /// It was revoked.
    Revocation,
    /// Too many wrong passwords were entered in it.
    WrongPasswords,
    /// The user had too many sessions, and it was the oldest.
    TooManySessions,
    /// All sessions of the user ended: by a new password, a deactivation, or on request.
    AllOfUser,
    /// The organization was suspended.
    Suspension,
    /// It was not used for too long.
    Idleness,
}

/// What can have ended all sessions of a user at once.
struct Endings<'a> {
    user: user_view::User,
    organization_session_epoch: u64,
    activity: &'a CredentialActivity,
}

impl Endings<'_> {
    /// How a session ended, and when if that is known.
    fn of(&self, row: &view::Session, last_used_at: Timestamp, now: Timestamp) -> Option<(EndedBy, Option<Timestamp>)> {
        match (row.ended_by, row.ended_at) {
            (Some(Ending::SignOut), at) => return Some((EndedBy::SignOut, at)),
            (Some(Ending::Revocation), at) => return Some((EndedBy::Revocation, at)),
            (Some(Ending::WrongPasswords), at) => return Some((EndedBy::WrongPasswords, at)),
            (Some(Ending::TooManySessions), at) => return Some((EndedBy::TooManySessions, at)),
            (None, _) => {}
        }
        let user_view::User { session_epoch, kept_session, sessions_ended_at, .. } = &self.user;
        if row.user_session_epoch != *session_epoch && *kept_session != Some(row.session) {
            // Only the last time is known: it applies to sessions that were open until then.
            let at = sessions_ended_at.filter(|_| row.user_session_epoch + 1 == *session_epoch);
            return Some((EndedBy::AllOfUser, at));
        }
        if row.organization_session_epoch != self.organization_session_epoch {
            return Some((EndedBy::Suspension, None));
        }
        (now < row.expires_at && self.activity.is_over(last_used_at, now)).then_some((EndedBy::Idleness, None))
    }
}

impl SessionResponse {
    fn new(
        row: view::Session,
        started: Option<&Meta>,
        last_use: Option<LastUse>,
        endings: &Endings<'_>,
        (current, now): (Option<SessionId>, Timestamp),
    ) -> Self {
        let ip = started.and_then(|meta| meta.ip.as_ref()?.value()).map(str::to_owned);
        // The start is the first use.
        let LastUse { at: last_used_at, ip: last_used_ip } =
            last_use.unwrap_or_else(|| LastUse { at: row.started_at, ip: ip.clone() });
        let ended = endings.of(&row, last_used_at, now);
        let view::Session { session, started_at, expires_at, .. } = row;
        Self {
            id: session,
            started_at,
            expires_at,
            ended_at: ended.and_then(|it| it.1),
            ended_by: ended.map(|it| it.0),
            is_open: ended.is_none() && now < expires_at,
            last_used_at,
            last_used_ip: last_used_ip.filter(|_| started.is_some()),
            ip,
            device: started.and_then(|meta| meta.user_agent.as_ref()?.value()).and_then(device),
            is_current: Some(session) == current,
            staff_number: None,
        }
    }
}

/// The sessions of a user, the latest first.
///
/// # Errors
/// If there is no such user, or something cannot be read.
pub(super) async fn sessions_of<P: Permission>(
    app: &App,
    caller: &Authorized<P>,
    user: UserId,
    filter: &SessionFilter,
) -> Result<Json<SessionPage>, Problem> {
    // Include the session that has just started, and what has just ended others.
    for view in [view::Sessions::NAME, user_view::Users::NAME] {
        app.views.catch_up(view, CATCH_UP).await?;
    }
    let endings = endings(app, caller, user).await?;
    let rows = rows(app, caller, user).await?;
    let starts = starts(app, caller, &rows).await?;
    let ids: Vec<_> = rows.iter().map(|row| row.session.0).collect();
    let uses = app.activity.of(caller.organization, &ids).await;
    let mut uses = uses.map_err(|error| Problem::unavailable(&error))?;
    let seen_by = (caller.identity.session(), app.clock.now());
    let items = rows.into_iter().map(|row| {
        let (last_use, started) = (uses.remove(&row.session.0), starts.get(&row.offset));
        let staff = started.and_then(|meta| staff_in(caller.organization, meta));
        // Only staff see where staff connect from.
        let is_hidden = staff.is_some() && !is_staff(&caller.identity);
        let session = SessionResponse::new(row, started.filter(|_| !is_hidden), last_use, &endings, seen_by);
        SessionResponse { staff_number: staff.map(|user| app.staff_numbers.of(user)), ..session }
    });
    let items = items.filter(|it| filter.open.is_none_or(|open| it.is_open == open)).collect();
    Ok(Json(Page { items, next_cursor: None, total: None }))
}

async fn endings<'a, P: Permission>(
    app: &'a App,
    caller: &Authorized<P>,
    user: UserId,
) -> Result<Endings<'a>, Problem> {
    let user = user::row(app, caller, user).await?;
    let (organization, _) = app.executor.load::<Organization>(caller.organization, caller.organization).await?;
    // The platform's own organization is never suspended.
    let is_platform = caller.organization == OrganizationId::PLATFORM;
    let organization_session_epoch = if is_platform { 0 } else { organization.session_epoch() };
    Ok(Endings { user, organization_session_epoch, activity: &app.activity })
}

async fn rows<P: Permission>(app: &App, caller: &Authorized<P>, user: UserId) -> Result<Vec<view::Session>, Problem> {
    let key = [("organization", caller.organization.to_value()), ("user", user.to_value())];
    let query = views::Query {
        partition: caller.partition,
        conditions: key.map(|(column, value)| Condition::Equal(column, value)).into(),
        sort: vec!["started_at", "session"],
        direction: Direction::Descending,
        limit: MAX_SESSIONS,
        ..views::Query::default()
    };
    Ok(app.views.rows::<view::Sessions>(&query).await?)
}

/// The metadata of the events with which sessions started, by their offsets.
async fn starts<P: Permission>(
    app: &App,
    caller: &Authorized<P>,
    rows: &[view::Session],
) -> Result<HashMap<u64, Meta>, Problem> {
    let offsets: Vec<Offset> = rows.iter().map(|row| Offset(row.offset)).collect();
    let events = app.database.read_at(caller.partition, &offsets).await;
    let events = events.map_err(|error| Problem::unavailable(&error))?;
    let metas = app.vault.metas(&events).await.map_err(|error| Problem::unavailable(&error))?;
    Ok(events.iter().map(|event| event.position.offset.0).zip(metas).collect())
}

/// The member of the platform's staff who started a session as a user.
fn staff_in(organization: OrganizationId, started: &Meta) -> Option<UserId> {
    match started.actor {
        Actor::User { organization: home, user } if home != organization => Some(user),
        Actor::User { .. } | Actor::ApiKey { .. } | Actor::Operator | Actor::System | Actor::Anonymous => None,
    }
}
