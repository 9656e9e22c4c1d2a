//! A page of events as it is read: few allocations, and an end when it is large enough.

use std::collections::HashSet;

use bytes::{Bytes, BytesMut};
use porttask_runtime::log::{EventType, InvalidName, RecordedEvent};

/// The bytes of data and meta after which a page ends early.
const PAGE_BYTES: usize = 16 << 20;
/// Data and meta of neighbours share blocks of this size, so that an event that is kept keeps little else in memory.
const BLOCK_BYTES: usize = 64 << 10;

#[derive(Default)]
pub(super) struct Page {
    events: Vec<RecordedEvent>,
    bytes: usize,
    block: BytesMut,
    types: HashSet<EventType>,
}

impl Page {
    /// A page for about `limit` events.
    pub(super) fn for_events(limit: usize) -> Self {
        Self { events: Vec::with_capacity(limit.min(1_024)), ..Self::default() }
    }

    pub(super) fn push(&mut self, event: RecordedEvent) {
        self.bytes += event.data.len() + event.meta.len();
        self.events.push(event);
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= PAGE_BYTES
    }

    pub(super) fn into_events(self) -> Vec<RecordedEvent> {
        self.events
    }

    /// A copy of `bytes`.
    pub(super) fn copy(&mut self, bytes: &[u8]) -> Bytes {
        if self.block.capacity() < bytes.len() {
            self.block = BytesMut::with_capacity(BLOCK_BYTES.max(bytes.len()));
        }
        self.block.extend_from_slice(bytes);
        self.block.split().freeze()
    }

    /// The type by this name; there are few different ones.
    pub(super) fn event_type(&mut self, name: &str) -> Result<EventType, InvalidName> {
        if let Some(known) = self.types.get(name) {
            return Ok(known.clone());
        }
        let new = EventType::new(name)?;
        self.types.insert(new.clone());
        Ok(new)
    }
}
