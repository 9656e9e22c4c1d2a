//! Why a command on a subscription is rejected.

use super::super::quote::OverLimit;
use crate::Kind;

/// Why a command on a subscription is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It does not exist.
    #[error("the organization has no subscription")]
    NotFound,
    /// The move to another version of the plan is scheduled.
    #[error("the move to a new version of the plan cannot be withdrawn: choose another plan, or cancel")]
    MigrationScheduled,
    /// The currency is fixed.
    #[error("the currency of a subscription is fixed at its activation")]
    CurrencyLocked,
    /// Another change waits for its payment.
    #[error("another change of the subscription waits for its payment: wait until it is finished")]
    ChangeInProgress,
    /// The quote that the caller saw is out of date.
    #[error("the quote has changed since it was shown: preview the change again")]
    QuoteChanged,
    /// More is used than the new terms allow.
    #[error("more is used than the plan allows: {}", list(.0))]
    OverLimit(Vec<OverLimit>),
    /// It is canceled, so it cannot be downgraded.
    #[error("the subscription is canceled at the end of the period: resume it first")]
    CancellationScheduled,
    /// It is not in a trial.
    #[error("the organization is not in a trial")]
    NoTrial,
    /// It is not active.
    #[error("the subscription is not active: choose a plan first")]
    NotActive,
    /// A date is not allowed.
    #[error("{0}")]
    Date(&'static str),
    /// There is no such discount.
    #[error("the subscription has no such discount")]
    NoDiscount,
    /// A coupon was redeemed before.
    #[error("the coupon cannot be redeemed: it is unknown, expired or used up, or was redeemed before")]
    NotRedeemable,
    /// An amount is too large.
    #[error("the amount is too large")]
    TooLarge,
    /// An invoice is past due.
    #[error("an invoice is past due: pay it first, under Billing → Invoices")]
    PastDue,
    /// There is no such change in progress.
    #[error("there is no such change of the subscription in progress")]
    NoChange,
    /// It is read-only.
    #[error("the subscription is read-only: choose a plan under Billing to go on; reading, exports and tickets work")]
    ReadOnly,
}

fn list(over: &[OverLimit]) -> String {
    let one = |it: &OverLimit| format!("{} of {} {}", it.used, it.limit, it.meter);
    over.iter().map(one).collect::<Vec<_>>().join(", ")
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound | Self::NoDiscount => Kind::NotFound,
            Self::Date(_) | Self::TooLarge => Kind::Invalid,
            Self::CurrencyLocked
            | Self::ChangeInProgress
            | Self::QuoteChanged
            | Self::OverLimit(_)
            | Self::CancellationScheduled
            | Self::NoTrial
            | Self::NotActive
            | Self::NotRedeemable
            | Self::MigrationScheduled
            | Self::NoChange
            | Self::PastDue
            | Self::ReadOnly => Kind::Conflict,
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::NotFound => "subscription-not-found",
            Self::MigrationScheduled => "migration-scheduled",
            Self::CurrencyLocked => "currency-locked",
            Self::ChangeInProgress => "change-in-progress",
            Self::QuoteChanged => "quote-changed",
            Self::OverLimit(_) => "over-limit",
            Self::CancellationScheduled => "cancellation-scheduled",
            Self::NoTrial => "not-in-trial",
            Self::NotActive => "subscription-not-active",
            Self::Date(_) => "invalid-date",
            Self::NoDiscount => "discount-not-found",
            Self::NotRedeemable => "coupon-not-redeemable",
            Self::TooLarge => "amount-too-large",
            Self::PastDue => "subscription-past-due",
            Self::NoChange => "no-change-in-progress",
            Self::ReadOnly => "subscription-read-only",
        }
    }
}
