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
        /// In which eras it begins.
        eras: Eras,
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
        /// In which eras it begins.
        eras: Eras,
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
    /// Somebody signed in.
    #[serde(rename = "session.started.v2")]
    StartedInEra {
        /// Who.
        user: UserId,
        /// How they proved who they are.
        method: Method,
        /// When it began.
        started_at: Timestamp,
        /// When it ends at the latest.
        expires_at: Timestamp,
        /// In which eras it began: it ends with the first of them.
        eras: Eras,
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
        /// In which eras it began.
        eras: Eras,
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
pub struct Eras {
    /// Those of the user.
    pub user: u64,
    /// Those of the organization.
    pub organization: u64,
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
    /// Nobody acts as somebody else for so long.
    #[error("nobody is impersonated for longer than an hour")]
    LongImpersonation,
}

impl crate::Refusal for Refusal {
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
    /// In which eras it began.
    pub eras: Eras,
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
/// How long every session was good before its event said when it began.
const FORMER_LENGTH: SignedDuration = SignedDuration::from_hours(12);

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
        let start = match command {
            Command::Start { user, method, started_at, expires_at, eras } => Event::StartedInEra {
                user: *user,
                method: *method,
                started_at: *started_at,
                expires_at: *expires_at,
                eras: *eras,
            },
            Command::Impersonate { organization, user, impersonator, reason, started_at, expires_at, eras } => {
                if expires_at.duration_since(*started_at) > LONGEST_IMPERSONATION {
                    return Err(Refusal::LongImpersonation);
                }
                Event::ImpersonationStarted {
                    user: *user,
                    impersonator: *impersonator,
                    reason: Personal::identity(*organization, reason.as_str()),
                    started_at: *started_at,
                    expires_at: *expires_at,
                    eras: *eras,
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
            Some(_) => Err(Refusal::Exists),
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
    let (user, started_at, expires_at, eras, impersonator) = match event {
        Event::Started { user, expires_at, .. } => {
            let started_at = expires_at.saturating_sub(FORMER_LENGTH).unwrap_or(*expires_at);
            (user, started_at, expires_at, Eras::default(), None)
        }
        Event::StartedInEra { user, started_at, expires_at, eras, .. } => (user, *started_at, expires_at, *eras, None),
        Event::ImpersonationStarted { user, impersonator, started_at, expires_at, eras, .. } => {
            (user, *started_at, expires_at, *eras, Some(*impersonator))
        }
        Event::Ended { .. } => return None,
    };
    let holder = Holder { user: *user, started_at, eras, impersonator };
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

    const ERAS: Eras = Eras { user: 3, organization: 1 };

    fn started() -> Event {
        let (method, started_at, expires_at) = (Method::Password, second(50), second(100));
        Event::StartedInEra { user: ana(), method, started_at, expires_at, eras: ERAS }
    }

    fn start(user: UserId) -> Command {
        let (method, started_at, expires_at) = (Method::Password, second(50), second(100));
        Command::Start { user, method, started_at, expires_at, eras: ERAS }
    }

    #[test]
    fn a_session_lasts_until_it_expires_or_ends() {
        given::<Session>([]).when(start(ana())).then([started()]);
        let session = Session::after(&[started()]);
        let holder = Holder { user: ana(), started_at: second(50), eras: ERAS, impersonator: None };
        assert_eq!(session.holder_at(second(99)), Some(holder));
        assert_eq!(session.holder_at(second(100)), None);
        assert_eq!(Session::after(&[started(), Event::Ended { by: Ending::SignOut }]).holder_at(second(1)), None);
        assert_eq!(Session::default().holder_at(second(1)), None);
    }

    #[test]
    fn a_session_of_the_former_shape_began_in_the_first_era() {
        let former = Event::Started { user: ana(), method: Method::Password, expires_at: second(50_000) };
        let holder = Holder { user: ana(), started_at: second(6_800), eras: Eras::default(), impersonator: None };
        assert_eq!(Session::after(&[former]).holder_at(second(7_000)), Some(holder));
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
            eras: ERAS,
        };
        let begun = Event::ImpersonationStarted {
            user: ana(),
            impersonator,
            reason: Personal::identity(organization, "ticket 4711"),
            started_at: second(50),
            expires_at: second(3_650),
            eras: ERAS,
        };
        given::<Session>([]).when(until(second(3_650))).then([begun.clone()]);
        given::<Session>([begun.clone()]).when(until(second(3_650))).then([]);
        given::<Session>([]).when(until(second(3_651))).then_refused(Refusal::LongImpersonation);
        given::<Session>([begun.clone()]).when(start(ana())).then_refused(Refusal::Exists);
        let holder = Session::after(&[begun]).holder_at(second(3_649)).unwrap();
        assert_eq!((holder.user, holder.impersonator), (ana(), Some(impersonator)));
    }
}
