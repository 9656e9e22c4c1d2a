//! Who did something, for whom, from where and because of what.

use serde::{Deserialize, Serialize};

use crate::{ApiKeyId, OrganizationId, Personal, SessionId, UserId};

/// What stands beside the domain_event in every event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    /// Who did it.
    pub actor: Actor,
    /// Staff of the platform who did it in the actor's name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub impersonator: Option<Impersonator>,
    /// The session in which it was done.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub session: Option<SessionId>,
    /// The address from which it was done.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ip: Option<Personal>,
    /// The user agent, as it named itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user_agent: Option<Personal>,
    /// The request that asked for it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_id: Option<String>,
}

/// Who acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Actor {
    /// A person with an account; staff of the platform have theirs in the platform's organization.
    User {
        /// Where the account is.
        organization: OrganizationId,
        /// Whose account it is.
        user: UserId,
    },
    /// A program, by a key that works in the name of a person.
    ApiKey {
        /// Where the key is good.
        organization: OrganizationId,
        /// Which key.
        key: ApiKeyId,
    },
    /// Whoever operates this installation, from its command line.
    Operator,
    /// The platform itself: a timer, a reaction.
    System,
    /// Somebody who has not proved who they are.
    Anonymous,
}

/// Staff of the platform who acts as somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Impersonator {
    /// Their account, in the platform's organization.
    pub user: UserId,
    /// The session of theirs within which they do.
    pub session: SessionId,
}

impl Meta {
    /// By an actor of whom nothing else is known.
    pub fn by(actor: Actor) -> Self {
        Self { actor, impersonator: None, session: None, ip: None, user_agent: None, request_id: None }
    }
}
