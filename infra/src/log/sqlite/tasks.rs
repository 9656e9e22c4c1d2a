//! Tasks and the cursors of reactors, beside the embedded log.

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_runtime::{
    log::{Checkpoint, EventId, Incarnation, LogError, Offset, OrganizationId, PartitionId, Position},
    tasks::{Attempt, NewTask, Outcome, Task, TaskCounts, TaskFilter, TaskId, Tasks},
};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

use super::{
    SqliteLog,
    reader::{self, Durable, uuid},
};

const TASK: &str = "SELECT id, reactor, organization, kind, subject, number, target, due_at, attempts, epoch, \
                    last_error, is_dead_lettered FROM ledger_tasks";
/// The condition that a task may be leased: it is due, and its target has no older task.
const IS_FREE: &str = "reactor = ?1 AND is_dead_lettered = 0 AND due_at <= ?2 AND NOT EXISTS (
        SELECT 1 FROM ledger_tasks AS older WHERE older.reactor = ledger_tasks.reactor
        AND older.target = ledger_tasks.target AND older.rank < ledger_tasks.rank AND older.is_dead_lettered = 0
    )";

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

    async fn claim(
        &self,
        reactor: &str,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Task>, LogError> {
        // Usually nothing is due: check without the write lock first.
        let is_any_free = self.readers.quickly(|connection| {
            let mut select =
                connection.prepare_cached(&format!("SELECT 1 FROM ledger_tasks WHERE {IS_FREE} LIMIT 1"))?;
            select.exists(params![reactor, now.as_microsecond()])
        })?;
        if !is_any_free {
            return Ok(Vec::new());
        }
        let reactor = reactor.to_owned();
        self.readers
            .run_writing(Durable::Soon, move |connection| claim(connection, &reactor, now, lease_until, limit))
            .await
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
        let TaskFilter { only_dead, organization } = *filter;
        let select = move |connection: &Connection| {
            let dead = if only_dead { "AND is_dead_lettered = 1" } else { "" };
            let sql = format!("{TASK} WHERE id > ?1 AND (?2 IS NULL OR organization = ?2) {dead} ORDER BY id LIMIT ?3");
            let after = after.map_or_else(Vec::new, |after| after.0.as_bytes().to_vec());
            let organization = organization.map(|it| it.0.as_bytes().to_vec());
            let mut select = connection.prepare_cached(&sql)?;
            select.query_map(params![after, organization, limit as u64], task)?.collect()
        };
        self.readers.run(select).await
    }

    async fn count_tasks(&self, reactor: &str) -> Result<TaskCounts, LogError> {
        self.readers.quickly(|connection| {
            let mut count = connection.prepare_cached(
                "SELECT count(*) FILTER (WHERE is_dead_lettered = 0), count(*) FILTER (WHERE is_dead_lettered = 1)
                 FROM ledger_tasks WHERE reactor = ?1",
            )?;
            count.query_row([reactor], |row| Ok(TaskCounts { waiting: row.get(0)?, dead: row.get(1)? }))
        })
    }

    async fn retry(&self, id: TaskId, now: Timestamp) -> Result<bool, LogError> {
        let retry = move |connection: &mut Connection| {
            let sql = "UPDATE ledger_tasks SET is_dead_lettered = 0, due_at = ?2, attempts = 0, epoch = epoch + 1
                       WHERE id = ?1 AND is_dead_lettered = 1";
            Ok(connection.execute(sql, params![id.0.as_bytes(), now.as_microsecond()])? == 1)
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
    for task in tasks {
        let mut insert = transaction.prepare_cached(
            "INSERT INTO ledger_tasks (id, reactor, organization, kind, subject, number, target, due_at, attempts,
             epoch, is_dead_lettered) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, 0, 0)",
        )?;
        let NewTask { id, organization, kind, subject, number, target, due_at } = task;
        let (id, organization, subject) = (id.0.as_bytes(), organization.0.as_bytes(), subject.as_bytes());
        let (target, due_at) = (target.as_bytes(), due_at.as_microsecond());
        insert.execute(params![id, reactor, organization, kind, subject, number, target, due_at])?;
    }
    transaction.commit()?;
    Ok(true)
}

fn claim(
    connection: &mut Connection,
    reactor: &str,
    now: Timestamp,
    lease_until: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<Task>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut tasks: Vec<Task> = {
        let mut select = transaction.prepare(&format!("{TASK} WHERE {IS_FREE} ORDER BY due_at, rank LIMIT ?3"))?;
        let free = select.query_map(params![reactor, now.as_microsecond(), limit as u64], task)?;
        free.collect::<Result<_, _>>()?
    };
    let lease_until = Timestamp::from_microsecond(lease_until.as_microsecond()).unwrap_or(lease_until);
    for task in &mut tasks {
        (task.due_at, task.attempts, task.epoch) = (lease_until, task.attempts + 1, task.epoch + 1);
        transaction.execute(
            "UPDATE ledger_tasks SET due_at = ?2, attempts = ?3, epoch = ?4 WHERE id = ?1",
            params![task.id.0.as_bytes(), lease_until.as_microsecond(), task.attempts, task.epoch],
        )?;
    }
    transaction.commit()?;
    Ok(tasks)
}

fn finish(connection: &Connection, Attempt { id, epoch, outcome }: &Attempt) -> rusqlite::Result<bool> {
    const WHOSE: &str = "WHERE id = ?1 AND epoch = ?2 AND is_dead_lettered = 0";
    let id = id.0.as_bytes();
    let changed = match outcome {
        Outcome::Done => connection.execute(&format!("DELETE FROM ledger_tasks {WHOSE}"), params![id, epoch])?,
        Outcome::Retry { at, error } => connection.execute(
            &format!("UPDATE ledger_tasks SET epoch = epoch + 1, due_at = ?3, last_error = ?4 {WHOSE}"),
            params![id, epoch, at.as_microsecond(), error.as_str()],
        )?,
        Outcome::Dead { error } => connection.execute(
            &format!("UPDATE ledger_tasks SET epoch = epoch + 1, is_dead_lettered = 1, last_error = ?3 {WHOSE}"),
            params![id, epoch, error.as_str()],
        )?,
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
        attempts: row.get(8)?,
        epoch: row.get(9)?,
        last_error: row.get(10)?,
        is_dead_lettered: row.get(11)?,
    })
}
