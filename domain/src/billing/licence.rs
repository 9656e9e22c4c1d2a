//! Licences of an organization: what a signed token says, and the machines on which it is activated.

mod event;
mod rejection;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::{event::Event, rejection::Rejection};
use super::{
    Subscription,
    terms::{Feature, Limits, Meter},
};
use crate::{Aggregate, Constraint, InvalidText, Reason, Scope, TextEnum, Violation};

crate::ids! {
    /// A licence.
    LicenceId = "lic";
    /// An activation of a licence on a machine.
    ActivationId = "act";
}

crate::texts! {
    /// What a licence is for.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = LicenceKind))]
    pub enum Kind {
        /// To try the product: once per organization, for 14 days, on one machine.
        Trial = "trial",
        /// Follows the subscription: until 15 days after its period, and issued again at each renewal.
        Subscription = "subscription",
        /// Agreed on with the organization.
        Enterprise = "enterprise",
        /// Sold by a reseller.
        Partner = "partner",
    }

    /// What became of a licence.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = LicenceStatus))]
    pub enum Status {
        /// It can be used while it is valid.
        Active = "active",
        /// Another one took its place.
        Replaced = "replaced",
        /// It cannot be used any more.
        Revoked = "revoked",
    }

    /// Why an activation ended.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum Removal {
        /// The machine gave it back.
        Deactivated = "deactivated",
        /// A user removed it, such as that of a lost machine.
        Removed = "removed",
    }
}

/// How long a trial licence is valid.
pub const TRIAL: SignedDuration = SignedDuration::from_hours(14 * 24);
/// For how long a licence of a subscription is valid beyond its period.
pub const GRACE: SignedDuration = SignedDuration::from_hours(15 * 24);
/// The reason for which the licence of a subscription that ended is revoked.
pub const SUBSCRIPTION_ENDED: &str = "the subscription ended";
/// The most machines.
pub const MAX_ACTIVATIONS: u32 = 10_000;
/// The longest time for which a licence is valid: ten years.
const LONGEST: SignedDuration = SignedDuration::from_hours(10 * 366 * 24);

/// A machine: the SHA-256 of what identifies it, computed by the client, in base64url.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Machine(String);

impl Machine {
    /// # Errors
    /// If it is not a SHA-256 in base64url.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        let is_in_alphabet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        // 43 characters have two bits more than a hash; in the canonical form they are zero.
        let is_canonical = text.bytes().last().is_some_and(|byte| b"AEIMQUYcgkosw048".contains(&byte));
        match text.len() == 43 && text.bytes().all(is_in_alphabet) && is_canonical {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidText("must be a SHA-256 in base64url without padding: 43 characters".to_owned())),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

crate::text::entered!(Machine, Reseller);

/// The name of a reseller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reseller(String);

impl Reseller {
    /// The maximum length, in characters.
    pub const MAX_CHARACTERS: usize = 200;

    /// # Errors
    /// If it is empty, too long, or not one line.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        crate::text::company_name(text, Self::MAX_CHARACTERS).map(Self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a licence permits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LicenceTerms {
    /// The features.
    pub features: BTreeSet<Feature>,
    /// The limits.
    pub limits: Limits,
}

impl LicenceTerms {
    /// What a subscription permits now.
    pub fn of(subscription: &Subscription) -> Self {
        let limits = Limits {
            users: subscription.included(Meter::Users),
            port_calls: subscription.included(Meter::PortCalls),
            storage_bytes: subscription.included(Meter::StorageBytes),
            api_calls: subscription.included(Meter::ApiCalls),
        };
        let features = Feature::ALL.iter().copied().filter(|feature| subscription.has(*feature)).collect();
        Self { features, limits }
    }

    /// What a subscription permits, with every feature: to try the product.
    pub fn to_try(subscription: &Subscription) -> Self {
        Self { features: Feature::ALL.iter().copied().collect(), ..Self::of(subscription) }
    }
}

/// What a subscription permits, and until when its licence is valid; `None` unless it is paid.
pub fn of_subscription(subscription: &Subscription) -> Option<(LicenceTerms, Timestamp)> {
    let expires_at = subscription.period()?.ends_at.saturating_add(GRACE).ok()?;
    Some((LicenceTerms::of(subscription), expires_at))
}

/// What is issued. A licence is issued again under the same id when its terms or its end change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issue {
    /// The licence.
    pub licence: LicenceId,
    /// What it is for.
    pub kind: Kind,
    /// What it permits.
    pub terms: LicenceTerms,
    /// From when on it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub expires_at: Timestamp,
    /// On how many machines it can be activated.
    pub activations: u32,
    /// Who sold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reseller: Option<String>,
    /// The URL of the service, as the token has it.
    pub issuer: String,
    /// When it was issued, as the token has it.
    pub issued_at: Timestamp,
    /// The thumbprint of the key that signs the token.
    pub kid: String,
    /// The licence whose place it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<LicenceId>,
}

