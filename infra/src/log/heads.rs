//! The heads of the partitions as this node knows them, and the wake-ups of those who wait for more.

use porttask_runtime::log::{Offset, PartitionId};
use tokio::sync::watch;

/// One watch per partition. Offsets only rise.
pub(super) struct Heads {
    partitions: Vec<watch::Sender<Offset>>,
}

impl Heads {
    /// Heads at the start of every partition.
    pub(super) fn new(partitions: usize) -> Self {
        Self { partitions: (0..partitions).map(|_| watch::Sender::new(Offset::START)).collect() }
    }

    /// Tells whoever waits that the partition reaches up to `offset`; no news wakes nobody.
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

    /// Whether anybody waits, so that polling is of use.
    pub(super) fn has_subscribers(&self) -> bool {
        self.partitions.iter().any(|head| head.receiver_count() > 0)
    }
}
