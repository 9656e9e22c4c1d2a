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
            if let Some(tries) = merged(self.tries.get(counter), stored) {
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
            && tries.since == before.since
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
    match (here, stored) {
        (None, None) => None,
        // What is in the ledger will be deleted.
        (Some(here), _) if here.is_reset => Some(here),
        // Another node has deleted the counter, or it was never written.
        (Some(here), None) => Some(Tries { failures: number(here.added), is_stored: false, ..here }),
        (here, Some(stored)) => {
            let window = stored.expires_at.duration_since(stored.since);
            let here = here.filter(|here| here.unlocks <= stored.unlocks || here.added == 0);
            let added = here.map_or(0, |here| here.added);
            Some(Tries {
                failures: number(stored.failures.saturating_add(added)),
                since: stored.since,
                last: here.map_or(stored.last, |here| here.last.max(stored.last)),
                unlocks: stored.unlocks,
                window,
                added,
                is_reset: false,
                is_stored: true,
            })
        }
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
