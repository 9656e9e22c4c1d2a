//! The log as a few maps: what it answers, one append after the other.

use porttask_runtime::log::{
    Append, AppendError, Appended, Claim, ClaimKey, Constraint, ConstraintViolation, Counter, CounterKey, EventId,
    Head, Offset, OrganizationId, PartitionId, Placed, Position, StreamId, Version,
};
use porttask_tests::{claim, counter_key};
use std::collections::{BTreeMap, BTreeSet};

/// What a log holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Model {
    /// Where organizations live, or will when they are founded: the one thing that the log decides freely.
    pub(super) homes: BTreeMap<OrganizationId, PartitionId>,
    /// The offset after which this test's events begin, and the events.
    pub(super) partitions: BTreeMap<PartitionId, (Offset, Vec<EventId>)>,
    pub(super) streams: BTreeMap<StreamId, Vec<EventId>>,
    pub(super) marks: BTreeMap<(OrganizationId, String), Mark>,
    founded: BTreeSet<OrganizationId>,
    holders: BTreeMap<ClaimKey, String>,
    counts: BTreeMap<CounterKey, i64>,
}

/// What is kept of a `IdempotencyKey`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    request_hash: [u8; 32],
    position: Position,
    /// Whether its time is not over.
    pub(super) counts: bool,
}

/// An answer without the time, which the model does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) position: Position,
    pub(super) events: Vec<Placed>,
    pub(super) repeated: bool,
}

impl Answer {
    pub(super) fn of(appended: &Appended) -> Self {
        Self { position: appended.position, events: appended.events.clone(), repeated: appended.repeated }
    }
}

impl Model {
    /// A log with these heads and nothing else that matters.
    pub(super) fn over(heads: Vec<Head>) -> Self {
        let start = |head: Head| (head.position.partition, (head.position.offset, Vec::new()));
        let partitions = heads.into_iter().map(start).collect();
        let founded = BTreeSet::from([OrganizationId::PLATFORM]);
        Self { partitions, founded, ..Self::default() }
    }

    /// How many events a stream has.
    pub(super) fn version(&self, stream: &StreamId) -> Version {
        Version(self.streams.get(stream).map_or(0, Vec::len) as u64)
    }

    pub(super) fn holder(&self, organization: OrganizationId, name: &str) -> Option<String> {
        let Constraint::Claim(Claim { key, .. }) = claim(organization, name, "") else { unreachable!() };
        self.holders.get(&key).cloned()
    }

    pub(super) fn value(&self, organization: OrganizationId, name: &str) -> i64 {
        self.counts.get(&counter_key(organization, name)).copied().unwrap_or(0)
    }

    /// Answers an append; a refused one changes nothing.
    pub(super) fn answer(&mut self, append: &Append) -> Result<Answer, AppendError> {
        let mut after = self.clone();
        let answer = after.change(append)?;
        *self = after;
        Ok(answer)
    }

    fn change(&mut self, append: &Append) -> Result<Answer, AppendError> {
        let organization = append.organization;
        if !append.creates_organization && !self.founded.contains(&organization) {
            return Err(AppendError::UnknownOrganization(organization));
        }
        if let Some(idempotency_key) = &append.idempotency_key
            && let Some(mark) = self.marks.get(&(organization, idempotency_key.key.clone())).filter(|mark| mark.counts)
        {
            let repeated = Answer { position: mark.position, events: vec![], repeated: true };
            return if mark.request_hash == idempotency_key.request_hash {
                Ok(repeated)
            } else {
                Err(AppendError::AnotherRequest)
            };
        }
        if append.creates_organization && !self.founded.insert(organization) {
            return Err(AppendError::OrganizationExists(organization));
        }
        for expected in &append.expected {
            let actual = self.version(&expected.stream);
            if actual != expected.version {
                let stream = expected.stream.clone();
                return Err(AppendError::Conflict { stream, expected: expected.version, actual });
            }
        }
        for constraint in &append.constraints {
            self.constraint(constraint)?;
        }
        let events = append.events.iter().map(|event| self.record(&event.stream, event.id)).collect();
        let position = self.end(organization);
        if let Some(idempotency_key) = &append.idempotency_key {
            let counts = idempotency_key.kept_for.is_positive();
            let mark = Mark { request_hash: idempotency_key.request_hash, position, counts };
            self.marks.insert((organization, idempotency_key.key.clone()), mark);
        }
        Ok(Answer { position, events, repeated: false })
    }

    fn constraint(&mut self, constraint: &Constraint) -> Result<(), ConstraintViolation> {
        match constraint {
            Constraint::Claim(Claim { key, owner }) => {
                let holder = self.holders.entry(key.clone()).or_insert_with(|| owner.clone());
                if holder != owner {
                    return Err(ConstraintViolation::Taken { key: key.clone(), owner: holder.clone() });
                }
            }
            Constraint::Release(Claim { key, owner }) => {
                if self.holders.remove(key).as_ref() != Some(owner) {
                    return Err(ConstraintViolation::NotHeld { key: key.clone() });
                }
            }
            Constraint::Count(Counter { key, by, minimum, maximum }) => {
                let value = *self.counts.entry(key.clone()).or_default();
                let (key, after) = (key.clone(), value + by);
                match (*minimum, *maximum) {
                    (Some(minimum), _) if *by < 0 && after < minimum => {
                        return Err(ConstraintViolation::BelowMinimum { key, value, minimum });
                    }
                    (_, Some(maximum)) if *by > 0 && after > maximum => {
                        return Err(ConstraintViolation::AboveMaximum { key, value, maximum });
                    }
                    _ => self.counts.insert(key, after),
                };
            }
        }
        Ok(())
    }

    fn record(&mut self, stream: &StreamId, id: EventId) -> Placed {
        let events = self.streams.entry(stream.clone()).or_default();
        events.push(id);
        let version = Version(events.len() as u64);
        let home = self.home(stream.organization);
        self.partitions.entry(home).or_default().1.push(id);
        Placed { position: self.end(stream.organization), version }
    }

    fn end(&self, organization: OrganizationId) -> Position {
        let partition = self.home(organization);
        let (start, events) = self.partitions.get(&partition).cloned().unwrap_or_default();
        Position { partition, offset: Offset(start.0 + events.len() as u64) }
    }

    fn home(&self, organization: OrganizationId) -> PartitionId {
        self.homes.get(&organization).copied().unwrap_or(PartitionId::PLATFORM)
    }
}
