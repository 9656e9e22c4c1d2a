//! From events to tasks: follows one partition for one reactor.
//!
//! The cursor is written when there are tasks to be recorded, and otherwise now and then: reading on is cheaper than
//! writing, and whoever begins again reads a little twice.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{Outage, Served};
use crate::{
    ledger::Database,
    log::{Checkpoint, EventLog, FollowError, Follower, LogError, PartitionId},
    tasks::NewTask,
};

/// The most events that are read at a time.
const PAGE: usize = 1_000;
/// After how many events the cursor is written though they made no tasks, and after how long.
const WRITE_AFTER_EVENTS: u64 = 10_000;
const WRITE_AFTER: Duration = Duration::from_secs(30);
/// How long more events may gather after those that were read last.
const GATHER: Duration = Duration::from_millis(50);
/// How long to leave a database that fails, or a reactor that is held.
const PAUSE: Duration = Duration::from_secs(2);

pub(super) struct Scheduler {
    database: Arc<dyn Database>,
    served: Arc<Served>,
    partition: PartitionId,
    outage: Outage,
}

/// Why the partition cannot be followed for now.
enum Halt {
    /// The log is not the one that it was taken of.
    Held(String),
    /// The database failed.
    Failed(String),
}

impl From<LogError> for Halt {
    fn from(error: LogError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<FollowError> for Halt {
    fn from(error: FollowError) -> Self {
        match &error {
            FollowError::OtherIncarnation { .. } | FollowError::Rewound { .. } => Self::Held(error.to_string()),
            FollowError::NoSuchPartition(_) | FollowError::Log(_) => Self::Failed(error.to_string()),
        }
    }
}

impl Scheduler {
    pub(super) fn new(database: Arc<dyn Database>, served: Arc<Served>, partition: PartitionId) -> Self {
        Self { database, served, partition, outage: Outage::default() }
    }

    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.follow() => {}
        }
    }

    async fn follow(&mut self) {
        loop {
            match self.follow_from_cursor().await {
                Ok(()) => {}
                Err(Halt::Held(why)) => {
                    self.served.hold(self.partition, &why);
                    sleep(PAUSE).await;
                }
                Err(Halt::Failed(error)) => {
                    self.outage.met(self.served.name(), &error);
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Follows the partition from where the cursor is, until another node has moved it.
    async fn follow_from_cursor(&mut self) -> Result<(), Halt> {
        let name = self.served.name();
        let cursors = self.database.cursors(name).await?;
        let Some(mut cursor) = cursors.into_iter().find(|it| it.position.partition == self.partition) else {
            return Err(Halt::Held("it has no place in this partition".to_owned()));
        };
        let log: Arc<dyn EventLog> = Arc::<dyn Database>::clone(&self.database);
        let mut follower = Follower::resume(log, cursor).await?;
        self.outage.is_over(name);
        self.served.go_on(self.partition);
        let mut write_at = Instant::now() + WRITE_AFTER;
        loop {
            let read = tokio::select! {
                events = follower.next(PAGE) => Some(events?),
                () = sleep_until(write_at), if follower.checkpoint() != cursor => None,
            };
            let events = read.unwrap_or_default();
            let tasks: Vec<NewTask> = events.iter().flat_map(|event| self.served.reactor.tasks(event)).collect();
            let here = follower.checkpoint();
            if !tasks.is_empty() || is_far(&cursor, &here) || Instant::now() >= write_at {
                if !self.database.schedule(name, &cursor, &here, &tasks).await? {
                    return Ok(());
                }
                (cursor, write_at) = (here, Instant::now() + WRITE_AFTER);
            }
            if !tasks.is_empty() {
                self.served.wake.notify_one();
            }
            if events.len() < PAGE {
                sleep(GATHER).await;
            }
        }
    }
}

fn is_far(cursor: &Checkpoint, here: &Checkpoint) -> bool {
    here.position.offset.0 - cursor.position.offset.0 >= WRITE_AFTER_EVENTS
}
