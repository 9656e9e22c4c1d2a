//! Lookups of rows by key: concurrent ones are batched into one query per table.

use deadpool_postgres::{GenericClient, Pool};
use futures_util::future::join_all;
use porttask_projections::{Column, Key, Values};
use porttask_runtime::{
    log::PartitionId,
    views::{Condition, Query, View, ViewError},
};
use tokio_postgres::Row;

use super::{
    client_of, in_view,
    rows::{Arrays, parameters, values_of},
    tables::DIALECT,
};
use crate::{gathering::Gathering, views::sql};

/// A lookup of one row by key.
pub(super) struct Lookup {
    view: View,
    partition: PartitionId,
    key: Key,
}

impl Lookup {
    /// The lookup that a query is equivalent to, if its conditions are exactly a key.
    pub(super) fn of(view: &View, query: &Query) -> Option<Self> {
        let asks_more = query.is_everywhere || query.text.is_some() || query.after.is_some() || query.limit == 0;
        let keyed = &view.table.columns[..view.table.key];
        if asks_more || query.conditions.len() != keyed.len() {
            return None;
        }
        let value = |column: &Column| {
            query.conditions.iter().find_map(|condition| match condition {
                Condition::Equal(name, value) if *name == column.name && value.kind() == Some(column.kind) => {
                    Some(value.clone())
                }
                _ => None,
            })
        };
        let key = keyed.iter().map(value).collect::<Option<Key>>()?;
        Some(Self { view: *view, partition: query.partition, key })
    }
}

/// Batches lookups.
pub(super) type Lookups = Gathering<Lookup, Result<Option<Values>, ViewError>>;

/// Runs lookups on the connections of a pool.
pub(super) fn lookups(pool: Pool) -> Lookups {
    Gathering::new(move |asked: Vec<Lookup>| {
        let pool = pool.clone();
        async move {
            let client = match client_of(&pool).await {
                Ok(client) => client,
                Err(error) => return vec![Err(error); asked.len()],
            };
            let mut views: Vec<View> = Vec::new();
            for lookup in &asked {
                if !views.contains(&lookup.view) {
                    views.push(lookup.view);
                }
            }
            let mut answers = vec![Ok(None); asked.len()];
            // Pipelined, to save round trips.
            let found = views.iter().map(|view| {
                let (places, keys): (Vec<usize>, Vec<_>) = asked
                    .iter()
                    .enumerate()
                    .filter(|(_, it)| it.view == *view)
                    .map(|(place, it)| (place, (it.partition, &it.key)))
                    .unzip();
                let client = &client;
                async move { (places, find(client, view, &keys).await) }
            });
            for (places, found) in join_all(found).await {
                match found {
                    Ok(rows) => rows.into_iter().for_each(|(number, row)| answers[places[number]] = Ok(Some(row))),
                    Err(error) => places.into_iter().for_each(|place| answers[place] = Err(error.clone())),
                }
            }
            answers
        }
    })
}

/// The existing rows with these keys, with the index of the key: one query, with one index lookup per key.
pub(super) async fn find(
    client: &impl GenericClient,
    view: &View,
    keys: &[(PartitionId, &Key)],
) -> Result<Vec<(usize, Values)>, ViewError> {
    let Arrays { values, unnested } = Arrays::of(&view.table.columns[..view.table.key], keys);
    let key = sql::key_columns(view);
    let is_key: Vec<String> = key.iter().map(|name| format!("{0} = asked.{0}", sql::quoted(name))).collect();
    let select = format!(
        "SELECT found.*, asked.asked_number FROM {unnested} WITH ORDINALITY AS asked ({}, asked_number)
         CROSS JOIN LATERAL (SELECT {} FROM {} WHERE {} LIMIT 1) AS found",
        sql::list(&key),
        sql::list(&sql::all_columns(view)),
        DIALECT.name(view),
        is_key.join(" AND ")
    );
    let select = client.prepare_cached(&select).await.map_err(in_view(view))?;
    let rows = client.query(&select, &parameters(&values)).await.map_err(in_view(view))?;
    let number = view.table.columns.len();
    let found = |row: &Row| Ok((row.get::<_, i64>(number) as usize - 1, values_of(view, row)?));
    rows.iter().map(found).collect()
}
