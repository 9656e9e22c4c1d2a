//! Folding a batch in one transaction: load the rows that it touches, fold, write the changes, move the checkpoint.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
};

use porttask_projections::{Key, Model, Value, Values};
use porttask_runtime::{
    log::PartitionId,
    views::{Batch, Changes, FoldOutcome, Progress, View},
};
use rusqlite::{OptionalExtension, Transaction, params, params_from_iter};

use super::{
    Failure,
    rows::{Stored, values_of},
    tables::{DIALECT, indexed, is_searchable, progress},
};
use crate::views::sql;

/// Folds a batch into a table whose progress is the start of the batch.
pub(super) fn fold(
    transaction: &Transaction<'_>,
    view: &View,
    model: &dyn Model,
    batch: &Batch,
) -> Result<FoldOutcome, Failure> {
    let partition = batch.before.checkpoint.position.partition;
    let stored = progress(transaction, view)?.into_iter().find(|it| it.checkpoint.position.partition == partition);
    if stored.is_some_and(|stored| stored != batch.before) || (stored.is_none() && batch.before.count > 0) {
        return Ok(FoldOutcome::Elsewhere);
    }
    let keys = model.keys(&batch.events);
    let rows = if model.is_append_only() { Vec::new() } else { load(transaction, view, &keys, partition)? };
    let before: HashMap<Key, Values> = rows.iter().map(|row| (row[..view.table.key].to_vec(), row.clone())).collect();
    let folded = view.fold(model, rows, batch, keys).map_err(Failure::View)?;
    Writer::new(transaction, view, partition)?.store(folded, &before)?;
    let Progress { checkpoint, count, digest } = batch.after;
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO checkpoints (view, partition, incarnation, offset, event_id, count, digest)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )?
        .execute(params![
            view.to_string(),
            partition.0,
            checkpoint.incarnation.0.as_bytes(),
            checkpoint.position.offset.0,
            checkpoint.event_id.0.as_bytes(),
            count,
            digest
        ])?;
    Ok(FoldOutcome::Folded)
}

/// The existing rows that the events of a batch touch.
fn load(
    transaction: &Transaction<'_>,
    view: &View,
    keys: &[Vec<Key>],
    partition: PartitionId,
) -> Result<Vec<Values>, Failure> {
    let columns = sql::list(&sql::all_columns(view));
    let select = format!("SELECT {columns} FROM {} WHERE {}", DIALECT.name(view), sql::has_key(view));
    let mut statement = transaction.prepare_cached(&select)?;
    let keys: HashSet<&Key> = keys.iter().flatten().collect();
    let mut rows = Vec::with_capacity(keys.len());
    let partition = Value::Integer(i64::from(partition.0));
    for key in keys {
        let parameters = std::iter::once(&partition).chain(key).map(Stored);
        let mut found = statement.query(params_from_iter(parameters))?;
        if let Some(row) = found.next()? {
            rows.push(values_of(view, row)?);
        }
    }
    Ok(rows)
}

/// Writes rows of a partition.
struct Writer<'a> {
    transaction: &'a Transaction<'a>,
    view: &'a View,
    partition: Value,
    is_searchable: bool,
    /// Pending changes of the full-text index. Written after the rows: interleaved, each row's statement would make the
    /// index flush its buffer.
    texts: RefCell<Vec<(i64, Option<String>)>>,
}

impl<'a> Writer<'a> {
    fn new(transaction: &'a Transaction<'a>, view: &'a View, partition: PartitionId) -> Result<Self, Failure> {
        let is_searchable = !view.table.full_text_columns.is_empty() && is_searchable(transaction, view)?;
        Ok(Self {
            transaction,
            view,
            partition: Value::Integer(i64::from(partition.0)),
            is_searchable,
            texts: RefCell::default(),
        })
    }

