//! Billing: commands that a plan limits, usage of a year, and renewals that are all due at one moment.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp, civil::date};
use porttask_app::{
    billing::{
        invoices::billing::BillingTimers, payments::Payments, subscriptions::counted, timers::SubscriptionTimers,
    },
    identity::organizations::StatusAllows,
};
use porttask_domain::{
    Actor, Aggregate, DomainEvent, Meta, OrganizationId, UserId,
    billing::{
        Subscription, UsageMonth,
        period::Interval,
        plan::built_in,
        quote::Used,
        schedule::TRIAL,
        subscription::{ChangeTerms, Command, SubscriptionId},
        terms::{Held, Limits, Terms},
        usage_month::{self, UsageMonthId},
    },
    identity::user::SEATS,
    operations::{document::STORAGE_BYTES, port_call::PORT_CALLS},
};
use porttask_infra::{payments::PaymentSimulator, tax_registry::ChecksumRegistry};
use porttask_projections::{ColumnType, ReadModel, billing::usage::UsageDays};
use porttask_runtime::{
    clock::Clock,
    execute::{Executor, Request, stream_of},
    log::{Append, StreamId},
    new_id,
    timers::TimerHandler,
    views::{Condition, Query, Views},
};

use crate::{
    Error, Figure, Options, invoices,
    operations::{CALLERS, ROUNDS, create, median, rate},
    report::percentile_ms,
    store::{Place, Store},
    timers::Node,
};

/// As many as the service creates on PostgreSQL.
pub(crate) const PARTITIONS: u16 = 8;
const RENEWALS: usize = 10_000;
const DAY: SignedDuration = SignedDuration::from_hours(24);
const READS: usize = 400;
const PATIENCE: Duration = Duration::from_secs(900);

/// Measures both engines, or the chosen one.
pub(crate) async fn run(options: &Options, progress: &(dyn Fn(&str) + Sync)) -> Result<Vec<Figure>, Error> {
    let wants = |name: &str| options.figure.as_deref().is_none_or(|wanted| name.contains(wanted));
    let mut figures = Vec::new();
    for engine in Place::engines(options)? {
        let Place { engine, directory, server } = Place::of(engine, options)?;
        let store = Store::open(server.as_ref(), directory.path(), PARTITIONS).await?;
        if wants("limited_commands") {
            progress(&format!("{engine}: commands that a plan limits, {CALLERS} callers"));
            figures.push(limited(engine, &store, options).await?);
        }
        if wants("usage_p99") {
            progress(&format!("{engine}: recording a year of usage"));
            let organization = subscribed(&store, Timestamp::now() - DAY * 400, None).await?;
            year(&store, organization).await?;
            let views = store.views(server.as_ref(), directory.path()).await?;
            views.run();
            views.catch_up(UsageDays::NAME, PATIENCE).await?;
            figures.push(usage(engine, &store, &views, organization).await?);
        }
        if wants("renewals_due_at_once") {
            let count = if options.quick { RENEWALS / 20 } else { RENEWALS };
            // In a store of their own: nothing else becomes due.
            let Place { directory, server, .. } = Place::of(engine, options)?;
            let store = Store::open(server.as_ref(), directory.path(), PARTITIONS).await?;
            progress(&format!("{engine}: creating {count} subscriptions"));
            // The trial ends in an hour. The invoice, which has a lane, is due later.
            let began = Timestamp::now() - DAY * 14 + SignedDuration::from_hours(1);
            let on_trial = |_| subscribed_with(&store, (began, false), None, |_| Ok(Vec::new()));
            let all = stream::iter(0..count).map(on_trial).buffer_unordered(64);
            all.try_for_each(|_| async { Ok(()) }).await?;
            let simulator = Arc::new(PaymentSimulator::new(Arc::clone(&store.log)));
            let of_subscriptions = SubscriptionTimers::new(Payments::new(executor(&store), simulator));
            let handlers: Vec<Arc<dyn TimerHandler>> = vec![
                Arc::new(of_subscriptions),
                Arc::new(BillingTimers::new(executor(&store), Arc::new(ChecksumRegistry))),
            ];
            let nodes = Node::several(store, server.as_ref(), directory.path(), PARTITIONS, handlers).await?;
            progress(&format!("{engine}: {count} renewals at once"));
            figures.push(renewals(engine, &nodes, count).await?);
        }
        figures.extend(invoices::run(engine, options, &wants, progress).await?);
    }
    Ok(figures)
}

