//! The users of an organization.

use jiff::Timestamp;
use porttask_domain::{
    Actor, OrganizationId, Personal, SessionId, TextEnum, UserId,
    identity::{
        Access, Permissions, Role, session,
        settings::{Locale, ZoneName},
        user::{Event, Link, Status},
    },
};

use crate::{
    Change, ColumnType, Index, Key, ReadModel, Recorded,
    audit_text::{DescriptionSink, DisplayValue, change_in_words, coded_change_in_words, permission_groups, role_name},
    id_columns, normalized, row, text_columns,
};

id_columns!(UserId);
text_columns!(Access, Role, Status);

row! {
    /// A user.
    pub struct User {
        key {
            /// The organization of the account.
            organization: OrganizationId,
            /// The id of the user.
            user: UserId,
        }
        row {
            /// The person's name; `None` once it was erased.
            name: Option<String>,
            /// The normalized name, for sorting and searching; empty once it was erased.
            normalized_name: String,
            /// The email address; `None` once it was erased.
            email: Option<String>,
            /// The normalized address, for sorting and searching; empty once it was erased.
            normalized_email: String,
            /// The normalized addresses that they had before, separated by spaces; without erased ones.
            former_emails: String,
            /// The new email address that is not confirmed yet.
            pending_email: Option<String>,
            /// The language of their mails; `None` is that of the organization.
            locale: Option<String>,
            /// The time zone in which times are shown to them; `None` is that of their browser.
            time_zone: Option<String>,
            /// Their role.
            role: Role,
            /// The status of the account.
            status: Status,
            /// Access to tickets.
            tickets: Access,
            /// Access to invoices.
            invoices: Access,
            /// Access to reports.
            reports: Access,
            /// Access to administration.
            administration: Access,
            /// When the account was created.
            created_at: Timestamp,
            /// When the last invitation expires; `None` if none was sent, or it was revoked.
            invitation_expires_at: Option<Timestamp>,
            /// The user who sent the last invitation; `None` for platform staff, operators and keys.
            invited_by: Option<UserId>,
            /// When the invitation was accepted.
            accepted_at: Option<Timestamp>,
            /// When they last signed in; [`User::NEVER`] if they never did. Not optional, because it is sorted by.
            last_signed_in_at: Timestamp,
            /// Until when only known devices may sign in, after too many failed attempts; [`User::NEVER`] if the account
            /// was not locked, or was unlocked.
            locked_until: Timestamp,
            /// When all sessions were last ended at once; `None` if never.
            sessions_ended_at: Option<Timestamp>,
            /// The session that was kept then.
            kept_session: Option<SessionId>,
            /// How often all sessions were ended at once.
            session_epoch: u64,
            /// The version of the account.
            version: u64,
        }
    }
}

impl User {
    /// The time of what never happened.
    pub const NEVER: Timestamp = Timestamp::UNIX_EPOCH;
}

porttask_domain::sources! {
    /// What is known of users.
    pub enum UserEvent {
        User(Event),
        Session(session::Event),
    }
}

/// Who has access to an organization, and in which role?
pub struct Users;

impl ReadModel for Users {
    const NAME: &'static str = "users";
    const VERSION: u32 = 10;
    const INDEXES: &'static [Index] = &[
        Index { name: "by_name", columns: &["organization", "normalized_name", "user"] },
        Index { name: "by_email", columns: &["organization", "normalized_email", "user"] },
        Index { name: "by_inviter", columns: &["organization", "invited_by", "user"] },
        Index { name: "by_age", columns: &["organization", "created_at", "user"] },
        Index { name: "by_sign_in", columns: &["organization", "last_signed_in_at", "user"] },
    ];
    const CROSS_PARTITION_INDEXES: &'static [Index] = &[
        // By creation time, which never changes: new rows are appended at the end.
        Index { name: "by_birth", columns: &["created_at", "organization", "user"] },
        Index { name: "by_any_sign_in", columns: &["last_signed_in_at", "organization", "user"] },
        // A sign-in may name only the email address, without the organization.
        Index { name: "by_address", columns: &["normalized_email", "organization", "user"] },
    ];
    const FULL_TEXT_COLUMNS: &'static [&'static str] = &["normalized_name", "normalized_email", "former_emails"];
    type Source = UserEvent<'static>;
    type Row = User;

    fn keys(event: UserEvent<'_>, recorded: &Recorded) -> Vec<Key> {
        let user = match event {
            UserEvent::User(_) => UserId(recorded.subject),
            UserEvent::Session(session::Event::Started { user, .. }) => *user,
            UserEvent::Session(session::Event::ImpersonationStarted { .. } | session::Event::Ended { .. }) => {
                return Vec::new();
            }
        };
        vec![vec![recorded.organization.to_value(), user.to_value()]]
    }

    fn project(row: Option<User>, event: UserEvent<'_>, recorded: &Recorded) -> Change<User> {
        match event {
            UserEvent::User(event) => changed(row, event, recorded),
            UserEvent::Session(_) => {
                row.map_or(Change::Keep, |row| Change::Put(User { last_signed_in_at: recorded.time(), ..row }))
            }
        }
    }
}

