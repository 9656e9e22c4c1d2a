//! The ledger beside the embedded log: durable state that is not derived from events.

use std::time::Duration;

use porttask_domain::{PersonId, Sealing};
use porttask_runtime::{
    ledger::StoredKey,
    ledger::{ConstraintRepair, ConstraintSnapshot, ConstraintState},
    log::{
        ClaimKey, CounterKey, Head, Offset, OrganizationId, PartitionId, PersonKeyId, Position, SecretId,
        admission::{IdempotencyRecord, IdempotencyRecordKey},
    },
};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use uuid::Uuid;

use super::reader;

/// The record of an idempotency key, even if it has expired.
pub(super) fn idempotency_record(
    connection: &Connection,
    key: &IdempotencyRecordKey,
) -> rusqlite::Result<Option<IdempotencyRecord>> {
    let mut select = connection.prepare_cached(
        "SELECT request_hash, offset, recorded_at, expires_at FROM ledger_idempotency_keys
         WHERE organization = ?1 AND scope = ?2 AND key = ?3",
    )?;
    let record = select.query_row(params![key.organization.0.as_bytes(), key.scope, key.key], |row| {
        Ok(IdempotencyRecord {
            request_hash: row.get(0)?,
            position: Position { partition: PartitionId::PLATFORM, offset: Offset(row.get(1)?) },
            recorded_at: reader::timestamp(row, 2)?,
            expires_at: reader::timestamp(row, 3)?,
        })
    });
    record.optional()
}

/// The key, `None` if it never existed.
pub(super) fn person_key(connection: &Connection, key: &PersonKeyId) -> rusqlite::Result<Option<StoredKey>> {
    let mut select = connection.prepare_cached(
        "SELECT wrapped FROM ledger_person_keys WHERE organization = ?1 AND person = ?2 AND sealing = ?3",
    )?;
    let PersonKeyId { organization, person, sealing } = key;
    let asked = params![organization.0.as_bytes(), person.0.as_bytes(), sealing.name()];
    let wrapped: Option<Option<Vec<u8>>> = select.query_row(asked, |row| row.get(0)).optional()?;
    Ok(wrapped.map(|wrapped| wrapped.map_or(StoredKey::Destroyed, StoredKey::Wrapped)))
}

pub(super) fn add_person_key(connection: &Connection, key: &PersonKeyId, wrapped: &[u8]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO ledger_person_keys (organization, person, sealing, wrapped) VALUES (?1, ?2, ?3, ?4)",
    )?;
    let PersonKeyId { organization, person, sealing } = key;
    insert.execute(params![organization.0.as_bytes(), person.0.as_bytes(), sealing.name(), wrapped])?;
    Ok(())
}

pub(super) fn secret(connection: &Connection, id: &SecretId) -> rusqlite::Result<Option<Vec<u8>>> {
    let mut select = connection
        .prepare_cached("SELECT hash FROM ledger_secrets WHERE organization = ?1 AND owner = ?2 AND kind = ?3")?;
    let SecretId { organization, owner, kind } = id;
    select.query_row(params![organization.0.as_bytes(), owner.as_bytes(), kind.name()], |row| row.get(0)).optional()
}

pub(super) fn holder(connection: &Connection, key: &ClaimKey) -> rusqlite::Result<Option<String>> {
    let mut select =
        connection.prepare_cached("SELECT owner FROM claims WHERE organization = ?1 AND kind = ?2 AND hash = ?3")?;
    select.query_row(params![key.organization.0.as_bytes(), key.kind, key.hash], |row| row.get(0)).optional()
}

pub(super) fn count(connection: &Connection, key: &CounterKey) -> rusqlite::Result<i64> {
    let mut select = connection.prepare_cached("SELECT value FROM counters WHERE organization = ?1 AND name = ?2")?;
    let found = select.query_row(params![key.organization.0.as_bytes(), key.name], |row| row.get(0)).optional()?;
    Ok(found.unwrap_or_default())
}

pub(super) fn put_secret(connection: &Connection, id: &SecretId, hash: &[u8]) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached(
        "INSERT OR REPLACE INTO ledger_secrets (organization, owner, kind, hash, recorded_at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let SecretId { organization, owner, kind } = id;
    put.execute(params![
        organization.0.as_bytes(),
        owner.as_bytes(),
        kind.name(),
        hash,
        reader::from_now(Duration::ZERO)
    ])
    .map(drop)
}

/// Destroys all keys of a person irrevocably.
pub(super) fn destroy_person_keys(
    connection: &Connection,
    organization: OrganizationId,
    person: PersonId,
) -> rusqlite::Result<u64> {
    // Overwrite the deleted content in the file.
    connection.pragma_update(None, "secure_delete", true)?;
    let destroyed = connection.execute(
        "UPDATE ledger_person_keys SET wrapped = NULL WHERE organization = ?1 AND person = ?2 AND wrapped IS NOT NULL",
        params![organization.0.as_bytes(), person.0.as_bytes()],
    )?;
    Ok(destroyed as u64)
}

/// The key of a purpose: the stored one, or else `wrapped`, which is then stored.
pub(super) fn purpose_key(connection: &Connection, purpose: &str, wrapped: &[u8]) -> rusqlite::Result<Vec<u8>> {
    connection.execute(
        "INSERT INTO ledger_purpose_keys (purpose, wrapped) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        params![purpose, wrapped],
    )?;
    connection.query_row("SELECT wrapped FROM ledger_purpose_keys WHERE purpose = ?1", [purpose], |row| row.get(0))
}

