//! Payment methods: the ways in which an organization pays, one of them by default. The provider keeps what is secret of
//! them: numbers of cards and accounts never reach us.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Aggregate, Kind, OrganizationId};

crate::ids! {
    /// The payment methods of an organization: the same UUID as the organization.
    PaymentMethodsId = "pms";
    /// A payment method.
    PaymentMethodId = "pmt";
}

impl From<OrganizationId> for PaymentMethodsId {
    fn from(organization: OrganizationId) -> Self {
        Self(organization.0)
    }
}

crate::texts! {
    /// What a payment method is.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = PaymentMethodKind))]
    pub enum MethodKind {
        /// A credit or debit card.
        Card = "card",
        /// A SEPA direct debit.
        SepaDebit = "sepa_debit",
    }
}

/// How many payment methods an organization can have.
const MOST: usize = 20;

/// A payment method, as far as we know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Details {
    /// The payment provider.
    pub provider: String,
    /// The organization's account with the provider.
    pub customer: String,
    /// What the provider calls the method.
    pub token: String,
    /// What it is.
    pub kind: MethodKind,
    /// The brand of a card, or the bank.
    pub brand: String,
    /// The last four digits.
    pub last4: String,
    /// The last month in which a card is valid: 2030-04.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Equal for equal cards and accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// Commands on payment methods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Add one. The first one is the default.
    Add {
        /// Its id.
        method: PaymentMethodId,
        /// What it is.
        details: Details,
    },
    /// Pay with it from now on.
    MakeDefault {
        /// The method.
        method: PaymentMethodId,
    },
    /// Remove it.
    Remove {
        /// The method.
        method: PaymentMethodId,
        /// Whether one must remain, because a subscription is paid with it.
        one_must_remain: bool,
    },
    /// The provider will never accept it again.
    FailForGood {
        /// The method.
        method: PaymentMethodId,
        /// The provider's reason.
        code: String,
    },
}

/// Events of payment methods. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// One was added.
    #[serde(rename = "payment_method.added.v1")]
    Added {
        /// Its id.
        method: PaymentMethodId,
        /// What it is.
        details: Details,
    },
    /// One became the default.
    #[serde(rename = "payment_method.made_default.v1")]
    MadeDefault {
        /// The method.
        method: PaymentMethodId,
        /// The one before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instead_of: Option<PaymentMethodId>,
    },
    /// One was removed.
    #[serde(rename = "payment_method.removed.v1")]
    Removed {
        /// The method.
        method: PaymentMethodId,
    },
    /// The provider will never accept it again.
    #[serde(rename = "payment_method.failed_for_good.v1")]
    FailedForGood {
        /// The method.
        method: PaymentMethodId,
        /// The provider's reason.
        code: String,
    },
}

/// Why a command on payment methods is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It does not exist.
    #[error("there is no such payment method")]
    NotFound,
    /// It is needed.
    #[error("this is the last payment method of an active subscription: add another one first")]
    Last,
    /// There are too many.
    #[error("an organization has at most {MOST} payment methods: remove one first")]
    TooMany,
    /// There is none that can be charged.
    #[error("there is no payment method that can be charged: add one under Billing first")]
    Missing,
    /// It cannot be used any more.
    #[error("this payment method was declined for good: use another one")]
    Failed,
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Last | Self::TooMany | Self::Missing | Self::Failed => Kind::Conflict,
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::NotFound => "payment-method-not-found",
            Self::Last => "last-payment-method",
            Self::TooMany => "too-many-payment-methods",
            Self::Missing => "payment-method-missing",
            Self::Failed => "payment-method-failed",
        }
    }
}

/// A payment method of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    /// What it is.
    pub details: Details,
    /// The reason for which the provider will never accept it again.
    pub failed: Option<String>,
}

/// The state of the payment methods of an organization.
#[derive(Debug, Clone, Default)]
pub struct PaymentMethods {
    methods: BTreeMap<PaymentMethodId, Method>,
    removed: BTreeMap<PaymentMethodId, Method>,
    default: Option<PaymentMethodId>,
}

impl PaymentMethods {
    /// All, in the order in which they were added.
    pub fn all(&self) -> impl Iterator<Item = (PaymentMethodId, &Method)> {
        self.methods.iter().map(|(id, method)| (*id, method))
    }

    /// One of them.
    pub fn get(&self, method: PaymentMethodId) -> Option<&Method> {
        self.methods.get(&method)
    }

    /// One of them, or one that was removed: a payment with it may still be in flight.
    pub fn current_or_removed(&self, method: PaymentMethodId) -> Option<&Method> {
        self.methods.get(&method).or_else(|| self.removed.get(&method))
    }

    /// The default one, whether or not it can be used.
    pub fn default_id(&self) -> Option<PaymentMethodId> {
        self.default
    }

    /// The one with which is paid; `None` if there is none that can be used.
    pub fn usable(&self) -> Option<(PaymentMethodId, &Method)> {
        let default = self.default?;
        let method = self.methods.get(&default).filter(|method| method.failed.is_none())?;
        Some((default, method))
    }

    /// What the provider calls the organization, if it knows it.
    pub fn customer(&self, provider: &str) -> Option<&str> {
        let known = self.methods.values().chain(self.removed.values()).find(|it| it.details.provider == provider)?;
        Some(&known.details.customer)
    }

