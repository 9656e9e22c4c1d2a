//! What a batch writes beside its events: one statement per table with one array per column, so that it is prepared
//! once for any number of rows. All of them share one round trip with the commit.

use porttask_runtime::log::{OrganizationId, PartitionId, Version, admission::Writes};
use tokio_postgres::types::ToSql;

/// In the order of [`arrays`].
pub(super) const WRITES: [&str; 8] = [
    "INSERT INTO log.streams (partition, organization, name, first)
     SELECT * FROM unnest($1::int4[], $2::uuid[], $3::text[], $4::int8[])",
    "INSERT INTO log.claims (partition, organization, kind, hash, owner)
     SELECT * FROM unnest($1::int4[], $2::uuid[], $3::text[], $4::bytea[], $5::text[])
     ON CONFLICT (partition, organization, kind, hash) DO UPDATE SET owner = excluded.owner",
    "DELETE FROM log.claims AS claim
     USING unnest($1::int4[], $2::uuid[], $3::text[], $4::bytea[]) AS gone (partition, organization, kind, hash)
     WHERE claim.partition = gone.partition AND claim.organization = gone.organization AND claim.kind = gone.kind
     AND claim.hash = gone.hash",
    "INSERT INTO log.counters (partition, organization, name, value)
     SELECT * FROM unnest($1::int4[], $2::uuid[], $3::text[], $4::int8[])
     ON CONFLICT (partition, organization, name) DO UPDATE SET value = excluded.value",
    "INSERT INTO ledger.idempotency_keys (partition, organization, scope, key, request_hash, \"offset\", recorded_at, expires_at)
     SELECT * FROM unnest($1::int4[], $2::uuid[], $3::text[], $4::text[], $5::bytea[], $6::int8[], $7::timestamptz[],
         $8::timestamptz[])
     ON CONFLICT (partition, organization, scope, key) DO UPDATE SET request_hash = excluded.request_hash,
     \"offset\" = excluded.\"offset\", recorded_at = excluded.recorded_at, expires_at = excluded.expires_at",
    "INSERT INTO ledger.secrets (partition, organization, owner, kind, hash)
     SELECT * FROM unnest($1::int4[], $2::uuid[], $3::uuid[], $4::text[], $5::bytea[])
     ON CONFLICT (partition, organization, owner, kind) DO UPDATE SET hash = excluded.hash",
    "INSERT INTO ledger.person_keys (partition, organization, person, sealing, wrapped)
     SELECT * FROM unnest($1::int4[], $2::uuid[], $3::uuid[], $4::text[], $5::bytea[])",
    "INSERT INTO log.registry (organization, partition) SELECT * FROM unnest($1::uuid[], $2::int4[])",
];

/// The values of a column.
type Array<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// Rows as one array per column; `None` if there are no rows.
macro_rules! by_column {
    ($rows:expr, |$row:pat_param| $($column:expr),+ $(,)?) => {{
        let rows: Vec<_> = $rows.collect();
        #[allow(unused_variables, reason = "a column uses only a part of the row")]
        let columns = || vec![$(Box::new(rows.iter().map(|$row| $column).collect::<Vec<_>>()) as Array<'_>),+];
        (!rows.is_empty()).then(columns)
    }};
}

/// The parameters of each statement.
pub(super) fn arrays(writes: &Writes, partition: PartitionId) -> [Option<Vec<Array<'_>>>; WRITES.len()] {
    let at = |organization: &OrganizationId| {
        let is_platform = *organization == OrganizationId::PLATFORM;
        i32::from(if is_platform { PartitionId::PLATFORM } else { partition }.0)
    };
    let begun = writes.events.iter().filter(|written| written.event.version == Version(1));
    let claimed = writes.claims.iter().filter_map(|(key, owner)| Some((key, owner.as_deref()?)));
    let released = writes.claims.iter().filter(|(_, owner)| owner.is_none());
    [
        by_column!(
            begun.map(|it| (&it.event.stream, it.first)),
            |(stream, first)| at(&stream.organization),
            stream.organization.0,
            stream.name.as_str(),
            first.0 as i64,
        ),
        by_column!(
            claimed,
            |(key, owner)| at(&key.organization),
            key.organization.0,
            key.kind.as_ref(),
            &key.hash[..],
            *owner,
        ),
        by_column!(released, |(key, _)| at(&key.organization), key.organization.0, key.kind.as_ref(), &key.hash[..],),
        by_column!(
            writes.counters.iter(),
            |(key, value)| at(&key.organization),
            key.organization.0,
            key.name.as_ref(),
            *value,
        ),
        by_column!(
            writes.idempotency_keys.iter(),
            |(key, record)| at(&key.organization),
            key.organization.0,
            key.scope.as_str(),
            key.key.as_str(),
            &record.request_hash[..],
            record.position.offset.0 as i64,
            record.recorded_at,
            record.expires_at,
        ),
        by_column!(
            writes.secrets.iter(),
            |(id, hash)| at(&id.organization),
            id.organization.0,
            id.owner,
            id.kind.name(),
            &hash[..],
        ),
        by_column!(
            writes.person_keys.iter(),
            |(key, wrapped)| at(&key.organization),
            key.organization.0,
            key.person.0,
            key.sealing.name(),
            &wrapped[..],
        ),
        by_column!(writes.founded.iter(), |organization| organization.0, i32::from(partition.0)),
    ]
}
