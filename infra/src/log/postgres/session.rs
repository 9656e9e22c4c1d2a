//! One connection for appends and the two round trips of a batch: lock and read, then write and commit.
//!
//! Statements are pipelined. The lock is a separate statement, and what admission needs is read by later ones: a single
//! statement that locks and reads would see the state from before its wait.

use std::{pin::pin, sync::atomic::Ordering};

use bytes::Bytes;
use futures_util::future::{OptionFuture, join, join_all};
use jiff::Timestamp;
use porttask_runtime::log::{
    EventId, Head, LogError, Offset, OrganizationId, PartitionId, Position, Version,
    admission::{Known, Questions, Writes},
};
use tokio_postgres::{
    CopyInSink, Error, Row, Statement,
    binary_copy::BinaryCopyInWriter,
    types::{ToSql, Type},
};

use super::{
    connect::{AppendConnection, Connector},
    error::from_postgres,
    questions::PartitionQuestions,
    rows,
    writes::{WRITES, arrays},
};
use crate::log::memory::Memory;

/// Maximum events of other nodes to read in order to catch up; beyond that, the cache is cleared.
const MAX_NEWS: i64 = 2_000;

const COPY_TYPES: [Type; 12] = [
    Type::INT4,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::TIMESTAMPTZ,
    Type::UUID,
    Type::UUID,
    Type::TEXT,
    Type::TEXT,
    Type::BYTEA,
    Type::BYTEA,
    Type::BYTEA,
];

/// A connection with its prepared statements.
pub(super) struct Session {
    connection: AppendConnection,
    begin: Statement,
    lock: Statement,
    news: Statement,
    head: Statement,
    streams: Statement,
    claims: Statement,
    counters: Statement,
    idempotency_keys: Statement,
    person_keys: Statement,
    founded: Statement,
    copy: Statement,
    commit: Statement,
    rollback: Statement,
    writes: Vec<Statement>,
}

/// A batch whose partitions are locked, with what was read under the locks.
pub(super) struct Locked {
    pub(super) known: Known,
    /// The `COPY` started in the first round trip, which receives the events in the second.
    copy: CopyInSink<Bytes>,
}

/// Why a batch could not be locked and read. Nothing was written.
pub(super) enum NotLocked {
    Failed(LogError),
    /// The cache is too old or of another log: it must be cleared.
    Outdated,
}

/// Why a batch is not known to be written.
pub(super) enum NotCommitted {
    /// It was not written.
    Failed(LogError),
    /// It may have been written.
    InDoubt(LogError),
    /// It was written, but not confirmed by the required replicas.
    Unreplicated,
}

impl From<Error> for NotLocked {
    fn from(error: Error) -> Self {
        Self::Failed(from_postgres(&error))
    }
}

impl Session {
    pub(super) async fn open(connector: &Connector) -> Result<Self, LogError> {
        let connection = connector.appending().await?;
        let prepared = join_all(STATEMENTS.iter().chain(&WRITES).map(|sql| connection.client.prepare(sql))).await;
        let prepared: Result<Vec<Statement>, Error> = prepared.into_iter().collect();
        let mut prepared = prepared.map_err(|error| from_postgres(&error))?;
        let writes = prepared.split_off(STATEMENTS.len());
        let prepared: [Statement; STATEMENTS.len()] =
            prepared.try_into().map_err(|_| LogError::Unavailable("a prepared statement is missing".to_owned()))?;
        let [
            begin,
            lock,
            news,
            head,
            streams,
            claims,
            counters,
            idempotency_keys,
            person_keys,
            founded,
            copy,
            commit,
            rollback,
        ] = prepared;
        Ok(Self {
            connection,
            begin,
            lock,
            news,
            head,
            streams,
            claims,
            counters,
            idempotency_keys,
            person_keys,
            founded,
            copy,
            commit,
            rollback,
            writes,
        })
    }

    /// The PID of this session's server process.
    pub(super) fn backend(&self) -> i32 {
        self.connection.backend
    }

    /// Whether the connection was lost.
    pub(super) fn is_closed(&self) -> bool {
        self.connection.client.is_closed()
    }

