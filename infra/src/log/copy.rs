//! Copies an embedded log with its ledger to an empty PostgreSQL database, in one transaction.
//!
//! | file | what it owns |
//! |---|---|
//! | `copy.rs` | which tables and columns are copied, and the order of the steps |
//! | `sqlite/copy.rs` | locking and reading the source |
//! | `postgres/copy.rs` | checking and writing the target |

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use porttask_runtime::log::{Head, Incarnation, LeafHash, LogError, Offset};
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use tokio::{sync::mpsc, task::spawn_blocking};
use uuid::Uuid;

use super::{postgres::copy as target, sqlite::copy as source};

/// Rows that are read at once.
const BATCH: usize = 500;

/// Reports the progress of a step: its name, what is done, and how much there is to do.
pub type Report<'a> = &'a (dyn Fn(&str, u64, u64) + Sync);

/// A table of both engines. Columns have the same names in both.
pub(super) struct Table {
    /// Its name in SQLite.
    pub(super) source: &'static str,
    /// What is read, if that is more than the table itself.
    pub(super) joined: Option<&'static str>,
    /// Its name in PostgreSQL.
    pub(super) target: &'static str,
    /// Whether rows have a partition in PostgreSQL. The embedded log has partition 0 only.
    pub(super) has_partition: bool,
    pub(super) columns: &'static [(&'static str, Kind)],
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Id,
    Text,
    Bytes,
    /// With 32 bits in PostgreSQL.
    Small,
    Number,
    Flag,
    Time,
}

/// A value of a column.
#[derive(Debug)]
pub(super) enum Value {
    Null,
    Id(Uuid),
    Text(String),
    Bytes(Vec<u8>),
    Small(i32),
    Number(i64),
    Flag(bool),
    Time(Timestamp),
}

pub(super) type Row = Vec<Value>;

use Kind::{Bytes, Flag, Id, Number, Small, Text, Time};

const fn table(
    source: &'static str,
    target: &'static str,
    has_partition: bool,
    columns: &'static [(&'static str, Kind)],
) -> Table {
    Table { source, joined: None, target, has_partition, columns }
}

