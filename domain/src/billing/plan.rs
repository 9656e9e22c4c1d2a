//! Plans: what the platform sells, in versions that never change. Those that every platform has are in `built_in.rs`.

mod built_in;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::built_in::built_in;
use super::terms::{Offer, PlanPrice, Terms};
use crate::{Aggregate, Constraint, InvalidText, Kind, OrganizationId, Scope, Violation, text};

crate::ids! {
    /// A plan.
    PlanId = "pln";
}

impl PlanId {
    /// The plan Starter, which every platform has.
    pub const STARTER: Self = Self(Uuid::from_u128(0x0190_0000_0000_8000_8000_0000_0000_0001));
    /// The plan Professional, which every platform has: its limits hold in trials.
    pub const PROFESSIONAL: Self = Self(Uuid::from_u128(0x0190_0000_0000_8000_8000_0000_0000_0002));
    /// The plan Enterprise, which every platform has.
    pub const ENTERPRISE: Self = Self(Uuid::from_u128(0x0190_0000_0000_8000_8000_0000_0000_0003));
}

crate::texts! {
    /// Who can choose a plan.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = PlanVisibility))]
    pub enum Visibility {
        /// Every organization.
        Public = "public",
        /// Organizations that the platform's staff gives it to.
        Private = "private",
    }
}

/// The short name of a plan or coupon, which is unique: letters, digits, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code(String);

text::entered!(Code);

impl Code {
    /// The maximum length, in characters.
    pub const MAX_CHARACTERS: usize = 40;

    /// A code in Unicode's compatibility form (NFKC).
    ///
    /// # Errors
    /// If it is empty, too long, or has other characters.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        use unicode_normalization::UnicodeNormalization;
        let code: String = text.trim().chars().take(200).nfkc().collect();
        let is_good = |character: char| character.is_alphanumeric() || "-_".contains(character);
        if code.is_empty() || code.chars().count() > Self::MAX_CHARACTERS || !code.chars().all(is_good) {
            return Err(InvalidText(format!(
                "must have 1 to {} letters, digits, hyphens and underscores",
                Self::MAX_CHARACTERS
            )));
        }
        Ok(Self(code))
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which it is unique.
    pub fn comparable(&self) -> String {
        comparable(&self.0)
    }
}

/// The form in which a code is unique: in upper case.
pub(super) fn comparable(code: &str) -> String {
    code.to_uppercase()
}

/// The name of a plan or coupon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductName(String);

text::entered!(ProductName);

impl ProductName {
    /// The maximum length, in characters.
    pub const MAX_CHARACTERS: usize = 100;

    /// # Errors
    /// If it is empty, too long, or has control or invisible characters.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        text::line(text, Self::MAX_CHARACTERS).map(Self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Commands on a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Create it.
    Create {
        /// Its code.
        code: Code,
        /// Its name.
        name: ProductName,
        /// Who can choose it.
        visibility: Visibility,
        /// The only organization that it is for.
        for_organization: Option<OrganizationId>,
    },
    /// Publish another version, which new subscriptions get.
    Publish {
        /// Its content.
        offer: Offer,
    },
    /// Change its name.
    Rename {
        /// The new name.
        name: ProductName,
    },
    /// Change who can choose it.
    ChangeVisibility {
        /// Who.
        visibility: Visibility,
    },
    /// Sell it no longer; who holds it keeps it.
    Retire,
}

/// Events of a plan. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// It was created.
    #[serde(rename = "plan.created.v1")]
    Created {
        /// Its code.
        code: String,
        /// Its name.
        name: String,
        /// Who can choose it.
        visibility: Visibility,
        /// The only organization that it is for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        for_organization: Option<OrganizationId>,
    },
    /// A version was published.
    #[serde(rename = "plan.version_published.v1")]
    VersionPublished {
        /// The version: 1, 2, …
        version: u32,
        /// Its content.
        offer: Offer,
    },
    /// Its name changed.
    #[serde(rename = "plan.renamed.v1")]
    Renamed {
        /// The old name.
        from: String,
        /// The new name.
        to: String,
    },
    /// Who can choose it changed.
    #[serde(rename = "plan.visibility_changed.v1")]
    VisibilityChanged {
        /// Who could.
        from: Visibility,
        /// Who can.
        to: Visibility,
    },
    /// It is sold no longer.
    #[serde(rename = "plan.retired.v1")]
    Retired {},
}

/// Why a command on a plan is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It does not exist.
    #[error("there is no such plan")]
    NotFound,
    /// A different plan with this id exists.
    #[error("a plan with this id already exists")]
    Exists,
    /// It is retired.
    #[error("the plan is retired: it can be neither changed nor chosen")]
    Retired,
    /// A version is invalid.
    #[error("{0}")]
    Invalid(&'static str),
    /// A plan for one organization is private.
    #[error("a plan for one organization must be private")]
    PublicForOne,
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Exists | Self::Retired => Kind::Conflict,
            Self::Invalid(_) | Self::PublicForOne => Kind::Invalid,
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::NotFound => "plan-not-found",
            Self::Exists => "plan-exists",
            Self::Retired => "plan-retired",
            Self::Invalid(_) => "invalid-price",
            Self::PublicForOne => "public-plan-for-one",
        }
    }
}

const CODE_TAKEN: Violation =
    Violation::new(Kind::Conflict, "plan-code-taken", "another plan has this code: choose a different one");

/// The state of a plan.
#[derive(Debug, Clone, Default)]
pub struct Plan(Option<Existing>);

#[derive(Debug, Clone)]
struct Existing {
    code: String,
    name: String,
    visibility: Visibility,
    for_organization: Option<OrganizationId>,
    /// The last version.
    version: Option<(u32, Offer)>,
    is_retired: bool,
}

