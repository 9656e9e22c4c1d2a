//! A read model: which rows an event affects, and how they change.

use std::marker::PhantomData;

use hashbrown::HashMap;
use porttask_domain::Source;

use crate::{Index, Recorded, Row, Table, Value};

/// The key of a row, as stored.
pub type Key = Vec<Value>;
/// A row, as stored.
pub type Values = Vec<Value>;

/// A query table, and how events fill it.
pub trait ReadModel: Send + Sync + 'static {
    /// The name of its table.
    const NAME: &'static str;
    /// The version of its columns and fold: incremented with every change to either.
    const VERSION: u32;
    /// Its indexes, for filtering and sorting.
    const INDEXES: &'static [Index];
    /// Indexes over the rows of all partitions.
    const CROSS_PARTITION_INDEXES: &'static [Index] = &[];
    /// The columns for full-text search.
    const FULL_TEXT_COLUMNS: &'static [&'static str] = &[];
    /// Whether every event inserts its own rows, which no other event affects.
    const APPEND_ONLY: bool = false;
    /// The events that it consumes. Other events never reach it.
    type Source: Source;
    /// Its row.
    type Row: Row;

    /// The keys of the rows that an event affects, from the event alone. Default: the row of the aggregate itself.
    fn keys(event: EventOf<'_, Self>, recorded: &Recorded) -> Vec<Key> {
        _ = event;
        vec![vec![Value::Id(recorded.organization.0), Value::Id(recorded.subject)]]
    }

    /// The change of a row. A fold: the same events in the same order yield the same rows.
    fn project(row: Option<Self::Row>, event: EventOf<'_, Self>, recorded: &Recorded) -> Change<Self::Row>;

    /// The change of the row with this key, for events that affect several rows in different ways. Default:
    /// [`ReadModel::project`], which is the same for all rows.
    fn project_at(
        key: &Key,
        row: Option<Self::Row>,
        event: EventOf<'_, Self>,
        recorded: &Recorded,
    ) -> Change<Self::Row> {
        _ = key;
        Self::project(row, event, recorded)
    }
}

/// An event of a model's source.
pub type EventOf<'a, M> = <<M as ReadModel>::Source as Source>::Event<'a>;

/// The change of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<R> {
    /// Leave the row unchanged, or absent.
    Keep,
    /// Insert or replace the row.
    Put(R),
    /// Delete the row.
    Delete,
}

/// A type-erased read model.
pub trait Model: Send + Sync {
    /// Its table.
    fn table(&self) -> Table;

    /// Whether every event inserts its own rows, which no other event affects: then no rows need to be loaded.
    fn is_append_only(&self) -> bool;

    /// The keys of the rows that each event affects.
    fn keys(&self, events: &[Recorded]) -> Vec<Vec<Key>>;

    /// Folds events into rows. `rows` are the existing rows of all affected keys; `keys` is the result of
    /// [`Model::keys`]. Returns the changed rows, with `None` for deleted ones.
    ///
    /// # Errors
    /// If a row does not match this model's columns.
    fn fold(
        &self,
        rows: Vec<Values>,
        events: &[Recorded],
        keys: Vec<Vec<Key>>,
    ) -> Result<Vec<(Key, Option<Values>)>, NotARow>;
}

/// A stored row that does not match its model's columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotARow;

/// Boxes a read model.
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
                let row = folding.get(&key).and_then(|folded| folded.row.clone());
                let change = M::project_at(&key, row, event, recorded);
                let folded = folding.entry(key).or_insert(Folding { row: None, is_changed: false });
                match change {
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
