//! The engine without the log, as a baseline.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::load::{STREAMS, random};
use crate::Error;

/// Direct access to a store that the log has created.
#[async_trait]
pub(super) trait Bare: Send {
    /// Rows per second in sequential transactions of `size` rows.
    async fn batches(&mut self, size: usize, time: Duration) -> Result<f64, Error>;
    /// Rows per second of `callers` that write each row in its own transaction.
    async fn naive(&mut self, callers: usize, time: Duration) -> Result<f64, Error>;
    /// Rows per second, read in pages of 1,000.
    async fn scan(&mut self, time: Duration) -> Result<f64, Error>;
    /// Writes rows until there are `count`.
    async fn fill(&mut self, count: u64) -> Result<(), Error>;
    /// Opens a snapshot, which is held until the returned value is dropped.
    async fn snapshot(&mut self) -> Result<Box<dyn Send>, Error>;
}

/// Generates rows as the log would write them for events of random streams.
pub(super) struct Rows {
    pub(super) organization: Uuid,
    pub(super) offset: u64,
    streams: Vec<(u64, u64, u64)>,
}

/// A row, without the columns that are equal in all rows.
pub(super) struct BareRow {
    pub(super) offset: u64,
    pub(super) number: usize,
    pub(super) first: u64,
    pub(super) previous: u64,
    pub(super) version: u64,
    pub(super) id: Uuid,
    pub(super) recorded_at: Timestamp,
    pub(super) leaf_hash: [u8; 32],
}

impl Rows {
    pub(super) fn new() -> Self {
        Self { organization: Uuid::now_v7(), offset: 0, streams: vec![(0, 0, 0); STREAMS] }
    }

    /// The next row.
    pub(super) fn next(&mut self) -> BareRow {
        let number = random(STREAMS);
        self.offset += 1;
        let (first, last, version) = &mut self.streams[number];
        if *version == 0 {
            *first = self.offset;
        }
        *version += 1;
        let previous = std::mem::replace(last, self.offset);
        let mut leaf_hash = [0; 32];
        leaf_hash.iter_mut().for_each(|byte| *byte = random(256) as u8);
        BareRow {
            offset: self.offset,
            number,
            first: *first,
            previous,
            version: *version,
            id: Uuid::now_v7(),
            recorded_at: Timestamp::now(),
            leaf_hash,
        }
    }

    pub(super) fn take(&mut self, count: usize) -> Vec<BareRow> {
        (0..count).map(|_| self.next()).collect()
    }
}
