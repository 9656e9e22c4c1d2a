//! VAT ids that a registry does not answer for: documents wait three days, whatever they are about.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp, ToSpan, tz::TimeZone};
use porttask_app::billing::{accounts::check_if_due, invoices::billing::BillingTimers};
use porttask_domain::{
    Actor, Meta, OrganizationId,
    billing::{
        BillingAccount, Invoice, Seller, Subscription,
        billing_account::{self, BillingAccountId, CheckResult, CheckSource, NewPersons},
        period::Interval,
        plan::built_in,
        quote::Used,
        schedule::TRIAL,
        seller::{self, SellerId},
        subscription::{ChangeTerms, Command, SubscriptionId},
        tax::Treatment,
        terms::{Held, Terms},
    },
    identity::{Capability, Organization},
};
use porttask_projections::platform::timer::Kind;
use porttask_runtime::{
    execute::{Request, Tx},
    new_id,
    ports::tax_registry::{RegistryAnswer, TaxRegistry},
    timers::{Timer, TimerHandler, TimerOutcome},
};
use porttask_tests::{Acme, Node, Store, create, on_both_engines};
use serde_json::json;

on_both_engines!(documents_wait_three_days_for_the_check_of_a_vat_id,);

/// A registry that gives one answer, and counts how often it is asked.
struct Registry(Mutex<(CheckResult, usize)>);

#[async_trait]
impl TaxRegistry for Registry {
    async fn check(&self, _: &str) -> RegistryAnswer {
        let mut state = self.0.lock().unwrap();
        state.1 += 1;
        RegistryAnswer { result: state.0, source: CheckSource::Vies, reference: None }
    }
}

fn set(node: &Node, at: Timestamp) {
    node.clock.set_offset(node.clock.offset() + at.duration_since(node.clock.now()));
}

fn change(place: usize, seats: u32, now: Timestamp) -> Command {
    let (plan, code, name, _, offer) = built_in()[place].clone();
    let terms = Terms { plan, code: code.to_owned(), name: name.to_owned(), version: 1, offer };
    let to = Held::new(terms, seats, Interval::Month, "EUR".parse().unwrap()).unwrap();
    let (effective, quote, is_gated, used, tax) = (None, None, false, Used::default(), None);
    Command::Change(Box::new(ChangeTerms {
        to,
        effective,
        quote,
        is_gated,
        balance: 0,
        change: new_id(),
        used,
        tax,
        now,
    }))
}

/// An organization with a VAT id that nobody has checked, whose first period has begun.
async fn subscribed(node: &Node) -> Acme {
    let request = Request::new(OrganizationId::PLATFORM, Meta::by(Actor::Operator));
    let platform = OrganizationId::PLATFORM;
    node.executor.execute::<Organization>(platform, create("platform.example"), &request).await.unwrap();
    let profile = json!({"legal_name": "PortTask GmbH", "vat_id": "DE123456788", "zone": "Europe/Berlin",
        "accounting_currency": "EUR", "address":
        {"street": ["Am Sandtorkai 30"], "postcode": "20457", "city": "Hamburg", "country": "DE"}});
    let profile = seller::Command::ChangeProfile(Box::new(serde_json::from_value(profile).unwrap()));
    node.executor.execute::<Seller>(SellerId::PLATFORM, profile, &request).await.unwrap();
    let (acme, now) = (node.acme().await, node.clock.now());
    enter(node, &acme, "PT501964843").await;
    let (terms, began) = (built_in()[0].clone(), now - TRIAL - SignedDuration::from_hours(24));
    let trial =
        Terms { plan: terms.0, code: "starter".to_owned(), name: "Starter".to_owned(), version: 1, offer: terms.4 };
    let trial_ends_at = began + TRIAL;
    let start =
        Command::StartTrial { terms: trial.in_trial(), zone: "UTC".to_owned(), created_at: began, trial_ends_at };
    for command in [start, change(0, 0, began), Command::Reach { due: now, can_pay: true, now }] {
        subscribe(node, &acme, command).await;
    }
    acme
}

async fn subscribe(node: &Node, acme: &Acme, command: Command) {
    let id = SubscriptionId::from(acme.organization);
    node.executor.execute::<Subscription>(id, command, &acme.request().needing(Capability::Settle)).await.unwrap();
}