pub(crate) fn executor(store: &Store) -> Arc<Executor> {
    let clock = Arc::new(Clock::new());
    Executor::new(Arc::clone(&store.log), Arc::clone(&store.vault), Arc::new(StatusAllows), clock)
}

/// An organization with a monthly subscription, which limits port calls or nothing, since its trial was over.
pub(crate) async fn subscribed(
    store: &Store,
    began: Timestamp,
    port_calls: Option<u64>,
) -> Result<OrganizationId, Error> {
    subscribed_with(store, (began, true), port_calls, |_| Ok(Vec::new())).await
}

/// The same, whose trial is over or not, with other events of the organization.
pub(crate) async fn subscribed_with(
    store: &Store,
    (began, is_over): (Timestamp, bool),
    port_calls: Option<u64>,
    others: impl Fn(OrganizationId) -> Result<Vec<(StreamId, DomainEvent)>, Error>,
) -> Result<OrganizationId, Error> {
    let organization: OrganizationId = new_id();
    let (plan, code, name, _, mut offer) = built_in()[0].clone();
    offer.limits = Limits { port_calls, ..Limits::default() };
    if port_calls.is_none() {
        offer.prices.iter_mut().for_each(|price| price.seat_price = None);
    }
    let terms = Terms { plan, code: code.to_owned(), name: name.to_owned(), version: 1, offer };
    let currency = terms.offer.prices[0].currency;
    let to = Held::new(terms.clone(), 0, Interval::Month, currency).map_err(|_| "the plan has no price")?;
    let (zone, trial_ends_at) = ("UTC".to_owned(), began + TRIAL);
    let over = trial_ends_at + DAY;
    let (effective, quote, used) = (None, None, Used::default());
    let change = ChangeTerms {
        to,
        effective,
        quote,
        is_gated: false,
        balance: 0,
        change: new_id(),
        used,
        tax: None,
        now: began,
    };
    let mut commands = vec![
        Command::StartTrial { terms: terms.in_trial(), zone, created_at: began, trial_ends_at },
        Command::Change(Box::new(change)),
    ];
    if is_over {
        commands.push(Command::Reach { due: over, can_pay: true, now: over });
    }
    let (mut state, mut events) = (Subscription::default(), store.creation(organization, 0)?);
    let stream = stream_of::<Subscription>(organization, SubscriptionId::from(organization))?;
    for command in commands {
        for event in state.decide(&command)? {
            state.evolve(&event);
            events.push((stream.clone(), DomainEvent::from(event)));
        }
    }
    events.extend(others(organization)?);
    append(store, organization, &events, true).await?;
    Ok(organization)
}

/// Appends events of an organization.
pub(crate) async fn append(
    store: &Store,
    organization: OrganizationId,
    events: &[(StreamId, DomainEvent)],
    creates_organization: bool,
) -> Result<(), Error> {
    let meta = Meta::by(Actor::User { organization, user: UserId::FIRST_SUPER_ADMIN });
    let sealed = store.vault.seal(organization, events, &meta).await?;
    let mut append = Append::new(organization, sealed.events);
    append.person_keys = sealed.keys;
    append.creates_organization = creates_organization;
    store.log.append(append).await?;
    Ok(())
}

