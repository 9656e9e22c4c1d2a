//! Reading the embedded log, concurrently with the writer.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use porttask_runtime::log::{
    EventId, Head, Incarnation, LeafHash, LogError, Offset, OrganizationId, PartitionId, Position, RecordedEvent,
    StreamId, Version, admission::StreamState,
};
use rusqlite::{Connection, OptionalExtension, Row, params, types::Type};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{error::from_sqlite, writer::MARK_EVERY};
use crate::log::page::Page;

/// Maximum number of concurrent page reads.
const READERS: usize = 4;
/// Page cache of each reader: 16 MiB.
const CACHE_KIBIBYTES: i32 = 16_384;
const EVENT: &str = "SELECT offset, version, recorded_at, event_id, organization, stream_name, type, leaf_hash, data, \
                     meta FROM events";

/// Connections for reads, and for writes other than appends.
pub(super) struct Readers {
    file: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
    /// Connections that write beside the log's writer.
    writing: Mutex<Vec<Connection>>,
}

/// When a write becomes durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durable {
    /// Before the call returns.
    AtOnce,
    /// With the next append at the latest. If the machine fails earlier, the write is lost together with everything after
    /// it.
    Soon,
}

impl Readers {
    pub(super) fn new(file: PathBuf) -> Self {
        let (idle, writing) = (Mutex::default(), Mutex::default());
        Self { file, idle, permits: Semaphore::new(READERS), writing }
    }

    /// Runs a lookup of a few microseconds on the calling thread: switching threads would cost more.
    pub(super) fn quickly<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, LogError> {
        let mut connection = self.connection().map_err(|error| from_sqlite(&error))?;
        let result = read(&mut connection).map_err(|error| from_sqlite(&error));
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        result
    }

    /// Reads a page on a thread that may block.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        let _permit = self.permits.acquire().await.map_err(|error| LogError::Unavailable(error.to_string()))?;
        let readers = Arc::clone(self);
        let page = tokio::task::spawn_blocking(move || readers.quickly(read));
        page.await.map_err(|error| LogError::Unavailable(error.to_string()))?
    }

    /// Runs a write other than an append on a thread that may block.
    pub(super) async fn run_writing<T: Send + 'static>(
        self: &Arc<Self>,
        durable: Durable,
        write: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        let readers = Arc::clone(self);
        let written = tokio::task::spawn_blocking(move || {
            let mut connection = readers.writing_connection()?;
            let synchronous = if durable == Durable::AtOnce { "FULL" } else { "NORMAL" };
            connection.pragma_update(None, "synchronous", synchronous)?;
            let written = write(&mut connection);
            readers.writing.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            written
        });
        let written = written.await.map_err(|error| LogError::Unavailable(error.to_string()))?;
        written.map_err(|error| from_sqlite(&error))
    }

    fn writing_connection(&self) -> rusqlite::Result<Connection> {
        if let Some(connection) = self.writing.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(connection);
        }
        let connection = Connection::open(&self.file)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        Ok(connection)
    }

    fn connection(&self) -> rusqlite::Result<Connection> {
        if let Some(connection) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(connection);
        }
        let connection = Connection::open(&self.file)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "query_only", true)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIBIBYTES)?;
        Ok(connection)
    }
}

/// The head of the log.
pub(super) fn head(connection: &Connection) -> rusqlite::Result<Head> {
    let last = news(connection, None, 1)?.pop();
    Ok(last.map_or_else(|| Head::empty(PartitionId::PLATFORM), |(head, ..)| head))
}

/// The event at a known head and those after it, or without one the last event: each with the first offset of its
/// stream and its version.
pub(super) fn news(
    connection: &Connection,
    known: Option<Head>,
    limit: usize,
) -> rusqlite::Result<Vec<(Head, Offset, Version)>> {
    let mut select = match known {
        Some(_) => connection.prepare_cached(
            "SELECT offset, event_id, recorded_at, stream, version FROM events WHERE offset >= ?1 ORDER BY offset LIMIT ?2",
        )?,
        None => connection.prepare_cached(
            "SELECT offset, event_id, recorded_at, stream, version FROM events WHERE offset >= ?1
             ORDER BY offset DESC LIMIT min(?2, 1)",
        )?,
    };
    let from = known.map_or(0, |head| head.position.offset.0);
    let rows = select.query_map(params![bound(from), bound(limit as u64)], |row| {
        Ok((head_in(row)?, Offset(row.get(3)?), Version(row.get(4)?)))
    })?;
    rows.collect()
}

fn head_in(row: &Row<'_>) -> rusqlite::Result<Head> {
    let position = Position { partition: PartitionId::PLATFORM, offset: Offset(row.get(0)?) };
    Ok(Head { position, event_id: EventId(uuid(row, 1)?), recorded_at: timestamp(row, 2)? })
}

/// The state of a stream; `None` if it does not exist.
pub(super) fn stream_state(connection: &Connection, stream: &StreamId) -> rusqlite::Result<Option<StreamState>> {
    let mut select = connection.prepare_cached(
        "SELECT stream, last, version FROM streams JOIN ends ON stream = first WHERE organization = ?1 AND name = ?2",
    )?;
    let state = select.query_row(params![stream.organization.0.as_bytes(), stream.name.as_str()], |row| {
        Ok(StreamState { first: Offset(row.get(0)?), last: Offset(row.get(1)?), version: Version(row.get(2)?) })
    });
    state.optional()
}

/// The committed versions, in the requested order, in one snapshot.
pub(super) fn versions(connection: &Connection, streams: &[StreamId]) -> rusqlite::Result<Vec<Version>> {
    let snapshot = connection.unchecked_transaction()?;
    let version = |stream| Ok(stream_state(&snapshot, stream)?.map_or(Version::NONE, |state| state.version));
    streams.iter().map(version).collect()
}

