//! Verifying a partition: every event of it, from an offset to its end.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use tokio::task::spawn_blocking;

use super::{
    EventLog, Head, LogError, Offset, PartitionId, Position, RecordedEvent, StreamId, Version,
    integrity::{Damage, Defect},
};

/// Events per read.
const PAGE: usize = 1_000;

/// Walks a partition and reports all damage, not only the first. It remembers the version of every stream that it met.
pub struct PartitionVerifier {
    /// Reads that are not checked.
    log: Arc<dyn EventLog>,
    partition: PartitionId,
    reached: Offset,
    end: Offset,
    seen: Seen,
}

/// What the events so far lead to expect of the next one.
#[derive(Default)]
struct Seen {
    offset: Offset,
    recorded_at: Option<Timestamp>,
    /// Whether the walk began at the first event, so that the first version of each stream is known.
    is_from_start: bool,
    versions: HashMap<StreamId, Version>,
}

impl PartitionVerifier {
    /// Verifies the events after an offset up to a head. `log` must not be a [`CheckedLog`](super::CheckedLog), which
    /// does not return what is damaged.
    pub fn new(log: Arc<dyn EventLog>, head: &Head, after: Offset) -> Self {
        let Position { partition, offset: end } = head.position;
        let seen = Seen { offset: after, is_from_start: after == Offset::START, ..Seen::default() };
        Self { log, partition, reached: after, end, seen }
    }

    /// The offset up to which events are verified.
    pub fn reached(&self) -> Offset {
        self.reached
    }

    /// The last offset to be verified.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// The damage of the next page; `None` at the end.
    ///
    /// # Errors
    /// If the log cannot be read; the next call continues at the same place.
    pub async fn next(&mut self) -> Result<Option<Vec<Damage>>, LogError> {
        if self.reached >= self.end {
            return Ok(None);
        }
        let limit = PAGE.min((self.end.0 - self.reached.0) as usize);
        let events = match self.log.read_partition(self.partition, self.reached, limit).await {
            Err(LogError::Damaged(_)) if limit > 1 => return self.one_by_one(limit).await.map(Some),
            events => events?,
        };
        let Some(last) = events.last() else {
            self.reached = self.end;
            return Ok(Some(Vec::new()));
        };
        self.reached = last.position.offset;
        self.verify(events).await.map(Some)
    }

    /// A page with an event that cannot be read.
    async fn one_by_one(&mut self, limit: usize) -> Result<Vec<Damage>, LogError> {
        let (mut found, until) = (Vec::new(), self.reached.0 + limit as u64);
        while self.reached.0 < until {
            match self.log.read_partition(self.partition, self.reached, 1).await {
                Ok(events) => {
                    let Some(event) = events.last() else { break };
                    self.reached = event.position.offset;
                    found.append(&mut self.verify(events).await?);
                }
                Err(LogError::Damaged(what)) => {
                    self.reached.0 += 1;
                    self.seen.offset = self.reached;
                    let position = Position { partition: self.partition, offset: self.reached };
                    found.push(Damage { position, event: None, defect: Defect::Unreadable(what) });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    async fn verify(&mut self, events: Vec<RecordedEvent>) -> Result<Vec<Damage>, LogError> {
        let mut seen = std::mem::take(&mut self.seen);
        let verified = spawn_blocking(move || {
            let found = events.iter().flat_map(|event| seen.verify(event)).collect();
            (seen, found)
        });
        let (seen, found) = verified.await.map_err(|error| LogError::Unavailable(error.to_string()))?;
        self.seen = seen;
        Ok(found)
    }
}

impl Seen {
    fn verify(&mut self, event: &RecordedEvent) -> Vec<Damage> {
        let mut defects = Vec::new();
        let expected = Offset(self.offset.0 + 1);
        if event.position.offset != expected {
            defects.push(Defect::Missing { from: expected });
        }
        self.offset = event.position.offset;
        if self.recorded_at.is_some_and(|before| event.recorded_at < before) {
            defects.push(Defect::Backdated);
        }
        self.recorded_at = Some(event.recorded_at);
        let known = self.versions.insert(event.stream.clone(), event.version);
        let expected = known.or(self.is_from_start.then_some(Version::NONE)).map(|last| Version(last.0 + 1));
        if let Some(expected) = expected.filter(|expected| *expected != event.version) {
            defects.push(Defect::Version { stream: event.stream.clone(), expected, found: event.version });
        }
        if !event.is_intact() {
            defects.push(Defect::Altered);
        }
        defects.into_iter().map(|defect| Damage::of(event, defect)).collect()
    }
}
