//! A batch in a transaction: load the rows that it touches, fold, write back what has changed, move the checkpoint.

use std::collections::{HashMap, HashSet};

use porttask_app::{
    log::PartitionId,
    views::{Batch, Changes, FoldOutcome, Progress, View},
};
use porttask_projections::{Key, Model, Value, Values};
use rusqlite::{OptionalExtension, Transaction, params, params_from_iter};

use super::{
    Failure,
    rows::{Stored, values_of},
    tables::{DIALECT, is_searchable, progress},
};
use crate::views::sql;

/// Folds a batch into a table that has come as far as the batch begins.
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
    let rows = if model.is_appended() { Vec::new() } else { load(transaction, view, model, batch, partition)? };
    let texts: Option<HashMap<Key, String>> = if !view.table.searched.is_empty() && is_searchable(transaction, view)? {
        let keyed = rows.iter().map(|row| (row[..view.table.key].to_vec(), view.table.searched_text(row)));
        Some(keyed.collect())
    } else {
        None
    };
    let folded = view.fold(model, rows, batch).map_err(Failure::View)?;
    store(transaction, view, partition, folded, texts.as_ref())?;
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

/// The rows that the events of a batch touch, as far as they exist.
fn load(
    transaction: &Transaction<'_>,
    view: &View,
    model: &dyn Model,
    batch: &Batch,
    partition: PartitionId,
) -> Result<Vec<Values>, Failure> {
    let columns = sql::list(&sql::all_columns(view));
    let select = format!("SELECT {columns} FROM {} WHERE {}", DIALECT.name(view), sql::has_key(view));
    let mut statement = transaction.prepare_cached(&select)?;
    let keys: HashSet<Key> = batch.events.iter().flat_map(|event| model.keys(event)).collect();
    let mut rows = Vec::with_capacity(keys.len());
    let partition = Value::Integer(i64::from(partition.0));
    for key in keys {
        let parameters = std::iter::once(&partition).chain(&key).map(Stored);
        let mut found = statement.query(params_from_iter(parameters))?;
        if let Some(row) = found.next()? {
            rows.push(values_of(view, row)?);
        }
    }
    Ok(rows)
}

/// Writes what has changed, in the order of the key: neighbours share pages. `texts` are those that rows had, if texts are
/// searched: only another one is written to their index.
fn store(
    transaction: &Transaction<'_>,
    view: &View,
    partition: PartitionId,
    mut rows: Changes,
    texts: Option<&HashMap<Key, String>>,
) -> Result<(), Failure> {
    rows.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let (name, columns) = (DIALECT.name(view), sql::stored_columns(view));
    let values: Vec<String> = (1..=columns.len()).map(|number| format!("${number}")).collect();
    let number = if texts.is_some() { " RETURNING number" } else { "" };
    let put = format!(
        "INSERT INTO {name} ({}) VALUES ({}) {}{number}",
        sql::list(&columns),
        values.join(", "),
        DIALECT.on_conflict(view)
    );
    let mut put = transaction.prepare_cached(&put)?;
    let delete = format!("DELETE FROM {name} WHERE {}{number}", sql::has_key(view));
    let mut delete = transaction.prepare_cached(&delete)?;
    let partition = Value::Integer(i64::from(partition.0));
    for (key, row) in &rows {
        let values = row.as_ref().unwrap_or(key);
        let parameters = params_from_iter(std::iter::once(&partition).chain(values).map(Stored));
        let statement = if row.is_some() { &mut put } else { &mut delete };
        let Some(texts) = texts else {
            statement.execute(parameters)?;
            continue;
        };
        let number: Option<i64> = statement.query_row(parameters, |row| row.get(0)).optional()?;
        let text = row.as_ref().map(|row| view.table.searched_text(row));
        if let Some(number) = number
            && text.as_ref() != texts.get(key)
        {
            index_text(transaction, view, number, text.as_deref())?;
        }
    }
    Ok(())
}

/// Lets a row be found by this text, or not at all.
fn index_text(transaction: &Transaction<'_>, view: &View, number: i64, text: Option<&str>) -> Result<(), Failure> {
    match text {
        Some(text) => {
            let put = format!("INSERT OR REPLACE INTO {view}_search (rowid, text) VALUES ($1, $2)");
            transaction.prepare_cached(&put)?.execute(params![number, text])?
        }
        None => {
            let delete = format!("DELETE FROM {view}_search WHERE rowid = $1");
            transaction.prepare_cached(&delete)?.execute([number])?
        }
    };
    Ok(())
}
