//! Tasks and the cursors of reactors, beside the log.
//!
//! Every change is one statement, so that a frozen node blocks no other.

use std::{collections::HashSet, sync::PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_runtime::{
    lease::{Holder, Lease},
    log::{Checkpoint, EventId, Incarnation, LogError, OrganizationId, PartitionId, Position},
    tasks::{Attempt, NewTask, Outcome, Task, TaskCounts, TaskFilter, TaskId, TaskState, Tasks},
};
use tokio_postgres::{Error, Row, error::SqlState, types::ToSql};
use uuid::Uuid;

use super::{PostgresLog, error::from_postgres, rows};

const CURSORS: &str =
    "SELECT partition, incarnation, \"offset\", event_id FROM ledger.cursors WHERE reactor = $1 ORDER BY partition";

const PUT: &str = "INSERT INTO ledger.cursors (partition, reactor, incarnation, \"offset\", event_id)
    SELECT at.partition, $1, at.incarnation, at.\"offset\", at.event_id
    FROM unnest($2::int4[], $3::uuid[], $4::int8[], $5::uuid[]) AS at (partition, incarnation, \"offset\", event_id)
    ON CONFLICT (partition, reactor)";

/// The cursor's row is locked first: of two concurrent nodes, the second finds it moved and adds nothing.
const SCHEDULE: &str = "WITH moved AS (
        UPDATE ledger.cursors SET incarnation = $6, \"offset\" = $7, event_id = $8
        WHERE partition = $1 AND reactor = $2 AND incarnation = $3 AND \"offset\" = $4 AND event_id = $5
        RETURNING partition
    ), added AS (
        INSERT INTO ledger.tasks (partition, reactor, id, organization, kind, subject, number, target, state, due_at,
            attempts, epoch)
        SELECT moved.partition, $2, task.id, task.organization, task.kind, task.subject, task.number, task.target,
            CASE WHEN task.due_at > clock_timestamp() THEN 'scheduled' ELSE 'due' END,
            coalesce(task.due_at, clock_timestamp()), 0, 0
        FROM moved, unnest($9::uuid[], $10::uuid[], $11::text[], $12::uuid[], $13::int8[], $14::uuid[],
            $15::timestamptz[]) WITH ORDINALITY
            AS task (id, organization, kind, subject, number, target, due_at, place)
        ORDER BY task.place
    )
    SELECT count(*) FROM moved";

/// The columns read of a task, in this order.
macro_rules! columns {
    ($table:literal) => {
        concat!(
            $table,
            ".id, ",
            $table,
            ".reactor, ",
            $table,
            ".organization, ",
            $table,
            ".kind, ",
            $table,
            ".subject, ",
            $table,
            ".number, ",
            $table,
            ".target, ",
            $table,
            ".due_at, ",
            $table,
            ".leased_until, ",
            $table,
            ".attempts, ",
            $table,
            ".epoch, ",
            $table,
            ".last_error, ",
            $table,
            ".state = 'dead_lettered', ",
            $table,
            ".partition"
        )
    };
}

/// Ends a lease.
macro_rules! no_lease {
    () => {
        "leased_until = NULL, holder = NULL, holder_run = NULL"
    };
}

/// Makes tasks due whose time has come or whose lease has expired: so the oldest due task of a target is found without
/// reading those that wait. Skips what another node is changing at the moment.
const MAKE_DUE: &str = concat!(
    "WITH waited AS (
        SELECT partition, id FROM ledger.tasks
        WHERE reactor = $1 AND state = 'scheduled' AND due_at <= (SELECT clock_timestamp()) FOR UPDATE SKIP LOCKED
    ), expired AS (
        SELECT partition, id FROM ledger.tasks
        WHERE reactor = $1 AND state = 'running' AND leased_until <= (SELECT clock_timestamp()) FOR UPDATE SKIP LOCKED
    )
    UPDATE ledger.tasks AS task SET state = 'due', ",
    no_lease!(),
    "
    FROM (SELECT partition, id FROM waited UNION ALL SELECT partition, id FROM expired) AS due
    WHERE task.partition = due.partition AND task.id = due.id"
);

