//! Reading the log, on pooled connections separate from the writers.

use std::{collections::BTreeSet, pin::pin};

use deadpool_postgres::{Object, Pool, PoolError};
use futures_util::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use porttask_runtime::{
    credential_activity::ActivityRecord,
    ledger::StoredKey,
    log::{
        ClaimKey, CounterKey, EventId, Head, Incarnation, LeafHash, LogError, Offset, OrganizationId, PartitionId,
        PersonKeyId, Position, RecordedEvent, SecretId, StreamId, Version,
        admission::{IdempotencyRecord, IdempotencyRecordKey},
    },
};
use tokio_postgres::{Error, GenericClient, Row, types::ToSql};
use uuid::Uuid;

use super::{
    clock,
    connect::{Connector, PLAN_SETTINGS},
    credential_activity,
    error::from_postgres,
    pool::pool,
    rows,
};
use crate::log::page::Page;

/// More connections make reads slower, not faster.
const CONNECTIONS: usize = 16;
const LAZY_CONNECTIONS: usize = 4;

const PARTITION: &str = "SELECT partition, \"offset\", version, recorded_at, event_id, organization, stream_name, type, \
    leaf_hash, data, meta FROM log.events WHERE partition = $1 AND \"offset\" > $2 ORDER BY \"offset\" LIMIT $3";
// One lookup per offset, in the requested order: a list of offsets would be planned as a scan of the partition.
const AT: &str =
    "SELECT found.partition, found.\"offset\", version, recorded_at, event_id, organization, stream_name, type, \
    leaf_hash, data, meta FROM unnest($2::int8[]) AS asked (\"offset\") CROSS JOIN LATERAL (
        SELECT * FROM log.events WHERE partition = $1 AND events.\"offset\" = asked.\"offset\" LIMIT 1
    ) AS found";
const STREAM: &str = "SELECT partition, \"offset\", version, recorded_at, event_id, organization, stream_name, type, \
    leaf_hash, data, meta FROM log.events WHERE partition = $1 AND stream = (
        SELECT first FROM log.streams WHERE partition = $1 AND organization = $2 AND name = $3
    ) AND version > $4 ORDER BY version LIMIT $5";
const VERSIONS: &str = "SELECT coalesce(last.version, 0)
    FROM unnest($1::int4[], $2::uuid[], $3::text[]) WITH ORDINALITY AS asked (partition, organization, name, number)
    LEFT JOIN LATERAL (
        SELECT first FROM log.streams
        WHERE partition = asked.partition AND organization = asked.organization AND name = asked.name LIMIT 1
    ) AS stream ON true
    LEFT JOIN LATERAL (
        SELECT version FROM log.events WHERE partition = asked.partition AND events.stream = stream.first
        ORDER BY version DESC LIMIT 1
    ) AS last ON true
    ORDER BY asked.number";
const HEADS: &str = "SELECT head.partition, last.\"offset\", last.event_id, last.recorded_at
    FROM log.heads AS head LEFT JOIN LATERAL (
        SELECT * FROM log.events WHERE partition = head.partition ORDER BY \"offset\" DESC LIMIT 1
    ) AS last ON true
    ORDER BY head.partition";

const PERSON_KEYS: &str = "SELECT key.person IS NOT NULL, key.wrapped
    FROM unnest($1::int4[], $2::uuid[], $3::uuid[], $4::text[]) WITH ORDINALITY
        AS asked (partition, organization, person, sealing, number)
    LEFT JOIN LATERAL (
        SELECT person, wrapped FROM ledger.person_keys WHERE partition = asked.partition
        AND organization = asked.organization AND person = asked.person AND sealing = asked.sealing LIMIT 1
    ) AS key ON true
    ORDER BY asked.number";

/// A stream and the partition of its organization.
pub(super) type PlacedStream = (PartitionId, StreamId);

/// A pool of connections.
#[derive(Clone)]
pub(super) struct Reader {
    pool: Pool,
}

