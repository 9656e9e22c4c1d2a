//! The lifecycle of an organization, and its settings.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    address::DomainName,
    invitation_quota::{InvitationQuota, InvitationQuotaPatch},
    organization_status::{Capability, OrganizationStatus},
    settings::{Branding, BrandingPatch, BusinessHours, BusinessHoursPatch, InvalidSetting, Locale, Settings},
};
use crate::{
    Aggregate, Constraint, InvalidText, Kind, OrganizationId, Personal, Reason, Scope, Violation, text::company_name,
};

/// Commands on an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Create it with default settings.
    Create {
        /// Its name.
        name: OrganizationName,
        /// Its domain, unique on the platform.
        domain: DomainName,
        /// When its trial ends; `None` for the platform's own organization.
        trial_ends_at: Option<Timestamp>,
    },
    /// Change its name.
    Rename {
        /// The new name.
        name: OrganizationName,
    },
    /// Change members of its branding.
    ChangeBranding(BrandingPatch),
    /// Change members of its business hours.
    ChangeBusinessHours(BusinessHoursPatch),
    /// Change its locale.
    ChangeLocale(Locale),
    /// Change how many invitations it may send.
    ChangeInvitationQuota(InvitationQuotaPatch),
    /// Suspend it: its users can no longer sign in; its data is retained.
    Suspend {
        /// The organization itself, which owns the reason as a personal value.
        organization: OrganizationId,
        /// Why.
        reason: Reason,
    },
    /// Reactivate it after a suspension.
    Reactivate,
    /// Deactivate it permanently.
    Deactivate {
        /// The organization itself, which owns the reason as a personal value.
        organization: OrganizationId,
        /// Why.
        reason: Reason,
    },
}

/// Events of an organization. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// It was created.
    #[serde(rename = "organization.created.v1")]
    Created {
        /// Its name.
        name: String,
        /// Its domain in A-labels.
        domain: String,
        /// Its plan.
        plan: String,
        /// When its trial ends; `None` for the platform's own organization.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trial_ends_at: Option<Timestamp>,
        /// Its initial settings.
        settings: Settings,
    },
    /// Its name changed.
    #[serde(rename = "organization.renamed.v1")]
    Renamed {
        /// The old name.
        from: String,
        /// The new name.
        to: String,
    },
    /// Its branding changed.
    #[serde(rename = "organization.branding_changed.v1")]
    BrandingChanged {
        /// The old branding.
        from: Branding,
        /// The new branding.
        to: Branding,
    },
    /// Its business hours changed.
    #[serde(rename = "organization.business_hours_changed.v1")]
    BusinessHoursChanged {
        /// The old hours.
        from: BusinessHours,
        /// The new hours.
        to: BusinessHours,
    },
    /// Its locale changed.
    #[serde(rename = "organization.locale_changed.v1")]
    LocaleChanged {
        /// The old locale.
        from: Locale,
        /// The new locale.
        to: Locale,
    },
    /// The number of invitations that it may send changed.
    #[serde(rename = "organization.invitation_quota_changed.v1")]
    InvitationQuotaChanged {
        /// The old quota.
        from: InvitationQuota,
        /// The new quota.
        to: InvitationQuota,
    },
    /// It was suspended.
    #[serde(rename = "organization.suspended.v1")]
    Suspended {
        /// Why.
        reason: Personal,
    },
    /// It was reactivated.
    #[serde(rename = "organization.reactivated.v1")]
    Reactivated {},
    /// It was deactivated permanently.
    #[serde(rename = "organization.deactivated.v1")]
    Deactivated {
        /// Why.
        reason: Personal,
    },
}

/// Why a command on an organization is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It does not exist.
    #[error("there is no such organization")]
    NotFound,
    /// A different organization with this id exists.
    #[error("an organization with this id already exists")]
    Exists,
    /// Its status does not allow it.
    #[error("the organization is {}", status_word(*.0))]
    Status(OrganizationStatus),
    /// It is the platform's own organization.
    #[error("the platform's own organization can be neither suspended nor deactivated")]
    Platform,
    /// A setting is invalid.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Exists | Self::Status(_) | Self::Platform => Kind::Conflict,
            Self::Setting(_) => Kind::Invalid,
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::NotFound => "organization-not-found",
            Self::Exists => "organization-exists",
            Self::Status(OrganizationStatus::Active) => "organization-active",
            Self::Status(OrganizationStatus::Suspended) => "organization-suspended",
            Self::Status(OrganizationStatus::Deactivated) => "organization-deactivated",
            Self::Platform => "platform-organization",
            Self::Setting(_) => "invalid-setting",
        }
    }
}

