//! Invoices: many that are due at one moment in one series, listing many, and rendering them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use porttask_app::{
    billing::invoices::{billing::BillingTimers, settling},
    identity::organizations::StatusAllows,
};
use porttask_domain::{
    Actor, Aggregate, DomainEvent, Meta, OrganizationId, UserId,
    billing::{
        BillingAccount, Currency, Invoice, Seller, Series,
        billing_account::{self, AccountPatch, BillingAccountId, Collection, NewPersons},
        billing_document::{InvoiceId, Issued},
        invoice::{self, InvoiceKind, ManualLine},
        seller::{self, ProfilePatch, SellerId},
        series::SeriesId,
    },
};
use porttask_invoice_pdf::{Countries, Document, Kind, Payment, render};
use porttask_projections::{ColumnType, ReadModel, billing::invoice::Invoices};
use porttask_runtime::{
    execute::{Executor, Request, stream_of},
    log::StreamId,
    new_id,
    timers::TimerHandler,
    views::{Condition, Query},
};
use serde_json::json;

use crate::{
    Error, Figure, Options,
    billing::{PARTITIONS, append, executor, subscribed_with},
    operations::{ROUNDS, create, median, rate},
    report::percentile_ms,
    store::{Place, Store},
    timers::Node,
};

const DUE_AT_ONCE: usize = 10_000;
const LISTED: usize = 1_000_000;
/// Invoices per append.
const TOGETHER: usize = 500;
const PAGES: usize = 400;
const RENDERED: usize = 20;
const PREFIX: &str = "PT";
const PATIENCE: Duration = Duration::from_secs(1_800);

