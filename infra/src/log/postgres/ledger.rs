//! The ledger beside the log: durable state that is not derived from events.

use async_trait::async_trait;
use porttask_domain::PersonId;
use porttask_runtime::{
    ledger::{ConstraintRepair, ConstraintSnapshot, ConstraintState},
    ledger::{Ledger, StoredKey},
    log::{
        ClaimKey, CounterKey, EventLog, Head, LogError, OrganizationId, PartitionId, PersonKeyId, SecretId,
        admission::{IdempotencyRecord, IdempotencyRecordKey},
    },
};
use tokio_postgres::{Error, IsolationLevel, types::ToSql};

use super::{PostgresLog, error::from_postgres, reader, rows};

fn failed(error: Error) -> LogError {
    from_postgres(&error)
}

#[async_trait]
impl Ledger for PostgresLog {
    async fn person_keys(&self, ids: &[PersonKeyId]) -> Result<Vec<Option<StoredKey>>, LogError> {
        let mut placed = Vec::with_capacity(ids.len());
        for id in ids {
            placed.push((self.shelf_of(id.organization).await?, id));
        }
        self.reader.person_keys(&placed).await
    }

    async fn idempotency_record(&self, key: &IdempotencyRecordKey) -> Result<Option<IdempotencyRecord>, LogError> {
        self.reader.idempotency_record(self.shelf_of(key.organization).await?, key).await
    }

    async fn secret(&self, id: &SecretId) -> Result<Option<Vec<u8>>, LogError> {
        self.reader.secret(self.shelf_of(id.organization).await?, id).await
    }

    async fn holder(&self, key: &ClaimKey) -> Result<Option<String>, LogError> {
        self.reader.holder(self.shelf_of(key.organization).await?, key).await
    }

    async fn count(&self, key: &CounterKey) -> Result<i64, LogError> {
        self.reader.count(self.shelf_of(key.organization).await?, key).await
    }

    async fn destroy_person_keys(&self, organization: OrganizationId, person: PersonId) -> Result<u64, LogError> {
        let partition = i32::from(self.shelf_of(organization).await?.0);
        let client = self.connector.plain().await?;
        let sql = "UPDATE ledger.person_keys SET wrapped = NULL
                   WHERE partition = $1 AND organization = $2 AND person = $3 AND wrapped IS NOT NULL";
        client.execute(sql, &[&partition, &organization.0, &person.0]).await.map_err(failed)
    }

    async fn all_person_keys(
        &self,
        after: Option<PersonKeyId>,
        limit: usize,
    ) -> Result<Vec<(PersonKeyId, Vec<u8>)>, LogError> {
        let client = self.connector.plain().await?;
        let columns = "SELECT organization, person, sealing, wrapped FROM ledger.person_keys WHERE wrapped IS NOT NULL";
        let order = "ORDER BY organization, person, sealing";
        let limit = limit as i64;
        let rows = match after {
            None => client.query(&format!("{columns} {order} LIMIT $1"), &[&limit]).await,
            Some(PersonKeyId { organization, person, sealing }) => {
                let sql = format!("{columns} AND (organization, person, sealing) > ($1, $2, $3) {order} LIMIT $4");
                client.query(&sql, &[&organization.0, &person.0, &sealing.name(), &limit]).await
            }
        };
        let rows = rows.map_err(failed)?;
        Ok(rows.iter().filter_map(|row| Some((rows::person_key(row)?, row.get(3)))).collect())
    }

