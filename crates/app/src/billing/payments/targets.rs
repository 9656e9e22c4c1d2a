//! What follows from the outcome of a payment, by what it is for: decided in the append that records the outcome.

use porttask_domain::billing::{
    Subscription,
    billing_document::InvoiceId,
    payment::{PaymentId, Target},
    subscription::{AbandonReason, Command, SubscriptionId},
};
use porttask_runtime::execute::{ExecuteError, Tx};

use crate::billing::invoices::{collecting, settling};

/// Decides what follows from a success. Returns `false` if it is not owed any more, so that it has to be paid back.
///
/// # Errors
/// If the log fails.
pub async fn paid(tx: &Tx, target: Target, (payment, amount): (PaymentId, i64)) -> Result<bool, ExecuteError> {
    match target {
        Target::Change(change) => {
            let id = SubscriptionId::from(tx.request().organization);
            match tx.decide::<Subscription>(id, &Command::FinishChange { change, now: tx.now() }).await {
                Ok(()) => Ok(true),
                // It was given up, or is not possible any more.
                Err(ExecuteError::Rejected(_)) => not_paid(tx, target).await.map(|()| false),
                Err(error) => Err(error),
            }
        }
        Target::Invoice(invoice) => match settling::pay(tx, InvoiceId(invoice), payment, amount).await {
            Ok(()) => Ok(true),
            // It is void.
            Err(ExecuteError::Rejected(_)) => Ok(false),
            Err(error) => Err(error),
        },
    }
}

/// Decides what follows from a failure.
///
/// # Errors
/// If the log fails.
pub async fn not_paid(tx: &Tx, target: Target) -> Result<(), ExecuteError> {
    match target {
        Target::Change(change) => {
            let id = SubscriptionId::from(tx.request().organization);
            tx.decide::<Subscription>(id, &Command::AbandonChange { change, why: AbandonReason::Unpaid }).await
        }
        Target::Invoice(invoice) => collecting::become_past_due(tx, InvoiceId(invoice)).await,
    }
}