/// Whether an organization exists.
pub(super) fn is_founded(connection: &Connection, organization: OrganizationId) -> rusqlite::Result<bool> {
    let mut select = connection.prepare_cached("SELECT 1 FROM registry WHERE organization = ?1")?;
    select.exists(params![organization.0.as_bytes()])
}

/// The current incarnation of the log.
pub(super) fn incarnation(connection: &Connection) -> rusqlite::Result<Incarnation> {
    let mut select = connection.prepare_cached("SELECT id FROM incarnations ORDER BY number DESC LIMIT 1")?;
    select.query_row([], |row| uuid(row, 0)).map(Incarnation)
}

/// The events above an offset.
pub(super) fn read_partition(
    connection: &Connection,
    after: Offset,
    limit: usize,
) -> rusqlite::Result<Vec<RecordedEvent>> {
    let mut select = connection.prepare_cached(&format!("{EVENT} WHERE offset > ?1 ORDER BY offset LIMIT ?2"))?;
    let mut rows = select.query(params![bound(after.0), bound(limit as u64)])?;
    let mut page = Page::for_events(limit);
    while !page.is_full()
        && let Some(row) = rows.next()?
    {
        let event = event(row, &mut page)?;
        page.push(event);
    }
    Ok(page.into_events())
}

/// The events at these offsets, in ascending order.
pub(super) fn read_at(connection: &Connection, offsets: &[Offset]) -> rusqlite::Result<Vec<RecordedEvent>> {
    let snapshot = connection.unchecked_transaction()?;
    let mut select = snapshot.prepare_cached(&format!("{EVENT} WHERE offset = ?1"))?;
    let mut page = Page::for_events(offsets.len());
    for offset in offsets.iter().collect::<BTreeSet<_>>() {
        let mut rows = select.query(params![bound(offset.0)])?;
        if page.is_full() {
            break;
        }
        if let Some(row) = rows.next()? {
            let event = event(row, &mut page)?;
            page.push(event);
        }
    }
    Ok(page.into_events())
}

/// The events of a stream above a version: finds the last of them through a mark and follows the chain backwards.
pub(super) fn read_stream(
    connection: &Connection,
    stream: &StreamId,
    after: Version,
    limit: usize,
) -> rusqlite::Result<Vec<RecordedEvent>> {
    let snapshot = connection.unchecked_transaction()?;
    let Some(state) = stream_state(&snapshot, stream)?.filter(|state| state.version > after) else {
        return Ok(Vec::new());
    };
    let until = state.version.0.min(after.0.saturating_add(limit as u64));
    let mut marked = snapshot
        .prepare_cached("SELECT offset FROM marks WHERE stream = ?1 AND version >= ?2 ORDER BY version LIMIT 1")?;
    let is_near = state.version.0 < until + MARK_EVERY;
    let mark =
        if is_near { None } else { marked.query_row(params![state.first.0, until], |row| row.get(0)).optional()? };

    let mut select = snapshot.prepare_cached(&format!("{EVENT} WHERE offset = ?1"))?;
    let mut chain = Vec::new();
    let mut link = mark.unwrap_or(state.last.0);
    let mut links = snapshot.prepare_cached("SELECT version, previous FROM events WHERE offset = ?1")?;
    while link > 0 {
        let (version, previous) = links.query_row(params![link], |row| Ok((row.get::<_, u64>(0)?, row.get(1)?)))?;
        if version <= after.0 {
            break;
        }
        if version <= until {
            chain.push(link);
        }
        link = previous;
    }
    let mut page = Page::for_events(chain.len());
    while !page.is_full()
        && let Some(offset) = chain.pop()
    {
        let event = select.query_row(params![offset], |row| event(row, &mut page))?;
        page.push(event);
    }
    Ok(page.into_events())
}

fn event(row: &Row<'_>, page: &mut Page) -> rusqlite::Result<RecordedEvent> {
    let position = Position { partition: PartitionId::PLATFORM, offset: Offset(row.get(0)?) };
    let name: &str = text(row, 5)?;
    Ok(RecordedEvent {
        position,
        version: Version(row.get(1)?),
        recorded_at: timestamp(row, 2)?,
        id: EventId(uuid(row, 3)?),
        stream: StreamId::new(OrganizationId(uuid(row, 4)?), name).map_err(|error| unreadable(5, error))?,
        event_type: page.event_type(text(row, 6)?).map_err(|error| unreadable(6, error))?,
        leaf_hash: LeafHash(row.get(7)?),
        data: page.copy(blob(row, 8)?),
        meta: page.copy(blob(row, 9)?),
    })
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<&'a str> {
    row.get_ref(column)?.as_str().map_err(|error| unreadable(column, error))
}

fn blob<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<&'a [u8]> {
    row.get_ref(column)?.as_blob().map_err(|error| unreadable(column, error))
}

pub(super) fn uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    row.get(column).map(Uuid::from_bytes)
}

/// A column of microseconds since 1970.
pub(super) fn timestamp(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(row.get(column)?).map_err(|error| unreadable(column, error))
}

/// A column of microseconds since 1970, or none.
pub(super) fn timestamp_if_any(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    match row.get::<_, Option<i64>>(column)? {
        None => Ok(None),
        Some(_) => timestamp(row, column).map(Some),
    }
}

/// The current time plus a delay, in microseconds since 1970.
pub(super) fn from_now(delay: Duration) -> i64 {
    let delay = i64::try_from(delay.as_micros()).unwrap_or(i64::MAX);
    Timestamp::now().as_microsecond().saturating_add(delay)
}

fn unreadable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, Box::new(error))
}

/// SQLite's integers have 63 bits for nonnegative numbers.
fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
