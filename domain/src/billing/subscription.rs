//! Subscriptions: what an organization holds of a plan, from its trial until it ends.
//!
//! | file | what it owns |
//! |---|---|
//! | `event.rs` | events |
//! | `rejection.rs` | rejections |
//! | `existing.rs` | how an existing subscription handles commands and events |
//! | `due.rs` | what becomes due, and what happens then |
//! | `unbilled.rs` | what is not billed yet |
//! | `usage.rs` | months in which usage is counted |
//! | `revenue.rs` | its recurring revenue |
//! | `past_due.rs` | what happens while an invoice is not paid |

mod due;
mod event;
mod existing;
mod past_due;
mod rejection;
mod revenue;
mod unbilled;
mod usage;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub(in crate::billing) use self::existing::Existing;
pub use self::{
    due::{Due, timers},
    event::{AbandonReason, BilledUsage, Cause, EndReason, Event, QuotedChange, ReadOnlyReason, Reminder},
    existing::{HeldDiscount, Scheduled},
    rejection::Rejection,
    unbilled::{BilledMonth, Unbilled, UsageToBill},
};
use super::{
    billing_document::InvoiceId,
    coupon::{CouponId, DiscountId, DiscountTerms},
    period::OutOfRange,
    quote::{self, Change, Quote, Used},
    tax,
    terms::{Feature, Held, Meter, Terms},
};
use crate::{Aggregate, Constraint, Kind, OrganizationId, Reason, Scope, Violation, identity::settings::ZoneName};

crate::ids! {
    /// The subscription of an organization: the same UUID as the organization.
    SubscriptionId = "sub";
    /// A change of a subscription that is being paid.
    ChangeId = "chg";
}

impl From<OrganizationId> for SubscriptionId {
    fn from(organization: OrganizationId) -> Self {
        Self(organization.0)
    }
}

crate::texts! {
    /// The status of a subscription.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = SubscriptionStatus))]
    pub enum Status {
        /// In its trial.
        Trialing = "trialing",
        /// Paid.
        Active = "active",
        /// An invoice is not paid: upgrades are refused, the rest works.
        PastDue = "past_due",
        /// What adds or changes something is refused until a plan is chosen.
        ReadOnly = "read_only",
        /// Over.
        Ended = "ended",
    }
}

/// A period with its instants, so that later time zone data does not move it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// The first date.
    pub from: Date,
    /// The date after the last one.
    pub until: Date,
    /// When it begins.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
}

/// A month in which usage is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct UsageRange {
    /// The first date.
    pub from: Date,
    /// The date after the last one.
    pub until: Date,
    /// When it begins.
    pub starts_at: Timestamp,
    /// When it ends, and counters start again.
    pub ends_at: Timestamp,
}

/// Commands on a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Start the trial of a new organization.
    StartTrial {
        /// What holds in it.
        terms: Terms,
        /// The time zone in which days are counted.
        zone: String,
        /// When the organization was created.
        created_at: Timestamp,
        /// When the trial ends at the earliest.
        trial_ends_at: Timestamp,
    },
    /// Extend the trial.
    ExtendTrial {
        /// The first date after it.
        until: Date,
        /// Why.
        reason: Reason,
        /// The current time.
        now: Timestamp,
    },
    /// Change the terms, or choose them for the first time.
    Change(Box<ChangeTerms>),
    /// A change was paid for.
    FinishChange {
        /// The change.
        change: ChangeId,
        /// The current time.
        now: Timestamp,
    },
    /// A change was not paid for.
    AbandonChange {
        /// The change.
        change: ChangeId,
        /// Why.
        why: AbandonReason,
    },
    /// Withdraw a scheduled change, or a plan that was chosen in the trial.
    WithdrawChange,
    /// Cancel at the end of the period, or on a date.
    Cancel {
        /// The first date on which nothing is held; for staff.
        on: Option<Date>,
        /// Why.
        reason: Option<Reason>,
        /// The current time.
        now: Timestamp,
    },
    /// Withdraw a cancellation.
    Resume,
    /// Add a discount.
    AddDiscount {
        /// The discount.
        discount: DiscountId,
        /// The coupon that is redeemed, if it is not promotional.
        coupon: Option<CouponId>,
        /// What it takes off.
        terms: DiscountTerms,
        /// The current time.
        now: Timestamp,
    },
    /// Remove a discount, from the next period on.
    RemoveDiscount {
        /// The discount.
        discount: DiscountId,
    },
    /// Count days in another time zone from the next period on.
    ChangeZone {
        /// The zone.
        zone: ZoneName,
    },
    /// Move to another version of the same plan, at the first border of a period after a notice.
    Migrate {
        /// The version.
        terms: Terms,
        /// The current time.
        now: Timestamp,
    },
    /// Record that the first of what is not billed was billed.
    Bill {
        /// The version of the event that is billed.
        event: u64,
        /// The documents that were issued.
        documents: Vec<String>,
        /// The invoice among them.
        invoice: Option<InvoiceId>,
        /// What was used in the usage months that it bills, or had billed before.
        usage: Vec<BilledUsage>,
        /// The rate in percent of the tax that its prices include.
        included_tax: Option<Decimal>,
        /// The current time.
        now: Timestamp,
    },
    /// A payment of an invoice failed.
    BecomePastDue {
        /// The invoice.
        invoice: InvoiceId,
    },
    /// Nothing of an invoice is due any longer.
    Recover {
        /// The invoice.
        invoice: InvoiceId,
        /// The current time.
        now: Timestamp,
    },
    /// An invoice was not paid for too long.
    BecomeReadOnly {
        /// The invoice.
        invoice: InvoiceId,
        /// When the subscription ends.
        ends_at: Timestamp,
    },
    /// End it today.
    End {
        /// Why.
        why: EndReason,
        /// The current time.
        now: Timestamp,
    },
    /// Carry out what has become due.
    Reach {
        /// When it was due.
        due: Timestamp,
        /// Whether the billing account is complete and there is a way to pay.
        can_pay: bool,
        /// The current time.
        now: Timestamp,
    },
}

