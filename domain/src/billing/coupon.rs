//! Coupons: codes that organizations redeem for a discount.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{
    Currency,
    plan::{Code, PlanId, ProductName, comparable},
};
use crate::{Aggregate, Constraint, Kind, Scope, Violation};

crate::ids! {
    /// A coupon.
    CouponId = "cpn";
    /// A discount of a subscription.
    DiscountId = "dsc";
}

crate::texts! {
    /// Which lines a discount applies to.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = DiscountScope))]
    pub enum AppliesTo {
        /// All recurring lines.
        All = "all",
        /// The plan.
        Base = "base",
        /// Extra seats.
        Seats = "seats",
    }
}

/// How much a discount takes off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Off {
    /// A percentage above 0 and at most 100.
    Percent(#[serde(with = "rust_decimal::serde::str")] Decimal),
    /// An amount for each period, in minor units.
    Amount {
        /// The amount.
        amount: i64,
        /// The currency: it does not apply to subscriptions in another one.
        currency: Currency,
    },
}

/// For how many periods a discount holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Duration {
    /// One period.
    Once,
    /// Some periods.
    Periods(u32),
    /// Always.
    Forever,
}

impl Duration {
    /// The number of periods; `None` means always.
    pub fn periods(self) -> Option<u32> {
        match self {
            Self::Once => Some(1),
            Self::Periods(periods) => Some(periods),
            Self::Forever => None,
        }
    }
}

/// What a discount takes off, of what, and how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscountTerms {
    /// How much.
    pub off: Off,
    /// For how many periods.
    pub duration: Duration,
    /// Of which lines.
    pub applies_to: AppliesTo,
    /// The plans that it applies to; empty for all.
    pub plans: Vec<PlanId>,
}

/// Until when and how often a coupon can be redeemed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redemption {
    /// From when on.
    pub redeem_from: Option<Timestamp>,
    /// Until when, exclusively.
    pub redeem_until: Option<Timestamp>,
    /// How often on the whole platform.
    pub max_redemptions: Option<u32>,
}

/// Commands on a coupon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Create it.
    Create {
        /// Its code.
        code: Code,
        /// Its name.
        name: ProductName,
        /// What it takes off.
        terms: DiscountTerms,
        /// Until when and how often.
        redemption: Redemption,
    },
    /// Change its name, its window or its maximum.
    Change {
        /// The new name; `None` keeps it.
        name: Option<ProductName>,
        /// The new bounds; `None` keeps them.
        redemption: Option<Redemption>,
    },
    /// No longer accept it; discounts that were redeemed go on.
    Retire,
}

/// What can change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changeable {
    /// The name.
    pub name: String,
    /// Until when and how often.
    pub redemption: Redemption,
}

/// Events of a coupon. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// It was created.
    #[serde(rename = "coupon.created.v1")]
    Created {
        /// Its code.
        code: String,
        /// Its name.
        name: String,
        /// What it takes off.
        terms: DiscountTerms,
        /// Until when and how often.
        redemption: Redemption,
    },
    /// Its name, window or maximum changed.
    #[serde(rename = "coupon.changed.v1")]
    Changed {
        /// What it was.
        from: Changeable,
        /// What it is.
        to: Changeable,
    },
    /// It is accepted no longer.
    #[serde(rename = "coupon.retired.v1")]
    Retired {},
}

/// Why a command on a coupon is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It does not exist.
    #[error("there is no such coupon")]
    NotFound,
    /// A different coupon with this id exists.
    #[error("a coupon with this id already exists")]
    Exists,
    /// It is retired.
    #[error("the coupon is retired")]
    Retired,
    /// A discount is invalid.
    #[error("{0}")]
    Invalid(&'static str),
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Exists | Self::Retired => Kind::Conflict,
            Self::Invalid(_) => Kind::Invalid,
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::NotFound => "coupon-not-found",
            Self::Exists => "coupon-exists",
            Self::Retired => "coupon-retired",
            Self::Invalid(_) => "invalid-discount",
        }
    }
}

