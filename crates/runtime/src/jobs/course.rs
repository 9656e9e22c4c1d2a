//! Progress and cancellation of a running job, shared by the worker and its observers.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// The number of parts by outcome; the names of outcomes are up to the kind of work.
pub type Counts = BTreeMap<String, u64>;

/// Progress and cancellation of a running job.
#[derive(Debug, Default)]
pub struct Course {
    done: AtomicU64,
    counts: Mutex<Counts>,
    is_stopping: AtomicBool,
}

impl Course {
    /// No progress, not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a finished part under each of its outcomes.
    pub fn one_more(&self, how: &[&str]) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for word in how {
            *counts.entry((*word).to_owned()).or_default() += 1;
        }
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of parts done.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// The number of parts by outcome.
    pub fn counts(&self) -> Counts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests cancellation: no further part may start.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Whether cancellation was requested.
    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }
}
