//! Payments: money that the payment provider moves for an invoice or a change of a subscription, or that was received
//! otherwise.
//!
//! | file | what it owns |
//! |---|---|
//! | `event.rs` | events |
//! | `existing.rs` | how an existing payment handles commands and events |

mod event;
mod existing;

use std::fmt;

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use self::existing::Existing;
pub use self::{event::Event, existing::Refund};
use super::{Currency, payment_method::PaymentMethodId, subscription::ChangeId};
use crate::{Aggregate, Constraint, Kind, Scope, Violation};

crate::ids! {
    /// A payment.
    PaymentId = "pay";
    /// A refund of a payment.
    RefundId = "rfd";
}

crate::texts! {
    /// The status of a payment.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = PaymentStatus))]
    pub enum Status {
        /// The provider was asked, or is about to be.
        Processing = "processing",
        /// The payer has to confirm it.
        ActionRequired = "action_required",
        /// The answer of the provider was lost: it is looked up before anything is charged again.
        Unknown = "unknown",
        /// It was paid.
        Succeeded = "succeeded",
        /// It was not paid.
        Failed = "failed",
        /// It was paid back.
        Refunded = "refunded",
        /// The payer's bank took it back.
        Reversed = "reversed",
    }
}

/// What a payment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// A change of the organization's subscription.
    Change(ChangeId),
    /// An invoice.
    Invoice(Uuid),
}

impl Target {
    /// Its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Change(_) => "change",
            Self::Invoice(_) => "invoice",
        }
    }

    /// The UUID of what it is for.
    pub fn id(&self) -> Uuid {
        match self {
            Self::Change(change) => change.0,
            Self::Invoice(invoice) => *invoice,
        }
    }
}

/// Its public id, such as `chg_…`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change(change) => change.fmt(f),
            Self::Invoice(invoice) => crate::id::write(f, "inv", *invoice),
        }
    }
}

impl PaymentId {
    /// The payment of an attempt to collect what is owed, from 1: the same attempt is the same payment, so it is charged
    /// once.
    pub fn of(target: Target, attempt: u32) -> Self {
        Self(derived("payment", target.id(), attempt))
    }
}

impl RefundId {
    /// The refund of a payment with a number, from 1.
    pub fn of(payment: PaymentId, number: u32) -> Self {
        Self(derived("refund", payment.0, number))
    }
}

fn derived(kind: &str, of: Uuid, number: u32) -> Uuid {
    let digest = Sha256::new().chain_update(kind).chain_update(of).chain_update(number.to_be_bytes()).finalize();
    Uuid::new_v8(digest.first_chunk().copied().unwrap_or_default())
}

/// Commands on a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Start it: the provider is asked next.
    Start(Start),
    /// The provider answered that the payer has to confirm it.
    RequireAction,
    /// The answer of the provider was lost.
    LoseOutcome,
    /// It was paid.
    Succeed {
        /// What the provider calls it.
        provider_ref: String,
        /// The current time.
        at: Timestamp,
    },
    /// It was not paid.
    Fail {
        /// The provider's reason.
        code: String,
        /// Whether the method will never be accepted again.
        is_final: bool,
    },
    /// Record money that was received otherwise.
    RecordManually {
        /// What it is for.
        target: Target,
        /// How much, in minor units.
        amount: i64,
        /// The currency.
        currency: Currency,
        /// The text of the transfer.
        reference: String,
        /// When it was received.
        paid_on: Date,
    },
    /// Pay some of it back: the provider is asked next.
    StartRefund {
        /// The refund.
        refund: RefundId,
        /// How much, in minor units.
        amount: i64,
        /// The credit note that it settles.
        credit_note: Option<Uuid>,
    },
    /// A refund was paid back.
    FinishRefund {
        /// The refund.
        refund: RefundId,
        /// What the provider calls it.
        provider_ref: String,
    },
    /// A refund was not paid back.
    FailRefund {
        /// The refund.
        refund: RefundId,
        /// The provider's reason.
        code: String,
    },
    /// The payer's bank took money back.
    Reverse {
        /// How much, in minor units; `None` for all that is left.
        amount: Option<i64>,
        /// Why.
        reason: String,
    },
}

/// A payment to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// What it is for.
    pub target: Target,
    /// How much, in minor units.
    pub amount: i64,
    /// The currency.
    pub currency: Currency,
    /// What is charged.
    pub method: PaymentMethodId,
    /// The provider that is asked.
    pub provider: String,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// The current time.
    pub now: Timestamp,
}

