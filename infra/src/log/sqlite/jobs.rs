//! Jobs, beside the embedded log.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::JobId;
use porttask_runtime::{
    jobs::{Added, Job, JobEnd, JobLimits, JobProgress, JobState, Jobs, NewJob, ReachedLimit, stored},
    lease::{Holder, Lease},
    log::{LogError, OrganizationId},
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params, types::Type};

use super::{
    SqliteLog,
    reader::{self, Durable, from_now, uuid},
};

const JOB: &str = "SELECT id, organization, kind, actor, is_dry_run, state, done, total, counts, created_at, started_at, \
                   finished_at, failure, attempts, epoch, request_hash FROM ledger_jobs";
/// The next job: due, not leased, and the oldest unfinished one of its organization.
const NEXT: &str = "SELECT id FROM ledger_jobs AS job
    WHERE state IN ('waiting', 'running') AND (CASE state WHEN 'waiting' THEN due_at ELSE leased_until END) <= ?1
    AND kind IN (SELECT value FROM json_each(?2))
    AND NOT EXISTS (
        SELECT 1 FROM ledger_jobs AS older WHERE older.organization = job.organization
        AND older.state IN ('waiting', 'running') AND (older.created_at, older.id) < (job.created_at, job.id)
    ) AND NOT EXISTS (
        SELECT 1 FROM ledger_jobs AS running WHERE running.organization = job.organization
        AND running.state = 'running' AND running.id <> job.id
    )
    ORDER BY created_at, id LIMIT 1";

#[async_trait]
impl Jobs for SqliteLog {
    async fn add_job(&self, job: NewJob, limits: JobLimits) -> Result<Added, LogError> {
        self.readers.run_writing(Durable::AtOnce, move |connection| add(connection, &job, limits)).await
    }

    async fn reached_job_limit(
        &self,
        organization: OrganizationId,
        now: Timestamp,
        limits: JobLimits,
    ) -> Result<Option<ReachedLimit>, LogError> {
        self.readers.quickly(|connection| reached(connection, organization, now, limits))
    }

    async fn job(&self, organization: OrganizationId, id: JobId) -> Result<Option<Job>, LogError> {
        self.readers.quickly(|connection| {
            let sql = format!("{JOB} WHERE id = ?1 AND organization = ?2");
            let mut select = connection.prepare_cached(&sql)?;
            select.query_row(params![id.0.as_bytes(), organization.0.as_bytes()], job).optional()
        })
    }

    async fn job_report(&self, organization: OrganizationId, id: JobId) -> Result<Option<Vec<u8>>, LogError> {
        let select = move |connection: &Connection| {
            let sql = "SELECT bytes FROM ledger_job_payloads JOIN ledger_jobs ON id = job
                       WHERE job = ?1 AND organization = ?2 AND what = 'report'";
            let key = params![id.0.as_bytes(), organization.0.as_bytes()];
            connection.query_row(sql, key, |row| row.get(0)).optional()
        };
        self.readers.run(select).await
    }

    async fn jobs(
        &self,
        organization: OrganizationId,
        after: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Job>, LogError> {
        let select = move |connection: &Connection| {
            let sql = format!(
                "{JOB} WHERE organization = ?1 AND (?2 IS NULL OR (created_at, id) <
                    (SELECT created_at, id FROM ledger_jobs WHERE organization = ?1 AND id = ?2))
                 ORDER BY created_at DESC, id DESC LIMIT ?3"
            );
            let after = after.map(|id| id.0.as_bytes().to_vec());
            let mut select = connection.prepare_cached(&sql)?;
            select.query_map(params![organization.0.as_bytes(), after, limit as u64], job)?.collect()
        };
        self.readers.run(select).await
    }

    async fn take_job(&self, kinds: &[&str], lease: &Lease) -> Result<Option<(Job, Vec<u8>)>, LogError> {
        let kinds = kinds.iter().map(|kind| format!("\"{kind}\"")).collect::<Vec<_>>().join(",");
        let kinds = format!("[{kinds}]");
        // Usually nothing is due: check without the write lock first.
        let now = from_now(Duration::ZERO);
        let is_any = self.readers.quickly(|connection| connection.prepare_cached(NEXT)?.exists(params![now, kinds]))?;
        if !is_any {
            return Ok(None);
        }
        let lease = lease.clone();
        self.readers.run_writing(Durable::AtOnce, move |connection| take(connection, &kinds, &lease)).await
    }

