//! Payments: what is owed is charged in three steps, so that a kill between any of them loses and doubles nothing.
//!
//! 1. `payment.started` is recorded, with an id that follows from what is owed and the number of the attempt.
//! 2. The provider is asked, with that id: the same id is charged once.
//! 3. The outcome is recorded, in one append with what follows from it ([`targets`]).
//!
//! What has no known outcome is looked up before anything is charged again: by the caller who repeats the request, or by a
//! timer after ten minutes and then every hour, which also asks for refunds.

pub mod targets;

use std::sync::Arc;

use jiff::SignedDuration;
use porttask_domain::{
    billing::{
        Currency, Payment, PaymentMethods,
        billing_account::BalanceCause,
        payment::{self, Command, PaymentId, RefundId, Start, Target},
        payment_method,
    },
    identity::Capability,
};
use porttask_runtime::{
    execute::{ExecuteError, Executor, Outcome, Request, Tx},
    ports::payments::{Charge, ChargeOutcome, PaymentProvider, RefundOutcome, RefundRequest},
    timers::TimerOutcome,
};

use super::invoices::issuing::change_balance;

/// How often a payment without a known outcome is looked up.
const CHECK_EVERY: SignedDuration = SignedDuration::from_hours(1);
/// How often a refund without a known outcome is asked for.
const REFUND_EVERY: SignedDuration = SignedDuration::from_mins(10);

/// Charges payments with a provider.
#[derive(Clone)]
pub struct Payments {
    executor: Arc<Executor>,
    provider: Arc<dyn PaymentProvider>,
}

/// What became of a payment.
#[derive(Debug, Clone, PartialEq)]
pub struct Charged {
    /// What the provider says.
    pub outcome: ChargeOutcome,
    /// What was recorded.
    pub recorded: Outcome,
}

impl Payments {
    /// Recorded by this executor.
    pub fn new(executor: Arc<Executor>, provider: Arc<dyn PaymentProvider>) -> Self {
        Self { executor, provider }
    }

    /// The provider.
    pub fn provider(&self) -> &Arc<dyn PaymentProvider> {
        &self.provider
    }

    /// The first step: decides that a payment is started with the default payment method, in the append of what makes it
    /// due. Repeated, it decides nothing.
    ///
    /// # Errors
    /// If there is no payment method that can be charged, or another payment for the same is in flight.
    pub async fn start(
        &self,
        tx: &Tx,
        target: Target,
        attempt: u32,
        (amount, currency): (i64, Currency),
    ) -> Result<PaymentId, ExecuteError> {
        let id = PaymentId::of(target, attempt);
        let known: Payment = tx.read(id).await?;
        if known.status().is_some() {
            return Ok(id);
        }
        let methods: PaymentMethods = tx.read(tx.request().organization.into()).await?;
        let provider = self.provider.name();
        let usable = methods.usable().filter(|(_, it)| it.details.provider == provider);
        let missing = || ExecuteError::Rejected(payment_method::Rejection::Missing.into());
        let (method, _) = usable.ok_or_else(missing)?;
        let (provider, now) = (provider.to_owned(), tx.now());
        let start = Start { target, amount, currency, method, provider, attempt, now };
        tx.decide::<Payment>(id, &Command::Start(start)).await?;
        Ok(id)
    }

    /// The second and the third step. One that was started before is looked up first; charging it again has no effect.
    ///
    /// # Errors
    /// If the log fails: the payment then has no known outcome.
    pub async fn charge(&self, request: &Request, id: PaymentId, is_new: bool) -> Result<Charged, ExecuteError> {
        let (payment, _) = self.executor.load::<Payment>(request.organization, id).await?;
        let outcome = match known(&payment) {
            Some(outcome) => outcome,
            None => self.ask(request, id, &payment, is_new).await?,
        };
        let found = &outcome;
        let request = request.clone().needing(Capability::Settle);
        let recorded = self.executor.transact(&request, move |tx| async move { record(&tx, id, found).await }).await?;
        Ok(Charged { outcome, recorded })
    }

    async fn ask(
        &self,
        request: &Request,
        id: PaymentId,
        payment: &Payment,
        is_new: bool,
    ) -> Result<ChargeOutcome, ExecuteError> {
        let organization = request.organization;
        if !is_new && let Some(found) = self.look_up(id, payment).await {
            return Ok(found);
        }
        let (methods, _) = self.executor.load::<PaymentMethods>(organization, organization.into()).await?;
        let method = payment.method().and_then(|method| methods.current_or_removed(method));
        let (Some(method), Some((_, amount, currency))) = (method, payment.purpose()) else {
            return Ok(ChargeOutcome::Failed { code: "no_payment_method".to_owned(), is_final: false });
        };
        let (customer, token) = (method.details.customer.clone(), method.details.token.clone());
        let (currency, kind) = (currency.code(), method.details.kind);
        Ok(self.provider.charge(&Charge { payment: id.0, organization, amount, currency, customer, token, kind }).await)
    }

    /// What became of a payment; `None` if it never arrived.
    async fn look_up(&self, id: PaymentId, payment: &Payment) -> Option<ChargeOutcome> {
        let Some(started_at) = payment.started_at() else { return Some(ChargeOutcome::Unknown) };
        // Only the provider that was asked knows.
        if payment.provider() != Some(self.provider.name()) {
            return Some(ChargeOutcome::Unknown);
        }
        self.provider.look_up(id.0, started_at).await
    }