/// A change of terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeTerms {
    /// The new terms.
    pub to: Held,
    /// From when on cheaper terms hold, if not from the next period.
    pub effective: Option<Date>,
    /// The digest of the quote that the caller has seen.
    pub quote: Option<String>,
    /// Whether it happens only once it is paid.
    pub is_gated: bool,
    /// What the balance pays of it.
    pub balance: i64,
    /// The id of the change.
    pub change: ChangeId,
    /// What is used.
    pub used: Used,
    /// How it is taxed; `None` before seller and billing account are complete.
    pub tax: Option<tax::Decision>,
    /// The current time.
    pub now: Timestamp,
}

/// The counters of redemptions on the platform, by coupon; a maximum comes with the command.
pub const REDEMPTIONS: &str = "redemptions";

const NOT_REDEEMABLE: Violation = Violation::new(
    Kind::Conflict,
    "coupon-not-redeemable",
    "the coupon cannot be redeemed: it is unknown, expired or used up, or was redeemed before",
);

/// The state of a subscription. Read models store it to fold it further.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Subscription(Option<Box<Existing>>);

impl Subscription {
    /// Its status; `None` if it does not exist.
    pub fn status(&self) -> Option<Status> {
        let existing = self.0.as_ref()?;
        let is_past_due = existing.status == Status::Active && !existing.past_due.is_empty();
        Some(if is_past_due { Status::PastDue } else { existing.status })
    }

    /// Whether what adds or changes something is refused.
    pub fn is_read_only(&self) -> bool {
        matches!(self.status(), Some(Status::ReadOnly | Status::Ended))
    }

    /// Whether a feature is included. Before a subscription exists, all are, as in a trial.
    pub fn has(&self, feature: Feature) -> bool {
        self.terms().is_none_or(|terms| terms.offer.features.contains(&feature))
    }

    /// The terms whose features and limits hold; `None` before a subscription exists.
    pub fn terms(&self) -> Option<&Terms> {
        let existing = self.0.as_ref()?;
        Some(existing.held.as_ref().map_or(&existing.trial.terms, |held| &held.terms))
    }

    /// What is held or chosen; `None` before a plan was chosen.
    pub fn held(&self) -> Option<&Held> {
        self.0.as_ref().and_then(|existing| existing.held.as_ref().or(existing.chosen.as_ref()))
    }

    /// What is held or chosen, and kept by a change: nothing once the subscription has ended.
    pub fn kept(&self) -> Option<&Held> {
        self.held().filter(|_| self.status() != Some(Status::Ended))
    }

    /// The limit of a meter; `None` if there is none.
    pub fn limit(&self, meter: Meter) -> Option<u64> {
        match &self.0.as_ref()?.held {
            Some(held) => held.limit(meter),
            // Nothing is billed in a trial.
            None => self.terms()?.offer.included(meter, 0),
        }
    }

    /// What is included of a meter; `None` if that is not limited.
    pub fn included(&self, meter: Meter) -> Option<u64> {
        let seats = self.0.as_ref()?.held.as_ref().map_or(0, |held| held.seats);
        self.terms()?.offer.included(meter, seats)
    }

    /// The time zone in which days are counted.
    pub fn time_zone(&self) -> TimeZone {
        self.0.as_ref().map_or(TimeZone::UTC, |existing| existing.time_zone())
    }

    /// When it started; `None` before it exists.
    pub fn started(&self) -> Option<Timestamp> {
        let existing = self.0.as_ref()?;
        super::period::first_instant(existing.started_on, &existing.time_zone()).ok()
    }

    /// The name of that time zone.
    pub fn zone(&self) -> Option<&str> {
        self.0.as_ref().map(|existing| existing.zone.as_str())
    }

    /// The usage month of an instant; `None` before a subscription exists.
    ///
    /// # Errors
    /// If a date is out of range.
    pub fn usage_month(&self, at: Timestamp) -> Result<Option<UsageRange>, OutOfRange> {
        self.0.as_ref().map(|existing| existing.usage_month(at)).transpose()
    }

