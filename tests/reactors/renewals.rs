//! Subscriptions over years: every period is opened once, whichever node does it and however late.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use porttask_app::billing::{invoices::billing::BillingTimers, payments::Payments, timers::SubscriptionTimers};
use porttask_domain::{
    Actor, DomainEvent, Meta, OrganizationId,
    billing::{
        BillingAccount, Payment, Subscription,
        billing_account::{self, BillingAccountId, Collection, NewPersons},
        payment::{self, PaymentId, Target},
        payment_method::Details,
        period::Interval,
        plan::built_in,
        quote::Used,
        schedule::TRIAL,
        subscription::{AbandonReason, ChangeTerms, Command, EndReason, Event, Period, SubscriptionId},
        terms::{Held, Terms},
    },
};
use porttask_infra::{payments::PaymentSimulator, tax_registry::ChecksumRegistry};
use porttask_projections::models;
use porttask_runtime::{
    execute::Request,
    lease::Holder,
    log::Offset,
    new_id,
    ports::payments::{
        Account, Charge, ChargeOutcome, PaymentProvider, ProviderError, RefundOutcome, RefundRequest, Setup,
    },
    timers::{TimerPolicy, Timers},
    views::Views,
};
use porttask_tests::{Node, Store, by, on_both_engines};
use serde_json::json;
use uuid::Uuid;

use super::fake::SOON;

on_both_engines! {
    three_years_of_fifty_subscriptions_are_renewed_once_on_three_nodes,
    a_week_of_downtime_skips_and_doubles_no_period,
    what_was_paid_before_a_node_was_killed_happens,
}

const LONG: Duration = Duration::from_secs(120);
const DAY: SignedDuration = SignedDuration::from_hours(24);
const POLICY: TimerPolicy = TimerPolicy {
    at_once: 64,
    attempt_timeout: Duration::from_secs(5),
    lease: Duration::from_secs(3),
    lane_rate: 100,
    first_retry: Duration::from_millis(200),
    longest_retry: Duration::from_secs(1),
};

fn terms(place: usize) -> Terms {
    let (plan, code, name, _, offer) = built_in()[place].clone();
    Terms { plan, code: code.to_owned(), name: name.to_owned(), version: 1, offer }
}

fn held(place: usize, interval: Interval) -> Held {
    Held::new(terms(place), 0, interval, "EUR".parse().unwrap()).unwrap()
}

/// An organization in a trial, which has chosen what follows.
async fn subscribed(node: &Node, number: usize) -> OrganizationId {
    let acme = node.found(&format!("acme-{number}.example")).await;
    let (id, now) = (SubscriptionId::from(acme.organization), node.clock.now());
    let zone = ["UTC", "Europe/Lisbon", "America/Havana", "Asia/Kolkata"][number % 4].to_owned();
    let start = Command::StartTrial {
        terms: terms(1).in_trial(),
        zone,
        created_at: now,
        trial_ends_at: now + TRIAL + DAY * (number as i32 % 9),
    };
    let interval = if number % 10 == 9 { Interval::Year } else { Interval::Month };
    let change = change(held(number % 3, interval), now);
    for command in [start, change] {
        node.executor.execute::<Subscription>(id, command, &acme.request()).await.unwrap();
    }
    let account = BillingAccountId::from(acme.organization);
    for command in way_to_pay() {
        node.executor.execute::<BillingAccount>(account, command, &acme.request()).await.unwrap();
    }
    acme.organization
}

/// A complete billing account that pays by transfer: the plan begins after the trial.
fn way_to_pay() -> [billing_account::Command; 2] {
    let address = json!({"street": ["Rua 1"], "postcode": "1100-148", "city": "Lisboa", "country": "PT"});
    let patch = json!({"legal_name": "Lusoport Lda.", "address": address});
    let patch = Box::new(serde_json::from_value(patch).unwrap());
    let new = NewPersons { buyer: new_id(), contact: new_id() };
    let by_transfer = billing_account::Command::ChangeCollection(Collection::Invoice { days: 30 });
    [billing_account::Command::Change { patch, new }, by_transfer]
}

