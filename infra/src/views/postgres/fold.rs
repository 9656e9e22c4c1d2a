//! A batch in a transaction: load the rows that it touches, fold, write back what has changed, move the checkpoint.

use std::collections::HashSet;

use deadpool_postgres::Transaction;
use futures_util::try_join;
use porttask_app::{
    log::{Checkpoint, PartitionId},
    views::{Batch, Changes, FoldOutcome, Progress, View, ViewError},
};
use porttask_projections::{Key, Kind, Model, Value, Values};
use tokio_postgres::types::{ToSql, Type};

use super::{
    failed, in_view,
    rows::{parameter, progress_of, values_of},
    tables::{DIALECT, PROGRESS},
};
use crate::{multi_row::add_rows, views::sql};

/// Folds a batch into a table that has come as far as the batch begins.
pub(super) async fn fold(
    transaction: &Transaction<'_>,
    view: &View,
    model: &dyn Model,
    batch: &Batch,
) -> Result<FoldOutcome, ViewError> {
    // Sent together: each answer takes a round trip.
    let (has_turn, rows) = try_join!(take_turn(transaction, view, batch), load(transaction, view, model, batch))?;
    if !has_turn {
        return Ok(FoldOutcome::Elsewhere);
    }
    let folded = view.fold(model, rows, batch)?;
    try_join!(
        store(transaction, view, batch.before.checkpoint.position.partition, folded),
        move_checkpoint(transaction, view, &batch.after)
    )?;
    Ok(FoldOutcome::Folded)
}

