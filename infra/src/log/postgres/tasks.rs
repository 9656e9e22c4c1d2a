//! Tasks and the cursors of reactors, beside the log.
//!
//! Every change is one statement, so that a frozen node blocks no other.

use std::collections::HashSet;

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_runtime::{
    log::{Checkpoint, EventId, Incarnation, LogError, OrganizationId, PartitionId, Position},
    tasks::{Attempt, NewTask, Outcome, Task, TaskCounts, TaskFilter, TaskId, Tasks},
};
use tokio_postgres::{Row, types::ToSql};
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
        INSERT INTO ledger.tasks (partition, reactor, id, organization, kind, subject, number, target, due_at, attempts,
            epoch, is_dead_lettered)
        SELECT moved.partition, $2, task.id, task.organization, task.kind, task.subject, task.number, task.target,
            task.due_at, 0, 0, false
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
            ".attempts, ",
            $table,
            ".epoch, ",
            $table,
            ".last_error, ",
            $table,
            ".is_dead_lettered"
        )
    };
}

/// The oldest task of a target is looked up by index: an anti-join, planned while the table is empty, would read all
/// tasks of the reactor for each claimed one.
const CLAIM: &str = concat!(
    "WITH free AS (
        SELECT partition, id FROM ledger.tasks AS task
        WHERE reactor = $1 AND NOT is_dead_lettered AND due_at <= $2 AND rank = (
            SELECT rank FROM ledger.tasks AS oldest
            WHERE oldest.partition = task.partition AND oldest.reactor = task.reactor AND oldest.target = task.target
            AND NOT oldest.is_dead_lettered ORDER BY rank LIMIT 1
        )
        ORDER BY due_at, rank LIMIT $4 FOR UPDATE OF task SKIP LOCKED
    )
    UPDATE ledger.tasks AS task SET due_at = $3, attempts = attempts + 1, epoch = epoch + 1
    FROM free WHERE task.partition = free.partition AND task.id = free.id
    RETURNING ",
    columns!("task")
);

const DONE: &str = "DELETE FROM ledger.tasks AS task
    USING unnest($1::uuid[], $2::int8[]) AS done (id, epoch)
    WHERE task.id = done.id AND task.epoch = done.epoch AND NOT task.is_dead_lettered RETURNING task.id";

const TASKS: &str = concat!(
    "SELECT ",
    columns!("task"),
    " FROM ledger.tasks AS task
    WHERE id > $1 AND ($2::uuid IS NULL OR organization = $2)"
);

const COUNTS: &str = "SELECT count(*) FILTER (WHERE NOT is_dead_lettered), count(*) FILTER (WHERE is_dead_lettered)
    FROM ledger.tasks WHERE reactor = $1";

const RETRY: &str = "UPDATE ledger.tasks SET is_dead_lettered = false, due_at = $2, attempts = 0, epoch = epoch + 1
    WHERE id = $1 AND is_dead_lettered";

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
        let due: Vec<Timestamp> = tasks.iter().map(|task| task.due_at).collect();
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

    async fn claim(
        &self,
        reactor: &str,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Task>, LogError> {
        let claimed = self.rows(CLAIM, &[&reactor, &now, &lease_until, &(limit as i64)]).await?;
        Ok(claimed.iter().map(task).collect())
    }

    async fn finish(&self, attempts: &[Attempt]) -> Result<Vec<bool>, LogError> {
        const WHOSE: &str = "WHERE id = $1 AND epoch = $2 AND NOT is_dead_lettered";
        let done = attempts.iter().filter(|attempt| attempt.outcome == Outcome::Done);
        let (ids, epochs): (Vec<Uuid>, Vec<i64>) = done.map(|it| (it.id.0, it.epoch as i64)).unzip();
        let removed = if ids.is_empty() { Vec::new() } else { self.rows(DONE, &[&ids, &epochs]).await? };
        let removed: HashSet<Uuid> = removed.iter().map(|row| row.get(0)).collect();
        let mut finished = Vec::with_capacity(attempts.len());
        for Attempt { id, epoch, outcome } in attempts {
            let epoch = *epoch as i64;
            finished.push(match outcome {
                Outcome::Done => removed.contains(&id.0),
                Outcome::Retry { at, error } => {
                    let set = "epoch = epoch + 1, due_at = $3, last_error = $4";
                    let sql = format!("UPDATE ledger.tasks SET {set} {WHOSE}");
                    self.changed(&sql, &[&id.0, &epoch, at, &error.as_str()]).await? == 1
                }
                Outcome::Dead { error } => {
                    let set = "epoch = epoch + 1, is_dead_lettered = true, last_error = $3";
                    let sql = format!("UPDATE ledger.tasks SET {set} {WHOSE}");
                    self.changed(&sql, &[&id.0, &epoch, &error.as_str()]).await? == 1
                }
            });
        }
        Ok(finished)
    }

    async fn tasks(&self, filter: &TaskFilter, after: Option<TaskId>, limit: usize) -> Result<Vec<Task>, LogError> {
        let after = after.map_or(Uuid::nil(), |after| after.0);
        let organization = filter.organization.map(|organization| organization.0);
        let dead = if filter.only_dead { "AND is_dead_lettered" } else { "" };
        let sql = format!("{TASKS} {dead} ORDER BY id LIMIT $3");
        let found = self.rows(&sql, &[&after, &organization, &(limit as i64)]).await?;
        Ok(found.iter().map(task).collect())
    }

    async fn count_tasks(&self, reactor: &str) -> Result<TaskCounts, LogError> {
        let counted = self.rows(COUNTS, &[&reactor]).await?;
        let count = |row: &Row, column| row.get::<_, i64>(column) as u64;
        let counts = |row: &Row| TaskCounts { waiting: count(row, 0), dead: count(row, 1) };
        Ok(counted.first().map(counts).unwrap_or_default())
    }

    async fn retry(&self, id: TaskId, now: Timestamp) -> Result<bool, LogError> {
        Ok(self.changed(RETRY, &[&id.0, &now]).await? == 1)
    }
}

impl PostgresLog {
    async fn rows(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, LogError> {
        let client = self.tasks.client().await?;
        let statement = client.prepare_cached(sql).await.map_err(|error| from_postgres(&error))?;
        client.query(&statement, parameters).await.map_err(|error| from_postgres(&error))
    }

    async fn changed(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<u64, LogError> {
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
        attempts: row.get::<_, i32>(8) as u32,
        epoch: row.get::<_, i64>(9) as u64,
        last_error: row.get(10),
        is_dead_lettered: row.get(11),
    }
}
