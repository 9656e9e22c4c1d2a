//! The published vectors of the event encoding, computed by a program that shares nothing with ours.

use porttask_runtime::log::{
    EventId, EventType, LeafHash, Offset, OrganizationId, PartitionId, Position, RecordedEvent, StreamId, Version,
    encode_event,
};
use serde::Deserialize;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/event-encoding-vectors.json");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    event_id: uuid::Uuid,
    organization: uuid::Uuid,
    stream: String,
    version: u64,
    r#type: String,
    recorded_at_microseconds: i64,
    data_hex: String,
    meta_hex: String,
    encoding_hex: String,
    leaf_hash: String,
}

impl Vector {
    fn event(&self) -> RecordedEvent {
        RecordedEvent {
            // Not encoded: any will do.
            position: Position { partition: PartitionId(3), offset: Offset(42) },
            id: EventId(self.event_id),
            stream: StreamId::new(OrganizationId(self.organization), self.stream.as_str()).unwrap(),
            version: Version(self.version),
            event_type: EventType::new(self.r#type.clone()).unwrap(),
            recorded_at: jiff::Timestamp::from_microsecond(self.recorded_at_microseconds).unwrap(),
            data: bytes(&self.data_hex).into(),
            meta: bytes(&self.meta_hex).into(),
            leaf_hash: LeafHash(bytes(&self.leaf_hash).try_into().unwrap()),
        }
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "{hex}");
    (0..hex.len()).step_by(2).map(|index| u8::from_str_radix(&hex[index..index + 2], 16).unwrap()).collect()
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(&std::fs::read_to_string(VECTORS).unwrap()).unwrap()
}

#[test]
fn events_are_encoded_and_hashed_as_published() {
    let vectors = vectors();
    assert!(vectors.len() >= 5);
    for vector in vectors {
        let event = vector.event();
        assert_eq!(encode_event(&event), bytes(&vector.encoding_hex), "{}", vector.event_id);
        assert_eq!(LeafHash::of(&encode_event(&event)).to_string(), vector.leaf_hash, "{}", vector.event_id);
        assert!(event.is_intact());
    }
}

#[test]
fn every_field_counts() {
    let event = vectors()[1].event();
    let mut changed = vec![event.clone(); 8];
    changed[0].id = EventId(uuid::Uuid::nil());
    changed[1].stream.organization = OrganizationId::PLATFORM;
    changed[2].stream = StreamId::new(event.stream.organization, "another").unwrap();
    changed[3].version = Version(event.version.0 + 1);
    changed[4].event_type = EventType::new("user.renamed.v9").unwrap();
    changed[5].recorded_at += std::time::Duration::from_micros(1);
    changed[6].data = [&event.data[..], b" "].concat().into();
    changed[7].meta = [&event.meta[..], b" "].concat().into();
    assert!(event.is_intact());
    for (number, changed) in changed.into_iter().enumerate() {
        assert!(!changed.is_intact(), "change {number} is not seen");
    }
    let mut moved = event;
    moved.position = Position { partition: PartitionId(7), offset: Offset(1) };
    assert!(moved.is_intact(), "the place is not part of it");
}
