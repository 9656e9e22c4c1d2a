//! Jobs, beside the log.
//!
//! Every change except adding a job is one statement, so that a frozen node blocks no other. Adding a job blocks only
//! jobs of the same organization.

use async_trait::async_trait;
use deadpool_postgres::Transaction;
use jiff::Timestamp;
use porttask_domain::JobId;
use porttask_runtime::{
    jobs::{Added, Job, JobEnd, JobLimits, JobProgress, JobState, Jobs, NewJob, ReachedLimit, stored},
    lease::{Holder, Lease},
    log::{EventLog, LogError, OrganizationId},
};
use tokio_postgres::{Error, Row, error::SqlState, types::ToSql};

use super::{PostgresLog, error::from_postgres};

/// The columns read of a job, in this order.
const COLUMNS: &str = "job.id, job.organization, job.kind, job.actor, job.is_dry_run, job.state, job.done, job.total, \
                       job.counts, job.created_at, job.started_at, job.finished_at, job.failure, job.attempts, job.epoch";

/// Takes the next job: due, not leased, and the oldest unfinished one of its organization. Of two concurrent nodes, the
/// second finds it locked or changed.
const TAKE: &str = "WITH next AS (
        SELECT partition, organization, id FROM ledger.jobs AS job
        WHERE (state = 'waiting' AND due_at <= clock_timestamp() OR state = 'running' AND leased_until <= clock_timestamp())
        AND state IN ('waiting', 'running') AND kind = ANY($1)
        AND NOT EXISTS (
            SELECT FROM ledger.jobs AS older
            WHERE older.partition = job.partition AND older.organization = job.organization
            AND older.state IN ('waiting', 'running') AND (older.created_at, older.id) < (job.created_at, job.id)
        ) AND NOT EXISTS (
            SELECT FROM ledger.jobs AS running
            WHERE running.partition = job.partition AND running.organization = job.organization
            AND running.state = 'running' AND running.id <> job.id
        )
        ORDER BY created_at, id LIMIT 1 FOR UPDATE OF job SKIP LOCKED
    ), job AS (
        UPDATE ledger.jobs AS job SET state = 'running', leased_until = clock_timestamp() + make_interval(secs => $2),
            holder = $3, holder_run = $4, started_at = coalesce(started_at, clock_timestamp()),
            attempts = attempts + 1, epoch = epoch + 1, done = 0, counts = '{}'
        FROM next
        WHERE job.partition = next.partition AND job.organization = next.organization AND job.id = next.id
        RETURNING job.*
    )";

const KEEP: &str = "UPDATE ledger.jobs SET leased_until = clock_timestamp() + make_interval(secs => $3), holder = $4,
        holder_run = $5, done = $6, counts = $7
    WHERE id = $1 AND epoch = $2 AND state = 'running' RETURNING id";

const TAKE_OVER: &str = "UPDATE ledger.jobs SET state = 'waiting', due_at = clock_timestamp(), leased_until = NULL,
        holder = NULL, holder_run = NULL
    WHERE state = 'running' AND holder = $1 AND holder_run <> $2 RETURNING id";

const END: &str = "WITH ended AS (
        UPDATE ledger.jobs SET state = $3, due_at = clock_timestamp() + make_interval(secs => $4),
            leased_until = NULL, holder = NULL, holder_run = NULL, attempts = attempts - $5, failure = $6,
            finished_at = CASE WHEN $7 THEN clock_timestamp() END, done = $8, counts = $9, epoch = epoch + 1
        WHERE id = $1 AND epoch = $2 AND state = 'running'
        RETURNING partition, organization, id
    ), gone AS (
        DELETE FROM ledger.job_payloads AS paper USING ended
        WHERE paper.partition = ended.partition AND paper.organization = ended.organization AND paper.job = ended.id
        AND paper.what = 'input' AND $7
    ), reported AS (
        INSERT INTO ledger.job_payloads (partition, organization, job, what, bytes)
        SELECT partition, organization, id, 'report', $10 FROM ended WHERE $10::bytea IS NOT NULL
    )
    SELECT count(*) FROM ended";

const FORGET: &str = "WITH old AS (
        DELETE FROM ledger.jobs WHERE finished_at < $1 RETURNING partition, organization, id
    ), papers AS (
        DELETE FROM ledger.job_payloads AS paper USING old
        WHERE paper.partition = old.partition AND paper.organization = old.organization AND paper.job = old.id
    )
    SELECT count(*) FROM old";

/// The number of waiting jobs of an organization, and of jobs requested since.
const COUNT: &str = "SELECT
    (SELECT count(*) FROM ledger.jobs WHERE partition = $1 AND organization = $2 AND state = 'waiting'),
    (SELECT count(*) FROM ledger.jobs WHERE partition = $1 AND organization = $2 AND created_at > $3)";

