//! Charges of invoices on issue and while they are not paid, and what is taken away meanwhile.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::SignedDuration;
use porttask_domain::{
    Actor, DomainEvent, Meta, OrganizationId, Source, TextEnum,
    billing::{
        Invoice, Payment, Subscription,
        billing_account::Collection,
        billing_document::InvoiceId,
        invoice::{self, Command, Event, IssuedInvoice, Step},
        payment::{PaymentId, Target},
        payment_method,
        settlement::State,
        subscription::{self, EndReason, SubscriptionId},
    },
    identity::Capability,
    uuid_of,
};
use porttask_projections::{
    ColumnType, ReadModel,
    billing::invoice::{Invoices, Status},
    platform::timer::Kind,
};
use porttask_runtime::{
    execute::{ExecuteError, Executor, Request, Tx},
    log::RecordedEvent,
    ports::payments::ChargeOutcome,
    reactors::{Reactor, TaskError, TaskOutcome},
    tasks::{NewTask, Task, TaskId},
    timers::{Timer, TimerHandler, TimerOutcome},
    views::{Condition, Query, ViewError, Views},
};

use super::{issuing::today, rejected};
use crate::billing::payments::{Charged, Payments};

/// Attempts by people are numbered from here.
const BY_HAND: u32 = 1_000;
/// Attempts after a payment method became the default are numbered from here, by the version of the payment methods.
const BY_METHOD: u32 = 1_000_000;
/// The most open invoices that are charged then.
const MOST_CHARGED: usize = 100;
/// How long to wait for the read model.
const PATIENCE: Duration = Duration::from_secs(5);
const CHARGE: &str = "charge";
const CHARGE_OPEN: &str = "charge_open_invoices";
/// How long after it is read-only the subscription ends, at most.
const ENDS_AFTER: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Charges an invoice with the default payment method: an attempt that was made before has no effect.
///
/// # Errors
/// If there is no payment method, nothing is due, or the log fails.
pub async fn charge(
    executor: &Arc<Executor>,
    payments: &Payments,
    request: &Request,
    id: InvoiceId,
    attempt: Option<u32>,
) -> Result<Option<Charged>, ExecuteError> {
    let begin = request.clone().needing(Capability::Settle);
    // What follows is no part of what a key stands for.
    let request = Request { idempotency_key: None, ..begin.clone() };
    let start = move |tx: Tx| async move {
        let invoice: Invoice = tx.read(id).await?;
        let existing = invoice.existing().ok_or_else(|| rejected(invoice::Rejection::NotFound))?;
        let issued = existing.issued().ok_or_else(|| rejected(invoice::Rejection::NotIssued))?;
        let target = Target::Invoice(id.0);
        let attempt = match attempt {
            Some(attempt) => attempt,
            None => next_by_hand(&tx, target).await?,
        };
        let (due, currency) = (issued.due(), issued.document.currency);
        if due == 0 {
            return Ok(None);
        }
        let known: Payment = tx.read(PaymentId::of(target, attempt)).await?;
        let is_new = known.status().is_none();
        payments.start(&tx, target, attempt, (due, currency)).await.map(|payment| Some((payment, is_new)))
    };
    let started = executor.transact::<_, ExecuteError, _>(&begin, start).await?;
    let begun = match started.value {
        Some(begun) => begun,
        // The same request was made before: whatever has become of its payment.
        None => last_by_hand(executor, request.organization, Target::Invoice(id.0)).await?.map(|id| (id, false)),
    };
    match begun {
        Some((payment, is_new)) => payments.charge(&request, payment, is_new).await.map(Some),
        None => Ok(None),
    }
}

/// The last attempt by a person.
async fn last_by_hand(
    executor: &Executor,
    organization: OrganizationId,
    target: Target,
) -> Result<Option<PaymentId>, ExecuteError> {
    let mut last = None;
    for attempt in BY_HAND..BY_METHOD {
        let id = PaymentId::of(target, attempt);
        match executor.load::<Payment>(organization, id).await?.0.status() {
            Some(_) => last = Some(id),
            None => break,
        }
    }
    Ok(last)
}

/// The number of the next attempt by a person: the one in flight, or one more than the last.
async fn next_by_hand(tx: &Tx, target: Target) -> Result<u32, ExecuteError> {
    let mut attempt = BY_HAND;
    loop {
        let payment: Payment = tx.read(PaymentId::of(target, attempt)).await?;
        if payment.status().is_none() || payment.is_in_flight() {
            return Ok(attempt);
        }
        attempt += 1;
    }
}