/// Measures an engine; rendering, which needs none, with the first one.
pub(crate) async fn run(
    engine: &'static str,
    options: &Options,
    wants: &dyn Fn(&str) -> bool,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Figure>, Error> {
    let mut figures = Vec::new();
    if wants("invoices_due_at_once") || wants("ordinary_beside_invoices") || wants("own_invoice_meanwhile_p99") {
        let count = if options.quick { DUE_AT_ONCE / 20 } else { DUE_AT_ONCE };
        progress(&format!("{engine}: creating {count} subscriptions"));
        figures.extend(at_once(engine, options, count, progress).await?);
    }
    if wants("invoices_page_p99") || wants("invoices_rendered") {
        let Place { engine, directory, server } = Place::of(engine, options)?;
        let store = Store::open(server.as_ref(), directory.path(), 1).await?;
        found_seller(&store).await?;
        let organization = billed(&store).await?;
        let document = own_invoice(&executor(&store), organization).await?;
        if wants("invoices_rendered") {
            progress(&format!("{engine}: rendering {RENDERED} invoices"));
            figures.push(rendered(engine, &document)?);
        }
        if wants("invoices_page_p99") {
            let count = if options.quick { LISTED / 20 } else { LISTED };
            progress(&format!("{engine}: recording {count} invoices"));
            record(&store, organization, &document, count).await?;
            progress(&format!("{engine}: folding them"));
            let views = store.view(Invoices::NAME, server.as_ref(), directory.path()).await?;
            views.run();
            views.catch_up(Invoices::NAME, PATIENCE).await?;
            progress(&format!("{engine}: listing them"));
            let partition = store.log.partition_of(organization).await?.ok_or("the organization is not found")?;
            let mut latencies = Vec::new();
            for page in 0..PAGES {
                let from = printed((page * 7_919 % count) as u64 + 1);
                let query = Query {
                    partition,
                    conditions: vec![
                        Condition::Equal("organization", organization.to_value()),
                        Condition::AtLeast("invoice_number", from.to_value()),
                    ],
                    sort: vec!["invoice_number", "invoice"],
                    limit: 50,
                    ..Query::default()
                };
                let start = Instant::now();
                let found = views.select(Invoices::NAME, &query).await?;
                latencies.push(start.elapsed());
                if found.is_empty() {
                    return Err("a page is empty".into());
                }
            }
            let note = format!("50 of {count} invoices by number, from a random one on; target 15 ms");
            figures.push(Figure::alone(engine, "invoices_page_p99", percentile_ms(&latencies, 99), "ms", &note));
        }
    }
    Ok(figures)
}

/// How long it takes to issue invoices that are due at one moment, what ordinary commands do meanwhile, and how long the
/// issue of an invoice by hand takes meanwhile.
async fn at_once(
    engine: &'static str,
    options: &Options,
    count: usize,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Figure>, Error> {
    let Place { engine, directory, server } = Place::of(engine, options)?;
    let store = Store::open(server.as_ref(), directory.path(), PARTITIONS).await?;
    found_seller(&store).await?;
    // The period begins in an hour, and is billed at one o'clock, on the next day at the latest.
    let begins = Timestamp::now() + SignedDuration::from_hours(1);
    let began = begins - SignedDuration::from_hours(24 * 14);
    let next_day = TimeZone::UTC.to_datetime(begins).date().tomorrow()?;
    let billed_by = TimeZone::UTC.to_timestamp(next_day.at(1, 30, 0, 0))?;
    let all = stream::iter(0..count).map(|_| subscribed_with(&store, (began, true), None, account));
    all.buffer_unordered(64).try_for_each(|_| async { Ok(()) }).await?;
    let (ordinary, own) = (billed(&store).await?, billed(&store).await?);
    let handlers: Vec<Arc<dyn TimerHandler>> =
        vec![Arc::new(BillingTimers::new(executor(&store), Arc::new(porttask_infra::tax_registry::ChecksumRegistry)))];
    let nodes = Node::several(store, server.as_ref(), directory.path(), PARTITIONS, handlers).await?;
    let Node { store, clock, views, .. } = &nodes[0];
    let (log, vault) = (Arc::clone(&store.log), Arc::clone(&store.vault));
    let executor = &Executor::new(log, vault, Arc::new(StatusAllows), Arc::clone(clock));
    let length = Duration::from_secs_f64(options.seconds * 3.0);
    let meta = Meta::by(Actor::User { organization: ordinary, user: UserId::FIRST_SUPER_ADMIN });
    let request = &Request::new(ordinary, meta);
    let create_ordinary = async |number| create(executor, request, number).await;
    let mut alone = Vec::new();
    for _ in 0..ROUNDS {
        alone.push(rate(length, create_ordinary).await?);
    }
    // What was created alone is folded alone.
    let behind = Instant::now();
    for model in views.names() {
        views.catch_up(model, PATIENCE).await?;
    }
    progress(&format!("{engine}: read models followed {:?} later; {count} invoices at once", behind.elapsed()));
    for node in &nodes {
        node.clock.simulate(Some(billed_by.duration_since(Timestamp::now())));
    }
    let (start, is_over, by_hand_count) = (Instant::now(), AtomicBool::new(false), AtomicU64::new(0));
    let issuing = async {
        let took = until_issued(executor, count, &by_hand_count, start).await;
        is_over.store(true, Ordering::Relaxed);
        took
    };
    let beside = async {
        let mut rates = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            rates.push(rate(length, create_ordinary).await?);
        }
        Ok::<_, Error>(rates)
    };
    let by_hand = async {
        let mut latencies = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            let start = Instant::now();
            by_hand_count.fetch_add(1, Ordering::Relaxed);
            own_invoice(executor, own).await?;
            latencies.push(start.elapsed());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok::<_, Error>(latencies)
    };
    let (took, rates, latencies) = tokio::try_join!(issuing, beside, by_hand)?;
    let failed = nodes.iter().map(|node| node.timers.counts().failed.load(Ordering::Relaxed)).sum::<u64>();
    for node in &nodes {
        node.timers.shutdown(PATIENCE).await;
    }
    let series: Series = executor.load(OrganizationId::PLATFORM, series(clock.now())).await?.0;
    let expected = (count + latencies.len()) as u64;
    if series.last() != expected {
        return Err(format!("{} numbers instead of {expected}", series.last()).into());
    }
    let note = format!(
        "{count} invoices of one series that are due at one moment, {failed} failed attempts, beside 64 callers of other \
         commands; target 120 s on PostgreSQL"
    );
    let by_hand =
        format!("drafting and issuing an invoice by hand meanwhile, {} times; target 1,000 ms", latencies.len());
    let beside = "port calls by 64 callers while the invoices are issued, compared with before; target 0.80";
    Ok(vec![
        Figure::alone(engine, "invoices_due_at_once", took.as_secs_f64(), "s", &note),
        Figure::beside(engine, "ordinary_beside_invoices", median(rates), "1/s", median(alone), beside),
        Figure::alone(engine, "own_invoice_meanwhile_p99", percentile_ms(&latencies, 99), "ms", &by_hand),
    ])
}

/// How long it takes until so many subscriptions have been billed, beside the invoices by hand.
async fn until_issued(
    executor: &Executor,
    count: usize,
    by_hand: &AtomicU64,
    start: Instant,
) -> Result<Duration, Error> {
    loop {
        let id = series(executor.clock().now());
        let (series, _) = executor.load::<Series>(OrganizationId::PLATFORM, id).await?;
        if series.last() >= count as u64 + by_hand.load(Ordering::Relaxed) {
            return Ok(start.elapsed());
        }
        if start.elapsed() > PATIENCE {
            return Err(format!("{} of {count} invoices were issued within {PATIENCE:?}", series.last()).into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn series(now: Timestamp) -> SeriesId {
    SeriesId::new(PREFIX, TimeZone::UTC.to_datetime(now).year())
}

/// A seller that may issue.
async fn found_seller(store: &Store) -> Result<(), Error> {
    let profile = json!({
        "legal_name": "PortTask GmbH",
        "address": {"street": ["Am Sandtorkai 30"], "postcode": "20457", "city": "Hamburg", "country": "DE"},
        "vat_id": "DE123456788",
        "iban": "DE02120300000000202051",
        "zone": "UTC",
        "accounting_currency": "EUR",
    });
    let profile: ProfilePatch = serde_json::from_value(profile)?;
    let platform = OrganizationId::PLATFORM;
    let stream = stream_of::<Seller>(platform, SellerId::PLATFORM)?;
    let changed = Seller::default().decide(&seller::Command::ChangeProfile(Box::new(profile)))?;
    let events: Vec<_> = changed.into_iter().map(|event| (stream.clone(), DomainEvent::from(event))).collect();
    append(store, platform, &events, false).await
}

/// The events of a billing account in Hamburg.
fn account(organization: OrganizationId) -> Result<Vec<(StreamId, DomainEvent)>, Error> {
    let patch = json!({
        "legal_name": "Harbour Agency GmbH",
        "address": {"street": ["Baumwall 7"], "postcode": "20459", "city": "Hamburg", "country": "DE"},
    });
    let patch: AccountPatch = serde_json::from_value(patch)?;
    let new = NewPersons { buyer: new_id(), contact: new_id() };
    let change = billing_account::Command::Change { patch: Box::new(patch), new };
    let stream = stream_of::<BillingAccount>(organization, BillingAccountId::from(organization))?;
    let changed = BillingAccount::default().decide(&change)?;
    Ok(changed.into_iter().map(|event| (stream.clone(), DomainEvent::from(event))).collect())
}

/// An organization without a subscription, whose billing account is complete.
async fn billed(store: &Store) -> Result<OrganizationId, Error> {
    let organization: OrganizationId = new_id();
    let mut events = store.creation(organization, 0)?;
    events.extend(account(organization)?);
    append(store, organization, &events, true).await?;
    Ok(organization)
}

/// Drafts and issues an invoice by hand.
async fn own_invoice(executor: &Arc<Executor>, organization: OrganizationId) -> Result<Issued, Error> {
    let id: InvoiceId = new_id();
    let today = TimeZone::UTC.to_datetime(executor.clock().now()).date();
    let line = ManualLine {
        description: "Training on site".to_owned(),
        quantity: 2,
        unit_price: 640.into(),
        from: today,
        until: today.tomorrow()?,
    };
    let draft = invoice::Command::Draft { currency: "EUR".parse::<Currency>()?, lines: vec![line] };
    let meta = Meta::by(Actor::User { organization, user: UserId::FIRST_SUPER_ADMIN });
    let request = Request::new(organization, meta);
    executor.execute::<Invoice>(id, draft, &request).await?;
    executor.transact(&request, move |tx| async move { settling::issue_draft(&tx, id).await }).await?;
    let (invoice, _) = executor.load::<Invoice>(organization, id).await?;
    let issued = invoice.existing().and_then(|it| it.issued());
    Ok((*issued.ok_or("the invoice was not issued")?.document).clone())
}

/// Appends issued invoices like one, each with a number of its own.
async fn record(store: &Store, organization: OrganizationId, like: &Issued, count: usize) -> Result<(), Error> {
    for first in (0..count).step_by(TOGETHER) {
        let mut events = Vec::with_capacity(TOGETHER);
        for number in first..first + TOGETHER {
            let document = Issued { number: printed(number as u64 + 1), ..like.clone() };
            let stream = stream_of::<Invoice>(organization, new_id::<InvoiceId>())?;
            let (kind, collection) = (InvoiceKind::Manual, Collection::Automatic);
            let document = Box::new(document);
            let issued = invoice::Event::Issued { kind, collection, document, dunning: Vec::new(), replaces: None };
            events.push((stream, DomainEvent::from(issued)));
        }
        append(store, organization, &events, false).await?;
    }
    Ok(())
}

/// Numbers of as many digits sort as they count.
fn printed(number: u64) -> String {
    format!("{PREFIX}-2026-{number:07}")
}

/// The rate at which one thread renders an invoice with its electronic invoice.
fn rendered(engine: &'static str, issued: &Issued) -> Result<Figure, Error> {
    let countries = Countries { seller: "Germany".to_owned(), buyer: "Germany".to_owned() };
    let mut document = Document {
        issued: issued.clone(),
        kind: Kind::Invoice,
        paid: 0,
        payment: Payment::Transfer,
        logo: None,
        discounts: BTreeMap::new(),
        countries,
    };
    // Fonts are read once.
    let bytes = render(&document)?.pdf.len();
    let start = Instant::now();
    for number in 0..RENDERED {
        document.issued.number = printed(number as u64 + 1);
        render(&document)?;
    }
    let rate = RENDERED as f64 / start.elapsed().as_secs_f64();
    let note = format!("a page with the electronic invoice, {bytes} bytes, by one thread");
    Ok(Figure::alone(engine, "invoices_rendered", rate, "1/s", &note))
}
