//! The writer thread: takes queued appends, validates them under SQLite's write lock and commits them in one
//! transaction.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use hashbrown::HashSet;

use jiff::Timestamp;
use porttask_runtime::log::{
    AppendError, Appended, LogError, Offset, PartitionId, Version,
    admission::{Admission, Known, Questions, Writes, WrittenEvent},
};
use porttask_runtime::supervise::{PanicLimit, Restart, supervise_thread};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use tokio::runtime::Handle;

use super::{error::from_sqlite, ledger, reader};
use crate::{
    log::{
        heads::Heads,
        memory::{MAX_STREAMS, Memory},
        queue::{Job, Waiting, answer_all},
    },
    write_back::WriteBack,
};

/// Interval of marks in a stream's chain, in versions.
pub(super) const MARK_EVERY: u64 = 64;

/// The WAL is checkpointed whenever it has grown by this many pages: 16 MiB.
const WRITTEN_BACK_PAGES: i32 = 2_048;

/// Maximum events of other processes to read in order to catch up; beyond that, the cache is cleared.
const MAX_NEWS: usize = 2_000;

pub(super) struct Writer {
    connection: Connection,
    heads: Arc<Heads>,
    memory: Memory,
    callers: Handle,
}

impl Writer {
    /// A writer whose callers live on the current runtime.
    pub(super) fn new(connection: Connection, heads: Arc<Heads>) -> Self {
        let memory = Memory::own(PartitionId::PLATFORM, MAX_STREAMS);
        Self { connection, heads, memory, callers: Handle::current() }
    }

    /// Starts the thread; it ends when the queue is closed and empty.
    pub(super) fn start(mut self, mut waiting: Waiting) -> Result<(), LogError> {
        let no_thread = |error: std::io::Error| LogError::Unavailable(format!("cannot start a log thread: {error}"));
        let beside = Connection::open(self.connection.path().unwrap_or_default());
        let beside = beside.map_err(|error| from_sqlite(&error))?;
        let mut write_back = WriteBack::start(&self.connection, beside, WRITTEN_BACK_PAGES).map_err(no_thread)?;
        let started = supervise_thread("log-writer", Restart::Fatal, move || {
            let mut panics = PanicLimit::default();
            while let Some(batch) = waiting.blocking_next_batch() {
                let written = catch_unwind(AssertUnwindSafe(|| {
                    self.write(batch, |size| waiting.blocking_more(size));
                    write_back.look(&self.connection);
                }));
                // The transaction was rolled back or committed; the callers are told that the outcome is unknown.
                if let Err(panic) = written {
                    self.memory.forget();
                    panics.note("the writer of the log", &*panic);
                }
            }
        });
        started.map(drop).map_err(no_thread)
    }

    /// Writes a batch, extended by `more` until there is none, and answers all its callers.
    fn write(&mut self, mut batch: Vec<Job>, more: impl FnMut(usize) -> Option<Vec<Job>>) {
        let written = self.write_batch(&mut batch, more);
        if written.is_err() {
            self.memory.forget();
        }
        match written {
            Ok(answers) => {
                self.heads.publish(PartitionId::PLATFORM, self.memory.head().position.offset);
                answer_all(&self.callers, batch, answers);
            }
            // An error caused by one append must not fail the others of its batch: retry each alone.
            Err(AppendError::Log(LogError::Damaged(_))) if batch.len() > 1 => {
                batch.into_iter().for_each(|job| self.write(vec![job], no_more));
            }
            Err(error) => {
                tracing::error!(%error, appends = batch.len(), "the log could not be written");
                batch.into_iter().for_each(|job| job.answer(Err(error.clone())));
            }
        }
    }

