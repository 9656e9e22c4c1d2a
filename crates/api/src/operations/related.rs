//! Rows of what something refers to.

use porttask_domain::OrganizationId;
use porttask_projections::{ColumnType, ReadModel, Value};
use porttask_runtime::views::{Condition, Query};

use crate::http::{app::App, problem::Problem};

/// Rows of the organization with these ids in a column.
///
/// # Errors
/// If the read model fails.
pub(super) async fn rows<M: ReadModel>(
    app: &App,
    organization: OrganizationId,
    column: &'static str,
    mut ids: Vec<Value>,
) -> Result<Vec<M::Row>, Problem> {
    ids.sort();
    ids.dedup();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let (partition, limit) = (app.partition(organization).await?, ids.len());
    let conditions = vec![Condition::Equal("organization", organization.to_value()), Condition::OneOf(column, ids)];
    Ok(app.views.rows::<M>(&Query { partition, conditions, limit, ..Query::default() }).await?)
}
