//! Payments of nodes that are killed: whatever step that interrupts, nothing is lost, and nothing is charged twice.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use porttask_app::billing::{
    invoices::billing::BillingTimers,
    payments::Payments,
    timers::{PaymentTimers, SubscriptionTimers},
};
use porttask_domain::{
    Actor, Meta, OrganizationId,
    billing::{
        Payment, PaymentMethods, Subscription,
        payment::{PaymentId, Target},
        payment_method::{self, Details},
        period::Interval,
        plan::built_in,
        quote::Used,
        schedule::TRIAL,
        subscription::{ChangeId, ChangeTerms, Command, EndReason, Status, SubscriptionId},
        terms::{Held, Terms},
    },
};
use porttask_infra::payments::PaymentSimulator;
use porttask_projections::models;
use porttask_runtime::{
    execute::{ExecuteError, Request, Tx},
    lease::Holder,
    new_id,
    ports::payments::{
        Account, Charge, ChargeOutcome, PaymentProvider, ProviderError, RefundOutcome, RefundRequest, Setup,
    },
    timers::{TimerPolicy, Timers},
    views::Views,
};
use porttask_tests::{Dice, Node, Store, by, on_both_engines};
use tokio::sync::Notify;
use uuid::Uuid;

use super::fake::SOON;

on_both_engines! {
    whatever_step_a_kill_interrupts_nothing_is_lost_or_doubled,
    a_success_that_comes_too_late_is_paid_back,
    a_method_that_is_declined_for_good_is_not_charged_again,
    without_a_payment_method_nothing_is_started,
}

const LONG: Duration = Duration::from_secs(120);
const POLICY: TimerPolicy = TimerPolicy {
    at_once: 64,
    attempt_timeout: Duration::from_secs(5),
    lease: Duration::from_secs(3),
    lane_rate: 100,
    first_retry: Duration::from_millis(200),
    longest_retry: Duration::from_secs(1),
};
/// What a month of the plan costs.
const PRICE: i64 = 4_900;

/// Where a node is killed.
const NOWHERE: u8 = 0;
const BEFORE_CALL: u8 = 1;
const AFTER_CALL: u8 = 2;

/// The simulator, which halts where the node is to be killed.
struct Halting {
    simulator: PaymentSimulator,
    halt: AtomicU8,
    halted: Notify,
}

impl Halting {
    fn on(node: &Node) -> Arc<Self> {
        let simulator = PaymentSimulator::new(Arc::clone(&node.log));
        Arc::new(Self { simulator, halt: AtomicU8::new(NOWHERE), halted: Notify::new() })
    }

