//! Subscriptions: trials, limits, and what is used.

use std::borrow::Cow;

use jiff::Timestamp;
use porttask_domain::{
    OrganizationId,
    billing::{
        BillingAccount, PaymentMethods, Subscription,
        billing_account::{BillingAccountId, Collection},
        quote::Used,
        subscription::{self, Command, SubscriptionId},
        terms::Meter,
    },
    identity::user::SEATS,
    operations::{document::STORAGE_BYTES, port_call::PORT_CALLS},
};
use porttask_runtime::{
    execute::{ExecuteError, Executor, Request, Tx},
    log::{CounterKey, LogError},
};

use super::plans::trial_terms;

/// The time zone of a new organization, which has default settings.
const DEFAULT_ZONE: &str = "UTC";

/// Starts the trial of an organization that is being created.
///
/// # Errors
/// If the terms cannot be read.
pub async fn start_trial(tx: &Tx, organization: OrganizationId, trial_ends_at: Timestamp) -> Result<(), ExecuteError> {
    let (terms, created_at) = (trial_terms(tx).await?, tx.now());
    let start = Command::StartTrial { terms, zone: DEFAULT_ZONE.to_owned(), created_at, trial_ends_at };
    tx.decide_new::<Subscription>(organization.into(), &start).await
}

/// Carries out what has become due for the subscription of the request's organization. After a trial, the plan that was
/// chosen begins if there is a way to pay for it.
///
/// # Errors
/// If the log fails.
pub async fn reach(tx: &Tx, due: Timestamp) -> Result<(), ExecuteError> {
    let (organization, now) = (tx.request().organization, tx.now());
    let id = SubscriptionId::from(organization);
    let state: Subscription = tx.read(id).await?;
    let can_pay = state.status() == Some(subscription::Status::Trialing) && {
        let account: BillingAccount = tx.read(BillingAccountId::from(organization)).await?;
        let methods: PaymentMethods = tx.read(organization.into()).await?;
        let has_way = account.collection() != Collection::Automatic || methods.usable().is_some();
        account.required_buyer().is_ok() && has_way
    };
    tx.decide::<Subscription>(id, &Command::Reach { due, can_pay, now }).await
}

/// Checks that the subscription of an organization allows a request, and limits what its terms limit.
///
/// # Errors
/// If it is read-only and the request is not allowed then, or cannot be read.
pub(crate) async fn must_allow(request: &Request, tx: &Tx) -> Result<(), ExecuteError> {
    let subscription: Subscription = tx.read(SubscriptionId::from(request.organization)).await?;
    if request.needs_subscription {
        must_not_be_read_only(&subscription)?;
    }
    for (counter, meter) in
        [(SEATS, Meter::Users), (PORT_CALLS, Meter::PortCalls), (STORAGE_BYTES, Meter::StorageBytes)]
    {
        if let Some(limit) = subscription.limit(meter) {
            tx.limit(counter, i64::try_from(limit).unwrap_or(i64::MAX));
        }
    }
    Ok(())
}

/// Checks that the subscription of an organization is not read-only: for requests of which it depends on what they do.
///
/// # Errors
/// If it is, or cannot be read.
pub async fn must_be_in_force(tx: &Tx, organization: OrganizationId) -> Result<(), ExecuteError> {
    must_not_be_read_only(&tx.read(SubscriptionId::from(organization)).await?)
}

fn must_not_be_read_only(subscription: &Subscription) -> Result<(), ExecuteError> {
    match subscription.is_read_only() {
        true => Err(ExecuteError::Rejected(subscription::Rejection::ReadOnly.into())),
        false => Ok(()),
    }
}

/// The value of a counter of an organization.
///
/// # Errors
/// If the log fails.
pub async fn counted(
    executor: &Executor,
    organization: OrganizationId,
    name: impl Into<Cow<'static, str>>,
) -> Result<u64, LogError> {
    let count = executor.database().count(&CounterKey { organization, name: name.into() }).await?;
    Ok(u64::try_from(count).unwrap_or_default())
}

/// What an organization uses of what is not counted by the month.
///
/// # Errors
/// If the log fails.
pub async fn used(executor: &Executor, organization: OrganizationId) -> Result<Used, LogError> {
    let users = counted(executor, organization, SEATS).await?;
    Ok(Used { users, storage_bytes: counted(executor, organization, STORAGE_BYTES).await? })
}