/// Skips from target to target in the index of due tasks, whose first entry of a target is the oldest. Reads one row for
/// each claimed task and each running one, however many are due. The comparison by a subquery cannot be planned as a
/// join, which would read all targets.
const CLAIM: &str = concat!(
    "WITH RECURSIVE oldest (partition, target, id) AS (
        (
            SELECT task.partition, task.target, task.id FROM ledger.tasks AS task
            WHERE reactor = $1 AND state = 'due' AND (task.partition, task.target) > ($2, $3)
            ORDER BY task.partition, task.target, task.rank LIMIT 1
        )
        UNION ALL
        SELECT next.partition, next.target, next.id FROM oldest AS last CROSS JOIN LATERAL (
            SELECT task.partition, task.target, task.id FROM ledger.tasks AS task
            WHERE reactor = $1 AND state = 'due' AND (task.partition, task.target) > (last.partition, last.target)
            ORDER BY task.partition, task.target, task.rank LIMIT 1
        ) AS next
    ), free AS MATERIALIZED (
        SELECT partition, id FROM oldest
        WHERE (
            SELECT count(*) FROM ledger.tasks AS running
            WHERE running.reactor = $1 AND running.partition = oldest.partition AND running.target = oldest.target
            AND running.state = 'running'
        ) = 0
        LIMIT $4
    ), locked AS MATERIALIZED (
        SELECT task.partition, task.id FROM free
        JOIN ledger.tasks AS task ON task.partition = free.partition AND task.id = free.id
        WHERE task.state = 'due' FOR UPDATE OF task SKIP LOCKED
    )
    UPDATE ledger.tasks AS task SET state = 'running', leased_until = clock_timestamp() + make_interval(secs => $5),
        holder = $6, holder_run = $7, attempts = attempts + 1, epoch = epoch + 1
    FROM locked WHERE task.partition = locked.partition AND task.id = locked.id
    RETURNING ",
    columns!("task")
);

const RENEW: &str = "UPDATE ledger.tasks SET leased_until = clock_timestamp() + make_interval(secs => $3), holder = $4,
        holder_run = $5
    WHERE id = $1 AND epoch = $2 AND state = 'running'";

const TAKE_OVER: &str = concat!(
    "UPDATE ledger.tasks SET state = 'due', ",
    no_lease!(),
    " WHERE reactor = $1 AND state = 'running' AND holder = $2 AND holder_run <> $3"
);

const POSTPONE: &str = concat!(
    "UPDATE ledger.tasks SET state = 'scheduled', epoch = epoch + 1, last_error = $4,
        due_at = clock_timestamp() + make_interval(secs => $3), ",
    no_lease!(),
    " WHERE id = $1 AND epoch = $2 AND state <> 'dead_lettered'"
);

const DEAD_LETTER: &str = concat!(
    "UPDATE ledger.tasks SET state = 'dead_lettered', epoch = epoch + 1, last_error = $3, ",
    no_lease!(),
    " WHERE id = $1 AND epoch = $2 AND state <> 'dead_lettered'"
);

/// Where claiming begins if it continues nowhere: before every target.
const BEGIN: Target = (-1, Uuid::nil());
/// How often a claim is repeated because another node claimed a task of the same target at the same time.
const CLAIM_ATTEMPTS: u32 = 3;

/// The partition and the target of a task.
pub(super) type Target = (i32, Uuid);

const DONE: &str = "DELETE FROM ledger.tasks AS task
    USING unnest($1::uuid[], $2::int8[]) AS done (id, epoch)
    WHERE task.id = done.id AND task.epoch = done.epoch AND task.state <> 'dead_lettered' RETURNING task.id";

