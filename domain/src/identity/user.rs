//! The lifecycle of an account: invitation, role, permissions, name and email address, passwords.
//!
//! | file | what it owns |
//! |---|---|
//! | `command.rs` | commands |
//! | `event.rs` | events |
//! | `rejection.rs` | rejections |
//! | `existing.rs` | how an existing account handles commands and events |

mod command;
mod event;
mod existing;
mod rejection;

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

use self::existing::Existing;
pub use self::{command::Command, event::Event, rejection::Rejection};
use super::{
    address::EmailAddress,
    role::{Access, Permissions, Role},
    settings::Locale,
};
use crate::{Aggregate, Constraint, Kind, OrganizationId, Personal, Scope, SessionId, UserId, Violation};

/// The counter of users who can administer an organization; it never falls below one.
pub const ACTIVE_ADMINS: &str = "active_admins";

/// The counter of users who are invited or active; a maximum comes with the command.
pub const SEATS: &str = "seats";
/// The counters of invitations by the day on which they expire, without those of imports; the maximum comes with the
/// command.
pub const INVITATIONS: &str = "invitations";
/// The same for the invitations of imports.
pub const IMPORT_INVITATIONS: &str = "import_invitations";
/// Maximum address changes that a user may request per day: each sends a mail to an unconfirmed address.
pub const ADDRESSES_PER_DAY: u32 = 5;
/// Minimum time between two password reset links, so that repeated requests do not send more mails.
pub const BETWEEN_RESETS: SignedDuration = SignedDuration::from_mins(5);

/// The state of a user: only what `decide` needs.
#[derive(Debug, Clone, Default)]
pub struct User(Option<Existing>);

crate::texts! {
    /// The status of an account.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    #[cfg_attr(feature = "schema", schema(as = UserStatus))]
    pub enum Status {
        /// Known, not invited yet.
        Registered = "registered",
        /// Invited, has not accepted yet.
        Invited = "invited",
        /// Can sign in.
        Active = "active",
        /// Cannot sign in.
        Deactivated = "deactivated",
    }
}

crate::texts! {
    /// What a link in a mail to a user is for.
    pub enum Link {
        /// Accepting an invitation.
        Invitation = "invitation",
        /// Confirming a new email address.
        AddressChange = "address_change",
        /// Setting a new password.
        PasswordReset = "password_reset",
    }
}

crate::texts! {
    /// What became of a link.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum LinkState {
        /// It can be used.
        Valid = "valid",
        /// Its time is over.
        Expired = "expired",
        /// It, or another one for the same purpose, was used.
        Used = "used",
        /// A later one was sent.
        Replaced = "replaced",
        /// It was withdrawn, or what it is for was settled in another way.
        Revoked = "revoked",
    }
}

impl User {
    /// What became of the link with this number: as redeeming it would answer. The account may not exist any more.
    pub fn link_state(&self, link: Link, number: u64, now: Timestamp) -> LinkState {
        self.existing().map_or(LinkState::Revoked, |existing| existing.link_state(link, number, now))
    }

    /// What became of the link that cancels the change of the email address with this number.
    pub fn cancellation_state(&self, request: u64, now: Timestamp) -> LinkState {
        self.existing().map_or(LinkState::Revoked, |existing| existing.cancellation_state(request, now))
    }

    /// The role and permissions of an active user; `None` for all others.
    pub fn rights(&self) -> Option<(Role, Permissions)> {
        let active = self.0.as_ref().filter(|existing| existing.status == Status::Active);
        active.map(|existing| (existing.role, existing.permissions))
    }

    /// The role, also of users who cannot sign in yet; `None` if the account does not exist.
    pub fn role(&self) -> Option<Role> {
        self.existing().map(|existing| existing.role)
    }

    /// The permissions, also of users who cannot sign in; `None` if the account does not exist.
    pub fn permissions(&self) -> Option<Permissions> {
        self.existing().map(|existing| existing.permissions)
    }

    /// The pending invitation: its number, and when it expires.
    pub fn invitation(&self) -> Option<(u64, Timestamp)> {
        let invited = self.existing().filter(|existing| existing.status == Status::Invited);
        invited.and_then(|existing| existing.invitations.open())
    }

    /// The status of the account; `None` if it does not exist.
    pub fn status(&self) -> Option<Status> {
        self.existing().map(|existing| existing.status)
    }

