//! Folding: follows one partition for all models of a node.
//!
//! Models with the same progress share a batch, which is read and decoded once. A model that fails stops without
//! affecting the others, reports the failure, and is retried.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, sleep_until};

use super::{
    Batch, FoldOutcome, FoldTarget, ServedModel, View, ViewError, ViewStore,
    batch::{Progress, Reader},
};
use crate::{
    log::{FollowError, PartitionId},
    supervise::beat,
    vault::VaultError,
};

/// Maximum events per batch for serving tables. Only reached by a table that is far behind.
const BATCH: usize = 16_384;
/// Maximum events of a batch folded into all models in one transaction: for larger ones, the cost of a transaction is
/// negligible, and the rows of all models take much memory.
const TOGETHER: usize = 1_024;
/// Up to this many events are folded without a pause afterwards: the service is not busy.
const FEW: usize = 2;
/// From this many events on, a batch is followed by the pause of a busy service.
const MANY: usize = 16;
/// Pause of a model that has failed.
const REST: Duration = Duration::from_secs(5);
/// Pause after a failure of the database, which may be over at any time.
const SHORT_REST: Duration = Duration::from_millis(500);
/// Pause when the log cannot be read.
const PAUSE: Duration = Duration::from_millis(500);
/// Pauses between looks at how far another node has folded.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const LATER_LOOKS: Duration = Duration::from_millis(40);
/// How long another node may fold nothing while there is something to fold.
const PATIENCE: Duration = Duration::from_millis(500);
/// Maximum time to wait for a wake-up, as a safety net.
const LOOK_AFTER: Duration = Duration::from_secs(30);

pub(super) struct Runner {
    partition: PartitionId,
    reader: Reader,
    store: Arc<dyn ViewStore>,
    served: Vec<Arc<ServedModel>>,
    /// The table and progress of each model, by index.
    places: HashMap<usize, (View, Progress)>,
    resting: HashMap<usize, Instant>,
    /// Whether another node folds the partition.
    follows: bool,
}

/// The result of a round.
enum Round {
    /// Folded; more may be waiting.
    Folded,
    /// Folded this many events into all models, up to the head.
    FoldedAll(usize),
    /// Another node folded or is folding.
    Elsewhere,
    /// Nothing left to fold.
    Idle,
}

impl Runner {
    pub(super) fn new(
        partition: PartitionId,
        reader: Reader,
        store: Arc<dyn ViewStore>,
        served: Vec<Arc<ServedModel>>,
    ) -> Self {
        Self { partition, reader, store, served, places: HashMap::new(), resting: HashMap::new(), follows: false }
    }

