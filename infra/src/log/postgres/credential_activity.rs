//! Last activity of sessions and API keys, beside the log.

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::PersonId;
use porttask_runtime::{
    credential_activity::{ActivityRecord, LastSeen},
    log::{LogError, OrganizationId, SecretKind},
};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{PostgresLog, error::from_postgres};

/// Rows in key order, so that concurrent nodes do not deadlock.
const NOTE: &str =
    "INSERT INTO ledger.credential_activity AS old (partition, organization, owner, kind, used_at, home, person, trace)
    SELECT * FROM unnest($1::int4[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::uuid[], $7::uuid[],
        $8::bytea[]) AS new (partition, organization, owner) ORDER BY partition, organization, owner
    ON CONFLICT (partition, organization, owner) DO UPDATE
        SET used_at = excluded.used_at, home = excluded.home, person = excluded.person, trace = excluded.trace
        WHERE old.used_at < excluded.used_at";

#[async_trait]
impl LastSeen for PostgresLog {
    async fn last_seen(&self, organization: OrganizationId, owners: &[Uuid]) -> Result<Vec<ActivityRecord>, LogError> {
        let partition = self.shelf_of(organization).await?;
        let found = self.reader.last_seen(partition, organization, owners).await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn record_activity(&self, activity: &[ActivityRecord]) -> Result<(), LogError> {
        let mut partitions = Vec::with_capacity(activity.len());
        for organization in activity.iter().map(|it| it.organization) {
            partitions.push(i32::from(self.shelf_of(organization).await?.0));
        }
        let ids = |id: fn(&ActivityRecord) -> Uuid| activity.iter().map(id).collect::<Vec<_>>();
        let kinds: Vec<&str> = activity.iter().map(|it| it.kind.name()).collect();
        let times: Vec<Timestamp> = activity.iter().map(|it| it.at).collect();
        let traces: Vec<Option<&[u8]>> = activity.iter().map(|it| it.trace.as_deref()).collect();
        let (organizations, owners) = (ids(|it| it.organization.0), ids(|it| it.owner));
        let (homes, people) = (ids(|it| it.home.0), ids(|it| it.person.0));
        let client = self.connector.plain().await?;
        client
            .execute(NOTE, &[&partitions, &organizations, &owners, &kinds, &times, &homes, &people, &traces])
            .await
            .map(drop)
            .map_err(|error| from_postgres(&error))
    }

    async fn delete_activity(&self, kind: SecretKind, before: Timestamp) -> Result<u64, LogError> {
        let client = self.connector.plain().await?;
        let sql = "DELETE FROM ledger.credential_activity WHERE kind = $1 AND used_at < $2";
        client.execute(sql, &[&kind.name(), &before]).await.map_err(|error| from_postgres(&error))
    }
}

/// A stored record; `None` if its kind is unknown.
pub(super) fn stored(row: &Row, organization: OrganizationId) -> Option<ActivityRecord> {
    Some(ActivityRecord {
        organization,
        owner: row.get(0),
        kind: SecretKind::named(row.get(1))?,
        at: row.get(2),
        home: OrganizationId(row.get(3)),
        person: PersonId(row.get(4)),
        trace: row.get(5),
    })
}
