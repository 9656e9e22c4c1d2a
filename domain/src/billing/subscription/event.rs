//! Events of a subscription.

use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{ChangeId, Period};
use crate::billing::{
    Currency,
    billing_document::InvoiceId,
    coupon::{CouponId, DiscountId, DiscountTerms},
    period::Interval,
    quote::Line,
    terms::{Held, Meter, Terms},
};

crate::texts! {
    /// Why the terms of a subscription change.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = TermsChangeCause))]
    pub enum Cause {
        /// To terms that cost at least as much.
        Upgrade = "upgrade",
        /// To terms that cost less.
        Downgrade = "downgrade",
        /// To another version of the same plan.
        Migration = "migration",
    }

    /// Why an organization is read-only.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum ReadOnlyReason {
        /// Its trial is over, and no plan was chosen.
        TrialOver = "trial_over",
        /// An invoice was not paid.
        Unpaid = "unpaid",
    }

    /// Why a subscription ended.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum EndReason {
        /// It was canceled.
        Canceled = "canceled",
        /// No plan was chosen after the trial.
        TrialOver = "trial_over",
        /// The organization was deactivated.
        Deactivated = "deactivated",
        /// An invoice was not paid.
        Unpaid = "unpaid",
    }

    /// What a reminder is about.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum Reminder {
        /// The trial ends soon.
        TrialEnds = "trial_ends",
        /// A yearly subscription renews soon.
        Renewal = "renewal",
    }

    /// Why a change that was requested does not happen.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum AbandonReason {
        /// It was not paid.
        Unpaid = "unpaid",
        /// The payment took too long.
        TooLate = "too_late",
    }
}

/// What was quoted for a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotedChange {
    /// The digest of the quote.
    pub digest: String,
    /// The lines of its document.
    pub lines: Vec<Line>,
    /// Their sum, in minor units.
    pub net: i64,
    /// The sum with tax: what is charged.
    pub total: i64,
}

/// What was used of a meter in a usage month, as far as it is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BilledUsage {
    /// The first date of the usage month.
    pub from: Date,
    /// The meter.
    pub meter: Meter,
    /// What was used.
    pub count: u64,
}

