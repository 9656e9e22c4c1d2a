//! Following a partition from a checkpoint.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Checkpoint, EventLog, Head, Incarnation, LogError, Offset, PartitionId, Position, RecordedEvent};

/// Reads a partition in order, every event exactly once: first the existing events, then new ones as they arrive.
pub struct Follower {
    log: Arc<dyn EventLog>,
    checkpoint: Checkpoint,
    wakeups: watch::Receiver<Offset>,
}

/// Why a partition cannot be followed from a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// The log has started a new incarnation since.
    #[error(
        "the checkpoint at {} belongs to incarnation {} of the log, which is now in incarnation {current}: \
         discard what was derived from it and read from the start",
        checkpoint.position, checkpoint.incarnation
    )]
    OtherIncarnation {
        /// The checkpoint that was rejected.
        checkpoint: Checkpoint,
        /// The incarnation of the log.
        current: Incarnation,
    },
    /// The log does not contain the checkpoint's event: it was restored from an older backup.
    #[error(
        "the log has no event {} at {}, where this reader left off: it was restored from an older backup; \
         run `porttask events restored`, which starts a new incarnation, and read from the start",
        checkpoint.event_id, checkpoint.position
    )]
    Rewound {
        /// The checkpoint that was rejected.
        checkpoint: Checkpoint,
    },
    /// There is no such partition.
    #[error("the log has no partition {0}")]
    NoSuchPartition(PartitionId),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Follower {
    /// Follows a partition from its first event.
    ///
    /// # Errors
    /// If there is no such partition, or the log fails.
    pub async fn from_start(log: Arc<dyn EventLog>, partition: PartitionId) -> Result<Self, FollowError> {
        Self::after(log, &Head::empty(partition)).await
    }

    /// Follows a partition from a former head.
    ///
    /// # Errors
    /// If there is no such partition, or the log fails.
    pub async fn after(log: Arc<dyn EventLog>, head: &Head) -> Result<Self, FollowError> {
        let incarnation = log.incarnation().await?;
        Self::subscribed(log, Checkpoint { incarnation, position: head.position, event_id: head.event_id })
    }

    /// Follows a partition from where an earlier reader left off.
    ///
    /// # Errors
    /// If the checkpoint is of a different incarnation or a rewound log: what was derived from it must be discarded.
    pub async fn resume(log: Arc<dyn EventLog>, checkpoint: Checkpoint) -> Result<Self, FollowError> {
        let current = log.incarnation().await?;
        if current != checkpoint.incarnation {
            return Err(FollowError::OtherIncarnation { checkpoint, current });
        }
        let follower = Self::subscribed(log, checkpoint)?;
        follower.read(0).await?;
        Ok(follower)
    }

    fn subscribed(log: Arc<dyn EventLog>, checkpoint: Checkpoint) -> Result<Self, FollowError> {
        let partition = checkpoint.position.partition;
        let wakeups = log.subscribe(partition).ok_or(FollowError::NoSuchPartition(partition))?;
        Ok(Self { log, checkpoint, wakeups })
    }

    /// The position of this reader.
    pub fn checkpoint(&self) -> Checkpoint {
        self.checkpoint
    }

    /// The next events, at most `limit`; empty at the end of the partition.
    ///
    /// # Errors
    /// If the log fails or was rewound. The reader keeps its position and may retry.
    pub async fn page(&mut self, limit: usize) -> Result<Vec<RecordedEvent>, FollowError> {
        let events = self.read(limit).await?;
        if let Some(last) = events.last() {
            self.checkpoint = Checkpoint { position: last.position, event_id: last.id, ..self.checkpoint };
        }
        Ok(events)
    }

    /// The next events, at most `limit`; waits for the first of them.
    ///
    /// # Errors
    /// If the log fails or was rewound. The reader keeps its position and may retry.
    pub async fn next(&mut self, limit: usize) -> Result<Vec<RecordedEvent>, FollowError> {
        loop {
            // Marked as seen before the read, so that a commit after the read wakes us again.
            self.wakeups.mark_unchanged();
            let events = self.page(limit).await?;
            if !events.is_empty() {
                return Ok(events);
            }
            if self.wakeups.changed().await.is_err() {
                return Err(LogError::Unavailable("the log was closed".to_owned()).into());
            }
        }
    }

    async fn read(&self, limit: usize) -> Result<Vec<RecordedEvent>, FollowError> {
        read_after(&*self.log, &self.checkpoint, limit).await
    }
}

/// The events after a checkpoint, whose event must still exist: this detects a rewound log. A damaged event ends the
/// page before it; if it is the first, that is an error.
pub(crate) async fn read_after(
    log: &dyn EventLog,
    checkpoint: &Checkpoint,
    mut limit: usize,
) -> Result<Vec<RecordedEvent>, FollowError> {
    let Position { partition, offset } = checkpoint.position;
    let seen = usize::from(offset > Offset::START);
    let from = Offset(offset.0.saturating_sub(1));
    let mut events = loop {
        match log.read_partition(partition, from, limit + seen).await {
            Err(LogError::Damaged(_)) if limit > 1 => limit /= 2,
            read => break read?,
        }
    };
    if seen == 1 {
        if events.first().is_none_or(|event| event.id != checkpoint.event_id) {
            return Err(FollowError::Rewound { checkpoint: *checkpoint });
        }
        events.remove(0);
    }
    Ok(events)
}