    /// Writes the changes in key order: adjacent rows share pages. `before` contains the existing rows.
    fn store(&self, mut rows: Changes, before: &HashMap<Key, Values>) -> Result<(), Failure> {
        rows.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (key, row) in &rows {
            match (row, before.get(key)) {
                (Some(row), Some(before)) => self.update(key, before, row)?,
                (Some(row), None) => self.insert(row)?,
                (None, _) => self.delete(key)?,
            }
        }
        for (number, text) in self.texts.take() {
            self.index_text(number, text.as_deref())?;
        }
        Ok(())
    }

    fn insert(&self, row: &Values) -> Result<(), Failure> {
        let (name, columns) = (DIALECT.name(self.view), sql::stored_columns(self.view));
        let values: Vec<&str> = columns.iter().map(|_| "?").collect();
        let put = format!(
            "INSERT INTO {name} ({}) VALUES ({}) {}{}",
            sql::list(&columns),
            values.join(", "),
            DIALECT.on_conflict(self.view),
            self.returning()
        );
        self.change(&put, std::iter::once(&self.partition).chain(row), Some(row))
    }

    /// Updates only the columns that changed, so that indexes on other columns are not touched.
    fn update(&self, key: &Key, before: &Values, row: &Values) -> Result<(), Failure> {
        let columns = self.view.table.columns.iter().zip(before.iter().zip(row));
        let changed: Vec<_> = columns.filter(|(_, (before, value))| before != value).collect();
        if changed.is_empty() {
            return Ok(());
        }
        let set: Vec<String> = changed.iter().map(|(column, _)| format!("{} = ?", sql::quoted(column.name))).collect();
        let table = &self.view.table;
        let is_found_otherwise = self.is_searchable && table.searched_text(before) != table.searched_text(row);
        let returning = if is_found_otherwise { self.returning() } else { "" };
        let put =
            format!("UPDATE {} SET {} WHERE {}{returning}", DIALECT.name(self.view), set.join(", "), self.has_key());
        let values = changed.iter().map(|(_, (_, value))| *value);
        let parameters = values.chain(std::iter::once(&self.partition)).chain(key);
        if is_found_otherwise {
            return self.change(&put, parameters, Some(row));
        }
        self.transaction.prepare_cached(&put)?.execute(params_from_iter(parameters.map(Stored)))?;
        Ok(())
    }

    fn delete(&self, key: &Key) -> Result<(), Failure> {
        let delete = format!("DELETE FROM {} WHERE {}{}", DIALECT.name(self.view), self.has_key(), self.returning());
        self.change(&delete, std::iter::once(&self.partition).chain(key), None)
    }

    /// Executes a change that affects the full-text index; `None` removes the row from it.
    fn change<'v>(
        &self,
        sql: &str,
        parameters: impl Iterator<Item = &'v Value>,
        row: Option<&Values>,
    ) -> Result<(), Failure> {
        let mut statement = self.transaction.prepare_cached(sql)?;
        let parameters = params_from_iter(parameters.map(Stored));
        if !self.is_searchable {
            statement.execute(parameters)?;
            return Ok(());
        }
        let number: Option<i64> = statement.query_row(parameters, |row| row.get(0)).optional()?;
        let text = row.map(|row| indexed(&self.view.table.searched_text(row)));
        self.texts.borrow_mut().extend(number.map(|number| (number, text)));
        Ok(())
    }

    fn returning(&self) -> &'static str {
        if self.is_searchable { " RETURNING number" } else { "" }
    }

    fn has_key(&self) -> String {
        let conditions = sql::key_columns(self.view).into_iter().map(|name| format!("{} = ?", sql::quoted(name)));
        conditions.collect::<Vec<_>>().join(" AND ")
    }

    /// Indexes a row's text, or removes it from the index.
    fn index_text(&self, number: i64, text: Option<&str>) -> Result<(), Failure> {
        let view = self.view;
        match text {
            Some(text) => {
                let put = format!("INSERT OR REPLACE INTO {view}_search (rowid, text) VALUES (?, ?)");
                self.transaction.prepare_cached(&put)?.execute(params![number, text])?
            }
            None => {
                let delete = format!("DELETE FROM {view}_search WHERE rowid = ?");
                self.transaction.prepare_cached(&delete)?.execute([number])?
            }
        };
        Ok(())
    }
}
