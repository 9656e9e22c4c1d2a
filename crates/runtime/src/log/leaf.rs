//! Canonical encoding of an event and its hash, as specified in `docs/event-encoding.md`.

use std::fmt;

use sha2::{Digest, Sha256};

use super::RecordedEvent;

/// The first field of every encoded event: identifies the encoding and its version.
const MAGIC: &[u8] = b"porttask.event.v1";

/// The RFC 6962 leaf hash of an event: SHA-256 over a zero byte and the encoded event.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeafHash(pub [u8; 32]);

impl LeafHash {
    /// The hash of an encoded event.
    pub fn of(encoded: &[u8]) -> Self {
        let mut hash = Sha256::new_with_prefix([0]);
        hash.update(encoded);
        Self(hash.finalize().into())
    }
}

/// Lower-case hexadecimal.
impl fmt::Display for LeafHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for LeafHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The bytes that are hashed: every field prefixed by its length (4 bytes, big-endian), numbers as 8 bytes big-endian.
/// Partition and offset are left out, so that the hash survives moves, exports and imports.
pub fn encode_event(event: &RecordedEvent) -> Vec<u8> {
    let fields: [&[u8]; 9] = [
        MAGIC,
        event.id.0.as_bytes(),
        event.stream.organization.0.as_bytes(),
        event.stream.name.as_str().as_bytes(),
        &event.version.0.to_be_bytes(),
        event.event_type.as_str().as_bytes(),
        &event.recorded_at.as_microsecond().to_be_bytes(),
        &event.data,
        &event.meta,
    ];
    let mut encoded = Vec::with_capacity(fields.iter().map(|field| 4 + field.len()).sum());
    for field in fields {
        // Admission bounds every field far below 4 GiB.
        encoded.extend_from_slice(&(field.len() as u32).to_be_bytes());
        encoded.extend_from_slice(field);
    }
    encoded
}