fn status_word(status: OrganizationStatus) -> &'static str {
    match status {
        OrganizationStatus::Active => "active",
        OrganizationStatus::Suspended => "suspended",
        OrganizationStatus::Deactivated => "permanently deactivated",
    }
}

/// The name of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationName(String);

impl OrganizationName {
    /// # Errors
    /// If it is empty, longer than 200 characters, has control or invisible characters, or contains a link other than a domain.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        company_name(text, 200).map(Self)
    }
}

const DOMAIN_TAKEN: Violation =
    Violation::new(Kind::Conflict, "domain-taken", "another organization uses this domain: choose a different one");

/// The plan of every new organization.
const TRIAL_PLAN: &str = "starter";

/// The state of an organization: only what `decide` needs.
#[derive(Debug, Clone, Default)]
pub struct Organization(Option<Existing>);

#[derive(Debug, Clone)]
struct Existing {
    name: String,
    domain: String,
    settings: Settings,
    invitation_quota: InvitationQuota,
    status: OrganizationStatus,
    /// How often all sessions of its users have been ended at once.
    session_epoch: u64,
}

impl Organization {
    /// Its domain; `None` if it does not exist.
    pub fn domain(&self) -> Option<&str> {
        self.0.as_ref().map(|existing| existing.domain.as_str())
    }

    /// Its status; `None` if it does not exist.
    pub fn status(&self) -> Option<OrganizationStatus> {
        self.0.as_ref().map(|existing| existing.status)
    }

    /// Its name; `None` if it does not exist.
    pub fn name(&self) -> Option<&str> {
        self.0.as_ref().map(|existing| existing.name.as_str())
    }

    /// Its display name, or else its name; `None` if it does not exist.
    pub fn shown_name(&self) -> Option<&str> {
        let existing = self.0.as_ref()?;
        Some(existing.settings.branding.display_name.as_deref().unwrap_or(&existing.name))
    }

    /// How often all sessions of its users have been ended at once: the epoch of a session that starts now.
    pub fn session_epoch(&self) -> u64 {
        self.0.as_ref().map_or(0, |existing| existing.session_epoch)
    }

    /// Its settings; `None` if it does not exist.
    pub fn settings(&self) -> Option<&Settings> {
        self.0.as_ref().map(|existing| &existing.settings)
    }

    /// How many invitations it may send, where that differs from the operator's default.
    pub fn invitation_quota(&self) -> InvitationQuota {
        self.0.as_ref().map(|existing| existing.invitation_quota).unwrap_or_default()
    }

    /// # Errors
    /// If there is no such organization, or its status does not allow it.
    pub fn allow(&self, capability: Capability) -> Result<(), Rejection> {
        let status = self.status().ok_or(Rejection::NotFound)?;
        if status.allows(capability) { Ok(()) } else { Err(Rejection::Status(status)) }
    }
}

impl Aggregate for Organization {
    const CATEGORY: &'static str = "organization";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = OrganizationId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        let Some(existing) = &self.0 else {
            return match command {
                Command::Create { name, domain, trial_ends_at } => Ok(vec![Event::Created {
                    name: name.0.clone(),
                    domain: domain.to_string(),
                    plan: TRIAL_PLAN.to_owned(),
                    trial_ends_at: *trial_ends_at,
                    settings: Settings::default(),
                }]),
                Command::Rename { .. }
                | Command::ChangeBranding(_)
                | Command::ChangeBusinessHours(_)
                | Command::ChangeLocale(_)
                | Command::ChangeInvitationQuota(_)
                | Command::Suspend { .. }
                | Command::Reactivate
                | Command::Deactivate { .. } => Err(Rejection::NotFound),
            };
        };
        existing.decide(command)
    }

    fn evolve(&mut self, event: &Event) {
        if let Event::Created { name, domain, settings, .. } = event {
            let (name, domain, settings) = (name.clone(), domain.clone(), settings.clone());
            let (status, invitation_quota) = (OrganizationStatus::Active, InvitationQuota::default());
            self.0 = Some(Existing { name, domain, settings, invitation_quota, status, session_epoch: 0 });
        } else if let Some(existing) = &mut self.0 {
            existing.evolve(event);
        }
    }

    /// The domain stays claimed after a deactivation, so that nobody can take over the mail of a former customer.
    fn constraints(&self, event: &Event) -> Vec<Constraint> {
        match event {
            Event::Created { domain, .. } => {
                vec![Constraint::Claim {
                    scope: Scope::Platform,
                    kind: "domain",
                    name: Some(domain.clone()),
                    violation: DOMAIN_TAKEN,
                }]
            }
            Event::Renamed { .. }
            | Event::BrandingChanged { .. }
            | Event::BusinessHoursChanged { .. }
            | Event::LocaleChanged { .. }
            | Event::InvitationQuotaChanged { .. }
            | Event::Suspended { .. }
            | Event::Reactivated {}
            | Event::Deactivated { .. } => Vec::new(),
        }
    }
}

