//! Running read models: tables folded from the log.
//!
//! | file | what it owns |
//! |---|---|
//! | `store.rs` | the port: tables, checkpoints, queries |
//! | `batch.rs` | events as read models see them, and the progress of a table |
//! | `runner.rs` | folding: reads the log, applies each batch to the models, stops a model that fails |
//!
//! A model's table and its checkpoint change in one transaction, so that every event is folded exactly once. The
//! checkpoint counts the events and chains their leaf hashes, which exposes a skipped, duplicated or foreign event.

mod batch;
mod runner;
mod store;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use porttask_projections::{Model, ReadModel, Row, Value, Values};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use self::{batch::Reader, runner::Runner};
pub use self::{
    batch::{Batch, Progress},
    store::{
        Changes, Condition, Count, Direction, FoldOutcome, FoldTarget, Query, Snapshot, View, ViewError, ViewStore,
        Words,
    },
};
use crate::{
    log::{EventLog, FollowError, Offset, PartitionId, Position},
    supervise::{Restart, Supervised, supervise},
    vault::Vault,
};

/// Events per batch when loading a table that does not serve yet: sorted writes of many rows are more efficient.
const LOADING_BATCH: usize = 16_384;

/// Maximum attempts of a new table to catch up with the one it replaces.
const SWITCH_ATTEMPTS: u32 = 100;

/// The read models of a node.
pub struct Views {
    reader: Reader,
    store: Arc<dyn ViewStore>,
    served: Vec<Arc<ServedModel>>,
    runners: Mutex<Vec<Supervised>>,
}

/// A model and its serving table.
pub(crate) struct ServedModel {
    pub(crate) model: Arc<dyn Model>,
    table: Mutex<View>,
    /// By partition.
    states: Vec<watch::Sender<State>>,
}

/// The state of a model in one partition, as known to this node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// The offset up to which its table is folded.
    pub offset: Offset,
    /// Why it has stopped, if it has. Folding is retried every few seconds.
    pub failure: Option<String>,
    /// Whether it has stopped at a damaged event: no node can go on, so this one is not to be taken out of service.
    pub met_damage: bool,
}

/// The status of a model in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: u32,
    /// The partition.
    pub partition: PartitionId,
    /// Its state there.
    pub state: State,
    /// The number of events it lags behind the log, as known to this node.
    pub lag: u64,
}

/// The progress of a rebuild.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loaded {
    /// The partition being read.
    pub partition: PartitionId,
    /// The number of its events folded so far.
    pub folded: u64,
    /// The total number of its events.
    pub of: u64,
}

/// A difference between a table and the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discrepancy {
    /// The partition.
    pub partition: PartitionId,
    /// What differs.
    pub what: String,
}

impl fmt::Display for Discrepancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "partition {}: {}", self.partition, self.what)
    }
}

impl Views {
    /// Opens the tables of these models, creating missing ones. Nothing is folded before [`Views::run`].
    ///
    /// # Errors
    /// If the log or the tables' database fails.
    pub async fn open(
        log: Arc<dyn EventLog>,
        vault: Arc<Vault>,
        store: Arc<dyn ViewStore>,
        models: Vec<Box<dyn Model>>,
    ) -> Result<Arc<Self>, ViewError> {
        let partitions = log.heads().await?.len();
        let mut served = Vec::with_capacity(models.len());
        for model in models {
            let table = store.serving(&model.table()).await?;
            let mut states = vec![State::default(); partitions];
            for progress in store.progress(&table).await? {
                if let Some(state) = states.get_mut(usize::from(progress.checkpoint.position.partition.0)) {
                    state.offset = progress.checkpoint.position.offset;
                }
            }
            let states = states.into_iter().map(watch::Sender::new).collect();
            served.push(Arc::new(ServedModel { model: Arc::from(model), table: Mutex::new(table), states }));
        }
        let reader = Reader::new(log, vault);
        Ok(Arc::new(Self { reader, store, served, runners: Mutex::default() }))
    }

    /// Starts folding; stops when this value is dropped.
    pub fn run(&self) {
        let mut runners = self.runners.lock().unwrap_or_else(PoisonError::into_inner);
        let partitions = self.served.first().map_or(0, |served| served.states.len());
        for partition in 0..partitions {
            let (reader, store) = (self.reader.clone(), Arc::clone(&self.store));
            let served = self.served.clone();
            runners.push(supervise(format!("views of partition {partition}"), Restart::Always, move || {
                let id = PartitionId(partition as u16);
                Runner::new(id, reader.clone(), Arc::clone(&store), served.clone()).run()
            }));
        }
    }