async fn enter(node: &Node, acme: &Acme, vat_id: &str) {
    let address = json!({"street": ["Rua 1"], "postcode": "1100-148", "city": "Lisboa", "country": "PT"});
    let patch = json!({"legal_name": "Lusoport Lda.", "address": address, "vat_id": vat_id});
    let patch = Box::new(serde_json::from_value(patch).unwrap());
    let new = NewPersons { buyer: new_id(), contact: new_id() };
    let (id, change) = (BillingAccountId::from(acme.organization), billing_account::Command::Change { patch, new });
    node.executor.execute::<BillingAccount>(id, change, &acme.request()).await.unwrap();
}

/// Carries out the timer that issues documents, which has been due since a time.
async fn bill(node: &Node, acme: &Acme, registry: &Arc<Registry>, due_at: Timestamp) -> TimerOutcome {
    let timers = BillingTimers::new(Arc::clone(&node.executor), Arc::<Registry>::clone(registry));
    let (organization, set_by) = (acme.organization, new_id::<SubscriptionId>().0);
    let kind = Kind::Billing.to_string();
    let timer = Timer { organization, subject: organization.0, kind, due_at, set_by, lane: None };
    let request = Request::new(organization, Meta::by(Actor::System)).needing(Capability::Settle);
    let (timers, timer) = (&timers, &timer);
    let work = move |tx: Tx| async move { timers.run(timer, &tx).await };
    node.executor.transact(&request, work).await.unwrap().value.unwrap()
}

/// How the last invoice is taxed.
async fn treatment(node: &Node, acme: &Acme) -> Option<Treatment> {
    let (organization, id) = (acme.organization, SubscriptionId::from(acme.organization));
    let (subscription, _) = node.executor.load::<Subscription>(organization, id).await.unwrap();
    let last = subscription.invoices_of_period().next()?;
    let (invoice, _) = node.executor.load::<Invoice>(organization, last).await.unwrap();
    Some(invoice.existing()?.issued()?.document.treatment)
}

async fn documents_wait_three_days_for_the_check_of_a_vat_id(store: Store) {
    let node = Node::on(&store).await;
    let noon = node.clock.now().to_zoned(TimeZone::UTC).date().at(12, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap();
    set(&node, noon.timestamp());
    let (acme, start) = (subscribed(&node).await, node.clock.now());
    let registry = Arc::new(Registry(Mutex::new((CheckResult::Unavailable, 0))));
    let is_done = |outcome| outcome == TimerOutcome::Done;
    let asked = || registry.0.lock().unwrap().1;
    let checks = async || {
        let (_, version) =
            node.executor.load::<BillingAccount>(acme.organization, acme.organization.into()).await.unwrap();
        version
    };

    // The first period: due at one o'clock in the morning.
    let due = start - 11.hours();
    assert!(!is_done(bill(&node, &acme, &registry, due).await) && asked() == 1);
    let recorded = checks().await;
    set(&node, due + 71.hours());
    assert!(!is_done(bill(&node, &acme, &registry, due).await) && asked() == 2);
    assert_eq!(checks().await, recorded, "of several checks without an answer the first one is recorded");
    set(&node, due + 73.hours());
    assert!(is_done(bill(&node, &acme, &registry, due).await));
    assert_eq!(treatment(&node, &acme).await, Some(Treatment::OriginBelowThreshold));

    // A change, with another VAT id: due at once.
    enter(&node, &acme, "PT121971724").await;
    let changed = node.clock.now();
    subscribe(&node, &acme, change(1, 0, changed)).await;
    assert!(!is_done(bill(&node, &acme, &registry, changed).await));
    set(&node, changed + 71.hours());
    assert!(!is_done(bill(&node, &acme, &registry, changed).await));
    // A later change does not lengthen the wait of the first one.
    subscribe(&node, &acme, change(1, 1, node.clock.now())).await;
    set(&node, changed + 73.hours());
    assert!(is_done(bill(&node, &acme, &registry, node.clock.now()).await));
    assert_eq!(treatment(&node, &acme).await, Some(Treatment::OriginBelowThreshold));

    // The registry answers.
    registry.0.lock().unwrap().0 = CheckResult::Valid;
    assert!(check_if_due(&node.executor, &*registry, &acme.request()).await.unwrap().is_some());
    let before = asked();
    let found = check_if_due(&node.executor, &*registry, &acme.request()).await.unwrap();
    assert!(found.is_none() && asked() == before, "a check is good for 90 days");
    set(&node, node.clock.now() + (91 * 24).hours());
    registry.0.lock().unwrap().0 = CheckResult::Invalid;
    assert!(check_if_due(&node.executor, &*registry, &acme.request()).await.unwrap().is_some());
}