    async fn keep_job(&self, id: JobId, epoch: u64, lease: &Lease, progress: &JobProgress) -> Result<bool, LogError> {
        let (lease, done, counts) = (lease.clone(), progress.done, stored::counts_text(&progress.counts));
        let keep = move |connection: &mut Connection| {
            let sql = "UPDATE ledger_jobs SET leased_until = ?3, holder = ?4, holder_run = ?5, done = ?6, counts = ?7
                       WHERE id = ?1 AND epoch = ?2 AND state = 'running'";
            let (until, Holder { node, run }) = (from_now(lease.duration()), &lease.holder);
            let kept = params![id.0.as_bytes(), epoch, until, node, run.as_bytes(), done, counts];
            Ok(connection.execute(sql, kept)? == 1)
        };
        self.readers.run_writing(Durable::AtOnce, keep).await
    }

    async fn take_over_jobs(&self, holder: &Holder) -> Result<u64, LogError> {
        let Holder { node, run } = holder.clone();
        let take_over = move |connection: &mut Connection| {
            let sql = "UPDATE ledger_jobs SET state = 'waiting', due_at = ?3, leased_until = NULL, holder = NULL,
                            holder_run = NULL
                       WHERE state = 'running' AND holder = ?1 AND holder_run <> ?2";
            Ok(connection.execute(sql, params![node, run.as_bytes(), from_now(Duration::ZERO)])? as u64)
        };
        self.readers.run_writing(Durable::AtOnce, take_over).await
    }

    async fn end_job(&self, id: JobId, epoch: u64, progress: &JobProgress, end: &JobEnd) -> Result<bool, LogError> {
        let (progress, end) = (progress.clone(), end.clone());
        let finish = move |connection: &mut Connection| finish(connection, id, epoch, &progress, &end);
        self.readers.run_writing(Durable::AtOnce, finish).await
    }

    async fn forget_jobs(&self, finished_before: Timestamp) -> Result<u64, LogError> {
        let forget = move |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let before = params![finished_before.as_microsecond()];
            transaction.execute(
                "DELETE FROM ledger_job_payloads WHERE job IN (SELECT id FROM ledger_jobs WHERE finished_at < ?1)",
                before,
            )?;
            let forgotten = transaction.execute("DELETE FROM ledger_jobs WHERE finished_at < ?1", before)?;
            transaction.commit()?;
            Ok(forgotten as u64)
        };
        self.readers.run_writing(Durable::AtOnce, forget).await
    }
}

/// The limit that an organization has reached, if any.
fn reached(
    connection: &Connection,
    organization: OrganizationId,
    now: Timestamp,
    limits: JobLimits,
) -> rusqlite::Result<Option<ReachedLimit>> {
    let sql = "SELECT
        (SELECT count(*) FROM ledger_jobs WHERE organization = ?1 AND state = 'waiting'),
        (SELECT count(*) FROM ledger_jobs WHERE organization = ?1 AND created_at > ?2)";
    let since = (now - JobLimits::DAY).as_microsecond();
    connection
        .prepare_cached(sql)?
        .query_row(params![organization.0.as_bytes(), since], |row| Ok(limits.reached(row.get(0)?, row.get(1)?)))
}

fn add(connection: &mut Connection, new: &NewJob, limits: JobLimits) -> rusqlite::Result<Added> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some((job, request_hash)) = by_id(&transaction, new.id)? {
        let is_same = job.organization == new.organization && request_hash == new.request_hash;
        return Ok(if is_same { Added::There(Box::new(job)) } else { Added::Another });
    }
    if let Some(limit) = reached(&transaction, new.organization, new.created_at, limits)? {
        return Ok(Added::Full(limit));
    }
    transaction.execute(
        "INSERT INTO ledger_jobs (id, organization, kind, actor, is_dry_run, request_hash, state, done, total, counts,
            created_at, due_at, attempts, epoch)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'waiting', 0, ?7, '{}', ?8, ?9, 0, 0)",
        params![
            new.id.0.as_bytes(),
            new.organization.0.as_bytes(),
            new.kind,
            stored::actor_text(new.actor),
            new.is_dry_run,
            new.request_hash,
            new.total,
            new.created_at.as_microsecond(),
            from_now(Duration::ZERO),
        ],
    )?;
    put_payload(&transaction, new.id, "input", &new.input)?;
    let added = by_id(&transaction, new.id)?;
    transaction.commit()?;
    let (job, _) = added.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    Ok(Added::There(Box::new(job)))
}

