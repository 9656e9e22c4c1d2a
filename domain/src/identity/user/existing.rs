//! How an existing account handles commands and events.

use jiff::{Timestamp, civil::Date};

use super::{ADDRESSES_PER_DAY, BETWEEN_RESETS, Command, Event, Link, LinkState, Rejection, Status, day, within};
use crate::{
    OrganizationId, PersonName, Personal, SessionId, UserId,
    identity::{
        address::EmailAddress,
        role::{Permissions, Role},
        settings::{Locale, ZoneName},
    },
};

/// Maximum password reset links that stay valid beside the last one: as many as can be requested while one is valid.
const MOST_EARLIER_RESETS: usize = 12;

#[derive(Debug, Clone)]
pub(super) struct Existing {
    pub(super) name: Personal,
    pub(super) email: Personal,
    pub(super) status: Status,
    pub(super) is_removed: bool,
    pub(super) role: Role,
    pub(super) permissions: Permissions,
    pub(super) locale: Option<Locale>,
    pub(super) time_zone: Option<ZoneName>,
    pub(super) invitations: Links,
    /// Whether one of them was accepted.
    has_accepted: bool,
    pub(super) address_changes: Links,
    /// The number of the address change that was cancelled last.
    cancelled: Option<u64>,
    /// The new address that was requested last.
    pub(super) wanted_email: Option<Personal>,
    /// The day of the last address change request, and the number of requests on that day.
    asked_on: Option<Date>,
    asked: u32,
    pub(super) resets: Links,
    /// How often failed sign-in attempts were reset.
    pub(super) unlocks: u64,
    /// When the last lock ends, unless it was lifted.
    pub(super) locked_until: Option<Timestamp>,
    /// How often all sessions have been ended at once.
    pub(super) session_epoch: u64,
    /// The session that was kept the last time.
    pub(super) kept: Option<SessionId>,
    /// The account of an organization whose holder was given this account of the platform, until it is deactivated.
    promoted_from: Option<(OrganizationId, UserId)>,
}

/// Links sent for the same purpose, valid until one of them is used, or they are revoked or expire.
#[derive(Debug, Clone, Default)]
pub(super) struct Links {
    /// How many were sent.
    pub(super) sent: u64,
    /// When the last one expires; `None` if it is no longer valid.
    expires_at: Option<Timestamp>,
    /// Earlier ones that stay valid beside the last one: their numbers, and when they expire.
    earlier: Vec<(u64, Timestamp)>,
    /// The numbers of the links of which one was used last.
    used: Vec<u64>,
    /// The numbers of the links that expired last.
    expired: Vec<u64>,
}

impl Links {
    /// Sends a link that replaces earlier ones.
    fn send(&mut self, expires_at: Timestamp) {
        self.earlier.clear();
        (self.sent, self.expires_at) = (self.sent + 1, Some(expires_at));
    }

    /// Sends a link beside those that are valid, so that a request by another person does not void them.
    fn send_beside(&mut self, expires_at: Timestamp) {
        self.earlier.extend(self.expires_at.map(|until| (self.sent, until)));
        let excess = self.earlier.len().saturating_sub(MOST_EARLIER_RESETS);
        self.earlier.drain(..excess);
        (self.sent, self.expires_at) = (self.sent + 1, Some(expires_at));
    }

    fn take_up(&mut self) {
        self.used = self.valid().map(|(number, _)| number).collect();
        self.void();
    }

    fn expire(&mut self) {
        self.expired = self.valid().map(|(number, _)| number).collect();
        self.void();
    }

    fn void(&mut self) {
        self.expires_at = None;
        self.earlier.clear();
    }

    /// Those that were neither used nor revoked: their numbers, and when they expire.
    pub(super) fn valid(&self) -> impl Iterator<Item = (u64, Timestamp)> {
        self.earlier.iter().copied().chain(self.open())
    }

    /// The last one, if it was neither used nor revoked: its number, and when it expires.
    pub(super) fn open(&self) -> Option<(u64, Timestamp)> {
        self.expires_at.map(|expires_at| (self.sent, expires_at))
    }

