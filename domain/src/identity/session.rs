//! Sessions: a sign-in until it ends.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Aggregate, Impersonator, Kind, OrganizationId, Personal, Reason, SessionId, UserId};

/// Commands on a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Start it: a user has authenticated.
    Start {
        /// The user.
        user: UserId,
        /// How they authenticated.
        method: Method,
        /// When it starts.
        started_at: Timestamp,
        /// When it expires.
        expires_at: Timestamp,
        /// The epoch in which it starts.
        session_epoch: SessionEpoch,
    },
    /// Start an impersonation: a member of the platform's staff acts as another user.
    Impersonate {
        /// The organization of the user, which owns the reason as a personal value.
        organization: OrganizationId,
        /// The impersonated user.
        user: UserId,
        /// The staff member.
        impersonator: Impersonator,
        /// Why.
        reason: Reason,
        /// When it starts.
        started_at: Timestamp,
        /// When it expires.
        expires_at: Timestamp,
        /// The epoch in which it starts.
        session_epoch: SessionEpoch,
    },
    /// End it by its own user.
    SignOut,
    /// End it by somebody else, or from another session.
    Revoke,
    /// End it because too many wrong passwords were entered in it: it may be stolen.
    EndAfterWrongPasswords,
    /// End it because its user has too many sessions.
    EndAsOldest,
}

/// Events of a session. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// Somebody signed in.
    #[serde(rename = "session.started.v1")]
    Started {
        /// The user.
        user: UserId,
        /// How they authenticated.
        method: Method,
        /// When it started.
        started_at: Timestamp,
        /// When it expires.
        expires_at: Timestamp,
        /// The epoch in which it started: it ends with whichever of the two ends first.
        session_epoch: SessionEpoch,
    },
    /// A member of the platform's staff started to impersonate a user.
    #[serde(rename = "session.impersonation_started.v1")]
    ImpersonationStarted {
        /// The impersonated user.
        user: UserId,
        /// The staff member.
        impersonator: Impersonator,
        /// Why.
        reason: Personal,
        /// When it started.
        started_at: Timestamp,
        /// When it expires.
        expires_at: Timestamp,
        /// The epoch in which it started.
        session_epoch: SessionEpoch,
    },
    /// It ended before it expired.
    #[serde(rename = "session.ended.v1")]
    Ended {
        /// How it ended.
        by: Ending,
    },
}

/// How often all sessions of a user, and all of an organization, had been ended at once when a session started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionEpoch {
    /// The epoch of the user.
    pub user: u64,
    /// The epoch of the organization.
    pub organization: u64,
}

crate::texts! {
    /// How a user authenticated.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum Method {
        /// With a password.
        Password = "password",
    }

    /// How a session ended before it expired.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum Ending {
        /// Its user signed out.
        SignOut = "sign_out",
        /// It was revoked.
        Revocation = "revocation",
        /// Too many wrong passwords were entered in it.
        WrongPasswords = "wrong_passwords",
        /// Its user had too many sessions, and it was the oldest.
        TooManySessions = "too_many_sessions",
    }
}

/// Why a command on a session is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It does not exist.
    #[error("there is no such session")]
    NotFound,
    /// A different session with this id exists.
    #[error("a session with this id already exists")]
    Exists,
    /// The impersonation would last too long.
    #[error("an impersonation can last at most one hour")]
    LongImpersonation,
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Exists => Kind::Conflict,
            Self::LongImpersonation => Kind::Invalid,
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::NotFound => "session-not-found",
            Self::Exists => "session-exists",
            Self::LongImpersonation => "long-impersonation",
        }
    }
}

/// The state of a session: only what `decide` needs.
#[derive(Debug, Clone, Default)]
pub struct Session(Option<Existing>);

/// What an active session says about its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The user.
    pub user: UserId,
    /// When it started.
    pub started_at: Timestamp,
    /// The epoch in which it started.
    pub session_epoch: SessionEpoch,
    /// The staff member who impersonates the user.
    pub impersonator: Option<Impersonator>,
}

#[derive(Debug, Clone)]
struct Existing {
    holder: Holder,
    expires_at: Timestamp,
    has_ended: bool,
}

/// The maximum duration of an impersonation.
pub const LONGEST_IMPERSONATION: SignedDuration = SignedDuration::from_mins(60);

impl Session {
    /// The holder of the session, if it was neither ended nor has expired. A change of epoch may have ended it as well:
    /// the caller checks that.
    pub fn holder_at(&self, now: Timestamp) -> Option<Holder> {
        let existing = self.0.as_ref()?;
        (!existing.has_ended && now < existing.expires_at).then_some(existing.holder)
    }

    /// When it started and when it expires; `None` if it does not exist.
    pub fn times(&self) -> Option<(Timestamp, Timestamp)> {
        self.0.as_ref().map(|existing| (existing.holder.started_at, existing.expires_at))
    }

    /// Whose session it is or was; `None` if it does not exist.
    pub fn user(&self) -> Option<UserId> {
        self.0.as_ref().map(|existing| existing.holder.user)
    }

    fn end(&self, by: Ending) -> Result<Vec<Event>, Rejection> {
        let existing = self.0.as_ref().ok_or(Rejection::NotFound)?;
        Ok(if existing.has_ended { vec![] } else { vec![Event::Ended { by }] })
    }
}

