//! The embedded engine: one SQLite file in WAL mode, one writer thread, concurrent readers.
//!
//! The log has one partition. Several processes may use the file concurrently: a writer holds SQLite's write lock and
//! reads everything that admission needs under it.

mod attempts;
mod clock;
pub(super) mod copy;
mod credential_activity;
mod error;
mod jobs;
mod ledger;
mod nodes;
mod reader;
mod simulated_payments;
mod store;
mod tasks;
mod timers;
mod usage_counts;
mod writer;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use hashbrown::HashSet;
use jiff::Timestamp;
use porttask_domain::PersonId;
use porttask_runtime::{
    ledger::{ConstraintRepair, ConstraintSnapshot},
    ledger::{Ledger, StoredKey},
    log::{
        Append, AppendError, Appended, ClaimKey, CounterKey, EventLog, Head, Incarnation, LogError, Offset,
        OrganizationId, PartitionId, PersonKeyId, RecordedEvent, SecretId, StreamId, Version,
        admission::{IdempotencyRecord, IdempotencyRecordKey},
    },
    supervise::{Restart, beat, supervise},
};
use rusqlite::Connection;
use tokio::sync::watch;

use self::{
    reader::{Durable, Readers},
    writer::Writer,
};
use super::{
    heads::Heads,
    queue::{Queue, QueueLimits, queue},
};

/// Options of the embedded log.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The directory that contains `log.db`; created if missing.
    pub directory: PathBuf,
    /// Limits of the append queue.
    pub queue: QueueLimits,
    /// Poll interval for appends of other processes while there are subscribers.
    pub poll: Duration,
}

impl SqliteOptions {
    /// The defaults, in a directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), queue: QueueLimits::default(), poll: Duration::from_millis(500) }
    }
}

/// The embedded event log.
pub struct SqliteLog {
    queue: Queue,
    readers: Arc<Readers>,
    heads: Arc<Heads>,
    founded: RwLock<HashSet<OrganizationId>>,
    /// By reactor, the target where the next claim of tasks continues.
    last_targets: Mutex<HashMap<String, tasks::Target>>,
}

impl SqliteLog {
    /// Whether a log is stored in a directory.
    pub fn exists(directory: &Path) -> bool {
        store::exists(directory)
    }

    /// Writes a consistent copy of log and ledger to a new file, while the log is in use; returns its size in bytes.
    ///
    /// # Errors
    /// If the file exists or cannot be written.
    pub fn backup(directory: &Path, file: &Path) -> Result<u64, LogError> {
        store::backup(directory, file)
    }

    /// Opens the log, creating or migrating its file as needed.
    ///
    /// # Errors
    /// If the file is not a log that this version can use; the message says what to do.
    pub async fn open(options: SqliteOptions) -> Result<Arc<Self>, LogError> {
        let file = options.directory.join("log.db");
        let opened = tokio::task::spawn_blocking(move || store::open(&options.directory));
        let (connection, head) = opened.await.map_err(|error| LogError::Unavailable(error.to_string()))??;
        let heads = Arc::new(Heads::new(1));
        heads.publish(PartitionId::PLATFORM, head);
        let (queue, waiting) = queue(options.queue);
        Writer::new(connection, Arc::clone(&heads)).start(waiting)?;
        let (readers, founded, last_targets) = (Arc::new(Readers::new(file)), RwLock::default(), Mutex::default());
        let log = Arc::new(Self { queue, readers, heads, founded, last_targets });
        let (polled, every) = (Arc::downgrade(&log), options.poll);
        // It ends when the log is closed.
        supervise("log poll", Restart::OnPanic, move || poll(polled.clone(), every)).detach();
        Ok(log)
    }
}

/// Polls for appends of other processes while there are subscribers, until the log is closed.
async fn poll(log: std::sync::Weak<SqliteLog>, every: Duration) {
    loop {
        beat(every);
        tokio::time::sleep(every).await;
        let Some(log) = log.upgrade() else { return };
        if !log.heads.has_subscribers() {
            continue;
        }
        match log.readers.quickly(reader::head) {
            Ok(head) => log.heads.publish(PartitionId::PLATFORM, head.position.offset),
            Err(error) => tracing::warn!(%error, "the log could not be polled"),
        }
    }
}

