//! Callers that append through the log, each as fast as it gets responses.

use std::{
    cell::Cell,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use bytes::Bytes;
use porttask_runtime::log::{
    Append, EventId, EventLog, EventType, NewEvent, Offset, OrganizationId, PartitionId, StreamId, Version,
};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::head;
use crate::{Error, report::percentile_ms};

/// The number of streams over which events are distributed at random.
pub(super) const STREAMS: usize = 10_000;
/// The number of pairs of streams for appends to two partitions.
const PAIRS: usize = 1_000;
/// The data and metadata of an event, 300 bytes together.
pub(super) const DATA: &[u8] = &[b'd'; 200];
pub(super) const META: &[u8] = &[b'm'; 100];
pub(super) const EVENT_TYPE: &str = "user.role_changed.v1";

/// The name of stream `number`.
pub(super) fn stream_name(number: usize) -> String {
    format!("user-usr_{number:026}")
}

/// The results of one or several runs.
#[derive(Default)]
pub(super) struct Run {
    pub(super) rates: Vec<f64>,
    latencies: Vec<Duration>,
}

impl Run {
    pub(super) fn add(&mut self, mut other: Self) {
        self.rates.append(&mut other.rates);
        self.latencies.append(&mut other.latencies);
    }

    pub(super) fn percentile_ms(&self, percentile: usize) -> f64 {
        percentile_ms(&self.latencies, percentile)
    }
}

/// The median of an odd number of values.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

struct Stream {
    id: StreamId,
    /// A stream of the platform that is always appended to together with this one.
    platform: Option<StreamId>,
    version: Version,
}

impl Stream {
    fn new(organization: OrganizationId, number: usize) -> Result<Self, Error> {
        Ok(Self { id: StreamId::new(organization, stream_name(number))?, platform: None, version: Version::NONE })
    }

    /// The next event of the stream, and of the platform's stream.
    fn append(&self) -> Result<Append, Error> {
        let streams = || std::iter::once(&self.id).chain(&self.platform);
        let events: Result<Vec<NewEvent>, Error> = streams().map(|stream| event(stream.clone())).collect();
        let append = Append::new(self.id.organization, events?);
        Ok(streams().fold(append, |append, stream| append.expecting(stream.clone(), self.version)))
    }
}

/// The streams of a store, with their versions. Each caller has its own streams, so that there are no conflicts.
pub(super) struct Load {
    log: Arc<dyn EventLog>,
    partition: PartitionId,
    streams: Vec<Stream>,
}

impl Load {
    /// Creates organizations until they cover this many partitions, and distributes the streams among them.
    pub(super) async fn new(log: Arc<dyn EventLog>, partitions: usize) -> Result<Self, Error> {
        let mut homes: Vec<(PartitionId, OrganizationId)> = Vec::new();
        while homes.len() < partitions {
            let organization = porttask_runtime::new_id::<OrganizationId>();
            let founded = StreamId::new(organization, "organization")?;
            log.append(Append::new(organization, vec![event(founded)?]).creates_organization()).await?;
            let home = log.partition_of(organization).await?.ok_or("a new organization is not found")?;
            if homes.iter().all(|(partition, _)| *partition != home) {
                homes.push((home, organization));
            }
        }
        let mut streams = Vec::with_capacity(STREAMS);
        for number in 0..STREAMS {
            streams.push(Stream::new(homes[number % homes.len()].1, number)?);
        }
        Ok(Self { log, partition: homes[0].0, streams })
    }

    /// Appends to two partitions: to other streams of the same organizations, each together with one of the platform.
    pub(super) fn two_partitions(&self) -> Result<Self, Error> {
        let mut streams = Vec::with_capacity(PAIRS);
        for (number, stream) in (STREAMS..).zip(self.streams.iter().take(PAIRS)) {
            let platform = Some(StreamId::new(OrganizationId::PLATFORM, stream_name(number))?);
            streams.push(Stream { platform, ..Stream::new(stream.id.organization, number)? });
        }
        Ok(Self { log: Arc::clone(&self.log), partition: self.partition, streams })
    }

    pub(super) fn partition(&self) -> PartitionId {
        self.partition
    }

    /// Runs `callers` concurrently for this long.
    pub(super) async fn run(&mut self, callers: usize, time: Duration) -> Result<Run, Error> {
        let mut shares: Vec<Vec<Stream>> = (0..callers).map(|_| Vec::new()).collect();
        for (index, stream) in self.streams.drain(..).enumerate() {
            shares[index % callers].push(stream);
        }
        let mut tasks = JoinSet::new();
        let start = Instant::now();
        for share in shares {
            tasks.spawn(call(Arc::clone(&self.log), share, start + time));
        }
        let mut run = Run::default();
        while let Some(done) = tasks.join_next().await {
            let (mut share, mut latencies) = done??;
            self.streams.append(&mut share);
            run.latencies.append(&mut latencies);
        }
        run.rates.push(run.latencies.len() as f64 / start.elapsed().as_secs_f64());
        Ok(run)
    }

    /// Appends events in large batches until the partition has `count`.
    pub(super) async fn fill(&mut self, count: u64) -> Result<(), Error> {
        let mut next = 0;
        while head(self.log.as_ref(), self.partition).await?.0 < count {
            let mut events = Vec::new();
            for _ in 0..1_000 {
                let stream = &mut self.streams[next % STREAMS];
                next += 1;
                stream.version.0 += 1;
                events.push(event(stream.id.clone())?);
            }
            let organization = events[0].stream.organization;
            self.log.append(Append::new(organization, events)).await?;
        }
        Ok(())
    }
}

async fn call(
    log: Arc<dyn EventLog>,
    mut streams: Vec<Stream>,
    until: Instant,
) -> Result<(Vec<Stream>, Vec<Duration>), Error> {
    let mut latencies = Vec::new();
    loop {
        let begun = Instant::now();
        if begun >= until {
            return Ok((streams, latencies));
        }
        let chosen = random(streams.len());
        let stream = &mut streams[chosen];
        log.append(stream.append()?).await?;
        stream.version.0 += 1;
        latencies.push(begun.elapsed());
    }
}

/// The event type, parsed once.
fn event_type() -> Result<EventType, Error> {
    static TYPE: OnceLock<EventType> = OnceLock::new();
    if let Some(known) = TYPE.get() {
        return Ok(known.clone());
    }
    let new = EventType::new(EVENT_TYPE)?;
    Ok(TYPE.get_or_init(|| new).clone())
}

fn event(stream: StreamId) -> Result<NewEvent, Error> {
    Ok(NewEvent {
        id: EventId::generate(),
        stream,
        event_type: event_type()?,
        data: Bytes::from_static(DATA),
        meta: Bytes::from_static(META),
    })
}

/// Events per second, read repeatedly in pages of 1,000.
pub(super) async fn scan(log: &dyn EventLog, partition: PartitionId, time: Duration) -> Result<f64, Error> {
    let (start, mut after, mut count) = (Instant::now(), Offset::START, 0);
    while start.elapsed() < time {
        let page = log.read_partition(partition, after, 1_000).await?;
        after = page.last().map_or(Offset::START, |event| event.position.offset);
        count += page.len();
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

/// A pseudo-random number below `bound` (xorshift).
pub(super) fn random(bound: usize) -> usize {
    thread_local!(static STATE: Cell<u64> = Cell::new(Uuid::now_v7().as_u64_pair().1 | 1));
    STATE.with(|state| {
        let mut x = state.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        state.set(x);
        (x % bound as u64) as usize
    })
}