/// Rolls back a node that freezes while others wait.
const IMPATIENT: &str = "SET LOCAL idle_in_transaction_session_timeout = '5s'; SET LOCAL lock_timeout = '10s'";

fn failed(error: Error) -> LogError {
    from_postgres(&error)
}

#[async_trait]
impl Jobs for PostgresLog {
    async fn add_job(&self, new: NewJob, limits: JobLimits) -> Result<Added, LogError> {
        let shelf = self.partition_of(new.organization).await?;
        let partition = shelf.map(|it| i32::from(it.0)).unwrap_or_default();
        let mut client = self.reader.client().await?;
        let transaction = client.transaction().await.map_err(failed)?;
        transaction.batch_execute(IMPATIENT).await.map_err(failed)?;
        let lock = "SELECT pg_advisory_xact_lock(hashtextextended('jobs ' || $1::text, 0))";
        transaction.execute(lock, &[&new.organization.0.to_string()]).await.map_err(failed)?;
        let find = format!("SELECT {COLUMNS}, job.request_hash FROM ledger.jobs AS job WHERE id = $1");
        if let Some(row) = transaction.query_opt(&find, &[&new.id.0]).await.map_err(failed)? {
            let job = job(&row)?;
            let is_same = job.organization == new.organization && row.get::<_, &[u8]>(15) == new.request_hash;
            return Ok(if is_same { Added::There(Box::new(job)) } else { Added::Another });
        }
        let since = new.created_at - JobLimits::DAY;
        let counts = transaction.query_one(COUNT, &[&partition, &new.organization.0, &since]).await.map_err(failed)?;
        if let Some(limit) = reached(&counts, limits) {
            return Ok(Added::Full(limit));
        }
        let added = insert(&transaction, partition, &new).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(Added::There(Box::new(job(&added)?)))
    }

    async fn reached_job_limit(
        &self,
        organization: OrganizationId,
        now: Timestamp,
        limits: JobLimits,
    ) -> Result<Option<ReachedLimit>, LogError> {
        let partition = self.partition_of(organization).await?.map(|it| i32::from(it.0)).unwrap_or_default();
        let since = now - JobLimits::DAY;
        let counts = self.job_rows(COUNT, &[&partition, &organization.0, &since]).await?;
        Ok(counts.first().and_then(|row| reached(row, limits)))
    }

    async fn job(&self, organization: OrganizationId, id: JobId) -> Result<Option<Job>, LogError> {
        let sql = format!("SELECT {COLUMNS} FROM ledger.jobs AS job WHERE id = $1 AND organization = $2");
        self.job_rows(&sql, &[&id.0, &organization.0]).await?.first().map(job).transpose()
    }

    async fn job_report(&self, organization: OrganizationId, id: JobId) -> Result<Option<Vec<u8>>, LogError> {
        let partition = self.partition_of(organization).await?.map(|it| i32::from(it.0)).unwrap_or_default();
        let sql = "SELECT bytes FROM ledger.job_payloads
                   WHERE partition = $1 AND organization = $2 AND job = $3 AND what = 'report'";
        Ok(self.job_rows(sql, &[&partition, &organization.0, &id.0]).await?.first().map(|row| row.get(0)))
    }

