//! Decodes rows of the log's tables.

use porttask_domain::{PersonId, Sealing};
use porttask_runtime::log::{
    ClaimKey, CounterKey, Offset, OrganizationId, PartitionId, PersonKeyId, Position, StreamId, StreamName, Version,
    admission::{IdempotencyRecord, IdempotencyRecordKey, StreamState},
};
use tokio_postgres::Row;
use uuid::Uuid;

/// A stored offset.
pub(super) fn offset(row: &Row, column: usize) -> Offset {
    Offset(row.get::<_, i64>(column) as u64)
}

/// organization, name, first, last, version. An invalid name was not written by the log and matches no stream.
pub(super) fn stream(row: &Row) -> Option<(StreamId, StreamState)> {
    let name = StreamName::new(row.get::<_, &str>(1)).ok()?;
    let state =
        StreamState { first: offset(row, 2), last: offset(row, 3), version: Version(row.get::<_, i64>(4) as u64) };
    Some((StreamId { organization: OrganizationId(row.get(0)), name }, state))
}

/// organization, kind, hash, owner.
pub(super) fn claim(row: &Row) -> Option<(ClaimKey, String)> {
    let hash = row.get::<_, &[u8]>(2).try_into().ok()?;
    let kind = row.get::<_, String>(1).into();
    Some((ClaimKey { organization: OrganizationId(row.get(0)), kind, hash }, row.get(3)))
}

/// organization, name, value.
pub(super) fn counter(row: &Row) -> (CounterKey, i64) {
    let name = row.get::<_, String>(1).into();
    (CounterKey { organization: OrganizationId(row.get::<_, Uuid>(0)), name }, row.get(2))
}

/// organization, person, sealing.
pub(super) fn person_key(row: &Row) -> Option<PersonKeyId> {
    let sealing = Sealing::named(row.get(2))?;
    Some(PersonKeyId { organization: OrganizationId(row.get(0)), person: PersonId(row.get(1)), sealing })
}

/// organization, scope, key, request_hash, offset, recorded_at, expires_at.
pub(super) fn idempotency_key(row: &Row, partition: PartitionId) -> Option<(IdempotencyRecordKey, IdempotencyRecord)> {
    let record = IdempotencyRecord {
        request_hash: row.get::<_, &[u8]>(3).try_into().ok()?,
        position: Position { partition, offset: offset(row, 4) },
        recorded_at: row.get(5),
        expires_at: row.get(6),
    };
    Some((
        IdempotencyRecordKey { organization: OrganizationId(row.get(0)), scope: row.get(1), key: row.get(2) },
        record,
    ))
}
