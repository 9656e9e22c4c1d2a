//! Tasks and the cursors of reactors, beside the embedded log.
//!
//! The clock of this machine is the database's: all processes that use the file run here.

use std::{sync::PoisonError, time::Duration};

use async_trait::async_trait;
use porttask_runtime::{
    lease::{Holder, Lease},
    log::{Checkpoint, EventId, Incarnation, LogError, Offset, OrganizationId, PartitionId, Position},
    tasks::{Attempt, NewTask, Outcome, Task, TaskCounts, TaskFilter, TaskId, TaskState, Tasks},
};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use uuid::Uuid;

use super::{
    SqliteLog,
    reader::{self, Durable, from_now, uuid},
};

const TASK: &str = "SELECT id, reactor, organization, kind, subject, number, target, due_at, leased_until, attempts, \
                    epoch, last_error, state = 'dead_lettered' FROM ledger_tasks";
/// Tasks whose time has come, and tasks whose lease has expired.
const WAITED: &str = "reactor = ?1 AND state = 'scheduled' AND due_at <= ?2";
const EXPIRED: &str = "reactor = ?1 AND state = 'running' AND leased_until <= ?2";
/// The oldest due task of the next target.
const NEXT: &str = "SELECT rank, target FROM ledger_tasks WHERE reactor = ?1 AND state = 'due' AND target > ?2 \
                    ORDER BY target, rank LIMIT 1";
const RUNNING: &str = "SELECT 1 FROM ledger_tasks WHERE reactor = ?1 AND state = 'running' AND target = ?2";
const NO_LEASE: &str = "leased_until = NULL, holder = NULL, holder_run = NULL";

/// The target of a task. The empty one is before every other.
pub(super) type Target = Vec<u8>;

// Lost writes are harmless, as tasks are scheduled and run again: none of this must be durable at once.
#[async_trait]
impl Tasks for SqliteLog {
    async fn cursors(&self, reactor: &str) -> Result<Vec<Checkpoint>, LogError> {
        self.readers.quickly(|connection| Ok(cursor(connection, reactor)?.into_iter().collect()))
    }

    async fn begin(&self, reactor: &str, at: &[Checkpoint]) -> Result<(), LogError> {
        self.put(reactor, at, "INSERT OR IGNORE").await
    }

    async fn put_cursors(&self, reactor: &str, at: &[Checkpoint]) -> Result<(), LogError> {
        self.put(reactor, at, "INSERT OR REPLACE").await
    }

    async fn schedule(
        &self,
        reactor: &str,
        before: &Checkpoint,
        after: &Checkpoint,
        tasks: &[NewTask],
    ) -> Result<bool, LogError> {
        let (reactor, before, after, tasks) = (reactor.to_owned(), *before, *after, tasks.to_vec());
        let schedule = move |connection: &mut Connection| schedule(connection, &reactor, &before, &after, &tasks);
        self.readers.run_writing(Durable::Soon, schedule).await
    }

    async fn claim(&self, reactor: &str, lease: &Lease, limit: usize) -> Result<Vec<Task>, LogError> {
        // Usually nothing is due: check without the write lock first.
        if !self.readers.quickly(|connection| may_claim(connection, reactor))? {
            return Ok(Vec::new());
        }
        let last = self.last_targets.lock().unwrap_or_else(PoisonError::into_inner).get(reactor).cloned();
        let (own, lease) = (reactor.to_owned(), lease.clone());
        let claim = move |connection: &mut Connection| claim(connection, &own, &lease, last.unwrap_or_default(), limit);
        let (tasks, next) = self.readers.run_writing(Durable::Soon, claim).await?;
        self.last_targets.lock().unwrap_or_else(PoisonError::into_inner).insert(reactor.to_owned(), next);
        Ok(tasks)
    }

    async fn renew(&self, id: TaskId, epoch: u64, lease: &Lease) -> Result<bool, LogError> {
        let lease = lease.clone();
        let renew = move |connection: &mut Connection| {
            let sql = "UPDATE ledger_tasks SET leased_until = ?3, holder = ?4, holder_run = ?5
                       WHERE id = ?1 AND epoch = ?2 AND state = 'running'";
            let (until, Holder { node, run }) = (from_now(lease.duration()), &lease.holder);
            Ok(connection.execute(sql, params![id.0.as_bytes(), epoch, until, node, run.as_bytes()])? == 1)
        };
        self.readers.run_writing(Durable::Soon, renew).await
    }

    async fn take_over_tasks(&self, reactor: &str, holder: &Holder) -> Result<u64, LogError> {
        let (reactor, Holder { node, run }) = (reactor.to_owned(), holder.clone());
        let take_over = move |connection: &mut Connection| {
            let sql = format!(
                "UPDATE ledger_tasks SET state = 'due', {NO_LEASE}
                 WHERE reactor = ?1 AND state = 'running' AND holder = ?2 AND holder_run <> ?3"
            );
            Ok(connection.execute(&sql, params![reactor, node, run.as_bytes()])? as u64)
        };
        self.readers.run_writing(Durable::Soon, take_over).await
    }

