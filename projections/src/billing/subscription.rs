//! Subscriptions.

use jiff::Timestamp;
use porttask_domain::{
    OrganizationId, TextEnum,
    billing::{
        Currency, Subscription as Aggregated,
        mrr::History,
        period::Interval,
        plan::PlanId,
        subscription::{AbandonReason, Cause, EndReason, Event, ReadOnlyReason, Reminder, Status},
        terms::Held,
    },
};

use super::{coupon::terms_changes, plan::money};
use crate::{
    Change, Index, Key, ReadModel, Recorded, Value,
    audit_text::{DescriptionSink, DisplayValue, change_if_different},
    row, text_columns,
};

text_columns!(Status);

row! {
    /// The subscription of an organization.
    pub struct Subscription {
        key {
            /// The organization.
            organization: OrganizationId,
        }
        row {
            /// The status.
            status: Status,
            /// The plan that is held or chosen; null before one is chosen.
            plan: Option<PlanId>,
            /// Its code; empty before one is chosen.
            plan_code: String,
            /// Its version.
            plan_version: Option<u64>,
            /// The currency.
            currency: Option<String>,
            /// How often it is paid.
            interval: Option<String>,
            /// Extra seats.
            seats: u64,
            /// The recurring revenue of a month, in minor units of the currency.
            monthly_revenue: u64,
            /// What was paid when, as JSON.
            revenue: String,
            /// When what comes next begins: the renewal, the end of the trial; the end of the world for none.
            next_at: Timestamp,
            /// The date of that, in the time zone of the subscription.
            next_on: Option<String>,
            /// The code of the plan that is scheduled.
            scheduled_plan: Option<String>,
            /// The date from which on nothing is held, because it is canceled.
            canceled_from: Option<String>,
            /// The subscription as JSON.
            state: String,
            /// When it started.
            created_at: Timestamp,
            /// The version.
            version: u64,
        }
    }
}

impl Subscription {
    /// What was paid when.
    pub fn revenue(&self) -> History {
        serde_json::from_str(&self.revenue).unwrap_or_default()
    }
}

/// Which organization has which subscription, until when, and what did it pay?
pub struct Subscriptions;

impl ReadModel for Subscriptions {
    const NAME: &'static str = "subscriptions";
    const VERSION: u32 = 5;
    const INDEXES: &'static [Index] = &[Index { name: "by_organization", columns: &["organization"] }];
    const CROSS_PARTITION_INDEXES: &'static [Index] = &[
        Index { name: "all_by_renewal", columns: &["next_at", "organization"] },
        Index { name: "all_by_revenue", columns: &["monthly_revenue", "organization"] },
        Index { name: "all_by_age", columns: &["created_at", "organization"] },
    ];
    type Source = Event;
    type Row = Subscription;

    fn keys(_: &Event, recorded: &Recorded) -> Vec<Key> {
        vec![vec![Value::Id(recorded.organization.0)]]
    }

    fn project(row: Option<Subscription>, event: &Event, recorded: &Recorded) -> Change<Subscription> {
        let known = row.as_ref().and_then(|row| serde_json::from_str(&row.state).ok());
        let mut state: Aggregated = known.unwrap_or_default();
        let mut revenue = row.as_ref().map(Subscription::revenue).unwrap_or_default();
        state.evolve_with_revenue(event, &mut revenue);
        let Some(status) = state.status() else { return Change::Keep };
        let held = state.held();
        let next = match (state.period(), status) {
            (Some(period), _) => Some((period.ends_at, period.until)),
            (None, Status::Trialing) => state.trial_ends_at().zip(state.trial_until()),
            (None, _) => None,
        };
        Change::Put(Subscription {
            organization: recorded.organization,
            status,
            plan: held.map(|held| held.terms.plan),
            plan_code: held.map(|held| held.terms.code.clone()).unwrap_or_default(),
            plan_version: held.map(|held| held.terms.version.into()),
            currency: held.map(|held| held.currency.to_string()),
            interval: held.map(|held| held.interval.to_string()),
            seats: held.map_or(0, |held| held.seats.into()),
            monthly_revenue: u64::try_from(state.monthly_revenue()).unwrap_or_default(),
            revenue: serde_json::to_string(&revenue).unwrap_or_default(),
            next_at: next.map_or(NEVER, |(at, _)| at),
            next_on: next.map(|(_, date)| date.to_string()),
            scheduled_plan: state.scheduled().map(|it| it.to.terms.code.clone()),
            canceled_from: state.canceled_from().map(|date| date.to_string()),
            state: serde_json::to_string(&state).unwrap_or_default(),
            created_at: row.map_or(recorded.time(), |row| row.created_at),
            version: recorded.version,
        })
    }
}