    async fn jobs(
        &self,
        organization: OrganizationId,
        after: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Job>, LogError> {
        let partition = self.partition_of(organization).await?.map(|it| i32::from(it.0)).unwrap_or_default();
        let sql = format!(
            "SELECT {COLUMNS} FROM ledger.jobs AS job WHERE partition = $1 AND organization = $2
             AND ($3::uuid IS NULL OR (created_at, id) < (
                SELECT created_at, id FROM ledger.jobs WHERE partition = $1 AND organization = $2 AND id = $3
             ))
             ORDER BY created_at DESC, id DESC LIMIT $4"
        );
        let (after, limit) = (after.map(|id| id.0), limit as i64);
        self.job_rows(&sql, &[&partition, &organization.0, &after, &limit]).await?.iter().map(job).collect()
    }

    async fn take_job(&self, kinds: &[&str], lease: &Lease) -> Result<Option<(Job, Vec<u8>)>, LogError> {
        let sql = format!(
            "{TAKE} SELECT {COLUMNS}, paper.bytes FROM job JOIN ledger.job_payloads AS paper
             ON paper.partition = job.partition AND paper.organization = job.organization AND paper.job = job.id
             AND paper.what = 'input'"
        );
        let client = self.reader.client().await?;
        let statement = client.prepare_cached(&sql).await.map_err(failed)?;
        let Holder { node, run } = &lease.holder;
        let taken = match client.query_opt(&statement, &[&kinds, &lease.duration().as_secs_f64(), node, run]).await {
            // Another node took another job of the same organization at the same time.
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => None,
            taken => taken.map_err(failed)?,
        };
        taken.map(|row| Ok((job(&row)?, row.get(15)))).transpose()
    }

    async fn keep_job(&self, id: JobId, epoch: u64, lease: &Lease, progress: &JobProgress) -> Result<bool, LogError> {
        let (Holder { node, run }, seconds) = (&lease.holder, lease.duration().as_secs_f64());
        let (done, counts) = (progress.done as i64, stored::counts_text(&progress.counts));
        let kept = self.job_rows(KEEP, &[&id.0, &(epoch as i64), &seconds, node, run, &done, &counts]).await?;
        Ok(!kept.is_empty())
    }

    async fn take_over_jobs(&self, holder: &Holder) -> Result<u64, LogError> {
        Ok(self.job_rows(TAKE_OVER, &[&holder.node, &holder.run]).await?.len() as u64)
    }

    async fn end_job(&self, id: JobId, epoch: u64, progress: &JobProgress, end: &JobEnd) -> Result<bool, LogError> {
        let (state, delay, spared, failure) = end.recorded();
        let delay = delay.as_secs_f64();
        let spared = spared as i32;
        let report = if let JobEnd::Done { report } = end { Some(report) } else { None };
        let is_finished = state.is_finished();
        let (epoch, done, counts) = (epoch as i64, progress.done as i64, stored::counts_text(&progress.counts));
        let parameters: [&(dyn ToSql + Sync); 10] =
            [&id.0, &epoch, &state.name(), &delay, &spared, &failure, &is_finished, &done, &counts, &report];
        let ended = self.job_rows(END, &parameters).await?;
        Ok(ended.first().is_some_and(|row| row.get::<_, i64>(0) == 1))
    }

    async fn forget_jobs(&self, finished_before: Timestamp) -> Result<u64, LogError> {
        let forgotten = self.job_rows(FORGET, &[&finished_before]).await?;
        Ok(forgotten.first().map_or(0, |row| row.get::<_, i64>(0) as u64))
    }
}

impl PostgresLog {
    async fn job_rows(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, LogError> {
        let client = self.reader.client().await?;
        let statement = client.prepare_cached(sql).await.map_err(failed)?;
        client.query(&statement, parameters).await.map_err(failed)
    }
}

/// The limit that the counts of [`COUNT`] reach, if any.
fn reached(counts: &Row, limits: JobLimits) -> Option<ReachedLimit> {
    limits.reached(counts.get::<_, i64>(0) as u64, counts.get::<_, i64>(1) as u64)
}

/// Records a job and its input.
async fn insert(client: &Transaction<'_>, partition: i32, new: &NewJob) -> Result<Row, Error> {
    let sql = format!(
        "WITH job AS (
            INSERT INTO ledger.jobs AS job (partition, organization, id, kind, actor, is_dry_run, request_hash, state,
                done, total, counts, created_at, due_at, attempts, epoch)
            VALUES ($1, $2, $3, $4, $5, $6, $7, 'waiting', 0, $8, '{{}}', $9, clock_timestamp(), 0, 0)
            RETURNING job.*
        ), paper AS (
            INSERT INTO ledger.job_payloads (partition, organization, job, what, bytes)
            SELECT partition, organization, id, 'input', $10 FROM job
        )
        SELECT {COLUMNS} FROM job"
    );
    let (actor, total) = (stored::actor_text(new.actor), new.total as i64);
    let parameters: [&(dyn ToSql + Sync); 10] = [
        &partition,
        &new.organization.0,
        &new.id.0,
        &new.kind,
        &actor,
        &new.is_dry_run,
        &&new.request_hash[..],
        &total,
        &new.created_at,
        &new.input,
    ];
    client.query_one(&sql, &parameters).await
}

/// Decodes the columns of [`COLUMNS`].
fn job(row: &Row) -> Result<Job, LogError> {
    let id = JobId(row.get(0));
    let damaged = |what: &str| LogError::Damaged(format!("{what} of {id} in ledger.jobs cannot be read"));
    Ok(Job {
        id,
        organization: OrganizationId(row.get(1)),
        kind: row.get(2),
        actor: stored::actor(row.get(3)).ok_or_else(|| damaged("actor"))?,
        is_dry_run: row.get(4),
        state: JobState::named(row.get(5)).ok_or_else(|| damaged("state"))?,
        done: row.get::<_, i64>(6) as u64,
        total: row.get::<_, i64>(7) as u64,
        counts: stored::counts(row.get(8)).ok_or_else(|| damaged("counts"))?,
        created_at: row.get(9),
        started_at: row.get(10),
        finished_at: row.get(11),
        failure: row.get(12),
        attempts: row.get::<_, i32>(13) as u32,
        epoch: row.get::<_, i64>(14) as u64,
    })
}
