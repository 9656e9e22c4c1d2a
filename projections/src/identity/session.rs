//! Who is signed in.

use jiff::Timestamp;
use porttask_domain::{
    Fact, OrganizationId, SessionId, UserId,
    identity::session::{Ending, Eras, Event},
};

use crate::{Change, Index, Key, ReadModel, Recorded, Value, row};

row! {
    /// A session.
    pub struct Session {
        key {
            /// Where it is.
            organization: OrganizationId,
            /// Its id.
            session: SessionId,
        }
        row {
            /// Whose session it is.
            user: UserId,
            /// When it began.
            started_at: Timestamp,
            /// When it ends at the latest.
            expires_at: Timestamp,
            /// When it ended before its time.
            ended_at: Option<Timestamp>,
            /// How it ended before its time.
            ended_by: Option<Ending>,
            /// In which era of its user it began.
            user_era: u64,
            /// In which era of its organization it began.
            organization_era: u64,
            /// Where its event is, by which address and device are read.
            offset: u64,
        }
    }
}

/// Where is somebody signed in?
pub struct Sessions;

impl ReadModel for Sessions {
    const NAME: &'static str = "sessions";
    const VERSION: u32 = 2;
    const INDEXES: &'static [Index] =
        &[Index { name: "by_user", columns: &["organization", "user", "started_at", "session"] }];
    type Row = Session;

    fn keys(recorded: &Recorded) -> Vec<Key> {
        match &recorded.fact {
            Fact::Session(_) => vec![vec![Value::Id(recorded.organization.0), Value::Id(recorded.subject)]],
            Fact::Organization(_)
            | Fact::User(_)
            | Fact::ApiKey(_)
            | Fact::Mailbox(_)
            | Fact::Refusal(_)
            | Fact::Reading(_)
            | Fact::Export(_) => Vec::new(),
        }
    }

    fn project(row: Option<Session>, recorded: &Recorded) -> Change<Session> {
        let Fact::Session(event) = &recorded.fact else { return Change::Keep };
        match event {
            Event::Started { user, expires_at, .. } => started(recorded, *user, *expires_at, Eras::default()),
            Event::StartedInEra { user, expires_at, eras, .. } => started(recorded, *user, *expires_at, *eras),
            Event::ImpersonationStarted { user, expires_at, eras, .. } => started(recorded, *user, *expires_at, *eras),
            Event::Ended { by } => row.map_or(Change::Keep, |row| {
                Change::Put(Session { ended_at: Some(recorded.recorded_at), ended_by: Some(*by), ..row })
            }),
        }
    }
}

fn started(recorded: &Recorded, user: UserId, expires_at: Timestamp, eras: Eras) -> Change<Session> {
    Change::Put(Session {
        organization: recorded.organization,
        session: SessionId(recorded.subject),
        user,
        started_at: recorded.recorded_at,
        expires_at,
        ended_at: None,
        ended_by: None,
        user_era: eras.user,
        organization_era: eras.organization,
        offset: recorded.offset,
    })
}
