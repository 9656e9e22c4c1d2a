//! Appends and their parts, in few words.

use bytes::Bytes;
use jiff::SignedDuration;
use porttask_runtime::log::{
    Append, AppendError, Claim, ClaimKey, Constraint, ConstraintViolation, Counter, CounterKey, EventId, EventLog,
    EventType, IdempotencyKey, NewEvent, Offset, OrganizationId, PartitionId, RecordedEvent, StreamId,
};
use sha2::{Digest, Sha256};

/// Random moments and choices. Tests that use it are about the order of things, which no seed would bring back.
pub struct Dice(u64);

impl Dice {
    /// Another sequence each time.
    #[expect(clippy::new_without_default, reason = "a default would be the same each time")]
    pub fn new() -> Self {
        Self(EventId::generate().0.as_u64_pair().1)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u32) -> u32 {
        // Knuth's multiplier; the high bits are the random ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32 % bound
    }
}

/// A stream of an organization.
pub fn stream(organization: OrganizationId, name: impl AsRef<str>) -> StreamId {
    StreamId::new(organization, name.as_ref()).unwrap()
}

/// A stream of the platform.
pub fn platform_stream(name: impl AsRef<str>) -> StreamId {
    stream(OrganizationId::PLATFORM, name)
}

/// A new event with these data.
pub fn event(stream: &StreamId, data: impl Into<Vec<u8>>) -> NewEvent {
    NewEvent {
        id: EventId::generate(),
        stream: stream.clone(),
        event_type: EventType::new("sample.taken.v1").unwrap(),
        data: Bytes::from(data.into()),
        meta: Bytes::from_static(br#"{"actor":"usr_1"}"#),
    }
}

/// An append of one event to one stream, which demands nothing.
pub fn simple(organization: OrganizationId, name: impl AsRef<str>) -> Append {
    Append::new(organization, vec![event(&stream(organization, name), *b"{}")])
}

/// Founds a new organization with one event in its stream `organization`.
pub async fn found(log: &dyn EventLog) -> OrganizationId {
    let organization = porttask_runtime::new_id::<OrganizationId>();
    log.append(simple(organization, "organization").creates_organization()).await.unwrap();
    organization
}

/// 32 bytes that stand for a text.
pub fn request_hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

fn claimed(organization: OrganizationId, name: &str, owner: &str) -> Claim {
    let key = ClaimKey { organization, kind: "email".into(), hash: request_hash(name) };
    Claim { key, owner: owner.to_owned() }
}

/// Takes a name.
pub fn claim(organization: OrganizationId, name: &str, owner: &str) -> Constraint {
    Constraint::Claim(claimed(organization, name, owner))
}

/// Gives a name back.
pub fn release(organization: OrganizationId, name: &str, owner: &str) -> Constraint {
    Constraint::Release(claimed(organization, name, owner))
}

/// The name of a count.
pub fn counter_key(organization: OrganizationId, name: &str) -> CounterKey {
    CounterKey { organization, name: name.to_owned().into() }
}

/// Counts.
pub fn count(
    organization: OrganizationId,
    name: &str,
    by: i64,
    minimum: Option<i64>,
    maximum: Option<i64>,
) -> Constraint {
    Constraint::Count(Counter { key: counter_key(organization, name), by, minimum, maximum })
}

/// A mark that is kept for a day.
pub fn idempotency_key(key: impl Into<String>, request: &str) -> IdempotencyKey {
    IdempotencyKey {
        scope: "tests".to_owned(),
        key: key.into(),
        request_hash: request_hash(request),
        kept_for: SignedDuration::from_hours(24),
    }
}

/// What a count is, learned from the refusal to raise it.
pub async fn value_of(log: &dyn EventLog, organization: OrganizationId, name: &str) -> i64 {
    let probe = simple(organization, "probe").constrained(count(organization, name, 1, None, Some(i64::MIN)));
    match log.append(probe).await {
        Err(AppendError::Constraint(ConstraintViolation::AboveMaximum { value, .. })) => value,
        other => panic!("a count cannot be read: {other:?}"),
    }
}

/// Who holds a name, learned from the refusal to hand it out; nothing is recorded when it is free.
pub async fn holder_of(log: &dyn EventLog, organization: OrganizationId, name: &str) -> Option<String> {
    let probe = simple(organization, "probe")
        .constrained(claim(organization, name, "nobody who could hold it"))
        .constrained(count(organization, "never counted", 1, None, Some(i64::MIN)));
    match log.append(probe).await {
        Err(AppendError::Constraint(ConstraintViolation::Taken { owner, .. })) => Some(owner),
        Err(AppendError::Constraint(ConstraintViolation::AboveMaximum { .. })) => None,
        other => panic!("a claim cannot be read: {other:?}"),
    }
}

/// A partition from after an offset to its end, read in pages of at most `limit`.
pub async fn page_to_end(
    log: &dyn EventLog,
    partition: PartitionId,
    after: Offset,
    limit: usize,
) -> Vec<RecordedEvent> {
    let mut events: Vec<RecordedEvent> = Vec::new();
    loop {
        let after = events.last().map_or(after, |last| last.position.offset);
        let page = log.read_partition(partition, after, limit).await.unwrap();
        assert!(page.len() <= limit, "a page of {limit} has {} events", page.len());
        if page.is_empty() {
            return events;
        }
        events.extend(page);
    }
}