const TASKS: &str = concat!(
    "SELECT ",
    columns!("task"),
    " FROM ledger.tasks AS task
    WHERE id > $1 AND ($2::uuid IS NULL OR organization = $2)"
);

const TASK: &str = concat!("SELECT ", columns!("task"), " FROM ledger.tasks AS task WHERE id = $1");

const TASKS_OF: &str = concat!(
    "SELECT ",
    columns!("task"),
    " FROM ledger.tasks AS task
    WHERE partition = $1 AND organization = $2 AND target = ANY($3) ORDER BY rank"
);

const COUNTS: &str = "SELECT count(*) FILTER (WHERE state <> 'dead_lettered'),
        count(*) FILTER (WHERE state = 'dead_lettered')
    FROM ledger.tasks WHERE reactor = $1";

const RETRY: &str = "UPDATE ledger.tasks SET state = 'due', due_at = clock_timestamp(), attempts = 0, epoch = epoch + 1
    WHERE id = $1 AND state = 'dead_lettered' AND epoch = $2";

#[async_trait]
impl Tasks for PostgresLog {
    async fn cursors(&self, reactor: &str) -> Result<Vec<Checkpoint>, LogError> {
        Ok(self.rows(CURSORS, &[&reactor]).await?.iter().map(checkpoint).collect())
    }

    async fn begin(&self, reactor: &str, at: &[Checkpoint]) -> Result<(), LogError> {
        self.put(reactor, at, "DO NOTHING").await
    }

    async fn put_cursors(&self, reactor: &str, at: &[Checkpoint]) -> Result<(), LogError> {
        let replace = "DO UPDATE SET incarnation = excluded.incarnation, \"offset\" = excluded.\"offset\",
                       event_id = excluded.event_id";
        self.put(reactor, at, replace).await
    }

    async fn schedule(
        &self,
        reactor: &str,
        before: &Checkpoint,
        after: &Checkpoint,
        tasks: &[NewTask],
    ) -> Result<bool, LogError> {
        let partition = i32::from(before.position.partition.0);
        let offset = |checkpoint: &Checkpoint| checkpoint.position.offset.0 as i64;
        let (from, to) = (offset(before), offset(after));
        let ids: Vec<Uuid> = tasks.iter().map(|task| task.id.0).collect();
        let organizations: Vec<Uuid> = tasks.iter().map(|task| task.organization.0).collect();
        let kinds: Vec<&str> = tasks.iter().map(|task| task.kind).collect();
        let subjects: Vec<Uuid> = tasks.iter().map(|task| task.subject).collect();
        let numbers: Vec<i64> = tasks.iter().map(|task| task.number as i64).collect();
        let targets: Vec<Uuid> = tasks.iter().map(|task| task.target).collect();
        let due: Vec<Option<Timestamp>> = tasks.iter().map(|task| task.due_at).collect();
        let parameters: [&(dyn ToSql + Sync); 15] = [
            &partition,
            &reactor,
            &before.incarnation.0,
            &from,
            &before.event_id.0,
            &after.incarnation.0,
            &to,
            &after.event_id.0,
            &ids,
            &organizations,
            &kinds,
            &subjects,
            &numbers,
            &targets,
            &due,
        ];
        let moved = self.rows(SCHEDULE, &parameters).await?;
        Ok(moved.first().is_some_and(|row| row.get::<_, i64>(0) == 1))
    }

