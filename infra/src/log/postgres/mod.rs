//! The PostgreSQL engine: each partition's writer locks, reads, writes and commits in two round trips.
//!
//! Any number of nodes may use one database. Writers and wake-ups run on one dedicated thread: a batch is a chain of
//! short waits, and switching threads would make them longer by half (docs/adr/0004).

mod attempts;
mod clock;
pub(crate) mod connect;
pub(super) mod copy;
mod credential_activity;
pub(crate) mod error;
mod jobs;
mod ledger;
mod nodes;
pub(crate) mod pool;
mod questions;
mod reader;
mod rows;
mod schema;
mod session;
mod sessions;
mod simulated_payments;
mod tasks;
mod timers;
mod tls;
mod usage_counts;
mod wakeups;
mod writer;
mod writes;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{FutureExt, future::OptionFuture};
use porttask_runtime::{
    log::{
        Append, AppendError, Appended, EventLog, Head, Incarnation, LogError, Offset, OrganizationId, PartitionId,
        RecordedEvent, SESSION_HASHES_KEPT, StreamId, Version,
    },
    supervise::{Restart, supervise, supervise_thread},
};
use sha2::{Digest, Sha256};
use tokio::{
    runtime::Handle,
    sync::{RwLock, watch},
};

use self::{
    connect::Connector,
    error::from_postgres,
    reader::{PlacedStream, Reader},
    sessions::Sessions,
    wakeups::Announcer,
    writer::Writer,
};
use super::{
    heads::Heads,
    memory::{MAX_STREAMS, Memory},
    queue::{Queue, QueueLimits, queue},
};
use crate::gathering::Gathering;

/// Maximum number of sessions for ordinary appends.
const ORDINARY_SESSIONS: usize = 8;
/// Maximum number of sessions for two-partition appends. One commits while the next waits: they take turns at the
/// platform's lock anyway.
const TWO_PARTITION_SESSIONS: usize = 4;
/// Maximum number of streams in each of the two caches of a writer of two-partition appends.
const FEW_STREAMS: usize = 10_000;

/// Options of the log on a PostgreSQL server.
#[derive(Clone)]
pub struct PostgresOptions {
    /// The URL in libpq's format: `postgres://user:password@host/database?sslmode=…&sslrootcert=…`.
    pub url: String,
    /// Minimum number of partitions; missing ones are added when the log is opened, and none is ever removed.
    pub partitions: u16,
    /// Limits of the queue of each partition.
    pub queue: QueueLimits,
    /// Poll interval for appends whose notification was lost, while there are subscribers.
    pub poll: Duration,
    /// How long to retry an append, or to determine its outcome, while the server is unavailable.
    pub patience: Duration,
    /// How long to keep an append session that is not used.
    pub idle: Duration,
}

impl PostgresOptions {
    /// The defaults, for a database.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            partitions: 8,
            queue: QueueLimits::default(),
            poll: Duration::from_secs(2),
            patience: Duration::from_secs(10),
            idle: Duration::from_secs(60),
        }
    }
}

/// The queues of a partition.
struct Queues {
    ordinary: Queue,
    /// For appends that also touch the platform; `None` for the platform's own partition.
    two_partition: Option<Queue>,
}

impl Queues {
    fn of(&self, append: &Append) -> &Queue {
        self.two_partition.as_ref().filter(|_| append.touches_platform()).unwrap_or(&self.ordinary)
    }
}

/// The event log on PostgreSQL.
pub struct PostgresLog {
    connector: Connector,
    queues: Vec<Queues>,
    reader: Reader,
    versions: Gathering<Vec<PlacedStream>, Result<Vec<Version>, LogError>>,
    /// For tasks, whose writes need not be durable at once: lost ones are scheduled and run again.
    tasks: Reader,
    /// By reactor, the target where the next claim of tasks continues.
    last_targets: Mutex<HashMap<String, tasks::Target>>,
    heads: Arc<Heads>,
    registry: RwLock<HashMap<OrganizationId, PartitionId>>,
}

impl PostgresLog {
    /// Whether a database contains a log.
    ///
    /// # Errors
    /// If the database cannot be reached; the message says what to do.
    pub async fn exists(url: &str) -> Result<bool, LogError> {
        schema::exists(&Connector::new(url)?.plain().await?).await
    }

