//! Counts of requests with API keys, beside the log.

use async_trait::async_trait;
use jiff::civil::Date;
use porttask_domain::ApiKeyId;
use porttask_runtime::{
    log::{LogError, OrganizationId},
    usage_counts::{OpenDay, OpenUsage, UsageCount, UsageCounts},
};
use tokio_postgres::Row;
use uuid::Uuid;

use super::PostgresLog;

/// Rows in key order, so that concurrent nodes do not deadlock.
const REPORT: &str = "INSERT INTO ledger.usage_counts AS old (organization, day, run, key, count, is_open)
    SELECT organization, day, run, key, count, true
    FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::int8[]) AS new (organization, day, run, key, count)
    ORDER BY organization, day, run, key
    ON CONFLICT (organization, day, run, key) DO UPDATE SET count = excluded.count, is_open = true
    WHERE old.count < excluded.count";

const OPEN: &str = "SELECT taken_for, sum(count - recorded - taken)::int8, sum(taken)::int8 FROM ledger.usage_counts
    WHERE organization = $1 AND day >= $2 AND is_open GROUP BY taken_for";

const DAYS: &str = "SELECT DISTINCT day, organization, taken_for FROM ledger.usage_counts
    WHERE is_open AND day <= $1 AND (day, organization) > ($2, $3) ORDER BY day, organization, taken_for LIMIT $4";

const TAKE: &str = "UPDATE ledger.usage_counts SET taken = count - recorded, taken_for = $2
    WHERE organization = $1 AND day <= $2 AND is_open AND taken_for IS NULL
        AND NOT EXISTS (SELECT FROM ledger.usage_counts WHERE organization = $1 AND taken_for = $2)";

const TAKEN: &str = "SELECT key, sum(taken)::int8 FROM ledger.usage_counts
    WHERE organization = $1 AND is_open AND taken_for = $2 GROUP BY key ORDER BY key";

const SETTLE: &str = "UPDATE ledger.usage_counts
    SET recorded = recorded + CASE WHEN $3 THEN taken ELSE 0 END, taken = 0, taken_for = NULL,
        is_open = count > recorded + CASE WHEN $3 THEN taken ELSE 0 END
    WHERE organization = $1 AND taken_for = $2";

#[async_trait]
impl UsageCounts for PostgresLog {
    async fn report_usage(&self, counts: &[UsageCount]) -> Result<(), LogError> {
        let ids = |id: fn(&UsageCount) -> Uuid| counts.iter().map(id).collect::<Vec<_>>();
        let (organizations, runs, keys) = (ids(|it| it.organization.0), ids(|it| it.run), ids(|it| it.key.0));
        let days: Vec<String> = counts.iter().map(|it| it.day.to_string()).collect();
        let counts: Vec<i64> = counts.iter().map(|it| it.count as i64).collect();
        self.changed(REPORT, &[&organizations, &days, &runs, &keys, &counts]).await.map(drop)
    }

    async fn open_usage(&self, organization: OrganizationId, from: Date) -> Result<Vec<OpenUsage>, LogError> {
        let mut open = Vec::new();
        for row in self.rows(OPEN, &[&organization.0, &from.to_string()]).await? {
            open.push(OpenUsage { taken_for: None, count: row.get::<_, i64>(1) as u64 });
            if let Some(day) = optional_date(&row, 0)? {
                open.push(OpenUsage { taken_for: Some(day), count: row.get::<_, i64>(2) as u64 });
            }
        }
        Ok(open)
    }

    async fn open_days(
        &self,
        until: Date,
        after: Option<(Date, OrganizationId)>,
        limit: usize,
    ) -> Result<Vec<OpenDay>, LogError> {
        let (day, organization) =
            after.map_or((String::new(), Uuid::nil()), |(day, organization)| (day.to_string(), organization.0));
        let rows = self.rows(DAYS, &[&until.to_string(), &day, &organization, &(limit as i64)]).await?;
        let stored = |row: &Row| {
            let (organization, taken_for) = (OrganizationId(row.get(1)), optional_date(row, 2)?);
            Ok(OpenDay { day: date(row.get(0))?, organization, taken_for })
        };
        rows.iter().map(stored).collect()
    }

    async fn take_usage(&self, organization: OrganizationId, day: Date) -> Result<Vec<(ApiKeyId, u64)>, LogError> {
        let day = day.to_string();
        self.changed(TAKE, &[&organization.0, &day]).await?;
        let rows = self.rows(TAKEN, &[&organization.0, &day]).await?;
        Ok(rows.iter().map(|row| (ApiKeyId(row.get(0)), row.get::<_, i64>(1) as u64)).collect())
    }

    async fn settle_usage(&self, organization: OrganizationId, day: Date, is_recorded: bool) -> Result<(), LogError> {
        self.changed(SETTLE, &[&organization.0, &day.to_string(), &is_recorded]).await.map(drop)
    }

    async fn delete_usage(&self, before: Date) -> Result<u64, LogError> {
        let delete = "DELETE FROM ledger.usage_counts WHERE day < $1 AND NOT is_open";
        self.changed(delete, &[&before.to_string()]).await
    }
}

fn date(text: &str) -> Result<Date, LogError> {
    text.parse().map_err(|error| LogError::Damaged(format!("the day {text:?} of a count of usage: {error}")))
}

fn optional_date(row: &Row, column: usize) -> Result<Option<Date>, LogError> {
    row.get::<_, Option<&str>>(column).map(date).transpose()
}