    /// First round trip: begins a transaction, locks the partitions of `memories`, which are in ascending order, and
    /// reads the answers to the batch's questions.
    pub(super) async fn lock(&self, memories: &mut [&mut Memory], questions: &Questions) -> Result<Locked, NotLocked> {
        memories.iter_mut().for_each(|memory| memory.trim());
        let asked: Vec<PartitionQuestions<'_>> =
            memories.iter().map(|memory| PartitionQuestions::new(questions, memory)).collect();
        let (first, second) = (asked.first(), asked.get(1));
        let learn = join(
            OptionFuture::from(first.map(|it| self.learn(it))),
            OptionFuture::from(second.map(|it| self.learn(it))),
        );
        let client = &self.connection.client;
        let begin_and_learn = join(client.execute(&self.begin, &[]), learn);
        let ((begun, (first, second)), copy) = join(begin_and_learn, client.copy_in(&self.copy)).await;
        begun?;
        let answers: Result<Vec<Answers>, Error> = [first, second].into_iter().flatten().collect();
        let answers = answers?;
        let copy = copy?;

        let mut known = Known::nothing(Timestamp::UNIX_EPOCH, Vec::new());
        for (answers, memory) in answers.into_iter().zip(memories) {
            known.now = known.now.max(now(&answers.news));
            if !memory.catch_up(answers.news.iter().filter_map(news), MAX_NEWS as usize) {
                return Err(NotLocked::Outdated);
            }
            memory.learn(answers.streams.iter().filter_map(rows::stream));
            known.heads.push(memory.head());
            known.claims.extend(answers.claims.iter().filter_map(rows::claim));
            known.counters.extend(answers.counters.iter().map(rows::counter));
            known.idempotency_keys.extend(
                answers.idempotency_keys.iter().filter_map(|row| rows::idempotency_key(row, memory.partition())),
            );
            known.person_keys.extend(answers.person_keys.iter().filter_map(rows::person_key));
            known.founded.extend(answers.founded.iter().map(|row| OrganizationId(row.get(0))));
            known.streams.extend(memory.known(&questions.streams));
        }
        Ok(Locked { known, copy })
    }

    async fn learn(&self, asked: &PartitionQuestions<'_>) -> Result<Answers, Error> {
        let client = &self.connection.client;
        let partition = &asked.partition;
        let head = asked.head.filter(|head| head.position.offset > Offset::START);
        let known_offset = head.map(|head| head.position.offset.0 as i64);
        let this = [partition as &(dyn ToSql + Sync)];
        let lock = client.query_one(&self.lock, &this);
        let news = async {
            match &known_offset {
                Some(offset) => client.query(&self.news, &[partition, offset, &MAX_NEWS]).await,
                None => client.query(&self.head, &[partition]).await,
            }
        };
        let streams = [partition as &(dyn ToSql + Sync), &asked.streams.0, &asked.streams.1];
        let claims = [partition as &(dyn ToSql + Sync), &asked.claims.0, &asked.claims.1, &asked.claims.2];
        let counters = [partition as &(dyn ToSql + Sync), &asked.counters.0, &asked.counters.1];
        let idempotency_keys = [
            partition as &(dyn ToSql + Sync),
            &asked.idempotency_keys.0,
            &asked.idempotency_keys.1,
            &asked.idempotency_keys.2,
        ];
        let keys = &asked.person_keys;
        let person_keys = [partition as &(dyn ToSql + Sync), &keys.0, &keys.1, &keys.2];
        let creations = [&asked.creations as &(dyn ToSql + Sync)];
        let query = |statement, parameters, is_asked: bool| {
            OptionFuture::from(is_asked.then(|| client.query(statement, parameters)))
        };
        let looked_up = join_all([
            query(&self.streams, &streams[..], !asked.streams.0.is_empty()),
            query(&self.claims, &claims[..], !asked.claims.0.is_empty()),
            query(&self.counters, &counters[..], !asked.counters.0.is_empty()),
            query(&self.idempotency_keys, &idempotency_keys[..], !asked.idempotency_keys.0.is_empty()),
            query(&self.person_keys, &person_keys[..], !keys.0.is_empty()),
            query(&self.founded, &creations[..], !asked.creations.is_empty()),
        ]);
        let ((lock, news), mut looked_up) = join(join(lock, news), looked_up).await;
        lock?;
        let mut next = || looked_up.remove(0).unwrap_or_else(|| Ok(Vec::new()));
        Ok(Answers {
            news: news?,
            streams: next()?,
            claims: next()?,
            counters: next()?,
            idempotency_keys: next()?,
            person_keys: next()?,
            founded: next()?,
        })
    }

