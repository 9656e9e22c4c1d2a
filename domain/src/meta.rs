//! Who acted, on whose behalf, from where and in which request.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

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
    /// When it happened, in microseconds. Only where this differs by design from when it was recorded: a simulated
    /// clock, an import, a status reported later, a delayed record.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub occurred_at: Option<Timestamp>,
    /// The correlation id, if it is not the request id: see [`Meta::correlation_id`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub correlation_id: Option<String>,
    /// The id of the event that caused this one; only on events of reactors, timers and jobs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub causation_id: Option<Uuid>,
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

/// Maximum length of the id of a request.
pub const MAX_REQUEST_ID: usize = 100;

/// Whether this is the id of a request: 1 to 100 letters, digits and `-._:+/=`. It is stored in plain text, so it must
/// not be free text or an email address.
pub fn is_request_id(id: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:+/=".contains(&byte);
    (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(is_good)
}

impl Meta {
    /// Metadata with an actor and nothing else.
    pub fn by(actor: Actor) -> Self {
        Self {
            actor,
            impersonator: None,
            session: None,
            ip: None,
            user_agent: None,
            request_id: None,
            occurred_at: None,
            correlation_id: None,
            causation_id: None,
        }
    }

    /// The id that all events share which follow from the same request: the explicit one, otherwise the request id.
    pub fn correlation_id(&self) -> Option<&str> {
        self.correlation_id.as_deref().or(self.request_id.as_deref())
    }

    /// With this correlation id, which is not stored a second time if it is the request id.
    #[must_use]
    pub fn correlated(self, id: impl Into<String>) -> Self {
        let id = id.into();
        let correlation_id = Some(id).filter(|id| Some(id) != self.request_id.as_ref());
        Self { correlation_id, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(meta: &Meta) -> serde_json::Value {
        let stored = serde_json::to_value(meta).unwrap();
        assert_eq!(serde_json::from_value::<Meta>(stored.clone()).unwrap(), *meta);
        stored
    }

    #[test]
    fn the_request_id_is_the_correlation_id_and_is_stored_once() {
        let request = Meta { request_id: Some("req-1".to_owned()), ..Meta::by(Actor::System) };
        for meta in [request.clone(), request.clone().correlated("req-1")] {
            assert_eq!(meta.correlation_id(), Some("req-1"));
            assert_eq!(stored(&meta), serde_json::json!({"actor": {"kind": "system"}, "request_id": "req-1"}));
        }
        assert_eq!(request.correlated("req-0").correlation_id(), Some("req-0"));
        assert_eq!(Meta::by(Actor::System).correlation_id(), None);
    }

    #[test]
    fn the_id_of_a_request_is_no_free_text() {
        for id in ["1", "req-42", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "aGVsbG8+/w==", "A:b.c_d"]
        {
            assert!(is_request_id(id), "{id}");
        }
        for id in ["", "ana@acme.example", "two words", "caf\u{e9}", "\"quoted\"", &"x".repeat(101)] {
            assert!(!is_request_id(id), "{id}");
        }
    }

    #[test]
    fn a_time_and_a_cause_are_stored_only_if_given() {
        assert_eq!(stored(&Meta::by(Actor::System)), serde_json::json!({"actor": {"kind": "system"}}));
        let meta = Meta {
            occurred_at: Some("2026-12-02T09:00:00.000001Z".parse().unwrap()),
            causation_id: Some(Uuid::from_u128(7)),
            ..Meta::by(Actor::System)
        };
        let expected = serde_json::json!({
            "actor": {"kind": "system"}, "occurred_at": "2026-12-02T09:00:00.000001Z",
            "causation_id": "00000000-0000-0000-0000-000000000007",
        });
        assert_eq!(stored(&meta), expected);
    }
}