fn change(to: Held, now: Timestamp) -> Command {
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

fn simulator(node: &Node) -> Arc<dyn PaymentProvider> {
    Arc::new(PaymentSimulator::new(Arc::clone(&node.log)))
}

async fn timers(node: &Node, name: &str, provider: Arc<dyn PaymentProvider>) -> (Arc<Timers>, Arc<Views>) {
    let views = node.views(models()).await;
    views.run();
    let handler = Arc::new(SubscriptionTimers::new(Payments::new(Arc::clone(&node.executor), provider)));
    // Without a seller, invoices wait; what is due of the subscriptions does not.
    let billing = Arc::new(BillingTimers::new(Arc::clone(&node.executor), Arc::new(ChecksumRegistry)));
    let timers = Timers::new(Arc::clone(&views), Arc::clone(&node.executor), vec![handler, billing], POLICY);
    timers.run(&Holder::new(name)).await.unwrap();
    (timers, views)
}

/// The periods of each subscription, in the order in which they were opened.
async fn periods(node: &Node) -> BTreeMap<OrganizationId, Vec<Period>> {
    let mut periods: BTreeMap<OrganizationId, Vec<Period>> = BTreeMap::new();
    for event in subscriptions(node).await {
        let (organization, Event::Activated { period, .. } | Event::Renewed { period, .. }) = event else { continue };
        periods.entry(organization).or_default().push(period);
    }
    periods
}

async fn subscriptions(node: &Node) -> Vec<(OrganizationId, Event)> {
    let mut found = Vec::new();
    for head in node.log.heads().await.unwrap() {
        let mut after = Offset::START;
        loop {
            let page = node.log.read_partition(head.position.partition, after, 1_000).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.position.offset;
            for (event, domain_event) in page.iter().zip(node.vault.domain_events(&page).await.unwrap()) {
                if let DomainEvent::Subscription(subscription) = domain_event {
                    found.push((event.stream.organization, subscription));
                }
            }
        }
    }
    found
}

/// Waits until every subscription has a period that includes an instant; checks that they follow each other.
async fn all_are_current(node: &Node, count: usize, now: Timestamp) {
    let is_current = |periods: &Vec<Period>| periods.last().is_some_and(|it| it.starts_at <= now && now < it.ends_at);
    by(LONG, "renewals", || async {
        let periods = periods(node).await;
        periods.len() == count && periods.values().all(is_current)
    })
    .await;
    for (organization, periods) in periods(node).await {
        for pair in periods.windows(2) {
            let follows = (pair[0].until, pair[0].ends_at) == (pair[1].from, pair[1].starts_at);
            assert!(follows, "{organization}: {pair:?}");
        }
    }
}

async fn three_years_of_fifty_subscriptions_are_renewed_once_on_three_nodes(store: Store) {
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(Node::on(&store).await);
    }
    for number in 0..50 {
        subscribed(&nodes[0], number).await;
    }
    let mut running = Vec::new();
    for (place, node) in nodes.iter().enumerate() {
        running.push(timers(node, &format!("node {place}"), simulator(&nodes[0])).await);
    }
    // Year by year, so that reminders have their time.
    for year in 1..=3 {
        for node in &nodes {
            node.clock.simulate(Some(DAY * 365 * year));
        }
        all_are_current(&nodes[0], 50, nodes[0].clock.now()).await;
    }
    let opened: usize = periods(&nodes[0]).await.values().map(Vec::len).sum();
    // 45 by the month and 5 by the year, from the end of their trials on.
    assert!((45 * 35 + 5 * 3..=45 * 36 + 5 * 3).contains(&opened), "{opened}");
    for (timers, _) in running {
        assert!(timers.shutdown(SOON).await);
    }
}

