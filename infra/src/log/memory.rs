//! A node's cache of stream states of a partition, so that a batch need not query the versions of its streams.
//!
//! The cache is never trusted by itself: under the partition's lock, the next batch reads the event at the cached head,
//! which must be the same, and all events after it, which other nodes have written.

use hashbrown::{HashMap, HashSet};
use porttask_runtime::log::{
    Head, Offset, OrganizationId, PartitionId, StreamId, Version,
    admission::{StreamState, Writes, WrittenEvent},
};

/// Maximum number of streams that the cache of a partition's writer holds.
pub(super) const MAX_STREAMS: usize = 100_000;

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
    max_streams: usize,
    head: Option<Head>,
    /// The streams used since the last rotation, and those used only before it. Each stream is in one of them.
    current: Generation,
    previous: Generation,
}

/// Streams with the offset of their first event, by which the offset and version of their last event are found.
#[derive(Default)]
struct Generation {
    firsts: HashMap<StreamId, Offset>,
    lasts: HashMap<Offset, (Offset, Version)>,
}

impl Generation {
    fn insert(&mut self, stream: StreamId, state: StreamState) {
        self.lasts.insert(state.first, (state.last, state.version));
        self.firsts.insert(stream, state.first);
    }

    fn state(&self, stream: &StreamId) -> Option<StreamState> {
        let first = *self.firsts.get(stream)?;
        let (last, version) = *self.lasts.get(&first)?;
        Some(StreamState { first, last, version })
    }

    fn remove(&mut self, stream: &StreamId) -> Option<(StreamId, StreamState)> {
        let (stream, first) = self.firsts.remove_entry(stream)?;
        let (last, version) = self.lasts.remove(&first)?;
        Some((stream, StreamState { first, last, version }))
    }
}

impl Memory {
    /// The cache of a writer's own partition, of about `max_streams` streams.
    pub(super) fn own(partition: PartitionId, max_streams: usize) -> Self {
        let is_platform = partition == PartitionId::PLATFORM;
        Self::empty(partition, if is_platform { Residents::All } else { Residents::Organizations }, max_streams)
    }

    /// The cache of the platform's partition, for batches of another partition that touch the platform.
    pub(super) fn platform(max_streams: usize) -> Self {
        Self::empty(PartitionId::PLATFORM, Residents::Platform, max_streams)
    }

    fn empty(partition: PartitionId, residents: Residents, max_streams: usize) -> Self {
        let (current, previous) = Default::default();
        Self { partition, residents, max_streams, head: None, current, previous }
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
        self.current.firsts.contains_key(stream) || self.previous.firsts.contains_key(stream)
    }

    /// Clears the cache.
    pub(super) fn forget(&mut self) {
        *self = Self::empty(self.partition, self.residents, self.max_streams);
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
            let generations = [&mut self.current, &mut self.previous];
            if let Some(last) = generations.into_iter().find_map(|generation| generation.lasts.get_mut(&first)) {
                *last = (head.position.offset, version);
            }
            self.head = Some(head);
        }
        self.head.get_or_insert_with(|| Head::empty(self.partition));
        count < at_most
    }

    /// Evicts the streams that were not used for longest. Called between two batches: a batch relies on the cache while
    /// it runs.
    pub(super) fn trim(&mut self) {
        if self.current.firsts.len() >= self.max_streams / 2 {
            self.previous = std::mem::take(&mut self.current);
        }
    }

    /// Adds streams that were looked up.
    pub(super) fn learn(&mut self, found: impl Iterator<Item = (StreamId, StreamState)>) {
        found.for_each(|(stream, state)| self.current.insert(stream, state));
    }

    /// Those of `streams` that are cached; this counts as a use.
    pub(super) fn known<'a>(
        &'a mut self,
        streams: &'a HashSet<StreamId>,
    ) -> impl Iterator<Item = (StreamId, StreamState)> + 'a {
        streams.iter().filter_map(move |stream| Some((stream.clone(), self.state(stream)?)))
    }

    /// The state of a stream, if it is cached; this counts as a use.
    pub(super) fn state(&mut self, stream: &StreamId) -> Option<StreamState> {
        if let Some((stream, state)) = self.previous.remove(stream) {
            self.current.insert(stream, state);
        }
        self.current.state(stream)
    }

    /// Applies what was written.
    pub(super) fn advance(&mut self, writes: &Writes) {
        for WrittenEvent { event, first, .. } in &writes.events {
            if event.position.partition != self.partition {
                continue;
            }
            self.head = Some(Head { position: event.position, event_id: event.id, recorded_at: event.recorded_at });
            // The batch has used the stream, so that it is not in the previous generation.
            self.current.lasts.insert(*first, (event.position.offset, event.version));
            if event.version == Version(1) {
                self.current.firsts.insert(event.stream.clone(), *first);
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
        numbered(1)
    }

    fn numbered(number: u64) -> StreamId {
        StreamId::new(OrganizationId(Uuid::from_u128(7)), format!("user-{number}")).unwrap()
    }

    /// A cache that has seen two events, the second being the first of a stream.
    fn memory() -> Memory {
        let mut memory = Memory::own(PartitionId(1), 100);
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

    #[test]
    fn a_full_cache_evicts_the_streams_that_were_not_used_for_longest() {
        let mut memory = memory();
        for number in 2..1_000 {
            memory.trim();
            let first = Offset(1_000 + number);
            let state = StreamState { first, last: first, version: Version(1) };
            memory.learn([(numbered(number), state)].into_iter());
            assert!(memory.state(&stream()).is_some(), "evicted although just used, at {number}");
            let sizes = [&memory.current, &memory.previous].map(|it| (it.firsts.len(), it.lasts.len()));
            assert!(sizes.iter().all(|(firsts, lasts)| firsts == lasts && *firsts <= 50), "{sizes:?}");
        }
        let is_cached = |number| memory.remembers(&numbered(number));
        assert!((950..1_000).all(is_cached) && !(2..900).any(is_cached));
    }

    #[test]
    fn events_of_other_nodes_bring_an_unused_stream_forward() {
        let mut memory = memory();
        memory.previous = std::mem::take(&mut memory.current);
        let news = [(head(2, 22), Offset(2), Version(1)), (head(3, 33), Offset(2), Version(2))];
        assert!(memory.catch_up(news.into_iter(), 10));
        let state = StreamState { first: Offset(2), last: Offset(3), version: Version(2) };
        assert_eq!(memory.state(&stream()), Some(state));
    }
}