/// The rate of port calls that a plan limits, beside those of an organization without a subscription.
async fn limited(engine: &'static str, store: &Store, options: &Options) -> Result<Figure, Error> {
    let limited = subscribed(store, Timestamp::now() - DAY * 20, Some(1_000_000_000)).await?;
    let free = subscribed(store, Timestamp::now() - DAY * 20, None).await?;
    let (executor, length) = (&executor(store), Duration::from_secs_f64(options.seconds));
    let in_organization = |organization| {
        let meta = Meta::by(Actor::User { organization, user: UserId::FIRST_SUPER_ADMIN });
        let request = Request::new(organization, meta);
        async move |number| create(executor, &request, number).await
    };
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(rate(length, in_organization(free)).await?);
        with.push(rate(length, in_organization(limited)).await?);
    }
    let note = format!(
        "port calls by {CALLERS} callers in one organization whose plan limits them, compared with one whose plan limits \
         nothing; target 0.60"
    );
    Ok(Figure::beside(engine, "limited_commands", median(with), "1/s", median(without), &note))
}

/// A year of days on which requests with API keys were counted.
async fn year(store: &Store, organization: OrganizationId) -> Result<(), Error> {
    let (mut day, mut events) = (date(2025, 11, 27), Vec::new());
    let stream = stream_of::<UsageMonth>(organization, UsageMonthId::new(organization, day))?;
    for count in 1..=365 {
        let by_key = [(new_id(), count)].into();
        events.push((stream.clone(), DomainEvent::from(usage_month::Event::ApiCallsCounted { day, count, by_key })));
        day = day.tomorrow()?;
    }
    append(store, organization, &events, false).await
}

/// The time to read what the usage page shows.
async fn usage(
    engine: &'static str,
    store: &Store,
    views: &Views,
    organization: OrganizationId,
) -> Result<Figure, Error> {
    let partition = store.log.partition_of(organization).await?.ok_or("the organization is not found")?;
    let (executor, mut latencies) = (executor(store), Vec::new());
    for _ in 0..READS {
        let start = Instant::now();
        let (state, _) = executor.load::<Subscription>(organization, organization.into()).await?;
        let month = state.usage_month(Timestamp::now())?.ok_or("there is no usage month")?;
        let id = UsageMonthId::new(organization, month.from);
        executor.load::<UsageMonth>(organization, id).await?;
        for name in [SEATS.to_owned(), STORAGE_BYTES.to_owned(), format!("{PORT_CALLS} {}", month.from)] {
            counted(&executor, organization, name).await?;
        }
        let conditions = vec![Condition::Equal("organization", organization.to_value())];
        let (sort, limit) = (vec!["organization", "day"], 800);
        let query = Query { partition, conditions, sort, limit, ..Query::default() };
        let rows = views.rows::<UsageDays>(&query).await?;
        latencies.push(start.elapsed());
        if rows.len() != 365 {
            return Err(format!("{} days instead of 365", rows.len()).into());
        }
    }
    let note = "the limits, counters and 365 days that the usage page shows; target 10 ms";
    Ok(Figure::alone(engine, "usage_p99", percentile_ms(&latencies, 99), "ms", note))
}

/// The rate of renewals that are all due at one moment, on three nodes.
async fn renewals(engine: &'static str, nodes: &[Node], count: usize) -> Result<Figure, Error> {
    let log = nodes[0].store.log.as_ref();
    let recorded =
        async || -> Result<u64, Error> { Ok(log.heads().await?.iter().map(|head| head.position.offset.0).sum()) };
    let failed = || nodes.iter().map(|node| node.timers.counts().failed.load(Ordering::Relaxed)).sum::<u64>();
    let (expected, start) = (recorded().await? + count as u64, Instant::now());
    for node in nodes {
        node.clock.simulate(Some(SignedDuration::from_hours(2)));
    }
    while recorded().await? < expected {
        if start.elapsed() > PATIENCE {
            return Err(format!("{engine}: not all renewals were carried out within {PATIENCE:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let rate = count as f64 / start.elapsed().as_secs_f64();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let renewed = recorded().await? - expected + count as u64;
    if renewed != count as u64 {
        return Err(format!("{renewed} events of {count} renewals").into());
    }
    for node in nodes {
        node.timers.shutdown(PATIENCE).await;
    }
    let note = format!(
        "{count} subscriptions whose first period begins at one moment, without a lane, on {} nodes in this process, \
         with {} failed attempts; target 500/s on PostgreSQL",
        nodes.len(),
        failed()
    );
    Ok(Figure::alone(engine, "renewals_due_at_once", rate, "renewals/s", &note))
}