fn changed(row: Option<User>, event: &Event, recorded: &Recorded) -> Change<User> {
    let version = recorded.version;
    let new = |name: &Personal, email: &Personal, role: Role, permissions: &Permissions, status| {
        let Permissions { tickets, invoices, reports, administration } = *permissions;
        let ((name, normalized_name), (email, normalized_email)) = (shown(name), shown(email));
        User {
            organization: recorded.organization,
            user: UserId(recorded.subject),
            name,
            normalized_name,
            email,
            normalized_email,
            former_emails: String::new(),
            pending_email: None,
            locale: None,
            time_zone: None,
            role,
            status,
            tickets,
            invoices,
            reports,
            administration,
            created_at: recorded.time(),
            invitation_expires_at: None,
            invited_by: None,
            accepted_at: None,
            last_signed_in_at: User::NEVER,
            locked_until: User::NEVER,
            sessions_ended_at: None,
            kept_session: None,
            session_epoch: 0,
            version,
        }
    };
    if let Event::Invited { name, email, role, permissions, expires_at, .. } = event {
        let row = new(name, email, *role, permissions, Status::Invited);
        return Change::Put(User { invitation_expires_at: Some(*expires_at), invited_by: inviter(recorded), ..row });
    }
    if let Event::Registered { name, email, role, permissions, .. } = event {
        return Change::Put(new(name, email, *role, permissions, Status::Registered));
    }
    let Some(row) = row else { return Change::Keep };
    if let Event::Removed {} = event {
        return Change::Delete;
    }
    let row = match event {
        Event::Invited { .. } | Event::Registered { .. } | Event::Removed {} => row,
        Event::InvitationSent { expires_at, .. } => {
            let (invitation_expires_at, invited_by) = (Some(*expires_at), inviter(recorded));
            User { status: Status::Invited, invitation_expires_at, invited_by, ..row }
        }
        Event::InvitationAccepted {} => User { status: Status::Active, accepted_at: Some(recorded.time()), ..row },
        // Users who had not accepted yet return to their previous status.
        Event::Reactivated {} => {
            let status = match (row.accepted_at, row.invitation_expires_at) {
                (Some(_), _) => Status::Active,
                (None, Some(_)) => Status::Invited,
                (None, None) => Status::Registered,
            };
            User { status, ..row }
        }
        Event::Deactivated {} => sessions_ended(User { status: Status::Deactivated, ..row }, None, recorded),
        Event::InvitationRevoked {} | Event::LinkExpired { link: Link::Invitation }
            if row.status == Status::Deactivated =>
        {
            User { invitation_expires_at: None, ..row }
        }
        Event::InvitationRevoked {} | Event::LinkExpired { link: Link::Invitation } => {
            User { status: Status::Registered, invitation_expires_at: None, ..row }
        }
        Event::Renamed { to, .. } => {
            let (name, normalized_name) = shown(to);
            User { name, normalized_name, ..row }
        }
        Event::AddressChanged { from, to, .. } => {
            let ((email, normalized_email), (_, former)) = (shown(to), shown(from));
            let former_emails = format!("{} {former}", row.former_emails).trim().to_owned();
            User { email, normalized_email, former_emails, pending_email: None, ..row }
        }
        Event::LocaleChanged { to, .. } => User { locale: to.as_ref().map(ToString::to_string), ..row },
        Event::TimeZoneChanged { to, .. } => User { time_zone: to.as_ref().map(ToString::to_string), ..row },
        Event::AddressCorrected { to, .. } => {
            let (email, normalized_email) = shown(to);
            User { email, normalized_email, status: Status::Registered, invitation_expires_at: None, ..row }
        }
        Event::AddressChangeRequested { email, .. } => User { pending_email: email.value().map(str::to_owned), ..row },
        Event::LinkExpired { link: Link::AddressChange } | Event::AddressChangeCancelled {} => {
            User { pending_email: None, ..row }
        }
        Event::LinkExpired { link: Link::PasswordReset }
        | Event::PasswordResetRequested { .. }
        | Event::Promoted { .. }
        | Event::Demoted {} => row,
        Event::Locked { until } => User { locked_until: *until, ..row },
        Event::Unlocked {} => User { locked_until: User::NEVER, ..row },
        Event::PasswordReset {} => sessions_ended(User { locked_until: User::NEVER, ..row }, None, recorded),
        Event::PasswordChanged { keeping } | Event::SessionsEnded { keeping } => {
            sessions_ended(row, *keeping, recorded)
        }
        Event::RoleChanged { to, .. } => User { role: *to, ..row },
        Event::PermissionsChanged { to: Permissions { tickets, invoices, reports, administration }, .. } => {
            User { tickets: *tickets, invoices: *invoices, reports: *reports, administration: *administration, ..row }
        }
    };
    Change::Put(User { version, ..row })
}

