//! Events as read models see them, and the progress of a table.

use std::{fmt::Display, sync::Arc};

use jiff::Timestamp;
use porttask_domain::{Actor, Impersonator, SessionId, uuid_of};
use porttask_projections::{Recorded, Times};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::ViewError;
use crate::{
    log::{
        Checkpoint, EventLog, FollowError, Head, Incarnation, LogError, Offset, PartitionId, Position, RecordedEvent,
        read_after,
    },
    vault::{Vault, VaultError},
};

/// The progress of a table in a partition, with evidence that no event was skipped or duplicated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The last event folded.
    pub checkpoint: Checkpoint,
    /// The number of events folded.
    pub count: u64,
    /// SHA-256 over the previous digest and the leaf hash of the last event; zeroes at the start.
    pub digest: [u8; 32],
}

impl Progress {
    fn after(mut self, event: &RecordedEvent) -> Self {
        let Position { partition, .. } = self.checkpoint.position;
        self.checkpoint.position = Position { partition, offset: event.position.offset };
        self.checkpoint.event_id = event.id;
        self.count += 1;
        self.digest = Sha256::new().chain_update(self.digest).chain_update(event.leaf_hash.0).finalize().into();
        self
    }
}

/// Consecutive events of a partition.
#[derive(Debug)]
pub struct Batch {
    /// The progress that a table must have to fold them.
    pub before: Progress,
    /// The events.
    pub events: Vec<Recorded>,
    /// The progress afterwards.
    pub after: Progress,
}

/// Reads the log for read models.
#[derive(Clone)]
pub(super) struct Reader {
    log: Arc<dyn EventLog>,
    vault: Arc<Vault>,
}

/// The metadata that read models need. The rest stays sealed.
#[derive(Deserialize)]
struct By {
    actor: Actor,
    impersonator: Option<Impersonator>,
    session: Option<SessionId>,
    request_id: Option<String>,
    occurred_at: Option<Timestamp>,
}

impl Reader {
    pub(super) fn new(log: Arc<dyn EventLog>, vault: Arc<Vault>) -> Self {
        Self { log, vault }
    }

    /// The start of a partition.
    pub(super) async fn start(&self, partition: PartitionId) -> Result<Progress, LogError> {
        let incarnation: Incarnation = self.log.incarnation().await?;
        let Head { position, event_id, .. } = Head::empty(partition);
        Ok(Progress { checkpoint: Checkpoint { incarnation, position, event_id }, count: 0, digest: [0; 32] })
    }

    pub(super) async fn heads(&self) -> Result<Vec<Head>, LogError> {
        self.log.heads().await
    }

    /// The head of a partition as known to this node.
    pub(super) fn head(&self, partition: PartitionId) -> Offset {
        self.log.subscribe(partition).map_or(Offset::START, |head| *head.borrow())
    }

    pub(super) fn subscribe(&self, partition: PartitionId) -> Result<watch::Receiver<Offset>, FollowError> {
        self.log.subscribe(partition).ok_or(FollowError::NoSuchPartition(partition))
    }

    /// The events after `before`, at most `limit`. Fails if the log is in another incarnation, or no longer contains
    /// the last event seen.
    ///
    /// The batch ends before the first event that cannot be read; if that is the first of all, its error is returned.
    pub(super) async fn read(&self, before: &Progress, limit: usize) -> Result<Batch, ViewError> {
        let Checkpoint { incarnation, .. } = before.checkpoint;
        let current = self.log.incarnation().await?;
        if current != incarnation {
            return Err(FollowError::OtherIncarnation { checkpoint: before.checkpoint, current }.into());
        }
        let mut stored = match read_after(&*self.log, &before.checkpoint, limit).await {
            Err(FollowError::Log(error)) => return Err(error.into()),
            stored => stored?,
        };
        let events = match self.recorded(&stored).await {
            Ok(events) => events,
            Err(error @ VaultError::Log(_)) => return Err(error.into()),
            Err(_) => {
                let (readable, error) = self.readable(&stored).await;
                if let Some(error) = error.filter(|_| readable.is_empty()) {
                    return Err(error.into());
                }
                stored.truncate(readable.len());
                readable
            }
        };
        let after = stored.iter().fold(*before, Progress::after);
        Ok(Batch { before: *before, events, after })
    }

    /// The events before the first one that cannot be read, and its error.
    async fn readable(&self, stored: &[RecordedEvent]) -> (Vec<Recorded>, Option<VaultError>) {
        let mut readable = Vec::new();
        for event in stored {
            match self.recorded(std::slice::from_ref(event)).await {
                Ok(mut one) => readable.append(&mut one),
                Err(error) => return (readable, Some(error)),
            }
        }
        (readable, None)
    }

    async fn recorded(&self, stored: &[RecordedEvent]) -> Result<Vec<Recorded>, VaultError> {
        let domain_events = self.vault.domain_events(stored).await?;
        let recorded = stored.iter().zip(domain_events).map(|(event, domain_event)| {
            let undecodable = |cause: &dyn Display| VaultError::undecodable(event, event.event_type.as_str(), cause);
            let By { actor, impersonator, session, request_id, occurred_at } =
                serde_json::from_slice(&event.meta).map_err(|error| undecodable(&error))?;
            let subject = uuid_of(event.stream.name.id());
            let subject = subject.ok_or_else(|| undecodable(&"the name of its stream contains no id"))?;
            Ok(Recorded {
                id: event.id.0,
                offset: event.position.offset.0,
                organization: event.stream.organization,
                subject,
                version: event.version.0,
                event_type: event.event_type.as_str().to_owned(),
                times: Times::new(event.recorded_at, occurred_at),
                event: domain_event,
                actor,
                impersonator,
                session,
                request_id,
            })
        });
        recorded.collect()
    }
}
