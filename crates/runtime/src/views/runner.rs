//! Folding: follows one partition for all models of a node.
//!
//! Models that stand at the same place share a batch, which is read and decoded once. A model that fails stops there,
//! alone, says so, and is tried again.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, sleep_until};

use super::{
    Batch, FoldOutcome, FoldTarget, ServedModel, View, ViewError, ViewStore,
    batch::{Progress, Reader},
};
use crate::{
    log::{FollowError, PartitionId},
    vault::VaultError,
};

/// The most events of a batch for tables that serve. Only a table that is far behind meets so many.
const BATCH: usize = 16_384;
/// The most events of a batch that is folded into all models in one transaction: of larger ones, the transaction does not
/// count, and the rows of all models are much to hold.
const TOGETHER: usize = 1_024;
/// How long a model rests that has failed.
const REST: Duration = Duration::from_secs(5);
/// How long to leave the log that cannot be read.
const PAUSE: Duration = Duration::from_secs(1);
/// How long to leave a table to the node that is folding.
const YIELD: Duration = Duration::from_millis(20);
/// How long at most to wait for a wake-up; a safety net.
const LOOK_AFTER: Duration = Duration::from_secs(30);

pub(super) struct Runner {
    partition: PartitionId,
    reader: Reader,
    store: Arc<dyn ViewStore>,
    served: Vec<Arc<ServedModel>>,
    /// By model: where it stands, for which table.
    places: HashMap<usize, (View, Progress)>,
    resting: HashMap<usize, Instant>,
}

/// How a round has ended.
enum Round {
    /// There may be more at once.
    Folded,
    /// There may be a little more.
    FoldedAll,
    /// Others are at it.
    Elsewhere,
    /// All is folded that can be.
    Idle,
}

impl Runner {
    pub(super) fn new(
        partition: PartitionId,
        reader: Reader,
        store: Arc<dyn ViewStore>,
        served: Vec<Arc<ServedModel>>,
    ) -> Self {
        Self { partition, reader, store, served, places: HashMap::new(), resting: HashMap::new() }
    }

