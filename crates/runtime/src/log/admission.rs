//! Admission of appends: the pure validation rules that every engine shares.
//!
//! An engine collects the appends that wait for a partition, takes the locks, answers the batch's [`Questions`] with
//! what is [`Known`], and validates the appends one by one with [`Admission::admit`]. Each sees the changes of the ones
//! before it; a rejected append has no effect. [`Admission::into_writes`] returns what is to be written.

use hashbrown::{HashMap, HashSet};

use jiff::Timestamp;

use super::{
    After, Append, AppendError, Appended, Claim, ClaimKey, Constraint, ConstraintViolation, Counter, CounterKey, Head,
    IdempotencyKey, LeafHash, NewEvent, Offset, OrganizationId, PartitionId, PersonKeyId, Placed, Position,
    RecordedEvent, SecretId, StreamId, Version, encode_event,
};

/// Identifies the record of an [`IdempotencyKey`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyRecordKey {
    /// The organization of the request.
    pub organization: OrganizationId,
    /// The scope within which the key is unique.
    pub scope: String,
    /// The caller's key.
    pub key: String,
}

impl IdempotencyRecordKey {
    /// Identifies the record of `idempotency_key` in an organization.
    pub fn of(organization: OrganizationId, idempotency_key: &IdempotencyKey) -> Self {
        Self { organization, scope: idempotency_key.scope.clone(), key: idempotency_key.key.clone() }
    }
}

/// The stored record of an [`IdempotencyKey`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// The keyed hash of the request.
    pub request_hash: [u8; 32],
    /// The position that the append returned.
    pub position: Position,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// When the record expires.
    pub expires_at: Timestamp,
}

/// The state of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamState {
    /// The offset of its first event, which identifies the stream within the partition.
    pub first: Offset,
    /// The offset of its last event.
    pub last: Offset,
    /// The version of its last event.
    pub version: Version,
}

/// What must be read, under the locks, before a batch can be validated.
#[derive(Debug, Default)]
pub struct Questions {
    /// The state of these streams.
    pub streams: HashSet<StreamId>,
    /// The owners of these names.
    pub claims: HashSet<ClaimKey>,
    /// The values of these counters.
    pub counters: HashSet<CounterKey>,
    /// The idempotency records under these keys.
    pub idempotency_keys: HashSet<IdempotencyRecordKey>,
    /// Which of these keys exist or existed in the ledger.
    pub person_keys: HashSet<PersonKeyId>,
    /// Which of these organizations exist.
    pub creations: HashSet<OrganizationId>,
}

impl Questions {
    /// The questions of a batch.
    pub fn of<'a>(appends: impl IntoIterator<Item = &'a Append>) -> Self {
        let mut questions = Self::default();
        for append in appends {
            questions.streams.extend(append.streams().cloned());
            for constraint in &append.constraints {
                match constraint {
                    Constraint::Claim(claim) | Constraint::Release(claim) => {
                        _ = questions.claims.insert(claim.key.clone())
                    }
                    Constraint::Count(counter) => _ = questions.counters.insert(counter.key.clone()),
                }
            }
            questions.idempotency_keys.extend(
                append
                    .idempotency_key
                    .iter()
                    .map(|idempotency_key| IdempotencyRecordKey::of(append.organization, idempotency_key)),
            );
            questions.person_keys.extend(append.person_keys.iter().map(|key| key.id));
            questions.creations.extend(append.creates_organization.then_some(append.organization));
        }
        questions
    }
}

/// The answers to [`Questions`]; what is missing does not exist.
#[derive(Debug)]
pub struct Known {
    /// The database's clock after the locks were taken.
    pub now: Timestamp,
    /// The heads of the locked partitions.
    pub heads: Vec<Head>,
    /// The streams that exist.
    pub streams: HashMap<StreamId, StreamState>,
    /// The claimed names, with their owners.
    pub claims: HashMap<ClaimKey, String>,
    /// The nonzero counters.
    pub counters: HashMap<CounterKey, i64>,
    /// The idempotency records.
    pub idempotency_keys: HashMap<IdempotencyRecordKey, IdempotencyRecord>,
    /// The keys that exist or existed in the ledger.
    pub person_keys: HashSet<PersonKeyId>,
    /// The organizations that exist.
    pub founded: HashSet<OrganizationId>,
}

impl Known {
    /// Nothing but these heads.
    pub fn nothing(now: Timestamp, heads: Vec<Head>) -> Self {
        Self {
            now,
            heads,
            streams: HashMap::new(),
            claims: HashMap::new(),
            counters: HashMap::new(),
            idempotency_keys: HashMap::new(),
            person_keys: HashSet::new(),
            founded: HashSet::new(),
        }
    }