    /// One transaction, in portions: while one is validated and written, the next appends arrive.
    fn write_batch(
        &mut self,
        batch: &mut Vec<Job>,
        mut more: impl FnMut(usize) -> Option<Vec<Job>>,
    ) -> Result<Vec<Result<Appended, AppendError>>, AppendError> {
        let failed = |error: rusqlite::Error| AppendError::Log(from_sqlite(&error));
        let begun = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(failed)?;
        self.memory.trim();
        catch_up(&transaction, &mut self.memory).map_err(failed)?;
        let (mut answers, mut has_changes) = (Vec::with_capacity(batch.len()), false);
        loop {
            let portion = || batch.iter().skip(answers.len()).map(|job| &job.append);
            let known = learn(&transaction, &Questions::of(portion()), &mut self.memory).map_err(failed)?;
            let mut admission = Admission::new(PartitionId::PLATFORM, known);
            let admitted: Vec<_> = portion().map(|append| admission.admit(append)).collect();
            answers.extend(admitted);
            let writes = admission.into_writes();
            if !writes.is_empty() {
                record(&transaction, &writes).map_err(failed)?;
                self.memory.advance(&writes);
                has_changes = true;
            }
            match more(batch.len()) {
                Some(mut joined) => batch.append(&mut joined),
                None => break,
            }
        }
        if has_changes {
            transaction.commit().map_err(|error| at_commit(&error))?;
        }
        Ok(answers)
    }
}

/// For a batch that must not grow.
fn no_more(_size: usize) -> Option<Vec<Job>> {
    None
}

/// A commit that failed because the disk is full or the file is locked has written nothing. After any other disk error,
/// the batch may reappear when the file is next opened.
fn at_commit(error: &rusqlite::Error) -> AppendError {
    match from_sqlite(error) {
        full @ LogError::Full(_) => AppendError::Log(full),
        _ if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {
            AppendError::Log(LogError::Unavailable(error.to_string()))
        }
        failure => {
            tracing::error!(%failure, "the outcome of a commit is unknown");
            AppendError::OutcomeUnknown
        }
    }
}

/// Reads, under the write lock, what other processes have written.
fn catch_up(transaction: &Transaction<'_>, memory: &mut Memory) -> rusqlite::Result<()> {
    if !memory.catch_up(reader::news(transaction, memory.known_head(), MAX_NEWS)?.into_iter(), MAX_NEWS) {
        memory.forget();
        memory.catch_up(reader::news(transaction, None, MAX_NEWS)?.into_iter(), MAX_NEWS);
    }
    Ok(())
}

/// Reads the answers to the questions of a portion.
fn learn(transaction: &Transaction<'_>, questions: &Questions, memory: &mut Memory) -> rusqlite::Result<Known> {
    let mut known = Known::nothing(now(), vec![memory.head()]);
    known.streams.reserve(questions.streams.len());
    for stream in &questions.streams {
        let remembered = memory.state(stream);
        let state = if remembered.is_some() { remembered } else { reader::stream_state(transaction, stream)? };
        if let Some(state) = state {
            known.streams.insert(stream.clone(), state);
            if remembered.is_none() {
                memory.learn([(stream.clone(), state)].into_iter());
            }
        }
    }
    for key in &questions.claims {
        let mut owner = transaction
            .prepare_cached("SELECT owner FROM claims WHERE organization = ?1 AND kind = ?2 AND hash = ?3")?;
        let found = owner.query_row(params![key.organization.0.as_bytes(), key.kind, key.hash], |row| row.get(0));
        known.claims.extend(found.optional()?.map(|owner| (key.clone(), owner)));
    }
    for key in &questions.counters {
        let mut value =
            transaction.prepare_cached("SELECT value FROM counters WHERE organization = ?1 AND name = ?2")?;
        let found = value.query_row(params![key.organization.0.as_bytes(), key.name], |row| row.get(0));
        known.counters.extend(found.optional()?.map(|value| (key.clone(), value)));
    }
    for key in &questions.idempotency_keys {
        known
            .idempotency_keys
            .extend(ledger::idempotency_record(transaction, key)?.map(|record| (key.clone(), record)));
    }
    for key in &questions.person_keys {
        if ledger::person_key(transaction, key)?.is_some() {
            known.person_keys.insert(*key);
        }
    }
    for organization in &questions.creations {
        if reader::is_founded(transaction, *organization)? {
            known.founded.insert(*organization);
        }
    }
    Ok(known)
}

