//! Who acted, on whose behalf, from where and in which request.

use serde::{Deserialize, Serialize};

use crate::{ApiKeyId, OrganizationId, Personal, SessionId, UserId};

/// The metadata of every event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    /// Who acted.
    pub actor: Actor,
    /// The member of the platform's staff who acted on behalf of the actor.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub impersonator: Option<Impersonator>,
    /// The session of the actor.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub session: Option<SessionId>,
    /// The IP address of the client.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ip: Option<Personal>,
    /// The user agent, as sent by the client.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user_agent: Option<Personal>,
    /// The id of the request or job.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_id: Option<String>,
}

/// Who acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Actor {
    /// A person with an account; staff of the platform have theirs in the platform's organization.
    User {
        /// The organization of the account.
        organization: OrganizationId,
        /// The user.
        user: UserId,
    },
    /// A program, by an API key that acts on behalf of a user.
    ApiKey {
        /// The organization of the key.
        organization: OrganizationId,
        /// The key.
        key: ApiKeyId,
    },
    /// The operator of this installation, on the command line.
    Operator,
    /// The platform itself: a timer or a reactor.
    System,
    /// An unauthenticated client.
    Anonymous,
}

/// A member of the platform's staff who impersonates a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Impersonator {
    /// Their account, in the platform's organization.
    pub user: UserId,
    /// Their own session, from which they impersonate.
    pub session: SessionId,
}

impl Meta {
    /// Metadata with an actor and nothing else.
    pub fn by(actor: Actor) -> Self {
        Self { actor, impersonator: None, session: None, ip: None, user_agent: None, request_id: None }
    }
}