    async fn rewrap_person_keys(&self, keys: &[(PersonKeyId, Vec<u8>, Vec<u8>)]) -> Result<u64, LogError> {
        let mut client = self.connector.plain().await?;
        let transaction = client.transaction().await.map_err(failed)?;
        let sql = "UPDATE ledger.person_keys SET wrapped = $1
                   WHERE partition = $2 AND organization = $3 AND person = $4 AND sealing = $5 AND wrapped = $6";
        let update = transaction.prepare(sql).await.map_err(failed)?;
        let mut replaced = 0;
        for (PersonKeyId { organization, person, sealing }, old, new) in keys {
            let partition = i32::from(self.shelf_of(*organization).await?.0);
            let key: [&(dyn ToSql + Sync); 6] = [new, &partition, &organization.0, &person.0, &sealing.name(), old];
            replaced += transaction.execute(&update, &key).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(replaced)
    }

    async fn purpose_keys(&self) -> Result<Vec<(String, Vec<u8>)>, LogError> {
        let client = self.connector.plain().await?;
        let rows = client.query("SELECT purpose, wrapped FROM ledger.purpose_keys ORDER BY purpose", &[]).await;
        Ok(rows.map_err(failed)?.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    async fn rewrap_purpose_key(&self, purpose: &str, old: &[u8], new: &[u8]) -> Result<(), LogError> {
        let client = self.connector.plain().await?;
        let sql = "UPDATE ledger.purpose_keys SET wrapped = $1 WHERE purpose = $2 AND wrapped = $3";
        client.execute(sql, &[&new, &purpose, &old]).await.map(drop).map_err(failed)
    }

    async fn constrained(&self) -> Result<ConstraintSnapshot, LogError> {
        let mut client = self.connector.plain().await?;
        let snapshot = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let transaction = snapshot.start().await.map_err(failed)?;
        let heads = reader::heads(&transaction).await.map_err(failed)?;
        let mut kept = ConstraintState::default();
        let claims = transaction.query("SELECT organization, kind, hash, owner FROM log.claims", &[]).await;
        kept.claims.extend(claims.map_err(failed)?.iter().filter_map(rows::claim));
        let counters = "SELECT organization, name, value FROM log.counters WHERE value <> 0";
        kept.counts.extend(transaction.query(counters, &[]).await.map_err(failed)?.iter().map(rows::counter));
        Ok(ConstraintSnapshot { heads, kept })
    }

    async fn repair(&self, heads: &[Head], repair: &ConstraintRepair) -> Result<bool, LogError> {
        let mut client = self.connector.plain().await?;
        let transaction = client.transaction().await.map_err(failed)?;
        // Block appends: they depend on what is being changed.
        let lock = "SELECT partition FROM log.heads ORDER BY partition FOR UPDATE";
        transaction.query(lock, &[]).await.map_err(failed)?;
        if reader::heads(&transaction).await.map_err(failed)? != heads {
            return Ok(false);
        }
        for (key, owner) in &repair.claims {
            let partition = i32::from(self.shelf_of(key.organization).await?.0);
            let name: [&(dyn ToSql + Sync); 4] = [&partition, &key.organization.0, &&*key.kind, &&key.hash[..]];
            let delete =
                "DELETE FROM log.claims WHERE partition = $1 AND organization = $2 AND kind = $3 AND hash = $4";
            transaction.execute(delete, &name).await.map_err(failed)?;
            if let Some(owner) = owner {
                let insert = "INSERT INTO log.claims (partition, organization, kind, hash, owner)
                              VALUES ($1, $2, $3, $4, $5)";
                let [partition, organization, kind, hash] = name;
                transaction.execute(insert, &[partition, organization, kind, hash, owner]).await.map_err(failed)?;
            }
        }
        for (key, value) in &repair.counts {
            let partition = i32::from(self.shelf_of(key.organization).await?.0);
            let replace = "INSERT INTO log.counters (partition, organization, name, value) VALUES ($1, $2, $3, $4)
                           ON CONFLICT (partition, organization, name) DO UPDATE SET value = excluded.value";
            let count: [&(dyn ToSql + Sync); 4] = [&partition, &key.organization.0, &&*key.name, value];
            transaction.execute(replace, &count).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    async fn purpose_key(&self, purpose: &str, wrapped: &[u8]) -> Result<Vec<u8>, LogError> {
        let client = self.connector.plain().await?;
        let insert = "INSERT INTO ledger.purpose_keys (purpose, wrapped) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        client.execute(insert, &[&purpose, &wrapped]).await.map_err(failed)?;
        let stored = client.query_one("SELECT wrapped FROM ledger.purpose_keys WHERE purpose = $1", &[&purpose]).await;
        stored.map(|row| row.get(0)).map_err(failed)
    }
}

impl PostgresLog {
    /// The partition of an organization's rows. An unknown organization has no rows in any partition.
    pub(super) async fn shelf_of(&self, organization: OrganizationId) -> Result<PartitionId, LogError> {
        Ok(self.partition_of(organization).await?.unwrap_or(PartitionId::PLATFORM))
    }
}
