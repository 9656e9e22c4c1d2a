//! Port calls: creating them in one organization, and listing many. Documents: uploading them.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use porttask_domain::{
    Actor, DomainEvent, Meta, OrganizationId, UserId,
    operations::{
        PortCall,
        port::Port,
        port_call::{Command, NewPortCall, PortCallId, Schedule},
        vessel::{ImoNumber, VesselName, VoyageNumber},
    },
};
use porttask_projections::{ColumnType, ReadModel, operations::port_call::PortCalls};
use porttask_runtime::{
    execute::{Executor, Request, stream_of},
    log::Append,
    new_id,
    views::{Condition, Query, Views},
};
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;

use crate::{
    Error, Figure, Options,
    billing::{executor, subscribed},
    report::percentile_ms,
    service::{Client, PARTITIONS, Service},
    store::{Place, Store},
};

pub(crate) const CALLERS: usize = 64;
pub(crate) const ROUNDS: usize = 3;
const PORT_CALLS: usize = 1_000_000;
/// Port calls per append.
const TOGETHER: usize = 500;
const PAGES: usize = 400;
const PATIENCE: Duration = Duration::from_secs(1_800);
const DOCUMENT_BYTES: usize = 8 << 20;
/// Bytes that the plain loop hashes and writes at a time.
const PART: usize = 256 * 1024;

/// Measures both engines, or the chosen one.
pub(crate) async fn run(options: &Options, progress: &(dyn Fn(&str) + Sync)) -> Result<Vec<Figure>, Error> {
    let wants = |name: &str| options.figure.as_deref().is_none_or(|wanted| name.contains(wanted));
    let mut figures = Vec::new();
    for engine in Place::engines(options)? {
        if wants("document_upload_ratio") {
            progress(&format!("{engine}: uploading documents"));
            figures.push(uploaded(engine, options).await?);
        }
        if !wants("port_calls_created") && !wants("port_calls_page_p99") {
            continue;
        }
        let Place { engine, directory, server } = Place::of(engine, options)?;
        let store = Store::open(server.as_ref(), directory.path(), 1).await?;
        let organization = store.populate(0, 1, |_| Timestamp::UNIX_EPOCH).await?;
        if wants("port_calls_created") {
            progress(&format!("{engine}: creating port calls, {CALLERS} callers"));
            figures.push(created(engine, &store, options).await?);
        }
        if wants("port_calls_page_p99") {
            let count = if options.quick { PORT_CALLS / 10 } else { PORT_CALLS };
            progress(&format!("{engine}: recording {count} port calls"));
            record(&store, organization, count).await?;
            progress(&format!("{engine}: folding them"));
            let views = store.view(PortCalls::NAME, server.as_ref(), directory.path()).await?;
            views.run();
            views.catch_up(PortCalls::NAME, PATIENCE).await?;
            progress(&format!("{engine}: listing them"));
            figures.push(page(engine, &store, &views, organization, count).await?);
        }
    }
    Ok(figures)
}

/// A port call of a small fleet, whose arrival is spread over a year.
pub(crate) fn new_port_call(number: usize) -> Result<NewPortCall, Error> {
    let imos = ["9074729", "9321483", "9403009", "9619907"];
    let time_zone = "America/Sao_Paulo".parse().map_err(|_| "no such zone")?;
    let (unlocode, name, country) = ("BRSSZ".to_owned(), "Santos".to_owned(), "Brazil".to_owned());
    let eta = Timestamp::UNIX_EPOCH + SignedDuration::from_mins((number % 525_600) as i64);
    Ok(NewPortCall {
        port: Port { unlocode, name, country, time_zone },
        vessel: VesselName::new(["Nordic Star", "Ocean Pearl", "Amber Trader"][number % 3])?,
        imo: ImoNumber::new(imos[number % imos.len()])?,
        voyage: Some(VoyageNumber::new(&format!("NX{}E", number % 1_000))?),
        reference: None,
        schedule: Schedule { eta, etd: eta + SignedDuration::from_hours(30) },
        agent: UserId::FIRST_SUPER_ADMIN,
        usage_month: "2026-11".to_owned(),
    })
}

/// Creates a port call under a new id, as the API does.
pub(crate) async fn create(executor: &Arc<Executor>, request: &Request, number: usize) -> Result<(), Error> {
    let (id, create) = (new_id::<PortCallId>(), &Command::Create(Box::new(new_port_call(number)?)));
    executor.transact(request, move |tx| async move { tx.decide_new::<PortCall>(id, create).await }).await?;
    Ok(())
}

/// The rate of creation by commands in one organization, beside appends of the same events without any.
async fn created(engine: &'static str, store: &Store, options: &Options) -> Result<Figure, Error> {
    // Each organization has a subscription.
    let organization = subscribed(store, Timestamp::now() - SignedDuration::from_hours(24 * 20), None).await?;
    let executor = executor(store);
    let meta = Meta::by(Actor::User { organization, user: UserId::FIRST_SUPER_ADMIN });
    let request = &Request::new(organization, meta);
    let length = Duration::from_secs_f64(options.seconds);
    let (mut commands, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let executor = &executor;
        plain.push(rate(length, async |number| append(store, organization, number, 1).await).await?);
        commands.push(rate(length, async |number| create(executor, request, number).await).await?);
    }
    let note = format!("{CALLERS} callers in one organization, compared with appends of the same events; target 0.70");
    Ok(Figure::beside(engine, "port_calls_created", median(commands), "1/s", median(plain), &note))
}