    /// The changes of claims and counters by these constraints, in order.
    ///
    /// # Errors
    /// If one of them is violated.
    pub(crate) fn check(&self, constraints: &[Constraint]) -> Result<ConstraintChanges, ConstraintViolation> {
        let mut claims: HashMap<ClaimKey, Option<String>> = HashMap::new();
        let mut counters: HashMap<CounterKey, i64> = HashMap::new();
        for constraint in constraints {
            match constraint {
                Constraint::Claim(Claim { key, owner }) => match self.holder(&claims, key) {
                    Some(holder) if holder == owner => {}
                    Some(holder) => return Err(ConstraintViolation::Taken { key: key.clone(), owner: holder.clone() }),
                    None => _ = claims.insert(key.clone(), Some(owner.clone())),
                },
                Constraint::Release(Claim { key, owner }) => {
                    if self.holder(&claims, key) != Some(owner) {
                        return Err(ConstraintViolation::NotHeld { key: key.clone() });
                    }
                    claims.insert(key.clone(), None);
                }
                Constraint::Count(counter) => {
                    let known = || self.counters.get(&counter.key).copied().unwrap_or_default();
                    let value = counters.get(&counter.key).copied().unwrap_or_else(known);
                    counters.insert(counter.key.clone(), counted(counter, value)?);
                }
            }
        }
        Ok((claims, counters))
    }

    fn holder<'a>(&'a self, changed: &'a HashMap<ClaimKey, Option<String>>, key: &ClaimKey) -> Option<&'a String> {
        changed.get(key).map_or_else(|| self.claims.get(key), Option::as_ref)
    }
}

/// An event to be written, with what an engine may need to link it to its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenEvent {
    /// The event.
    pub event: RecordedEvent,
    /// The offset of the stream's first event, which may be this one.
    pub first: Offset,
    /// The offset of the previous event of the stream; [`Offset::START`] if there is none.
    pub previous: Offset,
}

/// All changes of the admitted appends of a batch.
#[derive(Debug)]
pub struct Writes {
    /// The events, in each partition contiguous from the known head.
    pub events: Vec<WrittenEvent>,
    /// The names that changed owner; `None` if released.
    pub claims: HashMap<ClaimKey, Option<String>>,
    /// The new values of changed counters.
    pub counters: HashMap<CounterKey, i64>,
    /// The new idempotency records.
    pub idempotency_keys: HashMap<IdempotencyRecordKey, IdempotencyRecord>,
    /// The new keys of people, wrapped.
    pub person_keys: HashMap<PersonKeyId, Vec<u8>>,
    /// The hashes of new or replaced secrets.
    pub secrets: HashMap<SecretId, Vec<u8>>,
    /// The organizations created, all in the batch's partition.
    pub founded: HashSet<OrganizationId>,
}

impl Writes {
    /// Whether there is anything to write.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.idempotency_keys.is_empty()
    }
}

/// The validation of one batch. All its organizations except the platform are in one partition.
#[derive(Debug)]
pub struct Admission {
    partition: PartitionId,
    known: Known,
    writes: Writes,
}

impl Admission {
    /// A batch for organizations of `partition`, under the lock of that partition and, if any append touches the
    /// platform, of partition 0.
    pub fn new(partition: PartitionId, known: Known) -> Self {
        let writes = Writes {
            events: Vec::new(),
            claims: HashMap::new(),
            counters: HashMap::new(),
            idempotency_keys: HashMap::new(),
            person_keys: HashMap::new(),
            secrets: HashMap::new(),
            founded: HashSet::new(),
        };
        Self { partition, known, writes }
    }

    /// Validates one append and, if it is admitted, adds it to the writes.
    ///
    /// # Errors
    /// If it is rejected; it has no effect then.
    pub fn admit(&mut self, append: &Append) -> Result<Appended, AppendError> {
        // It may have been admitted before, in a transaction that failed.
        append.admitted.set(false);
        let idempotency_key = append
            .idempotency_key
            .as_ref()
            .map(|idempotency_key| (IdempotencyRecordKey::of(append.organization, idempotency_key), idempotency_key));
        if let Some((key, idempotency_key)) = &idempotency_key
            && let Some(repeated) = self.repeated(key, idempotency_key)
        {
            return repeated;
        }
        if append.creates_organization && self.known.founded.contains(&append.organization) {
            return Err(AppendError::OrganizationExists(append.organization));
        }
        self.check_versions(append)?;
        if let Some(key) = append.person_keys.iter().find(|key| self.known.person_keys.contains(&key.id)) {
            return Err(AppendError::PersonKeyExists(key.id));
        }
        let (claims, counters) = self.known.check(&append.constraints)?;
        // Nothing below can fail.
        for (key, owner) in claims {
            match &owner {
                Some(owner) => _ = self.known.claims.insert(key.clone(), owner.clone()),
                None => _ = self.known.claims.remove(&key),
            }
            self.writes.claims.insert(key, owner);
        }
        for (key, value) in counters {
            self.known.counters.insert(key.clone(), value);
            self.writes.counters.insert(key, value);
        }
        for key in &append.person_keys {
            self.known.person_keys.insert(key.id);
            self.writes.person_keys.insert(key.id, key.wrapped.clone());
        }
        for secret in &append.secrets {
            self.writes.secrets.insert(secret.id, secret.hash.clone());
        }
        if append.creates_organization {
            self.known.founded.insert(append.organization);
            self.writes.founded.insert(append.organization);
        }
        append.admitted.set(true);
        let events = append.events.iter().map(|event| self.place(event)).collect();
        let head = self.head(self.partition_of(append.organization));
        let recorded_at = self.known.now.max(head.recorded_at);
        let appended = Appended { position: head.position, events, recorded_at, repeated: false };
        if let Some((key, idempotency_key)) = idempotency_key {
            let record = IdempotencyRecord {
                request_hash: idempotency_key.request_hash,
                position: appended.position,
                recorded_at,
                expires_at: recorded_at.saturating_add(idempotency_key.kept_for).unwrap_or(Timestamp::MAX),
            };
            self.known.idempotency_keys.insert(key.clone(), record.clone());
            self.writes.idempotency_keys.insert(key, record);
        }
        Ok(appended)
    }