const CODE_TAKEN: Violation =
    Violation::new(Kind::Conflict, "coupon-code-taken", "another coupon has this code: choose a different one");

/// The kind of name under which coupons claim their codes.
pub const CODES: &str = "coupon_code";

/// The largest maximum of redemptions and of periods.
const MAX_COUNT: u32 = 1_000_000;

/// The state of a coupon.
#[derive(Debug, Clone, Default)]
pub struct Coupon(Option<Existing>);

#[derive(Debug, Clone)]
struct Existing {
    code: String,
    terms: DiscountTerms,
    changeable: Changeable,
    is_retired: bool,
}

impl Coupon {
    /// What it gives, if it can be redeemed now, and its maximum.
    pub fn redeemable(&self, now: Timestamp) -> Option<(&DiscountTerms, Option<u32>)> {
        let existing = self.0.as_ref().filter(|it| !it.is_retired)?;
        let Redemption { redeem_from, redeem_until, max_redemptions } = existing.changeable.redemption;
        let is_open = redeem_from.is_none_or(|from| from <= now) && redeem_until.is_none_or(|until| now < until);
        is_open.then_some((&existing.terms, max_redemptions))
    }
}

impl Aggregate for Coupon {
    const CATEGORY: &'static str = "coupon";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = CouponId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match (&self.0, command) {
            (Some(existing), command) => existing.decide(command),
            (None, Command::Create { code, name, terms, redemption }) => {
                terms.must_be_valid()?;
                redemption.must_be_valid()?;
                Ok(vec![Event::Created {
                    code: code.as_str().to_owned(),
                    name: name.as_str().to_owned(),
                    terms: terms.clone(),
                    redemption: redemption.clone(),
                }])
            }
            (None, _) => Err(Rejection::NotFound),
        }
    }

    fn evolve(&mut self, event: &Event) {
        match (&mut self.0, event) {
            (state, Event::Created { code, name, terms, redemption }) => {
                let changeable = Changeable { name: name.clone(), redemption: redemption.clone() };
                *state = Some(Existing { code: code.clone(), terms: terms.clone(), changeable, is_retired: false });
            }
            (Some(existing), Event::Changed { to, .. }) => existing.changeable = to.clone(),
            (Some(existing), Event::Retired {}) => existing.is_retired = true,
            (None, _) => {}
        }
    }

    fn constraints(&self, event: &Event) -> Vec<Constraint> {
        match event {
            Event::Created { code, .. } => vec![Constraint::Claim {
                scope: Scope::Platform,
                kind: CODES,
                name: Some(comparable(code)),
                violation: CODE_TAKEN,
            }],
            Event::Changed { .. } | Event::Retired {} => Vec::new(),
        }
    }
}

impl Existing {
    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::Create { code, .. } if code.as_str() == self.code => Ok(vec![]),
            Command::Create { .. } => Err(Rejection::Exists),
            Command::Retire if self.is_retired => Ok(vec![]),
            Command::Retire => Ok(vec![Event::Retired {}]),
            Command::Change { .. } if self.is_retired => Err(Rejection::Retired),
            Command::Change { name, redemption } => {
                let from = &self.changeable;
                let name = name.as_ref().map_or(&*from.name, ProductName::as_str).to_owned();
                let to = Changeable { name, redemption: redemption.clone().unwrap_or(from.redemption.clone()) };
                to.redemption.must_be_valid()?;
                Ok(if to == *from { vec![] } else { vec![Event::Changed { from: from.clone(), to }] })
            }
        }
    }
}

