//! Last activity of sessions and API keys, beside the embedded log.

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::PersonId;
use porttask_runtime::{
    credential_activity::{ActivityRecord, LastSeen},
    log::{LogError, OrganizationId, SecretKind},
};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use uuid::Uuid;

use super::{
    SqliteLog,
    reader::{self, Durable},
};

#[async_trait]
impl LastSeen for SqliteLog {
    async fn last_seen(&self, organization: OrganizationId, owners: &[Uuid]) -> Result<Vec<ActivityRecord>, LogError> {
        self.readers.quickly(|connection| last_seen(connection, organization, owners))
    }

    async fn record_activity(&self, activity: &[ActivityRecord]) -> Result<(), LogError> {
        let activity = activity.to_vec();
        self.readers.run_writing(Durable::Soon, move |connection| record_activity(connection, &activity)).await
    }

    async fn delete_activity(&self, kind: SecretKind, before: Timestamp) -> Result<u64, LogError> {
        let forget = move |connection: &mut Connection| {
            let delete = "DELETE FROM ledger_credential_activity WHERE kind = ?1 AND used_at < ?2";
            connection.execute(delete, params![kind.name(), before.as_microsecond()]).map(|count| count as u64)
        };
        self.readers.run_writing(Durable::Soon, forget).await
    }
}

fn last_seen(
    connection: &Connection,
    organization: OrganizationId,
    owners: &[Uuid],
) -> rusqlite::Result<Vec<ActivityRecord>> {
    let mut select = connection.prepare_cached(
        "SELECT kind, used_at, home, person, trace FROM ledger_credential_activity WHERE organization = ?1 AND owner = ?2",
    )?;
    let mut activity = Vec::with_capacity(owners.len());
    for owner in owners {
        let stored = |row: &Row<'_>| {
            let kind: String = row.get(0)?;
            let unknown = || rusqlite::Error::InvalidColumnType(0, kind.clone(), rusqlite::types::Type::Text);
            Ok(ActivityRecord {
                organization,
                owner: *owner,
                kind: SecretKind::named(&kind).ok_or_else(unknown)?,
                at: reader::timestamp(row, 1)?,
                home: OrganizationId(row.get::<_, [u8; 16]>(2).map(Uuid::from_bytes)?),
                person: PersonId(row.get::<_, [u8; 16]>(3).map(Uuid::from_bytes)?),
                trace: row.get(4)?,
            })
        };
        let key = params![organization.0.as_bytes(), owner.as_bytes()];
        activity.extend(select.query_row(key, stored).optional()?);
    }
    Ok(activity)
}

fn record_activity(connection: &mut Connection, activity: &[ActivityRecord]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for ActivityRecord { organization, owner, kind, at, home, person, trace } in activity {
        let mut note = transaction.prepare_cached(
            "INSERT INTO ledger_credential_activity (organization, owner, kind, used_at, home, person, trace)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (organization, owner) DO UPDATE
                 SET used_at = excluded.used_at, home = excluded.home, person = excluded.person, trace = excluded.trace
                 WHERE used_at < excluded.used_at",
        )?;
        let (organization, owner, at) = (organization.0.as_bytes(), owner.as_bytes(), at.as_microsecond());
        note.execute(params![organization, owner, kind.name(), at, home.0.as_bytes(), person.0.as_bytes(), trace])?;
    }
    transaction.commit()
}
