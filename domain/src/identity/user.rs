//! The life of an account: invitation, role, permissions.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

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
    /// Take up an invitation.
    Accept {
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
    /// The invitation was not taken up yet.
    #[error("the invitation has not been accepted yet")]
    NotAccepted,
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
            Self::Exists | Self::InvitationExpired | Self::NotAccepted | Self::Deactivated => Kind::Conflict,
            Self::BeyondRole(_) | Self::RoleNotHere(_) => Kind::Invalid,
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::NotFound => "user-not-found",
            Self::Exists => "user-exists",
            Self::InvitationExpired => "invitation-expired",
            Self::NotAccepted => "invitation-not-accepted",
            Self::Deactivated => "user-deactivated",
            Self::BeyondRole(_) => "permissions-beyond-role",
            Self::RoleNotHere(_) => "role-not-here",
        }
    }
}

/// The count of those who can administer an organization now; it never falls below one.
pub const ACTIVE_ADMINS: &str = "active_admins";

/// A user, as far as decisions need it.
#[derive(Debug, Clone, Default)]
pub struct User(Option<Existing>);

#[derive(Debug, Clone)]
struct Existing {
    name: Personal,
    email: Personal,
    status: Status,
    role: Role,
    permissions: Permissions,
    expires_at: Timestamp,
}

/// Where an account is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
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
                if role.is_of_the_platform() != (*organization == OrganizationId::PLATFORM) {
                    return Err(Refusal::RoleNotHere(*role));
                }
                within(*permissions, *role)?;
                Ok(vec![Event::Invited {
                    name: Personal::identity(*user, name.as_str()),
                    email: Personal::identity(*user, email.to_string()),
                    address_rules: EmailAddress::RULES,
                    role: *role,
                    permissions: *permissions,
                    expires_at: *expires_at,
                }])
            }
            (None, _) => Err(Refusal::NotFound),
        }
    }

    fn evolve(&mut self, event: &Event) {
        if let Event::Invited { name, email, role, permissions, expires_at, address_rules: _ } = event {
            self.0 = Some(Existing {
                name: name.clone(),
                email: email.clone(),
                status: Status::Invited,
                role: *role,
                permissions: *permissions,
                expires_at: *expires_at,
            });
        } else if let Some(existing) = &mut self.0 {
            existing.evolve(event);
        }
    }

    fn guards(&self, event: &Event) -> Vec<Guard> {
        let mut after = self.clone();
        after.evolve(event);
        let by = i64::from(after.administers()) - i64::from(self.administers());
        let mut guards = Vec::new();
        if let Event::Invited { email, .. } = event {
            let address = email.value().and_then(|email| EmailAddress::new(email).ok());
            let name = address.map(|address| address.comparable());
            guards.push(Guard::Claim { scope: Scope::Organization, kind: "email", name });
        }
        if by != 0 {
            guards.push(Guard::Count { name: ACTIVE_ADMINS, by, minimum: Some(1), maximum: None });
        }
        guards
    }
}

impl Existing {
    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Invite { name, email, role, permissions, .. } => {
                let is_same = self.name.value() == Some(name.as_str())
                    && self.email.value() == Some(email.to_string().as_str())
                    && (self.role, self.permissions) == (*role, *permissions);
                if is_same { Ok(vec![]) } else { Err(Refusal::Exists) }
            }
            Command::Accept { now } => match self.status {
                Status::Invited if *now >= self.expires_at => Err(Refusal::InvitationExpired),
                Status::Invited => Ok(vec![Event::InvitationAccepted {}]),
                Status::Active => Ok(vec![]),
                Status::Deactivated => Err(Refusal::Deactivated),
            },
            Command::ChangeRole { role, permissions } => {
                if self.status == Status::Deactivated {
                    return Err(Refusal::Deactivated);
                }
                if role.is_of_the_platform() != self.role.is_of_the_platform() {
                    return Err(Refusal::RoleNotHere(*role));
                }
                let to = permissions.unwrap_or_else(|| self.permissions.narrowed_to(role.ceiling()));
                within(to, *role)?;
                let role_changed = (self.role != *role).then_some(Event::RoleChanged { from: self.role, to: *role });
                Ok(role_changed.into_iter().chain(self.permit(to)).collect())
            }
            Command::ChangePermissions { permissions } => {
                if self.status == Status::Deactivated {
                    return Err(Refusal::Deactivated);
                }
                within(*permissions, self.role)?;
                Ok(self.permit(*permissions).into_iter().collect())
            }
            Command::Deactivate => match self.status {
                Status::Invited => Err(Refusal::NotAccepted),
                Status::Active => Ok(vec![Event::Deactivated {}]),
                Status::Deactivated => Ok(vec![]),
            },
            Command::Reactivate => match self.status {
                Status::Invited => Err(Refusal::NotAccepted),
                Status::Active => Ok(vec![]),
                Status::Deactivated => Ok(vec![Event::Reactivated {}]),
            },
        }
    }

    fn permit(&self, to: Permissions) -> Option<Event> {
        (self.permissions != to).then_some(Event::PermissionsChanged { from: self.permissions, to })
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Invited { .. } => {}
            Event::InvitationAccepted {} | Event::Reactivated {} => self.status = Status::Active,
            Event::RoleChanged { to, .. } => self.role = *to,
            Event::PermissionsChanged { to, .. } => self.permissions = *to,
            Event::Deactivated {} => self.status = Status::Deactivated,
        }
    }
}

fn within(permissions: Permissions, role: Role) -> Result<(), Refusal> {
    if permissions.is_within(role.ceiling()) { Ok(()) } else { Err(Refusal::BeyondRole(role)) }
}

#[cfg(test)]
mod tests;