/// After everything: 9999-01-01.
pub const NEVER: Timestamp = Timestamp::constant(253_370_764_800, 0);

fn interval_name(interval: Interval) -> &'static str {
    match interval {
        Interval::Month => "monthly",
        Interval::Year => "yearly",
    }
}

/// What is held, in words: `Starter, monthly, 2 extra seats`.
pub fn held_in_words(held: &Held) -> String {
    let seats = match held.seats {
        0 => String::new(),
        1 => ", 1 extra seat".to_owned(),
        seats => format!(", {seats} extra seats"),
    };
    format!("{}, {}{seats}", held.terms.name, interval_name(held.interval))
}

fn held_changes(from: Option<&Held>, to: &Held, sink: &mut dyn DescriptionSink) {
    fn codes(held: &Held) -> [(&'static str, String); 5] {
        [
            ("plan", held.terms.code.clone()),
            ("plan_version", held.terms.version.to_string()),
            ("interval", held.interval.to_string()),
            ("seats", held.seats.to_string()),
            ("currency", held.currency.to_string()),
        ]
    }
    let old = from.map(codes);
    for (index, (field, value)) in codes(to).iter().enumerate() {
        let from = old.as_ref().map(|old| DisplayValue::Text(&old[index].1));
        change_if_different(field, from, Some(DisplayValue::Text(value)), sink);
    }
}

fn amount(net: i64, currency: Currency, sink: &mut dyn DescriptionSink) {
    sink.change("net", None, Some(DisplayValue::Text(&money(net, currency))));
}

/// What happened, for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    match event {
        Event::TrialStarted { trial_until, zone, .. } => {
            sink.words("started the trial, which ends before ");
            sink.value(DisplayValue::Written(trial_until));
            sink.change("trial_until", None, Some(DisplayValue::Filtered(trial_until)));
            sink.change("time_zone", None, Some(DisplayValue::Text(zone)));
        }
        Event::TrialExtended { from, to, reason, .. } => {
            sink.words("extended the trial: ");
            sink.value(DisplayValue::Text(reason));
            sink.change("trial_until", Some(DisplayValue::Filtered(from)), Some(DisplayValue::Filtered(to)));
        }
        Event::PlanChosen { to } => {
            sink.words("chose the plan ");
            sink.value(DisplayValue::Text(&held_in_words(to)));
            held_changes(None, to, sink);
        }
        Event::Activated { held, period, .. } => {
            sink.words("began the subscription of ");
            sink.value(DisplayValue::Text(&held_in_words(held)));
            held_changes(None, held, sink);
            sink.change("period_from", None, Some(DisplayValue::Filtered(&period.from)));
            sink.change("period_until", None, Some(DisplayValue::Filtered(&period.until)));
        }
        Event::ChangeRequested { to, effective, quote, .. } => {
            sink.words("requested a change to ");
            sink.value(DisplayValue::Text(&held_in_words(to)));
            sink.words(", which is being paid");
            held_changes(None, to, sink);
            sink.change("effective", None, Some(DisplayValue::Filtered(effective)));
            amount(quote.net, to.currency, sink);
        }
        Event::ChangeAbandoned { why, .. } => sink.words(match why {
            AbandonReason::Unpaid => "abandoned the change: it was not paid",
            AbandonReason::TooLate => "abandoned the change: the payment took too long",
        }),
        Event::TermsChanged { effective, from, to, cause, lines, .. } => {
            sink.words(match cause {
                Cause::Upgrade => "upgraded the subscription to ",
                Cause::Downgrade => "downgraded the subscription to ",
                Cause::Migration => "moved the subscription to a new version of ",
            });
            sink.value(DisplayValue::Text(&held_in_words(to)));
            held_changes(Some(from), to, sink);
            sink.change("effective", None, Some(DisplayValue::Filtered(effective)));
            if !lines.is_empty() {
                amount(lines.iter().map(|line| line.net).sum(), to.currency, sink);
            }
        }
        Event::ChangeScheduled { effective, to, cause, .. } => {
            sink.words(match cause {
                Cause::Upgrade | Cause::Downgrade => "scheduled a change to ",
                Cause::Migration => "scheduled the move to a new version of ",
            });
            sink.value(DisplayValue::Text(&held_in_words(to)));
            sink.words(" on ");
            sink.value(DisplayValue::Written(effective));
            held_changes(None, to, sink);
            sink.change("effective", None, Some(DisplayValue::Filtered(effective)));
        }
        Event::ChangeWithdrawn {} => sink.words("withdrew the scheduled change"),
        Event::CancellationScheduled { effective, reason, .. } => {
            sink.words("canceled the subscription from ");
            sink.value(DisplayValue::Written(effective));
            sink.change("canceled_from", None, Some(DisplayValue::Filtered(effective)));
            change_if_different("reason", None, reason.as_deref().map(DisplayValue::Text), sink);
        }
        Event::CancellationWithdrawn {} => sink.words("resumed the subscription"),
        Event::Renewed { period, .. } => {
            sink.words("renewed the subscription until ");
            sink.value(DisplayValue::Written(&period.until));
            sink.change("period_from", None, Some(DisplayValue::Filtered(&period.from)));
            sink.change("period_until", None, Some(DisplayValue::Filtered(&period.until)));
        }
        Event::DiscountAdded { coupon, terms, .. } => {
            sink.words(match coupon {
                Some(_) => "redeemed a coupon",
                None => "added a discount",
            });
            terms_changes(terms, sink);
            change_if_different("coupon", None, coupon.as_ref().map(|id| DisplayValue::Filtered(id)), sink);
        }
        Event::DiscountRemoved { discount } => {
            sink.words("removed a discount");
            sink.change("discount", Some(DisplayValue::Filtered(discount)), None);
        }
        Event::ZoneChangeScheduled { from, to } => {
            sink.words("changed the time zone of billing from the next period on");
            sink.change("time_zone", Some(DisplayValue::Text(from)), Some(DisplayValue::Text(to)));
        }
        Event::Reminded { about, date, .. } => {
            sink.words(match about {
                Reminder::TrialEnds => "reminded of the end of the trial on ",
                Reminder::Renewal => "reminded of the renewal on ",
            });
            sink.value(DisplayValue::Written(date));
        }
        Event::BecameReadOnly { why: ReadOnlyReason::TrialOver, .. } => {
            sink.words("became read-only: the trial is over, and no plan begins");
            sink.change("status", None, Some(DisplayValue::Text(Status::ReadOnly.as_str())));
        }
        Event::BecameReadOnly { why: ReadOnlyReason::Unpaid, .. } => {
            sink.words("became read-only: an invoice was not paid");
            sink.change("status", None, Some(DisplayValue::Text(Status::ReadOnly.as_str())));
        }
        Event::Billed { documents, .. } => {
            sink.words("billed the subscription");
            let documents = documents.join(" ");
            if !documents.is_empty() {
                sink.change("documents", None, Some(DisplayValue::Filtered(&documents)));
            }
        }
        Event::BecamePastDue { invoice } => {
            sink.words("became past due: an invoice was not paid");
            sink.change("invoice", None, Some(DisplayValue::Filtered(invoice)));
        }
        Event::PastDueInvoicePaid { invoice } => {
            sink.words("has one invoice less that is past due: it was paid");
            sink.change("invoice", None, Some(DisplayValue::Filtered(invoice)));
        }
        Event::UsageMonthEnded { from, until, .. } => {
            sink.words("ended a usage month of the subscription");
            sink.change("from", None, Some(DisplayValue::Filtered(from)));
            sink.change("until", None, Some(DisplayValue::Filtered(until)));
        }
        Event::Recovered { .. } => sink.words("is no longer past due: the invoice was paid"),
        Event::Ended { why, on, .. } => {
            sink.words(match why {
                EndReason::Canceled => "ended the subscription, which was canceled",
                EndReason::TrialOver => "ended the subscription: no plan was chosen",
                EndReason::Deactivated => "ended the subscription with the organization",
                EndReason::Unpaid => "ended the subscription: an invoice was not paid",
            });
            sink.change("status", None, Some(DisplayValue::Text(Status::Ended.as_str())));
            sink.change("ended_on", None, Some(DisplayValue::Filtered(on)));
        }
    }
}