/// Whether an attempt was made by a person.
pub fn is_by_hand(attempt: u32) -> bool {
    (BY_HAND..BY_METHOD).contains(&attempt)
}

/// Charges invoices when they are issued, when a step of their collection says so, and when there is another default
/// payment method.
pub struct Collector {
    executor: Arc<Executor>,
    payments: Payments,
    views: Arc<Views>,
}

impl Collector {
    /// The name of the reactor.
    pub const NAME: &'static str = "invoice_collection";

    /// Charges with these payments; finds open invoices in these views.
    pub fn new(executor: Arc<Executor>, payments: Payments, views: Arc<Views>) -> Self {
        Self { executor, payments, views }
    }

    async fn charge(&self, task: &Task, request: &Request) -> Result<TaskOutcome, TaskError> {
        let (id, attempt) = (InvoiceId(task.subject), u32::try_from(task.number).unwrap_or(1));
        match charge(&self.executor, &self.payments, request, id, Some(attempt)).await {
            Ok(Some(_)) => Ok(TaskOutcome::Done),
            Ok(None) => Ok(TaskOutcome::Skipped),
            Err(ExecuteError::Rejected(it)) if it.slug == "payment-method-missing" => {
                let past_due = move |tx: Tx| async move { become_past_due(&tx, id).await };
                self.executor.transact(request, past_due).await?;
                Ok(TaskOutcome::Done)
            }
            // Another payment of it is in flight.
            Err(ExecuteError::Rejected(_)) => Ok(TaskOutcome::Skipped),
            Err(error) => Err(error.into()),
        }
    }