    async fn halt_at(&self, place: u8) {
        if self.halt.load(Ordering::SeqCst) == place {
            self.halted.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl PaymentProvider for Halting {
    fn name(&self) -> &'static str {
        self.simulator.name()
    }

    async fn begin_setup(&self, account: &Account) -> Result<Setup, ProviderError> {
        self.simulator.begin_setup(account).await
    }

    async fn finish_setup(&self, account: &Account, setup: &str) -> Result<Details, ProviderError> {
        self.simulator.finish_setup(account, setup).await
    }

    async fn detach(&self, token: &str) -> Result<(), ProviderError> {
        self.simulator.detach(token).await
    }

    async fn charge(&self, charge: &Charge) -> ChargeOutcome {
        self.halt_at(BEFORE_CALL).await;
        let outcome = self.simulator.charge(charge).await;
        self.halt_at(AFTER_CALL).await;
        outcome
    }

    async fn look_up(&self, payment: Uuid, started_at: Timestamp) -> Option<ChargeOutcome> {
        self.simulator.look_up(payment, started_at).await
    }

    async fn refund(&self, refund: &RefundRequest) -> RefundOutcome {
        self.simulator.refund(refund).await
    }
}

fn request(organization: OrganizationId) -> Request {
    Request::new(organization, Meta::by(Actor::Operator))
}

fn change(now: Timestamp) -> Command {
    let (plan, code, name, _, offer) = built_in()[0].clone();
    let terms = Terms { plan, code: code.to_owned(), name: name.to_owned(), version: 1, offer };
    let to = Held::new(terms, 0, Interval::Month, "EUR".parse().unwrap()).unwrap();
    let (quote, used) = (None, Used::default());
    Command::Change(Box::new(ChangeTerms {
        to,
        effective: None,
        quote,
        is_gated: true,
        balance: 0,
        change: new_id(),
        used,
        tax: None,
        now,
    }))
}

/// An organization whose subscription has ended, with a payment method.
async fn organization(node: &Node, payments: &Payments, method: Option<&str>) -> OrganizationId {
    let acme = node.found(&format!("d{}.example", new_id::<OrganizationId>().0.simple())).await;
    let (organization, now) = (acme.organization, node.clock.now());
    let (plan, code, name, _, offer) = built_in()[1].clone();
    let terms = Terms { plan, code: code.to_owned(), name: name.to_owned(), version: 1, offer };
    let (zone, trial_ends_at) = ("UTC".to_owned(), now + TRIAL);
    let start = Command::StartTrial { terms: terms.in_trial(), zone, created_at: now, trial_ends_at };
    for command in [start, Command::End { why: EndReason::Canceled, now }] {
        let id = SubscriptionId::from(organization);
        node.executor.execute::<Subscription>(id, command, &request(organization)).await.unwrap();
    }
    if let Some(method) = method {
        let account = Account { organization, customer: None };
        let details = payments.provider().finish_setup(&account, method).await.unwrap();
        let add = payment_method::Command::Add { method: new_id(), details };
        node.executor.execute::<PaymentMethods>(organization.into(), add, &request(organization)).await.unwrap();
    }
    organization
}

/// Requests a change and starts its payment.
async fn begin(node: &Node, payments: &Payments, organization: OrganizationId) -> Result<ChangeId, ExecuteError> {
    let (ask, id) = (&change(node.clock.now()), SubscriptionId::from(organization));
    let work = move |tx: Tx| async move {
        tx.decide::<Subscription>(id, ask).await?;
        let state: Subscription = tx.read(id).await?;
        let (change, amount, currency) = state.in_flight().unwrap();
        payments.start(&tx, Target::Change(change), 1, (amount, currency)).await?;
        Ok::<_, ExecuteError>(change)
    };
    Ok(node.executor.transact(&request(organization), work).await?.value.unwrap())
}

fn payment_of(change: ChangeId) -> PaymentId {
    PaymentId::of(Target::Change(change), 1)
}

async fn run_timers(node: &Node, payments: &Payments) -> (Arc<Timers>, Arc<Views>) {
    let views = node.views(models()).await;
    views.run();
    let of_subscriptions = Arc::new(SubscriptionTimers::new(payments.clone()));
    let of_payments = Arc::new(PaymentTimers::new(payments.clone()));
    let billing = Arc::new(BillingTimers::new(
        Arc::clone(&node.executor),
        Arc::new(porttask_infra::tax_registry::ChecksumRegistry),
    ));
    let executor = Arc::clone(&node.executor);
    let timers = Timers::new(Arc::clone(&views), executor, vec![of_subscriptions, of_payments, billing], POLICY);
    timers.run(&Holder::new("one")).await.unwrap();
    (timers, views)
}

async fn payment(node: &Node, organization: OrganizationId, change: ChangeId) -> Payment {
    node.executor.load::<Payment>(organization, payment_of(change)).await.unwrap().0
}

async fn status(node: &Node, organization: OrganizationId) -> Option<Status> {
    node.executor.load::<Subscription>(organization, organization.into()).await.unwrap().0.status()
}

/// What the books hold of each payment after refunds, in minor units.
async fn held(simulator: &PaymentSimulator) -> BTreeMap<Uuid, i64> {
    let mut held = BTreeMap::new();
    for entry in simulator.books().await.unwrap() {
        match entry.refund_of {
            Some(payment) => *held.entry(payment).or_insert(0) -= entry.amount,
            None if entry.state == "succeeded" => *held.entry(entry.id).or_insert(0) += entry.amount,
            None => {}
        }
    }
    held
}

/// Charges a payment, and kills that at a place, or after some time.
async fn killed(provider: &Halting, charging: impl Future<Output = ()> + Send + 'static, place: u8, dice: &mut Dice) {
    match place {
        // Before anything but the start was done.
        NOWHERE => drop(charging),
        BEFORE_CALL | AFTER_CALL => {
            provider.halt.store(place, Ordering::SeqCst);
            let task = tokio::spawn(charging);
            provider.halted.notified().await;
            task.abort();
            _ = task.await;
            provider.halt.store(NOWHERE, Ordering::SeqCst);
        }
        _ => {
            let task = tokio::spawn(charging);
            tokio::time::sleep(Duration::from_micros(dice.below(8_000).into())).await;
            task.abort();
            _ = task.await;
        }
    }
}

async fn whatever_step_a_kill_interrupts_nothing_is_lost_or_doubled(store: Store) {
    const METHODS: [&str; 6] =
        ["sim_ok", "sim_timeout_after", "sim_declined", "sim_ok", "sim_processing", "sim_timeout_before"];
    let (node, mut dice) = (Node::on(&store).await, Dice::new());
    let provider = Halting::on(&node);
    let payments = Payments::new(Arc::clone(&node.executor), Arc::<Halting>::clone(&provider));
    let mut begun = Vec::new();
    for number in 0..100_usize {
        let method = METHODS[number % METHODS.len()];
        let organization = organization(&node, &payments, Some(method)).await;
        let change = begin(&node, &payments, organization).await.unwrap();
        let charge = |is_new| {
            let (payments, request) = (payments.clone(), request(organization));
            async move { _ = payments.charge(&request, payment_of(change), is_new).await }
        };
        killed(&provider, charge(true), (number % 4) as u8, &mut dice).await;
        // Some callers repeat their request, and are interrupted again; timers see to the others.
        match number % 3 {
            0 => charge(false).await,
            1 => killed(&provider, charge(false), 3, &mut dice).await,
            _ => {}
        }
        begun.push((organization, change, method));
    }
    let (timers, _views) = run_timers(&node, &payments).await;
    for minutes in [11, 72] {
        node.clock.simulate(Some(SignedDuration::from_mins(minutes)));
    }
    by(LONG, "all payments are settled", || async {
        for (organization, change, _) in &begun {
            if payment(&node, *organization, *change).await.is_in_flight() {
                return false;
            }
        }
        true
    })
    .await;
    let held = held(&provider.simulator).await;
    for (organization, change, method) in &begun {
        let (is_active, paid) =
            (status(&node, *organization).await == Some(Status::Active), held.get(&payment_of(*change).0));
        let expected = if is_active { Some(&PRICE) } else { None };
        assert_eq!(paid.filter(|paid| **paid != 0), expected, "{organization} with {method}");
        if ["sim_declined", "sim_timeout_before"].contains(method) {
            assert!(!is_active, "{organization} with {method}");
        }
        let (state, _) = node.executor.load::<Subscription>(*organization, (*organization).into()).await.unwrap();
        assert_eq!(state.in_flight(), None, "{organization}");
    }
    let active = begun.len() as i64 * 2 / 3;
    assert!(held.values().sum::<i64>() >= active / 2 * PRICE, "most that could be paid was paid");
    assert_eq!(held.len(), held.keys().filter(|id| begun.iter().any(|(_, it, _)| payment_of(*it).0 == **id)).count());
    assert!(timers.shutdown(SOON).await);
}

async fn a_success_that_comes_too_late_is_paid_back(store: Store) {
    let node = Node::on(&store).await;
    let provider = Halting::on(&node);
    let payments = Payments::new(Arc::clone(&node.executor), Arc::<Halting>::clone(&provider));
    for (method, is_refunded) in [("sim_action", true), ("sim_action", false)] {
        let organization = organization(&node, &payments, Some(method)).await;
        let change = begin(&node, &payments, organization).await.unwrap();
        let charged = payments.charge(&request(organization), payment_of(change), true).await.unwrap();
        assert!(matches!(charged.outcome, ChargeOutcome::ActionRequired { client_secret: Some(_) }), "{charged:?}");
        if is_refunded {
            let give_up =
                Command::AbandonChange { change, why: porttask_domain::billing::subscription::AbandonReason::TooLate };
            let id = SubscriptionId::from(organization);
            node.executor.execute::<Subscription>(id, give_up, &request(organization)).await.unwrap();
        }
        assert!(provider.simulator.confirm(payment_of(change).0).await.unwrap());
        // An event of the provider, twice.
        for _ in 0..2 {
            payments.refresh(&request(organization), payment_of(change)).await.unwrap();
        }
        let found = payment(&node, organization, change).await;
        assert_eq!(found.open_refunds().len(), usize::from(is_refunded));
        let (timers, _views) = run_timers(&node, &payments).await;
        by(LONG, "it is settled", || async { payment(&node, organization, change).await.open_refunds().is_empty() })
            .await;
        let held = held(&provider.simulator).await[&payment_of(change).0];
        assert_eq!(held, if is_refunded { 0 } else { PRICE });
        let is_active = status(&node, organization).await == Some(Status::Active);
        assert_eq!(is_active, !is_refunded);
        assert!(timers.shutdown(SOON).await);
    }
}

async fn a_method_that_is_declined_for_good_is_not_charged_again(store: Store) {
    let node = Node::on(&store).await;
    let provider = Halting::on(&node);
    let payments = Payments::new(Arc::clone(&node.executor), Arc::<Halting>::clone(&provider));
    let organization = organization(&node, &payments, Some("sim_stolen")).await;
    let change = begin(&node, &payments, organization).await.unwrap();
    let charged = payments.charge(&request(organization), payment_of(change), true).await.unwrap();
    assert!(matches!(charged.outcome, ChargeOutcome::Failed { is_final: true, .. }), "{charged:?}");
    let Err(ExecuteError::Rejected(refused)) = begin(&node, &payments, organization).await else { panic!() };
    assert_eq!(refused.slug, "payment-method-missing");
}

async fn without_a_payment_method_nothing_is_started(store: Store) {
    let node = Node::on(&store).await;
    let payments = Payments::new(Arc::clone(&node.executor), Halting::on(&node));
    let organization = organization(&node, &payments, None).await;
    let Err(ExecuteError::Rejected(refused)) = begin(&node, &payments, organization).await else { panic!() };
    assert_eq!(refused.slug, "payment-method-missing");
    let (state, _) = node.executor.load::<Subscription>(organization, organization.into()).await.unwrap();
    assert_eq!(state.in_flight(), None, "the change was not requested either");
}
