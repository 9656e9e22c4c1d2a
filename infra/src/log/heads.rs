//! The heads of the partitions as known to this node, with wake-ups for subscribers.

use porttask_runtime::log::{Offset, PartitionId};
use tokio::sync::watch;

/// One watch channel per partition. Offsets only increase.
pub(super) struct Heads {
    partitions: Vec<watch::Sender<Offset>>,
}

impl Heads {
    /// Heads at the start of every partition.
    pub(super) fn new(partitions: usize) -> Self {
        Self { partitions: (0..partitions).map(|_| watch::Sender::new(Offset::START)).collect() }
    }

    /// Raises the head of a partition to `offset` and wakes its subscribers, unless it is known already.
    pub(super) fn publish(&self, partition: PartitionId, offset: Offset) {
        if let Some(head) = self.partitions.get(usize::from(partition.0)) {
            head.send_if_modified(|known| {
                let rises = offset > *known;
                *known = offset.max(*known);
                rises
            });
        }
    }

    pub(super) fn subscribe(&self, partition: PartitionId) -> Option<watch::Receiver<Offset>> {
        self.partitions.get(usize::from(partition.0)).map(watch::Sender::subscribe)
    }

    /// Whether there are subscribers, so that polling is useful.
    pub(super) fn has_subscribers(&self) -> bool {
        self.partitions.iter().any(|head| head.receiver_count() > 0)
    }
}
