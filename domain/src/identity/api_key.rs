//! A key by which a program works in the name of a person, and never with more rights than that person has.

mod event;
mod rejection;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::{event::Event, rejection::Rejection};
use super::role::Permissions;
use crate::{Aggregate, ApiKeyId, Constraint, InvalidText, Kind, OrganizationId, UserId, Violation, text};

/// The count of an organization's keys that were not revoked.
pub const API_KEYS: &str = "api_keys";
/// The longest time for which the former secret of a key is accepted beside the new one.
pub const LONGEST_OVERLAP: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The most networks that a key can be bound to.
pub const MOST_NETWORKS: usize = 50;

/// What can be asked of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Make it.
    Create {
        /// Where it is good.
        organization: OrganizationId,
        /// In whose name.
        owner: UserId,
        /// What it is for.
        name: KeyName,
        /// What it may at most.
        grant: Grant,
        /// From where it is accepted; nothing is everywhere.
        networks: Vec<IpNet>,
        /// When it is made.
        now: Timestamp,
        /// When it ends.
        expires_at: Option<Timestamp>,
    },
    /// Give it another secret.
    Rotate {
        /// Which secret it will be: the second, the third, …
        generation: u32,
        /// When it is rotated.
        now: Timestamp,
        /// Until when the former secret is accepted.
        former_until: Timestamp,
    },
    /// End it for good.
    Revoke,
    /// Let it work in the name of somebody else.
    Adopt {
        /// In whose.
        by: UserId,
    },
}

/// What a key may at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// As far as these permissions let, within the organization.
    Permissions(Permissions),
    /// These things, in all organizations: a key of the platform.
    Scopes(BTreeSet<KeyScope>),
}

crate::texts! {
    /// What a key of the platform may do.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum KeyScope {
        /// Read organizations and their settings.
        ReadOrganizations = "organizations:read",
        /// Create, change, suspend, reactivate and deactivate organizations.
        WriteOrganizations = "organizations:write",
        /// Read users and their sessions.
        ReadUsers = "users:read",
        /// Invite, deactivate and reactivate users, except those of the platform's own organization.
        WriteUsers = "users:write",
        /// Read the audit log.
        ReadAuditLog = "audit_log:read",
    }
}

const TOO_MANY_KEYS: Violation = Violation::new(
    Kind::Conflict,
    "too-many-api-keys",
    "an organization has at most {bound} API keys: revoke one first",
);

/// What a key is for, in a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName(String);

impl KeyName {
    /// # Errors
    /// If it is empty, longer than 100 characters, has control or invisible characters, or looks like a link.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        text::name(text, 100).map(Self)
    }
}

/// A key, as far as decisions need it.
#[derive(Debug, Clone, Default)]
pub struct ApiKey(Option<Existing>);

/// A key that was made.
#[derive(Debug, Clone)]
pub struct Existing {
    name: String,
    /// In whose name it works.
    pub owner: UserId,
    /// What it may at most.
    pub grant: Grant,
    /// From where it is accepted; nothing is everywhere.
    pub networks: Vec<IpNet>,
    expires_at: Option<Timestamp>,
    generation: u32,
    former_until: Timestamp,
    is_revoked: bool,
}

impl ApiKey {
    /// The key, if it is accepted now with the secret of this generation.
    pub fn accepted(&self, generation: u32, now: Timestamp) -> Option<&Existing> {
        let existing = self.0.as_ref()?;
        let is_current = generation == existing.generation;
        let is_former = generation + 1 == existing.generation && now < existing.former_until;
        let lasts = !existing.is_revoked && existing.expires_at.is_none_or(|end| now < end);
        (lasts && (is_current || is_former)).then_some(existing)
    }

    /// Which secret it has now; `None` if there is no such key.
    pub fn generation(&self) -> Option<u32> {
        self.0.as_ref().map(|existing| existing.generation)
    }

    /// What it may at most; `None` if there is no such key.
    pub fn grant(&self) -> Option<&Grant> {
        self.0.as_ref().map(|existing| &existing.grant)
    }
}