    async fn claim(&self, reactor: &str, lease: &Lease, limit: usize) -> Result<Vec<Task>, LogError> {
        self.changed(MAKE_DUE, &[&reactor]).await?;
        let last = self.last_targets.lock().unwrap_or_else(PoisonError::into_inner).get(reactor).copied();
        let last = last.unwrap_or(BEGIN);
        let (mut claimed, mut reached) = self.claim_after(reactor, last, lease, limit).await?;
        if claimed.len() < limit && last != BEGIN {
            match self.claim_after(reactor, BEGIN, lease, limit - claimed.len()).await {
                Ok((others, at)) => {
                    claimed.extend(others);
                    reached = at;
                }
                Err(error) if claimed.is_empty() => return Err(error),
                // What is leased must be run.
                Err(_) => {}
            }
        }
        // Targets take turns: the next claim continues after the last target, or from the first if there were no more.
        let next = reached.filter(|_| claimed.len() == limit).unwrap_or(BEGIN);
        self.last_targets.lock().unwrap_or_else(PoisonError::into_inner).insert(reactor.to_owned(), next);
        Ok(claimed)
    }

    async fn renew(&self, id: TaskId, epoch: u64, lease: &Lease) -> Result<bool, LogError> {
        let Holder { node, run } = &lease.holder;
        let (epoch, seconds) = (epoch as i64, lease.duration().as_secs_f64());
        Ok(self.changed(RENEW, &[&id.0, &epoch, &seconds, node, run]).await? == 1)
    }

    async fn take_over_tasks(&self, reactor: &str, holder: &Holder) -> Result<u64, LogError> {
        self.changed(TAKE_OVER, &[&reactor, &holder.node, &holder.run]).await
    }

    async fn finish(&self, attempts: &[Attempt]) -> Result<Vec<bool>, LogError> {
        let done = attempts.iter().filter(|attempt| attempt.outcome == Outcome::Done);
        let (ids, epochs): (Vec<Uuid>, Vec<i64>) = done.map(|it| (it.id.0, it.epoch as i64)).unzip();
        let removed = if ids.is_empty() { Vec::new() } else { self.rows(DONE, &[&ids, &epochs]).await? };
        let removed: HashSet<Uuid> = removed.iter().map(|row| row.get(0)).collect();
        let mut finished = Vec::with_capacity(attempts.len());
        for Attempt { id, epoch, outcome } in attempts {
            let epoch = *epoch as i64;
            finished.push(match outcome {
                Outcome::Done => removed.contains(&id.0),
                Outcome::Retry { delay, error } => {
                    self.changed(POSTPONE, &[&id.0, &epoch, &delay.as_secs_f64(), &error.as_str()]).await? == 1
                }
                Outcome::Dead { error } => self.changed(DEAD_LETTER, &[&id.0, &epoch, &error.as_str()]).await? == 1,
            });
        }
        Ok(finished)
    }

    async fn tasks(&self, filter: &TaskFilter, after: Option<TaskId>, limit: usize) -> Result<Vec<Task>, LogError> {
        let after = after.map_or(Uuid::nil(), |after| after.0);
        let organization = filter.organization.map(|organization| organization.0);
        let state = match filter.state {
            None => "",
            Some(TaskState::Waiting) => "AND state IN ('due', 'scheduled')",
            Some(TaskState::Running) => "AND state = 'running'",
            Some(TaskState::DeadLettered) => "AND state = 'dead_lettered'",
        };
        let sql = format!("{TASKS} {state} ORDER BY id LIMIT $3");
        let found = self.rows(&sql, &[&after, &organization, &(limit as i64)]).await?;
        Ok(found.iter().map(task).collect())
    }

    async fn tasks_of(&self, organization: OrganizationId, targets: &[Uuid]) -> Result<Vec<Task>, LogError> {
        let partition = i32::from(self.shelf_of(organization).await?.0);
        let found = self.rows(TASKS_OF, &[&partition, &organization.0, &targets]).await?;
        Ok(found.iter().map(task).collect())
    }

    async fn count_tasks(&self, reactor: &str) -> Result<TaskCounts, LogError> {
        let counted = self.rows(COUNTS, &[&reactor]).await?;
        let count = |row: &Row, column| row.get::<_, i64>(column) as u64;
        let counts = |row: &Row| TaskCounts { waiting: count(row, 0), dead: count(row, 1) };
        Ok(counted.first().map(counts).unwrap_or_default())
    }