impl DiscountTerms {
    /// # Errors
    /// If the percentage, the amount or the number of periods is out of range.
    pub fn must_be_valid(&self) -> Result<(), Rejection> {
        match &self.off {
            Off::Percent(percent) if *percent <= Decimal::ZERO || *percent > Decimal::ONE_HUNDRED => {
                return Err(Rejection::Invalid("the percentage must be above 0 and at most 100"));
            }
            Off::Percent(percent) if percent.scale() > 4 => {
                return Err(Rejection::Invalid("the percentage must have at most 4 decimals"));
            }
            Off::Amount { amount, .. } if *amount <= 0 || *amount > 1_000_000_000_000 => {
                return Err(Rejection::Invalid("the amount must be positive"));
            }
            Off::Percent(_) | Off::Amount { .. } => {}
        }
        match self.duration {
            Duration::Periods(periods) if !(1..=MAX_COUNT).contains(&periods) => {
                Err(Rejection::Invalid("the number of periods must be from 1 to 1,000,000"))
            }
            Duration::Once | Duration::Periods(_) | Duration::Forever => Ok(()),
        }
    }
}

impl Redemption {
    fn must_be_valid(&self) -> Result<(), Rejection> {
        if self.max_redemptions.is_some_and(|maximum| !(1..=MAX_COUNT).contains(&maximum)) {
            return Err(Rejection::Invalid("the maximum of redemptions must be from 1 to 1,000,000"));
        }
        match (self.redeem_from, self.redeem_until) {
            (Some(from), Some(until)) if until <= from => {
                Err(Rejection::Invalid("`redeem_until` must be after `redeem_from`"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    fn terms(percent: i64) -> DiscountTerms {
        let off = Off::Percent(Decimal::from(percent));
        DiscountTerms { off, duration: Duration::Periods(3), applies_to: AppliesTo::All, plans: vec![] }
    }

    fn create(terms: DiscountTerms, redemption: Redemption) -> Command {
        Command::Create {
            code: Code::new("Welcome-10").unwrap(),
            name: ProductName::new("Welcome").unwrap(),
            terms,
            redemption,
        }
    }

    fn created(redemption: Redemption) -> Event {
        let (code, name) = ("Welcome-10".to_owned(), "Welcome".to_owned());
        Event::Created { code, name, terms: terms(10), redemption }
    }

    #[test]
    fn a_coupon_is_created_changed_and_retired_once() {
        given::<Coupon>([]).when(create(terms(10), Redemption::default())).then([created(Redemption::default())]);
        let redemption = Redemption { max_redemptions: Some(5), ..Redemption::default() };
        let from = Changeable { name: "Welcome".to_owned(), redemption: Redemption::default() };
        let to = Changeable { name: "Welcome".to_owned(), redemption: redemption.clone() };
        given::<Coupon>([created(Redemption::default())])
            .when(Command::Change { name: None, redemption: Some(redemption) })
            .then([Event::Changed { from, to }]);
        given::<Coupon>([created(Redemption::default())]).when(Command::Retire).then([Event::Retired {}]);
    }

    #[test]
    fn invalid_discounts_are_rejected() {
        for percent in [0, -1, 101] {
            given::<Coupon>([])
                .when(create(terms(percent), Redemption::default()))
                .then_rejected(Rejection::Invalid("the percentage must be above 0 and at most 100"));
        }
        for maximum in [0, 1_000_001] {
            let redemption = Redemption { max_redemptions: Some(maximum), ..Redemption::default() };
            given::<Coupon>([])
                .when(create(terms(10), redemption))
                .then_rejected(Rejection::Invalid("the maximum of redemptions must be from 1 to 1,000,000"));
        }
    }

    #[test]
    fn a_coupon_is_redeemable_in_its_window() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let window = Redemption { redeem_from: Some(at(10)), redeem_until: Some(at(20)), max_redemptions: None };
        let coupon = Coupon::after(&[created(window.clone())]);
        let is_open = |second| coupon.redeemable(at(second)).is_some();
        assert_eq!([9, 10, 19, 20].map(is_open), [false, true, true, false]);
        assert!(Coupon::after(&[created(window), Event::Retired {}]).redeemable(at(15)).is_none());
    }
}
