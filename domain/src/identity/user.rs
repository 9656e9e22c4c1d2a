//! The life of an account: invitation, role, permissions, name and address, passwords.
//!
//! | file | what it owns |
//! |---|---|
//! | `event.rs` | what can happen |
//! | `rejection.rs` | why something may not |
//! | `existing.rs` | what an account that exists does with commands and events |

mod event;
mod existing;
mod rejection;

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

use self::existing::Existing;
pub use self::{event::Event, rejection::Rejection};
use super::{
    address::EmailAddress,
    role::{Access, Permissions, Role},
    settings::Locale,
};
use crate::{Aggregate, Constraint, Kind, OrganizationId, PersonName, Personal, Scope, SessionId, UserId, Violation};

/// What can be asked of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Invite a person.
    Invite {
        /// Where to.
        organization: OrganizationId,
        /// The new account.
        user: UserId,
        /// The person's full name.
        name: PersonName,
        /// Where the invitation is sent to.
        email: EmailAddress,
        /// What they will be.
        role: Role,
        /// What they will be permitted, within their role.
        permissions: Permissions,
        /// When the invitation ends.
        expires_at: Timestamp,
    },
    /// Make an account without inviting anybody yet.
    Register {
        /// Where.
        organization: OrganizationId,
        /// The new account.
        user: UserId,
        /// The person's full name.
        name: PersonName,
        /// Where an invitation will be sent to.
        email: EmailAddress,
        /// What they will be.
        role: Role,
        /// What they will be permitted, within their role.
        permissions: Permissions,
    },
    /// Invite a person whose account was registered, or anew one who has not accepted yet.
    SendInvitation {
        /// When the invitation ends.
        expires_at: Timestamp,
    },
    /// Take up an invitation.
    Accept {
        /// Which one: the first, the second, …
        invitation: u64,
        /// When it is taken up.
        now: Timestamp,
    },
    /// Make somebody something else.
    ChangeRole {
        /// What they will be.
        role: Role,
        /// What they will be permitted; without it, what they are permitted now, as far as the new role lets it go.
        permissions: Option<Permissions>,
    },
    /// Permit somebody other things within their role.
    ChangePermissions {
        /// What they will be permitted.
        permissions: Permissions,
    },
    /// Lock somebody out; what they did stays.
    Deactivate,
    /// Let somebody in again.
    Reactivate,
    /// Take back an invitation that was not taken up.
    RevokeInvitation,
    /// Call somebody otherwise.
    Rename {
        /// The person's full name.
        name: PersonName,
    },
    /// Mail somebody in another language than that of their organization.
    ChangeLocale {
        /// In which; `None` is that of the organization.
        locale: Option<Locale>,
    },
    /// Let mail go elsewhere, once it is sure that it arrives there.
    RequestAddressChange {
        /// Where to.
        email: EmailAddress,
        /// When it can be confirmed at the latest.
        expires_at: Timestamp,
    },
    /// Confirm the new address.
    ConfirmAddress {
        /// Which request it was: the first, the second, …
        request: u64,
        /// When it is confirmed.
        now: Timestamp,
    },
    /// Let somebody who has lost their password set another one, by a link.
    RequestPasswordReset {
        /// When it is asked for.
        now: Timestamp,
        /// When the link ends.
        expires_at: Timestamp,
    },
    /// Set another password by such a link. The hash enters the ledger beside the event.
    ResetPassword {
        /// Which request it was: the first, the second, …
        request: u64,
        /// When it is used.
        now: Timestamp,
    },
    /// Set another password. The hash enters the ledger beside the event.
    ChangePassword {
        /// The session_epoch that ends with it: sessions of it go on no more.
        session_epoch: u64,
        /// The session that goes on; all others end.
        keeping: Option<SessionId>,
    },
    /// Let attempts to sign in be looked at again, of which there were too many.
    Unlock {
        /// How often that was done before.
        unlocks: u64,
    },
    /// End all sessions.
    EndSessions {
        /// The session_epoch that ends with it.
        session_epoch: u64,
        /// The session that goes on.
        keeping: Option<SessionId>,
    },
}

/// The count of those who can administer an organization now; it never falls below one.
pub const ACTIVE_ADMINS: &str = "active_admins";
/// The counts of invitations by the day on which they end; how many there may be comes with the command.
pub const INVITATIONS: &str = "invitations";
/// How many addresses somebody may want to change to in a day: each gets a mail that it did not ask for.
pub const ADDRESSES_PER_DAY: u32 = 5;
/// How long a link to set another password is the latest at least: whoever asks again and again gets no more of them.
pub const BETWEEN_RESETS: SignedDuration = SignedDuration::from_mins(5);

/// A user, as far as decisions need it.
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

impl User {
    /// What an active user is and is permitted; `None` for all others.
    pub fn rights(&self) -> Option<(Role, Permissions)> {
        let active = self.0.as_ref().filter(|existing| existing.status == Status::Active);
        active.map(|existing| (existing.role, existing.permissions))
    }