    /// What became of a link.
    fn state(&self, number: u64, now: Timestamp) -> LinkState {
        match self.valid().find(|(sent, _)| *sent == number) {
            Some((_, expires_at)) if now < expires_at => LinkState::Valid,
            Some(_) => LinkState::Expired,
            None if self.used.contains(&number) => LinkState::Used,
            None if self.expired.contains(&number) => LinkState::Expired,
            None if self.sent == number => LinkState::Revoked,
            None => LinkState::Replaced,
        }
    }

    /// The result of cancelling what the last link is for.
    fn cancel(&self, number: u64, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        match self.valid().find(|(sent, _)| *sent == number) {
            Some((_, expires_at)) if now < expires_at => Ok(vec![Event::AddressChangeCancelled {}]),
            Some(_) => Err(Rejection::LinkExpired),
            None if self.expired.contains(&number) => Err(Rejection::LinkExpired),
            None => Err(Rejection::LinkReplaced),
        }
    }

    /// The result of redeeming a link: the event, nothing if it was used before, or why it is not valid.
    fn answer(&self, number: u64, now: Timestamp, event: Event) -> Result<Vec<Event>, Rejection> {
        match self.valid().find(|(sent, _)| *sent == number) {
            Some((_, expires_at)) if now < expires_at => Ok(vec![event]),
            Some(_) => Err(Rejection::LinkExpired),
            None if self.used.contains(&number) => Ok(vec![]),
            None if self.expired.contains(&number) => Err(Rejection::LinkExpired),
            None => Err(Rejection::LinkReplaced),
        }
    }
}

impl Existing {
    pub(super) fn new(name: &Personal, email: &Personal, role: Role, permissions: Permissions) -> Self {
        Self {
            name: name.clone(),
            email: email.clone(),
            status: Status::Registered,
            is_removed: false,
            role,
            permissions,
            locale: None,
            time_zone: None,
            invitations: Links::default(),
            has_accepted: false,
            address_changes: Links::default(),
            cancelled: None,
            wanted_email: None,
            asked_on: None,
            asked: 0,
            resets: Links::default(),
            unlocks: 0,
            locked_until: None,
            session_epoch: 0,
            kept: None,
            promoted_from: None,
        }
    }

