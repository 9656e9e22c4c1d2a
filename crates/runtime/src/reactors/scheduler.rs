//! From events to tasks: follows one partition for all reactors of a node.
//!
//! Each reactor has its own cursor. It is stored together with new tasks, and otherwise only occasionally: reading is
//! cheaper than writing, and after a restart a few events are read twice.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{Outage, Served, why_held};
use crate::{
    ledger::Database,
    log::{Checkpoint, EventLog, FollowError, Follower, LogError, PartitionId, RecordedEvent},
    supervise::beat,
    tasks::NewTask,
    vault::{VaultError, impersonal},
};

/// Maximum events per read.
const PAGE: usize = 1_000;
/// Number of events and time after which the cursor is stored even without tasks.
const WRITE_AFTER_EVENTS: u64 = 10_000;
const WRITE_AFTER: Duration = Duration::from_secs(30);
/// How long to let events accumulate before the next read.
const GATHER: Duration = Duration::from_millis(50);
/// Pause after a database failure, and between checks of a reactor that is on hold.
const PAUSE: Duration = Duration::from_secs(2);

pub(super) struct Scheduler {
    database: Arc<dyn Database>,
    served: Vec<Arc<Served>>,
    partition: PartitionId,
    outage: Outage,
}

/// A reactor that follows the partition, and the position up to which its tasks are recorded.
struct Reading {
    served: Arc<Served>,
    cursor: Checkpoint,
}

/// Why the partition cannot be followed at present.
struct Failed(String);

impl From<LogError> for Failed {
    fn from(error: LogError) -> Self {
        Self(error.to_string())
    }
}

impl From<FollowError> for Failed {
    fn from(error: FollowError) -> Self {
        Self(error.to_string())
    }
}

impl From<VaultError> for Failed {
    fn from(error: VaultError) -> Self {
        Self(error.to_string())
    }
}

impl Scheduler {
    pub(super) fn new(database: Arc<dyn Database>, served: Vec<Arc<Served>>, partition: PartitionId) -> Self {
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
            beat(WRITE_AFTER);
            if let Err(Failed(error)) = self.follow_from_cursors().await {
                self.outage.met(&error);
                sleep(PAUSE).await;
            }
        }
    }

    /// Follows the partition from the cursor that is furthest behind, until another node has moved a cursor or a
    /// reactor on hold may resume.
    async fn follow_from_cursors(&mut self) -> Result<(), Failed> {
        let (mut reading, held) = self.cursors().await?;
        self.outage.is_over();
        let Some(first) = reading.iter().map(|it| it.cursor).min_by_key(|cursor| cursor.position.offset) else {
            sleep(PAUSE).await;
            return Ok(());
        };
        let log: Arc<dyn EventLog> = Arc::<dyn Database>::clone(&self.database);
        let mut follower = Follower::resume(log, first).await?;
        let (mut write_at, mut look_at) = (Instant::now() + WRITE_AFTER, Instant::now() + PAUSE);
        loop {
            beat(WRITE_AFTER);
            let read = tokio::select! {
                events = follower.next(PAGE) => Some(events?),
                () = sleep_until(write_at) => None,
                () = sleep_until(look_at), if !held.is_empty() => None,
            };
            let events = read.unwrap_or_default();
            let here = follower.checkpoint();
            let is_time = Instant::now() >= write_at;
            for reading in &mut reading {
                if !self.schedule(reading, &events, here, is_time).await? {
                    return Ok(());
                }
            }
            if is_time {
                write_at = Instant::now() + WRITE_AFTER;
            }
            if !held.is_empty() && Instant::now() >= look_at {
                if self.may_go_on(&held).await? {
                    return Ok(());
                }
                look_at = Instant::now() + PAUSE;
            }
            if events.len() < PAGE {
                sleep(GATHER).await;
            }
        }
    }

    /// The reactors that can follow the partition, and those on hold.
    async fn cursors(&self) -> Result<(Vec<Reading>, Vec<Arc<Served>>), Failed> {
        let (mut reading, mut held) = (Vec::new(), Vec::new());
        for served in &self.served {
            match self.cursor(served).await? {
                Ok(cursor) => {
                    served.go_on(self.partition);
                    reading.push(Reading { served: Arc::clone(served), cursor });
                }
                Err(why) => {
                    served.hold(self.partition, &why);
                    held.push(Arc::clone(served));
                }
            }
        }
        Ok((reading, held))
    }

    /// The cursor of a reactor, or why the reactor is on hold.
    async fn cursor(&self, served: &Served) -> Result<Result<Checkpoint, String>, Failed> {
        let cursors = self.database.cursors(served.name()).await?;
        let Some(cursor) = cursors.into_iter().find(|it| it.position.partition == self.partition) else {
            return Ok(Err("the reactor has no cursor in this partition".to_owned()));
        };
        Ok(why_held(&self.database, cursor).await?.map_or(Ok(cursor), Err))
    }

    async fn may_go_on(&self, held: &[Arc<Served>]) -> Result<bool, Failed> {
        for served in held {
            if self.cursor(served).await?.is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Records the tasks of one reactor for the events after its cursor, up to `here`; `false` if another node has
    /// moved the cursor.
    async fn schedule(
        &self,
        reading: &mut Reading,
        events: &[RecordedEvent],
        here: Checkpoint,
        is_time: bool,
    ) -> Result<bool, Failed> {
        let Reading { served, cursor } = reading;
        if here.position.offset <= cursor.position.offset {
            return Ok(true);
        }
        let mut tasks: Vec<NewTask> = Vec::new();
        for event in events.iter().filter(|event| event.position.offset > cursor.position.offset) {
            if served.reactor.covers(event.stream.name.category()) {
                tasks.extend(served.reactor.tasks(&impersonal(event)?, event));
            }
        }
        if tasks.is_empty() && !is_far(cursor, &here) && !is_time {
            return Ok(true);
        }
        if !self.database.schedule(served.name(), cursor, &here, &tasks).await? {
            return Ok(false);
        }
        *cursor = here;
        if !tasks.is_empty() {
            served.wake.notify_one();
        }
        Ok(true)
    }
}

fn is_far(cursor: &Checkpoint, here: &Checkpoint) -> bool {
    here.position.offset.0 - cursor.position.offset.0 >= WRITE_AFTER_EVENTS
}