    /// Waits until a model has reached a position; `false` after a timeout.
    ///
    /// # Errors
    /// If there is no such model.
    pub async fn wait_for(&self, name: &str, position: Position, patience: Duration) -> Result<bool, ViewError> {
        let served = self.served(name)?;
        let Some(state) = served.states.get(usize::from(position.partition.0)) else { return Ok(false) };
        let mut state = state.subscribe();
        let reached = timeout_at(Instant::now() + patience, state.wait_for(|state| state.offset >= position.offset));
        Ok(matches!(reached.await, Ok(Ok(_))))
    }

    /// Waits until a model has reached a position, however long it takes.
    ///
    /// # Errors
    /// If there is no such model, or it has stopped at a damaged event.
    pub async fn reach(&self, name: &str, position: Position) -> Result<(), ViewError> {
        let served = self.served(name)?;
        let no_partition = || ViewError::Follow(FollowError::NoSuchPartition(position.partition));
        let mut state = served.states.get(usize::from(position.partition.0)).ok_or_else(no_partition)?.subscribe();
        let come = state.wait_for(|state| state.offset >= position.offset || state.met_damage).await;
        let come = come.map_err(|error| ViewError::Database(error.to_string()))?.clone();
        match come.failure.filter(|_| come.offset < position.offset) {
            Some(failure) => Err(ViewError::Stopped(failure)),
            None => Ok(()),
        }
    }

    /// Waits until a model has reached the current heads of all partitions, at most `patience` for each.
    ///
    /// # Errors
    /// If there is no such model, or the log fails.
    pub async fn catch_up(&self, name: &str, patience: Duration) -> Result<(), ViewError> {
        for head in self.reader.heads().await? {
            self.wait_for(name, head.position, patience).await?;
        }
        Ok(())
    }

    /// Waits until a model has reached the current head of a partition, at most `patience`.
    ///
    /// # Errors
    /// If there is no such model, or the log fails.
    pub async fn catch_up_in(&self, name: &str, partition: PartitionId, patience: Duration) -> Result<(), ViewError> {
        let heads = self.reader.heads().await?;
        if let Some(head) = heads.iter().find(|head| head.position.partition == partition) {
            self.wait_for(name, head.position, patience).await?;
        }
        Ok(())
    }

    /// The number of events that the table of a model lacks now, in all partitions.
    ///
    /// # Errors
    /// If there is no such model, or a database fails.
    pub async fn behind(&self, name: &str) -> Result<u64, ViewError> {
        let view = self.served(name)?.table();
        let heads = self.reader.heads().await?;
        let progress = self.store.progress(&view).await?;
        let missing = heads.iter().map(|head| {
            let Position { partition, offset } = head.position;
            let reached = progress.iter().map(|it| it.checkpoint.position).find(|it| it.partition == partition);
            offset.0.saturating_sub(reached.map_or(0, |reached| reached.offset.0))
        });
        Ok(missing.sum())
    }

