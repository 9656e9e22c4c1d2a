//! Checked reads: a decorator of a database that verifies every event it returns.
//!
//! A damaged event is an error of the read that met it: it stops the read model, the command or the export, and nothing
//! else. `porttask log verify` and `porttask events show` read the database without this decorator.

mod forward;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use tokio::{sync::watch, task::spawn_blocking};

use super::{
    Append, AppendError, Appended, EventLog, Head, Incarnation, LogError, Offset, OrganizationId, PartitionId,
    RecordedEvent, StreamId, Version,
    integrity::{Damage, check_at, check_partition, check_stream},
};
use crate::ledger::Database;

/// Data and meta of a page above which it is hashed on a thread that may block, in bytes: a fraction of a millisecond.
const LARGE_PAGE_BYTES: usize = 128 << 10;
/// Maximum number of damaged places that are remembered, so that each is logged and counted once.
const REMEMBERED: usize = 10_000;

/// A database whose events are verified whenever they are read: leaf hashes, contiguous offsets and versions, and times
/// of recording that never fall within a page.
pub struct CheckedLog {
    database: Arc<dyn Database>,
    /// The damage met, as logged.
    met: Mutex<HashSet<String>>,
}

impl CheckedLog {
    /// Checks the events of `database`.
    pub fn new(database: Arc<dyn Database>) -> Arc<Self> {
        Arc::new(Self { database, met: Mutex::default() })
    }

    async fn checked(
        &self,
        read: Result<Vec<RecordedEvent>, LogError>,
        check: impl FnOnce(&[RecordedEvent]) -> Option<Damage> + Send + 'static,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        let events = read.inspect_err(|error| self.note(error))?;
        let bytes: usize = events.iter().map(|event| event.data.len() + event.meta.len()).sum();
        let (events, damage) = if bytes <= LARGE_PAGE_BYTES {
            let damage = check(&events);
            (events, damage)
        } else {
            let checked = spawn_blocking(move || {
                let damage = check(&events);
                (events, damage)
            });
            checked.await.map_err(|error| LogError::Unavailable(error.to_string()))?
        };
        let Some(damage) = damage else { return Ok(events) };
        let error = LogError::Damaged(format!("{damage}; `porttask log verify` lists all damage"));
        self.note(&error);
        Err(error)
    }

    /// Logs and counts damage, each once.
    fn note(&self, error: &LogError) {
        if !matches!(error, LogError::Damaged(_)) {
            return;
        }
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        if met.len() < REMEMBERED && met.insert(error.to_string()) {
            tracing::error!(%error, "a damaged event was met: what reads it is stopped");
        }
    }
}

#[async_trait]
impl EventLog for CheckedLog {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.database.append(append).await
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        let (read, stream) = (self.database.read_stream(stream, after, limit).await, stream.clone());
        self.checked(read, move |events| check_stream(&stream, after, events)).await
    }

    async fn versions(&self, streams: &[StreamId]) -> Result<Vec<Version>, LogError> {
        self.database.versions(streams).await
    }

    async fn read_partition(
        &self,
        partition: PartitionId,
        after: Offset,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        let read = self.database.read_partition(partition, after, limit).await;
        self.checked(read, move |events| check_partition(after, events)).await
    }

    async fn read_at(&self, partition: PartitionId, offsets: &[Offset]) -> Result<Vec<RecordedEvent>, LogError> {
        let (read, offsets) = (self.database.read_at(partition, offsets).await, offsets.to_vec());
        self.checked(read, move |events| check_at(&offsets, events)).await
    }

    fn subscribe(&self, partition: PartitionId) -> Option<watch::Receiver<Offset>> {
        self.database.subscribe(partition)
    }

    async fn heads(&self) -> Result<Vec<Head>, LogError> {
        self.database.heads().await
    }

    async fn partition_of(&self, organization: OrganizationId) -> Result<Option<PartitionId>, LogError> {
        self.database.partition_of(organization).await
    }

    async fn incarnation(&self) -> Result<Incarnation, LogError> {
        self.database.incarnation().await
    }

    async fn begin_incarnation(&self) -> Result<Incarnation, LogError> {
        self.database.begin_incarnation().await
    }

    async fn forget_expired(&self) -> Result<u64, LogError> {
        self.database.forget_expired().await
    }

    fn damaged_events(&self) -> u64 {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }
}