fn take(connection: &mut Connection, kinds: &str, lease: &Lease) -> rusqlite::Result<Option<(Job, Vec<u8>)>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let now = from_now(Duration::ZERO);
    let next = transaction.query_row(NEXT, params![now, kinds], |row| uuid(row, 0));
    let Some(id) = next.optional()?.map(JobId) else { return Ok(None) };
    let Holder { node, run } = &lease.holder;
    transaction.execute(
        "UPDATE ledger_jobs SET state = 'running', leased_until = ?2, holder = ?3, holder_run = ?4,
            started_at = coalesce(started_at, ?5), attempts = attempts + 1, epoch = epoch + 1, done = 0, counts = '{}'
         WHERE id = ?1",
        params![id.0.as_bytes(), from_now(lease.duration()), node, run.as_bytes(), now],
    )?;
    let taken = by_id(&transaction, id)?;
    let sql = "SELECT bytes FROM ledger_job_payloads WHERE job = ?1 AND what = 'input'";
    let input = transaction.query_row(sql, params![id.0.as_bytes()], |row| row.get(0))?;
    transaction.commit()?;
    Ok(taken.map(|(job, _)| (job, input)))
}

fn finish(
    connection: &mut Connection,
    id: JobId,
    epoch: u64,
    progress: &JobProgress,
    end: &JobEnd,
) -> rusqlite::Result<bool> {
    let (state, delay, spared, failure) = end.recorded();
    let finished_at = state.is_finished().then(|| from_now(Duration::ZERO));
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let changed = transaction.execute(
        "UPDATE ledger_jobs SET state = ?3, due_at = ?4, leased_until = NULL, holder = NULL, holder_run = NULL,
            attempts = attempts - ?5, failure = ?6, finished_at = ?7, done = ?8, counts = ?9, epoch = epoch + 1
         WHERE id = ?1 AND epoch = ?2 AND state = 'running'",
        params![
            id.0.as_bytes(),
            epoch,
            state.name(),
            from_now(delay),
            spared,
            failure,
            finished_at,
            progress.done,
            stored::counts_text(&progress.counts),
        ],
    )?;
    if changed == 0 {
        return Ok(false);
    }
    if state.is_finished() {
        let delete = "DELETE FROM ledger_job_payloads WHERE job = ?1 AND what = 'input'";
        transaction.execute(delete, params![id.0.as_bytes()])?;
    }
    if let JobEnd::Done { report } = end {
        put_payload(&transaction, id, "report", report)?;
    }
    transaction.commit()?;
    Ok(true)
}

fn put_payload(transaction: &Transaction<'_>, id: JobId, what: &str, bytes: &[u8]) -> rusqlite::Result<()> {
    let insert = "INSERT INTO ledger_job_payloads (job, what, bytes) VALUES (?1, ?2, ?3)";
    transaction.execute(insert, params![id.0.as_bytes(), what, bytes]).map(drop)
}

/// A job with its request hash.
fn by_id(connection: &Connection, id: JobId) -> rusqlite::Result<Option<(Job, [u8; 32])>> {
    let with_fingerprint = |row: &Row<'_>| Ok((job(row)?, row.get(15)?));
    connection.query_row(&format!("{JOB} WHERE id = ?1"), params![id.0.as_bytes()], with_fingerprint).optional()
}

/// Decodes the columns of [`JOB`].
fn job(row: &Row<'_>) -> rusqlite::Result<Job> {
    let unreadable =
        |column: usize, name: &str| rusqlite::Error::InvalidColumnType(column, name.to_owned(), Type::Text);
    let (actor, state, counts): (String, String, String) = (row.get(3)?, row.get(5)?, row.get(8)?);
    Ok(Job {
        id: JobId(uuid(row, 0)?),
        organization: OrganizationId(uuid(row, 1)?),
        kind: row.get(2)?,
        actor: stored::actor(&actor).ok_or_else(|| unreadable(3, "actor"))?,
        is_dry_run: row.get(4)?,
        state: JobState::named(&state).ok_or_else(|| unreadable(5, "state"))?,
        done: row.get(6)?,
        total: row.get(7)?,
        counts: stored::counts(&counts).ok_or_else(|| unreadable(8, "counts"))?,
        created_at: reader::timestamp(row, 9)?,
        started_at: reader::timestamp_if_any(row, 10)?,
        finished_at: reader::timestamp_if_any(row, 11)?,
        failure: row.get(12)?,
        attempts: row.get(13)?,
        epoch: row.get(14)?,
    })
}
