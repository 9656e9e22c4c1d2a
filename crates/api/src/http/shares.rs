//! Shares of what is scarce: nobody holds more than a part of it at a time.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

/// How much each key holds.
pub(crate) struct Shares<K> {
    held: Mutex<HashMap<K, usize>>,
    most: usize,
}

/// A share, returned when dropped.
pub(crate) struct Share<K: Eq + Hash + Copy> {
    shares: Arc<Shares<K>>,
    key: K,
}

impl<K: Eq + Hash + Copy> Shares<K> {
    /// At most this many for each key.
    pub(crate) fn new(most: usize) -> Self {
        Self { held: Mutex::default(), most }
    }

    /// One more for a key; `None` if it holds the maximum.
    pub(crate) fn take(self: &Arc<Self>, key: K) -> Option<Share<K>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(key).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Share { shares: Arc::clone(self), key })
    }
}

impl<K: Eq + Hash + Copy> Drop for Share<K> {
    fn drop(&mut self) {
        let mut held = self.shares.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_holds_its_share_at_most() {
        let shares = Arc::new(Shares::new(2));
        let (one, _two) = (shares.take("a").unwrap(), shares.take("a").unwrap());
        assert!(shares.take("a").is_none() && shares.take("b").is_some());
        drop(one);
        assert!(shares.take("a").is_some());
        assert!(!shares.held.lock().unwrap().contains_key("b"), "nothing remains of those who hold nothing");
    }
}
