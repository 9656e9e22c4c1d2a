//! The counts of all nodes: read before an attempt, added to once a second.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use porttask_runtime::supervise::beat;
use uuid::Uuid;

use super::{AttemptCount, Attempts, Tries};

/// How often the failures on this node are added to those in the ledger.
const ADD_EVERY: Duration = Duration::from_secs(1);
/// Counters per write.
const BATCH: usize = 1_000;
/// The failures of a counter from which on it is written.
const WORTH_WRITING: u32 = 2;

impl Attempts {
    /// Takes over what other nodes have counted. If the ledger cannot be read, this node's counts hold.
    pub(super) async fn load(&self, counters: &[Uuid], now: Timestamp) {
        let Some(database) = &self.database else { return };
        let _reading = self.ledger.read().await;
        let stored = match database.attempt_counts(counters).await {
            Ok(stored) => stored,
            Err(error) => {
                tracing::warn!(%error, "the failed attempts on other nodes could not be read");
                return;
            }
        };
        let _counting = self.counting();
        for counter in counters {
            let stored = stored.iter().find(|it| it.counter == *counter && now < it.expires_at);
            let here = self.tries.get(counter).filter(|it| now.duration_since(it.since) < it.window);
            if let Some(tries) = merged(here, stored) {
                self.tries.insert(*counter, tries);
            }
        }
    }

    /// Adds the failures on this node to those in the ledger, in a loop.
    pub async fn run(self: Arc<Self>) {
        loop {
            beat(ADD_EVERY);
            tokio::time::sleep(ADD_EVERY).await;
            self.add().await;
        }
    }

    /// Adds what is pending within `patience`; returns whether it finished.
    pub async fn shutdown(&self, patience: Duration) -> bool {
        tokio::time::timeout(patience, self.add()).await.is_ok()
    }

    async fn add(&self) {
        let Some(database) = &self.database else { return };
        let _writing = self.ledger.write().await;
        let pending: Vec<(Uuid, Tries)> = {
            let mut changed = self.counting();
            std::mem::take(&mut *changed).into_iter().filter_map(|key| Some((key, self.tries.get(&key)?))).collect()
        };
        let is_worth_writing = |tries: &Tries| tries.is_stored || tries.is_reset || tries.failures >= WORTH_WRITING;
        let pending: Vec<_> = pending.into_iter().filter(|(_, tries)| is_worth_writing(tries)).collect();
        for batch in pending.chunks(BATCH) {
            let reset: Vec<Uuid> = batch.iter().filter(|(_, it)| it.is_reset).map(|(key, _)| *key).collect();
            let added = batch.iter().filter(|(_, it)| it.added != 0).map(|(key, it)| count(*key, it));
            let added: Vec<AttemptCount> = added.collect();
            let written = database.add_attempts(&reset, &added).await;
            let mut changed = self.counting();
            for (key, before) in batch {
                match &written {
                    Ok(()) => self.is_written(*key, before),
                    Err(_) => _ = changed.insert(*key),
                }
            }
            if let Err(error) = written {
                tracing::warn!(%error, "failed attempts could not be added to those on other nodes: will retry");
            }
        }
    }

    /// The counter was written as it was before. It may have changed meanwhile.
    fn is_written(&self, key: Uuid, before: &Tries) {
        if let Some(tries) = self.tries.get(&key)
            && tries.generation == before.generation
        {
            let is_reset = tries.is_reset && !before.is_reset;
            let (added, is_stored) =
                (tries.added - before.added, before.added != 0 || before.is_stored && !before.is_reset);
            self.tries.insert(key, Tries { added, is_reset, is_stored, ..tries });
        }
    }
}

/// The count in the ledger and what this node has not added to it yet.
fn merged(here: Option<Tries>, stored: Option<&AttemptCount>) -> Option<Tries> {
    let Some(here) = here else { return stored.map(|stored| sum(stored, None)) };
    match stored {
        // What is in the ledger will be deleted.
        _ if here.is_reset => Some(here),
        Some(stored) if here.unlocks == stored.unlocks => Some(sum(stored, Some(here))),
        // The account was unlocked since this node counted.
        Some(stored) if here.unlocks < stored.unlocks => Some(sum(stored, None)),
        // It was unlocked since other nodes counted; or another node has deleted the counter, or it was never written.
        Some(_) | None => Some(Tries { failures: number(here.added), is_stored: stored.is_some(), ..here }),
    }
}

fn sum(stored: &AttemptCount, here: Option<Tries>) -> Tries {
    let window = stored.expires_at.duration_since(stored.since);
    let begun = Tries::none(stored.unlocks, window, stored.since);
    let added = here.map_or(0, |here| here.added);
    Tries {
        failures: number(stored.failures.saturating_add(added)),
        last: here.map_or(stored.last, |here| here.last.max(stored.last)),
        added,
        is_stored: true,
        generation: here.map_or(begun.generation, |here| here.generation),
        ..begun
    }
}

fn number(failures: i64) -> u32 {
    u32::try_from(failures.max(0)).unwrap_or(u32::MAX)
}

fn count(counter: Uuid, tries: &Tries) -> AttemptCount {
    let Tries { since, last, unlocks, window, added, .. } = *tries;
    let expires_at = since.saturating_add(window.max(SignedDuration::ZERO)).unwrap_or(Timestamp::MAX);
    AttemptCount { counter, failures: added, since, last, unlocks, expires_at }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn here(added: i64, unlocks: u64) -> Tries {
        let tries = Tries::none(unlocks, SignedDuration::from_secs(100), at(20));
        Tries { failures: number(added), added, last: at(30), ..tries }
    }

    fn stored(failures: i64, unlocks: u64) -> AttemptCount {
        let (since, last, expires_at) = (at(10), at(25), at(110));
        AttemptCount { counter: Uuid::from_u128(1), failures, since, last, unlocks, expires_at }
    }

    #[test]
    fn failures_here_are_added_to_those_of_other_nodes() {
        let both = merged(Some(here(2, 1)), Some(&stored(5, 1))).unwrap();
        assert_eq!((both.failures, both.added, both.since, both.last), (7, 2, at(10), at(30)));
        assert_eq!(count(Uuid::from_u128(1), &both), AttemptCount { failures: 2, last: at(30), ..stored(0, 1) });
        let elsewhere = merged(None, Some(&stored(5, 1))).unwrap();
        assert_eq!((elsewhere.failures, elsewhere.added, elsewhere.last), (5, 0, at(25)));
        assert_eq!(merged(Some(here(2, 1)), None).map(|it| it.failures), Some(2));
        assert!(merged(None, None).is_none());
        // A success on another node deleted what this node had written; only what it has not written counts.
        let written = Tries { failures: 9, ..here(1, 1) };
        assert_eq!(merged(Some(written), None).map(|it| it.failures), Some(1));
    }

    #[test]
    fn an_unlock_ends_only_what_was_counted_before_it() {
        let ours = merged(Some(here(2, 2)), Some(&stored(5, 1))).unwrap();
        assert_eq!((ours.failures, ours.added, ours.unlocks), (2, 2, 2));
        let theirs = merged(Some(here(2, 1)), Some(&stored(5, 2))).unwrap();
        assert_eq!((theirs.failures, theirs.added, theirs.unlocks), (5, 0, 2));
    }

    #[test]
    fn a_reset_counter_waits_to_be_deleted() {
        let reset = Tries { is_reset: true, ..here(1, 1) };
        let kept = merged(Some(reset), Some(&stored(5, 1))).unwrap();
        assert!(kept.is_reset && kept.failures == 1, "{kept:?}");
    }
}