    async fn finish(&self, attempts: &[Attempt]) -> Result<Vec<bool>, LogError> {
        let attempts = attempts.to_vec();
        let finish = move |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let finished = attempts.iter().map(|attempt| finish(&transaction, attempt)).collect::<Result<_, _>>()?;
            transaction.commit()?;
            Ok(finished)
        };
        self.readers.run_writing(Durable::Soon, finish).await
    }

    async fn tasks(&self, filter: &TaskFilter, after: Option<TaskId>, limit: usize) -> Result<Vec<Task>, LogError> {
        let TaskFilter { state, organization } = *filter;
        let select = move |connection: &Connection| {
            let state = match state {
                None => "",
                Some(TaskState::Waiting) => "AND state IN ('due', 'scheduled')",
                Some(TaskState::Running) => "AND state = 'running'",
                Some(TaskState::DeadLettered) => "AND state = 'dead_lettered'",
            };
            let sql =
                format!("{TASK} WHERE id > ?1 AND (?2 IS NULL OR organization = ?2) {state} ORDER BY id LIMIT ?3");
            let after = after.map_or_else(Vec::new, |after| after.0.as_bytes().to_vec());
            let organization = organization.map(|it| it.0.as_bytes().to_vec());
            let mut select = connection.prepare_cached(&sql)?;
            select.query_map(params![after, organization, limit as u64], task)?.collect()
        };
        self.readers.run(select).await
    }

    async fn tasks_of(&self, organization: OrganizationId, targets: &[Uuid]) -> Result<Vec<Task>, LogError> {
        self.readers.quickly(|connection| {
            let sql = format!("{TASK} WHERE organization = ?1 AND target = ?2 ORDER BY rank");
            let mut select = connection.prepare_cached(&sql)?;
            let mut tasks = Vec::new();
            for target in targets {
                let found = select.query_map(params![organization.0.as_bytes(), target.as_bytes()], task)?;
                tasks.extend(found.collect::<rusqlite::Result<Vec<Task>>>()?);
            }
            Ok(tasks)
        })
    }

    async fn count_tasks(&self, reactor: &str) -> Result<TaskCounts, LogError> {
        self.readers.quickly(|connection| {
            let mut count = connection.prepare_cached(
                "SELECT count(*) FILTER (WHERE state <> 'dead_lettered'),
                    count(*) FILTER (WHERE state = 'dead_lettered')
                 FROM ledger_tasks WHERE reactor = ?1",
            )?;
            count.query_row([reactor], |row| Ok(TaskCounts { waiting: row.get(0)?, dead: row.get(1)? }))
        })
    }

    async fn task(&self, id: TaskId) -> Result<Option<Task>, LogError> {
        self.readers.quickly(|connection| {
            let mut select = connection.prepare_cached(&format!("{TASK} WHERE id = ?1"))?;
            select.query_row([id.0.as_bytes()], task).optional()
        })
    }

    async fn retry(&self, id: TaskId, epoch: u64) -> Result<bool, LogError> {
        let retry = move |connection: &mut Connection| {
            let sql = "UPDATE ledger_tasks SET state = 'due', due_at = ?2, attempts = 0, epoch = epoch + 1
                       WHERE id = ?1 AND state = 'dead_lettered' AND epoch = ?3";
            Ok(connection.execute(sql, params![id.0.as_bytes(), from_now(Duration::ZERO), epoch])? == 1)
        };
        self.readers.run_writing(Durable::Soon, retry).await
    }
}

impl SqliteLog {
    async fn put(&self, reactor: &str, at: &[Checkpoint], how: &'static str) -> Result<(), LogError> {
        // The embedded log has one partition.
        let Some(at) = at.first().copied() else { return Ok(()) };
        let reactor = reactor.to_owned();
        let put = move |connection: &mut Connection| {
            let sql =
                format!("{how} INTO ledger_cursors (reactor, incarnation, offset, event_id) VALUES (?1, ?2, ?3, ?4)");
            let Checkpoint { incarnation, position, event_id } = at;
            let values = params![reactor, incarnation.0.as_bytes(), position.offset.0, event_id.0.as_bytes()];
            connection.execute(&sql, values).map(drop)
        };
        self.readers.run_writing(Durable::Soon, put).await
    }
}

