//! The life of an organization, and its settings.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    address::DomainName,
    organization_status::{Capability, OrganizationStatus},
    settings::{Branding, BusinessHours, InvalidSetting, Locale, Settings},
};
use crate::{Aggregate, Constraint, InvalidText, Kind, OrganizationId, Personal, Reason, Scope, Violation, text::name};

/// What can be asked of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Make it, with default settings and a trial.
    Create {
        /// Its name.
        name: OrganizationName,
        /// Its domain, unique on the platform.
        domain: DomainName,
        /// When its trial ends.
        trial_ends_at: Timestamp,
    },
    /// Call it otherwise.
    Rename {
        /// The new name.
        name: OrganizationName,
    },
    /// Let it look otherwise.
    ChangeBranding(Branding),
    /// Let it work at other times.
    ChangeBusinessHours(BusinessHours),
    /// Write to it in another language.
    ChangeLocale(Locale),
    /// Lock its users out; its data is kept.
    Suspend {
        /// Whose record the reason belongs to.
        organization: OrganizationId,
        /// Why.
        reason: Reason,
    },
    /// Let its users in again.
    Reactivate,
    /// End it for good.
    Deactivate {
        /// Whose record the reason belongs to.
        organization: OrganizationId,
        /// Why.
        reason: Reason,
    },
}

/// What can happen to an organization. Stored for ever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// It was made.
    #[serde(rename = "organization.created.v1")]
    Created {
        /// Its name.
        name: String,
        /// Its domain in A-labels.
        domain: String,
        /// Its plan.
        plan: String,
        /// When its trial ends.
        trial_ends_at: Timestamp,
        /// What it begins with.
        settings: Settings,
    },
    /// It got another name.
    #[serde(rename = "organization.renamed.v1")]
    Renamed {
        /// The old name.
        from: String,
        /// The new name.
        to: String,
    },
    /// It looks otherwise.
    #[serde(rename = "organization.branding_changed.v1")]
    BrandingChanged {
        /// How it looked.
        from: Branding,
        /// How it looks.
        to: Branding,
    },
    /// It works at other times.
    #[serde(rename = "organization.business_hours_changed.v1")]
    BusinessHoursChanged {
        /// When it worked.
        from: BusinessHours,
        /// When it works.
        to: BusinessHours,
    },
    /// It is written to in another language.
    #[serde(rename = "organization.locale_changed.v1")]
    LocaleChanged {
        /// The old language.
        from: Locale,
        /// The new language.
        to: Locale,
    },
    /// Its users were locked out.
    #[serde(rename = "organization.suspended.v1")]
    Suspended {
        /// Why.
        reason: Personal,
    },
    /// Its users were let in again.
    #[serde(rename = "organization.reactivated.v1")]
    Reactivated {},
    /// It was ended for good.
    #[serde(rename = "organization.deactivated.v1")]
    Deactivated {
        /// Why.
        reason: Personal,
    },
}

/// Why something may not happen to an organization.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is none.
    #[error("there is no such organization")]
    NotFound,
    /// There is one by this id, and it is another.
    #[error("an organization with this id exists already")]
    Exists,
    /// Its status forbids it.
    #[error("the organization is {}", status_word(*.0))]
    Status(OrganizationStatus),
    /// It is the platform's own.
    #[error("the platform's own organization can be neither suspended nor deactivated")]
    Platform,
    /// A setting makes no sense.
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
        OrganizationStatus::Deactivated => "deactivated for good",
    }
}

/// The name of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationName(String);

impl OrganizationName {
    /// # Errors
    /// If it is empty, longer than 200 characters, has control or invisible characters, or looks like a link.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        name(text, 200).map(Self)
    }
}

const DOMAIN_TAKEN: Violation =
    Violation::new(Kind::Conflict, "domain-taken", "another organization has this domain: choose another one");