async fn a_week_of_downtime_skips_and_doubles_no_period(store: Store) {
    let node = Node::on(&store).await;
    for number in 0..8 {
        subscribed(&node, number).await;
    }
    // All trials end, and the first months too, while nobody runs.
    node.clock.simulate(Some(DAY * 60));
    let (first, _views) = timers(&node, "one", simulator(&node)).await;
    all_are_current(&node, 8, node.clock.now()).await;
    // As if killed: without releasing the lease; a week later, it starts again.
    drop(first);
    node.clock.simulate(Some(DAY * 67));
    let (second, _views) = timers(&node, "one", simulator(&node)).await;
    all_are_current(&node, 8, node.clock.now()).await;
    assert!(second.shutdown(SOON).await);
}

/// A provider that was paid, and does not answer.
struct Silent;

/// As many payments of tests end in an even digit as in an odd one.
fn is_paid(payment: Uuid) -> bool {
    payment.as_u128().is_multiple_of(2)
}

#[async_trait]
impl PaymentProvider for Silent {
    fn name(&self) -> &'static str {
        "silent"
    }

    async fn begin_setup(&self, _: &Account) -> Result<Setup, ProviderError> {
        Err(ProviderError::Unavailable(String::new()))
    }

    async fn finish_setup(&self, _: &Account, _: &str) -> Result<Details, ProviderError> {
        Err(ProviderError::Unavailable(String::new()))
    }

    async fn detach(&self, _: &str) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn charge(&self, _: &Charge) -> ChargeOutcome {
        ChargeOutcome::Unknown
    }

    async fn look_up(&self, payment: Uuid, _: Timestamp) -> Option<ChargeOutcome> {
        Some(match is_paid(payment) {
            true => ChargeOutcome::Succeeded { provider_ref: payment.to_string() },
            false => ChargeOutcome::Failed { code: "declined".to_owned(), is_final: false },
        })
    }

    async fn refund(&self, _: &RefundRequest) -> RefundOutcome {
        RefundOutcome::Unknown
    }
}

async fn what_was_paid_before_a_node_was_killed_happens(store: Store) {
    let node = Node::on(&store).await;
    let (mut paid, mut unpaid) = (Vec::new(), Vec::new());
    for number in 0..6 {
        let organization = subscribed(&node, number).await;
        let id = SubscriptionId::from(organization);
        let request = Request::new(organization, Meta::by(Actor::Operator));
        let now = node.clock.now();
        let end = Command::End { why: EndReason::Canceled, now };
        let begin = change(held(0, Interval::Month), now);
        for command in [end, begin] {
            node.executor.execute::<Subscription>(id, command, &request).await.unwrap();
        }
        let (state, _) = node.executor.load::<Subscription>(organization, id).await.unwrap();
        let (change, amount, currency) = state.in_flight().unwrap();
        assert_eq!(amount, 4_900);
        let target = Target::Change(change);
        let (method, provider, attempt) = (new_id(), "silent".to_owned(), 1);
        let start = payment::Start { target, amount, currency, method, provider, attempt, now };
        let payment = PaymentId::of(target, 1);
        node.executor.execute::<Payment>(payment, payment::Command::Start(start), &request).await.unwrap();
        if is_paid(payment.0) { paid.push(organization) } else { unpaid.push(organization) }
    }
    node.clock.simulate(Some(SignedDuration::from_mins(61)));
    let (timers, _views) = timers(&node, "one", Arc::new(Silent)).await;
    by(LONG, "all changes are decided", || async {
        let events = subscriptions(&node).await;
        let is_over = |event: &Event| match event {
            Event::Activated { change: Some(_), .. } => true,
            Event::ChangeAbandoned { why, .. } => *why == AbandonReason::Unpaid,
            _ => false,
        };
        events.iter().filter(|(_, event)| is_over(event)).count() == 6
    })
    .await;
    for (organization, event) in subscriptions(&node).await {
        match event {
            Event::Activated { .. } => assert!(paid.contains(&organization)),
            Event::ChangeAbandoned { .. } => assert!(unpaid.contains(&organization)),
            _ => {}
        }
    }
    assert!(timers.shutdown(SOON).await);
}
