//! The sessions of users.

use jiff::Timestamp;
use porttask_domain::{
    OrganizationId, SessionId, TextEnum, UserId,
    identity::session::{Ending, Event, SessionEpoch},
};

use crate::{
    Change, Index, ReadModel, Recorded,
    audit_text::{DescriptionSink, DisplayValue},
    id_columns, row, text_columns,
};

id_columns!(SessionId);
text_columns!(Ending);

row! {
    /// A session.
    pub struct Session {
        key {
            /// The organization of the user.
            organization: OrganizationId,
            /// Its id.
            session: SessionId,
        }
        row {
            /// Whose session it is.
            user: UserId,
            /// When it started.
            started_at: Timestamp,
            /// When it expires.
            expires_at: Timestamp,
            /// When it ended before it expired.
            ended_at: Option<Timestamp>,
            /// How it ended before it expired.
            ended_by: Option<Ending>,
            /// The session epoch of its user when it started.
            user_session_epoch: u64,
            /// The session epoch of its organization when it started.
            organization_session_epoch: u64,
            /// The offset of its first event, from which IP address and user agent are read.
            offset: u64,
        }
    }
}

/// Where is a user signed in?
pub struct Sessions;

impl ReadModel for Sessions {
    const NAME: &'static str = "sessions";
    const VERSION: u32 = 2;
    const INDEXES: &'static [Index] =
        &[Index { name: "by_user", columns: &["organization", "user", "started_at", "session"] }];
    type Source = Event;
    type Row = Session;

    fn project(row: Option<Session>, event: &Event, recorded: &Recorded) -> Change<Session> {
        match event {
            Event::Started { user, expires_at, session_epoch, .. } => {
                started(recorded, *user, *expires_at, *session_epoch)
            }
            Event::ImpersonationStarted { user, expires_at, session_epoch, .. } => {
                started(recorded, *user, *expires_at, *session_epoch)
            }
            Event::Ended { by } => row.map_or(Change::Keep, |row| {
                Change::Put(Session { ended_at: Some(recorded.time()), ended_by: Some(*by), ..row })
            }),
        }
    }
}

fn started(recorded: &Recorded, user: UserId, expires_at: Timestamp, session_epoch: SessionEpoch) -> Change<Session> {
    Change::Put(Session {
        organization: recorded.organization,
        session: SessionId(recorded.subject),
        user,
        started_at: recorded.time(),
        expires_at,
        ended_at: None,
        ended_by: None,
        user_session_epoch: session_epoch.user,
        organization_session_epoch: session_epoch.organization,
        offset: recorded.offset,
    })
}

/// Describes an event for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    match event {
        Event::Started { user, method, expires_at, started_at: _, session_epoch: _ } => {
            sink.words("signed in with a ");
            sink.value(DisplayValue::Text(method.as_str()));
            sink.change("user", None, Some(DisplayValue::Filtered(user)));
            sink.change("method", None, Some(DisplayValue::Text(method.as_str())));
            sink.change("expires_at", None, Some(DisplayValue::Filtered(expires_at)));
        }
        Event::ImpersonationStarted { user, impersonator: _, reason, started_at: _, expires_at, session_epoch: _ } => {
            sink.words("started impersonating the user: ");
            sink.value(DisplayValue::Personal(reason));
            sink.change("user", None, Some(DisplayValue::Filtered(user)));
            sink.change("reason", None, Some(DisplayValue::Personal(reason)));
            sink.change("expires_at", None, Some(DisplayValue::Filtered(expires_at)));
        }
        Event::Ended { by: Ending::SignOut } => sink.words("signed out"),
        Event::Ended { by: Ending::Revocation } => sink.words("revoked the session"),
        Event::Ended { by: Ending::WrongPasswords } => {
            sink.words("ended the session after too many wrong passwords");
        }
        Event::Ended { by: Ending::TooManySessions } => {
            sink.words("ended the session, the oldest of too many");
        }
    }
}