    /// Looks up a payment whose outcome is not known, and records it. One that is not known here is left alone.
    ///
    /// # Errors
    /// If the log fails.
    pub async fn refresh(&self, request: &Request, id: PaymentId) -> Result<(), ExecuteError> {
        let (payment, _) = self.executor.load::<Payment>(request.organization, id).await?;
        if payment.provider().is_none() {
            return Ok(());
        }
        let Some(outcome) = self.look_up(id, &payment).await else { return Ok(()) };
        let found = &outcome;
        let request = request.clone().needing(Capability::Settle);
        self.executor.transact(&request, move |tx| async move { record(&tx, id, found).await }).await.map(drop)
    }

    /// Looks up a payment that is in flight for long, and asks for its refunds: the work of its timer.
    ///
    /// # Errors
    /// If the log fails.
    pub async fn check(&self, tx: &Tx, id: PaymentId) -> Result<TimerOutcome, ExecuteError> {
        let payment: Payment = tx.read(id).await?;
        if payment.is_in_flight() {
            let never = || ChargeOutcome::Failed { code: "never_arrived".to_owned(), is_final: false };
            let outcome = self.look_up(id, &payment).await.unwrap_or_else(never);
            record(tx, id, &outcome).await?;
            let payment: Payment = tx.read(id).await?;
            return Ok(match payment.is_in_flight() {
                true => TimerOutcome::Wait(tx.now() + CHECK_EVERY),
                false => TimerOutcome::Done,
            });
        }
        // All or none, so that the timer remains as long as one is open.
        let (mut answers, mut failed) = (Vec::new(), 0);
        for (refund, amount) in payment.open_refunds() {
            let provider_ref = payment.provider_ref().unwrap_or_default().to_owned();
            let request = RefundRequest { refund: refund.0, payment: id.0, provider_ref, amount };
            answers.push(match self.provider.refund(&request).await {
                RefundOutcome::Refunded { provider_ref } => Command::FinishRefund { refund, provider_ref },
                RefundOutcome::Failed { code } => {
                    failed += amount;
                    Command::FailRefund { refund, code }
                }
                RefundOutcome::Unknown => return Ok(TimerOutcome::Wait(tx.now() + REFUND_EVERY)),
            });
        }
        tx.decide_all::<Payment>(id, &answers).await?;
        if let Some((_, _, currency)) = payment.purpose() {
            // Nobody loses what the provider does not pay back.
            change_balance(tx, failed, currency, BalanceCause::FailedRefund(id)).await?;
        }
        Ok(TimerOutcome::Done)
    }

    /// Ends the wait for a payment: the work of the timer of what it is for. Returns whether it was paid.
    ///
    /// # Errors
    /// If the log fails.
    pub async fn expire(&self, tx: &Tx, id: PaymentId) -> Result<bool, ExecuteError> {
        let payment: Payment = tx.read(id).await?;
        if payment.is_in_flight() {
            let failed = |code: &str| ChargeOutcome::Failed { code: code.to_owned(), is_final: false };
            let outcome = match self.look_up(id, &payment).await {
                None => failed("never_arrived"),
                // Nobody has confirmed it.
                Some(ChargeOutcome::ActionRequired { .. }) => failed("expired"),
                Some(outcome) => outcome,
            };
            record(tx, id, &outcome).await?;
        }
        let payment: Payment = tx.read(id).await?;
        Ok(payment.provider_ref().is_some())
    }
}

/// The outcome that is recorded.
fn known(payment: &Payment) -> Option<ChargeOutcome> {
    if payment.is_in_flight() {
        return None;
    }
    match (payment.provider_ref(), payment.failure()) {
        (Some(provider_ref), _) => Some(ChargeOutcome::Succeeded { provider_ref: provider_ref.to_owned() }),
        (None, Some((code, is_final))) => Some(ChargeOutcome::Failed { code: code.to_owned(), is_final }),
        (None, None) => None,
    }
}

/// Decides what follows from the outcome of a payment. Repeated, it decides nothing. What was paid and is not needed any
/// more is paid back.
///
/// # Errors
/// If the log fails.
pub async fn record(tx: &Tx, id: PaymentId, outcome: &ChargeOutcome) -> Result<(), ExecuteError> {
    let before: Payment = tx.read(id).await?;
    let Some((target, amount, _)) = before.purpose() else {
        return Err(ExecuteError::Rejected(payment::Rejection::NotFound.into()));
    };
    match outcome {
        ChargeOutcome::Succeeded { provider_ref } => {
            let is_new = before.provider_ref().is_none();
            let succeed = Command::Succeed { provider_ref: provider_ref.clone(), at: tx.now() };
            tx.decide::<Payment>(id, &succeed).await?;
            if is_new && !targets::paid(tx, target, (id, amount)).await? {
                let refund = Command::StartRefund { refund: RefundId::of(id, 1), amount, credit_note: None };
                tx.decide::<Payment>(id, &refund).await?;
            }
        }
        ChargeOutcome::Failed { .. } if !before.is_in_flight() => {}
        ChargeOutcome::Failed { code, is_final } => {
            tx.decide::<Payment>(id, &Command::Fail { code: code.clone(), is_final: *is_final }).await?;
            targets::not_paid(tx, target).await?;
            if let Some(method) = before.method().filter(|_| *is_final) {
                let fail = payment_method::Command::FailForGood { method, code: code.clone() };
                tx.decide::<PaymentMethods>(tx.request().organization.into(), &fail).await?;
            }
        }
        ChargeOutcome::ActionRequired { .. } => tx.decide::<Payment>(id, &Command::RequireAction).await?,
        ChargeOutcome::Processing => {}
        ChargeOutcome::Unknown => tx.decide::<Payment>(id, &Command::LoseOutcome).await?,
    }
    Ok(())
}