impl Plan {
    /// The terms that a subscription of an organization gets; `None` if the plan has no version, is retired or unknown, or
    /// cannot be chosen: a private plan by the platform's staff only, and one for another organization by nobody.
    pub fn terms_for(&self, plan: PlanId, organization: OrganizationId, by_staff: bool) -> Option<Terms> {
        let existing = self.0.as_ref().filter(|it| !it.is_retired)?;
        let is_for = existing.for_organization.is_none_or(|it| it == organization);
        let is_open = existing.visibility == Visibility::Public || by_staff || existing.for_organization.is_some();
        if is_for && is_open { self.terms(plan) } else { None }
    }

    /// The last version, also if it cannot be chosen.
    pub fn terms(&self, plan: PlanId) -> Option<Terms> {
        let existing = self.0.as_ref()?;
        let (version, offer) = existing.version.clone()?;
        Some(Terms { plan, code: existing.code.clone(), name: existing.name.clone(), version, offer })
    }

    /// Whether it exists.
    pub fn exists(&self) -> bool {
        self.0.is_some()
    }
}

impl Aggregate for Plan {
    const CATEGORY: &'static str = "plan";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = PlanId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match (&self.0, command) {
            (Some(existing), command) => existing.decide(command),
            (None, Command::Create { visibility: Visibility::Public, for_organization: Some(_), .. }) => {
                Err(Rejection::PublicForOne)
            }
            (None, Command::Create { code, name, visibility, for_organization }) => Ok(vec![Event::Created {
                code: code.0.clone(),
                name: name.0.clone(),
                visibility: *visibility,
                for_organization: *for_organization,
            }]),
            (None, _) => Err(Rejection::NotFound),
        }
    }

    fn evolve(&mut self, event: &Event) {
        match (&mut self.0, event) {
            (state, Event::Created { code, name, visibility, for_organization }) => {
                *state = Some(Existing {
                    code: code.clone(),
                    name: name.clone(),
                    visibility: *visibility,
                    for_organization: *for_organization,
                    version: None,
                    is_retired: false,
                });
            }
            (Some(existing), event) => existing.evolve(event),
            (None, _) => {}
        }
    }

    fn constraints(&self, event: &Event) -> Vec<Constraint> {
        match event {
            Event::Created { code, .. } => vec![Constraint::Claim {
                scope: Scope::Platform,
                kind: "plan_code",
                name: Some(comparable(code)),
                violation: CODE_TAKEN,
            }],
            Event::VersionPublished { .. }
            | Event::Renamed { .. }
            | Event::VisibilityChanged { .. }
            | Event::Retired {} => Vec::new(),
        }
    }
}

impl Existing {
    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::Create { code, .. } if code.0 == self.code => Ok(vec![]),
            Command::Create { .. } => Err(Rejection::Exists),
            Command::Retire if self.is_retired => Ok(vec![]),
            Command::Retire => Ok(vec![Event::Retired {}]),
            _ if self.is_retired => Err(Rejection::Retired),
            Command::Publish { offer } => {
                must_be_valid(offer)?;
                match &self.version {
                    Some((_, current)) if current == offer => Ok(vec![]),
                    current => {
                        let version = current.as_ref().map_or(1, |(version, _)| version.saturating_add(1));
                        Ok(vec![Event::VersionPublished { version, offer: offer.clone() }])
                    }
                }
            }
            Command::Rename { name } if name.0 == self.name => Ok(vec![]),
            Command::Rename { name } => Ok(vec![Event::Renamed { from: self.name.clone(), to: name.0.clone() }]),
            Command::ChangeVisibility { visibility } if *visibility == self.visibility => Ok(vec![]),
            Command::ChangeVisibility { visibility: Visibility::Public } if self.for_organization.is_some() => {
                Err(Rejection::PublicForOne)
            }
            Command::ChangeVisibility { visibility } => {
                Ok(vec![Event::VisibilityChanged { from: self.visibility, to: *visibility }])
            }
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Created { .. } => {}
            Event::VersionPublished { version, offer } => self.version = Some((*version, offer.clone())),
            Event::Renamed { to, .. } => self.name.clone_from(to),
            Event::VisibilityChanged { to, .. } => self.visibility = *to,
            Event::Retired {} => self.is_retired = true,
        }
    }
}

/// The largest price, in minor units: so that no product of prices, seats and days leaves the arithmetic.
const MAX_PRICE: i64 = 1_000_000_000_000;

fn must_be_valid(offer: &Offer) -> Result<(), Rejection> {
    let invalid = |message| Err(Rejection::Invalid(message));
    let is_in_range = |amount: i64| (0..=MAX_PRICE).contains(&amount);
    let is_valid = |it: &PlanPrice| is_in_range(it.price) && it.seat_price.is_none_or(is_in_range);
    if offer.prices.is_empty() {
        return invalid("a version needs a price for at least one currency and interval");
    }
    if !offer.prices.iter().all(is_valid) {
        return invalid("prices must not be negative, nor larger than 1,000,000,000,000 minor units");
    }
    let is_repeated = |(index, it): (usize, &PlanPrice)| {
        offer.prices[..index].iter().any(|other| (other.currency, other.interval) == (it.currency, it.interval))
    };
    if offer.prices.iter().enumerate().any(is_repeated) {
        return invalid("there must be one price for each currency and interval");
    }
    let with_seats = offer.prices.iter().filter(|it| it.seat_price.is_some()).count();
    if ![0, offer.prices.len()].contains(&with_seats) {
        return invalid("either all prices sell extra seats, or none does");
    }
    if offer.overage.iter().any(|it| it.unit == 0 || it.price_per_unit.is_sign_negative()) {
        return invalid("the unit of an overage must be positive, and its price must not be negative");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