fn cursor(connection: &Connection, reactor: &str) -> rusqlite::Result<Option<Checkpoint>> {
    let mut select =
        connection.prepare_cached("SELECT incarnation, offset, event_id FROM ledger_cursors WHERE reactor = ?1")?;
    let cursor = select.query_row([reactor], |row| {
        let position = Position { partition: PartitionId::PLATFORM, offset: Offset(row.get(1)?) };
        Ok(Checkpoint { incarnation: Incarnation(uuid(row, 0)?), position, event_id: EventId(uuid(row, 2)?) })
    });
    cursor.optional()
}

fn schedule(
    connection: &mut Connection,
    reactor: &str,
    before: &Checkpoint,
    after: &Checkpoint,
    tasks: &[NewTask],
) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if cursor(&transaction, reactor)?.as_ref() != Some(before) {
        return Ok(false);
    }
    let Checkpoint { incarnation, position, event_id } = after;
    transaction.execute(
        "UPDATE ledger_cursors SET incarnation = ?2, offset = ?3, event_id = ?4 WHERE reactor = ?1",
        params![reactor, incarnation.0.as_bytes(), position.offset.0, event_id.0.as_bytes()],
    )?;
    let now = from_now(Duration::ZERO);
    for task in tasks {
        let mut insert = transaction.prepare_cached(
            "INSERT INTO ledger_tasks (id, reactor, organization, kind, subject, number, target, due_at, state, attempts,
             epoch) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, iif(?8 <= ?9, 'due', 'scheduled'), 0, 0)",
        )?;
        let NewTask { id, organization, kind, subject, number, target, due_at } = task;
        let (id, organization, subject) = (id.0.as_bytes(), organization.0.as_bytes(), subject.as_bytes());
        let (target, due_at) = (target.as_bytes(), due_at.map_or(now, |due_at| due_at.as_microsecond()));
        insert.execute(params![id, reactor, organization, kind, subject, number, target, due_at, now])?;
    }
    transaction.commit()?;
    Ok(true)
}

/// Whether there is a task to claim, or one to make due.
fn may_claim(connection: &Connection, reactor: &str) -> rusqlite::Result<bool> {
    let now = from_now(Duration::ZERO);
    for condition in [WAITED, EXPIRED] {
        let mut select = connection.prepare_cached(&format!("SELECT 1 FROM ledger_tasks WHERE {condition} LIMIT 1"))?;
        if select.exists(params![reactor, now])? {
            return Ok(true);
        }
    }
    Ok(!free(connection, reactor, Target::new(), 1)?.is_empty())
}

/// The oldest due tasks of up to `limit` targets after `last` of which no task is running, by rank. Reads one row for
/// each of them and each running task, however many are due.
fn free(
    connection: &Connection,
    reactor: &str,
    mut last: Target,
    limit: usize,
) -> rusqlite::Result<Vec<(i64, Target)>> {
    let mut next = connection.prepare_cached(NEXT)?;
    let mut running = connection.prepare_cached(RUNNING)?;
    let mut found = Vec::new();
    while found.len() < limit {
        let oldest = next.query_row(params![reactor, last], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((rank, target)) = oldest else { break };
        if !running.exists(params![reactor, target])? {
            found.push((rank, Target::clone(&target)));
        }
        last = target;
    }
    Ok(found)
}

/// Leases due tasks, starting with the targets after `last`; also returns the target where the next claim continues, so
/// that targets take turns.
fn claim(
    connection: &mut Connection,
    reactor: &str,
    lease: &Lease,
    last: Target,
    limit: usize,
) -> rusqlite::Result<(Vec<Task>, Target)> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let now = from_now(Duration::ZERO);
    for condition in [WAITED, EXPIRED] {
        let sql = format!("UPDATE ledger_tasks SET state = 'due', {NO_LEASE} WHERE {condition}");
        transaction.execute(&sql, params![reactor, now])?;
    }
    let mut claimed = Vec::new();
    let mut next = Target::new();
    for start in [last, Target::new()] {
        for (rank, target) in free(&transaction, reactor, start, limit - claimed.len())? {
            claimed.push(lease_task(&transaction, rank, lease)?);
            next = target;
        }
    }
    if claimed.len() < limit {
        next = Target::new();
    }
    transaction.commit()?;
    Ok((claimed, next))
}

fn lease_task(connection: &Connection, rank: i64, lease: &Lease) -> rusqlite::Result<Task> {
    let Holder { node, run } = &lease.holder;
    connection.execute(
        "UPDATE ledger_tasks SET state = 'running', leased_until = ?2, holder = ?3, holder_run = ?4,
            attempts = attempts + 1, epoch = epoch + 1
         WHERE rank = ?1",
        params![rank, from_now(lease.duration()), node, run.as_bytes()],
    )?;
    connection.query_row(&format!("{TASK} WHERE rank = ?1"), [rank], task)
}

