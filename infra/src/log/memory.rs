//! A node's cache of stream states of a partition, so that a batch need not query the versions of its streams.
//!
//! The cache is never trusted by itself: under the partition's lock, the next batch reads the event at the cached head,
//! which must be the same, and all events after it, which other nodes have written.

use hashbrown::{HashMap, HashSet};
use porttask_runtime::log::{
    Head, Offset, OrganizationId, PartitionId, StreamId, Version,
    admission::{StreamState, Writes, WrittenEvent},
};

/// Maximum number of cached streams per partition; beyond that, the cache is cleared.
const MAX_STREAMS: usize = 100_000;

/// The part of a batch that belongs to a partition. A batch is for organizations of one partition, and may also touch
/// the platform.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Residents {
    /// Everything: the batch is for partition 0, the platform's.
    All,
    /// The batch's organizations, without the platform.
    Organizations,
    /// Only the platform: the organizations belong to another partition.
    Platform,
}

/// The cache of one partition.
pub(super) struct Memory {
    partition: PartitionId,
    residents: Residents,
    head: Option<Head>,
    firsts: HashMap<StreamId, Offset>,
    lasts: HashMap<Offset, (Offset, Version)>,
}

impl Memory {
    /// The cache of a writer's own partition.
    pub(super) fn own(partition: PartitionId) -> Self {
        let is_platform = partition == PartitionId::PLATFORM;
        Self::empty(partition, if is_platform { Residents::All } else { Residents::Organizations })
    }

    /// The cache of the platform's partition, for batches of another partition that touch the platform.
    pub(super) fn platform() -> Self {
        Self::empty(PartitionId::PLATFORM, Residents::Platform)
    }

    fn empty(partition: PartitionId, residents: Residents) -> Self {
        Self { partition, residents, head: None, firsts: HashMap::new(), lasts: HashMap::new() }
    }

    pub(super) fn partition(&self) -> PartitionId {
        self.partition
    }

    /// Whether the data of `organization` is in this partition.
    pub(super) fn is_home_of(&self, organization: OrganizationId) -> bool {
        match self.residents {
            Residents::All => true,
            Residents::Organizations => organization != OrganizationId::PLATFORM,
            Residents::Platform => organization == OrganizationId::PLATFORM,
        }
    }

    pub(super) fn known_head(&self) -> Option<Head> {
        self.head
    }

    pub(super) fn head(&self) -> Head {
        self.head.unwrap_or_else(|| Head::empty(self.partition))
    }

    pub(super) fn remembers(&self, stream: &StreamId) -> bool {
        self.firsts.contains_key(stream)
    }

    /// Clears the cache.
    pub(super) fn forget(&mut self) {
        *self = Self::empty(self.partition, self.residents);
    }

    /// Applies the event found at the cached head and the events after it. `false` if the head is a different event, or
    /// there are so many events that some may be missing.
    pub(super) fn catch_up(&mut self, news: impl Iterator<Item = (Head, Offset, Version)>, at_most: usize) -> bool {
        let mut news = news.peekable();
        if let Some(known) = self.head.filter(|head| head.position.offset > Offset::START)
            && news
                .next()
                .is_none_or(|(found, ..)| found.position != known.position || found.event_id != known.event_id)
        {
            return false;
        }
        let mut count = 1;
        for (head, first, version) in news {
            count += 1;
            if let Some(last) = self.lasts.get_mut(&first) {
                *last = (head.position.offset, version);
            }
            self.head = Some(head);
        }
        self.head.get_or_insert_with(|| Head::empty(self.partition));
        count < at_most
    }

    /// Evicts between two batches: a batch relies on the cache while it runs.
    pub(super) fn trim(&mut self) {
        if self.firsts.len() > MAX_STREAMS {
            self.firsts.clear();
            self.lasts.clear();
        }
    }

    /// Adds streams that were looked up.
    pub(super) fn learn(&mut self, found: impl Iterator<Item = (StreamId, StreamState)>) {
        for (stream, state) in found {
            self.lasts.insert(state.first, (state.last, state.version));
            self.firsts.insert(stream, state.first);
        }
    }

    /// Those of `streams` that are cached.
    pub(super) fn known<'a>(
        &'a self,
        streams: &'a HashSet<StreamId>,
    ) -> impl Iterator<Item = (StreamId, StreamState)> + 'a {
        streams.iter().filter_map(|stream| Some((stream.clone(), self.state(stream)?)))
    }

    /// The state of a stream, if it is cached.
    pub(super) fn state(&self, stream: &StreamId) -> Option<StreamState> {
        let first = *self.firsts.get(stream)?;
        let (last, version) = *self.lasts.get(&first)?;
        Some(StreamState { first, last, version })
    }

    /// Applies what was written.
    pub(super) fn advance(&mut self, writes: &Writes) {
        for WrittenEvent { event, first, .. } in &writes.events {
            if event.position.partition != self.partition {
                continue;
            }
            self.head = Some(Head { position: event.position, event_id: event.id, recorded_at: event.recorded_at });
            self.lasts.insert(*first, (event.position.offset, event.version));
            if event.version == Version(1) {
                self.firsts.insert(event.stream.clone(), *first);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use porttask_runtime::log::{EventId, Position};
    use uuid::Uuid;

    use super::*;

    fn head(offset: u64, id: u128) -> Head {
        let position = Position { partition: PartitionId(1), offset: Offset(offset) };
        Head { position, event_id: EventId(Uuid::from_u128(id)), recorded_at: Timestamp::UNIX_EPOCH }
    }

    fn stream() -> StreamId {
        StreamId::new(OrganizationId(Uuid::from_u128(7)), "user-1").unwrap()
    }

    /// A cache that has seen two events, the second being the first of a stream.
    fn memory() -> Memory {
        let mut memory = Memory::own(PartitionId(1));
        assert!(memory.catch_up([(head(2, 22), Offset(2), Version(1))].into_iter(), 10));
        let state = StreamState { first: Offset(2), last: Offset(2), version: Version(1) };
        memory.learn([(stream(), state)].into_iter());
        memory
    }

    #[test]
    fn events_of_other_nodes_bring_a_stream_forward() {
        let mut memory = memory();
        let news = [(head(2, 22), Offset(2), Version(1)), (head(3, 33), Offset(2), Version(2))];
        assert!(memory.catch_up(news.into_iter(), 10));
        let known: Vec<_> = memory.known(&HashSet::from([stream()])).collect();
        let state = StreamState { first: Offset(2), last: Offset(3), version: Version(2) };
        assert_eq!((known, memory.head()), (vec![(stream(), state)], head(3, 33)));
    }

    #[test]
    fn another_event_at_the_remembered_head_is_noticed() {
        assert!(!memory().catch_up([(head(2, 99), Offset(2), Version(1))].into_iter(), 10));
        assert!(!memory().catch_up([].into_iter(), 10));
        assert!(!memory().catch_up([(head(3, 33), Offset(2), Version(2))].into_iter(), 10));
    }

    #[test]
    fn too_many_news_may_be_incomplete() {
        let news = (2..12).map(|offset| (head(offset, offset.into()), Offset(2), Version(offset - 1)));
        let mut memory = memory();
        memory.head = Some(head(2, 2));
        assert!(!memory.catch_up(news, 10));
    }
}