    pub(super) async fn run(mut self) {
        let mut wakeups = match self.reader.subscribe(self.partition) {
            Ok(wakeups) => wakeups,
            Err(error) => return tracing::error!(%error, "a partition cannot be followed by the read models"),
        };
        loop {
            // Marked as seen before the round, so that a commit after its reads wakes us again.
            wakeups.mark_unchanged();
            beat(LOOK_AFTER);
            let begun = Instant::now();
            match self.next().await {
                Ok(Round::Folded | Round::Elsewhere) => {}
                // The busier the service, the longer the pause: fewer and larger batches cost less.
                Ok(Round::FoldedAll(events)) if events > MANY => sleep_until(begun + self.store.pace()).await,
                Ok(Round::FoldedAll(events)) if events > FEW => {
                    sleep(begun.elapsed().min(self.store.pace())).await;
                }
                Ok(Round::FoldedAll(_)) => {}
                Ok(Round::Idle) => {
                    let look_after = self.resting.values().copied().fold(Instant::now() + LOOK_AFTER, Instant::min);
                    tokio::select! {
                        changed = wakeups.changed() => if changed.is_err() { return },
                        () = sleep_until(look_after) => self.places.clear(),
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, partition = %self.partition, "the read models are waiting for the log");
                    self.places.clear();
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Folds a batch, unless another node folds the partition.
    async fn next(&mut self) -> Result<Round, ViewError> {
        if self.follows && self.follow().await {
            return Ok(Round::Idle);
        }
        let round = self.round().await?;
        self.follows = matches!(round, Round::Elsewhere);
        Ok(round)
    }

    /// Watches another node fold, as long as it gets on; whether it folded all. Nodes that fold the same partition would
    /// read and decode the same events, and each would find some models folded by the other.
    async fn follow(&mut self) -> bool {
        let (mut reached, mut give_up, mut pause) = (None, Instant::now() + PATIENCE, FIRST_LOOK);
        while Instant::now() < give_up {
            sleep(pause).await;
            self.places.clear();
            self.find_all().await;
            let now = self.furthest_behind().map(|place| place.checkpoint.position.offset);
            if now >= Some(self.reader.head(self.partition)) {
                return true;
            }
            if now > reached {
                (reached, give_up) = (now, Instant::now() + PATIENCE);
            }
            pause = (pause * 2).min(LATER_LOOKS);
        }
        false
    }

    /// Folds one batch into the models that are furthest behind.
    async fn round(&mut self) -> Result<Round, ViewError> {
        self.find_all().await;
        let Some(place) = self.furthest_behind() else { return Ok(Round::Idle) };
        let offset = place.checkpoint.position.offset;
        // Models that are further meet the others where they are, and share batches from there on.
        let others = self.awake().map(|(_, it)| it.checkpoint.position.offset).filter(|it| *it > offset).min();
        let limit = others.map_or(BATCH, |it| BATCH.min((it.0 - offset.0) as usize));
        let mut together: Vec<usize> = self.awake().filter(|(_, it)| **it == place).map(|(index, _)| index).collect();
        together.sort_unstable();
        let batch = match self.reader.read(&place, limit).await {
            Ok(batch) => Arc::new(batch),
            Err(ViewError::Follow(error)) => return self.begin_again(&together, &error).await,
            Err(error @ (ViewError::Log(_) | ViewError::Vault(VaultError::Log(_)))) if !error.is_damage() => {
                return Err(error);
            }
            Err(error) => {
                together.iter().for_each(|index| self.fail(*index, &error));
                return Ok(Round::Folded);
            }
        };
        if batch.events.is_empty() {
            return Ok(Round::Idle);
        }
        let is_all = batch.events.len() < limit && together.len() == self.served.len();
        let is_folded = match batch.events.len() {
            ..=TOGETHER => self.fold_together(&together, &batch).await,
            _ => self.fold_each(&together, &batch).await,
        };
        Ok(match (is_folded, is_all) {
            (false, _) => Round::Elsewhere,
            (true, true) => Round::FoldedAll(batch.events.len()),
            (true, false) => Round::Folded,
        })
    }

    /// The progress of the models that have not failed.
    fn awake(&self) -> impl Iterator<Item = (usize, &Progress)> {
        let places = self.places.iter().filter(|(index, _)| !self.resting.contains_key(index));
        places.map(|(index, (_, place))| (*index, place))
    }

    fn furthest_behind(&self) -> Option<Progress> {
        self.awake().map(|(_, place)| *place).min_by_key(|place| place.checkpoint.position.offset)
    }

    /// Loads the progress of the models of which it is not known.
    async fn find_all(&mut self) {
        let now = Instant::now();
        self.resting.retain(|_, until| *until > now);
        let is_known = |index: &usize, view: &View| self.places.get(index).is_some_and(|(known, _)| known == view);
        let tables = self.served.iter().map(|served| served.table()).enumerate();
        let unknown = tables.filter(|(index, view)| !self.resting.contains_key(index) && !is_known(index, view));
        let unknown: Vec<(usize, View)> = unknown.collect();
        if unknown.is_empty() {
            return;
        }
        match self.stored(&unknown).await {
            Ok(found) => {
                for ((index, view), progress) in unknown.into_iter().zip(found) {
                    self.places.insert(index, (view, progress));
                    self.reached(index, &progress);
                }
            }
            Err(error) => unknown.iter().for_each(|(index, _)| self.fail(*index, &error)),
        }
    }

    async fn stored(&self, tables: &[(usize, View)]) -> Result<Vec<Progress>, ViewError> {
        let views: Vec<View> = tables.iter().map(|(_, view)| *view).collect();
        let stored = self.store.progress_in(self.partition, &views).await?;
        if stored.iter().all(Option::is_some) {
            return Ok(stored.into_iter().flatten().collect());
        }
        let start = self.reader.start(self.partition).await?;
        Ok(stored.into_iter().map(|it| it.unwrap_or(start)).collect())
    }

    /// Folds a batch into several models in one transaction; `false` if another node folded or is folding into one of
    /// them.
    async fn fold_together(&mut self, models: &[usize], batch: &Arc<Batch>) -> bool {
        let place = |index: &usize| self.places.get(index).map(|(view, _)| (*index, *view));
        let found: Vec<(usize, View)> = models.iter().filter_map(place).collect();
        let table = |(index, view): &(usize, View)| (Arc::clone(&self.served[*index].model), *view);
        let tables: Vec<FoldTarget> = found.iter().map(table).collect();
        let Ok(outcomes) = self.store.fold(&tables, batch).await else {
            // One of them has failed: fold the others without it.
            return self.fold_each(models, batch).await;
        };
        let mut is_folded = true;
        for ((index, view), outcome) in found.into_iter().zip(outcomes) {
            is_folded &= self.came_out(index, view, outcome, batch);
        }
        is_folded
    }

    /// Folds a batch into models one by one; `false` if another node folded or is folding into one of them.
    async fn fold_each(&mut self, models: &[usize], batch: &Arc<Batch>) -> bool {
        let mut is_folded = true;
        for index in models {
            is_folded &= self.fold(*index, batch).await;
        }
        is_folded
    }

    /// Takes note of the outcome of a fold; `false` if another node folded or is folding.
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

    /// Folds a batch into a model; `false` if another node folded or is folding.
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

    /// The log was restored from a backup: discards what was derived from its previous incarnation.
    async fn begin_again(&mut self, models: &[usize], error: &FollowError) -> Result<Round, ViewError> {
        for index in models {
            if let Some((view, _)) = self.places.remove(index) {
                tracing::warn!(%error, view = %view, partition = %self.partition, "a read model starts over");
                self.store.clear(&view, self.partition).await?;
            }
        }
        Ok(Round::Folded)
    }

    fn reached(&self, index: usize, progress: &Progress) {
        let offset = progress.checkpoint.position.offset;
        self.served[index].set_state(self.partition, |state| {
            let changed = state.offset != offset || state.failure.is_some();
            *state = super::State { offset, ..super::State::default() };
            changed
        });
    }

    /// Stops one model and reports the failure.
    fn fail(&mut self, index: usize, error: &ViewError) {
        let served = &self.served[index];
        let (name, partition) = (served.model.table().name, self.partition);
        let (failure, is_damage) = (error.to_string(), error.is_damage());
        served.set_state(self.partition, |state| {
            // Logged once, not at each attempt.
            if state.failure.is_none() {
                tracing::error!(%error, model = name, %partition, "a read model has stopped");
            }
            state.failure = Some(failure);
            state.met_damage = is_damage;
            true
        });
        let rest = if matches!(error, ViewError::Database(_)) { SHORT_REST } else { REST };
        self.resting.insert(index, Instant::now() + rest);
    }
}