    /// Charges what is open with the payment method that became the default, the oldest first, until one is not paid: the
    /// others would not be either. A repetition charges nothing again, because the attempt has the same number.
    async fn charge_open(&self, task: &Task, request: &Request) -> Result<TaskOutcome, TaskError> {
        let attempt = BY_METHOD.saturating_add(u32::try_from(task.number).unwrap_or(u32::MAX));
        let mut outcome = TaskOutcome::Skipped;
        for id in self.open(task.organization).await? {
            let (invoice, _) = self.executor.load::<Invoice>(task.organization, id).await?;
            let issued = invoice.existing().and_then(|it| it.issued());
            let is_charged = |it: &&IssuedInvoice| {
                it.collection == Collection::Automatic && it.settlement.state == State::Open && it.due() > 0
            };
            if issued.filter(is_charged).is_none() {
                continue;
            }
            match charge(&self.executor, &self.payments, request, id, Some(attempt)).await {
                Ok(None) => {}
                Ok(Some(charged)) => {
                    outcome = TaskOutcome::Done;
                    if matches!(charged.outcome, ChargeOutcome::Failed { .. }) {
                        break;
                    }
                }
                Err(ExecuteError::Rejected(it)) if it.slug == "payment-method-missing" => break,
                // Another payment of it is in flight.
                Err(ExecuteError::Rejected(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(outcome)
    }

    /// The open invoices of an organization, the oldest first.
    async fn open(&self, organization: OrganizationId) -> Result<Vec<InvoiceId>, TaskError> {
        let temporary = |error: ViewError| TaskError::Temporary(error.to_string());
        let partition = self.executor.database().partition_of(organization).await?;
        let Some(partition) = partition else { return Ok(Vec::new()) };
        self.views.catch_up_in(Invoices::NAME, partition, PATIENCE).await.map_err(temporary)?;
        let conditions = vec![
            Condition::Equal("organization", organization.to_value()),
            Condition::Equal("status", Status::Open.to_value()),
        ];
        let sort = vec!["organization", "created_at", "invoice"];
        let query = Query { partition, conditions, sort, limit: MOST_CHARGED, ..Query::default() };
        let rows = self.views.rows::<Invoices>(&query).await.map_err(temporary)?;
        Ok(rows.into_iter().map(|row| row.invoice).collect())
    }
}

#[async_trait]
impl Reactor for Collector {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn covers(&self, category: &str) -> bool {
        <Event as Source>::covers(category) || <payment_method::Event as Source>::covers(category)
    }

    fn tasks(&self, event: &DomainEvent, recorded: &RecordedEvent) -> Vec<NewTask> {
        let (kind, number) = match event {
            DomainEvent::Invoice(Event::Issued { collection: Collection::Automatic, document, .. })
                if document.totals.total > 0 =>
            {
                (CHARGE, 1)
            }
            DomainEvent::Invoice(Event::Dunned { step: Step::Charge, stage, .. }) => (CHARGE, 1 + u64::from(*stage)),
            // The first one, and one that replaces a declined one, are the default when they are added.
            DomainEvent::PaymentMethods(payment_method::Event::MadeDefault { .. }) => (CHARGE_OPEN, recorded.version.0),
            _ => return Vec::new(),
        };
        let Some(subject) = uuid_of(recorded.stream.name.id()) else { return Vec::new() };
        vec![NewTask {
            id: TaskId::generate(),
            organization: recorded.stream.organization,
            kind,
            subject,
            number,
            target: subject,
            due_at: None,
        }]
    }

    async fn run(&self, task: &Task) -> Result<TaskOutcome, TaskError> {
        let request = Request::new(task.organization, Meta::by(Actor::System)).needing(Capability::Settle);
        match task.kind.as_str() {
            CHARGE => self.charge(task, &request).await,
            CHARGE_OPEN => self.charge_open(task, &request).await,
            // Recorded by a newer version of the program, which will run again.
            kind => Err(TaskError::Temporary(format!("this version does not know the task kind {kind:?}"))),
        }
    }
}

/// The payment of an invoice failed.
///
/// # Errors
/// If the log fails.
pub async fn become_past_due(tx: &Tx, invoice: InvoiceId) -> Result<(), ExecuteError> {
    let known: Invoice = tx.read(invoice).await?;
    if known.existing().and_then(|it| it.issued()).is_none_or(|it| it.due() == 0) {
        return Ok(());
    }
    let id = SubscriptionId::from(tx.request().organization);
    let state: Subscription = tx.read(id).await?;
    match state.status() {
        None => Ok(()),
        Some(_) => tx.decide::<Subscription>(id, &subscription::Command::BecomePastDue { invoice }).await,
    }
}

/// Carries out the steps to collect invoices.
pub struct DunningTimers;

#[async_trait]
impl TimerHandler for DunningTimers {
    fn kinds(&self) -> Vec<&'static str> {
        vec![Kind::Dunning.as_str()]
    }

    async fn run(&self, timer: &Timer, tx: &Tx) -> Result<TimerOutcome, ExecuteError> {
        dun(tx, InvoiceId(timer.subject)).await.map(|()| TimerOutcome::Done)
    }
}

/// Carries out the next step to collect an invoice, if it is due.
///
/// # Errors
/// If the log fails.
pub async fn dun(tx: &Tx, id: InvoiceId) -> Result<(), ExecuteError> {
    let before: Invoice = tx.read(id).await?;
    tx.decide::<Invoice>(id, &Command::Dun { now: tx.now() }).await?;
    let after: Invoice = tx.read(id).await?;
    let taken = |invoice: &Invoice, step| invoice.existing().and_then(|it| it.issued()).map(|it| it.stage(step));
    let happened = |step| taken(&before, step) != taken(&after, step);
    if happened(Step::Remind) {
        become_past_due_if_overdue(tx, id, &after).await?;
    }
    if happened(Step::BecomeReadOnly) {
        let ends = after.existing().and_then(|it| it.issued()).and_then(|it| it.dunning.first().map(|it| it.at));
        let ends_at = ends.unwrap_or(tx.now() + ENDS_AFTER);
        of_subscription(tx, &subscription::Command::BecomeReadOnly { invoice: id, ends_at }).await?;
    }
    if happened(Step::EndUnpaid) {
        let end = subscription::Command::End { why: EndReason::Unpaid, now: tx.now() };
        of_subscription(tx, &end).await?;
        let today = today(tx).await?;
        let reason = "the subscription ended unpaid".to_owned();
        tx.decide::<Invoice>(id, &Command::MarkUncollectible { reason, today }).await?;
    }
    Ok(())
}

async fn become_past_due_if_overdue(tx: &Tx, id: InvoiceId, invoice: &Invoice) -> Result<(), ExecuteError> {
    let today = today(tx).await?;
    match invoice.existing().and_then(|it| it.issued()) {
        Some(issued) if issued.is_overdue(today) => become_past_due(tx, id).await,
        Some(_) | None => Ok(()),
    }
}

async fn of_subscription(tx: &Tx, command: &subscription::Command) -> Result<(), ExecuteError> {
    let id = SubscriptionId::from(tx.request().organization);
    let state: Subscription = tx.read(id).await?;
    match state.status() {
        None => Ok(()),
        Some(_) => tx.decide::<Subscription>(id, command).await,
    }
}