impl Reader {
    pub(super) fn new(connector: &Connector) -> Result<Self, LogError> {
        Self::with(connector, CONNECTIONS, &[PLAN_SETTINGS])
    }

    /// Connections that also write data which may be lost if the server fails, because it is derived again.
    pub(super) fn lazily_writing(connector: &Connector) -> Result<Self, LogError> {
        Self::with(connector, LAZY_CONNECTIONS, &[PLAN_SETTINGS, "SET synchronous_commit = off"])
    }

    fn with(connector: &Connector, connections: usize, settings: &'static [&'static str]) -> Result<Self, LogError> {
        let pool = pool(connector, connections, settings).map_err(|error| LogError::Unusable(error.to_string()))?;
        Ok(Self { pool })
    }

    pub(super) async fn client(&self) -> Result<Object, LogError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => from_postgres(&error),
            other => LogError::Unavailable(other.to_string()),
        })
    }

    /// The rows of a statement, each passed to `take` until it returns `false`. On a broken connection, retries on
    /// another one, until all idle connections are used up and a new one breaks too.
    async fn query<T: Default>(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
        take: impl Fn(&mut T, &Row) -> Result<bool, LogError>,
    ) -> Result<T, LogError> {
        let mut others = CONNECTIONS;
        loop {
            let client = self.client().await?;
            let result = async {
                let statement = client.prepare_cached(sql).await?;
                let mut found = pin!(client.query_raw(&statement, parameters.iter().copied()).await?);
                let mut taken = T::default();
                while let Some(row) = found.try_next().await? {
                    match take(&mut taken, &row) {
                        Ok(true) => {}
                        Ok(false) => break,
                        Err(error) => return Ok(Err(error)),
                    }
                }
                Ok::<_, Error>(Ok(taken))
            };
            match result.await {
                Ok(result) => return result,
                Err(error) if error.is_closed() && others > 0 => others -= 1,
                Err(error) => return Err(from_postgres(&error)),
            }
        }
    }

    /// All rows of a statement.
    async fn all<T>(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
        decode: impl Fn(&Row) -> T,
    ) -> Result<Vec<T>, LogError> {
        let take = |all: &mut Vec<T>, row: &Row| {
            all.push(decode(row));
            Ok(true)
        };
        self.query(sql, parameters, take).await
    }

    pub(super) async fn partition(
        &self,
        partition: PartitionId,
        after: Offset,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        let parameters: [&(dyn ToSql + Sync); 3] = [&i32::from(partition.0), &bound(after.0), &bound(limit as u64)];
        Ok(self.query(PARTITION, &parameters, take_event).await?.into_events())
    }

    pub(super) async fn at(&self, partition: PartitionId, offsets: &[Offset]) -> Result<Vec<RecordedEvent>, LogError> {
        let offsets: BTreeSet<i64> = offsets.iter().map(|offset| bound(offset.0)).collect();
        let offsets = Vec::from_iter(offsets);
        let parameters: [&(dyn ToSql + Sync); 2] = [&i32::from(partition.0), &offsets];
        Ok(self.query(AT, &parameters, take_event).await?.into_events())
    }

    pub(super) async fn stream(
        &self,
        partition: PartitionId,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        let (partition, name) = (i32::from(partition.0), stream.name.as_str());
        let parameters: [&(dyn ToSql + Sync); 5] =
            [&partition, &stream.organization.0, &name, &bound(after.0), &bound(limit as u64)];
        Ok(self.query(STREAM, &parameters, take_event).await?.into_events())
    }

    /// The version of each stream, in one query.
    pub(super) async fn versions(&self, streams: &[PlacedStream]) -> Result<Vec<Version>, LogError> {
        let partitions: Vec<i32> = streams.iter().map(|(partition, _)| i32::from(partition.0)).collect();
        let organizations: Vec<Uuid> = streams.iter().map(|(_, stream)| stream.organization.0).collect();
        let names: Vec<&str> = streams.iter().map(|(_, stream)| stream.name.as_str()).collect();
        let parameters: [&(dyn ToSql + Sync); 3] = [&partitions, &organizations, &names];
        self.all(VERSIONS, &parameters, |row| Version(row.get::<_, i64>(0) as u64)).await
    }

    pub(super) async fn heads(&self) -> Result<Vec<Head>, LogError> {
        self.all(HEADS, &[], head).await
    }

    /// Each key, `None` for one that never existed, in one query.
    pub(super) async fn person_keys(
        &self,
        keys: &[(PartitionId, &PersonKeyId)],
    ) -> Result<Vec<Option<StoredKey>>, LogError> {
        let partitions: Vec<i32> = keys.iter().map(|(partition, _)| i32::from(partition.0)).collect();
        let organizations: Vec<Uuid> = keys.iter().map(|(_, key)| key.organization.0).collect();
        let persons: Vec<Uuid> = keys.iter().map(|(_, key)| key.person.0).collect();
        let sealings: Vec<&str> = keys.iter().map(|(_, key)| key.sealing.name()).collect();
        let parameters: [&(dyn ToSql + Sync); 4] = [&partitions, &organizations, &persons, &sealings];
        let stored = |row: &Row| {
            let wrapped: Option<Vec<u8>> = row.get(1);
            row.get::<_, bool>(0).then(|| wrapped.map_or(StoredKey::Destroyed, StoredKey::Wrapped))
        };
        self.all(PERSON_KEYS, &parameters, stored).await
    }

    /// The server's time.
    pub(super) async fn time(&self) -> Result<Timestamp, LogError> {
        let read = self.all("SELECT clock_timestamp()", &[], |row| row.get(0)).await?.pop();
        read.ok_or_else(|| LogError::Unavailable("the server did not tell its time".to_owned()))
    }

    /// The offset of a simulated clock.
    pub(super) async fn clock_offset(&self) -> Result<Option<SignedDuration>, LogError> {
        let read = self.all(clock::OFFSET, &[], clock::offset).await?.pop();
        read.ok_or_else(|| LogError::Damaged("ledger.clock has no row".to_owned()))
    }

    /// The record of an idempotency key, unless it has expired.
    pub(super) async fn idempotency_record(
        &self,
        partition: PartitionId,
        key: &IdempotencyRecordKey,
    ) -> Result<Option<IdempotencyRecord>, LogError> {
        let sql = "SELECT organization, scope, key, request_hash, \"offset\", recorded_at, expires_at FROM ledger.idempotency_keys
                   WHERE partition = $1 AND organization = $2 AND scope = $3 AND key = $4 AND expires_at > now()";
        let IdempotencyRecordKey { organization, scope, key } = key;
        let asked: [&(dyn ToSql + Sync); 4] = [&i32::from(partition.0), &organization.0, scope, key];
        let found = self.all(sql, &asked, |row| rows::idempotency_key(row, partition)).await?.pop();
        Ok(found.flatten().map(|(_, record)| record))
    }

    pub(super) async fn secret(&self, partition: PartitionId, id: &SecretId) -> Result<Option<Vec<u8>>, LogError> {
        let sql = "SELECT hash FROM ledger.secrets
                   WHERE partition = $1 AND organization = $2 AND owner = $3 AND kind = $4";
        let SecretId { organization, owner, kind } = id;
        let key: [&(dyn ToSql + Sync); 4] = [&i32::from(partition.0), &organization.0, owner, &kind.name()];
        Ok(self.all(sql, &key, |row| row.get(0)).await?.pop())
    }

    pub(super) async fn last_seen(
        &self,
        partition: PartitionId,
        organization: OrganizationId,
        owners: &[Uuid],
    ) -> Result<Vec<Option<ActivityRecord>>, LogError> {
        let sql = "SELECT owner, kind, used_at, home, person, trace FROM ledger.credential_activity
                   WHERE partition = $1 AND organization = $2 AND owner = ANY ($3)";
        let asked: [&(dyn ToSql + Sync); 3] = [&i32::from(partition.0), &organization.0, &owners];
        self.all(sql, &asked, |row| credential_activity::stored(row, organization)).await
    }

    pub(super) async fn holder(&self, partition: PartitionId, key: &ClaimKey) -> Result<Option<String>, LogError> {
        let sql = "SELECT owner FROM log.claims
                   WHERE partition = $1 AND organization = $2 AND kind = $3 AND hash = $4";
        let ClaimKey { organization, kind, hash } = key;
        let asked: [&(dyn ToSql + Sync); 4] = [&i32::from(partition.0), &organization.0, &kind.as_ref(), &&hash[..]];
        Ok(self.all(sql, &asked, |row| row.get(0)).await?.pop())
    }

    pub(super) async fn count(&self, partition: PartitionId, key: &CounterKey) -> Result<i64, LogError> {
        let sql = "SELECT value FROM log.counters WHERE partition = $1 AND organization = $2 AND name = $3";
        let asked: [&(dyn ToSql + Sync); 3] = [&i32::from(partition.0), &key.organization.0, &key.name.as_ref()];
        Ok(self.all(sql, &asked, |row| row.get(0)).await?.pop().unwrap_or_default())
    }

    pub(super) async fn registered(&self, organization: OrganizationId) -> Result<Option<PartitionId>, LogError> {
        let sql = "SELECT partition FROM log.registry WHERE organization = $1";
        let partition = |row: &Row| PartitionId(row.get::<_, i32>(0) as u16);
        Ok(self.all(sql, &[&organization.0], partition).await?.pop())
    }

    pub(super) async fn incarnation(&self) -> Result<Incarnation, LogError> {
        let sql = "SELECT id FROM log.incarnations ORDER BY number DESC LIMIT 1";
        let found = self.all(sql, &[], |row| Incarnation(row.get(0))).await?.pop();
        found.ok_or_else(|| LogError::Damaged("log.incarnations is empty".to_owned()))
    }
}

