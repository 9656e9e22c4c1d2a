//! What a command changes: fields, access, and how to undo it.

use std::collections::BTreeSet;

use porttask_app::identity::access::{Caller, Credential};
use porttask_domain::{
    OrganizationId, SessionId, UserId,
    identity::{Organization, User, user::Status},
    uuid_of,
};
use porttask_projections::compliance::description::{self, describe};
use porttask_runtime::execute::OutcomeEvent;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::{
    app::App,
    permissions::{Permission, held},
    problem::Problem,
    request::CommandRequest,
};

/// A field that was changed, with values as the API has them, such as `read_only`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldChange {
    #[schema(example = "role")]
    pub(crate) field: &'static str,
    /// The former value; absent if there was none, or the event does not say. `[erased]` if it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "agent")]
    pub(crate) from: Option<String>,
    /// The new value; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "admin")]
    pub(crate) to: Option<String>,
}

impl From<description::FieldChange> for FieldChange {
    fn from(description::FieldChange { field, from, to }: description::FieldChange) -> Self {
        Self { field, from, to }
    }
}

/// The changed fields of events of one aggregate, each once: from its value before the first to that after the last.
pub(crate) fn changes<'a>(events: impl Iterator<Item = &'a OutcomeEvent>) -> Vec<FieldChange> {
    let mut changes: Vec<FieldChange> = Vec::new();
    for OutcomeEvent { stream, event_type, event, .. } in events {
        let subject = uuid_of(stream.name.id()).unwrap_or_default();
        for change in describe(event_type.as_str(), subject, event).changes {
            match changes.iter_mut().find(|earlier| earlier.field == change.field) {
                Some(earlier) => earlier.to = change.to,
                None => changes.push(change.into()),
            }
        }
    }
    changes
}

/// The request that undoes a change as far as possible. Send it with the version of the result as `If-Match`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Undo {
    #[schema(example = "POST")]
    method: &'static str,
    #[schema(
        example = "/v1/organizations/org_01h455vb4pex5vsknk084sn02q/users/usr_01h455vb4pex5vsknk084sn02q/reactivate"
    )]
    path: String,
    #[schema(value_type = Object)]
    body: Value,
}

impl Undo {
    /// A POST without members.
    pub(crate) fn post(path: String) -> Self {
        Self { method: "POST", path, body: Value::Object(serde_json::Map::new()) }
    }

    /// A POST with this body.
    pub(crate) fn post_with(path: String, body: Value) -> Self {
        Self { method: "POST", path, body }
    }

    /// A merge patch.
    pub(crate) fn patch(path: String, body: Value) -> Self {
        Self { method: "PATCH", path, body }
    }
}

/// What a change of a user does to their access, or in a dry run would do.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct AccessChange {
    /// The permissions that the user gains, as `resource:action`; of an invited user, once they accept.
    #[schema(value_type = Vec<String>, example = json!([]))]
    rights_gained: Vec<&'static str>,
    /// The permissions that the user loses.
    #[schema(value_type = Vec<String>, example = json!(["users:write"]))]
    rights_lost: Vec<&'static str>,
    /// In a dry run: the number of open sessions of the user in which this takes effect; at most 200 are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 2)]
    sessions: Option<usize>,
    /// In a dry run: the number of API keys of the user in which this takes effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1)]
    api_keys: Option<usize>,
}

/// The credentials of a user before a change. They are counted for dry runs only: the read models that know them are
/// behind the log, and a command does not wait for them.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Credentials {
    sessions: Option<usize>,
    api_keys: Option<usize>,
}

impl Credentials {
    /// Those that are accepted now, but one session; in a dry run only.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(crate) async fn of<P: Permission, B>(
        app: &App,
        request: &CommandRequest<P, B>,
        user: UserId,
        except: Option<SessionId>,
    ) -> Result<Self, Problem> {
        if !request.dry_run {
            return Ok(Self::default());
        }
        let organization = request.caller.organization;
        let unavailable = |error: &dyn std::fmt::Display| Problem::unavailable(error);
        let now = app.clock.now();
        let (state, _) = app.executor.load::<User>(organization, user).await?;
        let epoch = match organization == OrganizationId::PLATFORM {
            true => 0,
            false => app.executor.load::<Organization>(organization, organization).await?.0.session_epoch(),
        };
        let open = app.accounts.open_sessions((organization, user), &state, epoch, now).await;
        let open = open.map_err(|error| unavailable(&error))?;
        let ids: Vec<Uuid> = open.iter().map(|row| row.session.0).collect();
        let uses = app.activity.of(organization, &ids).await.map_err(|error| unavailable(&error))?;
        let is_used = |row: &&porttask_projections::identity::session::Session| {
            let last_used_at = uses.get(&row.session.0).map_or(row.started_at, |last| last.at);
            Some(row.session) != except && !app.activity.is_over(last_used_at, now)
        };
        let sessions = open.iter().filter(is_used).count();
        let api_keys = app.accounts.api_keys(organization, user, now).await.map_err(|error| unavailable(&error))?;
        Ok(Self { sessions: Some(sessions), api_keys: Some(api_keys.len()) })
    }
}

impl AccessChange {
    /// The change from one state of a user to another.
    pub(crate) fn between(
        (organization, user): (OrganizationId, UserId),
        (before, after): (&User, &User),
        Credentials { sessions, api_keys }: Credentials,
    ) -> Self {
        let (before, after) = (rights(organization, user, before), rights(organization, user, after));
        let without = |these: &[&'static str], others: &[&'static str]| {
            these.iter().filter(|right| !others.contains(right)).copied().collect()
        };
        let (rights_gained, rights_lost) = (without(&after, &before), without(&before, &after));
        Self { rights_gained, rights_lost, sessions, api_keys }
    }

    /// The end of sessions.
    pub(crate) fn sessions_only(Credentials { sessions, .. }: Credentials) -> Self {
        Self { sessions, ..Self::default() }
    }
}

/// The permissions of a user in a session, also of one who has not accepted the invitation yet.
fn rights(organization: OrganizationId, user: UserId, state: &User) -> Vec<&'static str> {
    let (Some(Status::Registered | Status::Invited | Status::Active), Some(role), Some(permissions)) =
        (state.status(), state.role(), state.permissions())
    else {
        return Vec::new();
    };
    let (credential, own_scopes) = (Credential::Session(SessionId(Uuid::nil())), BTreeSet::new());
    let (scopes, impersonator) = (None, None);
    held(&Caller { organization, user, credential, role, permissions, scopes, own_scopes, impersonator }, organization)
}