async fn move_checkpoint(transaction: &Transaction<'_>, view: &View, after: &Progress) -> Result<(), ViewError> {
    let Progress { checkpoint, count, digest } = *after;
    let update =
        "UPDATE views.checkpoints SET incarnation = $3, \"offset\" = $4, event_id = $5, count = $6, digest = $7
                  WHERE view = $1 AND partition = $2";
    let update = transaction.prepare_cached(update).await.map_err(failed)?;
    let values: [&(dyn ToSql + Sync); 7] = [
        &view.to_string(),
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

/// Locks the checkpoint of a table; `false` if another node has it, or has moved it.
async fn take_turn(transaction: &Transaction<'_>, view: &View, batch: &Batch) -> Result<bool, ViewError> {
    let (name, partition) = (view.to_string(), i64::from(batch.before.checkpoint.position.partition.0));
    let sql = format!("{PROGRESS} WHERE view = $1 AND partition = $2 FOR UPDATE SKIP LOCKED");
    let lock = transaction.prepare_cached(&sql).await.map_err(failed)?;
    if let Some(row) = transaction.query_opt(&lock, &[&name, &partition]).await.map_err(failed)? {
        return Ok(progress_of(view, &row)? == batch.before);
    }
    if batch.before.count > 0 {
        return Ok(false);
    }
    let first = "INSERT INTO views.checkpoints (view, partition, incarnation, \"offset\", event_id, count, digest)
                 VALUES ($1, $2, $3, 0, $4, 0, $5) ON CONFLICT DO NOTHING";
    let Checkpoint { incarnation, event_id, .. } = batch.before.checkpoint;
    let values: [&(dyn ToSql + Sync); 5] = [&name, &partition, &incarnation.0, &event_id.0, &&batch.before.digest[..]];
    Ok(transaction.execute(first, &values).await.map_err(failed)? == 1)
}

/// The rows that the events of a batch touch, as far as they exist: one query, a look-up by index for each.
async fn load(
    transaction: &Transaction<'_>,
    view: &View,
    model: &dyn Model,
    batch: &Batch,
) -> Result<Vec<Values>, ViewError> {
    if model.is_appended() {
        return Ok(Vec::new());
    }
    let keys: HashSet<Key> = batch.events.iter().flat_map(|event| model.keys(event)).collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let columns = &view.table.columns[..view.table.key];
    let arrays: Vec<Box<dyn ToSql + Sync + Send>> =
        (0..columns.len()).map(|index| array(columns[index].kind, keys.iter().map(|key| &key[index]))).collect();
    let mut names = Vec::new();
    let mut unnested = Vec::new();
    let mut is_key = vec!["partition = $1".to_owned()];
    for (index, column) in columns.iter().enumerate() {
        let name = sql::quoted(column.name);
        // Arrays have no collation.
        let kind = (DIALECT.kind)(column.kind).split(' ').next().unwrap_or_default();
        unnested.push(format!("${}::{kind}[]", index + 2));
        is_key.push(format!("{name} = asked.{name}"));
        names.push(name);
    }
    let select = format!(
        "SELECT found.* FROM unnest({}) AS asked ({})
         CROSS JOIN LATERAL (SELECT {} FROM {} WHERE {} LIMIT 1) AS found",
        unnested.join(", "),
        names.join(", "),
        sql::list(&sql::all_columns(view)),
        DIALECT.name(view),
        is_key.join(" AND ")
    );
    let partition = i64::from(batch.before.checkpoint.position.partition.0);
    let parameters: Vec<&(dyn ToSql + Sync)> =
        std::iter::once(&partition as &(dyn ToSql + Sync)).chain(arrays.iter().map(|it| &**it as _)).collect();
    let select = transaction.prepare_cached(&select).await.map_err(in_view(view))?;
    let rows = transaction.query(&select, &parameters).await.map_err(in_view(view))?;
    rows.iter().map(|row| values_of(view, row)).collect()
}

/// The values of one column of several keys.
fn array<'a>(kind: Kind, values: impl Iterator<Item = &'a Value>) -> Box<dyn ToSql + Sync + Send> {
    match kind {
        Kind::Id => {
            Box::new(values.filter_map(|it| if let Value::Id(id) = it { Some(*id) } else { None }).collect::<Vec<_>>())
        }
        Kind::Integer => Box::new(
            values
                .filter_map(|it| if let Value::Integer(number) = it { Some(*number) } else { None })
                .collect::<Vec<_>>(),
        ),
        Kind::Boolean => Box::new(
            values
                .filter_map(|it| if let Value::Boolean(truth) = it { Some(*truth) } else { None })
                .collect::<Vec<_>>(),
        ),
        Kind::Time => Box::new(
            values.filter_map(|it| if let Value::Time(time) = it { Some(*time) } else { None }).collect::<Vec<_>>(),
        ),
        Kind::Text => Box::new(
            values
                .filter_map(|it| if let Value::Text(text) = it { Some(text.clone()) } else { None })
                .collect::<Vec<_>>(),
        ),
    }
}

/// Writes what has changed, in the order of the key: neighbours share pages, and two nodes lock in one order.
async fn store(
    transaction: &Transaction<'_>,
    view: &View,
    partition: PartitionId,
    mut rows: Changes,
) -> Result<(), ViewError> {
    rows.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let partition = || parameter(&Value::Integer(i64::from(partition.0)), None);
    let columns = sql::stored_columns(view);
    let (name, kinds) = (DIALECT.name(view), view.table.columns);
    let put = rows.iter().filter_map(|(_, row)| row.as_ref()).map(|values| {
        let values = values.iter().zip(kinds).map(|(value, column)| parameter(value, Some(column)));
        std::iter::once(partition()).chain(values).collect()
    });
    let gone = rows.iter().filter(|(_, row)| row.is_none()).map(|(key, _)| {
        let values = key.iter().zip(kinds).map(|(value, column)| parameter(value, Some(column)));
        std::iter::once(partition()).chain(values).collect()
    });
    let mut statements = Vec::new();
    let insert = format!("INSERT INTO {name} ({}) VALUES", sql::list(&columns));
    add_rows(&mut statements, &insert, put, &DIALECT.on_conflict(view));
    let delete = format!("DELETE FROM {name} WHERE ({}) IN (VALUES", sql::list(&sql::key_columns(view)));
    add_rows(&mut statements, &delete, gone, ")");
    for statement in &statements {
        let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
            statement.parameters.iter().map(|(value, kind)| (&**value as _, kind.clone())).collect();
        transaction.execute_typed(&statement.sql, &parameters).await.map_err(in_view(view))?;
    }
    Ok(())
}