impl Aggregate for ApiKey {
    const CATEGORY: &'static str = "api_key";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = ApiKeyId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match (&self.0, command) {
            (None, Command::Create { organization, owner, name, grant, networks, now, expires_at }) => {
                let is_of_the_platform = *organization == OrganizationId::PLATFORM;
                match grant {
                    Grant::Permissions(_) if is_of_the_platform => return Err(Rejection::NeedsScopes),
                    Grant::Scopes(_) if !is_of_the_platform => return Err(Rejection::NeedsPermissions),
                    Grant::Scopes(scopes) if scopes.is_empty() => return Err(Rejection::NeedsScopes),
                    Grant::Permissions(_) | Grant::Scopes(_) => {}
                }
                if networks.len() > MOST_NETWORKS {
                    return Err(Rejection::TooManyNetworks);
                }
                if expires_at.is_some_and(|end| end <= *now) {
                    return Err(Rejection::EndsInThePast);
                }
                let (name, networks) = (name.0.clone(), networks.iter().map(ToString::to_string).collect());
                let (owner, grant, expires_at) = (*owner, grant.clone(), *expires_at);
                Ok(vec![Event::Created { owner, name, grant, networks, expires_at }])
            }
            (None, _) => Err(Rejection::NotFound),
            (Some(existing), command) => existing.decide(command),
        }
    }

    fn evolve(&mut self, event: &Event) {
        if let Event::Created { owner, name, grant, networks, expires_at } = event {
            self.0 = Some(Existing {
                name: name.clone(),
                owner: *owner,
                grant: grant.clone(),
                // Only networks were recorded. One that cannot be read matches nobody.
                networks: networks.iter().map(|network| network.parse().unwrap_or(NOWHERE)).collect(),
                expires_at: *expires_at,
                generation: 1,
                former_until: Timestamp::UNIX_EPOCH,
                is_revoked: false,
            });
        } else if let Some(existing) = &mut self.0 {
            existing.evolve(event);
        }
    }

    fn constraints(&self, event: &Event) -> Vec<Constraint> {
        let by = match event {
            Event::Created { .. } => 1,
            Event::Revoked {} => -1,
            Event::Rotated { .. } | Event::Adopted { .. } => return Vec::new(),
        };
        vec![Constraint::Count { name: API_KEYS.into(), by, minimum: None, maximum: None, violation: TOO_MANY_KEYS }]
    }
}

/// The network of the unspecified address, from which nobody comes.
const NOWHERE: IpNet = IpNet::V4(ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::UNSPECIFIED, 32));

impl Existing {
    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::Create { owner, name, grant, networks, expires_at, .. } => {
                let is_same = (self.owner, &self.name, &self.grant, &self.networks, self.expires_at)
                    == (*owner, &name.0, grant, networks, *expires_at);
                if is_same { Ok(vec![]) } else { Err(Rejection::Exists) }
            }
            Command::Rotate { generation, .. } if *generation <= self.generation => Ok(vec![]),
            Command::Revoke if self.is_revoked => Ok(vec![]),
            Command::Rotate { .. } | Command::Adopt { .. } if self.is_revoked => Err(Rejection::Revoked),
            Command::Rotate { now, former_until, .. } => match former_until.duration_since(*now) > LONGEST_OVERLAP {
                true => Err(Rejection::LongOverlap),
                false => Ok(vec![Event::Rotated { former_until: *former_until }]),
            },
            Command::Revoke => Ok(vec![Event::Revoked {}]),
            Command::Adopt { by } if *by == self.owner => Ok(vec![]),
            Command::Adopt { by } => Ok(vec![Event::Adopted { from: self.owner, to: *by }]),
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Created { .. } => {}
            Event::Rotated { former_until } => {
                (self.generation, self.former_until) = (self.generation + 1, *former_until);
            }
            Event::Revoked {} => self.is_revoked = true,
            Event::Adopted { to, .. } => self.owner = *to,
        }
    }
}