    /// The names of all models.
    pub fn names(&self) -> Vec<&'static str> {
        self.served.iter().map(|served| served.model.table().name).collect()
    }

    /// The status of all models.
    pub fn status(&self) -> Vec<Status> {
        let mut all = Vec::new();
        for served in &self.served {
            let table = served.model.table();
            for (partition, state) in served.states.iter().enumerate() {
                let (partition, state) = (PartitionId(partition as u16), state.borrow().clone());
                let head = self.reader.head(partition);
                let lag = head.0.saturating_sub(state.offset.0);
                all.push(Status { name: table.name, version: table.version, partition, state, lag });
            }
        }
        all
    }

    /// Rows of a model.
    ///
    /// # Errors
    /// If there is no such model or column, or the tables' database fails.
    pub async fn select(&self, name: &str, query: &Query) -> Result<Vec<Values>, ViewError> {
        let served = self.served(name)?;
        let mut table = served.table();
        for _ in 0..SWITCH_ATTEMPTS {
            match self.store.select(&table, query).await {
                // Another table serves now; it may be replaced again meanwhile.
                Err(ViewError::Gone(_)) => table = served.look_again(self.store.as_ref()).await?,
                selected => return selected,
            }
        }
        Err(ViewError::Gone(table.to_string()))
    }

    /// How many rows of a model a query selects, of which at most `most` are examined.
    ///
    /// # Errors
    /// As [`Views::select`].
    pub async fn count(&self, name: &str, query: &Query, most: usize) -> Result<Count, ViewError> {
        let served = self.served(name)?;
        let mut table = served.table();
        for _ in 0..SWITCH_ATTEMPTS {
            match self.store.count(&table, query, most).await {
                Err(ViewError::Gone(_)) => table = served.look_again(self.store.as_ref()).await?,
                counted => return counted,
            }
        }
        Err(ViewError::Gone(table.to_string()))
    }

    /// Rows of a model, typed.
    ///
    /// # Errors
    /// As [`Views::select`]; also if a row does not match the model's row type.
    pub async fn rows<M: ReadModel>(&self, query: &Query) -> Result<Vec<M::Row>, ViewError> {
        let foreign = || ViewError::Foreign { view: M::NAME.to_owned() };
        let rows = self.select(M::NAME, query).await?;
        rows.into_iter().map(|row| M::Row::from_values(row).ok_or_else(foreign)).collect()
    }

    /// The row with a key, given by its columns.
    ///
    /// # Errors
    /// As [`Views::rows`].
    pub async fn row<M: ReadModel>(
        &self,
        partition: PartitionId,
        key: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Result<Option<M::Row>, ViewError> {
        let conditions = key.into_iter().map(|(column, value)| Condition::Equal(column, value)).collect();
        let query = Query { partition, conditions, limit: 1, ..Query::default() };
        Ok(self.rows::<M>(&query).await?.pop())
    }

    /// Rebuilds the table of a model beside the serving one, then switches. Blocks neither readers nor folding.
    ///
    /// # Errors
    /// If there is no such model, an event cannot be folded, or a database fails. The old table keeps serving then.
    pub async fn rebuild(&self, name: &str, loaded: &(dyn Fn(Loaded) + Sync)) -> Result<(), ViewError> {
        self.rebuild_these(&[self.served(name)?], loaded).await
    }

    /// Rebuilds the tables of all models, reading the log once.
    ///
    /// # Errors
    /// As [`Views::rebuild`].
    pub async fn rebuild_all(&self, loaded: &(dyn Fn(Loaded) + Sync)) -> Result<(), ViewError> {
        self.rebuild_these(&self.served, loaded).await
    }

    async fn rebuild_these(
        &self,
        models: &[Arc<ServedModel>],
        loaded: &(dyn Fn(Loaded) + Sync),
    ) -> Result<(), ViewError> {
        let mut new = Vec::with_capacity(models.len());
        for served in models {
            new.push((Arc::clone(&served.model), self.store.begin(&served.model.table()).await?));
        }
        let built = self.build(models, &new, loaded).await;
        if built.is_err() {
            for ((_, view), served) in new.iter().zip(models) {
                if served.table() != *view {
                    self.store.drop_table(view).await?;
                }
            }
        }
        built
    }

    async fn build(
        &self,
        models: &[Arc<ServedModel>],
        new: &[FoldTarget],
        loaded: &(dyn Fn(Loaded) + Sync),
    ) -> Result<(), ViewError> {
        self.load(new, None, loaded).await?;
        for (_, view) in new {
            self.store.index(view).await?;
        }
        for (served, one) in models.iter().zip(new) {
            self.catch_up_and_switch(served, one).await?;
        }
        Ok(())
    }

    /// Folds what was recorded meanwhile before the switch, so that readers never see an older state.
    async fn catch_up_and_switch(&self, served: &ServedModel, new: &FoldTarget) -> Result<(), ViewError> {
        for _ in 0..SWITCH_ATTEMPTS {
            self.load(std::slice::from_ref(new), None, &|_| ()).await?;
            if self.store.switch(&new.1).await? {
                served.set_table(new.1);
                return Ok(());
            }
        }
        Err(ViewError::Elsewhere(new.1.to_string()))
    }

    /// Verifies a model against the log: counts and digests, and its rows against a rebuild up to the same position.
    /// Returns what differs.
    ///
    /// # Errors
    /// If there is no such model, an event cannot be folded, or a database fails.
    pub async fn verify(&self, name: &str, loaded: &(dyn Fn(Loaded) + Sync)) -> Result<Vec<Discrepancy>, ViewError> {
        let served = self.served(name)?;
        let view = served.table();
        let copy = self.store.begin(&served.model.table()).await?;
        let compared = self.compare(&served, &view, &copy, loaded).await;
        self.store.drop_table(&copy).await?;
        compared
    }

    async fn compare(
        &self,
        served: &ServedModel,
        view: &View,
        copy: &View,
        loaded: &(dyn Fn(Loaded) + Sync),
    ) -> Result<Vec<Discrepancy>, ViewError> {
        let mut faults = Vec::new();
        // Compare a snapshot, so that folding into the table continues meanwhile.
        let frozen = self.store.freeze(view).await?;
        let until: HashMap<PartitionId, Progress> =
            frozen.progress.iter().map(|it| (it.checkpoint.position.partition, *it)).collect();
        let rebuilt = self.load(&[(Arc::clone(&served.model), *copy)], Some(&until), loaded).await;
        if rebuilt.is_ok() {
            let reached = self.store.progress(copy).await?;
            for kept in &frozen.progress {
                let partition = kept.checkpoint.position.partition;
                if !reached.contains(kept) {
                    faults.push(Discrepancy { partition, what: "count or digest differs from the log".to_owned() });
                }
            }
            for (partition, rows) in self.store.differing_rows(&frozen.view, copy).await? {
                faults.push(Discrepancy { partition, what: format!("{rows} rows differ from a rebuild") });
            }
        }
        self.store.drop_table(&frozen.view).await?;
        rebuilt.map(|()| faults)
    }

    /// Folds into tables that do not serve yet, partition by partition, up to the heads or to given positions. All
    /// tables must have the same progress.
    async fn load(
        &self,
        tables: &[FoldTarget],
        until: Option<&HashMap<PartitionId, Progress>>,
        loaded: &(dyn Fn(Loaded) + Sync),
    ) -> Result<(), ViewError> {
        let Some((_, first)) = tables.first() else { return Ok(()) };
        let known = self.store.progress(first).await?;
        for head in self.reader.heads().await? {
            let partition = head.position.partition;
            let end = match until {
                None => head.position.offset,
                Some(until) => until.get(&partition).map_or(Offset::START, |it| it.checkpoint.position.offset),
            };
            let known = known.iter().find(|it| it.checkpoint.position.partition == partition);
            let mut progress = match known {
                Some(progress) => *progress,
                None => self.reader.start(partition).await?,
            };
            while progress.checkpoint.position.offset < end {
                let limit = LOADING_BATCH.min((end.0 - progress.checkpoint.position.offset.0) as usize);
                let batch = Arc::new(self.reader.read(&progress, limit).await?);
                if batch.events.is_empty() {
                    break;
                }
                for table in tables {
                    if self.store.fold(std::slice::from_ref(table), &batch).await? != [FoldOutcome::Folded] {
                        return Err(ViewError::Elsewhere(table.1.to_string()));
                    }
                }
                progress = batch.after;
                let folded = progress.checkpoint.position.offset.0;
                loaded(Loaded { partition, folded, of: end.0 });
            }
        }
        Ok(())
    }

    fn served(&self, name: &str) -> Result<Arc<ServedModel>, ViewError> {
        let found = self.served.iter().find(|served| served.model.table().name == name);
        found.cloned().ok_or_else(|| ViewError::NoSuchModel(name.to_owned()))
    }
}

impl ServedModel {
    pub(crate) fn table(&self) -> View {
        *self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_table(&self, view: View) {
        *self.table.lock().unwrap_or_else(PoisonError::into_inner) = view;
    }

    /// Looks up the serving table again: another process may have replaced it.
    pub(crate) async fn look_again(&self, store: &dyn ViewStore) -> Result<View, ViewError> {
        let view = store.serving(&self.model.table()).await?;
        self.set_table(view);
        Ok(view)
    }

    pub(crate) fn set_state(&self, partition: PartitionId, change: impl FnOnce(&mut State) -> bool) {
        if let Some(state) = self.states.get(usize::from(partition.0)) {
            state.send_if_modified(change);
        }
    }
}