impl Aggregate for Session {
    const CATEGORY: &'static str = "session";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = SessionId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        let start = match command {
            Command::Start { user, method, started_at, expires_at, session_epoch } => Event::Started {
                user: *user,
                method: *method,
                started_at: *started_at,
                expires_at: *expires_at,
                session_epoch: *session_epoch,
            },
            Command::Impersonate {
                organization,
                user,
                impersonator,
                reason,
                started_at,
                expires_at,
                session_epoch,
            } => {
                if expires_at.duration_since(*started_at) > LONGEST_IMPERSONATION {
                    return Err(Rejection::LongImpersonation);
                }
                Event::ImpersonationStarted {
                    user: *user,
                    impersonator: *impersonator,
                    reason: Personal::identity(*organization, reason.as_str()),
                    started_at: *started_at,
                    expires_at: *expires_at,
                    session_epoch: *session_epoch,
                }
            }
            Command::SignOut => return self.end(Ending::SignOut),
            Command::Revoke => return self.end(Ending::Revocation),
            Command::EndAfterWrongPasswords => return self.end(Ending::WrongPasswords),
            Command::EndAsOldest => return self.end(Ending::TooManySessions),
        };
        match &self.0 {
            None => Ok(vec![start]),
            Some(old)
                if begun(&start).is_some_and(|new| (new.holder, new.expires_at) == (old.holder, old.expires_at)) =>
            {
                Ok(vec![])
            }
            Some(_) => Err(Rejection::Exists),
        }
    }

    fn evolve(&mut self, event: &Event) {
        if let Some(existing) = begun(event) {
            self.0 = Some(existing);
        } else if let Some(existing) = &mut self.0 {
            existing.has_ended = true;
        }
    }
}

/// The session that an event starts, if any.
fn begun(event: &Event) -> Option<Existing> {
    let (user, started_at, expires_at, session_epoch, impersonator) = match event {
        Event::Started { user, started_at, expires_at, session_epoch, .. } => {
            (user, *started_at, expires_at, *session_epoch, None)
        }
        Event::ImpersonationStarted { user, impersonator, started_at, expires_at, session_epoch, .. } => {
            (user, *started_at, expires_at, *session_epoch, Some(*impersonator))
        }
        Event::Ended { .. } => return None,
    };
    let holder = Holder { user: *user, started_at, session_epoch, impersonator };
    Some(Existing { holder, expires_at: *expires_at, has_ended: false })
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

    const EPOCH: SessionEpoch = SessionEpoch { user: 3, organization: 1 };

    fn started() -> Event {
        let (method, started_at, expires_at) = (Method::Password, second(50), second(100));
        Event::Started { user: ana(), method, started_at, expires_at, session_epoch: EPOCH }
    }

    fn start(user: UserId) -> Command {
        let (method, started_at, expires_at) = (Method::Password, second(50), second(100));
        Command::Start { user, method, started_at, expires_at, session_epoch: EPOCH }
    }

    #[test]
    fn a_session_lasts_until_it_expires_or_ends() {
        given::<Session>([]).when(start(ana())).then([started()]);
        let session = Session::after(&[started()]);
        let holder = Holder { user: ana(), started_at: second(50), session_epoch: EPOCH, impersonator: None };
        assert_eq!(session.holder_at(second(99)), Some(holder));
        assert_eq!(session.holder_at(second(100)), None);
        assert_eq!(Session::after(&[started(), Event::Ended { by: Ending::SignOut }]).holder_at(second(1)), None);
        assert_eq!(Session::default().holder_at(second(1)), None);
    }

    #[test]
    fn a_session_ends_once() {
        given::<Session>([started()]).when(Command::SignOut).then([Event::Ended { by: Ending::SignOut }]);
        given::<Session>([started()]).when(Command::Revoke).then([Event::Ended { by: Ending::Revocation }]);
        given::<Session>([started(), Event::Ended { by: Ending::SignOut }]).when(Command::Revoke).then([]);
        given::<Session>([]).when(Command::Revoke).then_rejected(Rejection::NotFound);
        for (command, by) in
            [(Command::EndAfterWrongPasswords, Ending::WrongPasswords), (Command::EndAsOldest, Ending::TooManySessions)]
        {
            given::<Session>([started()]).when(command).then([Event::Ended { by }]);
        }
    }

    #[test]
    fn a_session_cannot_be_taken_over() {
        let bob = UserId(uuid::Uuid::from_u128(12));
        given::<Session>([started()]).when(start(bob)).then_rejected(Rejection::Exists);
    }

    #[test]
    fn an_impersonation_lasts_at_most_one_hour() {
        let impersonator =
            Impersonator { user: UserId(uuid::Uuid::from_u128(1)), session: SessionId(uuid::Uuid::from_u128(2)) };
        let organization = OrganizationId(uuid::Uuid::from_u128(7));
        let until = |expires_at| Command::Impersonate {
            organization,
            user: ana(),
            impersonator,
            reason: Reason::new("ticket 4711").unwrap(),
            started_at: second(50),
            expires_at,
            session_epoch: EPOCH,
        };
        let begun = Event::ImpersonationStarted {
            user: ana(),
            impersonator,
            reason: Personal::identity(organization, "ticket 4711"),
            started_at: second(50),
            expires_at: second(3_650),
            session_epoch: EPOCH,
        };
        given::<Session>([]).when(until(second(3_650))).then([begun.clone()]);
        given::<Session>([begun.clone()]).when(until(second(3_650))).then([]);
        given::<Session>([]).when(until(second(3_651))).then_rejected(Rejection::LongImpersonation);
        given::<Session>([begun.clone()]).when(start(ana())).then_rejected(Rejection::Exists);
        let holder = Session::after(&[begun]).holder_at(second(3_649)).unwrap();
        assert_eq!((holder.user, holder.impersonator), (ana(), Some(impersonator)));
    }
}
