//! Folding a batch in one transaction: load the rows that it touches, fold, write the changes, move the checkpoint.

use std::collections::HashSet;

use deadpool_postgres::Transaction;
use futures_util::{future::try_join_all, try_join};
use porttask_projections::{Key, Model, Values};
use porttask_runtime::{
    log::{Checkpoint, PartitionId},
    views::{Batch, Changes, FoldOutcome, FoldTarget, Progress, View, ViewError},
};
use tokio_postgres::types::ToSql;

use super::{
    failed, in_view,
    lookup::find,
    rows::{Array, Arrays, parameters, progress_of},
    tables::{DIALECT, PROGRESS, VIEW},
};
use crate::views::sql;

/// Folds a batch into those of the tables whose progress is the start of the batch; returns also how many rows of each
/// were changed.
pub(super) async fn fold(
    transaction: &Transaction<'_>,
    tables: &[FoldTarget],
    batch: &Batch,
) -> Result<(Vec<FoldOutcome>, Vec<usize>), ViewError> {
    // Pipelined, to save round trips.
    let keys: Vec<Vec<Vec<Key>>> = tables.iter().map(|(model, _)| model.keys(&batch.events)).collect();
    let loading =
        tables.iter().zip(&keys).map(|((model, view), keys)| load(transaction, view, model.as_ref(), batch, keys));
    let (turns, rows) = try_join!(take_turns(transaction, tables, batch), try_join_all(loading))?;
    let mut mine = Vec::with_capacity(tables.len());
    let mut storing = Vec::with_capacity(tables.len());
    let mut outcomes = Vec::with_capacity(tables.len());
    let mut changed = vec![0; tables.len()];
    for ((((model, view), rows), keys), changed) in tables.iter().zip(rows).zip(keys).zip(&mut changed) {
        let name = view.to_string();
        let has_turn = turns.contains(&name);
        outcomes.push(if has_turn { FoldOutcome::Folded } else { FoldOutcome::Elsewhere });
        if has_turn {
            let folded = view.fold(model.as_ref(), rows, batch, keys)?;
            *changed = folded.len();
            storing.push(store(transaction, view, batch.before.checkpoint.position.partition, folded));
            mine.push(name);
        }
    }
    try_join!(try_join_all(storing), move_checkpoints(transaction, &mine, &batch.after))?;
    Ok((outcomes, changed))
}

async fn move_checkpoints(transaction: &Transaction<'_>, views: &[String], after: &Progress) -> Result<(), ViewError> {
    let Progress { checkpoint, count, digest } = *after;
    let update =
        "UPDATE views.checkpoints SET incarnation = $3, \"offset\" = $4, event_id = $5, count = $6, digest = $7
                  WHERE view = ANY($1) AND partition = $2";
    let update = transaction.prepare_cached(update).await.map_err(failed)?;
    let values: [&(dyn ToSql + Sync); 7] = [
        &views,
        &i64::from(checkpoint.position.partition.0),
        &checkpoint.incarnation.0,
        &(checkpoint.position.offset.0 as i64),
        &checkpoint.event_id.0,
        &(count as i64),
        &&digest[..],
    ];
    transaction.execute(&update, &values).await.map_err(failed)?;
    Ok(())
}

/// Locks the checkpoints of tables; omits those that another node has locked or moved.
async fn take_turns(
    transaction: &Transaction<'_>,
    tables: &[FoldTarget],
    batch: &Batch,
) -> Result<HashSet<String>, ViewError> {
    let names: Vec<String> = tables.iter().map(|(_, view)| view.to_string()).collect();
    let partition = i64::from(batch.before.checkpoint.position.partition.0);
    let sql = format!("{PROGRESS} WHERE view = ANY($1) AND partition = $2 FOR UPDATE SKIP LOCKED");
    let lock = transaction.prepare_cached(&sql).await.map_err(failed)?;
    let mut mine = HashSet::new();
    for row in transaction.query(&lock, &[&names, &partition]).await.map_err(failed)? {
        if progress_of(&row)? == batch.before {
            mine.insert(row.get(VIEW));
        }
    }
    if batch.before.count == 0 && mine.len() < names.len() {
        let first = "INSERT INTO views.checkpoints (view, partition, incarnation, \"offset\", event_id, count, digest)
                     SELECT view, $2, $3, 0, $4, 0, $5 FROM unnest($1::text[]) AS view
                     ON CONFLICT DO NOTHING RETURNING view";
        let Checkpoint { incarnation, event_id, .. } = batch.before.checkpoint;
        let digest = &batch.before.digest[..];
        let values: [&(dyn ToSql + Sync); 5] = [&names, &partition, &incarnation.0, &event_id.0, &digest];
        let begun = transaction.query(first, &values).await.map_err(failed)?;
        mine.extend(begun.iter().map(|row| row.get::<_, String>(0)));
    }
    Ok(mine)
}

/// The existing rows that the events of a batch touch: one query, with one index lookup per key.
async fn load(
    transaction: &Transaction<'_>,
    view: &View,
    model: &dyn Model,
    batch: &Batch,
    keys: &[Vec<Key>],
) -> Result<Vec<Values>, ViewError> {
    if model.is_append_only() {
        return Ok(Vec::new());
    }
    let keys: HashSet<&Key> = keys.iter().flatten().collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let partition = batch.before.checkpoint.position.partition;
    let keys: Vec<_> = keys.into_iter().map(|key| (partition, key)).collect();
    let found = find(transaction, view, &keys).await?;
    Ok(found.into_iter().map(|(_, row)| row).collect())
}

/// Writes the changes in key order: adjacent rows share pages, and all nodes lock in the same order.
async fn store(
    transaction: &Transaction<'_>,
    view: &View,
    partition: PartitionId,
    mut rows: Changes,
) -> Result<(), ViewError> {
    rows.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let (name, columns) = (DIALECT.name(view), view.table.columns);
    let put: Vec<_> = rows.iter().filter_map(|(_, row)| row.as_ref().map(|row| (partition, row))).collect();
    if !put.is_empty() {
        let Arrays { values, unnested } = Arrays::of(columns, &put);
        let (stored, on_conflict) = (sql::list(&sql::stored_columns(view)), DIALECT.on_conflict(view));
        let insert = format!("INSERT INTO {name} ({stored}) SELECT * FROM {unnested} {on_conflict}");
        change(transaction, view, &insert, &values).await?;
    }
    let gone: Vec<_> = rows.iter().filter(|(_, row)| row.is_none()).map(|(key, _)| (partition, key)).collect();
    if !gone.is_empty() {
        let Arrays { values, unnested } = Arrays::of(&columns[..view.table.key], &gone);
        let key = sql::list(&sql::key_columns(view));
        let delete = format!("DELETE FROM {name} WHERE ({key}) IN (SELECT * FROM {unnested})");
        change(transaction, view, &delete, &values).await?;
    }
    Ok(())
}

async fn change(transaction: &Transaction<'_>, view: &View, sql: &str, values: &[Array]) -> Result<(), ViewError> {
    let statement = transaction.prepare_cached(sql).await.map_err(in_view(view))?;
    transaction.execute(&statement, &parameters(values)).await.map_err(in_view(view)).map(drop)
}