/// The user of the organization who acted.
fn inviter(recorded: &Recorded) -> Option<UserId> {
    match recorded.actor {
        Actor::User { organization, user } if organization == recorded.organization => Some(user),
        Actor::User { .. } | Actor::ApiKey { .. } | Actor::Operator | Actor::System | Actor::Anonymous => None,
    }
}

/// A value, and its normalized form.
fn shown(value: &Personal) -> (Option<String>, String) {
    (value.value().map(str::to_owned), value.value().map(normalized).unwrap_or_default())
}

fn sessions_ended(row: User, kept_session: Option<SessionId>, recorded: &Recorded) -> User {
    let (session_epoch, sessions_ended_at) = (row.session_epoch + 1, Some(recorded.time()));
    User { session_epoch, sessions_ended_at, kept_session, pending_email: None, ..row }
}

/// Describes an event for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    let status = |status: Status| Some(DisplayValue::Text(status.as_str()));
    match event {
        Event::Invited { name, email, address_rules: _, role, permissions, expires_at } => {
            sink.words("invited ");
            person(name, email, *role, permissions, sink);
            sink.change("invitation_expires_at", None, Some(DisplayValue::Filtered(expires_at)));
        }
        Event::Registered { name, email, address_rules: _, role, permissions } => {
            sink.words("registered ");
            person(name, email, *role, permissions, sink);
        }
        Event::InvitationSent { expires_at, by_import } => {
            sink.words(if *by_import { "sent an invitation by an import" } else { "sent an invitation" });
            sink.change("invitation_expires_at", None, Some(DisplayValue::Filtered(expires_at)));
        }
        Event::InvitationAccepted {} => {
            sink.words("accepted the invitation");
            sink.change("status", None, status(Status::Active));
        }
        Event::RoleChanged { from, to } => {
            coded_change_in_words("changed the role", "role", (*from, *to), role_name, sink);
        }
        Event::PermissionsChanged { from, to } => permissions_changes(from, to, sink),
        Event::Deactivated {} => {
            sink.words("deactivated the user");
            sink.change("status", None, status(Status::Deactivated));
        }
        Event::Reactivated {} => {
            // The event does not record the new status: it follows from the history.
            sink.words("reactivated the user");
        }
        Event::Promoted { organization, user } => {
            sink.words("promoted the user to super admin");
            sink.change("organization", None, Some(DisplayValue::Filtered(organization)));
            sink.change("user", None, Some(DisplayValue::Filtered(user)));
        }
        Event::Demoted {} => sink.words("demoted the super admin"),
        Event::InvitationRevoked {} => {
            sink.words("revoked the invitation");
            sink.change("status", None, status(Status::Registered));
        }
        Event::Renamed { from, to } => {
            change_in_words("changed the name", "name", DisplayValue::Personal(from), DisplayValue::Personal(to), sink);
        }
        Event::LocaleChanged { from, to } => {
            fn shown(locale: &Option<Locale>) -> Option<DisplayValue<'_>> {
                locale.as_ref().map(|locale| DisplayValue::Written(locale))
            }
            sink.words("changed the language of mails");
            sink.change("locale", shown(from), shown(to));
        }
        Event::TimeZoneChanged { from, to } => {
            fn shown(zone: &Option<ZoneName>) -> Option<DisplayValue<'_>> {
                zone.as_ref().map(|zone| DisplayValue::Written(zone))
            }
            sink.words("changed the time zone");
            sink.change("time_zone", shown(from), shown(to));
        }
        Event::AddressChangeRequested { email, address_rules: _, expires_at } => {
            sink.words("requested a change of the email address to ");
            sink.value(DisplayValue::Personal(email));
            sink.change("expires_at", None, Some(DisplayValue::Filtered(expires_at)));
        }
        Event::AddressChanged { from, to, address_rules: _ } => {
            change_in_words(
                "changed the email address",
                "email",
                DisplayValue::Personal(from),
                DisplayValue::Personal(to),
                sink,
            );
        }
        Event::AddressCorrected { from, to, address_rules: _ } => {
            let (from, to) = (DisplayValue::Personal(from), DisplayValue::Personal(to));
            change_in_words("corrected the email address", "email", from, to, sink);
        }
        Event::Removed {} => sink.words("removed the user, who had never accepted an invitation"),
        Event::AddressChangeCancelled {} => sink.words("cancelled the change of the email address"),
        Event::PasswordResetRequested { expires_at } => {
            sink.words("requested a password reset");
            sink.change("expires_at", None, Some(DisplayValue::Filtered(expires_at)));
        }
        Event::PasswordReset {} => sink.words("reset the password; all sessions ended"),
        Event::LinkExpired { link } => {
            sink.words(match link {
                Link::Invitation => "the invitation expired",
                Link::AddressChange => "the change of the email address expired without confirmation",
                Link::PasswordReset => "the link to reset the password expired",
            });
            sink.change("link", None, Some(DisplayValue::Text(link.as_str())));
        }
        Event::Locked { until } => {
            sink.words("locked the account after too many failed sign-ins");
            sink.change("locked_until", None, Some(DisplayValue::Filtered(until)));
        }
        Event::Unlocked {} => sink.words("unlocked the account"),
        Event::PasswordChanged { keeping } => describe_sessions_ended("changed the password", keeping.as_ref(), sink),
        Event::SessionsEnded { keeping } => describe_sessions_ended("revoked the sessions", keeping.as_ref(), sink),
    }
}