/// The clock in microseconds, as it is stored.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// Writes what the batch changes.
fn record(transaction: &Transaction<'_>, writes: &Writes) -> rusqlite::Result<()> {
    record_events(transaction, writes)?;
    record_streams(transaction, &writes.events)?;
    for (key, owner) in &writes.claims {
        let organization = key.organization.0.as_bytes();
        match owner {
            Some(owner) => transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO claims (organization, kind, hash, owner) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![organization, key.kind, key.hash, owner])?,
            None => transaction
                .prepare_cached("DELETE FROM claims WHERE organization = ?1 AND kind = ?2 AND hash = ?3")?
                .execute(params![organization, key.kind, key.hash])?,
        };
    }
    for (key, value) in &writes.counters {
        transaction
            .prepare_cached("INSERT OR REPLACE INTO counters (organization, name, value) VALUES (?1, ?2, ?3)")?
            .execute(params![key.organization.0.as_bytes(), key.name, value])?;
    }
    for (key, record) in &writes.idempotency_keys {
        let mut insert = transaction.prepare_cached(
            "INSERT OR REPLACE INTO ledger_idempotency_keys
             (organization, scope, key, request_hash, offset, recorded_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        insert.execute(params![
            key.organization.0.as_bytes(),
            key.scope,
            key.key,
            record.request_hash,
            record.position.offset.0,
            record.recorded_at.as_microsecond(),
            record.expires_at.as_microsecond(),
        ])?;
    }
    for (key, wrapped) in &writes.person_keys {
        ledger::add_person_key(transaction, key, wrapped)?;
    }
    for (id, hash) in &writes.secrets {
        ledger::put_secret(transaction, id, hash)?;
    }
    for organization in &writes.founded {
        transaction
            .prepare_cached("INSERT INTO registry (organization) VALUES (?1)")?
            .execute(params![organization.0.as_bytes()])?;
    }
    Ok(())
}

fn record_events(transaction: &Transaction<'_>, writes: &Writes) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO events (offset, stream, previous, version, recorded_at, event_id, organization, stream_name,
         type, leaf_hash, data, meta) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    let mut mark = transaction.prepare_cached("INSERT INTO marks (stream, version, offset) VALUES (?1, ?2, ?3)")?;
    for written in &writes.events {
        let event = &written.event;
        let Version(version) = event.version;
        insert.execute(params![
            event.position.offset.0,
            written.first.0,
            written.previous.0,
            version,
            event.recorded_at.as_microsecond(),
            event.id.0.as_bytes(),
            event.stream.organization.0.as_bytes(),
            event.stream.name.as_str(),
            event.event_type.as_str(),
            event.leaf_hash.0,
            &event.data[..],
            &event.meta[..],
        ])?;
        if version.is_multiple_of(MARK_EVERY) {
            mark.execute(params![written.first.0, version, event.position.offset.0])?;
        }
    }
    Ok(())
}

/// Creates new streams and advances each stream to its last event in the portion.
fn record_streams(transaction: &Transaction<'_>, events: &[WrittenEvent]) -> rusqlite::Result<()> {
    let mut begin =
        transaction.prepare_cached("INSERT INTO streams (organization, name, first) VALUES (?1, ?2, ?3)")?;
    let mut end = transaction.prepare_cached("INSERT INTO ends (stream, last, version) VALUES (?1, ?2, ?3)")?;
    let mut advance = transaction.prepare_cached("UPDATE ends SET last = ?2, version = ?3 WHERE stream = ?1")?;
    let begun = events.first().map_or(Offset::START, |written| written.event.position.offset);
    let mut done = HashSet::with_capacity(events.len());
    for WrittenEvent { event, first, .. } in events.iter().rev() {
        if !done.insert(first.0) {
            continue;
        }
        let (last, version) = (event.position.offset.0, event.version.0);
        if *first < begun {
            advance.execute(params![first.0, last, version])?;
        } else {
            let (organization, name) = (event.stream.organization.0.as_bytes(), event.stream.name.as_str());
            begin.execute(params![organization, name, first.0])?;
            end.execute(params![first.0, last, version])?;
        }
    }
    Ok(())
}