pub(super) static TABLES: [Table; 19] = [
    table(
        "events",
        "log.events",
        true,
        &[
            ("offset", Number),
            ("stream", Number),
            ("version", Number),
            ("recorded_at", Time),
            ("event_id", Id),
            ("organization", Id),
            ("stream_name", Text),
            ("type", Text),
            ("leaf_hash", Bytes),
            ("data", Bytes),
            ("meta", Bytes),
        ],
    ),
    table("streams", "log.streams", true, &[("organization", Id), ("name", Text), ("first", Number)]),
    table("registry", "log.registry", true, &[("organization", Id)]),
    table("claims", "log.claims", true, &[("organization", Id), ("kind", Text), ("hash", Bytes), ("owner", Text)]),
    table("counters", "log.counters", true, &[("organization", Id), ("name", Text), ("value", Number)]),
    table("incarnations", "log.incarnations", false, &[("number", Number), ("id", Id)]),
    table(
        "ledger_idempotency_keys",
        "ledger.idempotency_keys",
        true,
        &[
            ("organization", Id),
            ("scope", Text),
            ("key", Text),
            ("request_hash", Bytes),
            ("offset", Number),
            ("recorded_at", Time),
            ("expires_at", Time),
        ],
    ),
    table(
        "ledger_person_keys",
        "ledger.person_keys",
        true,
        &[("organization", Id), ("person", Id), ("sealing", Text), ("wrapped", Bytes)],
    ),
    table("ledger_purpose_keys", "ledger.purpose_keys", false, &[("purpose", Text), ("wrapped", Bytes)]),
    table(
        "ledger_secrets",
        "ledger.secrets",
        true,
        &[("organization", Id), ("owner", Id), ("kind", Text), ("hash", Bytes), ("recorded_at", Time)],
    ),
    table(
        "ledger_cursors",
        "ledger.cursors",
        true,
        &[("reactor", Text), ("incarnation", Id), ("offset", Number), ("event_id", Id)],
    ),
    table(
        "ledger_tasks",
        "ledger.tasks",
        true,
        &[
            ("rank", Number),
            ("id", Id),
            ("reactor", Text),
            ("organization", Id),
            ("kind", Text),
            ("subject", Id),
            ("number", Number),
            ("target", Id),
            ("state", Text),
            ("due_at", Time),
            ("leased_until", Time),
            ("holder", Text),
            ("holder_run", Id),
            ("attempts", Small),
            ("epoch", Number),
            ("last_error", Text),
        ],
    ),
    table(
        "ledger_jobs",
        "ledger.jobs",
        true,
        &[
            ("organization", Id),
            ("id", Id),
            ("kind", Text),
            ("actor", Text),
            ("is_dry_run", Flag),
            ("request_hash", Bytes),
            ("state", Text),
            ("done", Number),
            ("total", Number),
            ("counts", Text),
            ("created_at", Time),
            ("started_at", Time),
            ("finished_at", Time),
            ("due_at", Time),
            ("leased_until", Time),
            ("holder", Text),
            ("holder_run", Id),
            ("attempts", Small),
            ("epoch", Number),
            ("failure", Text),
        ],
    ),
    Table {
        // The organization of a payload is that of its job.
        joined: Some("ledger_job_payloads JOIN ledger_jobs ON ledger_jobs.id = job"),
        ..table(
            "ledger_job_payloads",
            "ledger.job_payloads",
            true,
            &[("organization", Id), ("job", Id), ("what", Text), ("bytes", Bytes)],
        )
    },
    table(
        "ledger_credential_activity",
        "ledger.credential_activity",
        true,
        &[
            ("organization", Id),
            ("owner", Id),
            ("kind", Text),
            ("used_at", Time),
            ("home", Id),
            ("person", Id),
            ("trace", Bytes),
        ],
    ),
    table(
        "ledger_timer_failures",
        "ledger.timer_failures",
        true,
        &[
            ("organization", Id),
            ("subject", Id),
            ("kind", Text),
            ("due_at", Time),
            ("attempts", Small),
            ("retry_at", Time),
            ("error", Text),
        ],
    ),
    table(
        "ledger_attempts",
        "ledger.attempts",
        false,
        &[
            ("counter", Id),
            ("failures", Number),
            ("since", Time),
            ("last", Time),
            ("unlocks", Number),
            ("expires_at", Time),
        ],
    ),
    table(
        "ledger_usage_counts",
        "ledger.usage_counts",
        false,
        &[
            ("organization", Id),
            ("day", Text),
            ("run", Id),
            ("key", Id),
            ("count", Number),
            ("recorded", Number),
            ("taken", Number),
            ("taken_for", Text),
            ("is_open", Flag),
        ],
    ),
    table(
        "ledger_simulated_payments",
        "ledger.simulated_payments",
        false,
        &[
            ("id", Id),
            ("refund_of", Id),
            ("amount", Number),
            ("currency", Text),
            ("token", Text),
            ("state", Text),
            ("requests", Number),
        ],
    ),
];

/// Tables of SQLite that are not copied row by row: the ends and marks of streams follow from the events, leases and nodes end
/// with the processes that held them, and the clock is one row that the target already has.
pub(super) const NOT_COPIED: [&str; 6] =
    ["ends", "marks", "ledger_leases", "ledger_nodes", "ledger_clock", "refinery_schema_history"];
/// Columns of SQLite that follow from others.
pub(super) const DERIVED: [(&str, &str); 1] = [("events", "previous")];

/// The number of events, and SHA-256 over all leaf hashes in the order of the log.
#[derive(Default)]
pub(super) struct EventDigest {
    pub(super) count: u64,
    hasher: Sha256,
}

impl EventDigest {
    pub(super) fn add(&mut self, leaf_hash: &[u8]) {
        self.count += 1;
        self.hasher.update(leaf_hash);
    }

    pub(super) fn finish(self) -> (u64, LeafHash) {
        (self.count, LeafHash(self.hasher.finalize().into()))
    }
}

/// An embedded log that no other process can open until this value is dropped.
pub struct Source {
    directory: PathBuf,
    connection: Connection,
}

