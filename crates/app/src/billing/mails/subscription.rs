//! Mails about subscriptions. What no longer applies is not mailed.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::{
    OrganizationId,
    billing::{
        Subscription,
        period::local_date,
        subscription::{Cause, Event, Reminder, Status, SubscriptionId},
    },
};
use porttask_runtime::{reactors::TaskError, tasks::Task};

use super::{recipients::Recipients, texts::Message};
use crate::mail::{Draft, Mails};

porttask_domain::texts! {
    /// The kinds of mail.
    pub enum Kind {
        /// The trial ends, or a yearly subscription renews.
        Reminder = "subscription_reminder",
        /// The organization is read-only.
        ReadOnly = "subscription_read_only",
        /// The subscription ended.
        Ended = "subscription_ended",
        /// The subscription became active.
        Activated = "subscription_activated",
        /// The terms changed.
        Changed = "subscription_changed",
        /// The terms change with a new version of the plan.
        MigrationNotice = "subscription_migration_notice",
    }
}

pub(super) struct SubscriptionMails(pub(super) Arc<Recipients>);

#[async_trait]
impl Mails for SubscriptionMails {
    type Source = Event;
    type Kind = Kind;

    fn kinds(event: &Event, _: OrganizationId) -> Vec<Kind> {
        match event {
            Event::Reminded { .. } => vec![Kind::Reminder],
            Event::BecameReadOnly { .. } => vec![Kind::ReadOnly],
            Event::Ended { .. } => vec![Kind::Ended],
            Event::Activated { .. } => vec![Kind::Activated],
            Event::TermsChanged { .. } => vec![Kind::Changed],
            Event::ChangeScheduled { cause: Cause::Migration, .. } => vec![Kind::MigrationNotice],
            Event::TrialStarted { .. }
            | Event::TrialExtended { .. }
            | Event::PlanChosen { .. }
            | Event::ChangeRequested { .. }
            | Event::ChangeAbandoned { .. }
            | Event::ChangeScheduled { cause: Cause::Upgrade | Cause::Downgrade, .. }
            | Event::ChangeWithdrawn {}
            | Event::CancellationScheduled { .. }
            | Event::CancellationWithdrawn {}
            | Event::Renewed { .. }
            | Event::DiscountAdded { .. }
            | Event::DiscountRemoved { .. }
            | Event::Billed { .. }
            | Event::BecamePastDue { .. }
            | Event::PastDueInvoicePaid { .. }
            | Event::UsageMonthEnded { .. }
            | Event::Recovered { .. }
            | Event::ZoneChangeScheduled { .. } => Vec::new(),
        }
    }

    async fn compose(&self, _: Kind, task: &Task, now: Timestamp) -> Result<Vec<Draft>, TaskError> {
        let (home, id) = (task.organization, SubscriptionId(task.subject));
        let Some(event) = self.0.event::<Subscription>(task, id).await? else { return Ok(Vec::new()) };
        let (subscription, _) = self.0.executor.load::<Subscription>(home, id).await?;
        match message(&event, &subscription, now) {
            Some(message) => self.0.drafts(home, &message).await,
            None => Ok(Vec::new()),
        }
    }
}

/// What is to be said about an event, if that is still so.
fn message<'a>(event: &'a Event, subscription: &'a Subscription, now: Timestamp) -> Option<Message<'a>> {
    let (status, zone) = (subscription.status(), subscription.time_zone());
    let message = match event {
        Event::Reminded { about: Reminder::TrialEnds, date, plan, .. } => {
            let applies = status == Some(Status::Trialing) && subscription.trial_until() == Some(*date);
            let chosen = subscription.chosen();
            applies.then_some((Message::TrialEnds { until: *date, plan, chosen }, Some(*date)))
        }
        Event::Reminded { about: Reminder::Renewal, date, .. } => {
            let is_canceled = subscription.canceled_from().is_some_and(|from| from <= *date);
            let renews = subscription.period().is_some_and(|period| period.until == *date) && !is_canceled;
            // What begins then may be other terms than those that are held.
            let scheduled = subscription.scheduled().filter(|it| it.effective <= *date).map(|it| &it.to);
            let held = scheduled.or(subscription.held()).filter(|_| renews);
            held.map(|held| (Message::Renews { on: *date, held }, Some(*date)))
        }
        Event::BecameReadOnly { why, ends_at } => {
            let ends_on = local_date(*ends_at, &zone);
            (status == Some(Status::ReadOnly)).then_some((Message::ReadOnly { why: *why, ends_on }, None))
        }
        Event::Ended { why, on, .. } => {
            (status == Some(Status::Ended)).then_some((Message::Ended { why: *why, on: *on }, None))
        }
        Event::Activated { held, period, .. } => {
            Some((Message::Activated { held, from: period.from, until: period.until }, None))
        }
        Event::TermsChanged { effective, from, to, .. } => {
            Some((Message::Changed { from, to, effective: *effective }, None))
        }
        Event::ChangeScheduled { effective, to, cause: Cause::Migration, .. } => {
            let is_planned = subscription.scheduled().is_some_and(|it| it.effective == *effective && it.to == *to);
            let from = subscription.held().filter(|_| is_planned);
            from.map(|from| (Message::MigrationNotice { from, to, effective: *effective }, Some(*effective)))
        }
        Event::TrialStarted { .. }
        | Event::TrialExtended { .. }
        | Event::PlanChosen { .. }
        | Event::ChangeRequested { .. }
        | Event::ChangeAbandoned { .. }
        | Event::ChangeScheduled { cause: Cause::Upgrade | Cause::Downgrade, .. }
        | Event::ChangeWithdrawn {}
        | Event::CancellationScheduled { .. }
        | Event::CancellationWithdrawn {}
        | Event::Renewed { .. }
        | Event::DiscountAdded { .. }
        | Event::DiscountRemoved { .. }
        | Event::Billed { .. }
        | Event::BecamePastDue { .. }
        | Event::PastDueInvoicePaid { .. }
        | Event::UsageMonthEnded { .. }
        | Event::Recovered { .. }
        | Event::ZoneChangeScheduled { .. } => None,
    };
    let today = local_date(now, &zone);
    message.filter(|(_, date)| date.is_none_or(|date| today < date)).map(|(message, _)| message)
}