    /// Opens the log, creating or migrating its tables as needed.
    ///
    /// # Errors
    /// If the database cannot be reached or used; the message says what to do.
    pub async fn open(options: PostgresOptions) -> Result<Arc<Self>, LogError> {
        let connector = Connector::new(&options.url)?;
        let mut client = connector.plain().await?;
        let partitions = schema::prepare(&mut client, options.partitions).await?;
        let heads = Arc::new(Heads::new(usize::from(partitions)));
        for head in reader::heads(&client).await.map_err(|error| from_postgres(&error))? {
            heads.publish(head.position.partition, head.position.offset);
        }
        let queues = start(&connector, &options, &heads, partitions)?;
        let (reader, tasks) = (Reader::new(&connector)?, Reader::lazily_writing(&connector)?);
        let (versions, registry, last_targets) = (versions(reader.clone()), RwLock::default(), Mutex::default());
        Ok(Arc::new(Self { connector, queues, reader, versions, tasks, last_targets, heads, registry }))
    }

    /// The partition of an organization, or the one assigned to it if this append creates it.
    async fn home(&self, append: &Append) -> Result<PartitionId, AppendError> {
        let organization = append.organization;
        match self.partition_of(organization).await? {
            Some(partition) => Ok(partition),
            None if append.creates_organization => Ok(self.place(organization)),
            None => Err(AppendError::UnknownOrganization(organization)),
        }
    }

    /// Spreads organizations over all partitions except the platform's, which every creation of an organization locks.
    fn place(&self, organization: OrganizationId) -> PartitionId {
        let hash = Sha256::digest(organization.0.as_bytes());
        let number = hash.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        match self.queues.len() as u64 - 1 {
            0 => PartitionId::PLATFORM,
            others => PartitionId(1 + (number % others) as u16),
        }
    }
}

/// Batches concurrent lookups of stream versions into one query.
fn versions(reader: Reader) -> Gathering<Vec<PlacedStream>, Result<Vec<Version>, LogError>> {
    Gathering::new(move |asked: Vec<Vec<PlacedStream>>| {
        let reader = reader.clone();
        async move {
            let counts: Vec<usize> = asked.iter().map(Vec::len).collect();
            match reader.versions(&asked.concat()).await {
                Ok(found) => {
                    let mut found = found.into_iter();
                    counts.iter().map(|count| Ok(found.by_ref().take(*count).collect())).collect()
                }
                Err(error) => vec![Err(error); counts.len()],
            }
        }
    })
}