    /// What somebody is, or will be once they can sign in; `None` if there is no such account.
    pub fn role(&self) -> Option<Role> {
        self.0.as_ref().map(|existing| existing.role)
    }

    /// The invitation that can be taken up: which one it is, and when it ends.
    pub fn invitation(&self) -> Option<(u64, Timestamp)> {
        let invited = self.0.as_ref().filter(|existing| existing.status == Status::Invited);
        invited.and_then(|existing| existing.invitations.open())
    }

    /// Where the account is in its life; `None` if there is none.
    pub fn status(&self) -> Option<Status> {
        self.0.as_ref().map(|existing| existing.status)
    }

    /// What the person is called and where mail for them goes; `None` if there is no such account.
    pub fn person(&self) -> Option<(&Personal, &Personal)> {
        self.0.as_ref().map(|existing| (&existing.name, &existing.email))
    }

    /// In which language they want mail; `None` is that of their organization.
    pub fn locale(&self) -> Option<&Locale> {
        self.0.as_ref()?.locale.as_ref()
    }

    /// Which request for another password its link may still answer, and when that ends.
    pub fn password_reset(&self) -> Option<(u64, Timestamp)> {
        self.0.as_ref()?.resets.open()
    }

    /// Which request for another address may still be confirmed, when that ends, and the address.
    pub fn address_change(&self) -> Option<(u64, Timestamp, &Personal)> {
        let existing = self.0.as_ref()?;
        let (number, expires_at) = existing.address_changes.open()?;
        Some((number, expires_at, existing.wanted_email.as_ref()?))
    }

    /// How often failed attempts to sign in were forgiven.
    pub fn unlocks(&self) -> u64 {
        self.0.as_ref().map_or(0, |existing| existing.unlocks)
    }

    /// How often all sessions of the user have ended at once: what a session that begins now is of.
    pub fn session_epoch(&self) -> u64 {
        self.0.as_ref().map_or(0, |existing| existing.session_epoch)
    }

    /// Whether a session that began in this session_epoch goes on.
    pub fn keeps(&self, session: SessionId, session_epoch: u64) -> bool {
        self.0
            .as_ref()
            .is_some_and(|existing| existing.session_epoch == session_epoch || existing.kept == Some(session))
    }

    /// Whether this user can administer the organization now.
    fn administers(&self) -> bool {
        self.rights().is_some_and(|(role, permissions)| match role {
            Role::Admin | Role::SuperAdmin => permissions.administration == Access::Write,
            Role::Agent | Role::ReadOnly | Role::Auditor => false,
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
            Event::Invited { email, expires_at, .. } => vec![claim(email), invitation(*expires_at)],
            Event::Registered { email, .. } => vec![claim(email)],
            Event::InvitationSent { expires_at } => vec![invitation(*expires_at)],
            Event::AddressChanged { from, to, .. } => vec![release(from), claim(to)],
            Event::InvitationAccepted {}
            | Event::InvitationRevoked {}
            | Event::RoleChanged { .. }
            | Event::PermissionsChanged { .. }
            | Event::Deactivated {}
            | Event::Reactivated {}
            | Event::Renamed { .. }
            | Event::LocaleChanged { .. }
            | Event::AddressChangeRequested { .. }
            | Event::PasswordResetRequested { .. }
            | Event::PasswordReset {}
            | Event::Unlocked {}
            | Event::PasswordChanged { .. }
            | Event::SessionsEnded { .. } => Vec::new(),
        };
        if by != 0 {
            constraints.push(Constraint::Count {
                name: ACTIVE_ADMINS.into(),
                by,
                minimum: Some(1),
                maximum: None,
                violation: LAST_ADMIN,
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
const LAST_ADMIN: Violation = Violation::new(
    Kind::Conflict,
    "last-admin",
    "this is the last active admin of the organization: promote another user to admin first",
);
const TOO_MANY_INVITATIONS: Violation = Violation {
    kind: Kind::LimitReached,
    slug: "invitation-limit-reached",
    message: "no more than {bound} invitations may be sent in a day: continue tomorrow",
    retry_after_seconds: Some(3_600),
};

/// The address is this user's.
fn claim(email: &Personal) -> Constraint {
    Constraint::Claim { scope: Scope::Organization, kind: "email", name: comparable(email), violation: EMAIL_TAKEN }
}

/// The address is nobody's any more.
fn release(email: &Personal) -> Constraint {
    Constraint::Release { scope: Scope::Organization, kind: "email", name: comparable(email) }
}

fn comparable(email: &Personal) -> Option<String> {
    let address = email.value().and_then(|email| EmailAddress::new(email).ok());
    address.map(|address| address.comparable())
}

/// One invitation more that ends on this day.
fn invitation(expires_at: Timestamp) -> Constraint {
    let day = day(expires_at);
    Constraint::Count {
        name: format!("{INVITATIONS} {day}").into(),
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