    async fn task(&self, id: TaskId) -> Result<Option<Task>, LogError> {
        Ok(self.rows(TASK, &[&id.0]).await?.first().map(task))
    }

    async fn retry(&self, id: TaskId, epoch: u64) -> Result<bool, LogError> {
        Ok(self.changed(RETRY, &[&id.0, &(epoch as i64)]).await? == 1)
    }
}

impl PostgresLog {
    /// Claims tasks of the targets after one; returns them and the last of their targets.
    async fn claim_after(
        &self,
        reactor: &str,
        (partition, target): Target,
        lease: &Lease,
        limit: usize,
    ) -> Result<(Vec<Task>, Option<Target>), LogError> {
        let (Holder { node, run }, limit) = (&lease.holder, limit as i64);
        let seconds = lease.duration().as_secs_f64();
        let parameters: [&(dyn ToSql + Sync); 7] = [&reactor, &partition, &target, &limit, &seconds, node, run];
        for _ in 0..CLAIM_ATTEMPTS {
            match self.query(CLAIM, &parameters).await? {
                Ok(rows) => {
                    let last = rows.iter().map(|row| (row.get(13), row.get(6))).max();
                    return Ok((rows.iter().map(task).collect(), last));
                }
                // Another node claimed another task of one of the targets: one that has just become due.
                Err(error)
                    if matches!(error.code(), Some(&SqlState::UNIQUE_VIOLATION | &SqlState::T_R_DEADLOCK_DETECTED)) => {
                }
                Err(error) => return Err(from_postgres(&error)),
            }
        }
        Ok((Vec::new(), None))
    }

    async fn query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Result<Vec<Row>, Error>, LogError> {
        let client = self.tasks.client().await?;
        let statement = client.prepare_cached(sql).await.map_err(|error| from_postgres(&error))?;
        Ok(client.query(&statement, parameters).await)
    }

    pub(super) async fn rows(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, LogError> {
        self.query(sql, parameters).await?.map_err(|error| from_postgres(&error))
    }

    pub(super) async fn changed(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<u64, LogError> {
        let client = self.tasks.client().await?;
        let statement = client.prepare_cached(sql).await.map_err(|error| from_postgres(&error))?;
        client.execute(&statement, parameters).await.map_err(|error| from_postgres(&error))
    }

    async fn put(&self, reactor: &str, at: &[Checkpoint], on_conflict: &str) -> Result<(), LogError> {
        let partitions: Vec<i32> = at.iter().map(|it| i32::from(it.position.partition.0)).collect();
        let incarnations: Vec<Uuid> = at.iter().map(|it| it.incarnation.0).collect();
        let offsets: Vec<i64> = at.iter().map(|it| it.position.offset.0 as i64).collect();
        let events: Vec<Uuid> = at.iter().map(|it| it.event_id.0).collect();
        let sql = format!("{PUT} {on_conflict}");
        self.changed(&sql, &[&reactor, &partitions, &incarnations, &offsets, &events]).await.map(drop)
    }
}

/// partition, incarnation, offset, event id.
fn checkpoint(row: &Row) -> Checkpoint {
    let position = Position { partition: PartitionId(row.get::<_, i32>(0) as u16), offset: rows::offset(row, 2) };
    Checkpoint { incarnation: Incarnation(row.get(1)), position, event_id: EventId(row.get(3)) }
}

fn task(row: &Row) -> Task {
    Task {
        id: TaskId(row.get(0)),
        reactor: row.get(1),
        organization: OrganizationId(row.get(2)),
        kind: row.get(3),
        subject: row.get(4),
        number: row.get::<_, i64>(5) as u64,
        target: row.get(6),
        due_at: row.get(7),
        leased_until: row.get(8),
        attempts: row.get::<_, i32>(9) as u32,
        epoch: row.get::<_, i64>(10) as u64,
        last_error: row.get(11),
        is_dead_lettered: row.get(12),
    }
}