/// At most `limit` keys after `after`, in order of their ids.
pub(super) fn all_person_keys(
    connection: &Connection,
    after: Option<PersonKeyId>,
    limit: usize,
) -> rusqlite::Result<Vec<(PersonKeyId, Vec<u8>)>> {
    let mut select = connection.prepare_cached(
        "SELECT organization, person, sealing, wrapped FROM ledger_person_keys
         WHERE (organization, person, sealing) > (?1, ?2, ?3) AND wrapped IS NOT NULL
         ORDER BY organization, person, sealing LIMIT ?4",
    )?;
    let organization = after.map_or_else(Vec::new, |key| key.organization.0.as_bytes().to_vec());
    let person = after.map_or_else(Vec::new, |key| key.person.0.as_bytes().to_vec());
    let sealing = after.map_or("", |key| key.sealing.name());
    let rows = select.query_map(params![organization, person, sealing, limit as u64], |row| {
        let sealing: String = row.get(2)?;
        let unknown = || rusqlite::Error::InvalidColumnType(2, sealing.clone(), rusqlite::types::Type::Text);
        let id = PersonKeyId {
            organization: OrganizationId(id(row, 0)?),
            person: PersonId(id(row, 1)?),
            sealing: Sealing::named(&sealing).ok_or_else(unknown)?,
        };
        Ok((id, row.get(3)?))
    })?;
    rows.collect()
}

pub(super) fn rewrap_person_keys(
    connection: &mut Connection,
    keys: &[(PersonKeyId, Vec<u8>, Vec<u8>)],
) -> rusqlite::Result<u64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut replaced = 0;
    for (PersonKeyId { organization, person, sealing }, old, new) in keys {
        let mut update = transaction.prepare_cached(
            "UPDATE ledger_person_keys SET wrapped = ?1
             WHERE organization = ?2 AND person = ?3 AND sealing = ?4 AND wrapped = ?5",
        )?;
        let key = params![new, organization.0.as_bytes(), person.0.as_bytes(), sealing.name(), old];
        replaced += update.execute(key)? as u64;
    }
    transaction.commit()?;
    Ok(replaced)
}

pub(super) fn purpose_keys(connection: &Connection) -> rusqlite::Result<Vec<(String, Vec<u8>)>> {
    let mut select = connection.prepare("SELECT purpose, wrapped FROM ledger_purpose_keys ORDER BY purpose")?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

pub(super) fn rewrap_purpose_key(
    connection: &Connection,
    purpose: &str,
    old: &[u8],
    new: &[u8],
) -> rusqlite::Result<()> {
    let update = "UPDATE ledger_purpose_keys SET wrapped = ?1 WHERE purpose = ?2 AND wrapped = ?3";
    connection.execute(update, params![new, purpose, old]).map(drop)
}

/// All claims and counts, with the head that they are consistent with.
pub(super) fn constrained(connection: &Connection) -> rusqlite::Result<ConstraintSnapshot> {
    // One snapshot for all reads below.
    let transaction = connection.unchecked_transaction()?;
    let mut kept = ConstraintState::default();
    let mut claims = transaction.prepare_cached("SELECT organization, kind, hash, owner FROM claims")?;
    let mut rows = claims.query([])?;
    while let Some(row) = rows.next()? {
        let kind = row.get::<_, String>(1)?.into();
        let key = ClaimKey { organization: OrganizationId(id(row, 0)?), kind, hash: row.get(2)? };
        kept.claims.insert(key, row.get(3)?);
    }
    let mut counters = transaction.prepare_cached("SELECT organization, name, value FROM counters WHERE value <> 0")?;
    let mut rows = counters.query([])?;
    while let Some(row) = rows.next()? {
        let name = row.get::<_, String>(1)?.into();
        kept.counts.insert(CounterKey { organization: OrganizationId(id(row, 0)?), name }, row.get(2)?);
    }
    Ok(ConstraintSnapshot { heads: vec![reader::head(&transaction)?], kept })
}

/// Repairs claims and counts, unless the head has moved.
pub(super) fn repair(connection: &mut Connection, heads: &[Head], repair: &ConstraintRepair) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if heads != [reader::head(&transaction)?] {
        return Ok(false);
    }
    for (key, owner) in &repair.claims {
        let organization = key.organization.0.as_bytes();
        let delete = "DELETE FROM claims WHERE organization = ?1 AND kind = ?2 AND hash = ?3";
        transaction.execute(delete, params![organization, key.kind, key.hash])?;
        if let Some(owner) = owner {
            let insert = "INSERT INTO claims (organization, kind, hash, owner) VALUES (?1, ?2, ?3, ?4)";
            transaction.execute(insert, params![organization, key.kind, key.hash, owner])?;
        }
    }
    for (key, value) in &repair.counts {
        let replace = "INSERT OR REPLACE INTO counters (organization, name, value) VALUES (?1, ?2, ?3)";
        transaction.execute(replace, params![key.organization.0.as_bytes(), key.name, value])?;
    }
    transaction.commit()?;
    Ok(true)
}

fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    row.get::<_, [u8; 16]>(column).map(Uuid::from_bytes)
}