    /// The name and email address of the person; `None` if the account does not exist.
    pub fn person(&self) -> Option<(&Personal, &Personal)> {
        self.existing().map(|existing| (&existing.name, &existing.email))
    }

    /// The language of their mails; `None` is that of their organization.
    pub fn locale(&self) -> Option<&Locale> {
        self.0.as_ref()?.locale.as_ref()
    }

    /// The password reset that was requested last, if it is pending: its number, and when its link expires.
    pub fn password_reset(&self) -> Option<(u64, Timestamp)> {
        self.0.as_ref()?.resets.open()
    }

    /// Whether the link of this password reset can still be used, if it has not expired.
    pub fn awaits_password_reset(&self, request: u64) -> bool {
        self.0.as_ref().is_some_and(|existing| existing.resets.valid().any(|(number, _)| number == request))
    }

    /// The pending address change: its number, when its link expires, and the new address.
    pub fn address_change(&self) -> Option<(u64, Timestamp, &Personal)> {
        let existing = self.0.as_ref()?;
        let (number, expires_at) = existing.address_changes.open()?;
        Some((number, expires_at, existing.wanted_email.as_ref()?))
    }

    /// How often failed sign-in attempts were reset.
    pub fn unlocks(&self) -> u64 {
        self.0.as_ref().map_or(0, |existing| existing.unlocks)
    }

    /// When the last lock ends, unless it was lifted.
    pub fn locked_until(&self) -> Option<Timestamp> {
        self.0.as_ref()?.locked_until
    }

    /// How often all sessions of the user have been ended at once: the epoch of a session that starts now.
    pub fn session_epoch(&self) -> u64 {
        self.0.as_ref().map_or(0, |existing| existing.session_epoch)
    }

    /// Whether a session that started in this epoch is still valid.
    pub fn keeps(&self, session: SessionId, session_epoch: u64) -> bool {
        self.0
            .as_ref()
            .is_some_and(|existing| existing.session_epoch == session_epoch || existing.kept == Some(session))
    }

    /// The account, unless it was removed.
    fn existing(&self) -> Option<&Existing> {
        self.0.as_ref().filter(|existing| !existing.is_removed)
    }

    /// Whether this user takes a seat: while invited or active.
    fn has_seat(&self) -> bool {
        self.status().is_some_and(|status| match status {
            Status::Invited | Status::Active => true,
            Status::Registered | Status::Deactivated => false,
        })
    }

    /// Whether this user can currently administer the organization.
    fn administers(&self) -> bool {
        self.rights().is_some_and(|(role, permissions)| match role {
            Role::Admin | Role::SuperAdmin => permissions.administration == Access::Write,
            Role::Agent | Role::ReadOnly | Role::Auditor | Role::PlatformAuditor => false,
        })
    }
}