    pub(super) async fn run(mut self) {
        let mut wakeups = match self.reader.subscribe(self.partition) {
            Ok(wakeups) => wakeups,
            Err(error) => return tracing::error!(%error, "a partition cannot be followed"),
        };
        loop {
            // Marked as seen before the round: what is committed after its reads wakes us again.
            wakeups.mark_unchanged();
            let begun = Instant::now();
            match self.round().await {
                Ok(Round::Folded) => {}
                Ok(Round::FoldedAll) => sleep_until(begun + self.store.pace()).await,
                Ok(Round::Elsewhere) => sleep(YIELD).await,
                Ok(Round::Idle) => {
                    let look_after = self.resting.values().copied().fold(Instant::now() + LOOK_AFTER, Instant::min);
                    tokio::select! {
                        changed = wakeups.changed() => if changed.is_err() { return },
                        () = sleep_until(look_after) => self.places.clear(),
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, partition = %self.partition, "the read models wait for the log");
                    self.places.clear();
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Folds one batch into the models that stand furthest behind.
    async fn round(&mut self) -> Result<Round, ViewError> {
        let now = Instant::now();
        self.resting.retain(|_, until| *until > now);
        for index in 0..self.served.len() {
            if !self.resting.contains_key(&index)
                && let Err(error) = self.find(index).await
            {
                self.fail(index, &error);
            }
        }
        let awake = |index: &usize| !self.resting.contains_key(index);
        let furthest = self.places.iter().filter(|(index, _)| awake(index));
        let Some((_, (_, place))) = furthest.min_by_key(|(_, (_, place))| place.checkpoint.position.offset) else {
            return Ok(Round::Idle);
        };
        let place = *place;
        let together: Vec<usize> = (0..self.served.len())
            .filter(awake)
            .filter(|it| self.places.get(it).is_some_and(|it| it.1 == place))
            .collect();
        let batch = match self.reader.read(&place, BATCH).await {
            Ok(batch) => Arc::new(batch),
            Err(ViewError::Follow(error)) => return self.begin_again(&together, &error).await,
            Err(error @ (ViewError::Log(_) | ViewError::Vault(VaultError::Log(_)))) => return Err(error),
            Err(error) => {
                together.iter().for_each(|index| self.fail(*index, &error));
                return Ok(Round::Folded);
            }
        };
        if batch.events.is_empty() {
            return Ok(Round::Idle);
        }
        let is_all = batch.events.len() < BATCH && together.len() == self.served.len();
        let is_folded = match batch.events.len() {
            ..=TOGETHER => self.fold_together(&together, &batch).await,
            _ => self.fold_each(&together, &batch).await,
        };
        Ok(match (is_folded, is_all) {
            (false, _) => Round::Elsewhere,
            (true, true) => Round::FoldedAll,
            (true, false) => Round::Folded,
        })
    }

    /// Learns where a model stands, unless that is known.
    async fn find(&mut self, index: usize) -> Result<(), ViewError> {
        let view = self.served[index].table();
        if self.places.get(&index).is_some_and(|(known, _)| *known == view) {
            return Ok(());
        }
        let stored = self.store.progress(&view).await?;
        let stored = stored.into_iter().find(|it| it.checkpoint.position.partition == self.partition);
        let progress = match stored {
            Some(progress) => progress,
            None => self.reader.start(self.partition).await?,
        };
        self.places.insert(index, (view, progress));
        self.reached(index, &progress);
        Ok(())
    }

    /// Folds a batch into several models at once; `false` if another node did or does one of them.
    async fn fold_together(&mut self, models: &[usize], batch: &Arc<Batch>) -> bool {
        let place = |index: &usize| self.places.get(index).map(|(view, _)| (*index, *view));
        let found: Vec<(usize, View)> = models.iter().filter_map(place).collect();
        let table = |(index, view): &(usize, View)| (Arc::clone(&self.served[*index].model), *view);
        let tables: Vec<FoldTarget> = found.iter().map(table).collect();
        let Ok(outcomes) = self.store.fold(&tables, batch).await else {
            // One of them has failed: the others go on without it.
            return self.fold_each(models, batch).await;
        };
        let mut is_folded = true;
        for ((index, view), outcome) in found.into_iter().zip(outcomes) {
            is_folded &= self.came_out(index, view, outcome, batch);
        }
        is_folded
    }

    /// Folds a batch into models one by one; `false` if another node did or does one of them.
    async fn fold_each(&mut self, models: &[usize], batch: &Arc<Batch>) -> bool {
        let mut is_folded = true;
        for index in models {
            is_folded &= self.fold(*index, batch).await;
        }
        is_folded
    }

    /// `false` if another node did or does.
    fn came_out(&mut self, index: usize, view: View, outcome: FoldOutcome, batch: &Batch) -> bool {
        match outcome {
            FoldOutcome::Folded => {
                self.places.insert(index, (view, batch.after));
                self.reached(index, &batch.after);
                true
            }
            FoldOutcome::Elsewhere => {
                self.places.remove(&index);
                false
            }
        }
    }

    /// Folds a batch into a model; `false` if another node did or does.
    async fn fold(&mut self, index: usize, batch: &Arc<Batch>) -> bool {
        let served = Arc::clone(&self.served[index]);
        let Some((view, _)) = self.places.get(&index).copied() else { return false };
        match self.store.fold(&[(Arc::clone(&served.model), view)], batch).await {
            Ok(outcomes) => outcomes.into_iter().all(|outcome| self.came_out(index, view, outcome, batch)),
            Err(ViewError::Gone(_)) => {
                self.places.remove(&index);
                if let Err(error) = served.look_again(self.store.as_ref()).await {
                    self.fail(index, &error);
                }
                true
            }
            Err(error) => {
                self.fail(index, &error);
                true
            }
        }
    }

    /// The log was put back from a copy: what was derived from the other one is discarded.
    async fn begin_again(&mut self, models: &[usize], error: &FollowError) -> Result<Round, ViewError> {
        for index in models {
            if let Some((view, _)) = self.places.remove(index) {
                tracing::warn!(%error, view = %view, partition = %self.partition, "a read model begins again");
                self.store.clear(&view, self.partition).await?;
            }
        }
        Ok(Round::Folded)
    }

    fn reached(&self, index: usize, progress: &Progress) {
        let offset = progress.checkpoint.position.offset;
        self.served[index].set_state(self.partition, |state| {
            let changed = state.offset != offset || state.failure.is_some();
            *state = super::State { offset, failure: None };
            changed
        });
    }

    /// Stops one model, loudly.
    fn fail(&mut self, index: usize, error: &ViewError) {
        let served = &self.served[index];
        tracing::error!(%error, model = served.model.table().name, partition = %self.partition, "a read model has stopped");
        let failure = error.to_string();
        served.set_state(self.partition, |state| {
            state.failure = Some(failure);
            true
        });
        self.resting.insert(index, Instant::now() + REST);
    }
}
