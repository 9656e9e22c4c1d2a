//! Events of a payment.

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{RefundId, Start, Target};
use crate::billing::{Currency, payment_method::PaymentMethodId};

/// Events of a payment. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// It was started: the provider is asked next.
    #[serde(rename = "payment.started.v1")]
    Started {
        /// What it is for.
        target: Target,
        /// How much, in minor units.
        amount: i64,
        /// The currency.
        currency: Currency,
        /// What is charged.
        method: PaymentMethodId,
        /// The provider that is asked.
        provider: String,
        /// Which attempt it is, from 1.
        attempt: u32,
        /// When the provider was asked first.
        at: Timestamp,
    },
    /// The payer has to confirm it.
    #[serde(rename = "payment.action_required.v1")]
    ActionRequired {},
    /// The answer of the provider was lost.
    #[serde(rename = "payment.outcome_unknown.v1")]
    OutcomeUnknown {},
    /// It was paid.
    #[serde(rename = "payment.succeeded.v1")]
    Succeeded {
        /// What the provider calls it.
        provider_ref: String,
        /// When we learned it.
        at: Timestamp,
    },
    /// It was not paid.
    #[serde(rename = "payment.failed.v1")]
    Failed {
        /// The provider's reason.
        code: String,
        /// Whether the method will never be accepted again.
        is_final: bool,
    },
    /// Money was received otherwise.
    #[serde(rename = "payment.recorded_manually.v1")]
    RecordedManually {
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
    /// Some of it is to be paid back: the provider is asked next.
    #[serde(rename = "payment.refund_started.v1")]
    RefundStarted {
        /// The refund.
        refund: RefundId,
        /// How much, in minor units.
        amount: i64,
        /// The currency.
        currency: Currency,
        /// The credit note that it settles.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        credit_note: Option<Uuid>,
    },
    /// A refund was paid back.
    #[serde(rename = "payment.refunded.v1")]
    Refunded {
        /// The refund.
        refund: RefundId,
        /// What the provider calls it.
        provider_ref: String,
    },
    /// A refund was not paid back.
    #[serde(rename = "payment.refund_failed.v1")]
    RefundFailed {
        /// The refund.
        refund: RefundId,
        /// The provider's reason.
        code: String,
    },
    /// The payer's bank took money back.
    #[serde(rename = "payment.reversed.v1")]
    Reversed {
        /// How much, in minor units.
        amount: i64,
        /// The currency.
        currency: Currency,
        /// Why.
        reason: String,
    },
}

impl Event {
    pub(super) fn started(start: &Start) -> Self {
        let Start { target, amount, currency, method, provider, attempt, now } = start;
        Self::Started {
            target: *target,
            amount: *amount,
            currency: *currency,
            method: *method,
            provider: provider.clone(),
            attempt: *attempt,
            at: *now,
        }
    }
}
