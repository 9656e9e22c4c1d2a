//! A read model: which rows an event touches, and what becomes of them.

use std::marker::PhantomData;

use hashbrown::HashMap;
use porttask_domain::Source;

use crate::{Index, Recorded, Row, Table, Value};

/// The key of a row, as it is stored.
pub type Key = Vec<Value>;
/// A row, as it is stored.
pub type Values = Vec<Value>;

/// A question that is answered from a table, and how events fill it.
pub trait ReadModel: Send + Sync + 'static {
    /// The name of its table.
    const NAME: &'static str;
    /// The number of its shape and fold: incremented with every change of either.
    const VERSION: u32;
    /// What it is filtered and sorted by.
    const INDEXES: &'static [Index];
    /// What the rows of all partitions together are sorted by.
    const CROSS_PARTITION_INDEXES: &'static [Index] = &[];
    /// The columns in which texts are searched.
    const FULL_TEXT_COLUMNS: &'static [&'static str] = &[];
    /// Whether every event makes rows of its own, which no other event touches.
    const APPEND_ONLY: bool = false;
    /// What it is made of. Events of anything else never reach it.
    type Source: Source;
    /// Its row.
    type Row: Row;

    /// The keys of the rows that an event touches, from the event alone. Default: the row of the aggregate itself.
    fn keys(event: EventOf<'_, Self>, recorded: &Recorded) -> Vec<Key> {
        _ = event;
        vec![vec![Value::Id(recorded.organization.0), Value::Id(recorded.subject)]]
    }

    /// What becomes of a row. A fold: the same events in the same order make the same rows.
    fn project(row: Option<Self::Row>, event: EventOf<'_, Self>, recorded: &Recorded) -> Change<Self::Row>;
}

/// An event of a model's source.
pub type EventOf<'a, M> = <<M as ReadModel>::Source as Source>::Event<'a>;

/// What becomes of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<R> {
    /// Leave it as it is, or absent.
    Keep,
    /// Insert or replace the row.
    Put(R),
    /// Delete the row.
    Delete,
}

/// A read model, whichever it is.
pub trait Model: Send + Sync {
    /// Its table.
    fn table(&self) -> Table;

    /// Whether every event makes rows of its own, which no other event touches: there are none to be loaded then.
    fn is_append_only(&self) -> bool;

    /// The keys of the rows that each of the events touches.
    fn keys(&self, events: &[Recorded]) -> Vec<Vec<Key>>;

    /// Folds events into rows. `rows` are those of all keys that the events touch, as far as they exist; `keys` is the
    /// answer of [`Model::keys`]. Returns the rows that have changed, and `None` for those that are deleted.
    ///
    /// # Errors
    /// If a row does not have this model's shape.
    fn fold(
        &self,
        rows: Vec<Values>,
        events: &[Recorded],
        keys: Vec<Vec<Key>>,
    ) -> Result<Vec<(Key, Option<Values>)>, NotARow>;
}

/// A stored row that does not have its model's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotARow;

/// A read model in a box.
pub fn model<M: ReadModel>() -> Box<dyn Model> {
    Box::new(Boxed::<M>(PhantomData))
}

struct Boxed<M>(PhantomData<M>);

/// A row while events are folded into it.
struct Folding<R> {
    row: Option<R>,
    is_changed: bool,
}

impl<M: ReadModel> Model for Boxed<M> {
    fn table(&self) -> Table {
        Table {
            name: M::NAME,
            version: M::VERSION,
            columns: M::Row::COLUMNS,
            key: M::Row::KEY,
            indexes: M::INDEXES,
            cross_partition_indexes: M::CROSS_PARTITION_INDEXES,
            full_text_columns: M::FULL_TEXT_COLUMNS,
        }
    }

    fn is_append_only(&self) -> bool {
        M::APPEND_ONLY
    }

    fn keys(&self, events: &[Recorded]) -> Vec<Vec<Key>> {
        let keys = |it: &Recorded| M::Source::of(&it.event).map_or_else(Vec::new, |event| M::keys(event, it));
        events.iter().map(keys).collect()
    }

    fn fold(
        &self,
        rows: Vec<Values>,
        events: &[Recorded],
        keys: Vec<Vec<Key>>,
    ) -> Result<Vec<(Key, Option<Values>)>, NotARow> {
        let mut folding: HashMap<Key, Folding<M::Row>> = HashMap::with_capacity(rows.len());
        for values in rows {
            let key = values[..M::Row::KEY.min(values.len())].to_vec();
            let row = M::Row::from_values(values).ok_or(NotARow)?;
            folding.insert(key, Folding { row: Some(row), is_changed: false });
        }
        for (recorded, keys) in events.iter().zip(keys) {
            let Some(event) = M::Source::of(&recorded.event) else { continue };
            for key in keys {
                let folded = folding.entry(key).or_insert(Folding { row: None, is_changed: false });
                match M::project(folded.row.clone(), event, recorded) {
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
