//! A read model: which rows an event touches, and what becomes of them.

use hashbrown::HashMap;

use crate::{Index, Recorded, Row, Table, Value};

/// The key of a row, as it is stored.
pub type Key = Vec<Value>;
/// A row, as it is stored.
pub type Values = Vec<Value>;

/// A question that is answered from a table, and how events fill it.
pub trait ReadModel: Send + Sync + 'static {
    /// The name of its table.
    const NAME: &'static str;
    /// The number of its shape and fold: whoever changes either, counts up.
    const VERSION: u32;
    /// What it is filtered and sorted by.
    const INDEXES: &'static [Index];
    /// What the rows of all partitions together are sorted by.
    const SPANNING: &'static [Index] = &[];
    /// The columns in which texts are searched.
    const SEARCHED: &'static [&'static str] = &[];
    /// Whether every event makes rows of its own, which no other event touches.
    const IS_APPENDED: bool = false;
    /// Its row.
    type Row: Row;

    /// The keys of the rows that an event touches: from the event alone.
    fn keys(recorded: &Recorded) -> Vec<Key>;

    /// What becomes of a row. A fold: the same events in the same order make the same rows.
    fn project(row: Option<Self::Row>, recorded: &Recorded) -> Change<Self::Row>;
}

/// What becomes of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<R> {
    /// It stays as it is, or absent.
    Keep,
    /// It is this from now on.
    Put(R),
    /// It is no more.
    Delete,
}

/// A read model, whichever it is.
pub trait Model: Send + Sync {
    /// Its table.
    fn table(&self) -> Table;

    /// Whether every event makes rows of its own, which no other event touches: there are none to be loaded then.
    fn is_appended(&self) -> bool;

    /// The keys of the rows that an event touches.
    fn keys(&self, recorded: &Recorded) -> Vec<Key>;

    /// Folds events into rows: `rows` are those of all keys that the events touch, as far as they exist. Answers the rows
    /// that have changed, and `None` for those that are no more.
    ///
    /// # Errors
    /// If a row is not of this model's shape.
    fn fold(&self, rows: Vec<Values>, events: &[Recorded]) -> Result<Vec<(Key, Option<Values>)>, NotARow>;
}

/// A stored row that is not of its model's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotARow;

/// A read model in a box.
pub fn model<M: ReadModel>() -> Box<dyn Model> {
    Box::new(Boxed::<M>(std::marker::PhantomData))
}

struct Boxed<M>(std::marker::PhantomData<M>);

/// A row while events are folded into it.
struct Folding<R> {
    row: Option<R>,
    is_changed: bool,
}

impl<M: ReadModel> Model for Boxed<M> {
    fn table(&self) -> Table {
        let (columns, key) = (M::Row::COLUMNS, M::Row::KEY);
        let (indexes, spanning, searched) = (M::INDEXES, M::SPANNING, M::SEARCHED);
        Table { name: M::NAME, version: M::VERSION, columns, key, indexes, spanning, searched }
    }

    fn is_appended(&self) -> bool {
        M::IS_APPENDED
    }

    fn keys(&self, recorded: &Recorded) -> Vec<Key> {
        M::keys(recorded)
    }

    fn fold(&self, rows: Vec<Values>, events: &[Recorded]) -> Result<Vec<(Key, Option<Values>)>, NotARow> {
        let mut folding: HashMap<Key, Folding<M::Row>> = HashMap::with_capacity(rows.len());
        for values in rows {
            let key = values[..M::Row::KEY.min(values.len())].to_vec();
            let row = M::Row::from_values(values).ok_or(NotARow)?;
            folding.insert(key, Folding { row: Some(row), is_changed: false });
        }
        for event in events {
            for key in M::keys(event) {
                let folded = folding.entry(key).or_insert(Folding { row: None, is_changed: false });
                match M::project(folded.row.clone(), event) {
                    Change::Keep => {}
                    Change::Put(row) => *folded = Folding { row: Some(row), is_changed: true },
                    Change::Delete => *folded = Folding { row: None, is_changed: true },
                }
            }
        }
        let changed = folding.into_iter().filter(|(_, folded)| folded.is_changed);
        Ok(changed.map(|(key, folded)| (key, folded.row.map(|row| row.to_values()))).collect())
    }
}