impl Existing {
    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        let allowed = |capability| match self.status.allows(capability) {
            true => Ok(()),
            false => Err(Rejection::Status(self.status)),
        };
        match command {
            Command::Create { name, domain, .. } if name.0 == self.name && domain.as_str() == self.domain => Ok(vec![]),
            Command::Create { .. } => Err(Rejection::Exists),
            Command::Rename { name } => {
                allowed(Capability::BeAdministered)?;
                Ok(changed(&self.name, &name.0, |from, to| Event::Renamed { from, to }))
            }
            Command::ChangeBranding(patch) => {
                allowed(Capability::BeAdministered)?;
                let to = patch.apply(&self.settings.branding).checked()?;
                Ok(changed(&self.settings.branding, &to, |from, to| Event::BrandingChanged { from, to }))
            }
            Command::ChangeBusinessHours(patch) => {
                allowed(Capability::BeAdministered)?;
                let to = patch.apply(&self.settings.business_hours)?;
                Ok(changed(&self.settings.business_hours, &to, |from, to| Event::BusinessHoursChanged { from, to }))
            }
            Command::ChangeLocale(locale) => {
                allowed(Capability::BeAdministered)?;
                Ok(changed(&self.settings.locale, locale, |from, to| Event::LocaleChanged { from, to }))
            }
            Command::ChangeInvitationQuota(patch) => {
                allowed(Capability::BeAdministered)?;
                let to = patch.apply(self.invitation_quota)?;
                Ok(changed(&self.invitation_quota, &to, |from, to| Event::InvitationQuotaChanged { from, to }))
            }
            Command::Suspend { organization, .. } | Command::Deactivate { organization, .. }
                if *organization == OrganizationId::PLATFORM =>
            {
                Err(Rejection::Platform)
            }
            Command::Suspend { .. } if self.status == OrganizationStatus::Suspended => Ok(vec![]),
            Command::Suspend { organization, reason } => {
                allowed(Capability::ChangeStatus)?;
                Ok(vec![Event::Suspended { reason: Personal::identity(*organization, reason.as_str()) }])
            }
            Command::Reactivate if self.status == OrganizationStatus::Active => Ok(vec![]),
            Command::Reactivate => {
                allowed(Capability::ChangeStatus)?;
                Ok(vec![Event::Reactivated {}])
            }
            Command::Deactivate { .. } if self.status == OrganizationStatus::Deactivated => Ok(vec![]),
            Command::Deactivate { organization, reason } => {
                allowed(Capability::ChangeStatus)?;
                Ok(vec![Event::Deactivated { reason: Personal::identity(*organization, reason.as_str()) }])
            }
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Created { .. } => {}
            Event::Renamed { to, .. } => self.name.clone_from(to),
            Event::BrandingChanged { to, .. } => self.settings.branding = to.clone(),
            Event::BusinessHoursChanged { to, .. } => self.settings.business_hours = to.clone(),
            Event::LocaleChanged { to, .. } => self.settings.locale = to.clone(),
            Event::InvitationQuotaChanged { to, .. } => self.invitation_quota = *to,
            Event::Suspended { .. } => {
                (self.status, self.session_epoch) = (OrganizationStatus::Suspended, self.session_epoch + 1)
            }
            Event::Reactivated {} => self.status = OrganizationStatus::Active,
            Event::Deactivated { .. } => self.status = OrganizationStatus::Deactivated,
        }
    }
}

/// The event for a changed value; none if the values are equal.
fn changed<T: Clone + PartialEq>(from: &T, to: &T, event: impl FnOnce(T, T) -> Event) -> Vec<Event> {
    if from == to { vec![] } else { vec![event(from.clone(), to.clone())] }
}

#[cfg(test)]
mod tests;
