//! The users of an organization.

use jiff::Timestamp;
use porttask_domain::{
    Fact, OrganizationId, Personal, SessionId, UserId,
    identity::{Access, Permissions, Role, user::Event, user::Status},
};

use crate::{Change, Index, Key, ReadModel, Recorded, Value, folded, row};

row! {
    /// A user.
    pub struct User {
        key {
            /// Where the account is.
            organization: OrganizationId,
            /// Whose account it is.
            user: UserId,
        }
        row {
            /// The person's name; `None` once it was erased.
            name: Option<String>,
            /// The name as it is sorted and searched; empty once it was erased.
            folded_name: String,
            /// The mail address; `None` once it was erased.
            email: Option<String>,
            /// The address as it is sorted and searched; empty once it was erased.
            folded_email: String,
            /// In which language they want mail; `None` is that of the organization.
            locale: Option<String>,
            /// What they are.
            role: Role,
            /// Where the account is in its life.
            status: Status,
            /// Access to tickets.
            tickets: Access,
            /// Access to invoices.
            invoices: Access,
            /// Access to reports.
            reports: Access,
            /// Access to administration.
            administration: Access,
            /// When the account was made.
            created_at: Timestamp,
            /// When the last invitation ends or ended; `None` if none was sent yet, or it was revoked.
            invitation_expires_at: Option<Timestamp>,
            /// When the invitation was taken up.
            accepted_at: Option<Timestamp>,
            /// When all sessions ended at once for the last time; `None` if never.
            sessions_ended_at: Option<Timestamp>,
            /// The session that went on then.
            kept_session: Option<SessionId>,
            /// How often all sessions ended at once.
            era: u64,
            /// The version of the account.
            version: u64,
        }
    }
}

/// Who has access to an organization, and as what?
pub struct Users;

impl ReadModel for Users {
    const NAME: &'static str = "users";
    const VERSION: u32 = 7;
    const INDEXES: &'static [Index] = &[
        Index { name: "by_name", columns: &["organization", "folded_name", "user"] },
        Index { name: "by_email", columns: &["organization", "folded_email", "user"] },
        Index { name: "by_age", columns: &["organization", "created_at", "user"] },
    ];
    const SPANNING: &'static [Index] = &[
        // In the order in which they are made, which never changes: the latest stand at the end.
        Index { name: "by_birth", columns: &["created_at", "organization", "user"] },
        // Whoever signs in says their address alone.
        Index { name: "by_address", columns: &["folded_email", "organization", "user"] },
    ];
    const SEARCHED: &'static [&'static str] = &["folded_name", "folded_email"];
    type Row = User;

    fn keys(recorded: &Recorded) -> Vec<Key> {
        match &recorded.fact {
            Fact::User(_) => vec![vec![Value::Id(recorded.organization.0), Value::Id(recorded.subject)]],
            Fact::Organization(_)
            | Fact::Session(_)
            | Fact::ApiKey(_)
            | Fact::Mailbox(_)
            | Fact::Refusal(_)
            | Fact::Reading(_)
            | Fact::Export(_) => Vec::new(),
        }
    }

    fn project(row: Option<User>, recorded: &Recorded) -> Change<User> {
        let Fact::User(event) = &recorded.fact else { return Change::Keep };
        let version = recorded.version;
        let new = |name: &Personal, email: &Personal, role: Role, permissions: &Permissions, status| {
            let Permissions { tickets, invoices, reports, administration } = *permissions;
            let ((name, folded_name), (email, folded_email)) = (shown(name), shown(email));
            User {
                organization: recorded.organization,
                user: UserId(recorded.subject),
                name,
                folded_name,
                email,
                folded_email,
                locale: None,
                role,
                status,
                tickets,
                invoices,
                reports,
                administration,
                created_at: recorded.recorded_at,
                invitation_expires_at: None,
                accepted_at: None,
                sessions_ended_at: None,
                kept_session: None,
                era: 0,
                version,
            }
        };
        if let Event::Invited { name, email, role, permissions, expires_at, .. } = event {
            let row = new(name, email, *role, permissions, Status::Invited);
            return Change::Put(User { invitation_expires_at: Some(*expires_at), ..row });
        }
        if let Event::Registered { name, email, role, permissions, .. } = event {
            return Change::Put(new(name, email, *role, permissions, Status::Registered));
        }
        let Some(row) = row else { return Change::Keep };
        let row = match event {
            Event::Invited { .. } | Event::Registered { .. } => row,
            Event::InvitationSent { expires_at } => {
                User { status: Status::Invited, invitation_expires_at: Some(*expires_at), ..row }
            }
            Event::InvitationAccepted {} => {
                User { status: Status::Active, accepted_at: Some(recorded.recorded_at), ..row }
            }
            // Whoever had not come yet is as they were.
            Event::Reactivated {} => {
                let status = match (row.accepted_at, row.invitation_expires_at) {
                    (Some(_), _) => Status::Active,
                    (None, Some(_)) => Status::Invited,
                    (None, None) => Status::Registered,
                };
                User { status, ..row }
            }
            Event::Deactivated {} => sessions_ended(User { status: Status::Deactivated, ..row }, None, recorded),
            Event::InvitationRevoked {} => User { status: Status::Registered, invitation_expires_at: None, ..row },
            Event::Renamed { to, .. } => {
                let (name, folded_name) = shown(to);
                User { name, folded_name, ..row }
            }
            Event::AddressChanged { to, .. } => {
                let (email, folded_email) = shown(to);
                User { email, folded_email, ..row }
            }
            Event::LocaleChanged { to, .. } => User { locale: to.as_ref().map(ToString::to_string), ..row },
            Event::AddressChangeRequested { .. } | Event::PasswordResetRequested { .. } | Event::Unlocked {} => row,
            Event::PasswordReset {} => sessions_ended(row, None, recorded),
            Event::PasswordChanged { keeping } | Event::SessionsEnded { keeping } => {
                sessions_ended(row, *keeping, recorded)
            }
            Event::RoleChanged { to, .. } => User { role: *to, ..row },
            Event::PermissionsChanged { to: Permissions { tickets, invoices, reports, administration }, .. } => User {
                tickets: *tickets,
                invoices: *invoices,
                reports: *reports,
                administration: *administration,
                ..row
            },
        };
        Change::Put(User { version, ..row })
    }
}

/// A value, and as it is sorted and searched.
fn shown(value: &Personal) -> (Option<String>, String) {
    (value.value().map(str::to_owned), value.value().map(folded).unwrap_or_default())
}

fn sessions_ended(row: User, kept_session: Option<SessionId>, recorded: &Recorded) -> User {
    User { era: row.era + 1, sessions_ended_at: Some(recorded.recorded_at), kept_session, ..row }
}