/// Events of a subscription. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// A trial started.
    #[serde(rename = "subscription.trial_started.v1")]
    TrialStarted {
        /// What holds in the trial.
        terms: Box<Terms>,
        /// The time zone in which days are counted.
        zone: String,
        /// The first date.
        from: Date,
        /// When the trial ends at the earliest.
        trial_ends_at: Timestamp,
        /// The first date after it.
        trial_until: Date,
        /// The first instant of that date.
        ends_at: Timestamp,
        /// When to remind of its end next.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remind_at: Option<Timestamp>,
    },
    /// The trial was extended.
    #[serde(rename = "subscription.trial_extended.v1")]
    TrialExtended {
        /// The first date after it, as it was.
        from: Date,
        /// The first date after it, as it is.
        to: Date,
        /// The first instant of that date.
        ends_at: Timestamp,
        /// When to remind of its end next.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remind_at: Option<Timestamp>,
        /// Why.
        reason: String,
    },
    /// A plan was chosen for the time after the trial.
    #[serde(rename = "subscription.plan_chosen.v1")]
    PlanChosen {
        /// What was chosen.
        to: Held,
    },
    /// It became active: the first period begins.
    #[serde(rename = "subscription.activated.v1")]
    Activated {
        /// What is held.
        held: Held,
        /// The first date of the first period, from which all periods are computed.
        anchor: Date,
        /// The time zone in which days are counted.
        zone: String,
        /// The first period.
        period: Period,
        /// The discounts in it.
        discounts: Vec<DiscountId>,
        /// When to remind of the renewal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remind_at: Option<Timestamp>,
        /// When the usage month ends whose use is billed then, inside a period of a year.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage_ends_at: Option<Timestamp>,
        /// The change that was paid for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        change: Option<ChangeId>,
    },
    /// A change was requested, which happens when it is paid.
    #[serde(rename = "subscription.change_requested.v1")]
    ChangeRequested {
        /// The id of the change, which is also that of its payment.
        change: ChangeId,
        /// The new terms.
        to: Held,
        /// The date from which on they hold.
        effective: Date,
        /// What it costs.
        quote: QuotedChange,
        /// When it is given up.
        expires_at: Timestamp,
    },
    /// A change does not happen.
    #[serde(rename = "subscription.change_abandoned.v1")]
    ChangeAbandoned {
        /// The change.
        change: ChangeId,
        /// Why.
        why: AbandonReason,
    },
    /// The terms changed.
    #[serde(rename = "subscription.terms_changed.v1")]
    TermsChanged {
        /// The date from which on the new ones hold.
        effective: Date,
        /// The old terms.
        from: Held,
        /// The new terms.
        to: Held,
        /// Why.
        cause: Cause,
        /// What it costs.
        lines: Vec<Line>,
        /// The period that begins with it, if the interval changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        period: Option<Period>,
        /// When to remind of the renewal of that period.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remind_at: Option<Timestamp>,
        /// When the usage month ends whose use is billed then, inside a period of a year.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage_ends_at: Option<Timestamp>,
        /// The change that was paid for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        change: Option<ChangeId>,
    },
    /// A change was scheduled.
    #[serde(rename = "subscription.change_scheduled.v1")]
    ChangeScheduled {
        /// The date from which on the new terms hold.
        effective: Date,
        /// When that date begins.
        at: Timestamp,
        /// The new terms.
        to: Held,
        /// Why.
        cause: Cause,
    },
    /// A scheduled change was withdrawn.
    #[serde(rename = "subscription.change_withdrawn.v1")]
    ChangeWithdrawn {},
    /// Its cancellation was scheduled.
    #[serde(rename = "subscription.cancellation_scheduled.v1")]
    CancellationScheduled {
        /// The first date on which nothing is held.
        effective: Date,
        /// When that date begins.
        at: Timestamp,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The cancellation was withdrawn.
    #[serde(rename = "subscription.cancellation_withdrawn.v1")]
    CancellationWithdrawn {},
    /// The next period began.
    #[serde(rename = "subscription.renewed.v1")]
    Renewed {
        /// The period.
        period: Period,
        /// The discounts in it.
        discounts: Vec<DiscountId>,
        /// The time zone, if it changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zone: Option<String>,
        /// When to remind of the next renewal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remind_at: Option<Timestamp>,
        /// When the usage month ends whose use is billed then, inside a period of a year.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage_ends_at: Option<Timestamp>,
    },
    /// A usage month inside a period of a year ended.
    #[serde(rename = "subscription.usage_month_ended.v1")]
    UsageMonthEnded {
        /// The first date.
        from: Date,
        /// The date after the last one.
        until: Date,
        /// When it ended.
        ended_at: Timestamp,
        /// When the next one ends, if that is inside the period.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage_ends_at: Option<Timestamp>,
    },
    /// A discount was added.
    #[serde(rename = "subscription.discount_added.v1")]
    DiscountAdded {
        /// The discount.
        discount: DiscountId,
        /// The coupon that was redeemed, if it is not promotional.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        coupon: Option<CouponId>,
        /// What it takes off.
        terms: DiscountTerms,
        /// When it was redeemed.
        redeemed_at: Timestamp,
    },
    /// A discount was removed.
    #[serde(rename = "subscription.discount_removed.v1")]
    DiscountRemoved {
        /// The discount.
        discount: DiscountId,
    },
    /// From the next period on, days are counted in another time zone.
    #[serde(rename = "subscription.zone_change_scheduled.v1")]
    ZoneChangeScheduled {
        /// The old one.
        from: String,
        /// The new one.
        to: String,
    },
    /// The organization was reminded.
    #[serde(rename = "subscription.reminded.v1")]
    Reminded {
        /// Of what.
        about: Reminder,
        /// The date of it.
        date: Date,
        /// What is held or chosen, and its currency: for the mail.
        plan: String,
        /// When to remind of it next.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remind_at: Option<Timestamp>,
    },
    /// The organization became read-only.
    #[serde(rename = "subscription.became_read_only.v1")]
    BecameReadOnly {
        /// Why.
        why: ReadOnlyReason,
        /// When the subscription ends, if no plan is chosen.
        ends_at: Timestamp,
    },
    /// What an event led to was billed.
    #[serde(rename = "subscription.billed.v1")]
    Billed {
        /// The version that the event gave the subscription.
        event: u64,
        /// The documents that were issued.
        documents: Vec<String>,
        /// The invoice among them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        invoice: Option<InvoiceId>,
        /// When to bill next.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_at: Option<Timestamp>,
        /// What was used until now in the usage months that it bills, or had billed before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        usage: Vec<BilledUsage>,
        /// The rate in percent of the tax that its prices include.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "rust_decimal::serde::str_option")]
        included_tax: Option<Decimal>,
    },
    /// An invoice is past due.
    #[serde(rename = "subscription.became_past_due.v1")]
    BecamePastDue {
        /// The invoice.
        invoice: InvoiceId,
    },
    /// An invoice that was past due is paid, and others still are past due.
    #[serde(rename = "subscription.past_due_invoice_paid.v1")]
    PastDueInvoicePaid {
        /// The invoice.
        invoice: InvoiceId,
    },
    /// No invoice is past due any longer.
    #[serde(rename = "subscription.recovered.v1")]
    Recovered {
        /// When to renew, if it was read-only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        renew_at: Option<Timestamp>,
    },
    /// It ended.
    #[serde(rename = "subscription.ended.v1")]
    Ended {
        /// Why.
        why: EndReason,
        /// The first date on which nothing is held.
        on: Date,
        /// What is credited.
        lines: Vec<Line>,
        /// Whether use beyond what was included is billed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        has_usage: bool,
        /// Its currency, if it was paid.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        currency: Option<Currency>,
        /// How often it was paid.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        interval: Option<Interval>,
    },
}