/// What was copied.
#[derive(Debug)]
pub struct Copied {
    /// The head of the log.
    pub head: Head,
    /// The number of events.
    pub events: u64,
    /// SHA-256 over the leaf hashes of all events, in their order.
    pub digest: LeafHash,
    /// The incarnation that the copy begins.
    pub incarnation: Incarnation,
    /// The number of rows of each table, by its name in PostgreSQL.
    pub rows: Vec<(&'static str, u64)>,
}

impl Source {
    /// Locks an existing log.
    ///
    /// # Errors
    /// If another process uses it, or it cannot be opened; the message says what to do.
    pub async fn lock(directory: &Path) -> Result<Self, LogError> {
        let directory = directory.to_owned();
        blocking(move || Ok(Self { connection: source::lock(&directory)?, directory })).await
    }

    /// The service's own keys, by purpose: wrapped by a master key, which the copy needs as well.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn purpose_keys(&self) -> Result<Vec<(String, Vec<u8>)>, LogError> {
        source::purpose_keys(&self.connection)
    }

    /// Copies the log to an empty database: everything is written in one transaction, and read back before it is
    /// committed. The source is not changed.
    ///
    /// # Errors
    /// If the source is damaged, the database is not empty, or one of them fails; then nothing was copied.
    pub async fn copy_to_postgres(self, url: &str, report: Report<'_>) -> Result<Copied, LogError> {
        // Checked first: it takes no time.
        let mut target = target::Target::open(url).await?;
        let (mut source, head, events, digest) = self.verify(report).await?;
        target.prepare().await?;
        let writing = target.begin().await?;
        let mut rows = Vec::with_capacity(TABLES.len());
        for table in &TABLES {
            let written;
            (source, written) = source.copy(table, &writing, report).await?;
            rows.push((table.target, written));
        }
        writing.put_clock(source::clock(&source.connection)?).await?;
        let incarnation = writing.adjust(source::incarnation(&source.connection)?).await?;
        let read_back = writing.digest(events, report).await?;
        if read_back != (events, digest) {
            return Err(LogError::Unavailable(
                "the events read back from the database differ from the log: nothing was copied".to_owned(),
            ));
        }
        writing.commit().await?;
        Ok(Copied { head, events, digest, incarnation, rows })
    }

    /// Reads every event, so that no damage is copied.
    async fn verify(self, report: Report<'_>) -> Result<(Self, Head, u64, LeafHash), LogError> {
        let (mut source, mut reached) = (self, Offset::START);
        let mut digest = EventDigest::default();
        let head = source::head(&source.connection)?;
        let end = head.position.offset;
        while reached < end {
            (source, reached, digest) = blocking(move || {
                let reached = source::verify(&source.connection, reached, &mut digest)?;
                Ok((source, reached, digest))
            })
            .await?;
            report("verified events", reached.0, end.0);
        }
        let (events, digest) = digest.finish();
        Ok((source, head, events, digest))
    }

    /// Copies a table; also returns its number of rows.
    async fn copy(
        self,
        table: &'static Table,
        writing: &target::Writing<'_>,
        report: Report<'_>,
    ) -> Result<(Self, u64), LogError> {
        let total = source::count(&self.connection, table)?;
        let (sender, mut batches) = mpsc::channel::<Vec<Row>>(2);
        let reading = spawn_blocking(move || {
            let read = source::read(&self.connection, table, BATCH, |rows| sender.blocking_send(rows).is_ok());
            (self, read)
        });
        let written = writing.copy(table, &mut batches, |done| report(table.target, done, total)).await;
        // Ends the reader if writing has failed.
        drop(batches);
        let (source, read) = reading.await.map_err(|error| LogError::Unavailable(error.to_string()))?;
        let written = written?;
        read?;
        if written != total {
            return Err(LogError::Damaged(format!(
                "{written} of {total} rows of {} in {} can be copied: nothing was copied",
                table.source,
                source.directory.display()
            )));
        }
        Ok((source, written))
    }
}

async fn blocking<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    spawn_blocking(run).await.map_err(|error| LogError::Unavailable(error.to_string()))?
}