fn describe_sessions_ended(verb: &'static str, keeping: Option<&SessionId>, sink: &mut dyn DescriptionSink) {
    sink.words(verb);
    match keeping {
        Some(session) => {
            sink.words("; all sessions ended but one");
            sink.change("keeping", None, Some(DisplayValue::Filtered(session)));
        }
        None => sink.words("; all sessions ended"),
    }
}

/// Describes a new user and their permissions.
fn person(name: &Personal, email: &Personal, role: Role, permissions: &Permissions, sink: &mut dyn DescriptionSink) {
    let (name_of_role, role) = (DisplayValue::Text(role_name(role)), DisplayValue::Text(role.as_str()));
    sink.value(DisplayValue::Personal(name));
    sink.words(" <");
    sink.value(DisplayValue::Personal(email));
    sink.words("> as ");
    sink.value(name_of_role);
    sink.change("name", None, Some(DisplayValue::Personal(name)));
    sink.change("email", None, Some(DisplayValue::Personal(email)));
    sink.change("role", None, Some(role));
    for (field, access) in permission_groups(permissions) {
        sink.change(field, None, Some(DisplayValue::Text(access)));
    }
}

fn permissions_changes(from: &Permissions, to: &Permissions, sink: &mut dyn DescriptionSink) {
    sink.words("changed the permissions");
    let mut before = ": ";
    for ((field, from), (_, to)) in
        permission_groups(from).into_iter().zip(permission_groups(to)).filter(|(from, to)| from != to)
    {
        sink.words(before);
        change_in_words(field, field, DisplayValue::Text(from), DisplayValue::Text(to), sink);
        before = ", ";
    }
}