/// Starts the writers' thread; it ends when the log is closed and its queues are drained.
fn start(
    connector: &Connector,
    options: &PostgresOptions,
    heads: &Arc<Heads>,
    partitions: u16,
) -> Result<Vec<Queues>, LogError> {
    let failed = |error: std::io::Error| LogError::Unavailable(format!("cannot start a log thread: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let announcer = Arc::new(Announcer::default());
    let (callers, entered) = (Handle::current(), runtime.enter());
    let (to_announce, announced) = (connector.clone(), Arc::clone(&announcer));
    supervise("log announcer", Restart::Always, move || Arc::clone(&announced).run(to_announce.clone())).detach();
    let (to_listen, heard, poll) = (connector.clone(), Arc::clone(heads), options.poll);
    let listen = move || wakeups::listen(to_listen.clone(), Arc::clone(&heard), poll);
    supervise("log listener", Restart::Always, listen).detach();
    let [ordinary, two_partition] = [ORDINARY_SESSIONS, TWO_PARTITION_SESSIONS].map(|max| {
        let sessions = Sessions::new(connector.clone(), max);
        let (closed, idle) = (Arc::clone(&sessions), options.idle);
        supervise("idle log sessions", Restart::Always, move || Arc::clone(&closed).close_idle(idle)).detach();
        sessions
    });
    let mut writers = Vec::new();
    let mut start_writer = |sessions: &Arc<Sessions>, waits: &Arc<AtomicBool>, own: Memory, platform| {
        let (queue, waiting) = queue(options.queue);
        let writer = Writer {
            connector: connector.clone(),
            sessions: Arc::clone(sessions),
            partition: own.partition(),
            patience: options.patience,
            heads: Arc::clone(heads),
            announcer: Arc::clone(&announcer),
            waiting,
            callers: callers.clone(),
            own,
            platform,
            ordinary_waits: Arc::clone(waits),
            held: Duration::ZERO,
            idle_limit: options.idle,
        };
        let (name, mut writer) = (format!("log writer of partition {}", writer.partition), Some(writer));
        // Started once: a panic outside of a batch ends the process.
        writers.push(supervise(name, Restart::Fatal, move || {
            OptionFuture::from(writer.take().map(Writer::run)).map(drop)
        }));
        queue
    };
    let queues = (0..partitions).map(PartitionId).map(|partition| {
        let waits = Arc::new(AtomicBool::new(false));
        let with_platform = (partition != PartitionId::PLATFORM).then(|| Memory::platform(FEW_STREAMS));
        Queues {
            ordinary: start_writer(&ordinary, &waits, Memory::own(partition, MAX_STREAMS), None),
            two_partition: with_platform.map(|platform| {
                start_writer(&two_partition, &waits, Memory::own(partition, FEW_STREAMS), Some(platform))
            }),
        }
    });
    let queues = queues.collect();
    drop(entered);
    let mut started = Some((runtime, writers));
    let thread = supervise_thread("log-writer", Restart::Fatal, move || {
        let Some((runtime, writers)) = started.take() else { return };
        runtime.block_on(async {
            for mut writer in writers {
                writer.ended().await;
            }
        });
    });
    thread.map_err(failed)?;
    Ok(queues)
}

#[async_trait]
impl EventLog for PostgresLog {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        append.check()?;
        let (organization, founds) = (append.organization, append.creates_organization);
        let partition = self.home(&append).await?;
        let queues = self.queues.get(usize::from(partition.0));
        // Another node has added partitions since this one started.
        let missing = || LogError::Unavailable(format!("partition {partition} is new: restart this node"));
        let appended = queues.ok_or_else(missing)?.of(&append).submit(append).await?;
        if founds {
            self.registry.write().await.insert(organization, partition);
        }
        Ok(appended)
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        match self.partition_of(stream.organization).await? {
            Some(partition) => self.reader.stream(partition, stream, after, limit).await,
            None => Ok(Vec::new()),
        }
    }

    async fn versions(&self, streams: &[StreamId]) -> Result<Vec<Version>, LogError> {
        let mut placed = Vec::with_capacity(streams.len());
        for stream in streams {
            // An unknown organization has no streams in any partition.
            let partition = self.partition_of(stream.organization).await?.unwrap_or(PartitionId::PLATFORM);
            placed.push((partition, stream.clone()));
        }
        let gone = || Err(LogError::Unavailable("the versions of streams could not be read".to_owned()));
        self.versions.ask(placed).await.unwrap_or_else(gone)
    }

    async fn read_partition(
        &self,
        partition: PartitionId,
        after: Offset,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        self.reader.partition(partition, after, limit).await
    }

    async fn read_at(&self, partition: PartitionId, offsets: &[Offset]) -> Result<Vec<RecordedEvent>, LogError> {
        self.reader.at(partition, offsets).await
    }

    fn subscribe(&self, partition: PartitionId) -> Option<watch::Receiver<Offset>> {
        self.heads.subscribe(partition)
    }

    async fn heads(&self) -> Result<Vec<Head>, LogError> {
        self.reader.heads().await
    }

    async fn partition_of(&self, organization: OrganizationId) -> Result<Option<PartitionId>, LogError> {
        if organization == OrganizationId::PLATFORM {
            return Ok(Some(PartitionId::PLATFORM));
        }
        if let Some(partition) = self.registry.read().await.get(&organization) {
            return Ok(Some(*partition));
        }
        let registered = self.reader.registered(organization).await?;
        if let Some(partition) = registered {
            self.registry.write().await.insert(organization, partition);
        }
        Ok(registered)
    }

    async fn incarnation(&self) -> Result<Incarnation, LogError> {
        self.reader.incarnation().await
    }

    async fn begin_incarnation(&self) -> Result<Incarnation, LogError> {
        let client = self.connector.plain().await?;
        schema::begin_incarnation(&client).await.map_err(|error| from_postgres(&error))
    }

    async fn forget_expired(&self) -> Result<u64, LogError> {
        let client = self.connector.plain().await?;
        let failed = |error: tokio_postgres::Error| from_postgres(&error);
        let sessions =
            "DELETE FROM ledger.secrets WHERE kind = 'session' AND recorded_at < now() - make_interval(secs => $1)";
        client.execute(sessions, &[&SESSION_HASHES_KEPT.as_secs_f64()]).await.map_err(failed)?;
        client.execute("DELETE FROM ledger.attempts WHERE expires_at <= now()", &[]).await.map_err(failed)?;
        let forgotten = client.execute("DELETE FROM ledger.idempotency_keys WHERE expires_at <= now()", &[]).await;
        forgotten.map_err(failed)
    }
}
