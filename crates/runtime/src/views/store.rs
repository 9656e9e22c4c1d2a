//! Port: the tables of read models, created from definitions in Rust, filled by folds, disposable.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use porttask_projections::{Key, Model, NotARow, Table, Value, Values, normalized};

use super::{Batch, Progress};
use crate::{
    log::{FollowError, LogError, PartitionId},
    vault::VaultError,
};

/// A table of a model. There are several while one is rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Its definition.
    pub table: Table,
    /// Distinguishes the tables of one model and version.
    pub generation: i64,
}

/// The name of the table in the database.
impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_v{}_g{}", self.table.name, self.table.version, self.generation)
    }
}

/// A table and the model that fills it.
pub type FoldTarget = (Arc<dyn Model>, View);

/// A consistent copy of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The copy.
    pub view: View,
    /// The progress at the time of the copy.
    pub progress: Vec<Progress>,
}

/// The result of folding a batch into a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoldOutcome {
    /// The batch was folded and the checkpoint moved.
    Folded,
    /// Nothing was done: another node is folding or has already folded.
    Elsewhere,
}

/// Selects rows, in order.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// The partition to query.
    pub partition: PartitionId,
    /// Conditions that all must hold.
    pub conditions: Vec<Condition>,
    /// Whether to query all partitions; `partition` is then ignored.
    pub is_everywhere: bool,
    /// Only rows whose full text contains all of these words, ignoring case and diacritics: anywhere, or, for words of
    /// one or two characters, at the start of a word.
    pub text: Option<String>,
    /// The columns to sort by; the last ones are the key, so that the order is total.
    pub sort: Vec<&'static str>,
    /// The sort direction.
    pub direction: Direction,
    /// Only rows after these values of the sort columns.
    pub after: Option<Values>,
    /// The maximum number of rows.
    pub limit: usize,
}

impl Query {
    /// Maximum length of a search text, in characters.
    pub const MAX_TEXT: usize = 200;
}

/// How many rows a query selects, among a bounded number that are examined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The number of rows; a lower bound if it is not exact.
    pub rows: u64,
    /// Whether all rows were examined.
    pub is_exact: bool,
}

impl Count {
    /// Of `selected` among `examined` rows, of which at most `most` count.
    pub fn of(selected: u64, examined: u64, most: usize) -> Self {
        let most = most as u64;
        Self { rows: selected.min(most), is_exact: examined <= most }
    }
}

impl Condition {
    /// The column.
    pub fn column(&self) -> &'static str {
        match self {
            Self::Equal(name, _)
            | Self::AtLeast(name, _)
            | Self::Below(name, _)
            | Self::OneOf(name, _)
            | Self::HasWord(name, _) => name,
        }
    }
}

/// A condition on a row. Comparisons use the sort order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The column equals this value; null equals null.
    Equal(&'static str, Value),
    /// The column is greater than or equal to this value.
    AtLeast(&'static str, Value),
    /// The column is less than this value.
    Below(&'static str, Value),
    /// The column equals one of these values; an empty list matches no row.
    OneOf(&'static str, Vec<Value>),
    /// The column is a text of words that are separated by single spaces, of which this is one.
    HasWord(&'static str, Value),
}

/// The words of a search, normalized.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// Words that match anywhere.
    pub anywhere: Vec<String>,
    /// Words that match at the start of a word: too short for a trigram index.
    pub beginning: Vec<String>,
}

impl Query {
    /// The words to search for.
    pub fn words(&self) -> Words {
        let folded = self.text.as_deref().map(normalized).unwrap_or_default();
        let words = folded.split_whitespace().map(str::to_owned);
        let (anywhere, beginning) = words.partition(|word| word.chars().count() >= 3);
        Words { anywhere, beginning }
    }
}

/// A sort direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    /// Ascending.
    #[default]
    Ascending,
    /// Descending.
    Descending,
}

/// Why a table cannot be written or read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ViewError {
    /// No read model has this name.
    #[error("there is no read model {0}")]
    NoSuchModel(String),
    /// There is no such column.
    #[error("{view} has no column {column}")]
    NoSuchColumn {
        /// The table.
        view: String,
        /// The column.
        column: String,
    },
    /// A value has a different type than the column it is compared with.
    #[error("column {column} of {view} is compared with a value of another type")]
    WrongKind {
        /// The table.
        view: String,
        /// The column.
        column: String,
    },
    /// A row does not match its model's row type.
    #[error("{view} contains a row that does not match its definition: rebuild it with `porttask views rebuild`")]
    Foreign {
        /// The table.
        view: String,
    },
    /// The table was dropped: another one serves now.
    #[error("{0} was replaced by another table")]
    Gone(String),
    /// The fold of a model panicked.
    #[error("the fold of {view} panicked: {what}")]
    Panicked {
        /// The table.
        view: String,
        /// The panic's message.
        what: String,
    },
    /// Another process writes to a table that should be written only here.
    #[error("another process writes to {0}")]
    Elsewhere(String),
    /// The tables' database failed.
    #[error("the read models' database: {0}")]
    Database(String),
    /// The model has stopped.
    #[error("{0}")]
    Stopped(String),
    /// The log is not the one that the tables were derived from.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// An event cannot be opened or read.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl ViewError {
    /// Whether a damaged event was met: it stays damaged, however often it is read.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Log(LogError::Damaged(_)) | Self::Vault(VaultError::Log(LogError::Damaged(_))))
    }
}

