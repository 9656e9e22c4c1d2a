//! The ledger beside the embedded log: durable state that does not follow from events.

use porttask_app::{
    ledger::StoredKey,
    log::{OrganizationId, PersonKeyId},
};
use porttask_domain::PersonId;
use rusqlite::{Connection, OptionalExtension, params};

/// `None` if the person never had the key.
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

/// Destroys all keys of a person, for good.
pub(super) fn destroy_person_keys(
    connection: &Connection,
    organization: OrganizationId,
    person: PersonId,
) -> rusqlite::Result<u64> {
    // Overwritten in the file, not only let go.
    connection.pragma_update(None, "secure_delete", true)?;
    let destroyed = connection.execute(
        "UPDATE ledger_person_keys SET wrapped = NULL WHERE organization = ?1 AND person = ?2 AND wrapped IS NOT NULL",
        params![organization.0.as_bytes(), person.0.as_bytes()],
    )?;
    Ok(destroyed as u64)
}

/// The key of a purpose: the one that is there, or else this one.
pub(super) fn purpose_key(connection: &Connection, purpose: &str, wrapped: &[u8]) -> rusqlite::Result<Vec<u8>> {
    connection.execute(
        "INSERT INTO ledger_purpose_keys (purpose, wrapped) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        params![purpose, wrapped],
    )?;
    connection.query_row("SELECT wrapped FROM ledger_purpose_keys WHERE purpose = ?1", [purpose], |row| row.get(0))
}
