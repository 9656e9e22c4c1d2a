//! The life of an account: invitation, role, permissions.

mod existing;

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use self::existing::Existing;
use super::{
    address::EmailAddress,
    role::{Access, Permissions, Role},
};
use crate::{Aggregate, Guard, Kind, OrganizationId, PersonName, Personal, Scope, UserId};

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
}

/// What can happen to a user. Stored for ever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// A person was invited.
    #[serde(rename = "user.invited.v1")]
    Invited {
        /// The person's full name.
        name: Personal,
        /// The address that the invitation goes to.
        email: Personal,
        /// By which rules the address is compared with others.
        address_rules: u8,
        /// What they will be.
        role: Role,
        /// What they will be permitted.
        permissions: Permissions,
        /// When the invitation ends.
        expires_at: Timestamp,
    },
    /// An account was made, and nobody invited yet.
    #[serde(rename = "user.registered.v1")]
    Registered {
        /// The person's full name.
        name: Personal,
        /// The address that an invitation will go to.
        email: Personal,
        /// By which rules the address is compared with others.
        address_rules: u8,
        /// What they will be.
        role: Role,
        /// What they will be permitted.
        permissions: Permissions,
    },
    /// The person was invited, or invited anew: former invitations are void.
    #[serde(rename = "user.invitation_sent.v1")]
    InvitationSent {
        /// When the invitation ends.
        expires_at: Timestamp,
    },
    /// The invitation was taken up.
    #[serde(rename = "user.invitation_accepted.v1")]
    InvitationAccepted {},
    /// They became something else.
    #[serde(rename = "user.role_changed.v1")]
    RoleChanged {
        /// What they were.
        from: Role,
        /// What they are.
        to: Role,
    },
    /// They are permitted other things.
    #[serde(rename = "user.permissions_changed.v1")]
    PermissionsChanged {
        /// What they were permitted.
        from: Permissions,
        /// What they are permitted.
        to: Permissions,
    },
    /// They were locked out.
    #[serde(rename = "user.deactivated.v1")]
    Deactivated {},
    /// They were let in again.
    #[serde(rename = "user.reactivated.v1")]
    Reactivated {},
}

/// Why something may not happen to a user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is none.
    #[error("there is no such user")]
    NotFound,
    /// There is one by this id, and it is another.
    #[error("a user with this id exists already")]
    Exists,
    /// The invitation has ended.
    #[error("the invitation has expired: ask for a new one")]
    InvitationExpired,
    /// Nobody was invited, or another invitation was sent later.
    #[error("the invitation was replaced by a later one: use the latest")]
    InvitationReplaced,
    /// The invitation was taken up already.
    #[error("the invitation has been accepted already")]
    Accepted,
    /// The user is locked out.
    #[error("the user is deactivated: reactivate them first")]
    Deactivated,
    /// The permissions go beyond the role.
    #[error("these permissions go beyond what the role {0:?} may be permitted")]
    BeyondRole(Role),
    /// The role is one of the platform's staff and the organization is not the platform's, or the other way round.
    #[error("the role {0:?} does not exist in this organization")]
    RoleNotHere(Role),
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Exists | Self::InvitationExpired | Self::InvitationReplaced | Self::Accepted | Self::Deactivated => {
                Kind::Conflict
            }
            Self::BeyondRole(_) | Self::RoleNotHere(_) => Kind::Invalid,
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::NotFound => "user-not-found",
            Self::Exists => "user-exists",
            Self::InvitationExpired => "invitation-expired",
            Self::InvitationReplaced => "invitation-replaced",
            Self::Accepted => "invitation-accepted",
            Self::Deactivated => "user-deactivated",
            Self::BeyondRole(_) => "permissions-beyond-role",
            Self::RoleNotHere(_) => "role-not-here",
        }
    }
}

/// The count of those who can administer an organization now; it never falls below one.
pub const ACTIVE_ADMINS: &str = "active_admins";
/// The counts of invitations by the day on which they end; how many there may be comes with the command.
pub const INVITATIONS: &str = "invitations";

/// A user, as far as decisions need it.
#[derive(Debug, Clone, Default)]
pub struct User(Option<Existing>);

/// Where an account is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Known, not invited yet.
    Registered,
    /// Invited, not there yet.
    Invited,
    /// Can sign in.
    Active,
    /// Locked out.
    Deactivated,
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
        invited.map(|existing| (existing.invitations, existing.expires_at))
    }

    /// Where the account is in its life; `None` if there is none.
    pub fn status(&self) -> Option<Status> {
        self.0.as_ref().map(|existing| existing.status)
    }

    /// What the person is called and where mail for them goes; `None` if there is no such account.
    pub fn person(&self) -> Option<(&Personal, &Personal)> {
        self.0.as_ref().map(|existing| (&existing.name, &existing.email))
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
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
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
            (None, _) => Err(Refusal::NotFound),
        }
    }

    fn evolve(&mut self, event: &Event) {
        match (event, &mut self.0) {
            (Event::Invited { name, email, role, permissions, expires_at, .. }, _) => {
                let invited = (Status::Invited, 1, *expires_at);
                self.0 = Some(Existing::new(name, email, *role, *permissions, invited));
            }
            (Event::Registered { name, email, role, permissions, .. }, _) => {
                let registered = (Status::Registered, 0, Timestamp::UNIX_EPOCH);
                self.0 = Some(Existing::new(name, email, *role, *permissions, registered));
            }
            (event, Some(existing)) => existing.evolve(event),
            (_, None) => {}
        }
    }

    fn guards(&self, event: &Event) -> Vec<Guard> {
        let mut after = self.clone();
        after.evolve(event);
        let by = i64::from(after.administers()) - i64::from(self.administers());
        let mut guards = match event {
            Event::Invited { email, expires_at, .. } => vec![claim(email), invitation(*expires_at)],
            Event::Registered { email, .. } => vec![claim(email)],
            Event::InvitationSent { expires_at } => vec![invitation(*expires_at)],
            Event::InvitationAccepted {}
            | Event::RoleChanged { .. }
            | Event::PermissionsChanged { .. }
            | Event::Deactivated {}
            | Event::Reactivated {} => Vec::new(),
        };
        if by != 0 {
            guards.push(Guard::Count { name: ACTIVE_ADMINS.into(), by, minimum: Some(1), maximum: None });
        }
        guards
    }
}

/// The address is this user's.
fn claim(email: &Personal) -> Guard {
    let address = email.value().and_then(|email| EmailAddress::new(email).ok());
    let name = address.map(|address| address.comparable());
    Guard::Claim { scope: Scope::Organization, kind: "email", name }
}

/// One invitation more that ends on this day.
fn invitation(expires_at: Timestamp) -> Guard {
    let day = expires_at.to_zoned(TimeZone::UTC).date();
    Guard::Count { name: format!("{INVITATIONS} {day}").into(), by: 1, minimum: None, maximum: None }
}

fn grantable(organization: OrganizationId, role: Role, permissions: Permissions) -> Result<(), Refusal> {
    if role.is_of_the_platform() != (organization == OrganizationId::PLATFORM) {
        return Err(Refusal::RoleNotHere(role));
    }
    within(permissions, role)
}

fn within(permissions: Permissions, role: Role) -> Result<(), Refusal> {
    if permissions.is_within(role.ceiling()) { Ok(()) } else { Err(Refusal::BeyondRole(role)) }
}

#[cfg(test)]
mod tests;