/// The plan with which every organization begins.
const TRIAL_PLAN: &str = "starter";
/// The plans that have API keys.
const PLANS_WITH_API_KEYS: [&str; 2] = [TRIAL_PLAN, "enterprise"];

/// An organization, as far as decisions need it.
#[derive(Debug, Clone, Default)]
pub struct Organization(Option<Existing>);

#[derive(Debug, Clone)]
struct Existing {
    name: String,
    domain: String,
    plan: String,
    settings: Settings,
    status: OrganizationStatus,
    /// How often all sessions of its users have ended at once.
    session_epoch: u64,
}

impl Organization {
    /// Its domain; `None` if there is none.
    pub fn domain(&self) -> Option<&str> {
        self.0.as_ref().map(|existing| existing.domain.as_str())
    }

    /// How it stands; `None` if there is none.
    pub fn status(&self) -> Option<OrganizationStatus> {
        self.0.as_ref().map(|existing| existing.status)
    }

    /// What it is called by its people: the name that it shows, or else its own; `None` if there is none.
    pub fn shown_name(&self) -> Option<&str> {
        let existing = self.0.as_ref()?;
        Some(existing.settings.branding.display_name.as_deref().unwrap_or(&existing.name))
    }

    /// How often all sessions of its users have ended at once: what a session that begins now is of.
    pub fn session_epoch(&self) -> u64 {
        self.0.as_ref().map_or(0, |existing| existing.session_epoch)
    }

    /// Whether its plan has API keys. The trial tries everything.
    pub fn has_api_keys(&self) -> bool {
        self.0.as_ref().is_some_and(|existing| PLANS_WITH_API_KEYS.contains(&existing.plan.as_str()))
    }

    /// What it has set for itself; `None` if there is none.
    pub fn settings(&self) -> Option<&Settings> {
        self.0.as_ref().map(|existing| &existing.settings)
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
                | Command::Suspend { .. }
                | Command::Reactivate
                | Command::Deactivate { .. } => Err(Rejection::NotFound),
            };
        };
        existing.decide(command)
    }

    fn evolve(&mut self, event: &Event) {
        if let Event::Created { name, domain, plan, settings, .. } = event {
            let (name, domain, plan, settings) = (name.clone(), domain.clone(), plan.clone(), settings.clone());
            self.0 =
                Some(Existing { name, domain, plan, settings, status: OrganizationStatus::Active, session_epoch: 0 });
        } else if let Some(existing) = &mut self.0 {
            existing.evolve(event);
        }
    }

    /// The domain stays claimed after a deactivation, so that nobody takes over the mails of a former customer.
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
            Command::ChangeBranding(branding) => {
                allowed(Capability::BeAdministered)?;
                let to = branding.clone().checked()?;
                Ok(changed(&self.settings.branding, &to, |from, to| Event::BrandingChanged { from, to }))
            }
            Command::ChangeBusinessHours(hours) => {
                allowed(Capability::BeAdministered)?;
                let to = hours.clone().checked()?;
                Ok(changed(&self.settings.business_hours, &to, |from, to| Event::BusinessHoursChanged { from, to }))
            }
            Command::ChangeLocale(locale) => {
                allowed(Capability::BeAdministered)?;
                Ok(changed(&self.settings.locale, locale, |from, to| Event::LocaleChanged { from, to }))
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
            Event::Suspended { .. } => {
                (self.status, self.session_epoch) = (OrganizationStatus::Suspended, self.session_epoch + 1)
            }
            Event::Reactivated {} => self.status = OrganizationStatus::Active,
            Event::Deactivated { .. } => self.status = OrganizationStatus::Deactivated,
        }
    }
}

/// The event of a change from one value to another; none if they are the same.
fn changed<T: Clone + PartialEq>(from: &T, to: &T, event: impl FnOnce(T, T) -> Event) -> Vec<Event> {
    if from == to { vec![] } else { vec![event(from.clone(), to.clone())] }
}

#[cfg(test)]
mod tests;
