//! How far long work has come, and whether it is to stop: shared by those who do it and those who watch.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// How many parts ended how, by words that the work chooses.
pub type Counts = BTreeMap<String, u64>;

/// The course of long work.
#[derive(Debug, Default)]
pub struct Course {
    done: AtomicU64,
    counts: Mutex<Counts>,
    is_stopping: AtomicBool,
}

impl Course {
    /// At its beginning.
    pub fn new() -> Self {
        Self::default()
    }

    /// One part more is done, and ended so.
    pub fn one_more(&self, how: &[&str]) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for word in how {
            *counts.entry((*word).to_owned()).or_default() += 1;
        }
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// How many parts are done.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// How many of them ended how.
    pub fn counts(&self) -> Counts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets no other part begin.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Whether no other part may begin.
    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }
}