impl Aggregate for User {
    const CATEGORY: &'static str = "user";
    type Id = UserId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match (&self.0, command) {
            (Some(existing), command) => existing.decide(command),
            (None, Command::Invite { organization, user, name, email, role, permissions, expires_at }) => {
                grantable(*organization, *role, *permissions)?;
                Ok(vec![Event::Invited {
                    name: Personal::identity(*user, name.as_str()),
                    email: Personal::identity(*user, email.to_string()),
                    address_rules: EmailAddress::RULES,
                    role: *role,
                    permissions: *permissions,
                    expires_at: *expires_at,
                }])
            }
            (None, Command::Register { organization, user, name, email, role, permissions }) => {
                grantable(*organization, *role, *permissions)?;
                Ok(vec![Event::Registered {
                    name: Personal::identity(*user, name.as_str()),
                    email: Personal::identity(*user, email.to_string()),
                    address_rules: EmailAddress::RULES,
                    role: *role,
                    permissions: *permissions,
                }])
            }
            (None, _) => Err(Rejection::NotFound),
        }
    }

    fn evolve(&mut self, event: &Event) {
        if let Event::Invited { name, email, role, permissions, .. }
        | Event::Registered { name, email, role, permissions, .. } = event
        {
            self.0 = Some(Existing::new(name, email, *role, *permissions));
        }
        if let Some(existing) = &mut self.0 {
            existing.evolve(event);
        }
    }

    fn constraints(&self, event: &Event) -> Vec<Constraint> {
        let mut after = self.clone();
        after.evolve(event);
        let by = i64::from(after.administers()) - i64::from(self.administers());
        let mut constraints = match event {
            Event::Invited { email, expires_at, .. } => vec![claim(email), invitation(INVITATIONS, *expires_at)],
            Event::Registered { email, .. } => vec![claim(email)],
            Event::InvitationSent { expires_at, by_import } => {
                vec![invitation(if *by_import { IMPORT_INVITATIONS } else { INVITATIONS }, *expires_at)]
            }
            Event::AddressChanged { from, to, .. } | Event::AddressCorrected { from, to, .. } => {
                vec![release(from), claim(to)]
            }
            Event::Removed {} => self.person().map(|(_, email)| release(email)).into_iter().collect(),
            Event::InvitationAccepted {}
            | Event::InvitationRevoked {}
            | Event::RoleChanged { .. }
            | Event::PermissionsChanged { .. }
            | Event::Deactivated {}
            | Event::Reactivated {}
            | Event::Renamed { .. }
            | Event::LocaleChanged { .. }
            | Event::TimeZoneChanged { .. }
            | Event::AddressChangeRequested { .. }
            | Event::AddressChangeCancelled {}
            | Event::PasswordResetRequested { .. }
            | Event::LinkExpired { .. }
            | Event::PasswordReset {}
            | Event::Promoted { .. }
            | Event::Demoted {}
            | Event::Locked { .. }
            | Event::Unlocked {}
            | Event::PasswordChanged { .. }
            | Event::SessionsEnded { .. } => Vec::new(),
        };
        if by != 0 {
            constraints.push(Constraint::Count {
                scope: Scope::Organization,
                name: ACTIVE_ADMINS.into(),
                by,
                minimum: Some(1),
                maximum: None,
                violation: LAST_ADMIN,
            });
        }
        let by = i64::from(after.has_seat()) - i64::from(self.has_seat());
        if by != 0 {
            constraints.push(Constraint::Count {
                scope: Scope::Organization,
                name: SEATS.into(),
                by,
                minimum: None,
                maximum: None,
                violation: NO_SEAT_LEFT,
            });
        }
        constraints
    }
}

const EMAIL_TAKEN: Violation = Violation::new(
    Kind::Conflict,
    "email-taken",
    "A user with this email address already exists ({owner}): reactivate or change that one, or use another address",
);
const NO_SEAT_LEFT: Violation = Violation::new(
    Kind::LimitReached,
    "limit-reached",
    "all {bound} seats are taken: deactivate a user, buy seats, or choose a larger plan",
);
const LAST_ADMIN: Violation = Violation::new(
    Kind::Conflict,
    "last-admin",
    "the organization would be left without an active admin: promote another user to admin first",
);
const TOO_MANY_INVITATIONS: Violation = Violation {
    kind: Kind::LimitReached,
    slug: "invitation-limit-reached",
    message: "at most {bound} invitations can be sent per day: continue tomorrow",
    retry_after_seconds: Some(3_600),
};

/// Claims the email address for this user.
fn claim(email: &Personal) -> Constraint {
    Constraint::Claim { scope: Scope::Organization, kind: "email", name: comparable(email), violation: EMAIL_TAKEN }
}

/// Releases the email address.
fn release(email: &Personal) -> Constraint {
    Constraint::Release { scope: Scope::Organization, kind: "email", name: comparable(email) }
}

fn comparable(email: &Personal) -> Option<String> {
    let address = email.value().and_then(|email| EmailAddress::new(email).ok());
    address.map(|address| address.comparable())
}

/// Counts one more invitation that expires on this day.
fn invitation(counter: &str, expires_at: Timestamp) -> Constraint {
    let day = day(expires_at);
    Constraint::Count {
        scope: Scope::Organization,
        name: format!("{counter} {day}").into(),
        by: 1,
        minimum: None,
        maximum: None,
        violation: TOO_MANY_INVITATIONS,
    }
}

fn day(instant: Timestamp) -> Date {
    instant.to_zoned(TimeZone::UTC).date()
}

fn grantable(organization: OrganizationId, role: Role, permissions: Permissions) -> Result<(), Rejection> {
    if role.is_of_the_platform() != (organization == OrganizationId::PLATFORM) {
        return Err(Rejection::RoleNotHere(role));
    }
    within(permissions, role)
}

fn within(permissions: Permissions, role: Role) -> Result<(), Rejection> {
    if permissions.is_within(role.ceiling()) { Ok(()) } else { Err(Rejection::BeyondRole(role)) }
}

#[cfg(test)]
mod tests;
