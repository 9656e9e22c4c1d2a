//! What becomes due for subscriptions and payments: ends of trials, renewals, scheduled changes, reminders, payments without
//! a known outcome.

use async_trait::async_trait;
use porttask_domain::{
    TextEnum,
    billing::{
        Subscription,
        payment::{PaymentId, Target},
        subscription::SubscriptionId,
    },
};
use porttask_projections::platform::timer::Kind;
use porttask_runtime::{
    execute::{ExecuteError, Tx},
    timers::{Timer, TimerHandler, TimerOutcome},
};

use super::{payments::Payments, subscriptions::reach};

/// Carries out what has become due for subscriptions.
pub struct SubscriptionTimers {
    payments: Payments,
}

impl SubscriptionTimers {
    /// With the payments that changes wait for.
    pub fn new(payments: Payments) -> Self {
        Self { payments }
    }
}

#[async_trait]
impl TimerHandler for SubscriptionTimers {
    fn kinds(&self) -> Vec<&'static str> {
        use Kind::{BillingReminder, ChangeExpiry, ReadOnlyEnd, Renewal, ScheduledChange, TrialEnd, UsageMonthEnd};
        [BillingReminder, TrialEnd, ReadOnlyEnd, Renewal, UsageMonthEnd, ScheduledChange, ChangeExpiry]
            .iter()
            .map(TextEnum::as_str)
            .collect()
    }

    async fn run(&self, timer: &Timer, tx: &Tx) -> Result<TimerOutcome, ExecuteError> {
        let subscription: Subscription = tx.read(SubscriptionId(timer.subject)).await?;
        // A node may have been killed after a payment: what was paid for happens.
        if let Some((change, ..)) = subscription.in_flight()
            && timer.kind == Kind::ChangeExpiry.as_str()
            && self.payments.expire(tx, PaymentId::of(Target::Change(change), 1)).await?
        {
            return Ok(TimerOutcome::Done);
        }
        reach(tx, timer.due_at).await.map(|()| TimerOutcome::Done)
    }
}

/// Looks up payments that are in flight for long, and asks for refunds.
pub struct PaymentTimers {
    payments: Payments,
}

impl PaymentTimers {
    /// Of these payments.
    pub fn new(payments: Payments) -> Self {
        Self { payments }
    }
}

#[async_trait]
impl TimerHandler for PaymentTimers {
    fn kinds(&self) -> Vec<&'static str> {
        vec![Kind::PaymentCheck.as_str()]
    }

    async fn run(&self, timer: &Timer, tx: &Tx) -> Result<TimerOutcome, ExecuteError> {
        self.payments.check(tx, PaymentId(timer.subject)).await
    }
}
