//! The tables that show what was done.

use porttask_projections::{Values, models};
use porttask_runtime::{
    log::{PartitionId, Position},
    views::{Query, Views},
};
use porttask_tests::Node;
use std::time::Duration;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until all models have read all that there is.
pub(crate) async fn caught_up(node: &Node, views: &Views) {
    for head in node.log.heads().await.unwrap() {
        for name in views.names() {
            // One that fails is another test's concern.
            let has_failed = views.status().iter().any(|it| it.name == name && it.state.failure.is_some());
            let reached = has_failed || views.wait_for(name, head.position, PATIENCE).await.unwrap();
            assert!(reached, "{name} is not at {}: {:?}", head.position, views.status());
        }
    }
}

/// All rows of a model, in all partitions.
pub(crate) async fn rows(node: &Node, views: &Views, name: &str) -> Vec<Values> {
    let mut all = Vec::new();
    for head in node.log.heads().await.unwrap() {
        let Position { partition, .. } = head.position;
        all.extend(rows_in(views, name, partition).await);
    }
    all
}

async fn rows_in(views: &Views, name: &str, partition: PartitionId) -> Vec<Values> {
    let table = models().into_iter().map(|model| model.table()).find(|table| table.name == name).unwrap();
    let sort = table.columns[..table.key].iter().map(|column| column.name).collect();
    let query = Query { partition, sort, limit: 1_000_000, ..Query::default() };
    views.select(name, &query).await.unwrap()
}