    /// Rolls back a transaction in which nothing is to be written.
    pub(super) async fn leave(&self, locked_copy: CopyInSink<Bytes>) -> Result<(), LogError> {
        drop(locked_copy);
        self.connection.client.execute(&self.rollback, &[]).await.map(drop).map_err(|error| from_postgres(&error))
    }

    /// Second round trip: writes and commits.
    pub(super) async fn commit(
        &self,
        copy: CopyInSink<Bytes>,
        writes: &Writes,
        partition: PartitionId,
    ) -> Result<(), NotCommitted> {
        let client = &self.connection.client;
        let written = arrays(writes, partition);
        let executions = self.writes.iter().zip(&written).filter_map(|(statement, columns)| {
            let columns = columns.as_ref()?;
            Some(async move {
                let parameters: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|it| &**it as _).collect();
                client.execute(statement, &parameters).await
            })
        });
        let writing = join(copy_events(copy, writes), join_all(executions));
        let ((copied, executed), committed) = join(writing, client.execute(&self.commit, &[])).await;

        for result in std::iter::once(copied).chain(executed) {
            // After an error from the server nothing is committed; after a broken connection it may be.
            result.map_err(|error| match error.as_db_error() {
                Some(_) => NotCommitted::Failed(from_postgres(&error)),
                None => NotCommitted::InDoubt(from_postgres(&error)),
            })?;
        }
        committed.map_err(|error| NotCommitted::InDoubt(from_postgres(&error)))?;
        if self.connection.is_unreplicated.swap(false, Ordering::AcqRel) {
            return Err(NotCommitted::Unreplicated);
        }
        Ok(())
    }

    /// Whether `event` is recorded at `position`, read under the lock of its partition, so that a commit still in
    /// progress has ended.
    pub(super) async fn is_recorded(&self, position: Position, event: EventId) -> Result<bool, LogError> {
        let failed = |error: Error| from_postgres(&error);
        let client = &self.connection.client;
        let (partition, offset) = (i32::from(position.partition.0), position.offset.0 as i64);
        client.execute(&self.begin, &[]).await.map_err(failed)?;
        client.query_one(&self.lock, &[&partition]).await.map_err(failed)?;
        let found = client.query(&self.news, &[&partition, &offset, &1_i64]).await.map_err(failed)?;
        client.execute(&self.rollback, &[]).await.map_err(failed)?;
        Ok(found
            .iter()
            .filter_map(news)
            .any(|(head, ..)| head.position.offset == position.offset && head.event_id == event))
    }
}

impl Locked {
    /// The answers, and the `COPY` that awaits the events.
    pub(super) fn into_parts(self) -> (Known, CopyInSink<Bytes>) {
        (self.known, self.copy)
    }
}

