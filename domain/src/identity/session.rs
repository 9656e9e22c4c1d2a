//! A sign-in, until it ends.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Aggregate, Impersonator, Kind, OrganizationId, Personal, Reason, SessionId, UserId};

/// What can be asked of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Begin it: somebody has proved who they are.
    Start {
        /// Who.
        user: UserId,
        /// How they proved it.
        method: Method,
        /// When it begins.
        started_at: Timestamp,
        /// When it ends at the latest.
        expires_at: Timestamp,
        /// In which epoch it begins.
        session_epoch: SessionEpoch,
    },
    /// Begin one in which staff of the platform acts as somebody else.
    Impersonate {
        /// Where they do: whose record the reason belongs to.
        organization: OrganizationId,
        /// As whom.
        user: UserId,
        /// Who does.
        impersonator: Impersonator,
        /// Why.
        reason: Reason,
        /// When it begins.
        started_at: Timestamp,
        /// When it ends at the latest.
        expires_at: Timestamp,
        /// In which epoch it begins.
        session_epoch: SessionEpoch,
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
        /// When it began.
        started_at: Timestamp,
        /// When it ends at the latest.
        expires_at: Timestamp,
        /// In which epoch it began: it ends with the first of the two.
        session_epoch: SessionEpoch,
    },
    /// Staff of the platform began to act as somebody else.
    #[serde(rename = "session.impersonation_started.v1")]
    ImpersonationStarted {
        /// As whom.
        user: UserId,
        /// Who does.
        impersonator: Impersonator,
        /// Why.
        reason: Personal,
        /// When it began.
        started_at: Timestamp,
        /// When it ends at the latest.
        expires_at: Timestamp,
        /// In which epoch it began.
        session_epoch: SessionEpoch,
    },
    /// It ended before its time.
    #[serde(rename = "session.ended.v1")]
    Ended {
        /// How.
        by: Ending,
    },
}

/// How often all sessions of a user, and all of an organization, had ended at once when a session began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionEpoch {
    /// Those of the user.
    pub user: u64,
    /// Those of the organization.
    pub organization: u64,
}

crate::texts! {
    /// How somebody proved who they are.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum Method {
        /// By a password.
        Password = "password",
    }

    /// How a session ended before its time.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum Ending {
        /// Its user signed out.
        SignOut = "sign_out",
        /// It was revoked.
        Revocation = "revocation",
    }
}

/// Why something may not happen to a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is none.
    #[error("there is no such session")]
    NotFound,
    /// There is one by this id, and it is another.
    #[error("a session with this id exists already")]
    Exists,
    /// Nobody acts as somebody else for so long.
    #[error("nobody is impersonated for longer than an hour")]
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

/// A session, as far as decisions need it.
#[derive(Debug, Clone, Default)]
pub struct Session(Option<Existing>);

/// What a session says while it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Whose it is.
    pub user: UserId,
    /// When it began.
    pub started_at: Timestamp,
    /// In which epoch it began.
    pub session_epoch: SessionEpoch,
    /// Staff of the platform who acts as the user.
    pub impersonator: Option<Impersonator>,
}

#[derive(Debug, Clone)]
struct Existing {
    holder: Holder,
    expires_at: Timestamp,
    has_ended: bool,
}

/// How long staff of the platform may act as somebody else.
pub const LONGEST_IMPERSONATION: SignedDuration = SignedDuration::from_mins(60);

impl Session {
    /// Whose session it is, while it lasts by itself. It may have ended with all others of its user or organization.
    pub fn holder_at(&self, now: Timestamp) -> Option<Holder> {
        let existing = self.0.as_ref()?;
        (!existing.has_ended && now < existing.expires_at).then_some(existing.holder)
    }

    /// When it began, and when it ends at the latest; `None` if there is none.
    pub fn times(&self) -> Option<(Timestamp, Timestamp)> {
        self.0.as_ref().map(|existing| (existing.holder.started_at, existing.expires_at))
    }

    /// Whose session it is or was; `None` if there is none.
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

/// The session that begins with an event, if one does.
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
    }

    #[test]
    fn nobody_takes_over_a_session() {
        let bob = UserId(uuid::Uuid::from_u128(12));
        given::<Session>([started()]).when(start(bob)).then_rejected(Rejection::Exists);
    }

    #[test]
    fn staff_acts_as_somebody_for_an_hour_at_most() {
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
