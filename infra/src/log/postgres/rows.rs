//! Rows of the log's tables as values, and the statements that write all but the events.

use jiff::Timestamp;
use porttask_app::log::{
    ClaimKey, CounterKey, Offset, OrganizationId, PartitionId, PersonKeyId, Position, StreamId, StreamName, Version,
    admission::{OnceKey, OnceRecord, StreamState, Writes},
};
use porttask_domain::{PersonId, Sealing};
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

use crate::multi_row::{Parameter, RowsStatement, add_rows};

/// What a batch writes beside its events, in multi-row statements: few, because together with the commit they share
/// one round trip.
pub(super) fn statements(writes: &Writes, partition: PartitionId) -> Vec<RowsStatement> {
    let at = |organization: OrganizationId| {
        let is_platform = organization == OrganizationId::PLATFORM;
        int(i32::from(if is_platform { PartitionId::PLATFORM } else { partition }.0))
    };
    let begun = writes.events.iter().filter(|written| written.event.version == Version(1));
    let streams = begun.map(|written| {
        let StreamId { organization, name } = &written.event.stream;
        vec![at(*organization), uuid(*organization), text(name.as_str()), bigint(written.first.0)]
    });
    let claimed = writes.claims.iter().filter_map(|(key, owner)| {
        let owner = text(owner.as_ref()?);
        Some(vec![at(key.organization), uuid(key.organization), text(&key.kind), bytes(&key.hash), owner])
    });
    let released = writes
        .claims
        .iter()
        .filter(|(_, owner)| owner.is_none())
        .map(|(key, _)| vec![at(key.organization), uuid(key.organization), text(&key.kind), bytes(&key.hash)]);
    let counters = writes.counters.iter().map(|(key, value)| {
        vec![at(key.organization), uuid(key.organization), text(&key.name), (Box::new(*value) as _, Type::INT8)]
    });
    let once = writes.once.iter().map(|(key, record)| {
        vec![
            at(key.organization),
            uuid(key.organization),
            text(&key.scope),
            text(&key.key),
            bytes(&record.fingerprint),
            bigint(record.position.offset.0),
            time(record.recorded_at),
            time(record.keep_until),
        ]
    });
    let person_keys = writes.person_keys.iter().map(|(key, wrapped)| {
        let person = (Box::new(key.person.0) as _, Type::UUID);
        vec![at(key.organization), uuid(key.organization), person, text(key.sealing.name()), bytes(wrapped)]
    });
    let secrets = writes.secrets.iter().map(|(id, hash)| {
        let owner = (Box::new(id.owner) as _, Type::UUID);
        vec![at(id.organization), uuid(id.organization), owner, text(id.kind.name()), bytes(hash)]
    });
    let founded = writes.founded.iter().map(|organization| vec![uuid(*organization), int(i32::from(partition.0))]);

    let mut all = Vec::new();
    add_rows(&mut all, "INSERT INTO log.streams (partition, organization, name, first) VALUES", streams, "");
    add_rows(
        &mut all,
        "INSERT INTO log.claims (partition, organization, kind, hash, owner) VALUES",
        claimed,
        "ON CONFLICT (partition, organization, kind, hash) DO UPDATE SET owner = excluded.owner",
    );
    add_rows(&mut all, "DELETE FROM log.claims WHERE (partition, organization, kind, hash) IN (VALUES", released, ")");
    add_rows(
        &mut all,
        "INSERT INTO log.counters (partition, organization, name, value) VALUES",
        counters,
        "ON CONFLICT (partition, organization, name) DO UPDATE SET value = excluded.value",
    );
    add_rows(
        &mut all,
        "INSERT INTO ledger.once (partition, organization, scope, key, fingerprint, \"offset\", recorded_at, keep_until)
         VALUES",
        once,
        "ON CONFLICT (partition, organization, scope, key) DO UPDATE SET fingerprint = excluded.fingerprint,
         \"offset\" = excluded.\"offset\", recorded_at = excluded.recorded_at, keep_until = excluded.keep_until",
    );
    add_rows(
        &mut all,
        "INSERT INTO ledger.secrets (partition, organization, owner, kind, hash) VALUES",
        secrets,
        "ON CONFLICT (partition, organization, owner, kind) DO UPDATE SET hash = excluded.hash",
    );
    let head = "INSERT INTO ledger.person_keys (partition, organization, person, sealing, wrapped) VALUES";
    add_rows(&mut all, head, person_keys, "");
    add_rows(&mut all, "INSERT INTO log.registry (organization, partition) VALUES", founded, "");
    all
}

fn int(value: i32) -> Parameter {
    (Box::new(value), Type::INT4)
}

fn bigint(value: u64) -> Parameter {
    (Box::new(value as i64), Type::INT8)
}

fn uuid(organization: OrganizationId) -> Parameter {
    (Box::new(organization.0), Type::UUID)
}

fn text(value: &str) -> Parameter {
    (Box::new(value.to_owned()), Type::TEXT)
}

fn bytes(value: &[u8]) -> Parameter {
    (Box::new(value.to_owned()), Type::BYTEA)
}

fn time(value: Timestamp) -> Parameter {
    (Box::new(value), Type::TIMESTAMPTZ)
}

/// An offset as it is stored.
pub(super) fn offset(row: &Row, column: usize) -> Offset {
    Offset(row.get::<_, i64>(column) as u64)
}

/// organization, name, first, last, version. A name of another form was not written by the log and matches no stream.
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

/// organization, scope, key, fingerprint, offset, recorded_at, keep_until.
pub(super) fn once(row: &Row, partition: PartitionId) -> Option<(OnceKey, OnceRecord)> {
    let record = OnceRecord {
        fingerprint: row.get::<_, &[u8]>(3).try_into().ok()?,
        position: Position { partition, offset: offset(row, 4) },
        recorded_at: row.get(5),
        keep_until: row.get(6),
    };
    Some((OnceKey { organization: OrganizationId(row.get(0)), scope: row.get(1), key: row.get(2) }, record))
}
