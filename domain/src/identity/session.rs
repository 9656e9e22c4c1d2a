//! A sign-in, until it ends.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Aggregate, Kind, SessionId, UserId};

/// What can be asked of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Begin it: somebody has proved who they are.
    Start {
        /// Who.
        user: UserId,
        /// How they proved it.
        method: Method,
        /// When it ends at the latest.
        expires_at: Timestamp,
    },
    /// End it from within.
    SignOut,
    /// End it from outside.
    Revoke,
}

/// What can happen to a session. Stored for ever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// Somebody signed in.
    #[serde(rename = "session.started.v1")]
    Started {
        /// Who.
        user: UserId,
        /// How they proved who they are.
        method: Method,
        /// When it ends at the latest.
        expires_at: Timestamp,
    },
    /// It ended before its time.
    #[serde(rename = "session.ended.v1")]
    Ended {
        /// How.
        by: Ending,
    },
}

/// How somebody proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// By a password.
    Password,
}

/// How a session ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Its user signed out.
    SignOut,
    /// It was revoked.
    Revocation,
}

/// Why something may not happen to a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is none.
    #[error("there is no such session")]
    NotFound,
    /// There is one by this id, and it is another.
    #[error("a session with this id exists already")]
    Exists,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Exists => Kind::Conflict,
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::NotFound => "session-not-found",
            Self::Exists => "session-exists",
        }
    }
}

/// A session, as far as decisions need it.
#[derive(Debug, Clone, Default)]
pub struct Session(Option<Existing>);

#[derive(Debug, Clone)]
struct Existing {
    user: UserId,
    method: Method,
    expires_at: Timestamp,
    has_ended: bool,
}

impl Session {
    /// Whose session it is, while it lasts.
    pub fn user_at(&self, now: Timestamp) -> Option<UserId> {
        let existing = self.0.as_ref()?;
        (!existing.has_ended && now < existing.expires_at).then_some(existing.user)
    }

    /// Whose session it is or was; `None` if there is none.
    pub fn user(&self) -> Option<UserId> {
        self.0.as_ref().map(|existing| existing.user)
    }

    fn end(&self, by: Ending) -> Result<Vec<Event>, Refusal> {
        let existing = self.0.as_ref().ok_or(Refusal::NotFound)?;
        Ok(if existing.has_ended { vec![] } else { vec![Event::Ended { by }] })
    }
}

impl Aggregate for Session {
    const CATEGORY: &'static str = "session";
    type Id = SessionId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Start { user, method, expires_at } => match &self.0 {
                None => Ok(vec![Event::Started { user: *user, method: *method, expires_at: *expires_at }]),
                Some(old) if (old.user, old.method, old.expires_at) == (*user, *method, *expires_at) => Ok(vec![]),
                Some(_) => Err(Refusal::Exists),
            },
            Command::SignOut => self.end(Ending::SignOut),
            Command::Revoke => self.end(Ending::Revocation),
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Started { user, method, expires_at } => {
                let (user, method, expires_at) = (*user, *method, *expires_at);
                self.0 = Some(Existing { user, method, expires_at, has_ended: false });
            }
            Event::Ended { .. } => {
                if let Some(existing) = &mut self.0 {
                    existing.has_ended = true;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    fn ana() -> UserId {
        UserId(uuid::Uuid::from_u128(11))
    }

    fn second(number: i64) -> Timestamp {
        Timestamp::from_second(number).unwrap()
    }

    fn started() -> Event {
        Event::Started { user: ana(), method: Method::Password, expires_at: second(100) }
    }

    fn start(user: UserId) -> Command {
        Command::Start { user, method: Method::Password, expires_at: second(100) }
    }

    #[test]
    fn a_session_lasts_until_it_expires_or_ends() {
        given::<Session>([]).when(start(ana())).then([started()]);
        let session = Session::after(&[started()]);
        assert_eq!(session.user_at(second(99)), Some(ana()));
        assert_eq!(session.user_at(second(100)), None);
        assert_eq!(Session::after(&[started(), Event::Ended { by: Ending::SignOut }]).user_at(second(1)), None);
        assert_eq!(Session::default().user_at(second(1)), None);
    }

    #[test]
    fn a_session_ends_once() {
        given::<Session>([started()]).when(Command::SignOut).then([Event::Ended { by: Ending::SignOut }]);
        given::<Session>([started()]).when(Command::Revoke).then([Event::Ended { by: Ending::Revocation }]);
        given::<Session>([started(), Event::Ended { by: Ending::SignOut }]).when(Command::Revoke).then([]);
        given::<Session>([]).when(Command::Revoke).then_refused(Refusal::NotFound);
    }

    #[test]
    fn nobody_takes_over_a_session() {
        let bob = UserId(uuid::Uuid::from_u128(12));
        given::<Session>([started()]).when(start(bob)).then_refused(Refusal::Exists);
    }
}