#[async_trait]
impl EventLog for SqliteLog {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let organization = append.organization;
        if !append.creates_organization && self.partition_of(organization).await?.is_none() {
            return Err(AppendError::UnknownOrganization(organization));
        }
        self.queue.submit(append).await
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        let stream = stream.clone();
        self.readers.run(move |connection| reader::read_stream(connection, &stream, after, limit)).await
    }

    async fn versions(&self, streams: &[StreamId]) -> Result<Vec<Version>, LogError> {
        self.readers.quickly(|connection| reader::versions(connection, streams))
    }

    async fn read_partition(
        &self,
        partition: PartitionId,
        after: Offset,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        if partition != PartitionId::PLATFORM {
            return Ok(Vec::new());
        }
        self.readers.run(move |connection| reader::read_partition(connection, after, limit)).await
    }

    async fn read_at(&self, partition: PartitionId, offsets: &[Offset]) -> Result<Vec<RecordedEvent>, LogError> {
        if partition != PartitionId::PLATFORM {
            return Ok(Vec::new());
        }
        let offsets = offsets.to_vec();
        self.readers.run(move |connection| reader::read_at(connection, &offsets)).await
    }

    fn subscribe(&self, partition: PartitionId) -> Option<watch::Receiver<Offset>> {
        self.heads.subscribe(partition)
    }

    async fn heads(&self) -> Result<Vec<Head>, LogError> {
        Ok(vec![self.readers.quickly(reader::head)?])
    }

    async fn partition_of(&self, organization: OrganizationId) -> Result<Option<PartitionId>, LogError> {
        let founded = self.founded.read().unwrap_or_else(PoisonError::into_inner).contains(&organization);
        let is_known = founded || organization == OrganizationId::PLATFORM;
        if !is_known {
            if !self.readers.quickly(|connection| reader::is_founded(connection, organization))? {
                return Ok(None);
            }
            self.founded.write().unwrap_or_else(PoisonError::into_inner).insert(organization);
        }
        Ok(Some(PartitionId::PLATFORM))
    }

    async fn incarnation(&self) -> Result<Incarnation, LogError> {
        self.readers.quickly(reader::incarnation)
    }

    async fn begin_incarnation(&self) -> Result<Incarnation, LogError> {
        self.readers.run_writing(Durable::AtOnce, store::begin_incarnation).await
    }

    async fn forget_expired(&self) -> Result<u64, LogError> {
        self.readers.run_writing(Durable::AtOnce, store::forget_expired).await
    }
}

#[async_trait]
impl Ledger for SqliteLog {
    async fn person_keys(&self, ids: &[PersonKeyId]) -> Result<Vec<Option<StoredKey>>, LogError> {
        self.readers.quickly(|connection| ids.iter().map(|id| ledger::person_key(connection, id)).collect())
    }

    async fn idempotency_record(&self, key: &IdempotencyRecordKey) -> Result<Option<IdempotencyRecord>, LogError> {
        let found = self.readers.quickly(|connection| ledger::idempotency_record(connection, key))?;
        Ok(found.filter(|record| record.expires_at > Timestamp::now()))
    }

    async fn secret(&self, id: &SecretId) -> Result<Option<Vec<u8>>, LogError> {
        self.readers.quickly(|connection| ledger::secret(connection, id))
    }

    async fn holder(&self, key: &ClaimKey) -> Result<Option<String>, LogError> {
        self.readers.quickly(|connection| ledger::holder(connection, key))
    }

    async fn count(&self, key: &CounterKey) -> Result<i64, LogError> {
        self.readers.quickly(|connection| ledger::count(connection, key))
    }

    async fn destroy_person_keys(&self, organization: OrganizationId, person: PersonId) -> Result<u64, LogError> {
        let destroy = move |connection: &mut Connection| ledger::destroy_person_keys(connection, organization, person);
        self.readers.run_writing(Durable::AtOnce, destroy).await
    }

    async fn purpose_key(&self, purpose: &str, wrapped: &[u8]) -> Result<Vec<u8>, LogError> {
        let (purpose, wrapped) = (purpose.to_owned(), wrapped.to_owned());
        self.readers
            .run_writing(Durable::AtOnce, move |connection| ledger::purpose_key(connection, &purpose, &wrapped))
            .await
    }

    async fn all_person_keys(
        &self,
        after: Option<PersonKeyId>,
        limit: usize,
    ) -> Result<Vec<(PersonKeyId, Vec<u8>)>, LogError> {
        self.readers.run(move |connection| ledger::all_person_keys(connection, after, limit)).await
    }

    async fn rewrap_person_keys(&self, keys: &[(PersonKeyId, Vec<u8>, Vec<u8>)]) -> Result<u64, LogError> {
        let keys = keys.to_vec();
        self.readers.run_writing(Durable::AtOnce, move |connection| ledger::rewrap_person_keys(connection, &keys)).await
    }

    async fn purpose_keys(&self) -> Result<Vec<(String, Vec<u8>)>, LogError> {
        self.readers.run(ledger::purpose_keys).await
    }

    async fn rewrap_purpose_key(&self, purpose: &str, old: &[u8], new: &[u8]) -> Result<(), LogError> {
        let (purpose, old, new) = (purpose.to_owned(), old.to_owned(), new.to_owned());
        let rewrap = move |connection: &mut Connection| ledger::rewrap_purpose_key(connection, &purpose, &old, &new);
        self.readers.run_writing(Durable::AtOnce, rewrap).await
    }

    async fn constrained(&self) -> Result<ConstraintSnapshot, LogError> {
        self.readers.run(ledger::constrained).await
    }

    async fn repair(&self, heads: &[Head], repair: &ConstraintRepair) -> Result<bool, LogError> {
        let (heads, repair) = (heads.to_vec(), repair.clone());
        self.readers.run_writing(Durable::AtOnce, move |connection| ledger::repair(connection, &heads, &repair)).await
    }
}
