//! The port of the tables: made from definitions in Rust, filled by folds, disposable.

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

/// A table of a model: there may be several while one is rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Its shape.
    pub table: Table,
    /// Which of the tables of this model and version.
    pub generation: i64,
}

/// The name of its table in the database.
impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_v{}_g{}", self.table.name, self.table.version, self.generation)
    }
}

/// A table, and the fold that fills it.
pub type FoldTarget = (Arc<dyn Model>, View);

/// A copy of a table at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The copy.
    pub view: View,
    /// How far it had come.
    pub progress: Vec<Progress>,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoldOutcome {
    /// It is in the table, and so is the progress after it.
    Folded,
    /// Nothing was done: another node is folding, or has folded already.
    Elsewhere,
}

/// Which rows, in which order.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Only of this partition.
    pub partition: PartitionId,
    /// Only rows that meet all of these.
    pub conditions: Vec<Condition>,
    /// Whether rows of all partitions are asked for; `partition` does not count then.
    pub is_everywhere: bool,
    /// Only rows whose searched text contains all of these words, whatever their case and diacritics: anywhere, or, of a
    /// word of one or two characters, at the beginning of a word.
    pub text: Option<String>,
    /// By which columns they are sorted; the last ones are the key, so that no two rows are alike.
    pub sort: Vec<&'static str>,
    /// In which direction.
    pub direction: Direction,
    /// Only rows after these values of the sorted columns.
    pub after: Option<Values>,
    /// The most rows.
    pub limit: usize,
}

impl Query {
    /// The longest text that people may search for, in characters.
    pub const MAX_TEXT: usize = 200;
}

/// What must be so of a row. Values are compared as they are sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The column has this value; nothing is a value, too.
    Equal(&'static str, Value),
    /// The column has this value or a greater one.
    AtLeast(&'static str, Value),
    /// The column has a lesser value.
    Below(&'static str, Value),
    /// The column has one of these values. Of none, no row has one.
    OneOf(&'static str, Vec<Value>),
}

/// The words of a search, folded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// Those that are found anywhere.
    pub anywhere: Vec<String>,
    /// Those that are found at the beginning of a word: too short for an index of three characters.
    pub beginning: Vec<String>,
}

impl Query {
    /// The words that are searched for.
    pub fn words(&self) -> Words {
        let folded = self.text.as_deref().map(normalized).unwrap_or_default();
        let words = folded.split_whitespace().map(str::to_owned);
        let (anywhere, beginning) = words.partition(|word| word.chars().count() >= 3);
        Words { anywhere, beginning }
    }
}

/// A direction of sorting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    /// Upwards.
    #[default]
    Ascending,
    /// Downwards.
    Descending,
}

/// Why a table cannot be filled or read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ViewError {
    /// There is no read model by this name.
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
    /// A value cannot stand in the column that it is compared with.
    #[error("the column {column} of {view} is compared with a value of another kind")]
    WrongKind {
        /// The table.
        view: String,
        /// The column.
        column: String,
    },
    /// A row is not of its model's shape.
    #[error("{view} holds a row that is not of its shape: rebuild it with `porttask views rebuild`")]
    Foreign {
        /// The table.
        view: String,
    },
    /// The table was dropped: another one serves.
    #[error("{0} was replaced by another table")]
    Gone(String),
    /// The fold of a model has a defect.
    #[error("the fold of {view} panicked: {what}")]
    Panicked {
        /// The table.
        view: String,
        /// The panic's message.
        what: String,
    },
    /// Somebody else fills a table that should be ours alone.
    #[error("{0} is filled by another process")]
    Elsewhere(String),
    /// The tables' database failed.
    #[error("the read models' database: {0}")]
    Database(String),
    /// The log is not the one that the tables were made of.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// An event cannot be opened or read.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// The rows that change, `None` for those that are no more.
pub type Changes = Vec<(Key, Option<Values>)>;

impl View {
    /// Folds the events of a batch into the rows that they touch. A defect in the fold is this model's alone.
    ///
    /// # Errors
    /// If a row is not of the model's shape, or the fold panics.
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

/// The tables of all models. Disposable: whatever is lost is folded again.
#[async_trait]
pub trait ViewStore: Send + Sync {
    /// How long at least from one small batch of a partition to the next. A batch costs a transaction, and
    /// statements for each model, however small it is: under load, fewer and larger ones leave more of the machine to those who wait for them.
    fn pace(&self) -> Duration;

    /// The table that serves models of this name and version; an empty one is made if there is none.
    async fn serving(&self, table: &Table) -> Result<View, ViewError>;

    /// A further, empty table of this name and version, without indexes, that serves nobody. Others that serve nobody are
    /// dropped: somebody was interrupted who built them, or gives way.
    async fn begin(&self, table: &Table) -> Result<View, ViewError>;

    /// Builds the indexes of a table.
    async fn index(&self, view: &View) -> Result<(), ViewError>;

    /// Lets `new` serve instead of the table that serves now, which is dropped. `false`, and nothing is done, if `new` has
    /// not come as far.
    async fn switch(&self, new: &View) -> Result<bool, ViewError>;

    /// Drops a table that serves nobody.
    async fn drop_table(&self, view: &View) -> Result<(), ViewError>;

    /// Empties a table and forgets how far it had come in a partition.
    async fn clear(&self, view: &View, partition: PartitionId) -> Result<(), ViewError>;

    /// How far a table has come, in every partition in which it has begun.
    async fn progress(&self, view: &View) -> Result<Vec<Progress>, ViewError>;

    /// Folds a batch into tables whose progress is the batch's `before`, in one transaction with the progress after it.
    /// What became of each table; if one fails, nothing was done to any.
    async fn fold(&self, tables: &[FoldTarget], batch: &Arc<Batch>) -> Result<Vec<FoldOutcome>, ViewError>;

    /// A copy of a table with the progress that it has, at one moment.
    async fn freeze(&self, view: &View) -> Result<Snapshot, ViewError>;

    /// How many rows stand in one table and not in the other, by partition; those without any are left out.
    async fn differing_rows(&self, one: &View, other: &View) -> Result<Vec<(PartitionId, u64)>, ViewError>;

    /// Rows of a table.
    async fn select(&self, view: &View, query: &Query) -> Result<Vec<Values>, ViewError>;
}