impl Issue {
    fn must_be_valid(&self) -> Result<(), Rejection> {
        let lasts = self.expires_at.duration_since(self.not_before);
        if lasts <= SignedDuration::ZERO || self.expires_at <= self.issued_at {
            return Err(Rejection::Invalid("`expires_at` must be after `not_before`, and in the future"));
        }
        if lasts > LONGEST {
            return Err(Rejection::Invalid("a licence must expire within ten years"));
        }
        if !(1..=MAX_ACTIVATIONS).contains(&self.activations) {
            return Err(Rejection::Invalid("`activations` must be from 1 to 10,000"));
        }
        if (self.kind == Kind::Partner) != self.reseller.is_some() {
            return Err(Rejection::Invalid("a partner licence names its reseller, and no other licence does"));
        }
        Ok(())
    }
}

/// Commands on a licence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Issue it.
    Issue(Box<Issue>),
    /// Issue the licence of a subscription again, if what it permits or its end changed.
    Renew {
        /// What it permits.
        terms: LicenceTerms,
        /// Until when it is valid.
        expires_at: Timestamp,
        /// The key that signs it.
        kid: String,
        /// The current time.
        now: Timestamp,
    },
    /// Put another one in its place.
    Replace {
        /// That one.
        by: LicenceId,
    },
    /// Revoke it.
    Revoke {
        /// Why.
        reason: Reason,
    },
    /// Activate it on a machine.
    Activate {
        /// The activation, if the machine has none yet.
        activation: ActivationId,
        /// The machine.
        machine: Machine,
        /// The current time.
        now: Timestamp,
    },
    /// End the activation on a machine.
    Deactivate {
        /// The machine.
        machine: Machine,
    },
    /// Remove an activation.
    RemoveActivation {
        /// The activation.
        activation: ActivationId,
    },
}

/// The counters of activations, by licence.
pub const ACTIVATIONS: &str = "activations";
/// The kind of name under which a licence claims its machines.
const MACHINES: &str = "machine";
/// The kind of name under which an organization claims its only trial.
const TRIALS: &str = "trial_licence";

const LIMIT_REACHED: Violation = Violation::new(
    crate::Kind::Conflict,
    "activation-limit-reached",
    "the licence is activated on {bound} machines, which is its maximum: deactivate it on another one first",
);
const MACHINE_KNOWN: Violation =
    Violation::new(crate::Kind::Conflict, "machine-activated", "the licence is already activated on this machine");
const TRIAL_USED: Violation = Violation::new(
    crate::Kind::Conflict,
    "trial-licence-used",
    "the organization has had its trial licence: issue a licence of another kind",
);

/// The state of a licence.
#[derive(Debug, Clone, Default)]
pub struct Licence(Option<Existing>);

#[derive(Debug, Clone)]
struct Existing {
    issue: Issue,
    status: Status,
    replaced_by: Option<LicenceId>,
    activations: BTreeMap<ActivationId, String>,
}

impl Licence {
    /// What was issued last.
    pub fn issue(&self) -> Option<&Issue> {
        self.0.as_ref().map(|existing| &existing.issue)
    }

    /// What became of it.
    pub fn status(&self) -> Option<Status> {
        self.0.as_ref().map(|existing| existing.status)
    }

    /// What follows when it is issued under another id, in its own place.
    pub fn replacement(&self, by: LicenceId, kid: String, issued_at: Timestamp) -> Option<Issue> {
        let issue = self.issue()?;
        Some(Issue { licence: by, kid, issued_at, replaces: Some(issue.licence), ..issue.clone() })
    }
}

