use bytes::Bytes;

use super::*;
use crate::log::{EventId, EventType};

const PARTITION: PartitionId = PartitionId(3);

fn organization() -> OrganizationId {
    OrganizationId(uuid::Uuid::from_u128(7))
}

fn stream(name: &str) -> StreamId {
    StreamId::new(organization(), name).unwrap()
}

fn event(stream_name: &str) -> NewEvent {
    NewEvent {
        id: EventId::generate(),
        stream: stream(stream_name),
        event_type: EventType::new("user.renamed.v1").unwrap(),
        data: Bytes::from_static(b"{}"),
        meta: Bytes::from_static(b"{}"),
    }
}

fn append(stream_name: &str) -> Append {
    Append::new(organization(), vec![event(stream_name)])
}

fn at(microseconds: i64) -> Timestamp {
    Timestamp::from_microsecond(microseconds).unwrap()
}

fn admission() -> Admission {
    let heads = vec![Head::empty(PartitionId::PLATFORM), Head::empty(PARTITION)];
    Admission::new(PARTITION, Known::nothing(at(1_000), heads))
}

fn claim(name: u8, owner: &str) -> Claim {
    Claim {
        key: ClaimKey { organization: organization(), kind: "email".into(), hash: [name; 32] },
        owner: owner.into(),
    }
}

fn count(by: i64, minimum: Option<i64>, maximum: Option<i64>) -> Constraint {
    let key = CounterKey { organization: organization(), name: "seats".into() };
    Constraint::Count(Counter { key, by, minimum, maximum })
}

fn idempotency_key(request_hash: u8) -> IdempotencyKey {
    IdempotencyKey {
        scope: "test".into(),
        key: "k".into(),
        request_hash: [request_hash; 32],
        kept_for: jiff::SignedDuration::from_secs(1_000),
    }
}

#[test]
fn each_append_sees_what_the_ones_before_it_changed() {
    let mut admission = admission();
    let first = admission.admit(&append("a").expecting(stream("a"), Version::NONE)).unwrap();
    let second = admission.admit(&append("a").expecting(stream("a"), Version(1))).unwrap();
    assert_eq!((first.position.offset, second.position.offset), (Offset(1), Offset(2)));
    assert_eq!(second.events[0].version, Version(2));

    let writes = admission.into_writes();
    assert_eq!(writes.events[1].previous, Offset(1));
    assert!(writes.events.iter().all(|written| written.event.is_intact() && written.first == Offset(1)));
}

#[test]
fn a_refused_append_leaves_no_trace() {
    let mut admission = admission();
    let refused = append("a").constrained(count(1, None, Some(5))).constrained(Constraint::Release(claim(1, "ana")));
    assert!(matches!(admission.admit(&refused), Err(AppendError::Constraint(ConstraintViolation::NotHeld { .. }))));
    let late = append("a")
        .constrained(count(1, None, Some(5)))
        .idempotency_key(idempotency_key(1))
        .expecting(stream("a"), Version(9));
    assert!(matches!(admission.admit(&late), Err(AppendError::Conflict { actual: Version::NONE, .. })));
    let writes = admission.into_writes();
    assert!(writes.is_empty() && writes.counters.is_empty() && writes.claims.is_empty());
}

#[test]
fn a_name_is_held_by_one_owner_until_it_is_given_back() {
    let mut admission = admission();
    let take = |owner: &str| append("a").constrained(Constraint::Claim(claim(1, owner)));
    admission.admit(&take("ana")).unwrap();
    admission.admit(&take("ana")).unwrap();
    let taken = admission.admit(&take("ben")).unwrap_err();
    assert!(matches!(taken, AppendError::Constraint(ConstraintViolation::Taken { owner, .. }) if owner == "ana"));
    let hand_over =
        append("a").constrained(Constraint::Release(claim(1, "ana"))).constrained(Constraint::Claim(claim(1, "ben")));
    admission.admit(&hand_over).unwrap();
    assert_eq!(admission.into_writes().claims[&claim(1, "").key], Some("ben".to_owned()));
}

#[test]
fn a_count_is_refused_only_in_the_direction_of_its_bound() {
    let mut admission = admission();
    for _ in 0..3 {
        admission.admit(&append("a").constrained(count(1, None, Some(3)))).unwrap();
    }
    let above = admission.admit(&append("a").constrained(count(1, None, Some(3)))).unwrap_err();
    assert!(matches!(above, AppendError::Constraint(ConstraintViolation::AboveMaximum { value: 3, maximum: 3, .. })));
    // The limit was lowered to 1: the count may still decrease towards it.
    admission.admit(&append("a").constrained(count(-1, Some(1), Some(1)))).unwrap();
    let below = admission.admit(&append("a").constrained(count(-2, Some(1), None))).unwrap_err();
    assert!(matches!(below, AppendError::Constraint(ConstraintViolation::BelowMinimum { value: 2, minimum: 1, .. })));
    assert_eq!(admission.into_writes().counters.into_values().collect::<Vec<_>>(), [2]);
}

#[test]
fn the_same_request_is_recorded_once_and_another_is_refused() {
    let mut admission = admission();
    let done = admission.admit(&append("a").idempotency_key(idempotency_key(1))).unwrap();
    let again =
        admission.admit(&append("a").idempotency_key(idempotency_key(1)).expecting(stream("a"), Version(99))).unwrap();
    assert_eq!((again.position, again.repeated, again.events.len()), (done.position, true, 0));
    assert_eq!(admission.admit(&append("a").idempotency_key(idempotency_key(2))), Err(AppendError::AnotherRequest));
    assert_eq!(admission.into_writes().events.len(), 1);
}

#[test]
fn a_key_may_be_used_again_when_its_time_is_over() {
    let mut known = Known::nothing(at(2_000), vec![Head::empty(PARTITION)]);
    let position = Position { partition: PARTITION, offset: Offset(1) };
    let record = IdempotencyRecord { request_hash: [1; 32], position, recorded_at: at(1), expires_at: at(2_000) };
    known.idempotency_keys.insert(IdempotencyRecordKey::of(organization(), &idempotency_key(1)), record);
    assert!(
        !Admission::new(PARTITION, known).admit(&append("a").idempotency_key(idempotency_key(2))).unwrap().repeated
    );
}

#[test]
fn a_founding_is_refused_when_the_organization_exists_unless_it_is_a_repetition() {
    let mut admission = admission();
    admission.admit(&append("a").creates_organization().idempotency_key(idempotency_key(1))).unwrap();
    assert!(admission.admit(&append("a").creates_organization().idempotency_key(idempotency_key(1))).unwrap().repeated);
    let refused = admission.admit(&append("a").creates_organization());
    assert_eq!(refused, Err(AppendError::OrganizationExists(organization())));
}

#[test]
fn platform_events_stand_in_the_platform_partition() {
    let mut admission = admission();
    let mut both = append("a");
    let registered = StreamId::new(OrganizationId::PLATFORM, "domain-x").unwrap();
    both.events.push(NewEvent { stream: registered, ..event("a") });
    let appended = admission.admit(&both).unwrap();
    assert_eq!(appended.position, Position { partition: PARTITION, offset: Offset(1) });
    assert_eq!(appended.events[1].position, Position { partition: PartitionId::PLATFORM, offset: Offset(1) });
}

#[test]
fn time_never_runs_backwards_within_a_partition() {
    let head = Head { recorded_at: at(5_000), ..Head::empty(PARTITION) };
    let mut admission = Admission::new(PARTITION, Known::nothing(at(1_000), vec![head]));
    assert_eq!(admission.admit(&append("a")).unwrap().recorded_at, at(5_000));
}