/// The heads of all partitions, on any connection.
pub(super) async fn heads(client: &impl GenericClient) -> Result<Vec<Head>, Error> {
    Ok(client.query(HEADS, &[]).await?.iter().map(head).collect())
}

fn head(row: &Row) -> Head {
    let partition = PartitionId(row.get::<_, i32>(0) as u16);
    let Some(offset) = row.get::<_, Option<i64>>(1) else { return Head::empty(partition) };
    let position = Position { partition, offset: Offset(offset as u64) };
    Head { position, event_id: EventId(row.get(2)), recorded_at: row.get(3) }
}

/// Adds an event to a page. A malformed stored value means that the store is damaged.
fn take_event(page: &mut Page, row: &Row) -> Result<bool, LogError> {
    let position = Position { partition: PartitionId(row.get::<_, i32>(0) as u16), offset: rows::offset(row, 1) };
    let damaged = |what: &dyn std::fmt::Display| LogError::Damaged(format!("the event at {position}: {what}"));
    let organization = OrganizationId(row.get(5));
    let leaf_hash: [u8; 32] = row.get::<_, &[u8]>(8).try_into().map_err(|error| damaged(&error))?;
    let event = RecordedEvent {
        position,
        version: Version(row.get::<_, i64>(2) as u64),
        recorded_at: row.get(3),
        id: EventId(row.get(4)),
        stream: StreamId::new(organization, row.get::<_, &str>(6)).map_err(|error| damaged(&error))?,
        event_type: page.event_type(row.get(7)).map_err(|error| damaged(&error))?,
        leaf_hash: LeafHash(leaf_hash),
        data: page.copy(row.get(9)),
        meta: page.copy(row.get(10)),
    };
    page.push(event);
    Ok(!page.is_full())
}

/// PostgreSQL's integers have 63 bits for nonnegative numbers.
fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
