//! Who calls: a user with a session, or a program with an API key.

use std::collections::BTreeSet;

use porttask_domain::{
    Actor, ApiKeyId, Impersonator, Meta, OrganizationId, SessionId, UserId,
    identity::{Permissions, Role, api_key::KeyScope},
};
use uuid::Uuid;

/// What a caller authenticated with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Credential {
    /// A session.
    Session(SessionId),
    /// An API key.
    Key {
        /// The key.
        key: ApiKeyId,
        /// The number of its secret: 1, 2, …
        generation: u32,
    },
}

impl Credential {
    /// The UUID of the session or key.
    pub fn id(&self) -> Uuid {
        match self {
            Self::Session(session) => session.0,
            Self::Key { key, .. } => key.0,
        }
    }
}

/// An authenticated user, or a program with an API key, with current permissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The organization of their account.
    pub organization: OrganizationId,
    /// The user; for a key, its owner.
    pub user: UserId,
    /// What they authenticated with.
    pub credential: Credential,
    /// Their role.
    pub role: Role,
    /// Their permissions; for a key, never more than those of its owner.
    pub permissions: Permissions,
    /// The scopes of a platform key; `None` for all other callers.
    pub scopes: Option<BTreeSet<KeyScope>>,
    /// The scopes of a key of an organization, which hold there; empty for all other callers.
    pub own_scopes: BTreeSet<KeyScope>,
    /// The staff member who impersonates this user.
    pub impersonator: Option<Impersonator>,
}

impl Caller {
    /// Metadata with the caller as actor.
    pub fn meta(&self) -> Meta {
        let (organization, user, impersonator) = (self.organization, self.user, self.impersonator);
        match self.credential {
            Credential::Session(session) => {
                Meta { impersonator, session: Some(session), ..Meta::by(Actor::User { organization, user }) }
            }
            Credential::Key { key, .. } => Meta::by(Actor::ApiKey { organization, key }),
        }
    }

    /// The user who sent the request: the staff member if the caller is impersonated.
    pub fn person(&self) -> UserId {
        self.impersonator.map_or(self.user, |staff| staff.user)
    }

    /// The session that the caller authenticated with, if any.
    pub fn session(&self) -> Option<SessionId> {
        match self.credential {
            Credential::Session(session) => Some(session),
            Credential::Key { .. } => None,
        }
    }

    /// The id of the actor: a user or a key.
    pub fn doer(&self) -> String {
        match self.credential {
            Credential::Session(_) => self.user.to_string(),
            Credential::Key { key, .. } => key.to_string(),
        }
    }
}
