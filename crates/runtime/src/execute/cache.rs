//! Aggregates in memory, with their versions.

use std::{
    any::Any,
    sync::{Arc, Mutex, PoisonError},
};

use porttask_domain::Registered;
use quick_cache::sync::Cache;

use crate::log::{StreamId, Version};

/// Capacity of the cache.
const CACHED_AGGREGATES: usize = 100_000;

/// The state of an aggregate at a version.
#[derive(Clone)]
pub(super) struct CachedAggregate {
    pub(super) version: Version,
    state: Arc<dyn Any + Send + Sync>,
}

impl CachedAggregate {
    pub(super) fn new<A: Registered>(version: Version, state: A) -> Self {
        Self { version, state: Arc::new(state) }
    }

    pub(super) fn is<A: Registered>(&self) -> bool {
        self.state.is::<A>()
    }

    /// The state; the initial one if it is of another type.
    pub(super) fn state<A: Registered>(&self) -> A {
        self.state.downcast_ref::<A>().cloned().unwrap_or_default()
    }

    /// The same state at another version.
    pub(super) fn at(&self, version: Version) -> Self {
        Self { version, state: Arc::clone(&self.state) }
    }

    pub(super) fn replace<A: Registered>(&mut self, state: A) {
        self.state = Arc::new(state);
    }
}

/// The cache. An entry never goes back to an older version.
pub(super) struct AggregateCache {
    aggregates: Cache<StreamId, CachedAggregate>,
    advancing: Mutex<()>,
}

impl Default for AggregateCache {
    fn default() -> Self {
        Self { aggregates: Cache::new(CACHED_AGGREGATES), advancing: Mutex::default() }
    }
}

impl AggregateCache {
    pub(super) fn get(&self, stream: &StreamId) -> Option<CachedAggregate> {
        self.aggregates.get(stream)
    }

    /// Keeps a state, unless a later one is known. Nonexistent streams are not cached: unauthenticated callers could fill
    /// the cache with them.
    pub(super) fn advance(&self, stream: &StreamId, cached: &CachedAggregate) {
        if cached.version == Version::NONE {
            return;
        }
        let _advancing = self.advancing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.aggregates.peek(stream).is_none_or(|known| known.version < cached.version) {
            self.aggregates.insert(stream.clone(), cached.clone());
        }
    }
}