    /// What a change would lead to.
    ///
    /// # Errors
    /// If it is not possible.
    pub fn quote(&self, change: &Change, at: Timestamp, used: Used) -> Result<Quote, Rejection> {
        quote::quote(self.0.as_ref().ok_or(Rejection::NotFound)?, change, at, used)
    }

    /// The current period; `None` unless it is active.
    pub fn period(&self) -> Option<Period> {
        self.0.as_ref().filter(|it| it.status == Status::Active).and_then(|it| it.period)
    }

    /// The first date after the trial; `None` before a subscription exists.
    pub fn trial_until(&self) -> Option<Date> {
        self.0.as_ref().map(|existing| existing.trial.until)
    }

    /// When the trial ends; `None` before a subscription exists.
    pub fn trial_ends_at(&self) -> Option<Timestamp> {
        self.0.as_ref().map(|existing| existing.trial.ends_at)
    }

    /// The change that is scheduled.
    pub fn scheduled(&self) -> Option<&Scheduled> {
        self.0.as_ref()?.scheduled.as_ref()
    }

    /// The plan that was chosen in the trial.
    pub fn chosen(&self) -> Option<&Held> {
        self.0.as_ref()?.chosen.as_ref()
    }

    /// From which date on nothing is held, because it is canceled.
    pub fn canceled_from(&self) -> Option<Date> {
        self.0.as_ref()?.cancellation.map(|(effective, _)| effective)
    }

    /// The change that waits for its payment: its id, the amount and the currency.
    pub fn in_flight(&self) -> Option<(ChangeId, i64, super::Currency)> {
        let in_flight = self.0.as_ref()?.in_flight.as_ref()?;
        Some((in_flight.change, in_flight.quote.total, in_flight.to.currency))
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.0.as_ref().map_or(0, |existing| existing.version)
    }

    /// What is billed next.
    pub fn unbilled(&self) -> Option<&Unbilled> {
        self.0.as_ref()?.unbilled.first()
    }

    /// What an event led to, while it is not billed.
    pub fn unbilled_of(&self, event: u64) -> Option<&Unbilled> {
        self.0.as_ref()?.unbilled.iter().find(|it| it.event == event)
    }

    /// The usage months that were billed and can still have late use, the oldest first.
    pub fn billed_months(&self) -> &[BilledMonth] {
        self.0.as_ref().map_or(&[], |existing| &existing.billed_months)
    }

    /// The usage month that begins on a date, billed or not; `None` if it is not known any more.
    pub fn usage_to_bill(&self, from: Date) -> Option<&UsageToBill> {
        let existing = self.0.as_ref()?;
        let unbilled = existing.unbilled.iter().flat_map(|it| &it.usage);
        unbilled.chain(existing.billed_months.iter().map(|it| &it.month)).find(|month| month.from == from)
    }

    /// Whether what is billed next, or something after it, is due.
    pub fn must_bill(&self, now: Timestamp) -> bool {
        self.0.iter().flat_map(|it| &it.unbilled).any(|it| it.due.is_none_or(|due| due <= now))
    }

    /// The invoices whose lines a change credits, the latest first.
    pub fn invoices_of_period(&self) -> impl Iterator<Item = InvoiceId> {
        self.0.iter().flat_map(|existing| existing.period_invoices.iter().rev().copied())
    }

    /// The invoice of a change that was paid for.
    pub fn invoice_of_change(&self, change: ChangeId) -> Option<InvoiceId> {
        let changes = &self.0.as_ref()?.paid_changes;
        changes.iter().find(|(paid, _)| *paid == change).map(|(_, invoice)| *invoice)
    }

    /// Whether an invoice is past due.
    pub fn is_past_due(&self, invoice: InvoiceId) -> bool {
        self.0.as_ref().is_some_and(|existing| existing.past_due.contains(&invoice))
    }

    /// The discounts that were added and not used up.
    pub fn discounts(&self) -> impl Iterator<Item = (DiscountId, &HeldDiscount)> {
        self.0.iter().flat_map(|existing| existing.discounts.iter().map(|(id, discount)| (*id, discount)))
    }
}

impl Aggregate for Subscription {
    const CATEGORY: &'static str = "subscription";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = SubscriptionId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match (&self.0, command) {
            (Some(existing), command) => existing.decide(command),
            (None, Command::StartTrial { terms, zone, created_at, trial_ends_at }) => {
                due::start_trial(terms, zone, *created_at, *trial_ends_at).map(|event| vec![event])
            }
            (None, _) => Err(Rejection::NotFound),
        }
    }

    fn evolve(&mut self, event: &Event) {
        match &mut self.0 {
            Some(existing) => existing.evolve(event),
            None => self.0 = Existing::of(event).map(Box::new),
        }
    }

    fn constraints(&self, event: &Event) -> Vec<Constraint> {
        let Event::DiscountAdded { coupon: Some(coupon), .. } = event else { return Vec::new() };
        vec![Constraint::Count {
            scope: Scope::Platform,
            name: format!("{REDEMPTIONS} {coupon}").into(),
            by: 1,
            minimum: None,
            maximum: None,
            violation: NOT_REDEEMABLE,
        }]
    }
}

#[cfg(test)]
mod tests;