/// Why a command on a payment is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It does not exist.
    #[error("there is no such payment")]
    NotFound,
    /// A different payment with this id exists.
    #[error("a payment with this id already exists")]
    Exists,
    /// An amount is not positive.
    #[error("the amount must be positive")]
    NotPositive,
    /// It was not paid.
    #[error("the payment has not succeeded, so there is nothing to pay back")]
    NotPaid,
    /// Less is left of it.
    #[error("only {0} minor units of the payment are left: the others were refunded or reversed")]
    TooMuch(i64),
    /// There is no such refund.
    #[error("the payment has no such refund")]
    NoRefund,
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound | Self::NoRefund => Kind::NotFound,
            Self::NotPositive => Kind::Invalid,
            Self::Exists | Self::NotPaid | Self::TooMuch(_) => Kind::Conflict,
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::NotFound => "payment-not-found",
            Self::Exists => "payment-exists",
            Self::NotPositive => "invalid-amount",
            Self::NotPaid => "payment-not-succeeded",
            Self::TooMuch(_) => "payment-exceeded",
            Self::NoRefund => "refund-not-found",
        }
    }
}

/// The kind of name under which a payment in flight claims its target, so that there is one at a time.
pub const TARGETS: &str = "payment_target";

const IN_FLIGHT: Violation = Violation::new(
    Kind::Conflict,
    "payment-in-flight",
    "another payment for the same is in progress: wait until its outcome is known",
);

/// The state of a payment. Read models store it to fold it further.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment(Option<Existing>);

impl Payment {
    /// Its status; `None` if it does not exist.
    pub fn status(&self) -> Option<Status> {
        self.0.as_ref().map(Existing::status)
    }

    /// Whether its outcome is not known yet.
    pub fn is_in_flight(&self) -> bool {
        self.0.as_ref().is_some_and(Existing::is_in_flight)
    }

    /// What it is for, with its amount and currency.
    pub fn purpose(&self) -> Option<(Target, i64, Currency)> {
        self.0.as_ref().map(|it| (it.target, it.amount, it.currency))
    }

    /// What was charged; `None` if it was recorded by hand.
    pub fn method(&self) -> Option<PaymentMethodId> {
        self.0.as_ref()?.method
    }

    /// The provider; `None` if it was recorded by hand.
    pub fn provider(&self) -> Option<&str> {
        self.0.as_ref()?.provider.as_deref()
    }

    /// Which attempt it is, from 1; `None` if it was recorded by hand.
    pub fn attempt(&self) -> Option<u32> {
        self.0.as_ref()?.attempt
    }

    /// When it was started; `None` if it was recorded by hand.
    pub fn started_at(&self) -> Option<Timestamp> {
        self.0.as_ref()?.started_at
    }

    /// What the provider calls it, once it was paid.
    pub fn provider_ref(&self) -> Option<&str> {
        self.0.as_ref()?.provider_ref.as_deref()
    }

    /// Why it was not paid, and whether the method will never be accepted again.
    pub fn failure(&self) -> Option<(&str, bool)> {
        self.0.as_ref()?.failure.as_ref().map(|(code, is_final)| (code.as_str(), *is_final))
    }

    /// What was paid back, without refunds that are in flight.
    pub fn refunded(&self) -> i64 {
        self.0.as_ref().map_or(0, Existing::refunded)
    }

    /// What the payer's bank took back.
    pub fn reversed(&self) -> i64 {
        self.0.as_ref().map_or(0, |it| it.reversed)
    }

    /// What is left of it.
    pub fn left(&self) -> i64 {
        self.0.as_ref().map_or(0, Existing::left)
    }

    /// The refunds that the provider is to be asked for.
    pub fn open_refunds(&self) -> Vec<(RefundId, i64)> {
        self.0.as_ref().map(Existing::open_refunds).unwrap_or_default()
    }
}

impl Aggregate for Payment {
    const CATEGORY: &'static str = "payment";
    const CONSTRAINTS_NEED_STATE: bool = true;
    type Id = PaymentId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match (&self.0, command) {
            (Some(existing), command) => existing.decide(command),
            (None, Command::Start(Start { amount, .. }) | Command::RecordManually { amount, .. }) if *amount <= 0 => {
                Err(Rejection::NotPositive)
            }
            (None, Command::Start(start)) => Ok(vec![Event::started(start)]),
            (None, Command::RecordManually { target, amount, currency, reference, paid_on }) => {
                Ok(vec![Event::RecordedManually {
                    target: *target,
                    amount: *amount,
                    currency: *currency,
                    reference: reference.clone(),
                    paid_on: *paid_on,
                }])
            }
            (None, _) => Err(Rejection::NotFound),
        }
    }

    fn evolve(&mut self, event: &Event) {
        match &mut self.0 {
            Some(existing) => existing.evolve(event),
            None => self.0 = Existing::of(event),
        }
    }

    fn constraints(&self, event: &Event) -> Vec<Constraint> {
        let (scope, kind) = (Scope::Organization, TARGETS);
        let name = |target: Target| Some(target.to_string());
        match (event, &self.0) {
            (Event::Started { target, .. }, _) => {
                vec![Constraint::Claim { scope, kind, name: name(*target), violation: IN_FLIGHT }]
            }
            (Event::Succeeded { .. } | Event::Failed { .. }, Some(existing)) if existing.is_in_flight() => {
                vec![Constraint::Release { scope, kind, name: name(existing.target) }]
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
