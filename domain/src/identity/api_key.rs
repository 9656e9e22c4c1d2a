//! API keys: a program acts on behalf of a user, and never with more permissions than that user has.

mod event;
mod rejection;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::{
    event::{Creation, Event},
    rejection::Rejection,
};
use super::role::Permissions;
use crate::{
    Aggregate, ApiKeyId, Constraint, InvalidText, Kind, OrganizationId, Personal, Scope, UserId, Violation, text,
};

/// The counter of an organization's keys that are not revoked.
pub const API_KEYS: &str = "api_keys";
/// The longest time that the previous secret of a key stays valid after a rotation.
pub const LONGEST_OVERLAP: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The maximum number of networks that a key can be restricted to.
pub const MOST_NETWORKS: usize = 50;

/// Commands on an API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Create it.
    Create {
        /// The organization that it belongs to.
        organization: OrganizationId,
        /// The user on whose behalf it acts.
        owner: UserId,
        /// Its purpose in a few words.
        name: KeyName,
        /// The upper bound of what it may do.
        grant: Grant,
        /// The networks from which it is accepted; empty means everywhere.
        networks: Vec<IpNet>,
        /// When it is created.
        now: Timestamp,
        /// When it expires.
        expires_at: Option<Timestamp>,
    },
    /// Rotate its secret.
    Rotate {
        /// The number of the new secret: 2, 3, …
        generation: u32,
        /// When it is rotated.
        now: Timestamp,
        /// Until when the previous secret stays valid.
        former_until: Timestamp,
    },
    /// Revoke it permanently.
    Revoke,
    /// Transfer it to another owner.
    Adopt {
        /// The new owner.
        by: UserId,
    },
}

/// The upper bound of what a key may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// These permissions, within the organization.
    Permissions(Permissions),
    /// These permissions and scopes, within the organization.
    PermissionsAndScopes {
        /// The permissions.
        permissions: Permissions,
        /// What it may do beside them, of what scopes of organizations allow.
        scopes: BTreeSet<KeyScope>,
    },
    /// These scopes, in all organizations: for keys of the platform.
    Scopes(BTreeSet<KeyScope>),
}

crate::texts! {
    /// What a key may do: one of the platform in all organizations, one of an organization there.
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
        /// Read port calls and service orders: only keys of organizations.
        ReadOperations = "operations:read",
        /// Create and change port calls and service orders: only keys of organizations.
        WriteOperations = "operations:write",
    }
}

impl KeyScope {
    /// Whether it is for keys of organizations; otherwise it is for keys of the platform.
    pub const fn is_of_organizations(self) -> bool {
        match self {
            Self::ReadOperations | Self::WriteOperations => true,
            Self::ReadOrganizations
            | Self::WriteOrganizations
            | Self::ReadUsers
            | Self::WriteUsers
            | Self::ReadAuditLog => false,
        }
    }
}

const TOO_MANY_KEYS: Violation = Violation::new(
    Kind::Conflict,
    "too-many-api-keys",
    "an organization can have at most {bound} API keys: revoke one first",
);

/// The name of a key: its purpose in a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName(String);

impl KeyName {
    /// # Errors
    /// If it is empty, longer than 100 characters, has control or invisible characters, or looks like a link.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        text::name(text, 100).map(Self)
    }
}

/// The state of an API key: only what `decide` needs.
#[derive(Debug, Clone, Default)]
pub struct ApiKey(Option<Existing>);

/// An existing key.
#[derive(Debug, Clone)]
pub struct Existing {
    /// `None` once it was erased.
    name: Option<String>,
    /// The user on whose behalf it acts.
    pub owner: UserId,
    /// The upper bound of what it may do.
    pub grant: Grant,
    /// The networks from which it is accepted; empty means everywhere.
    pub networks: Vec<IpNet>,
    expires_at: Option<Timestamp>,
    generation: u32,
    former_until: Timestamp,
    is_revoked: bool,
}