/// The rows to write by key, `None` for rows to delete.
pub type Changes = Vec<(Key, Option<Values>)>;

impl View {
    /// Folds the events of a batch into the rows that they touch. Catches panics, so that a bug affects only this
    /// model.
    ///
    /// # Errors
    /// If a row does not match the model's row type, or the fold panics.
    pub fn fold(
        &self,
        model: &dyn Model,
        rows: Vec<Values>,
        batch: &Batch,
        keys: Vec<Vec<Key>>,
    ) -> Result<Changes, ViewError> {
        let folded = catch_unwind(AssertUnwindSafe(|| model.fold(rows, &batch.events, keys)));
        let view = self.to_string();
        match folded {
            Ok(Ok(changes)) => Ok(changes),
            Ok(Err(NotARow)) => Err(ViewError::Foreign { view }),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                Err(ViewError::Panicked { view, what: text.unwrap_or_default() })
            }
        }
    }
}

/// The tables of all models. Disposable: lost data is folded again.
#[async_trait]
pub trait ViewStore: Send + Sync {
    /// Maximum pause after a small batch of a partition. A batch costs a transaction and statements for each model,
    /// however small it is: under load, fewer and larger batches leave more capacity to other work.
    fn pace(&self) -> Duration;

    /// The serving table of this name and version; creates an empty one if there is none.
    async fn serving(&self, table: &Table) -> Result<View, ViewError>;

    /// Creates another, empty table of this name and version, without indexes, that does not serve. Drops others that
    /// do not serve: left over from an interrupted rebuild, or superseded.
    async fn begin(&self, table: &Table) -> Result<View, ViewError>;

    /// Builds the indexes of a table.
    async fn index(&self, view: &View) -> Result<(), ViewError>;

    /// Makes `new` the serving table and drops the old one. `false`, without effect, if `new` is behind the old one.
    async fn switch(&self, new: &View) -> Result<bool, ViewError>;

    /// Drops a table that does not serve.
    async fn drop_table(&self, view: &View) -> Result<(), ViewError>;

    /// Deletes the rows and the progress of a table in a partition.
    async fn clear(&self, view: &View, partition: PartitionId) -> Result<(), ViewError>;

    /// The progress of a table in every partition that it has started.
    async fn progress(&self, view: &View) -> Result<Vec<Progress>, ViewError>;

    /// The progress of tables in a partition, if they have started it: all as of one moment.
    async fn progress_in(&self, partition: PartitionId, views: &[View]) -> Result<Vec<Option<Progress>>, ViewError>;

    /// Folds a batch into the tables whose progress equals the batch's `before`, and moves their checkpoints, all in
    /// one transaction. Returns the outcome for each table; an error of one leaves all unchanged.
    async fn fold(&self, tables: &[FoldTarget], batch: &Arc<Batch>) -> Result<Vec<FoldOutcome>, ViewError>;

    /// A consistent copy of a table with its progress.
    async fn freeze(&self, view: &View) -> Result<Snapshot, ViewError>;

    /// The number of rows that are in only one of the tables, by partition; partitions without any are omitted.
    async fn differing_rows(&self, one: &View, other: &View) -> Result<Vec<(PartitionId, u64)>, ViewError>;

    /// The rows that a query selects.
    async fn select(&self, view: &View, query: &Query) -> Result<Vec<Values>, ViewError>;

    /// How many rows a query selects, in whatever order and from the first on, of which at most `most` are examined.
    async fn count(&self, view: &View, query: &Query, most: usize) -> Result<Count, ViewError>;
}
