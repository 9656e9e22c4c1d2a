//! What an account that exists does with commands and events.

use jiff::Timestamp;

use super::{Command, Event, Refusal, Status, within};
use crate::{
    Personal,
    identity::role::{Permissions, Role},
};

#[derive(Debug, Clone)]
pub(super) struct Existing {
    pub(super) name: Personal,
    pub(super) email: Personal,
    pub(super) status: Status,
    pub(super) role: Role,
    pub(super) permissions: Permissions,
    /// How many invitations were sent, and when the last one ends.
    pub(super) invitations: u64,
    pub(super) expires_at: Timestamp,
    /// Whether one of them was taken up.
    has_accepted: bool,
}

impl Existing {
    pub(super) fn new(
        name: &Personal,
        email: &Personal,
        role: Role,
        permissions: Permissions,
        (status, invitations, expires_at): (Status, u64, Timestamp),
    ) -> Self {
        let (name, email) = (name.clone(), email.clone());
        Self { name, email, status, role, permissions, invitations, expires_at, has_accepted: false }
    }

    pub(super) fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Invite { name, email, role, permissions, .. }
            | Command::Register { name, email, role, permissions, .. } => {
                let is_same = self.name.value() == Some(name.as_str())
                    && self.email.value() == Some(email.to_string().as_str())
                    && (self.role, self.permissions) == (*role, *permissions);
                if is_same { Ok(vec![]) } else { Err(Refusal::Exists) }
            }
            Command::SendInvitation { expires_at } => match self.status {
                Status::Invited if *expires_at == self.expires_at => Ok(vec![]),
                Status::Registered | Status::Invited => Ok(vec![Event::InvitationSent { expires_at: *expires_at }]),
                Status::Active => Err(Refusal::Accepted),
                Status::Deactivated => Err(Refusal::Deactivated),
            },
            Command::Accept { invitation, now } => match self.status {
                Status::Registered => Err(Refusal::InvitationReplaced),
                Status::Invited if *invitation != self.invitations => Err(Refusal::InvitationReplaced),
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
                Status::Registered | Status::Invited | Status::Active => Ok(vec![Event::Deactivated {}]),
                Status::Deactivated => Ok(vec![]),
            },
            Command::Reactivate => match self.status {
                Status::Registered | Status::Invited | Status::Active => Ok(vec![]),
                Status::Deactivated => Ok(vec![Event::Reactivated {}]),
            },
        }
    }

    fn permit(&self, to: Permissions) -> Option<Event> {
        (self.permissions != to).then_some(Event::PermissionsChanged { from: self.permissions, to })
    }

    pub(super) fn evolve(&mut self, event: &Event) {
        match event {
            Event::Invited { .. } | Event::Registered { .. } => {}
            Event::InvitationSent { expires_at } => {
                (self.status, self.invitations) = (Status::Invited, self.invitations + 1);
                self.expires_at = *expires_at;
            }
            Event::InvitationAccepted {} => (self.status, self.has_accepted) = (Status::Active, true),
            // Whoever had not come yet is as they were: their invitation holds.
            Event::Reactivated {} => {
                self.status = match (self.has_accepted, self.invitations) {
                    (true, _) => Status::Active,
                    (false, 0) => Status::Registered,
                    (false, _) => Status::Invited,
                };
            }
            Event::RoleChanged { to, .. } => self.role = *to,
            Event::PermissionsChanged { to, .. } => self.permissions = *to,
            Event::Deactivated {} => self.status = Status::Deactivated,
        }
    }
}
