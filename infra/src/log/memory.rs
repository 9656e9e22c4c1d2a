//! What a node remembers of a partition between two batches, so that a batch need not ask how far its streams have come.
//!
//! The memory is never believed by itself: under the partition's lock the next batch reads the event at the remembered
//! head, which must be the same, and all events after it, which are those of other nodes.

use hashbrown::{HashMap, HashSet};
use porttask_runtime::log::{
    Head, Offset, OrganizationId, PartitionId, StreamId, Version,
    admission::{StreamState, Writes, WrittenEvent},
};

/// The most streams that are remembered per partition; beyond, the memory starts anew.
const MAX_STREAMS: usize = 100_000;

/// What of a batch stands in a partition. A batch is for organizations of one partition, and perhaps for the platform.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Residents {
    /// The batch is for partition 0, where the platform lives, alone or with others.
    All,
    /// The batch's organizations.
    Organizations,
    /// The platform, beside organizations of another partition.
    Platform,
}

/// The memory of one partition.
pub(super) struct Memory {
    partition: PartitionId,
    residents: Residents,
    head: Option<Head>,
    firsts: HashMap<StreamId, Offset>,
    lasts: HashMap<Offset, (Offset, Version)>,
}

impl Memory {
    /// The memory of the partition that a batch is for.
    pub(super) fn own(partition: PartitionId) -> Self {
        let is_platform = partition == PartitionId::PLATFORM;
        Self::empty(partition, if is_platform { Residents::All } else { Residents::Organizations })
    }

    /// The memory of the platform's partition, for batches that are for another and touch it.
    pub(super) fn platform() -> Self {
        Self::empty(PartitionId::PLATFORM, Residents::Platform)
    }

    fn empty(partition: PartitionId, residents: Residents) -> Self {
        Self { partition, residents, head: None, firsts: HashMap::new(), lasts: HashMap::new() }
    }

    pub(super) fn partition(&self) -> PartitionId {
        self.partition
    }

    /// Whether what belongs to `organization` stands in this partition.
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

    /// Forgets everything.
    pub(super) fn forget(&mut self) {
        *self = Self::empty(self.partition, self.residents);
    }

    /// Takes in the remembered head, as it was found, and the events after it. `false` if the head is another or there
    /// are so many that some may be missing.
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

    /// Makes room, between two batches: what a batch builds on must not be forgotten during it.
    pub(super) fn trim(&mut self) {
        if self.firsts.len() > MAX_STREAMS {
            self.firsts.clear();
            self.lasts.clear();
        }
    }

    /// Takes in streams that were asked for and found.
    pub(super) fn learn(&mut self, found: impl Iterator<Item = (StreamId, StreamState)>) {
        for (stream, state) in found {
            self.lasts.insert(state.first, (state.last, state.version));
            self.firsts.insert(stream, state.first);
        }
    }

    /// Those of `streams` that exist in this partition.
    pub(super) fn known<'a>(
        &'a self,
        streams: &'a HashSet<StreamId>,
    ) -> impl Iterator<Item = (StreamId, StreamState)> + 'a {
        streams.iter().filter_map(|stream| Some((stream.clone(), self.state(stream)?)))
    }

    /// How far a stream has come, if it is remembered.
    pub(super) fn state(&self, stream: &StreamId) -> Option<StreamState> {
        let first = *self.firsts.get(stream)?;
        let (last, version) = *self.lasts.get(&first)?;
        Some(StreamState { first, last, version })
    }

    /// Takes in what was written and committed.
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

    /// A memory that has seen two events, the second being the first of a stream.
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