/// In the order of the fields of [`Session`]. One lookup per key, each with its own `LIMIT`: a plain join may be
/// planned as a full scan.
const STATEMENTS: [&str; 13] = [
    "BEGIN ISOLATION LEVEL READ COMMITTED",
    "SELECT partition FROM log.heads WHERE partition = $1 FOR UPDATE",
    "SELECT clock_timestamp(), partition, \"offset\", event_id, recorded_at, stream, version
     FROM log.events WHERE partition = $1 AND \"offset\" >= $2 ORDER BY \"offset\" LIMIT $3",
    "SELECT clock_timestamp(), partition, \"offset\", event_id, recorded_at, stream, version
     FROM (SELECT) AS always LEFT JOIN LATERAL (
         SELECT * FROM log.events WHERE partition = $1 ORDER BY \"offset\" DESC LIMIT 1
     ) AS head ON true",
    "SELECT stream.organization, stream.name, stream.first, last.\"offset\", last.version
     FROM unnest($2::uuid[], $3::text[]) AS asked (organization, name)
     CROSS JOIN LATERAL (
         SELECT * FROM log.streams
         WHERE partition = $1 AND organization = asked.organization AND name = asked.name LIMIT 1
     ) AS stream
     CROSS JOIN LATERAL (
         SELECT version, \"offset\" FROM log.events WHERE partition = $1 AND events.stream = stream.first
         ORDER BY version DESC LIMIT 1
     ) AS last",
    "SELECT claim.organization, claim.kind, claim.hash, claim.owner
     FROM unnest($2::uuid[], $3::text[], $4::bytea[]) AS asked (organization, kind, hash)
     CROSS JOIN LATERAL (
         SELECT * FROM log.claims
         WHERE partition = $1 AND organization = asked.organization AND kind = asked.kind AND hash = asked.hash LIMIT 1
     ) AS claim",
    "SELECT counter.organization, counter.name, counter.value
     FROM unnest($2::uuid[], $3::text[]) AS asked (organization, name)
     CROSS JOIN LATERAL (
         SELECT * FROM log.counters
         WHERE partition = $1 AND organization = asked.organization AND name = asked.name LIMIT 1
     ) AS counter",
    "SELECT record.organization, record.scope, record.key, record.request_hash, record.\"offset\", record.recorded_at,
     record.expires_at
     FROM unnest($2::uuid[], $3::text[], $4::text[]) AS asked (organization, scope, key)
     CROSS JOIN LATERAL (
         SELECT * FROM ledger.idempotency_keys
         WHERE partition = $1 AND organization = asked.organization AND scope = asked.scope AND key = asked.key LIMIT 1
     ) AS record",
    "SELECT key.organization, key.person, key.sealing
     FROM unnest($2::uuid[], $3::uuid[], $4::text[]) AS asked (organization, person, sealing)
     CROSS JOIN LATERAL (
         SELECT * FROM ledger.person_keys WHERE partition = $1 AND organization = asked.organization
         AND person = asked.person AND sealing = asked.sealing LIMIT 1
     ) AS key",
    "SELECT organization FROM log.registry WHERE organization = ANY($1)",
    "COPY log.events (partition, \"offset\", stream, version, recorded_at, event_id, organization, stream_name, type,
     leaf_hash, data, meta) FROM STDIN (FORMAT binary)",
    "COMMIT",
    "ROLLBACK",
];

/// What was read under the lock of one partition.
struct Answers {
    news: Vec<Row>,
    streams: Vec<Row>,
    claims: Vec<Row>,
    counters: Vec<Row>,
    idempotency_keys: Vec<Row>,
    person_keys: Vec<Row>,
    founded: Vec<Row>,
}

/// The database's clock, which comes with the head; without a row, the cache is outdated.
fn now(news: &[Row]) -> Timestamp {
    news.first().map_or(Timestamp::UNIX_EPOCH, |row| row.get(0))
}

/// An event of another node: its position, the first offset of its stream, and its version.
fn news(row: &Row) -> Option<(Head, Offset, Version)> {
    let partition: i32 = row.get::<_, Option<i32>>(1)?;
    let position = Position { partition: PartitionId(partition as u16), offset: rows::offset(row, 2) };
    let head = Head { position, event_id: EventId(row.get(3)), recorded_at: row.get(4) };
    Some((head, rows::offset(row, 5), Version(row.get::<_, i64>(6) as u64)))
}

async fn copy_events(sink: CopyInSink<Bytes>, writes: &Writes) -> Result<u64, Error> {
    let mut copy = pin!(BinaryCopyInWriter::new(sink, &COPY_TYPES));
    for written in &writes.events {
        let event = &written.event;
        let row: [&(dyn ToSql + Sync); 12] = [
            &i32::from(event.position.partition.0),
            &(event.position.offset.0 as i64),
            &(written.first.0 as i64),
            &(event.version.0 as i64),
            &event.recorded_at,
            &event.id.0,
            &event.stream.organization.0,
            &event.stream.name.as_str(),
            &event.event_type.as_str(),
            &&event.leaf_hash.0[..],
            &&event.data[..],
            &&event.meta[..],
        ];
        copy.as_mut().write(&row).await?;
    }
    copy.finish().await
}