impl Aggregate for Licence {
    const CATEGORY: &'static str = "licence";
    type Id = LicenceId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match (&self.0, command) {
            (Some(existing), command) => existing.decide(command),
            (None, Command::Issue(issue)) => {
                issue.must_be_valid()?;
                Ok(vec![Event::Issued(issue.clone())])
            }
            (None, _) => Err(Rejection::NotFound),
        }
    }

    fn evolve(&mut self, event: &Event) {
        match (&mut self.0, event) {
            (Some(existing), Event::Issued(issue)) => existing.issue = (**issue).clone(),
            (None, Event::Issued(issue)) => {
                let (issue, activations) = ((**issue).clone(), BTreeMap::new());
                self.0 = Some(Existing { issue, status: Status::Active, replaced_by: None, activations });
            }
            (Some(existing), Event::Replaced { by }) => {
                (existing.status, existing.replaced_by) = (Status::Replaced, Some(*by));
            }
            (Some(existing), Event::Revoked { .. }) => existing.status = Status::Revoked,
            (Some(existing), Event::ActivationAdded { activation, machine }) => {
                existing.activations.insert(*activation, machine.clone());
            }
            (Some(existing), Event::ActivationRemoved { activation, .. }) => {
                existing.activations.remove(activation);
            }
            (None, _) => {}
        }
    }

    fn constraints(&self, event: &Event) -> Vec<Constraint> {
        match (&self.0, event) {
            (None, Event::Issued(issue)) if issue.kind == Kind::Trial && issue.replaces.is_none() => {
                let (scope, name) = (Scope::Organization, Some("once".to_owned()));
                vec![Constraint::Claim { scope, kind: TRIALS, name, violation: TRIAL_USED }]
            }
            (Some(existing), Event::ActivationAdded { machine, .. }) => {
                let scope = Scope::Organization;
                let name = Some(existing.name_of(machine));
                vec![existing.count(1), Constraint::Claim { scope, kind: MACHINES, name, violation: MACHINE_KNOWN }]
            }
            (Some(existing), Event::ActivationRemoved { activation, .. }) => {
                let name = existing.activations.get(activation).map(|machine| existing.name_of(machine));
                vec![existing.count(-1), Constraint::Release { scope: Scope::Organization, kind: MACHINES, name }]
            }
            (_, Event::Issued(_) | Event::Replaced { .. } | Event::Revoked { .. })
            | (None, Event::ActivationAdded { .. } | Event::ActivationRemoved { .. }) => Vec::new(),
        }
    }
}

impl Existing {
    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::Issue(issue) if **issue == self.issue => Ok(vec![]),
            Command::Issue(_) => Err(Rejection::Exists),
            Command::Renew { terms, expires_at, kid, now } => Ok(self.renew(terms, *expires_at, (kid, *now))),
            Command::Replace { by } if self.replaced_by == Some(*by) => Ok(vec![]),
            Command::Replace { .. } if self.status != Status::Active => Err(Rejection::Revoked),
            Command::Replace { by } => Ok(vec![Event::Replaced { by: *by }]),
            Command::Revoke { .. } if self.status != Status::Active => Ok(vec![]),
            Command::Revoke { reason } => Ok(vec![Event::Revoked { reason: reason.as_str().to_owned() }]),
            Command::Activate { activation, machine, now } => self.activate(*activation, machine, *now),
            Command::Deactivate { machine } => Ok(match self.on(machine) {
                Some(activation) => vec![Event::ActivationRemoved { activation, why: Removal::Deactivated }],
                None => vec![],
            }),
            Command::RemoveActivation { activation } => Ok(match self.activations.contains_key(activation) {
                true => vec![Event::ActivationRemoved { activation: *activation, why: Removal::Removed }],
                false => vec![],
            }),
        }
    }

    /// What no longer applies changes nothing.
    fn renew(&self, terms: &LicenceTerms, expires_at: Timestamp, (kid, now): (&String, Timestamp)) -> Vec<Event> {
        let Self { issue, .. } = self;
        let is_same = issue.terms == *terms && issue.expires_at == expires_at;
        if self.status != Status::Active || issue.kind != Kind::Subscription || is_same || expires_at <= now {
            return vec![];
        }
        let (terms, kid) = (terms.clone(), kid.clone());
        vec![Event::Issued(Box::new(Issue { terms, expires_at, kid, issued_at: now, ..issue.clone() }))]
    }

    fn activate(&self, activation: ActivationId, machine: &Machine, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        match () {
            () if self.status != Status::Active => Err(Rejection::Revoked),
            () if now < self.issue.not_before => Err(Rejection::NotYetValid),
            () if now >= self.issue.expires_at => Err(Rejection::Expired),
            () if self.on(machine).is_some() => Ok(vec![]),
            () => Ok(vec![Event::ActivationAdded { activation, machine: machine.as_str().to_owned() }]),
        }
    }

    fn on(&self, machine: &Machine) -> Option<ActivationId> {
        self.activations.iter().find(|(_, known)| *known == machine.as_str()).map(|(activation, _)| *activation)
    }

    fn count(&self, by: i64) -> Constraint {
        Constraint::Count {
            scope: Scope::Organization,
            name: format!("{ACTIVATIONS} {}", self.issue.licence).into(),
            by,
            minimum: Some(0),
            maximum: Some(self.issue.activations.into()),
            violation: LIMIT_REACHED,
        }
    }

    fn name_of(&self, machine: &str) -> String {
        format!("{} {machine}", self.issue.licence)
    }
}

#[cfg(test)]
mod tests;