    /// What is to be written in the transaction.
    pub fn into_writes(self) -> Writes {
        self.writes
    }

    fn repeated(
        &self,
        key: &IdempotencyRecordKey,
        idempotency_key: &IdempotencyKey,
    ) -> Option<Result<Appended, AppendError>> {
        let record = self.known.idempotency_keys.get(key).filter(|record| record.expires_at > self.known.now)?;
        if record.request_hash != idempotency_key.request_hash {
            return Some(Err(AppendError::AnotherRequest));
        }
        let IdempotencyRecord { position, recorded_at, .. } = *record;
        Some(Ok(Appended { position, events: Vec::new(), recorded_at, repeated: true }))
    }

    fn check_versions(&self, append: &Append) -> Result<(), AppendError> {
        let version = |stream: &StreamId| self.known.streams.get(stream).map_or(Version::NONE, |it| it.version);
        if let Some(After { stream, .. }) = append.after.as_ref().filter(|after| !after.admitted.is_set()) {
            let expected =
                append.expected.iter().find(|it| it.stream == *stream).map_or(Version::NONE, |it| it.version);
            return Err(AppendError::Conflict { stream: stream.clone(), expected, actual: version(stream) });
        }
        for expected in &append.expected {
            let actual = version(&expected.stream);
            if actual != expected.version {
                let stream = expected.stream.clone();
                return Err(AppendError::Conflict { stream, expected: expected.version, actual });
            }
        }
        Ok(())
    }

    fn place(&mut self, new: &NewEvent) -> Placed {
        let partition = self.partition_of(new.stream.organization);
        let now = self.known.now;
        let head = self.head_mut(partition);
        let position = Position { partition, offset: Offset(head.position.offset.0 + 1) };
        let recorded_at = now.max(head.recorded_at);
        *head = Head { position, event_id: new.id, recorded_at };

        let begun = StreamState { first: position.offset, last: Offset::START, version: Version::NONE };
        let stream = match self.known.streams.get_mut(&new.stream) {
            Some(stream) => stream,
            None => self.known.streams.entry(new.stream.clone()).or_insert(begun),
        };
        let previous = std::mem::replace(&mut stream.last, position.offset);
        stream.version = Version(stream.version.0 + 1);
        let StreamState { first, version, .. } = *stream;

        let mut event = RecordedEvent {
            position,
            id: new.id,
            stream: new.stream.clone(),
            version,
            event_type: new.event_type.clone(),
            recorded_at,
            data: new.data.clone(),
            meta: new.meta.clone(),
            leaf_hash: LeafHash([0; 32]),
        };
        event.leaf_hash = LeafHash::of(&encode_event(&event));
        self.writes.events.push(WrittenEvent { event, first, previous });
        Placed { position, version }
    }

    fn partition_of(&self, organization: OrganizationId) -> PartitionId {
        if organization == OrganizationId::PLATFORM { PartitionId::PLATFORM } else { self.partition }
    }

    fn head(&self, partition: PartitionId) -> Head {
        let locked = self.known.heads.iter().find(|head| head.position.partition == partition);
        locked.copied().unwrap_or_else(|| Head::empty(partition))
    }

    fn head_mut(&mut self, partition: PartitionId) -> &mut Head {
        let heads = &mut self.known.heads;
        let index = heads.iter().position(|head| head.position.partition == partition);
        // If an engine did not lock the partition, the offset is taken and its transaction fails.
        let index = index.unwrap_or_else(|| {
            heads.push(Head::empty(partition));
            heads.len() - 1
        });
        &mut heads[index]
    }
}

pub(crate) type ConstraintChanges = (HashMap<ClaimKey, Option<String>>, HashMap<CounterKey, i64>);

/// The count after a change, unless it crosses the bound in the direction of the change.
fn counted(counter: &Counter, value: i64) -> Result<i64, ConstraintViolation> {
    let changed = value.saturating_add(counter.by);
    if let Some(minimum) = counter.minimum.filter(|minimum| counter.by < 0 && changed < *minimum) {
        return Err(ConstraintViolation::BelowMinimum { key: counter.key.clone(), value, minimum });
    }
    if let Some(maximum) = counter.maximum.filter(|maximum| counter.by > 0 && changed > *maximum) {
        return Err(ConstraintViolation::AboveMaximum { key: counter.key.clone(), value, maximum });
    }
    Ok(changed)
}

#[cfg(test)]
mod tests;
