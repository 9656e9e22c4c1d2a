//! A page of events being read: few allocations, and a size limit.

use std::collections::HashSet;

use bytes::{Bytes, BytesMut};
use porttask_runtime::log::{EventType, InvalidName, PAGE_BYTES, RecordedEvent};

/// Data and meta of adjacent events share blocks of this size, so that a retained event pins little other memory.
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

    /// The interned event type with this name.
    pub(super) fn event_type(&mut self, name: &str) -> Result<EventType, InvalidName> {
        if let Some(known) = self.types.get(name) {
            return Ok(known.clone());
        }
        let new = EventType::new(name)?;
        self.types.insert(new.clone());
        Ok(new)
    }
}