    fn remove(&self, method: PaymentMethodId, one_must_remain: bool) -> Result<Vec<Event>, Rejection> {
        if self.removed.contains_key(&method) {
            return Ok(vec![]);
        }
        if !self.methods.contains_key(&method) {
            return Err(Rejection::NotFound);
        }
        let others = || self.methods.iter().filter(|(id, _)| **id != method);
        if one_must_remain && !others().any(|(_, it)| it.failed.is_none()) {
            return Err(Rejection::Last);
        }
        let mut events = Vec::new();
        let next = others().find(|(_, it)| it.failed.is_none()).or_else(|| others().next());
        if let Some((next, _)) = next.filter(|_| self.default == Some(method)) {
            events.push(Event::MadeDefault { method: *next, instead_of: Some(method) });
        }
        events.push(Event::Removed { method });
        Ok(events)
    }
}

impl Aggregate for PaymentMethods {
    const CATEGORY: &'static str = "payment_method";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = PaymentMethodsId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::Add { method, details } => {
                let is_known =
                    |it: &Method| it.details.token == details.token && it.details.provider == details.provider;
                if self.methods.contains_key(method) || self.methods.values().any(is_known) {
                    return Ok(vec![]);
                }
                if self.methods.len() >= MOST {
                    return Err(Rejection::TooMany);
                }
                let mut events = vec![Event::Added { method: *method, details: details.clone() }];
                if self.usable().is_none() {
                    events.push(Event::MadeDefault { method: *method, instead_of: self.default });
                }
                Ok(events)
            }
            Command::MakeDefault { method } => match self.methods.get(method) {
                None => Err(Rejection::NotFound),
                Some(_) if self.default == Some(*method) => Ok(vec![]),
                Some(Method { failed: Some(_), .. }) => Err(Rejection::Failed),
                Some(_) => Ok(vec![Event::MadeDefault { method: *method, instead_of: self.default }]),
            },
            Command::Remove { method, one_must_remain } => self.remove(*method, *one_must_remain),
            Command::FailForGood { method, code } => match self.methods.get(method) {
                Some(Method { failed: None, .. }) => {
                    Ok(vec![Event::FailedForGood { method: *method, code: code.clone() }])
                }
                Some(_) | None => Ok(vec![]),
            },
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Added { method, details } => {
                self.methods.insert(*method, Method { details: details.clone(), failed: None });
            }
            Event::MadeDefault { method, .. } => self.default = Some(*method),
            Event::Removed { method } => {
                if let Some(removed) = self.methods.remove(method) {
                    self.removed.insert(*method, removed);
                }
                self.default = self.default.filter(|default| default != method);
            }
            Event::FailedForGood { method, code } => {
                if let Some(method) = self.methods.get_mut(method) {
                    method.failed = Some(code.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::testing::given;

    fn method(number: u128) -> PaymentMethodId {
        PaymentMethodId(Uuid::from_u128(number))
    }

    fn details(token: &str) -> Details {
        Details {
            provider: "simulator".to_owned(),
            customer: "acme".to_owned(),
            token: token.to_owned(),
            kind: MethodKind::Card,
            brand: "visa".to_owned(),
            last4: "4242".to_owned(),
            expires: Some("2030-04".to_owned()),
            fingerprint: None,
        }
    }

    fn added(number: u128) -> Event {
        Event::Added { method: method(number), details: details(&number.to_string()) }
    }

    fn made_default(number: u128, instead_of: Option<u128>) -> Event {
        Event::MadeDefault { method: method(number), instead_of: instead_of.map(method) }
    }

    #[test]
    fn the_first_one_is_the_default() {
        let add = |number: u128| Command::Add { method: method(number), details: details(&number.to_string()) };
        given::<PaymentMethods>([]).when(add(1)).then([added(1), made_default(1, None)]);
        given::<PaymentMethods>([added(1), made_default(1, None)]).when(add(2)).then([added(2)]);
        let same = Command::Add { method: method(3), details: details("1") };
        given::<PaymentMethods>([added(1), made_default(1, None)]).when(same).then([]);
    }

    #[test]
    fn one_that_replaces_a_failed_one_is_the_default() {
        let failed = Event::FailedForGood { method: method(1), code: "stolen_card".to_owned() };
        given::<PaymentMethods>([added(1), made_default(1, None), failed.clone()])
            .when(Command::Add { method: method(2), details: details("2") })
            .then([added(2), made_default(2, Some(1))]);
        given::<PaymentMethods>([added(1), added(2), made_default(2, None), failed])
            .when(Command::MakeDefault { method: method(1) })
            .then_rejected(Rejection::Failed);
    }

    #[test]
    fn the_last_one_of_an_active_subscription_stays() {
        let remove = |one_must_remain| Command::Remove { method: method(1), one_must_remain };
        let one = [added(1), made_default(1, None)];
        given::<PaymentMethods>(one.clone()).when(remove(true)).then_rejected(Rejection::Last);
        given::<PaymentMethods>(one).when(remove(false)).then([Event::Removed { method: method(1) }]);
        given::<PaymentMethods>([added(1), made_default(1, None), added(2)])
            .when(remove(true))
            .then([made_default(2, Some(1)), Event::Removed { method: method(1) }]);
        given::<PaymentMethods>([]).when(remove(false)).then_rejected(Rejection::NotFound);
    }

    #[test]
    fn at_most_twenty_are_kept() {
        given::<PaymentMethods>((1..=20).map(added).collect::<Vec<_>>())
            .when(Command::Add { method: method(21), details: details("21") })
            .then_rejected(Rejection::TooMany);
    }
}