fn finish(connection: &Connection, Attempt { id, epoch, outcome }: &Attempt) -> rusqlite::Result<bool> {
    const WHOSE: &str = "WHERE id = ?1 AND epoch = ?2 AND state <> 'dead_lettered'";
    let id = id.0.as_bytes();
    let changed = match outcome {
        Outcome::Done => connection.execute(&format!("DELETE FROM ledger_tasks {WHOSE}"), params![id, epoch])?,
        Outcome::Retry { delay, error } => {
            let set = "state = 'scheduled', epoch = epoch + 1, due_at = ?3, last_error = ?4";
            let sql = format!("UPDATE ledger_tasks SET {set}, {NO_LEASE} {WHOSE}");
            connection.execute(&sql, params![id, epoch, from_now(*delay), error.as_str()])?
        }
        Outcome::Dead { error } => {
            let set = "state = 'dead_lettered', epoch = epoch + 1, last_error = ?3";
            let sql = format!("UPDATE ledger_tasks SET {set}, {NO_LEASE} {WHOSE}");
            connection.execute(&sql, params![id, epoch, error.as_str()])?
        }
    };
    Ok(changed == 1)
}

fn task(row: &Row<'_>) -> rusqlite::Result<Task> {
    Ok(Task {
        id: TaskId(uuid(row, 0)?),
        reactor: row.get(1)?,
        organization: OrganizationId(uuid(row, 2)?),
        kind: row.get(3)?,
        subject: uuid(row, 4)?,
        number: row.get(5)?,
        target: uuid(row, 6)?,
        due_at: reader::timestamp(row, 7)?,
        leased_until: reader::timestamp_if_any(row, 8)?,
        attempts: row.get(9)?,
        epoch: row.get(10)?,
        last_error: row.get(11)?,
        is_dead_lettered: row.get(12)?,
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use porttask_runtime::new_id;
    use rusqlite::StatementStatus;
    use uuid::Uuid;

    use super::*;

    /// However many tasks of a target are due or scheduled, claiming reads a few rows: counted in steps of SQLite's
    /// virtual machine.
    #[test]
    fn claiming_does_not_read_the_tasks_that_wait() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("../../../migrations/sqlite/V2__ledger.sql")).unwrap();
        let (before, after) = (checkpoint(0), checkpoint(1));
        put_cursor(&connection, &before);
        let due_at = |number: u64| if number.is_multiple_of(2) { Timestamp::UNIX_EPOCH } else { Timestamp::MAX };
        let tasks: Vec<NewTask> = (0..20_000).map(|number| task_of_one_target(number, due_at(number))).collect();
        assert!(schedule(&mut connection, "mail", &before, &after, &tasks).unwrap());
        let lease = Lease::new(Holder::new("a"), Lease::MAX_DURATION);
        let (claimed, _) = claim(&mut connection, "mail", &lease, Target::new(), 8).unwrap();
        assert_eq!(claimed.iter().map(|task| task.number).collect::<Vec<_>>(), [0]);
        let nothing = claim(&mut connection, "mail", &lease, Target::new(), 8).unwrap();
        assert_eq!(nothing.0, [], "a task of the target is running");
        let now = from_now(Duration::ZERO);
        for (sql, parameter) in [
            (NEXT.to_owned(), rusqlite::types::Value::Blob(Vec::new())),
            (RUNNING.to_owned(), Uuid::nil().as_bytes().to_vec().into()),
            (format!("SELECT 1 FROM ledger_tasks WHERE {WAITED}"), now.into()),
            (format!("SELECT 1 FROM ledger_tasks WHERE {EXPIRED}"), now.into()),
        ] {
            let mut statement = connection.prepare(&sql).unwrap();
            let rows = statement.query(params!["mail", parameter]).unwrap();
            _ = rows.mapped(|_| Ok(())).count();
            let steps = statement.get_status(StatementStatus::VmStep);
            assert!(steps < 100, "{sql}: {steps} steps");
        }
    }

    fn checkpoint(offset: u64) -> Checkpoint {
        let position = Position { partition: PartitionId::PLATFORM, offset: Offset(offset) };
        Checkpoint { incarnation: Incarnation(Uuid::nil()), position, event_id: EventId(Uuid::nil()) }
    }

    fn put_cursor(connection: &Connection, at: &Checkpoint) {
        let sql = "INSERT INTO ledger_cursors (reactor, incarnation, offset, event_id) VALUES ('mail', ?1, ?2, ?3)";
        let values = params![at.incarnation.0.as_bytes(), at.position.offset.0, at.event_id.0.as_bytes()];
        connection.execute(sql, values).unwrap();
    }

    fn task_of_one_target(number: u64, due_at: Timestamp) -> NewTask {
        NewTask {
            id: TaskId::generate(),
            organization: new_id(),
            kind: "invitation",
            subject: Uuid::nil(),
            number,
            target: Uuid::nil(),
            due_at: Some(due_at),
        }
    }
}