impl ApiKey {
    /// The key, if the secret of this generation is valid now.
    pub fn accepted(&self, generation: u32, now: Timestamp) -> Option<&Existing> {
        let existing = self.0.as_ref()?;
        let is_current = generation == existing.generation;
        let is_former = generation + 1 == existing.generation && now < existing.former_until;
        let lasts = !existing.is_revoked && existing.expires_at.is_none_or(|end| now < end);
        (lasts && (is_current || is_former)).then_some(existing)
    }

    /// The generation of its current secret; `None` if there is no such key.
    pub fn generation(&self) -> Option<u32> {
        self.0.as_ref().map(|existing| existing.generation)
    }

    /// The upper bound of what it may do; `None` if there is no such key.
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
                grant.check(*organization)?;
                if networks.len() > MOST_NETWORKS {
                    return Err(Rejection::TooManyNetworks);
                }
                if expires_at.is_some_and(|end| end <= *now) {
                    return Err(Rejection::EndsInThePast);
                }
                let (name, networks) =
                    (Personal::identity(*organization, &name.0), networks.iter().map(ToString::to_string).collect());
                let (owner, grant, expires_at) = (*owner, grant.clone(), *expires_at);
                Ok(vec![Event::Created { owner, name, grant, networks, expires_at }])
            }
            (None, _) => Err(Rejection::NotFound),
            (Some(existing), command) => existing.decide(command),
        }
    }

    fn evolve(&mut self, event: &Event) {
        if let Some(Creation { owner, name, grant, networks, expires_at }) = event.creation() {
            self.0 = Some(Existing {
                name: name.map(str::to_owned),
                owner,
                grant: grant.clone(),
                // Only valid networks are recorded. One that cannot be parsed matches no client.
                networks: networks.iter().map(|network| network.parse().unwrap_or(NOWHERE)).collect(),
                expires_at,
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
            Event::CreatedV1 { .. } | Event::Created { .. } => 1,
            Event::Revoked {} => -1,
            Event::Rotated { .. } | Event::Adopted { .. } => return Vec::new(),
        };
        vec![Constraint::Count {
            scope: Scope::Organization,
            name: API_KEYS.into(),
            by,
            minimum: None,
            maximum: None,
            violation: TOO_MANY_KEYS,
        }]
    }
}

impl Grant {
    /// Whether a key of this organization can have it.
    fn check(&self, organization: OrganizationId) -> Result<(), Rejection> {
        let is_of_the_platform = organization == OrganizationId::PLATFORM;
        let has = |scopes: &BTreeSet<KeyScope>, is_of_organizations| {
            scopes.iter().any(|scope| scope.is_of_organizations() == is_of_organizations)
        };
        match self {
            Self::Permissions(_) | Self::PermissionsAndScopes { .. } if is_of_the_platform => {
                Err(Rejection::NeedsScopes)
            }
            Self::PermissionsAndScopes { scopes, .. } if has(scopes, false) => Err(Rejection::NeedsPermissions),
            Self::Scopes(_) if !is_of_the_platform => Err(Rejection::NeedsPermissions),
            Self::Scopes(scopes) if scopes.is_empty() || has(scopes, true) => Err(Rejection::NeedsScopes),
            Self::Permissions(_) | Self::PermissionsAndScopes { .. } | Self::Scopes(_) => Ok(()),
        }
    }
}

/// The network of the unspecified address, which is never a client's address.
const NOWHERE: IpNet = IpNet::V4(ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::UNSPECIFIED, 32));

impl Existing {
    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::Create { owner, name, grant, networks, expires_at, .. } => {
                let is_same = (self.owner, self.name.as_deref(), &self.grant, &self.networks, self.expires_at)
                    == (*owner, Some(&*name.0), grant, networks, *expires_at);
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
            Event::CreatedV1 { .. } | Event::Created { .. } => {}
            Event::Rotated { former_until } => {
                (self.generation, self.former_until) = (self.generation + 1, *former_until);
            }
            Event::Revoked {} => self.is_revoked = true,
            Event::Adopted { to, .. } => self.owner = *to,
        }
    }
}