    pub(super) fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        if self.is_removed && *command != Command::Remove {
            return Err(Rejection::NotFound);
        }
        match command {
            Command::Correct { name, email } => self.correct(name.as_ref(), email.as_ref()),
            Command::Remove if self.is_removed => Ok(vec![]),
            Command::Remove if self.has_accepted => Err(Rejection::Accepted),
            Command::Remove => Ok(vec![Event::Removed {}]),
            Command::Invite { name, email, role, permissions, .. }
            | Command::Register { name, email, role, permissions, .. } => {
                let is_same = self.name.value() == Some(name.as_str())
                    && self.email.value() == Some(email.to_string().as_str())
                    && (self.role, self.permissions) == (*role, *permissions);
                if is_same { Ok(vec![]) } else { Err(Rejection::Exists) }
            }
            Command::SendInvitation { expires_at, by_import } => match self.status {
                Status::Invited if self.invitations.expires_at == Some(*expires_at) => Ok(vec![]),
                Status::Registered | Status::Invited => {
                    Ok(vec![Event::InvitationSent { expires_at: *expires_at, by_import: *by_import }])
                }
                Status::Active => Err(Rejection::Accepted),
                Status::Deactivated => Err(Rejection::Deactivated),
            },
            Command::Accept { invitation, now } => self.accept(*invitation, *now),
            Command::RevokeInvitation => match self.status {
                Status::Registered => Ok(vec![]),
                Status::Invited => Ok(vec![Event::InvitationRevoked {}]),
                Status::Active => Err(Rejection::Accepted),
                Status::Deactivated => Err(Rejection::Deactivated),
            },
            Command::ChangeRole { role, permissions } => {
                if self.status == Status::Deactivated {
                    return Err(Rejection::Deactivated);
                }
                if role.is_of_the_platform() != self.role.is_of_the_platform() {
                    return Err(Rejection::RoleNotHere(*role));
                }
                let unchanged = (self.role == *role).then_some(self.permissions);
                let to = permissions.or(unchanged).unwrap_or(role.ceiling());
                within(to, *role)?;
                let role_changed = (self.role != *role).then_some(Event::RoleChanged { from: self.role, to: *role });
                Ok(role_changed.into_iter().chain(self.permit(to)).collect())
            }
            Command::ChangePermissions { permissions } => {
                if self.status == Status::Deactivated {
                    return Err(Rejection::Deactivated);
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
            Command::Promote { organization, user } if self.promoted_from == Some((*organization, *user)) => Ok(vec![]),
            Command::Promote { organization, user } => {
                Ok(vec![Event::Promoted { organization: *organization, user: *user }])
            }
            Command::Demote => match self.status {
                Status::Registered | Status::Invited | Status::Active => {
                    Ok(vec![Event::Demoted {}, Event::Deactivated {}])
                }
                Status::Deactivated => Ok(vec![]),
            },
            Command::Rename { name } => Ok(self.rename(name).into_iter().collect()),
            Command::ChangeLocale { locale } => {
                let (from, to) = (self.locale.clone(), locale.clone());
                Ok(if from == to { vec![] } else { vec![Event::LocaleChanged { from, to }] })
            }
            Command::ChangeTimeZone { time_zone } => {
                let (from, to) = (self.time_zone.clone(), time_zone.clone());
                Ok(if from == to { vec![] } else { vec![Event::TimeZoneChanged { from, to }] })
            }
            Command::RequestAddressChange { email, expires_at } => self.request_address(email, *expires_at),
            Command::ConfirmAddress { request, now } => {
                self.must_be_active()?;
                let to = self.wanted_email.clone().ok_or(Rejection::LinkReplaced)?;
                let (from, address_rules) = (self.email.clone(), EmailAddress::RULES);
                self.address_changes.answer(*request, *now, Event::AddressChanged { from, to, address_rules })
            }
            Command::CancelAddressChange { request, now } => match self.cancelled == Some(*request) {
                true => Ok(vec![]),
                false => self.address_changes.cancel(*request, *now),
            },
            Command::ReplacePasswordReset { expires_at } => {
                self.must_be_active()?;
                Ok(vec![Event::PasswordResetRequested { expires_at: *expires_at }])
            }
            Command::RequestPasswordReset { now, expires_at } => {
                self.must_be_active()?;
                let last = self.resets.open().map(|(_, expires_at)| expires_at);
                // A link that expires nearly as late as a new one would was just sent.
                let is_fresh = last.is_some_and(|last| *now < last && expires_at.duration_since(last) < BETWEEN_RESETS);
                Ok(if is_fresh { vec![] } else { vec![Event::PasswordResetRequested { expires_at: *expires_at }] })
            }
            Command::ExpireLink { link, now } => {
                let is_over = self.links(*link).open().is_some_and(|(_, expires_at)| expires_at <= *now);
                Ok(if is_over { vec![Event::LinkExpired { link: *link }] } else { vec![] })
            }
            Command::ResetPassword { request, now } => {
                self.must_be_active()?;
                self.resets.answer(*request, *now, Event::PasswordReset {})
            }
            Command::ChangePassword { session_epoch, keeping } => {
                self.must_be_active()?;
                Ok(if *session_epoch != self.session_epoch {
                    vec![]
                } else {
                    vec![Event::PasswordChanged { keeping: *keeping }]
                })
            }
            Command::Lock { unlocks, until } => {
                let is_so = *unlocks != self.unlocks || self.locked_until >= Some(*until);
                let is_needless = is_so || self.status != Status::Active;
                Ok(if is_needless { vec![] } else { vec![Event::Locked { until: *until }] })
            }
            Command::Unlock { unlocks } => {
                self.must_be_active()?;
                Ok(if *unlocks == self.unlocks { vec![Event::Unlocked {}] } else { vec![] })
            }
            Command::EndSessions { session_epoch, keeping } => {
                let is_so = *session_epoch != self.session_epoch || self.status != Status::Active;
                Ok(if is_so { vec![] } else { vec![Event::SessionsEnded { keeping: *keeping }] })
            }
        }
    }

    fn rename(&self, name: &PersonName) -> Option<Event> {
        let (from, to) = (self.name.clone(), self.name.replaced(name.as_str()));
        (self.name.value() != Some(name.as_str())).then_some(Event::Renamed { from, to })
    }

    fn correct(&self, name: Option<&PersonName>, email: Option<&EmailAddress>) -> Result<Vec<Event>, Rejection> {
        match self.status {
            Status::Registered | Status::Invited => {}
            Status::Active => return Err(Rejection::Accepted),
            Status::Deactivated => return Err(Rejection::Deactivated),
        }
        let to = email.map(|email| self.email.replaced(email.to_string())).filter(|to| *to != self.email);
        let corrected =
            |to| Event::AddressCorrected { from: self.email.clone(), to, address_rules: EmailAddress::RULES };
        Ok(name.and_then(|name| self.rename(name)).into_iter().chain(to.map(corrected)).collect())
    }

    fn request_address(&self, email: &EmailAddress, expires_at: Timestamp) -> Result<Vec<Event>, Rejection> {
        self.must_be_active()?;
        let email = self.email.replaced(email.to_string());
        let is_asked =
            self.address_changes.expires_at == Some(expires_at) && self.wanted_email.as_ref() == Some(&email);
        if is_asked || self.email == email {
            return Ok(vec![]);
        }
        if self.asked_on == Some(day(expires_at)) && self.asked >= ADDRESSES_PER_DAY {
            return Err(Rejection::TooManyAddresses);
        }
        Ok(vec![Event::AddressChangeRequested { email, address_rules: EmailAddress::RULES, expires_at }])
    }

    fn accept(&self, invitation: u64, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let is_expired = self.invitations.expired.contains(&invitation);
        match (self.status, self.invitations.open()) {
            (Status::Registered | Status::Invited, _) if is_expired => Err(Rejection::InvitationExpired),
            (Status::Registered, _) if self.invitations.sent == invitation => Err(Rejection::InvitationRevoked),
            (Status::Invited, Some((sent, expires_at))) if sent == invitation => match now < expires_at {
                true => Ok(vec![Event::InvitationAccepted {}]),
                false => Err(Rejection::InvitationExpired),
            },
            (Status::Registered | Status::Invited, _) => Err(Rejection::InvitationReplaced),
            (Status::Active, _) => Ok(vec![]),
            (Status::Deactivated, _) => Err(Rejection::Deactivated),
        }
    }

    pub(super) fn link_state(&self, link: Link, number: u64, now: Timestamp) -> LinkState {
        match (self.status, link) {
            (Status::Deactivated, _) => LinkState::Revoked,
            // Whichever invitation it was: the account has a password.
            (Status::Active, Link::Invitation) => LinkState::Used,
            (Status::Registered | Status::Invited | Status::Active, _) => self.links(link).state(number, now),
        }
    }

    pub(super) fn cancellation_state(&self, request: u64, now: Timestamp) -> LinkState {
        if self.cancelled == Some(request) {
            return LinkState::Used;
        }
        match self.address_changes.state(request, now) {
            // The change was confirmed, so nothing is left to cancel.
            LinkState::Used => LinkState::Revoked,
            state @ (LinkState::Valid | LinkState::Expired | LinkState::Replaced | LinkState::Revoked) => state,
        }
    }

    fn links(&self, link: Link) -> &Links {
        match link {
            Link::Invitation => &self.invitations,
            Link::AddressChange => &self.address_changes,
            Link::PasswordReset => &self.resets,
        }
    }

    fn must_be_active(&self) -> Result<(), Rejection> {
        match self.status {
            Status::Active => Ok(()),
            Status::Registered | Status::Invited => Err(Rejection::NotActive),
            Status::Deactivated => Err(Rejection::Deactivated),
        }
    }

    fn permit(&self, to: Permissions) -> Option<Event> {
        (self.permissions != to).then_some(Event::PermissionsChanged { from: self.permissions, to })
    }

    /// Ends all sessions, except perhaps one, and what a thief may have begun in one of them.
    fn end_sessions(&mut self, keeping: Option<SessionId>) {
        self.address_changes.void();
        (self.session_epoch, self.kept) = (self.session_epoch + 1, keeping);
    }

    fn unlock(&mut self) {
        (self.unlocks, self.locked_until) = (self.unlocks + 1, None);
    }

    pub(super) fn evolve(&mut self, event: &Event) {
        match event {
            Event::Registered { .. } => {}
            Event::Invited { expires_at, .. } | Event::InvitationSent { expires_at, .. } => {
                self.status = Status::Invited;
                self.invitations.send(*expires_at);
            }
            Event::InvitationAccepted {} => {
                (self.status, self.has_accepted) = (Status::Active, true);
                self.invitations.take_up();
            }
            Event::InvitationRevoked {} => {
                self.status = Status::Registered;
                self.invitations.void();
            }
            // Users who had not accepted yet return to their previous status: a pending invitation stays valid.
            Event::Reactivated {} => {
                self.status = match (self.has_accepted, self.invitations.open()) {
                    (true, _) => Status::Active,
                    (false, None) => Status::Registered,
                    (false, Some(_)) => Status::Invited,
                };
            }
            Event::RoleChanged { to, .. } => self.role = *to,
            Event::PermissionsChanged { to, .. } => self.permissions = *to,
            Event::Deactivated {} => {
                (self.status, self.promoted_from) = (Status::Deactivated, None);
                self.resets.void();
                self.end_sessions(None);
            }
            Event::Promoted { organization, user } => self.promoted_from = Some((*organization, *user)),
            Event::Demoted {} => {}
            Event::Renamed { to, .. } => self.name = to.clone(),
            Event::LocaleChanged { to, .. } => self.locale.clone_from(to),
            Event::TimeZoneChanged { to, .. } => self.time_zone.clone_from(to),
            Event::AddressChangeRequested { email, expires_at, .. } => {
                self.wanted_email = Some(email.clone());
                let today = Some(day(*expires_at));
                self.asked = if self.asked_on == today { self.asked + 1 } else { 1 };
                self.asked_on = today;
                self.address_changes.send(*expires_at);
            }
            Event::AddressChanged { to, .. } => {
                self.email = to.clone();
                self.address_changes.take_up();
                // Its link was sent to the old address.
                self.resets.void();
            }
            // The invitation was sent to the wrong address.
            Event::AddressCorrected { to, .. } => {
                self.email = to.clone();
                self.invitations.void();
                self.status = Status::Registered;
            }
            Event::Removed {} => {
                self.is_removed = true;
                self.invitations.void();
            }
            Event::AddressChangeCancelled {} => {
                self.cancelled = Some(self.address_changes.sent);
                self.address_changes.void();
            }
            Event::PasswordResetRequested { expires_at } => self.resets.send_beside(*expires_at),
            Event::LinkExpired { link: Link::Invitation } => {
                self.invitations.expire();
                if self.status == Status::Invited {
                    self.status = Status::Registered;
                }
            }
            Event::LinkExpired { link: Link::AddressChange } => self.address_changes.expire(),
            Event::LinkExpired { link: Link::PasswordReset } => self.resets.expire(),
            Event::Locked { until } => self.locked_until = Some(*until),
            Event::Unlocked {} => self.unlock(),
            // Access to the mailbox proves identity, so failed attempts no longer count.
            Event::PasswordReset {} => {
                self.unlock();
                self.resets.take_up();
                self.end_sessions(None);
            }
            Event::PasswordChanged { keeping } => {
                self.resets.void();
                self.end_sessions(*keeping);
            }
            Event::SessionsEnded { keeping } => self.end_sessions(*keeping),
        }
    }
}
