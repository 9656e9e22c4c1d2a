//! Counts of requests with API keys, beside the embedded log.

use async_trait::async_trait;
use jiff::civil::Date;
use porttask_domain::ApiKeyId;
use porttask_runtime::{
    log::{LogError, OrganizationId},
    usage_counts::{OpenDay, OpenUsage, UsageCount, UsageCounts},
};
use rusqlite::{Connection, Row, TransactionBehavior, params, types::Type};

use super::{
    SqliteLog,
    reader::{Durable, uuid},
};

const REPORT: &str = "INSERT INTO ledger_usage_counts AS old (organization, day, run, key, count, is_open)
    VALUES (?1, ?2, ?3, ?4, ?5, TRUE)
    ON CONFLICT (organization, day, run, key) DO UPDATE SET count = excluded.count, is_open = TRUE
    WHERE old.count < excluded.count";

const OPEN: &str = "SELECT taken_for, sum(count - recorded - taken), sum(taken) FROM ledger_usage_counts
    WHERE organization = ?1 AND day >= ?2 AND is_open GROUP BY taken_for";

const DAYS: &str = "SELECT DISTINCT day, organization, taken_for FROM ledger_usage_counts
    WHERE is_open AND day <= ?1 AND (day, organization) > (?2, ?3) ORDER BY day, organization, taken_for LIMIT ?4";

const IS_TAKEN: &str = "SELECT EXISTS (SELECT 1 FROM ledger_usage_counts WHERE organization = ?1 AND taken_for = ?2)";

const TAKE: &str = "UPDATE ledger_usage_counts SET taken = count - recorded, taken_for = ?2
    WHERE organization = ?1 AND day <= ?2 AND is_open AND taken_for IS NULL";

const TAKEN: &str = "SELECT key, sum(taken) FROM ledger_usage_counts WHERE organization = ?1 AND taken_for = ?2
    GROUP BY key ORDER BY key";

const SETTLE: &str = "UPDATE ledger_usage_counts
    SET recorded = recorded + iif(?3, taken, 0), taken = 0, taken_for = NULL,
        is_open = count > recorded + iif(?3, taken, 0)
    WHERE organization = ?1 AND taken_for = ?2";

// Lost writes are harmless: a node reports again. What was taken and then recorded by an event is durable with that event.
#[async_trait]
impl UsageCounts for SqliteLog {
    async fn report_usage(&self, counts: &[UsageCount]) -> Result<(), LogError> {
        let counts = counts.to_vec();
        let report = move |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for UsageCount { run, organization, key, day, count } in counts {
                let (day, count) = (day.to_string(), count as i64);
                let values = params![organization.0.as_bytes(), day, run.as_bytes(), key.0.as_bytes(), count];
                transaction.prepare_cached(REPORT)?.execute(values)?;
            }
            transaction.commit()
        };
        self.readers.run_writing(Durable::Soon, report).await
    }

    async fn open_usage(&self, organization: OrganizationId, from: Date) -> Result<Vec<OpenUsage>, LogError> {
        self.readers.quickly(|connection| {
            let mut select = connection.prepare_cached(OPEN)?;
            let mut rows = select.query(params![organization.0.as_bytes(), from.to_string()])?;
            let mut open = Vec::new();
            while let Some(row) = rows.next()? {
                open.push(OpenUsage { taken_for: None, count: row.get::<_, i64>(1)? as u64 });
                if let Some(day) = optional_date(row, 0)? {
                    open.push(OpenUsage { taken_for: Some(day), count: row.get::<_, i64>(2)? as u64 });
                }
            }
            Ok(open)
        })
    }

    async fn open_days(
        &self,
        until: Date,
        after: Option<(Date, OrganizationId)>,
        limit: usize,
    ) -> Result<Vec<OpenDay>, LogError> {
        let (day, organization) =
            after.map_or((String::new(), OrganizationId::PLATFORM), |(day, it)| (day.to_string(), it));
        self.readers.quickly(|connection| {
            let stored = |row: &Row<'_>| {
                let (organization, taken_for) = (OrganizationId(uuid(row, 1)?), optional_date(row, 2)?);
                Ok(OpenDay { day: date(row, 0)?, organization, taken_for })
            };
            let mut select = connection.prepare_cached(DAYS)?;
            let until = until.to_string();
            select.query_map(params![until, day, organization.0.as_bytes(), limit as i64], stored)?.collect()
        })
    }

    async fn take_usage(&self, organization: OrganizationId, day: Date) -> Result<Vec<(ApiKeyId, u64)>, LogError> {
        let take = move |connection: &mut Connection| {
            let key = (organization.0.into_bytes(), day.to_string());
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let is_taken: bool = transaction.query_row(IS_TAKEN, params![key.0, key.1], |row| row.get(0))?;
            if !is_taken {
                transaction.execute(TAKE, params![key.0, key.1])?;
            }
            let taken = |row: &Row<'_>| Ok((ApiKeyId(uuid(row, 0)?), row.get::<_, i64>(1)? as u64));
            let taken: rusqlite::Result<Vec<_>> =
                transaction.prepare(TAKEN)?.query_map(params![key.0, key.1], taken)?.collect();
            transaction.commit()?;
            taken
        };
        self.readers.run_writing(Durable::Soon, take).await
    }

    async fn settle_usage(&self, organization: OrganizationId, day: Date, is_recorded: bool) -> Result<(), LogError> {
        let settle = move |connection: &mut Connection| {
            let values = params![organization.0.as_bytes(), day.to_string(), is_recorded];
            connection.execute(SETTLE, values).map(drop)
        };
        self.readers.run_writing(Durable::Soon, settle).await
    }

    async fn delete_usage(&self, before: Date) -> Result<u64, LogError> {
        let delete = move |connection: &mut Connection| {
            let delete = "DELETE FROM ledger_usage_counts WHERE day < ?1 AND NOT is_open";
            connection.execute(delete, [before.to_string()]).map(|count| count as u64)
        };
        self.readers.run_writing(Durable::Soon, delete).await
    }
}

fn date(row: &Row<'_>, column: usize) -> rusqlite::Result<Date> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

fn optional_date(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Date>> {
    match row.get_ref(column)?.data_type() {
        Type::Null => Ok(None),
        _ => date(row, column).map(Some),
    }
}