pub(crate) fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// How often callers do something, each as fast as it can.
pub(crate) async fn rate(length: Duration, each: impl AsyncFn(usize) -> Result<(), Error>) -> Result<f64, Error> {
    let start = Instant::now();
    let caller = async |caller: usize| {
        let mut done = 0;
        while start.elapsed() < length {
            each(caller + done * CALLERS).await?;
            done += 1;
        }
        Ok::<_, Error>(done)
    };
    let done: usize = try_join_all((0..CALLERS).map(caller)).await?.into_iter().sum();
    Ok(done as f64 / start.elapsed().as_secs_f64())
}

/// Appends new port calls without a command.
async fn append(store: &Store, organization: OrganizationId, first: usize, count: usize) -> Result<(), Error> {
    let mut events: Vec<_> = Vec::with_capacity(count);
    for number in first..first + count {
        let create = Command::Create(Box::new(new_port_call(number)?));
        let created = porttask_domain::Aggregate::decide(&PortCall::default(), &create)?;
        let stream = stream_of::<PortCall>(organization, new_id::<PortCallId>())?;
        events.extend(created.into_iter().map(|event| (stream.clone(), DomainEvent::from(event))));
    }
    let meta = Meta::by(Actor::User { organization, user: UserId::FIRST_SUPER_ADMIN });
    let sealed = store.vault.seal(organization, &events, &meta).await?;
    let mut append = Append::new(organization, sealed.events);
    append.person_keys = sealed.keys;
    store.log.append(append).await?;
    Ok(())
}

async fn record(store: &Store, organization: OrganizationId, count: usize) -> Result<(), Error> {
    for first in (0..count).step_by(TOGETHER) {
        append(store, organization, first, TOGETHER).await?;
    }
    Ok(())
}

/// The time of a page of 50, by arrival, from a random place on.
async fn page(
    engine: &'static str,
    store: &Store,
    views: &Views,
    organization: OrganizationId,
    count: usize,
) -> Result<Figure, Error> {
    let partition = store.log.partition_of(organization).await?.ok_or("the organization is not found")?;
    let mut latencies = Vec::new();
    for number in 0..PAGES {
        // Fewer port calls than minutes of a year end earlier.
        let minutes = (number * 7_919 % count.min(525_600)) as i64;
        let from = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes);
        let query = Query {
            partition,
            conditions: vec![
                Condition::Equal("organization", organization.to_value()),
                Condition::AtLeast("eta", from.to_value()),
            ],
            sort: vec!["eta", "port_call"],
            limit: 50,
            ..Query::default()
        };
        let start = Instant::now();
        let found = views.select(PortCalls::NAME, &query).await?;
        latencies.push(start.elapsed());
        if found.is_empty() {
            return Err("a page is empty".into());
        }
    }
    let note = format!("50 of {count} port calls by arrival, from a random time on; target 15 ms");
    Ok(Figure::alone(engine, "port_calls_page_p99", percentile_ms(&latencies, 99), "ms", &note))
}

/// The rate of bytes that one client uploads over HTTP, beside a loop that hashes, writes and syncs the same bytes.
async fn uploaded(engine: &'static str, options: &Options) -> Result<Figure, Error> {
    // A place of its own, which is gone afterwards together with the contents.
    let Place { directory, server, .. } = Place::of(engine, options)?;
    let (directory, server) = (directory.path(), server.as_ref());
    let store = Store::open(server, directory, PARTITIONS).await?;
    let service = Service::start(server, directory).await?;
    let organizations = service.found(&store, 1).await?;
    let token = organizations.first().map(|organization| organization.token.as_str());
    let mut client = Client::connect(service.address, token).await?;
    let length = Duration::from_secs_f64(options.seconds);
    let folder = directory.join("plain");
    fs::create_dir(&folder)?;
    let mut content: Vec<u8> = (0..DOCUMENT_BYTES as u64 / 8).flat_map(u64::to_le_bytes).collect();
    let (mut uploads, mut plain, mut number) = (Vec::new(), Vec::new(), 0_u64);
    for _ in 0..ROUNDS {
        let (first, folder, copy) = (number, folder.clone(), content.clone());
        plain.push(spawn_blocking(move || written(&folder, copy, length)).await??);
        let start = Instant::now();
        while start.elapsed() < length {
            // Each is another content, so that each is stored.
            content[..8].copy_from_slice(&number.to_be_bytes());
            client.upload("scan.bin", &content).await?.ok()?;
            number += 1;
        }
        uploads.push(megabytes(number - first) / start.elapsed().as_secs_f64());
    }
    service.stop().await?;
    fs::remove_dir_all(&folder)?;
    let note = format!(
        "{} MiB each by one client over HTTP, compared with hashing, writing and syncing the same bytes; target 0.50",
        DOCUMENT_BYTES >> 20
    );
    Ok(Figure::beside(engine, "document_upload_ratio", median(uploads), "MB/s", median(plain), &note))
}

fn megabytes(documents: u64) -> f64 {
    documents as f64 * DOCUMENT_BYTES as f64 / 1_000_000.0
}

/// Hashes, writes and syncs contents, one after the other, without anything else; the rate.
fn written(folder: &Path, mut content: Vec<u8>, length: Duration) -> Result<f64, Error> {
    let (start, mut number) = (Instant::now(), 0_u64);
    while start.elapsed() < length {
        content[..8].copy_from_slice(&number.to_be_bytes());
        let mut hash = Sha256::new();
        let path = folder.join(number.to_string());
        let mut file = File::create_new(&path)?;
        for part in content.chunks(PART) {
            hash.update(part);
            file.write_all(part)?;
        }
        file.sync_all()?;
        std::hint::black_box(hash.finalize());
        number += 1;
    }
    let rate = megabytes(number) / start.elapsed().as_secs_f64();
    for entry in fs::read_dir(folder)? {
        fs::remove_file(entry?.path())?;
    }
    Ok(rate)
}
